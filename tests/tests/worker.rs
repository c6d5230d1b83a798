//! Workers over queues in memory: the mesh between them, control's orders, full queues.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use weir_dataplane::config::{Config, HelperKind, Tracking};
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::mailbox::{Dump, Errand, WorkerHandle};
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::mem::{MemClock, MemFrame, MemQueue};
use weir_dataplane::punt;
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::spread::{Spread, home};
use weir_dataplane::track::FlowView;
use weir_dataplane::track::filter::Filter;
use weir_dataplane::track::watch::{FlowWatch, Happening};
use weir_dataplane::units::{Epoch, PORTS_MAX, WorkerId};
use weir_dataplane::watch::WATCHES_MAX;
use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
use weir_tests::conversation::{Conversation, Fate, Host, Passage, Side, TcpSession};
use weir_tests::node::{Node, bridge, member, port};
use weir_tests::packet::{Mac, eth, packet_of};
use weir_tests::rng::Rng;
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
        let meshes = Mesh::new(workers, [WorkerId::default(); PORTS_MAX]);
        let snapshot = Arc::new(Snapshot::compile(Epoch::FIRST, config));
        let spread = if workers > 1 { Spread::All } else { Spread::None };
        let make = |(id, mesh)| {
            let ports = [Side::Lan, Side::Wan].map(|side| {
                let queue = |queues: &[MemQueue; 2]| (id == 0).then(|| queues[side as usize].clone());
                WorkerPort { port: port(side), rx: queue(&rx), tx: queue(&tx), spread }
            });
            Worker::new(Setup {
                id: WorkerId::new(id).unwrap(),
                ports: ports.into(),
                mesh,
                control: punt::new().0,
                clock: MemClock::default(),
                idle: Idle::Backoff,
                limits: Limits { flows_max: 4096, expectations_max: 16 },
                secret: 1,
                snapshot: Arc::clone(&snapshot),
            })
        };
        Self { workers: meshes.into_iter().enumerate().map(make).collect(), rx, tx }
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
    gateway.settle();
    assert!(handle.acknowledged(epoch));
    // The shadow has become this node's own, with the very next packet.
    assert_eq!((gateway.tx[1].len(), handle.counters().flows_total(|cells| &cells.created)), (1, 1));
    handle.publish(Arc::new(Snapshot::compile(epoch.next(), &bridge()))).unwrap();
    gateway.turns(1);
    assert!(handle.acknowledged(epoch.next()));
    assert_eq!(Arc::strong_count(&snapshot), 1, "control has freed what the worker had done with");
}

/// Sends the first worker on an errand: what it brings, and the turns that it takes.
fn run<T>(
    gateway: &mut Gateway,
    room: usize,
    errand: impl FnOnce(Arc<Dump<T>>) -> Errand,
) -> (Vec<T>, usize) {
    let dump = Dump::new(room);
    gateway.workers[0].1.send(errand(Arc::clone(&dump))).unwrap();
    let (mut things, mut turns) = (Vec::new(), 0);
    while !dump.is_complete() {
        gateway.turns(1);
        turns += 1;
        things.extend(std::iter::from_fn(|| dump.pop()));
    }
    (things, turns)
}

fn list(gateway: &mut Gateway, filter: &Filter) -> Vec<FlowView> {
    run(gateway, 1024, |dump| Errand::List(Arc::new(filter.clone()), dump)).0
}

fn delete(gateway: &mut Gateway, filter: &Filter) -> Vec<FlowView> {
    run(gateway, 5, |dump| Errand::Delete(Arc::new(filter.clone()), dump)).0
}

fn clients(gateway: &mut Gateway, count: u16) {
    for client in 0..count {
        gateway.rx[0].push(datagram(client, true));
    }
    gateway.settle();
}

#[test]
fn a_dump_copies_every_flow_however_little_room_it_has() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    clients(&mut gateway, 500);
    let (flows, _) = run(&mut gateway, 7, |dump| Errand::List(Arc::default(), dump));
    assert_eq!(flows.len(), 500);
    assert!(flows.iter().all(|flow| !flow.seen_reply && flow.remaining.as_s() == 30));
}

#[test]
fn a_turn_looks_at_a_bounded_number_of_records() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    clients(&mut gateway, 3);
    let (flows, turns) = run(&mut gateway, 4096, |dump| Errand::List(Arc::default(), dump));
    assert_eq!(flows.len(), 3);
    assert!(turns >= 4096 / 64, "{turns} turns for a table of 4096 records");
}

