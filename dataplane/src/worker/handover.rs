//! A worker's part of a planned hand-over that is not the pipeline's: what waits, and in which order it is looked at.

use super::Worker;
use crate::gate::handover::Step;
use crate::mailbox::Spent;
use crate::port::{Clock, RxQueue, TxQueue};
use crate::units::{BURST_MAX, Tick};

/// Whether all has been worked on that waited when control asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Settling {
    /// Nobody has asked.
    #[default]
    No,
    /// Its queues may hold some of it.
    Waiting,
    /// They do not, but what it took from other workers may.
    Taken,
}

impl<R, T, C> Worker<R, T, C>
where
    R: RxQueue,
    T: TxQueue<Frame = R::Frame>,
    C: Clock,
{
    pub(super) fn take_step(&mut self, step: Step) {
        let over = match step {
            Step::Settle => {
                self.settling = Settling::Waiting;
                None
            }
            step => self.pipeline.take_step(step),
        };
        if let Some(over) = over {
            self.mailbox.give_back(Spent::HandOver(over));
        }
    }

    /// A turn has taken in what there was; `has_more`: not all of it. What it took from others it works on in the next.
    #[inline(always)]
    pub(super) fn settle(&mut self, has_more: bool) {
        if self.settling != Settling::No {
            self.settle_further(has_more);
        }
    }

    #[cold]
    fn settle_further(&mut self, has_more: bool) {
        self.settling = match self.settling {
            Settling::Waiting if !has_more => Settling::Taken,
            Settling::Waiting => Settling::Waiting,
            Settling::Taken | Settling::No => {
                self.pipeline.take_step(Step::Settle);
                self.counters.handover.settled.add(1);
                Settling::No
            }
        };
    }

    /// Looks at a burst of the frames that were held, before any that came later.
    #[cold]
    pub(super) fn catch_up(&mut self, now: Tick) -> usize {
        self.check_lease();
        let outbox = self.departures.outbox(BURST_MAX, &mut self.mesh);
        let done = if self.tracer.is_empty() {
            self.pipeline.catch_up(now, outbox, &mut ())
        } else {
            self.pipeline.catch_up(now, outbox, &mut self.tracer)
        };
        self.tell();
        self.departures.relieve(&mut self.mesh);
        self.punt();
        done
    }
}
