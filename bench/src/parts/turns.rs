//! The longest turn of a worker's poll loop, while a million flows expire, while snapshots are adopted, and while an
//! operator lists all flows. Traffic of other flows goes on all the time, and none of it may be lost.
//!
//! Each turn is timed by the thread's own processor time, which another program that takes the core away does not
//! move; what the machine itself takes (interrupts, a hypervisor) is in it. The same number of clock readings around
//! nothing is measured beside it: what that shows is not the worker's.

use super::on_huge_pages;
use crate::figure::{Figure, Outcome, Unit};
use crate::queues::{BenchClock, BenchWorker, Place, Supply};
use crate::{Kind, shuffled};
use nix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use weir_dataplane::counters::Verdict;
use weir_dataplane::mailbox::{Dump, Errand, WorkerHandle};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::track::filter::Filter;
use weir_dataplane::units::{Epoch, PortId};
use weir_tests::node::bridge;

/// Flows that carry the traffic, the first ones of all.
const BUSY: u32 = 4096;
/// An unanswered flow lives so long.
const SYN_SENT_MS: u64 = 120_000;

/// Measures all three, `flows` flows each.
pub fn run(rounds: usize, flows: u32) -> Outcome {
    let mut worst: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds {
        let mut gateway = Gateway::new(flows);
        let walk = gateway.while_listing();
        let reload = gateway.while_reloading();
        let (expiry, turns) = gateway.while_expiring();
        for (worst, sample) in worst.iter_mut().zip([expiry, reload, walk, nothing(turns)]) {
            worst.push(sample);
        }
        gateway.check();
    }
    let titles = [
        ("turn_max_expiry", "longest turn while 1 M flows expire"),
        ("turn_max_reload", "longest turn of 1,000 reloads"),
        ("turn_max_walk", "longest turn while 1 M flows are listed"),
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
