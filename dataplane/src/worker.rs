//! A worker: one core's queues, tables and counters, run to completion, turn after turn.
//!
//! A turn takes a burst from each of its receive queues and from the workers that have its frames, sends what is to
//! leave, and does a bounded amount of housekeeping. Frames that belong to another worker, and frames for a port
//! whose transmit queue another worker has, go over the [`Mesh`].

mod departures;
mod handover;
mod mesh;

pub use mesh::Mesh;

use crate::counters::{DropReason, Verdict, WorkerCounters};
use crate::errand::Walk;
use crate::mailbox::{Mailbox, Order, Spent, WorkerHandle};
use crate::pipeline::{Limits, Outbox, Pipeline, Tracer};
use crate::port::{Burst, Clock, Frame, RxQueue, TxQueue};
use crate::prefetch::prefetch;
use crate::punt::WorkerEnd;
use crate::snapshot::Snapshot;
use crate::spread::{Spread, home};
use crate::track::news::Peers;
use crate::units::{BURST_MAX, PORTS_MAX, PortId, Tick, WorkerId};
use core::sync::atomic::{AtomicBool, Ordering};
use departures::Departures;
use handover::Settling;
use std::sync::Arc;

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

/// What a worker is made of.
#[derive(Debug)]
pub struct Setup<R: RxQueue, T, C> {
    /// Which worker.
    pub id: WorkerId,
    /// Its part of each port.
    pub ports: Vec<WorkerPort<R, T>>,
    /// Its ends of the rings between all workers of the gateway.
    pub mesh: Mesh<R::Frame>,
    /// Its end of the rings between it and control.
    pub control: WorkerEnd<R::Frame>,
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

/// A receive queue and where its frames come from.
#[derive(Debug)]
struct Receiver<R> {
    port: PortId,
    rx: R,
    spread: Spread,
}

/// One worker.
#[derive(Debug)]
pub struct Worker<R: RxQueue, T, C> {
    id: WorkerId,
    receivers: Vec<Receiver<R>>,
    departures: Departures<R::Frame, T>,
    mesh: Mesh<R::Frame>,
    control: WorkerEnd<R::Frame>,
    clock: C,
    idle: Idle,
    pipeline: Pipeline<R::Frame>,
    counters: Arc<WorkerCounters>,
    mailbox: Arc<Mailbox>,
    burst: Burst<R::Frame>,
    origins: [PortId; BURST_MAX],
    /// What other workers have given, for the next turn, and where it came from.
    taken: Burst<R::Frame>,
    taken_from: [PortId; BURST_MAX],
    /// Frames of a burst, by the worker that they belong to. Empty between bursts.
    by_owner: Vec<Burst<R::Frame>>,
    /// The errand under way.
    errand: Option<Walk>,
    settling: Settling,
    tracer: Tracer,
    /// The time of the last turn: what waits to leave was decided then or since.
    decided: Tick,
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
        let peers = Peers { me: setup.id, workers: setup.mesh.workers() };
        let pipeline =
            Pipeline::among(peers, setup.limits, setup.secret, setup.snapshot, Arc::clone(&counters));
        let handle = WorkerHandle {
            id: setup.id,
            mailbox: Arc::clone(&mailbox),
            counters: Arc::clone(&counters),
            flows_max: pipeline.tracker().table().capacity(),
        };
        let mut receivers = Vec::new();
        let mut departures = Departures::new(pipeline.outbox(PORTS_MAX), Arc::clone(&counters));
        for WorkerPort { port, rx, tx, spread } in setup.ports {
            receivers.extend(rx.map(|rx| Receiver { port, rx, spread }));
            departures.add(port, tx);
        }
        let worker = Self {
            id: setup.id,
            receivers,
            departures,
            by_owner: (0..setup.mesh.workers()).map(|_| Burst::new()).collect(),
            mesh: setup.mesh,
            control: setup.control,
            clock: setup.clock,
            idle: setup.idle,
            pipeline,
            counters,
            mailbox,
            burst: Burst::new(),
            origins: [PortId::default(); BURST_MAX],
            taken: Burst::new(),
            taken_from: [PortId::default(); BURST_MAX],
            errand: None,
            settling: Settling::default(),
            tracer: Tracer::default(),
            decided: Tick::default(),
            idle_turns: 0,
            rest_us: REST_US_MIN,
        };
        (worker, handle)
    }

