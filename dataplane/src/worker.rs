//! A worker: one core's queues, tables and counters, run to completion, turn after turn.
//!
//! A turn takes a burst from each of its receive queues and from the workers that have its frames, sends what is to
//! leave, and does a bounded amount of housekeeping. Frames that belong to another worker, and frames for a port
//! whose transmit queue another worker has, go over the [`Mesh`].

use crate::counters::{DropReason, Verdict, WorkerCounters};
use crate::errand::Walk;
use crate::mailbox::{Mailbox, Order, WorkerHandle};
use crate::pipeline::{Limits, Outbox, Pipeline};
use crate::port::{Burst, Clock, Frame, RxQueue, TxQueue};
use crate::snapshot::Snapshot;
use crate::spread::{Spread, home};
use crate::track::news::{News, Peers, Post};
use crate::units::{BURST_MAX, PORTS_MAX, PortId, Tick, WorkerId};
use core::sync::atomic::{AtomicBool, Ordering};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// Frames, and news, that may wait from worker to worker.
const RING_LEN: usize = 1024;
/// Tries to hand frames to a transmit queue that takes none.
const TX_TRIES: usize = 4;
/// Turns without a frame before a worker that may rest does so.
const IDLE_TURNS: u32 = 64;
/// The shortest and the longest rest.
const REST_US_MIN: u32 = 8;
const REST_US_MAX: u32 = 512;

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Looks again at once.
    Poll,
    /// Rests, longer and longer up to half a millisecond.
    Backoff,
}

/// A worker's part of one port.
#[derive(Debug)]
pub struct WorkerPort<R, T> {
    /// Which port.
    pub port: PortId,
    /// Its receive queue, if it has one.
    pub rx: Option<R>,
    /// Its transmit queue, if it has one.
    pub tx: Option<T>,
    /// What the port's hardware leaves of the spreading.
    pub spread: Spread,
}

/// The rings between workers.
#[derive(Debug)]
pub struct Mesh<F> {
    /// Frames to process, by worker.
    work: Vec<ArrayQueue<(PortId, F)>>,
    /// Frames to transmit, by worker.
    send: Vec<ArrayQueue<(PortId, F)>>,
    /// News to hear, by worker.
    news: Vec<ArrayQueue<News>>,
    /// Who transmits for a port that a worker has no queue of.
    senders: [WorkerId; PORTS_MAX],
}

impl<F> Mesh<F> {
    /// Rings between `workers` workers; `senders[port]` transmits for those that have no queue of that port.
    pub fn new(workers: usize, senders: [WorkerId; PORTS_MAX]) -> Arc<Self> {
        let rings = || (0..workers).map(|_| ArrayQueue::new(RING_LEN)).collect();
        let news = (0..workers).map(|_| ArrayQueue::new(RING_LEN)).collect();
        Arc::new(Self { work: rings(), send: rings(), news, senders })
    }

    /// Tells other workers; `false` when one could not take it.
    fn tell(&self, me: WorkerId, post: Post) -> bool {
        let told = |to: usize| self.news.get(to).is_none_or(|ring| ring.push(post.news.clone()).is_ok());
        match post.to {
            Some(to) => told(to.index()),
            None => (0..self.news.len()).filter(|to| *to != me.index()).all(told),
        }
    }
}

/// What a worker is made of.
#[derive(Debug)]
pub struct Setup<R: RxQueue, T, C> {
    /// Which worker.
    pub id: WorkerId,
    /// Its part of each port.
    pub ports: Vec<WorkerPort<R, T>>,
    /// The rings between all workers of the gateway.
    pub mesh: Arc<Mesh<R::Frame>>,
    /// Its clock.
    pub clock: C,
    /// What it does when there is nothing to do.
    pub idle: Idle,
    /// The sizes of its tables.
    pub limits: Limits,
    /// Seeds its tables' hashes.
    pub secret: u64,
    /// What it begins with.
    pub snapshot: Arc<Snapshot>,
}

/// One worker.
#[derive(Debug)]
pub struct Worker<R: RxQueue, T, C> {
    id: WorkerId,
    ports: Vec<WorkerPort<R, T>>,
    mesh: Arc<Mesh<R::Frame>>,
    clock: C,
    idle: Idle,
    pipeline: Pipeline<R::Frame>,
    counters: Arc<WorkerCounters>,
    mailbox: Arc<Mailbox>,
    burst: Burst<R::Frame>,
    origins: [PortId; BURST_MAX],
    outbox: Outbox<R::Frame>,
    /// The errand under way.
    errand: Option<Walk>,
    idle_turns: u32,
    rest_us: u32,
}

