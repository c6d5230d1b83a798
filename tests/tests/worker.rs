//! Workers over queues in memory: the mesh between them, control's orders, full queues.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::mailbox::{FlowDump, WorkerHandle};
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::mem::{MemClock, MemFrame, MemQueue};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::spread::{Spread, home};
use weir_dataplane::units::{Epoch, PORTS_MAX, WorkerId};
use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::node::{Node, bridge, member, port};
use weir_tests::packet::{Mac, eth, packet_of};
use weir_tests::scenario::{Town, town};

const SIDES: [Side; 2] = [Side::Lan, Side::Wan];
const TOWN: Town = Town { ipv4_clients: 60, ipv6_clients: 30, begin_within_us: 1_000_000 };

type TestWorker = Worker<MemQueue, MemQueue, MemClock>;

/// A gateway of some workers, of which the first has all queues.
struct Gateway {
    workers: Vec<(TestWorker, WorkerHandle)>,
    rx: [MemQueue; 2],
    tx: [MemQueue; 2],
}

impl Gateway {
    fn new(config: &Config, workers: usize, tx_room: usize) -> Self {
        let rx = [MemQueue::new(), MemQueue::new()];
        let tx = [MemQueue::with_room(tx_room), MemQueue::with_room(tx_room)];
        let mesh = Mesh::new(workers, [WorkerId::default(); PORTS_MAX]);
        let snapshot = Arc::new(Snapshot::compile(Epoch::FIRST, config));
        let spread = if workers > 1 { Spread::All } else { Spread::None };
        let make = |id: usize| {
            let ports = [Side::Lan, Side::Wan].map(|side| {
                let queue = |queues: &[MemQueue; 2]| (id == 0).then(|| queues[side as usize].clone());
                WorkerPort { port: port(side), rx: queue(&rx), tx: queue(&tx), spread }
            });
            Worker::new(Setup {
                id: WorkerId::new(id).unwrap(),
                ports: ports.into(),
                mesh: Arc::clone(&mesh),
                clock: MemClock::default(),
                idle: Idle::Backoff,
                limits: Limits { flows_max: 4096, expectations_max: 16 },
                secret: 1,
                snapshot: Arc::clone(&snapshot),
            })
        };
        Self { workers: (0..workers).map(make).collect(), rx, tx }
    }

    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            for (worker, _) in &mut self.workers {
                worker.turn();
            }
        }
    }

    /// Lets all workers work until nothing moves.
    fn settle(&mut self) {
        while self.workers.iter_mut().map(|(worker, _)| worker.turn()).sum::<usize>() > 0 {}
    }

    /// What has left by a port.
    fn left(&self, side: Side) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.tx[side as usize].pop()).map(MemFrame::into_bytes).collect()
    }

    fn outcome(&self, verdict: Verdict) -> u64 {
        self.workers.iter().map(|(_, handle)| handle.counters().verdicts[verdict.index()].read()).sum()
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.workers.iter().map(|(_, handle)| handle.counters().drops[reason.index()].read()).sum()
    }
}

fn datagram(client: u16, from_client: bool) -> MemFrame {
    let [low, high] = client.to_le_bytes();
    let (client, server) = (Ipv4Addr::new(10, 0, high, low), Ipv4Addr::new(192, 0, 2, 53));
    let [a, b] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])];
    MemFrame::new(match from_client {
        true => eth(a, b).ip(client, server).udp(5000, 53).build(),
        false => eth(b, a).ip(server, client).udp(53, 5000).build(),
    })
}