#[test]
fn what_an_errand_leaves_is_freed_by_control() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    let handle = gateway.workers[0].1.clone();
    let dumps = [1, 2].map(Dump::<FlowView>::new);
    for dump in &dumps {
        handle.send(Errand::List(Arc::default(), Arc::clone(dump))).unwrap();
    }
    gateway.turns(100);
    assert_eq!(dumps.each_ref().map(|dump| dump.is_complete()), [false, true], "the second took its place");
    assert_eq!(dumps.each_ref().map(Arc::strong_count), [2, 2], "the worker has freed nothing");
    assert!(handle.acknowledged(Epoch::FIRST));
    assert_eq!(dumps.each_ref().map(Arc::strong_count), [1, 1]);
}

#[test]
fn only_the_flows_that_are_meant_are_deleted() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    clients(&mut gateway, 300);
    let mut filter = Filter::default();
    filter.source.address = Some("10.0.1.0/24".parse().unwrap());
    let deleted = delete(&mut gateway, &filter);
    assert_eq!(deleted.len(), 300 - 256);
    assert!(deleted.iter().all(|flow| filter.matches(flow)));
    assert_eq!(list(&mut gateway, &Filter::default()).len(), 256);
    let counters = gateway.workers[0].1.counters();
    let (deleted, expired) =
        (counters.flows_total(|cells| &cells.deleted), counters.flows_total(|cells| &cells.expired));
    assert_eq!((deleted, expired), (44, 0));
    // The answer to a deleted flow opens one of its own.
    gateway.rx[1].push(datagram(256, false));
    gateway.settle();
    assert_eq!(gateway.workers[0].1.counters().flows_total(|cells| &cells.created), 301);
}

fn play(gateway: &mut Gateway, talk: Conversation<Ipv4Addr>) {
    for passage in talk.finish() {
        gateway.rx[passage.side as usize].push(MemFrame::new(passage.bytes));
        gateway.settle();
    }
}

#[test]
fn masters_children_and_expectations_are_shown_and_go_together() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    let client = Host { mac: Mac([2, 0, 0, 0, 0, 1]), ip: Ipv4Addr::new(10, 0, 0, 1) };
    let server = Host { mac: Mac([2, 0, 0, 0, 0, 2]), ip: Ipv4Addr::new(192, 0, 2, 1) };
    let mut words = Conversation::new(client, server, 0, Rng::new(1));
    let mut control = TcpSession::open(&mut words, Side::Lan, 5000, 21);
    for line in ["220 Ready.", "227 Entering Passive Mode (192,0,2,1,78,32)."] {
        control.send(&mut words, Side::Wan, format!("{line}\r\n").as_bytes());
    }
    let mut data = TcpSession::open(&mut words, Side::Lan, 5001, 20_000);
    data.send(&mut words, Side::Wan, b"file");
    control.send(&mut words, Side::Wan, b"227 Entering Passive Mode (192,0,2,1,78,33).\r\n");
    play(&mut gateway, words);
    let (expectations, _) = run(&mut gateway, 4, Errand::Expectations);
    let ports: Vec<u16> = expectations.iter().map(|waiting| waiting.expected.destination_port).collect();
    assert_eq!((ports, expectations[0].remaining.as_s()), (vec![20_001], 300));

    let master = list(&mut gateway, &Filter { helper: Some(HelperKind::Ftp), ..Filter::default() });
    assert_eq!((master.len(), master[0].children, master[0].destination().port), (1, 1, 21));
    let related = Filter { related: Some(true), ..Filter::default() };
    let child = list(&mut gateway, &related);
    assert_eq!((child.len(), child[0].destination().port), (1, 20_000));
    assert_eq!(child[0].master.unwrap().key, master[0].key);

    delete(&mut gateway, &related);
    let master = list(&mut gateway, &Filter::default());
    assert_eq!((master.len(), master[0].children), (1, 0));
    delete(&mut gateway, &Filter::default());
    assert_eq!(run(&mut gateway, 4, Errand::Expectations).0, []);
}

fn watch(gateway: &Gateway, room: usize, filter: Filter) -> Arc<FlowWatch> {
    let watch = FlowWatch::new(room, filter);
    gateway.workers[0].1.watch(&watch).unwrap();
    watch
}

fn heard(watch: &FlowWatch) -> Vec<(Happening, bool)> {
    std::iter::from_fn(|| watch.pop()).map(|event| (event.happening, event.flow.seen_reply)).collect()
}

