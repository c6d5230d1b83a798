//! Two workers against one, and what it costs to hand a frame over.
//!
//! Each worker has queues of its own, as with a card that spreads flows, and carries a million packets of 100,000
//! open flows at least; each is pinned to a core. To hand over, one worker receives what another one owns: what
//! both of them take for it together, less what the owner takes when it receives the frames itself.

use super::on_huge_pages;
use crate::figure::{Figure, Outcome, Unavailable, Unit};
use crate::queues::{BenchClock, BenchWorker, Place, Supply};
use crate::rounds::alternate;
use crate::{BenchFrame, Kind, Wire, shuffled};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::port::Frame;
use weir_dataplane::spread::{Spread, home};
use weir_dataplane::units::{PORTS_MAX, WorkerId};
use weir_dataplane::worker::Mesh;

const FLOWS: u32 = 100_000;
/// Time that one sample takes.
const SPAN: Duration = Duration::from_millis(700);

/// Measures both.
pub fn run(rounds: usize) -> Outcome {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let mut figures = hand_over(rounds);
    let [first, .., last] = cores[..] else {
        return Err(Unavailable("two workers need two cores".to_owned()));
    };
    let [one, two] = alternate(rounds, [&mut || together(&[last]), &mut || together(&[last, first])]);
    figures.push(Figure::new("one_worker", "one worker", Unit::Mpps, one));
    figures.push(Figure::new("two_workers", "two workers, queues of their own", Unit::Mpps, two));
    Ok(figures)
}

/// Million frames a second that workers on these cores carry together.
fn together(cores: &[core_affinity::CoreId]) -> f64 {
    let meshes = Mesh::new(cores.len(), [WorkerId::default(); PORTS_MAX]);
    let (ready, stop) = (Barrier::new(cores.len() + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        let workers: Vec<_> = meshes
            .into_iter()
            .enumerate()
            .zip(cores)
            .map(|((id, mesh), core)| {
                let (ready, stop) = (&ready, &stop);
                scope.spawn(move || {
                    core_affinity::set_for_current(*core);
                    let flows = owned(id, cores.len());
                    let supplies = [Some(Supply::endless(Kind::Udp, flows)), None];
                    let mut crew = make(id, mesh, Spread::IcmpErrors, supplies);
                    crew.carry(2 * u64::from(FLOWS));
                    ready.wait();
                    let (start, before) = (Instant::now(), crew.frames());
                    while !stop.load(Ordering::Relaxed) {
                        crew.worker.turn();
                    }
                    (crew.frames() - before) as f64 / start.elapsed().as_secs_f64() / 1e6
                })
            })
            .collect();
        ready.wait();
        thread::sleep(SPAN);
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().expect("a worker that works")).sum()
    })
}

fn hand_over(rounds: usize) -> Vec<Figure> {
    let flows = owned(1, 2);
    let supply = || [Some(Supply::endless(Kind::Udp, Arc::clone(&flows))), None];
    let mut meshes = Mesh::new(2, [WorkerId::default(); PORTS_MAX]).into_iter();
    let mut next = || meshes.next().expect("two of them");
    let mut taker = make(0, next(), Spread::All, supply());
    let mut owner = make(1, next(), Spread::All, [None, None]);
    let mut alone = make(1, Mesh::new(2, [WorkerId::default(); PORTS_MAX]).remove(1), Spread::None, supply());
    let frames = 1u64 << 20;
    let ns = |start: Instant| start.elapsed().as_nanos() as f64 / frames as f64;
    let [over, alone] = alternate(
        rounds,
        [
            &mut || {
                let (start, end) = (Instant::now(), owner.frames() + frames);
                while owner.frames() < end {
                    taker.worker.turn();
                    owner.worker.turn();
                }
                ns(start)
            },
            &mut || {
                let start = Instant::now();
                alone.carry(frames);
                ns(start)
            },
        ],
    );
    assert_eq!(taker.frames(), 0, "all frames are handed over, and none is refused");
    let cost = over.iter().zip(&alone).map(|(over, alone)| over - alone).collect();
    vec![Figure::new("hand_over", "a frame handed to another worker, besides its own cost", Unit::Ns, cost)]
}

/// A worker and what it has counted.
struct Crew {
    worker: BenchWorker,
    handle: WorkerHandle,
}

impl Crew {
    /// Frames that have had their outcome here.
    fn frames(&self) -> u64 {
        self.handle.counters().frames()
    }

    /// Lets it work until so many more have.
    fn carry(&mut self, frames: u64) {
        let end = self.frames() + frames;
        while self.frames() < end {
            self.worker.turn();
        }
    }
}

/// The flows whose frames belong to one of so many workers.
fn owned(id: usize, workers: usize) -> Arc<[u32]> {
    let wire = Wire::new(Kind::Udp);
    let mut burst = weir_dataplane::port::Burst::new();
    let mine = |n: &u32| {
        burst.push(wire.frame(*n));
        let home = home(burst[0].bytes(), Spread::All, workers);
        BenchFrame::release(&mut burst);
        home.map_or(0, WorkerId::index) == id
    };
    shuffled(FLOWS * 2).into_iter().filter(mine).take(FLOWS as usize).collect()
}

fn make(id: usize, mesh: Mesh<BenchFrame>, spread: Spread, supplies: [Option<Supply>; 2]) -> Crew {
    let (sinks, clock) = (Default::default(), BenchClock::new(Rc::default()));
    let place = Place { id, mesh, spread, supplies, sinks, clock };
    let (worker, handle) = on_huge_pages(|| place.worker(2 * FLOWS)).0;
    Crew { worker, handle }
}
