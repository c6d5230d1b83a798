//! Workers in a planned hand-over: what the coordinator asks of them, in the order that makes it true for the others.

use super::gateway::ANSWER_POLL;
use super::membership::Seat;
use crate::cluster::{Duty, NodeName};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;
use weir_dataplane::gate::handover::{DIGESTS_MAX, Notes, Passed, Step};
use weir_dataplane::mailbox::WorkerHandle;

/// How long workers may take to work on what waits for them. Those that never run dry hold nothing, and what comes
/// between two owners is lost.
const SETTLE_MAX: Duration = Duration::from_millis(200);
/// For so long what comes late is compared with what the leaver has forwarded, at most.
const COMPARE_MAX: Duration = Duration::from_secs(1);
/// In the first round workers empty their queues, in the second what others have given them from those.
const ROUNDS: u32 = 2;

/// What workers are at.
#[derive(Debug, Default)]
pub(super) enum Handing {
    /// Nothing.
    #[default]
    Idle,
    /// This node is to leave: by worker.
    Noting(Vec<Arc<Notes>>),
    /// Another one is.
    Holding(NodeName),
    /// It has left; what comes late is compared.
    Comparing {
        since: Instant,
        rounds: u32,
        /// What workers had counted when they were asked last.
        asked: Vec<u64>,
    },
}

impl Handing {
    /// Before workers go by a new ownership: has them do what the coordinator asks.
    pub(super) async fn prepare(&mut self, seat: &mut Seat, workers: &[WorkerHandle], frames_max: usize) {
        let duty = seat.duty();
        match (&*self, duty) {
            (Self::Noting(_), Duty::Note) | (Self::Idle | Self::Comparing { .. }, Duty::None) => {}
            // What the others heard before they held anything is forwarded while it is this node's.
            (Self::Noting(_), Duty::None) => settle_all(workers).await,
            (Self::Holding(leaver), Duty::Hold(name)) if *leaver == name => {}
            (Self::Holding(_), Duty::None) => {
                let Some(digests) = seat.take_inheritance() else { return };
                let passed = Passed::compile(digests.iter().copied());
                order(workers, |_| Step::Inherit(Arc::clone(&passed)));
            }
            (_, Duty::Note) => {
                self.end(workers).await;
                let notes: Vec<_> = workers.iter().map(|_| Notes::new()).collect();
                order(workers, |worker| Step::Note(Arc::clone(&notes[worker])));
                wait(|| notes.iter().all(|notes| notes.has_begun())).await;
                *self = Self::Noting(notes);
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

    /// Ends what was before, once it has done its work.
    async fn end(&mut self, workers: &[WorkerHandle]) {
        if matches!(self, Self::Comparing { .. }) {
            settle_all(workers).await;
        }
        order(workers, |_| Step::End);
        *self = Self::Idle;
    }

    /// Once they go by it, and before the others are told.
    pub(super) fn finish(&mut self, seat: &mut Seat, workers: &[WorkerHandle]) {
        match self {
            Self::Noting(notes) if seat.duty() == Duty::None => {
                seat.hand_over(collect(notes));
                order(workers, |_| Step::End);
                *self = Self::Idle;
            }
            Self::Holding(_) if seat.duty() == Duty::None => {
                *self = Self::Comparing { since: Instant::now(), rounds: 1, asked: settle(workers) };
            }
            Self::Comparing { since, rounds, asked } => {
                let settled = have_settled(workers, asked);
                if settled && *rounds == ROUNDS || since.elapsed() > COMPARE_MAX {
                    order(workers, |_| Step::End);
                    *self = Self::Idle;
                } else if settled {
                    (*rounds, *asked) = (*rounds + 1, settle(workers));
                }
            }
            Self::Idle | Self::Noting(_) | Self::Holding(_) => {}
        }
    }
}

/// What all workers have noted; `None`: it is too much, or one of them never began.
fn collect(notes: &[Arc<Notes>]) -> Option<Arc<[u64]>> {
    let mut all = Vec::new();
    for notes in notes {
        all.extend(notes.digests().filter(|_| notes.has_begun())?);
    }
    if all.len() > DIGESTS_MAX {
        warn!(frames = all.len(), "more was forwarded during the hand-over than can be told");
        return None;
    }
    Some(all.into())
}

/// Has each worker take a step.
fn order(workers: &[WorkerHandle], step: impl Fn(usize) -> Step) {
    for (number, worker) in workers.iter().enumerate() {
        // One that does not look at its mailbox takes no snapshot either, and that is told.
        let _ = worker.hand_over(step(number));
    }
}

/// Has all workers settle, round after round.
async fn settle_all(workers: &[WorkerHandle]) {
    for _ in 0..ROUNDS {
        let asked = settle(workers);
        if !wait(|| have_settled(workers, &asked)).await {
            break;
        }
    }
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
