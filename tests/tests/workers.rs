//! Any number of workers does to traffic what one does.

#![allow(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::mem::{MemClock, MemFrame, MemQueue};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::spread::{Spread, home};
use weir_dataplane::units::{BURST_MAX, Epoch, PORTS_MAX, WorkerId};
use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::node::{Node, bridge, port};
use weir_tests::scenario::{Town, town};

const SIDES: [Side; 2] = [Side::Lan, Side::Wan];
const TOWN: Town = Town { ipv4_clients: 60, ipv6_clients: 30, begin_within_us: 1_000_000 };

type MemWorker = Worker<MemQueue, MemQueue, MemClock>;

/// A gateway of which worker 0 alone has the queues of both ports.
struct Gateway {
    workers: Vec<MemWorker>,
    handles: Vec<WorkerHandle>,
    rx: [MemQueue; 2],
    tx: [MemQueue; 2],
}

impl Gateway {
    fn new(workers: usize) -> Self {
        let (rx, tx) = ([MemQueue::new(), MemQueue::new()], [MemQueue::new(), MemQueue::new()]);
        let mesh = Mesh::new(workers, [WorkerId::default(); PORTS_MAX]);
        let snapshot = Arc::new(Snapshot::compile(Epoch::FIRST, &bridge()));
        let spread = if workers > 1 { Spread::All } else { Spread::None };
        let setup = |worker: usize| Setup {
            id: WorkerId::new(worker).expect("few workers"),
            ports: SIDES
                .map(|side| WorkerPort {
                    port: port(side),
                    rx: (worker == 0).then(|| rx[side as usize].clone()),
                    tx: (worker == 0).then(|| tx[side as usize].clone()),
                    spread,
                })
                .into(),
            mesh: Arc::clone(&mesh),
            clock: MemClock::default(),
            idle: Idle::Poll,
            burst: BURST_MAX,
            limits: Limits { flows_max: 1 << 15, expectations_max: 1 << 12 },
            secret: 1,
            snapshot: Arc::clone(&snapshot),
        };
        let (workers, handles) = (0..workers).map(|worker| Worker::new(setup(worker))).unzip();
        Self { workers, handles, rx, tx }
    }

    /// Lets all workers work until nothing moves.
    fn settle(&mut self) {
        while self.workers.iter_mut().map(MemWorker::turn).sum::<usize>() > 0 {}
    }

    /// What has left by a port.
    fn left(&self, side: Side) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.tx[side as usize].pop()).map(MemFrame::into_bytes).collect()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.handles.iter().map(|handle| handle.counters().drops[reason.index()].read()).sum()
    }
}

/// What one pipeline lets through, by the port it leaves by.
fn by_one_pipeline(passages: &[Passage]) -> [Vec<Vec<u8>>; 2] {
    let sights = Node::new(&bridge()).take(passages);
    SIDES.map(|side| {
        let out =
            sights.iter().zip(passages).filter(|(sight, _)| sight.verdict == Verdict::Forward(port(side)));
        out.map(|(_, passage)| passage.bytes.clone()).collect()
    })
}

#[test]
fn several_workers_forward_what_one_forwards() {
    let passages = town(3, TOWN);
    let mut expected = by_one_pipeline(&passages);
    expected.iter_mut().for_each(|frames| frames.sort());
    for workers in 1..=4 {
        let mut gateway = Gateway::new(workers);
        for passage in &passages {
            gateway.rx[passage.side as usize].push(MemFrame::new(passage.bytes.as_slice()));
            gateway.settle();
        }
        let mut left = SIDES.map(|side| gateway.left(side));
        left.iter_mut().for_each(|frames| frames.sort());
        assert!(left == expected, "{workers} workers");
        let frames: u64 = gateway.handles.iter().map(|handle| handle.counters().frames()).sum();
        assert_eq!(frames, passages.len() as u64, "each frame has one outcome");
        let busy = gateway.handles.iter().filter(|handle| handle.counters().frames() > 0);
        assert_eq!(busy.count(), workers, "every worker has its share");
    }
}

#[test]
fn frames_of_one_flow_have_one_home() {
    let mut homes: HashMap<IpAddr, WorkerId> = HashMap::new();
    for passage in town(4, TOWN).iter().filter(|passage| passage.fate == Fate::Flow) {
        let home = home(&passage.bytes, Spread::All, 4).expect("everything is spread");
        assert_eq!(*homes.entry(passage.client).or_insert(home), home, "{passage:?}");
    }
}

#[test]
fn a_worker_that_does_not_keep_up_costs_frames_with_a_reason() {
    let passages = town(5, TOWN);
    let mut gateway = Gateway::new(2);
    for passage in &passages {
        gateway.rx[passage.side as usize].push(MemFrame::new(passage.bytes.as_slice()));
    }
    while gateway.workers[0].turn() > 0 {}
    assert!(gateway.dropped(DropReason::RingFull) > 0);
    gateway.settle();
    let frames: u64 = gateway.handles.iter().map(|handle| handle.counters().frames()).sum();
    assert_eq!(frames, passages.len() as u64, "each frame has one outcome");
}
