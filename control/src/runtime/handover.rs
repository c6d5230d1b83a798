//! Workers in a planned hand-over: what the coordinator asks of them, in the order that makes it true for the others.

use super::gateway::ANSWER_POLL;
use super::membership::Seat;
use crate::cluster::{Duty, NodeName};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};
use tracing::warn;
use weir_dataplane::gate::handover::{DIGESTS_MAX, Notes, Passed, SETTLE_ROUNDS, Step};
use weir_dataplane::mailbox::WorkerHandle;

/// How long workers may take to work on what waits for them. Those that never run dry hold nothing, and what comes
/// between two owners is lost.
const SETTLE_MAX: Duration = Duration::from_millis(200);
/// For so long what comes late is compared with what the leaver has forwarded, at most.
const COMPARE_MAX: Duration = Duration::from_secs(1);

/// What workers are at.
#[derive(Debug, Default)]
pub(super) enum Handing {
    /// Nothing.
    #[default]
    Idle,
    /// This node is to leave: by worker, if all have begun in time.
    Noting(Option<Vec<Arc<Notes>>>),
    /// Another one is.
    Holding(NodeName),
    /// It has left; what comes late is compared.
    Comparing {
        since: Instant,
        rounds: u8,
        /// What workers had counted when they were asked last.
        asked: Vec<u64>,
    },
    /// Workers have yet to be told that it is over.
    Ending,
}

impl Handing {
    /// Before workers go by a new ownership: has them do what the coordinator asks.
    pub(super) async fn prepare(&mut self, seat: &mut Seat, workers: &[WorkerHandle], frames_max: usize) {
        let duty = seat.duty();
        match (&*self, duty) {
            (Self::Noting(_), Duty::Note) => {}
            (Self::Idle | Self::Ending | Self::Comparing { .. }, Duty::None) => {}
            // What the others heard before they held anything is forwarded while it is this node's.
            (Self::Noting(_), Duty::None) => {
                settle_all(workers).await;
            }
            (Self::Holding(leaver), Duty::Hold(name)) if *leaver == name => {}
            (Self::Holding(_), Duty::None) => {
                let digests = seat.take_inheritance();
                let passed = digests.and_then(|digests| Passed::compile(digests.iter().copied()));
                if let Some(passed) = passed {
                    order(workers, |_| Step::Inherit(Arc::clone(&passed)));
                }
            }
            (_, Duty::Note) => {
                self.end(workers).await;
                let notes: Vec<_> = workers.iter().map(|_| Notes::new()).collect();
                order(workers, |worker| Step::Note(Arc::clone(&notes[worker])));
                let begun = wait(|| notes.iter().all(|notes| notes.has_begun())).await;
                *self = Self::Noting(Some(notes).filter(|_| begun));
            }
            (_, Duty::Hold(name)) => {
                self.end(workers).await;
                if let Some(leaver) = seat.number(&name) {
                    order(workers, |_| Step::Hold { leaver, frames_max });
                    settle_all(workers).await;
                }
                *self = Self::Holding(name);
            }
        }
    }

    /// Ends what was before; what late frames were compared with is needed until those have come.
    async fn end(&mut self, workers: &[WorkerHandle]) {
        match self {
            Self::Idle => return,
            Self::Comparing { .. } => _ = settle_all(workers).await,
            Self::Noting(_) | Self::Holding(_) | Self::Ending => {}
        }
        order(workers, |_| Step::End);
        // Who still holds something gives that up before it can take another step.
        let asked = settle(workers);
        wait(|| have_settled(workers, &asked)).await;
        *self = Self::Idle;
    }

    /// Has the workers end, now or the next time.
    fn close(&mut self, workers: &[WorkerHandle]) {
        *self = if order(workers, |_| Step::End) { Self::Idle } else { Self::Ending };
    }

    /// Once all of them `go_by` it, and before the others are told.
    pub(super) fn finish(&mut self, seat: &mut Seat, workers: &[WorkerHandle], go_by: bool) {
        match self {
            Self::Noting(notes) if seat.duty() == Duty::None => {
                seat.hand_over(notes.as_deref().filter(|_| go_by).and_then(collect));
                self.close(workers);
            }
            Self::Holding(_) if seat.duty() == Duty::None => {
                *self = Self::Comparing { since: Instant::now(), rounds: 1, asked: settle(workers) };
            }
            Self::Comparing { since, rounds, asked } => {
                let settled = have_settled(workers, asked);
                if settled && *rounds == SETTLE_ROUNDS || since.elapsed() > COMPARE_MAX {
                    self.close(workers);
                } else if settled {
                    (*rounds, *asked) = (*rounds + 1, settle(workers));
                }
            }
            Self::Ending => self.close(workers),
            Self::Idle | Self::Noting(_) | Self::Holding(_) => {}
        }
    }
}

/// What all workers have noted, now that they go by a snapshot in which this node owns nothing; `None`: it is too much.
fn collect(notes: &[Arc<Notes>]) -> Option<Arc<[u64]>> {
    // What a worker did before it took that snapshot is seen here.
    fence(Ordering::Acquire);
    let frames = notes.iter().map(|notes| notes.count()).sum::<u64>();
    if frames > DIGESTS_MAX as u64 {
        warn!(frames, "more was forwarded during the hand-over than can be told");
        return None;
    }
    Some(notes.iter().flat_map(|notes| notes.digests()).collect())
}

/// Has each worker take a step; whether all will. One that does not look at its mailbox takes no snapshot either, and that
/// is told.
fn order(workers: &[WorkerHandle], step: impl Fn(usize) -> Step) -> bool {
    let ordered = workers.iter().enumerate().map(|(number, worker)| worker.hand_over(step(number)).is_ok());
    ordered.fold(true, |all, one| all & one)
}

/// Has all workers settle, round after round; whether they have.
async fn settle_all(workers: &[WorkerHandle]) -> bool {
    for _ in 0..SETTLE_ROUNDS {
        let asked = settle(workers);
        if !wait(|| have_settled(workers, &asked)).await {
            warn!("workers are too busy for a hand-over: what waits for them is lost");
            return false;
        }
    }
    true
}

/// Asks all workers to settle; what they had counted before.
fn settle(workers: &[WorkerHandle]) -> Vec<u64> {
    let asked = workers.iter().map(|worker| worker.counters().handover.settled.read()).collect();
    order(workers, |_| Step::Settle);
    asked
}

fn have_settled(workers: &[WorkerHandle], asked: &[u64]) -> bool {
    let settled = workers.iter().map(|worker| worker.counters().handover.settled.read());
    settled.zip(asked).all(|(now, then)| now > *then)
}

/// Waits until it is so, but not for long; whether it is.
async fn wait(is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + SETTLE_MAX;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(ANSWER_POLL).await;
    }
    true
}
