//! The longest turn of a worker's poll loop, while a million flows expire, while snapshots are adopted, while an operator
//! lists all flows, and while a router gets other neighbours or other routes, a million of them. Traffic of other flows goes on all the time, and none of it may be lost.
//!
//! Each turn is timed by the thread's own processor time, which another program that takes the core away does not
//! move; what the machine itself takes (interrupts, a hypervisor) is in it. The same number of clock readings around
//! nothing is measured beside it: what that shows is not the worker's.

use super::on_huge_pages;
use crate::figure::{Figure, Outcome, Unit};
use crate::internet::{self, Wires};
use crate::queues::{BenchClock, BenchWorker, Place, Supply};
use crate::{BURST, Kind, shuffled};
use nix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use weir_dataplane::config::Routing;
use weir_dataplane::config::route::ReversePath;
use weir_dataplane::counters::Verdict;
use weir_dataplane::mailbox::{Dump, Errand, WorkerHandle};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::steer::Router;
use weir_dataplane::track::filter::Filter;
use weir_dataplane::units::{Epoch, PortId};
use weir_tests::node::bridge;

/// Flows that carry the traffic, the first ones of all.
const BUSY: u32 = 4096;
/// An unanswered flow lives so long.
const SYN_SENT_MS: u64 = 120_000;

/// Measures all of them, `flows` flows and so many routes each.
pub fn run(rounds: usize, flows: u32, ipv4: u32, ipv6: u32) -> Outcome {
    let mut worst: [Vec<f64>; 6] = Default::default();
    let routing = internet::routing(ipv4, ipv6, ReversePath::Off);
    for _ in 0..rounds {
        let mut gateway = Gateway::new(flows);
        let walk = gateway.while_listing();
        let reload = gateway.while_reloading();
        let (expiry, turns) = gateway.while_expiring();
        let (neighbours, routes) = Rerouted::new(&routing).measure(&routing);
        let samples = [expiry, reload, walk, neighbours, routes, nothing(turns)];
        for (worst, sample) in worst.iter_mut().zip(samples) {
            worst.push(sample);
        }
        gateway.check();
    }
    let titles = [
        ("turn_max_expiry", "longest turn while 1 M flows expire"),
        ("turn_max_reload", "longest turn of 1,000 reloads"),
        ("turn_max_walk", "longest turn while 1 M flows are listed"),
        ("turn_max_neighbours", "longest turn of 100 changes of a router's neighbours"),
        ("turn_max_routes", "longest turn of 4 changes of a million routes"),
        ("turn_max_noise", "longest reading of the clock around nothing, as many times"),
    ];
    let figures = titles.into_iter().zip(worst);
    Ok(figures.map(|((key, title), samples)| Figure::new(key, title, Unit::Us, samples)).collect())
}

struct Gateway {
    worker: BenchWorker,
    handle: WorkerHandle,
    now_ms: Rc<RefCell<u64>>,
    flows: u32,
}

impl Gateway {
    /// A gateway with so many flows that nobody answers, of which the first carry traffic.
    fn new(flows: u32) -> Self {
        let now_ms = Rc::new(RefCell::new(0));
        let clock = BenchClock::new(Rc::clone(&now_ms));
        // Each opens with its first frame; a SYN that comes again changes nothing, so the flow grows old.
        let opening: Arc<[u32]> = shuffled(flows).into();
        let busy: Arc<[u32]> = (flows..flows + BUSY).collect();
        let left = Rc::new(RefCell::new(flows as usize));
        let supplies = [
            Some(Supply::endless(Kind::Syn, opening).limited(Rc::clone(&left))),
            Some(Supply::endless(Kind::UdpReply, busy)),
        ];
        let place = Place::alone(supplies, clock);
        let (worker, handle) = on_huge_pages(|| place.worker(flows + 2 * BUSY)).0;
        let mut gateway = Self { worker, handle, now_ms, flows };
        while *left.borrow() > 0 {
            gateway.turn();
        }
        gateway
    }

    /// One turn; its processor time in microseconds.
    fn turn(&mut self) -> f64 {
        let start = thread_ns();
        self.worker.turn();
        (thread_ns() - start) as f64 / 1000.0
    }

    fn while_expiring(&mut self) -> (f64, usize) {
        *self.now_ms.borrow_mut() += SYN_SENT_MS + 1000;
        let (mut worst, mut turns) = (0f64, 0);
        let expired = |handle: &WorkerHandle| handle.counters().flows_total(|cells| &cells.expired);
        while expired(&self.handle) < u64::from(self.flows) {
            worst = worst.max(self.turn());
            turns += 1;
            assert!(turns < 100 * self.flows as usize, "flows expire");
        }
        (worst, turns)
    }

