//! Queues in memory around a real worker: an endless supply of frames of chosen flows, and a sink.

use crate::{BURST, BenchFrame, Kind, Wire};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::{Burst, Clock, Frame, RxQueue, TxQueue};
use weir_dataplane::punt;
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::spread::Spread;
use weir_dataplane::units::{Epoch, PORTS_MAX, WorkerId};
use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
use weir_tests::conversation::Side;
use weir_tests::node::{bridge, port};

/// A worker over these queues.
pub type BenchWorker = Worker<Supply, Sink, BenchClock>;

/// Frames of some flows, round and round, as many as are asked for or as are due.
#[derive(Debug)]
pub struct Supply {
    wire: Wire,
    flows: Arc<[u32]>,
    next: usize,
    /// So many frames are still to come; all that are asked for when nobody set it.
    due: Option<Rc<RefCell<usize>>>,
    /// Writes into each frame when it was due, in nanoseconds from here.
    stamps: Option<Rc<RefCell<Stamps>>>,
}

/// Moments at which frames were due, in nanoseconds, first come first.
pub type Stamps = std::collections::VecDeque<u64>;

/// Where a stamp lies in a frame: behind its headers, which are 54 bytes.
const STAMP: usize = 56;

impl Supply {
    /// As many frames of `kind` as are asked for.
    pub fn endless(kind: Kind, flows: Arc<[u32]>) -> Self {
        Self::of(Wire::new(kind), flows)
    }

    /// As many of these frames as are asked for.
    pub fn of(wire: Wire, flows: Arc<[u32]>) -> Self {
        Self { wire, flows, next: 0, due: None, stamps: None }
    }

    /// Only frames that are due: `due` is counted down.
    #[must_use]
    pub fn limited(mut self, due: Rc<RefCell<usize>>) -> Self {
        self.due = Some(due);
        self
    }

    /// Only frames whose stamps are there; each carries its own.
    #[must_use]
    pub fn stamped(mut self, stamps: Rc<RefCell<Stamps>>) -> Self {
        self.stamps = Some(stamps);
        self
    }
}

impl RxQueue for Supply {
    type Frame = BenchFrame;

    fn receive(&mut self, burst: &mut Burst<BenchFrame>) -> usize {
        let before = burst.len();
        let mut count = burst.remaining_capacity().min(BURST);
        if let Some(due) = &self.due {
            count = count.min(*due.borrow());
            *due.borrow_mut() -= count;
        }
        for _ in 0..count {
            let stamp = match &self.stamps {
                Some(stamps) => match stamps.borrow_mut().pop_front() {
                    Some(stamp) => stamp,
                    None => break,
                },
                None => 0,
            };
            let mut frame = self.wire.frame(self.flows[self.next]);
            self.next = if self.next + 1 == self.flows.len() { 0 } else { self.next + 1 };
            frame.bytes_mut()[STAMP..].copy_from_slice(&stamp.to_ne_bytes());
            burst.push(frame);
        }
        burst.len() - before
    }
}

/// Takes everything, and may note how late it is.
#[derive(Debug, Default)]
pub struct Sink {
    delays: Option<(Instant, Rc<RefCell<Vec<u64>>>)>,
}

impl Sink {
    /// Notes the time from each frame's stamp to now, in nanoseconds; stamps count from `start`.
    pub fn noting(start: Instant, delays: Rc<RefCell<Vec<u64>>>) -> Self {
        Self { delays: Some((start, delays)) }
    }
}

impl TxQueue for Sink {
    type Frame = BenchFrame;

    fn transmit(&mut self, burst: &mut Burst<BenchFrame>) -> usize {
        let count = burst.len();
        if let Some((start, delays)) = &self.delays {
            let now = start.elapsed().as_nanos() as u64;
            let mut delays = delays.borrow_mut();
            for frame in burst.iter() {
                let stamp = frame.bytes()[STAMP..].first_chunk().copied().map_or(now, u64::from_ne_bytes);
                delays.push(now.saturating_sub(stamp));
            }
        }
        BenchFrame::release(burst);
        count
    }
}

/// The time that a benchmark sets, and a real cycle counter.
#[derive(Clone, Debug)]
pub struct BenchClock {
    start: Instant,
    now_ms: Rc<RefCell<u64>>,
}

impl BenchClock {
    /// At this time; whoever holds `now_ms` sets it.
    pub fn new(now_ms: Rc<RefCell<u64>>) -> Self {
        Self { start: Instant::now(), now_ms }
    }
}

impl Clock for BenchClock {
    fn now_ms(&mut self) -> u64 {
        *self.now_ms.borrow()
    }

    fn cycles(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn ns(&self, cycles: u64) -> u64 {
        cycles
    }

    fn rest(&mut self, _: u32) {}
}

/// What a worker has around it.
#[derive(Debug)]
pub struct Place {
    /// Which one it is.
    pub id: usize,
    /// Its ends of the rings.
    pub mesh: Mesh<BenchFrame>,
    /// How much of the spreading is left for it.
    pub spread: Spread,
    /// Where its LAN and its WAN port get their frames.
    pub supplies: [Option<Supply>; 2],
    /// Where they leave.
    pub sinks: [Sink; 2],
    /// Its time.
    pub clock: BenchClock,
}

impl Place {
    /// Of the only worker, with a supply at its LAN port.
    pub fn alone(supplies: [Option<Supply>; 2], clock: BenchClock) -> Self {
        let mesh = Mesh::new(1, [WorkerId::default(); PORTS_MAX]).remove(0);
        Self { id: 0, mesh, spread: Spread::None, supplies, sinks: Default::default(), clock }
    }

    /// A bridge between the two ports with room for so many flows.
    pub fn worker(self, flows_max: u32) -> (BenchWorker, WorkerHandle) {
        self.worker_of(Snapshot::compile(Epoch::FIRST, &bridge()), flows_max)
    }

    /// The same of a gateway that goes by `snapshot`.
    pub fn worker_of(self, snapshot: Snapshot, flows_max: u32) -> (BenchWorker, WorkerHandle) {
        let sides = [Side::Lan, Side::Wan].into_iter().zip(self.supplies).zip(self.sinks);
        let spread = self.spread;
        let ports = sides.map(|((side, rx), tx)| WorkerPort { port: port(side), rx, tx: Some(tx), spread });
        Worker::new(Setup {
            id: WorkerId::new(self.id).expect("few workers"),
            ports: ports.collect(),
            mesh: self.mesh,
            control: punt::new().0,
            clock: self.clock,
            idle: Idle::Poll,
            limits: Limits { flows_max, expectations_max: 64 },
            secret: 0x5eed,
            snapshot: Arc::new(snapshot),
        })
    }
}