#[test]
fn workers_without_queues_take_part_over_the_mesh() {
    let mut gateway = Gateway::new(&bridge(), 3, usize::MAX);
    for client in 0..300 {
        gateway.rx[0].push(datagram(client, true));
    }
    gateway.turns(40);
    for client in 0..300 {
        gateway.rx[1].push(datagram(client, false));
    }
    gateway.turns(40);
    assert_eq!([0, 1].map(|side| gateway.tx[side].len()), [300, 300]);
    // Each answer met its question: no worker has seen one as the beginning of a flow.
    let flows =
        gateway.workers.iter().map(|(_, handle)| handle.counters().flows_total(|cells| &cells.created));
    let flows: Vec<u64> = flows.collect();
    assert!(flows.iter().sum::<u64>() == 300 && flows.iter().all(|count| *count > 50), "{flows:?}");
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
        let mut gateway = Gateway::new(&bridge(), workers, usize::MAX);
        for passage in &passages {
            gateway.rx[passage.side as usize].push(MemFrame::new(passage.bytes.as_slice()));
            gateway.settle();
        }
        let mut left = SIDES.map(|side| gateway.left(side));
        left.iter_mut().for_each(|frames| frames.sort());
        assert!(left == expected, "{workers} workers");
        let frames: u64 = gateway.workers.iter().map(|(_, handle)| handle.counters().frames()).sum();
        assert_eq!(frames, passages.len() as u64, "each frame has one outcome");
        let busy = gateway.workers.iter().filter(|(_, handle)| handle.counters().frames() > 0);
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
fn what_a_transmit_queue_refuses_is_a_counted_drop() {
    let mut gateway = Gateway::new(&bridge(), 1, 10);
    for client in 0..30 {
        gateway.rx[0].push(datagram(client, true));
    }
    gateway.turns(2);
    assert_eq!(gateway.tx[1].len(), 10);
    let forward = Verdict::Forward(port(Side::Wan));
    assert_eq!((gateway.outcome(forward), gateway.drops(DropReason::TxFull)), (10, 20));
    let counters = gateway.workers[0].1.counters();
    assert_eq!((counters.frames(), counters.port(port(Side::Wan)).tx_frames.read()), (30, 10));
}

#[test]
fn a_datagram_of_many_fragments_leaves_whole_however_long_a_burst_is() {
    let (client, server) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 53));
    let ip = || eth(Mac::host(1), Mac::host(2)).ip(client, server).id(9);
    let whole = ip().udp(5000, 53).payload(&[0; 4000]).build();
    let datagram = &packet_of(&whole)[20..];
    let fragments: Vec<Vec<u8>> = (0_u16..)
        .step_by(8)
        .zip(datagram.chunks(8))
        .map(|(from, part)| {
            let more = usize::from(from) + 8 < datagram.len();
            ip().fragment(from, more).protocol(17).payload(part).build()
        })
        .collect();
    for workers in 1..=3 {
        let mut gateway = Gateway::new(&bridge(), workers, usize::MAX);
        for fragment in &fragments {
            gateway.rx[0].push(MemFrame::new(fragment.as_slice()));
        }
        gateway.turns(40);
        assert_eq!(gateway.left(Side::Wan), fragments, "{workers} workers");
        assert_eq!(gateway.outcome(Verdict::Forward(port(Side::Wan))), fragments.len() as u64);
        assert_eq!(gateway.outcome(Verdict::Hold), 0);
    }
}

#[test]
fn what_a_ring_between_workers_refuses_is_a_counted_drop() {
    let mut gateway = Gateway::new(&bridge(), 2, usize::MAX);
    for client in 0..5000 {
        gateway.rx[0].push(datagram(client, true));
    }
    // The second worker sleeps.
    for _ in 0..100 {
        gateway.workers[0].0.turn();
    }
    let refused = gateway.drops(DropReason::RingFull);
    assert!(refused > 0, "about half of 5000 do not fit into a ring of 1024");
    gateway.turns(100);
    assert_eq!(gateway.tx[1].len() as u64 + refused, 5000);
}

#[test]
fn a_new_snapshot_counts_from_the_next_turn_on_and_the_old_one_comes_back() {
    let mut gateway = Gateway::new(&member(2, 0..0, Tracking::All), 1, usize::MAX);
    gateway.rx[0].push(datagram(1, true));
    gateway.turns(1);
    assert_eq!((gateway.outcome(Verdict::Shadow), gateway.tx[1].len()), (1, 0));
    let epoch = Epoch::FIRST.next();
    let snapshot = Arc::new(Snapshot::compile(epoch, &member(2, 0..2, Tracking::All)));
    let handle = gateway.workers[0].1.clone();
    handle.publish(Arc::clone(&snapshot)).unwrap();
    assert!(!handle.acknowledged(epoch));
    gateway.rx[0].push(datagram(1, true));
    gateway.turns(1);
    assert!(handle.acknowledged(epoch));
    // The shadow has become this node's own, with the very next packet.
    assert_eq!((gateway.tx[1].len(), handle.counters().flows_total(|cells| &cells.created)), (1, 1));
    handle.publish(Arc::new(Snapshot::compile(epoch.next(), &bridge()))).unwrap();
    gateway.turns(1);
    assert!(handle.acknowledged(epoch.next()));
    assert_eq!(Arc::strong_count(&snapshot), 1, "control has freed what the worker had done with");
}

#[test]
fn a_dump_copies_every_flow_however_little_room_it_has() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    for client in 0..500 {
        gateway.rx[0].push(datagram(client, true));
    }
    gateway.turns(20);
    let dump = FlowDump::new(7);
    gateway.workers[0].1.dump(&dump).unwrap();
    let mut flows = Vec::new();
    while !dump.is_complete() {
        gateway.turns(1);
        flows.extend(std::iter::from_fn(|| dump.pop()));
    }
    flows.extend(std::iter::from_fn(|| dump.pop()));
    assert_eq!(flows.len(), 500);
    assert!(flows.iter().all(|flow| flow.owned && !flow.seen_reply && flow.remaining.as_s() == 30));
}

#[test]
fn a_worker_that_is_stopped_empties_its_queues_first() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    for client in 0..200 {
        gateway.rx[0].push(datagram(client, true));
    }
    gateway.workers[0].0.run(&AtomicBool::new(true), 1000);
    assert!(gateway.rx[0].is_empty());
    assert_eq!(gateway.tx[1].len(), 200);
}