#[test]
fn a_listener_is_told_of_what_comes_changes_and_goes_and_of_nothing_else() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    let mut filter = Filter::default();
    filter.source.address = Some("10.0.0.1".parse().unwrap());
    let watch = watch(&gateway, 16, filter);
    for (client, from_client) in [(1, true), (2, true), (1, true), (1, false), (1, false), (1, true)] {
        gateway.rx[usize::from(!from_client)].push(datagram(client, from_client));
        gateway.settle();
    }
    assert_eq!(heard(&watch), [(Happening::New, false), (Happening::Update, true)]);
    delete(&mut gateway, &Filter::default());
    assert_eq!(heard(&watch), [(Happening::Destroy, true)]);
    assert_eq!(watch.lost(), 0);
}

#[test]
fn a_listener_that_is_slow_loses_events_and_knows_how_many() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    let watch = watch(&gateway, 10, Filter::default());
    clients(&mut gateway, 100);
    assert_eq!((heard(&watch).len(), watch.lost()), (10, 90));
}

#[test]
fn a_worker_lets_go_of_listeners_that_left_and_of_one_too_many() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    let watches: Vec<_> = (0..=WATCHES_MAX).map(|_| watch(&gateway, 16, Filter::default())).collect();
    gateway.turns(1);
    let holders = || watches.iter().map(Arc::strong_count).collect::<Vec<_>>();
    assert_eq!(holders(), [2, 2, 2, 2, 1]);
    watches[1].close();
    gateway.turns(1);
    assert_eq!(holders(), [2, 1, 2, 2, 1]);
    clients(&mut gateway, 1);
    let told: Vec<_> = watches.iter().map(|watch| heard(watch).len()).collect();
    assert_eq!(told, [1, 0, 1, 1, 0]);
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

#[test]
fn frames_wait_a_turn_for_more_and_leave_at_once_when_there_are_enough() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    let mut waiting_after = |clients: std::ops::Range<u16>| {
        for client in clients {
            gateway.rx[0].push(datagram(client, true));
        }
        gateway.turns(1);
        gateway.tx[1].len()
    };
    assert_eq!(waiting_after(0..3), 0);
    assert_eq!(waiting_after(3..6), 6, "the first three have waited for a turn");
    assert_eq!(waiting_after(6..16), 6);
    assert_eq!(waiting_after(16..16), 16, "nothing more came");
    assert_eq!(waiting_after(16..48), 48, "a burst does not wait");
    let sources = gateway.left(Side::Wan);
    assert!(sources.iter().map(|frame| frame[26..30].to_vec()).is_sorted(), "in order");
    assert_eq!(gateway.workers[0].1.counters().port(port(Side::Wan)).tx_frames.read(), 48);
}

#[test]
fn what_waits_when_a_worker_stops_leaves() {
    let mut gateway = Gateway::new(&bridge(), 1, usize::MAX);
    for client in 0..10 {
        gateway.rx[0].push(datagram(client, true));
    }
    gateway.turns(1);
    assert_eq!(gateway.tx[1].len(), 0);
    gateway.workers[0].0.run(&AtomicBool::new(true), 0);
    assert_eq!(gateway.tx[1].len(), 10);
}

#[test]
fn workers_that_stop_together_lose_nothing_and_keep_each_flow_in_order() {
    const CLIENTS: u16 = 50;
    const ROUNDS: u16 = 60;
    let mut gateway = Gateway::new(&bridge(), 3, usize::MAX);
    for round in 0..ROUNDS {
        for client in 0..CLIENTS {
            let mut bytes = datagram(client, true).into_bytes();
            bytes.extend(round.to_be_bytes());
            gateway.rx[0].push(MemFrame::new(bytes));
        }
    }
    let stop = AtomicBool::new(true);
    std::thread::scope(|threads| {
        for (worker, _) in &mut gateway.workers {
            threads.spawn(|| worker.run(&stop, 10_000_000));
        }
    });
    assert!(gateway.rx[0].is_empty());
    let left = gateway.left(Side::Wan);
    let lost = gateway.drops(DropReason::RingFull) + gateway.drops(DropReason::TxFull);
    assert_eq!(left.len() as u64 + lost, u64::from(CLIENTS * ROUNDS), "each has left or is counted");
    assert_eq!(left.len() as u64, gateway.outcome(Verdict::Forward(port(Side::Wan))));
    let mut flows: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for frame in &left {
        flows.entry(&frame[26..30]).or_default().push(&frame[frame.len() - 2..]);
    }
    assert!(flows.len() == usize::from(CLIENTS) && flows.values().all(|rounds| rounds.is_sorted()));
}
