//! A worker whose lease is over, whether or not control has noticed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use weir_dataplane::config::{Members, Membership, Tracking};
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::gate::lease::Lease;
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::Clock;
use weir_dataplane::port::mem::{MemFrame, MemQueue};
use weir_dataplane::punt;
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::spread::Spread;
use weir_dataplane::units::{Epoch, MemberId, PORTS_MAX, Tick, WorkerId};
use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
use weir_tests::conversation::Side;
use weir_tests::node::{clustered, port};
use weir_tests::packet::{Mac, eth, packet_of};

const END_MS: u64 = 1000;

/// A clock that only the test moves.
#[derive(Clone, Default)]
struct Stopwatch(Rc<Cell<u64>>);

impl Clock for Stopwatch {
    fn now_ms(&mut self) -> u64 {
        self.0.get()
    }

    fn cycles(&self) -> u64 {
        0
    }

    fn ns(&self, cycles: u64) -> u64 {
        cycles
    }

    fn rest(&mut self, _: u32) {}
}

/// A bridge that owns all flows while its lease lasts.
struct Gateway {
    worker: Worker<MemQueue, MemQueue, Stopwatch>,
    handle: WorkerHandle,
    clock: Stopwatch,
    lease: Arc<Lease>,
    rx: [MemQueue; 2],
    tx: [MemQueue; 2],
}

impl Gateway {
    fn new(tracking: Tracking) -> Self {
        let me = MemberId::FIRST;
        let living = BTreeMap::from([(me, Epoch::FIRST)]);
        let members = Members { me, map: vec![Some(me)], living, learning: false };
        let config = clustered(1, Membership::Members(members), tracking);
        let lease = Arc::<Lease>::default();
        lease.ends_at(Tick::from_ms(END_MS));
        let snapshot = Snapshot::compile(Epoch::FIRST, &config).with_lease(Arc::clone(&lease));
        let [rx, tx] = [(); 2].map(|()| [MemQueue::new(), MemQueue::new()]);
        let clock = Stopwatch::default();
        let ports = [Side::Lan, Side::Wan].map(|side| WorkerPort {
            port: port(side),
            rx: Some(rx[side as usize].clone()),
            tx: Some(tx[side as usize].clone()),
            spread: Spread::None,
        });
        let (worker, handle) = Worker::new(Setup {
            id: WorkerId::default(),
            ports: ports.into(),
            mesh: Mesh::new(1, [WorkerId::default(); PORTS_MAX]).pop().unwrap(),
            control: punt::new().0,
            clock: clock.clone(),
            idle: Idle::Poll,
            limits: Limits { flows_max: 64, expectations_max: 1 },
            secret: 1,
            snapshot: Arc::new(snapshot),
        });
        Self { worker, handle, clock, lease, rx, tx }
    }

    fn hear(&self, side: Side, frame: Vec<u8>) {
        self.rx[side as usize].push(MemFrame::new(frame));
    }

    /// Works until nothing moves; how many frames have left.
    fn settle(&mut self) -> usize {
        while self.worker.turn() > 0 {}
        self.tx.iter().map(|queue| std::iter::from_fn(|| queue.pop()).count()).sum()
    }

    fn outcome(&self, verdict: Verdict) -> u64 {
        self.handle.counters().verdicts[verdict.index()].read()
    }
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn request(port: u16) -> Vec<u8> {
    eth(Mac::host(1), Mac::host(2)).ip(CLIENT, SERVER).udp(port, 53).build()
}

fn answer(port: u16) -> Vec<u8> {
    eth(Mac::host(2), Mac::host(1)).ip(SERVER, CLIENT).udp(53, port).build()
}

fn arp() -> Vec<u8> {
    eth(Mac::host(1), Mac::host(2)).arp_request(CLIENT, SERVER)
}

#[test]
fn past_its_lease_it_forwards_neither_new_flows_nor_known_ones_and_goes_on_when_it_is_renewed() {
    let mut gateway = Gateway::new(Tracking::All);
    gateway.hear(Side::Lan, request(5000));
    gateway.clock.0.set(END_MS - 1);
    assert_eq!(gateway.settle(), 1);

    gateway.clock.0.set(END_MS);
    gateway.hear(Side::Wan, answer(5000));
    gateway.hear(Side::Lan, request(6000));
    gateway.hear(Side::Lan, arp());
    assert_eq!(gateway.settle(), 0);
    assert_eq!(gateway.outcome(Verdict::Shadow), 3, "it follows the flows on");

    gateway.lease.ends_at(Tick::from_ms(2 * END_MS));
    gateway.hear(Side::Wan, answer(5000));
    gateway.hear(Side::Wan, answer(6000));
    gateway.hear(Side::Lan, arp());
    assert_eq!(gateway.settle(), 3);
}

#[test]
fn what_has_been_decided_before_it_stood_still_does_not_leave_after_it() {
    let mut gateway = Gateway::new(Tracking::All);
    gateway.hear(Side::Lan, request(5000));
    gateway.worker.turn();
    assert_eq!(gateway.outcome(Verdict::Forward(port(Side::Wan))), 1, "and waits for more to leave with it");
    gateway.clock.0.set(END_MS);
    assert_eq!(gateway.settle(), 0);
    assert_eq!(gateway.outcome(Verdict::Forward(port(Side::Wan))), 0);
    assert_eq!(gateway.handle.counters().drops[DropReason::NotOwner.index()].read(), 1);
}

#[test]
fn past_its_lease_a_datagram_in_fragments_is_not_its_own_either() {
    let mut gateway = Gateway::new(Tracking::All);
    gateway.clock.0.set(END_MS);
    let ip = || eth(Mac::host(1), Mac::host(2)).ip(CLIENT, SERVER);
    let datagram =
        ip().protocol(17).payload(&[0x13, 0x88, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).build();
    let part = |offset: usize, more| {
        let bytes = &packet_of(&datagram)[20 + offset..][..8];
        ip().fragment(u16::try_from(offset).unwrap(), more).protocol(17).payload(bytes).build()
    };
    gateway.hear(Side::Lan, part(0, true));
    gateway.hear(Side::Lan, part(8, false));
    assert_eq!(gateway.settle(), 0);
    assert_eq!(gateway.outcome(Verdict::Shadow), 2);
}