impl<R, T, C> Worker<R, T, C>
where
    R: RxQueue,
    T: TxQueue<Frame = R::Frame>,
    C: Clock,
{
    /// A worker that has not begun, and control's end of it.
    pub fn new(setup: Setup<R, T, C>) -> (Self, WorkerHandle) {
        let counters = Arc::new(WorkerCounters::default());
        let mailbox = Mailbox::new();
        let peers = Peers { me: setup.id, workers: setup.mesh.news.len().max(1) };
        let pipeline =
            Pipeline::among(peers, setup.limits, setup.secret, setup.snapshot, Arc::clone(&counters));
        let outbox = pipeline.outbox(PORTS_MAX);
        let handle = WorkerHandle {
            id: setup.id,
            mailbox: Arc::clone(&mailbox),
            counters: Arc::clone(&counters),
            flows_max: pipeline.tracker().table().capacity(),
        };
        let worker = Self {
            id: setup.id,
            ports: setup.ports,
            mesh: setup.mesh,
            clock: setup.clock,
            idle: setup.idle,
            pipeline,
            counters,
            mailbox,
            burst: Burst::new(),
            origins: [PortId::default(); BURST_MAX],
            outbox,
            errand: None,
            idle_turns: 0,
            rest_us: REST_US_MIN,
        };
        (worker, handle)
    }

    /// Works until `stop` is set, then until its queues are empty or `drain_turns` more turns have gone.
    pub fn run(&mut self, stop: &AtomicBool, drain_turns: u32) {
        while !stop.load(Ordering::Relaxed) {
            let before = self.clock.cycles();
            let moved = self.turn();
            if moved > 0 {
                self.counters.cycles_busy.add(self.clock.cycles().wrapping_sub(before));
            } else {
                self.rest();
                self.counters.cycles_idle.add(self.clock.cycles().wrapping_sub(before));
            }
        }
        for _ in 0..drain_turns {
            if self.turn() == 0 {
                break;
            }
        }
    }

    /// One turn; how many frames it moved.
    pub fn turn(&mut self) -> usize {
        self.obey();
        let now = Tick::from_ms(self.clock.now_ms());
        let mut moved = 0;
        for index in 0..self.ports.len() {
            moved += self.receive(index, now);
        }
        moved += self.take_over(now);
        moved += self.send_for_others();
        self.hear();
        self.pipeline.housekeep(now, &mut ());
        self.tell();
        self.run_errand(now);
        if moved > 0 {
            self.idle_turns = 0;
            self.rest_us = REST_US_MIN;
        }
        moved
    }

    fn rest(&mut self) {
        self.idle_turns = self.idle_turns.saturating_add(1);
        if self.idle == Idle::Backoff && self.idle_turns > IDLE_TURNS && self.errand.is_none() {
            self.clock.rest(self.rest_us);
            self.rest_us = (self.rest_us * 2).min(REST_US_MAX);
        } else {
            core::hint::spin_loop();
        }
    }

    /// Takes a burst from one of its ports.
    fn receive(&mut self, index: usize, now: Tick) -> usize {
        let WorkerPort { port, rx, spread, .. } = &mut self.ports[index];
        let (port, spread) = (*port, *spread);
        let Some(rx) = rx else { return 0 };
        let received = rx.receive(&mut self.burst);
        self.counters.bursts[received].add(1);
        if received == 0 {
            return 0;
        }
        let bytes: usize = self.burst.iter().map(|frame| frame.bytes().len()).sum();
        self.counters.port(port).rx_frames.add(received as u64);
        self.counters.port(port).rx_bytes.add(bytes as u64);
        if spread != Spread::None {
            self.hand_over(port, spread);
        }
        self.origins = [port; BURST_MAX];
        self.process(now);
        received
    }

    /// Gives the frames of the burst that belong to others to them.
    fn hand_over(&mut self, port: PortId, spread: Spread) {
        let workers = self.mesh.work.len();
        let mut refused = Burst::new();
        let mut mine = Burst::new();
        for frame in self.burst.drain(..) {
            match home(frame.bytes(), spread, workers) {
                Some(other) if other != self.id => match self.mesh.work[other.index()].push((port, frame)) {
                    Ok(()) => self.counters.handed_over.add(1),
                    Err((_, frame)) => refused.push(frame),
                },
                _ => mine.push(frame),
            }
        }
        self.burst = mine;
        for _ in &refused {
            self.counters.outcome(Verdict::Drop(DropReason::RingFull));
        }
        Frame::release(&mut refused);
    }

    /// Takes the frames that other workers have for it.
    fn take_over(&mut self, now: Tick) -> usize {
        while let Some((port, frame)) = self.mesh.work[self.id.index()].pop() {
            self.origins[self.burst.len()] = port;
            self.burst.push(frame);
            if self.burst.is_full() {
                break;
            }
        }
        let taken = self.burst.len();
        if taken > 0 {
            self.process(now);
        }
        taken
    }

    fn process(&mut self, now: Tick) {
        self.hear();
        self.pipeline.process(&mut self.burst, &self.origins, now, &mut self.outbox, &mut ());
        self.tell();
        loop {
            for index in 0..self.ports.len() {
                self.flush(index);
            }
            if !self.outbox.refill() {
                break;
            }
        }
    }

    /// Takes in what other workers tell: before a burst, since its frames may have been caused by what is told.
    fn hear(&mut self) {
        while let Some(news) = self.mesh.news[self.id.index()].pop() {
            self.pipeline.hear(&news);
        }
    }

    /// Tells other workers what they must know: before a burst leaves, since it may cause frames for them.
    fn tell(&mut self) {
        while let Some(post) = self.pipeline.post() {
            self.counters.news_lost.add(u64::from(!self.mesh.tell(self.id, post)));
        }
    }

    /// Sends what waits for one of its ports.
    fn flush(&mut self, index: usize) {
        let WorkerPort { port, tx, .. } = &mut self.ports[index];
        let Some(waiting) = self.outbox.take(*port) else { return };
        if waiting.is_empty() {
            return;
        }
        match tx {
            Some(tx) => transmit(tx, waiting, *port, &self.counters),
            None => {
                let sender = self.mesh.senders[port.index()];
                let mut refused = Burst::new();
                for frame in waiting.drain(..) {
                    if let Err((_, frame)) = self.mesh.send[sender.index()].push((*port, frame)) {
                        refused.push(frame);
                    }
                }
                self.counters.forward_refused(refused.len() as u64);
                Frame::release(&mut refused);
            }
        }
    }

    /// Sends what other workers have no queue for.
    fn send_for_others(&mut self) -> usize {
        let mut taken = 0;
        while taken < BURST_MAX
            && let Some((port, frame)) = self.mesh.send[self.id.index()].pop()
        {
            taken += 1;
            if let Some(waiting) = self.outbox.take(port) {
                // At most one burst is taken and the outbox was empty, so there is room.
                waiting.push(frame);
            }
        }
        if taken > 0 {
            for index in 0..self.ports.len() {
                self.flush(index);
            }
        }
        taken
    }

    /// Looks into the mailbox.
    fn obey(&mut self) {
        while let Some(order) = self.mailbox.orders.pop() {
            match order {
                Order::Adopt(snapshot) => {
                    let old = self.pipeline.adopt(snapshot);
                    // When control has not collected, freeing it here is the lesser evil.
                    drop(self.mailbox.returned.push(old));
                }
                Order::Errand(errand) => self.errand = Some(Walk::new(errand)),
                Order::Watch(watch) => self.pipeline.tracker_mut().watch(watch),
            }
        }
    }

    /// Goes on with the errand under way.
    fn run_errand(&mut self, now: Tick) {
        if let Some(walk) = &mut self.errand
            && walk.step(self.pipeline.tracker_mut(), now)
        {
            self.errand = None;
        }
    }
}

/// Sends a burst; what the queue does not take after a few tries is dropped and counted.
fn transmit<T: TxQueue>(tx: &mut T, waiting: &mut Burst<T::Frame>, port: PortId, counters: &WorkerCounters) {
    let mut lengths = arrayvec::ArrayVec::<usize, BURST_MAX>::new();
    lengths.extend(waiting.iter().map(|frame| frame.bytes().len()));
    let mut sent = 0;
    for _ in 0..TX_TRIES {
        sent += tx.transmit(waiting);
        if waiting.is_empty() {
            break;
        }
    }
    let bytes: usize = lengths[..sent].iter().sum();
    counters.port(port).tx_frames.add(sent as u64);
    counters.port(port).tx_bytes.add(bytes as u64);
    counters.forward_refused(waiting.len() as u64);
    Frame::release(waiting);
}