    fn while_reloading(&mut self) -> f64 {
        let (mut worst, mut epoch) = (0f64, Epoch::FIRST);
        for _ in 0..1000 {
            epoch = epoch.next();
            let snapshot = Arc::new(Snapshot::compile(epoch, &bridge()));
            self.handle.publish(snapshot).expect("the last one was taken in");
            worst = worst.max(self.turn());
            assert!(self.handle.acknowledged(epoch), "it takes a turn");
        }
        worst
    }

    fn while_listing(&mut self) -> f64 {
        let dump = Dump::new(4096);
        let errand = Errand::List(Arc::new(Filter::default()), Arc::clone(&dump));
        self.handle.send(errand).expect("the mailbox has room");
        let (mut worst, mut listed) = (0f64, 0);
        while !dump.is_complete() {
            worst = worst.max(self.turn());
            listed += std::iter::from_fn(|| dump.pop()).count();
        }
        assert!(listed >= self.flows as usize, "all are listed");
        worst
    }

    fn check(&self) {
        let counters = self.handle.counters();
        let forwarded = counters.verdicts[Verdict::Forward(PortId::default()).index()].read();
        let received: u64 = counters.ports.iter().map(|port| port.rx_frames.read()).sum();
        assert_eq!(forwarded, received, "nothing is lost");
    }
}

/// A worker of a router, whose flows go to as many networks.
struct Rerouted {
    worker: BenchWorker,
    handle: WorkerHandle,
    snapshot: Arc<Snapshot>,
}

impl Rerouted {
    /// Bursts that are timed after a change: each flow has its turn.
    const TURNS: usize = BUSY as usize / BURST;

    fn new(routing: &Routing) -> Self {
        let wires = Wires::new(&routing.routes[..routing.routes.len() / 2], BUSY as usize);
        let supply = Supply::of(wires.sent(Kind::Udp), (0..BUSY).collect());
        let place = Place::alone([Some(supply), None], BenchClock::new(Rc::default()));
        let snapshot = Snapshot::compile(Epoch::FIRST, &bridge()).with_router(internet::router(routing));
        let (worker, handle) = on_huge_pages(|| place.worker_of(snapshot.clone(), 2 * BUSY)).0;
        let mut rerouted = Self { worker, handle, snapshot: Arc::new(snapshot) };
        rerouted.turns();
        rerouted
    }

    /// The longest turns: of other neighbours, and of other routes.
    fn measure(&mut self, routing: &Routing) -> (f64, f64) {
        let router = internet::router(routing);
        self.publish(router.clone());
        let learn = |_| {
            let adjacencies = Arc::new(internet::adjacencies(routing, router.fib()));
            self.publish(router.with_neighbours(adjacencies))
        };
        let neighbours = (0..100).map(learn).fold(0.0, f64::max);
        let routes = (0..4).map(|_| self.publish(internet::router(routing))).fold(0.0, f64::max);
        let counters = self.handle.counters();
        let forwarded = counters.verdicts[Verdict::Forward(PortId::default()).index()].read();
        assert_eq!(forwarded, counters.frames(), "nothing is lost");
        (neighbours, routes)
    }

    /// The longest turn from the one that takes these routes on.
    fn publish(&mut self, router: Router) -> f64 {
        let epoch = self.snapshot.epoch().next();
        let snapshot = Snapshot::compile(epoch, &bridge()).with_router(router).following(&self.snapshot);
        self.snapshot = Arc::new(snapshot);
        self.handle.publish(Arc::clone(&self.snapshot)).expect("the last one was taken in");
        let worst = self.turns();
        assert!(self.handle.acknowledged(epoch), "it takes a turn");
        worst
    }

    fn turns(&mut self) -> f64 {
        let turn = |_| {
            let start = thread_ns();
            self.worker.turn();
            (thread_ns() - start) as f64 / 1000.0
        };
        (0..Self::TURNS).map(turn).fold(0.0, f64::max)
    }
}

/// The longest of so many readings of the clock, in microseconds.
fn nothing(turns: usize) -> f64 {
    let reading = |_| {
        let start = thread_ns();
        (thread_ns() - start) as f64 / 1000.0
    };
    (0..turns).map(reading).fold(0.0, f64::max)
}

fn thread_ns() -> i64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Linux has it");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}
