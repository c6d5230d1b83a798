//! What a frame waits in the gateway, at 1 % and at 80 % of what the worker can carry.
//!
//! Frames are due at a steady rate, whether or not the worker keeps up, and their time runs from then until they are
//! given to the transmit queue: waiting for the turn, the turn itself, and waiting for a burst to leave. At capacity
//! as many come as are taken. One burst's time is that of 64 frames, the most that a turn takes from a queue.
//!
//! The machine itself pauses now and then, and after a pause frames wait that have nothing to do with the gateway. So
//! p50 and p99 are those of the window in the middle, of windows of a tenth of a millisecond (the system's timer alone
//! interrupts once in one or four), or of a thousand frames; p99.9 is that of all frames, and shows the pauses.

use super::on_huge_pages;
use crate::figure::{Figure, Outcome, Unit};
use crate::queues::{BenchClock, BenchWorker, Place, Sink, Stamps, Supply};
use crate::rounds::alternate;
use crate::{Kind, shuffled};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::units::BURST_MAX;

const FLOWS: u32 = 4096;
/// Time that one sample takes.
const SPAN: Duration = Duration::from_millis(400);

/// Measures the capacity, then both loads.
pub fn run(rounds: usize) -> Outcome {
    let capacity = RefCell::new(Vec::new());
    let quantiles = RefCell::new(Vec::new());
    let load = |share: f64| {
        let all = capacity.borrow();
        let rate = all[all.len() - 1] * share;
        let delays = Paced::new().run(rate);
        quantiles.borrow_mut().push((share, typical(&delays, rate, 0.5), at(&delays, 0.999)));
        typical(&delays, rate, 0.99)
    };
    let [burst, low, high] = alternate(
        rounds,
        [
            &mut || {
                let rate = Paced::new().capacity();
                capacity.borrow_mut().push(rate);
                BURST_MAX as f64 / rate * 1e6
            },
            &mut || load(0.01),
            &mut || load(0.8),
        ],
    );
    // The first round does not count.
    let quantiles = quantiles.into_inner().split_off(2);
    let of = |share: f64, pick: fn(&(f64, f64, f64)) -> f64| {
        quantiles.iter().filter(|sample| sample.0 == share).map(pick).collect::<Vec<_>>()
    };
    Ok(vec![
        Figure::new("burst_time", "one burst's time, 64 frames at capacity", Unit::Us, burst),
        Figure::new(
            "latency_p50_1",
            "latency at 1 % of capacity, p50",
            Unit::Us,
            of(0.01, |sample| sample.1),
        ),
        Figure::new("latency_p99_1", "latency at 1 % of capacity, p99", Unit::Us, low),
        Figure::new(
            "latency_p999_1",
            "latency at 1 % of capacity, p99.9",
            Unit::Us,
            of(0.01, |sample| sample.2),
        ),
        Figure::new(
            "latency_p50_80",
            "latency at 80 % of capacity, p50",
            Unit::Us,
            of(0.8, |sample| sample.1),
        ),
        Figure::new("latency_p99_80", "latency at 80 % of capacity, p99", Unit::Us, high),
        Figure::new(
            "latency_p999_80",
            "latency at 80 % of capacity, p99.9",
            Unit::Us,
            of(0.8, |sample| sample.2),
        ),
    ])
}

/// A worker whose frames are due at set times.
struct Paced {
    worker: BenchWorker,
    handle: WorkerHandle,
    start: Instant,
    stamps: Rc<RefCell<Stamps>>,
    delays: Rc<RefCell<Vec<u64>>>,
}

impl Paced {
    fn new() -> Self {
        let start = Instant::now();
        let stamps = Rc::new(RefCell::new(VecDeque::with_capacity(1 << 20)));
        // Written once, so that no page of it is missing when it counts.
        let delays = Rc::new(RefCell::new(vec![1; 1 << 24]));
        delays.borrow_mut().clear();
        let supply = Supply::endless(Kind::Udp, shuffled(FLOWS).into()).stamped(Rc::clone(&stamps));
        let mut place = Place::alone([Some(supply), None], BenchClock::new(Rc::default()));
        place.sinks = [Sink::default(), Sink::noting(start, Rc::clone(&delays))];
        let (worker, handle) = on_huge_pages(|| place.worker(2 * FLOWS)).0;
        let mut paced = Self { worker, handle, start, stamps, delays };
        // All flows are there before anything is measured.
        paced.stamps.borrow_mut().extend(std::iter::repeat_n(0, 2 * FLOWS as usize));
        while !paced.stamps.borrow().is_empty() {
            paced.worker.turn();
        }
        paced.delays.borrow_mut().clear();
        paced
    }

    /// Frames a second when frames are always waiting.
    fn capacity(&mut self) -> f64 {
        let (start, before) = (Instant::now(), self.handle.counters().frames());
        while start.elapsed() < SPAN {
            let waiting = BURST_MAX - self.stamps.borrow().len();
            self.stamps.borrow_mut().extend(std::iter::repeat_n(0, waiting));
            self.worker.turn();
        }
        (self.handle.counters().frames() - before) as f64 / start.elapsed().as_secs_f64()
    }

    /// The delays of all frames at this rate, in nanoseconds.
    fn run(&mut self, rate: f64) -> Vec<u64> {
        let between = 1e9 / rate;
        let begin = self.start.elapsed().as_nanos() as f64;
        let (mut due, end) = (begin, begin + SPAN.as_nanos() as f64);
        while due < end {
            let now = self.start.elapsed().as_nanos() as f64;
            while due <= now && due < end {
                self.stamps.borrow_mut().push_back(due as u64);
                due += between;
            }
            self.worker.turn();
        }
        while self.worker.turn() > 0 {}
        self.delays.take()
    }
}

/// A quantile in the window in the middle, in microseconds.
fn typical(delays: &[u64], rate: f64, quantile: f64) -> f64 {
    let window = (rate / 10_000.0).max(1000.0) as usize;
    let mut windows: Vec<f64> = delays.chunks(window).map(|window| at(window, quantile)).collect();
    windows.sort_by(f64::total_cmp);
    windows[(windows.len() - 1) / 2]
}

/// A quantile in microseconds.
fn at(delays: &[u64], quantile: f64) -> f64 {
    let mut sorted = delays.to_vec();
    sorted.sort_unstable();
    let index = ((sorted.len() - 1) as f64 * quantile) as usize;
    sorted[index] as f64 / 1000.0
}