    /// Works until `stop` is set, then until its queues are empty or `drain_turns` more turns have gone, and until
    /// the other workers, which are stopped as well, have given it the last of its frames.
    pub fn run(&mut self, stop: &AtomicBool, drain_turns: u32) {
        let mut begin = self.clock.cycles();
        let mut longest = 0;
        while !stop.load(Ordering::Relaxed) {
            let moved = self.turn();
            let mut end = self.clock.cycles();
            let took = end.wrapping_sub(begin);
            if took > longest {
                longest = took;
                self.counters.turn_max_ns.set(self.clock.ns(took));
            }
            if moved > 0 {
                self.counters.cycles_busy.add(took);
            } else {
                self.rest();
                end = self.clock.cycles();
                self.counters.cycles_idle.add(end.wrapping_sub(begin));
            }
            begin = end;
        }
        self.finish(drain_turns);
    }

    /// One turn; how many frames it moved.
    pub fn turn(&mut self) -> usize {
        self.obey();
        let now = Tick::from_ms(self.clock.now_ms());
        let mut moved = if self.pipeline.is_behind() { self.catch_up(now) } else { self.take_in(now) };
        moved += self.send_for_others();
        moved += self.send_for_control();
        self.check_lease();
        moved += self.departures.end_turn(&mut self.mesh);
        self.decided = now;
        self.hear();
        if self.tracer.is_empty() {
            self.pipeline.housekeep(now, &mut ());
        } else {
            self.pipeline.housekeep(now, &mut self.tracer);
            self.tracer.sweep();
        }
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

    /// Lets go of everything in the order in which frames move: each step is done when nobody has more for it.
    fn finish(&mut self, drain_turns: u32) {
        for _ in 0..drain_turns {
            if self.turn() == 0 {
                break;
            }
        }
        self.receivers.clear();
        self.mesh.work.close();
        self.work_until(drain_turns, |mesh| mesh.work.is_over());
        self.departures.flush(&mut self.mesh);
        self.mesh.close_send();
        self.work_until(drain_turns, Mesh::all_sent);
        self.departures.flush(&mut self.mesh);
    }

    /// Works for others until they have no more.
    fn work_until(&mut self, turns_max: u32, over: impl Fn(&Mesh<R::Frame>) -> bool) {
        for _ in 0..turns_max {
            if self.taken.is_empty() && over(&self.mesh) {
                break;
            }
            if self.turn() == 0 {
                self.clock.rest(REST_US_MIN);
            }
        }
    }

    /// Takes a burst from each of its queues, and from the other workers.
    fn take_in(&mut self, now: Tick) -> usize {
        let (mut moved, mut has_more) = (0, false);
        for index in 0..self.receivers.len() {
            let received = self.receive(index, now);
            has_more |= received == BURST_MAX;
            moved += received;
        }
        moved += self.take_over(now);
        self.settle(has_more || self.taken.is_full());
        moved
    }

    /// Takes a burst from one of its queues.
    fn receive(&mut self, index: usize, now: Tick) -> usize {
        let Receiver { port, rx, spread } = &mut self.receivers[index];
        let (port, spread) = (*port, *spread);
        let received = rx.receive(&mut self.burst);
        self.counters.bursts[received].add(1);
        if received == 0 {
            return 0;
        }
        let mut bytes = 0;
        for frame in &self.burst {
            prefetch(frame.bytes());
            bytes += frame.bytes().len();
        }
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
        let workers = self.mesh.workers();
        // Its own frames are sorted out as the others' are: no branch foresees whose the next one is.
        for frame in self.burst.drain(..) {
            let owner = home(frame.bytes(), spread, workers).unwrap_or(self.id);
            self.by_owner[owner.index()].push(frame);
        }
        core::mem::swap(&mut self.burst, &mut self.by_owner[self.id.index()]);
        for (owner, frames) in self.by_owner.iter_mut().enumerate() {
            let Some(owner) = WorkerId::new(owner).filter(|_| !frames.is_empty()) else { continue };
            self.counters.handed_over.add(self.mesh.work.give(owner, port, frames) as u64);
            if !frames.is_empty() {
                self.counters.outcomes(Verdict::Drop(DropReason::RingFull), frames.len() as u64);
                Frame::release(frames);
            }
        }
    }

    /// Works on what it took from other workers a turn ago, and takes what they have for it now: what another core
    /// has written is some time on its way.
    fn take_over(&mut self, now: Tick) -> usize {
        let ready = self.taken.len();
        if ready > 0 {
            core::mem::swap(&mut self.burst, &mut self.taken);
            self.origins = self.taken_from;
            self.burst.iter().for_each(|frame| prefetch(frame.bytes()));
        }
        let taken = self.mesh.work.take(&mut self.taken, &mut self.taken_from);
        if ready > 0 {
            self.process(now);
        }
        ready + taken
    }

    fn process(&mut self, now: Tick) {
        self.hear();
        self.check_lease();
        let outbox = self.departures.outbox(self.burst.len(), &mut self.mesh);
        if self.tracer.is_empty() {
            self.pipeline.process(&mut self.burst, &self.origins, now, outbox, &mut ());
        } else {
            process_traced(&mut self.pipeline, &mut self.burst, &self.origins, now, outbox, &mut self.tracer);
        }
        self.tell();
        self.departures.relieve(&mut self.mesh);
        self.punt();
    }

    /// Lets nothing leave that was this node's when it was decided and has become another's since: the process may
    /// have stood still in between.
    #[inline]
    fn check_lease(&mut self) {
        let Some(lease) = self.pipeline.snapshot().lease() else { return };
        if lease.is_over(Tick::from_ms(self.clock.now_ms())) && !lease.is_over(self.decided) {
            self.departures.disown();
        }
    }

    /// Leaves to control what is for it.
    fn punt(&mut self) {
        for punted in self.departures.punts().drain(..) {
            if let Err(refused) = self.control.punt(punted) {
                self.counters.punt_refused(refused.reason);
            }
        }
    }

    /// Sends what control sends; a burst of it at most.
    fn send_for_control(&mut self) -> usize {
        for sent in 0..BURST_MAX {
            let Some((port, frame)) = self.control.to_send() else { return sent };
            self.counters.from_control.add(1);
            self.counters.outcome(Verdict::Forward(port));
            if !self.tracer.is_empty() {
                self.tracer.sent(&frame, port, self.pipeline.snapshot());
            }
            self.departures.add_frame(port, frame, &mut self.mesh);
        }
        BURST_MAX
    }

    /// Takes in what other workers tell: before a burst, since its frames may have been caused by what is told.
    fn hear(&mut self) {
        while let Some(news) = self.mesh.hear(self.id) {
            self.pipeline.hear(&news);
        }
    }

    /// Tells other workers what they must know: before a burst leaves, since it may cause frames for them.
    fn tell(&mut self) {
        while let Some(post) = self.pipeline.post() {
            self.counters.news_lost.add(u64::from(!self.mesh.tell(self.id, post)));
        }
    }

    /// Sends what other workers have no queue for.
    fn send_for_others(&mut self) -> usize {
        let taken = self.mesh.take_to_send(&mut self.burst, &mut self.origins);
        for (frame, port) in self.burst.drain(..).zip(self.origins) {
            self.departures.add_frame(port, frame, &mut self.mesh);
        }
        taken
    }

    /// Looks into the mailbox.
    fn obey(&mut self) {
        while let Some(order) = self.mailbox.order() {
            match order {
                Order::Adopt(snapshot) => {
                    let old = self.pipeline.adopt(snapshot);
                    self.mailbox.give_back(Spent::Snapshot(old));
                }
                Order::Remember(memories) => {
                    let old = self.pipeline.remember(memories);
                    self.mailbox.give_back(Spent::Memories(old));
                }
                Order::HearCounts(counts) => {
                    let tracker = self.pipeline.tracker_mut();
                    counts.iter().for_each(|(server, others)| tracker.hear_counts(*server, *others));
                    self.mailbox.give_back(Spent::Counts(counts));
                }
                Order::HandOver(step) => self.take_step(step),
                Order::Errand(errand) => {
                    let old = self.errand.replace(Walk::new(errand));
                    self.give_back(old);
                }
                Order::Watch(watch) => self.pipeline.tracker_mut().watch(watch),
                Order::Trace(trace) => self.tracer.add(trace),
            }
        }
    }

    /// Goes on with the errand under way.
    fn run_errand(&mut self, now: Tick) {
        let Some(walk) = &mut self.errand else { return };
        let (tracker, memories) = self.pipeline.tables_mut();
        if walk.step(tracker, memories, now) {
            let done = self.errand.take();
            self.give_back(done);
        }
    }

    fn give_back(&self, walk: Option<Walk>) {
        if let Some(walk) = walk {
            self.mailbox.give_back(Spent::Errand(walk.into_errand()));
        }
    }
}

/// Kept apart, so that the way without a trace stays as it is.
#[cold]
#[inline(never)]
fn process_traced<F: Frame>(
    pipeline: &mut Pipeline<F>,
    burst: &mut Burst<F>,
    origins: &[PortId],
    now: Tick,
    outbox: &mut Outbox<F>,
    tracer: &mut Tracer,
) {
    pipeline.process(burst, origins, now, outbox, tracer);
}
