//! Where the workers of a gateway are heard by one listener: a ring at each.

use crate::api::Refusal;
use std::sync::Arc;
use weir_dataplane::mailbox::{MailboxFull, WorkerHandle};
use weir_dataplane::watch::Watch;

/// A listener's rings.
#[derive(Debug)]
pub(super) struct Ears<F, E>(Vec<Ear<F, E>>);

/// Where one worker is heard.
#[derive(Debug)]
pub(super) struct Ear<F, E> {
    worker: usize,
    watch: Arc<Watch<F, E>>,
    /// Of the lost events, those that have been asked about.
    lost: u64,
}

impl<F: Clone, E> Ears<F, E> {
    /// Has each worker tell of what `filter` means, `room` events ahead at most; `listen` asks it to.
    ///
    /// # Errors
    /// When a worker does not look at its mailbox. What the others have been given is closed, and to be kept until
    /// they have let go of it.
    pub(super) fn open(
        workers: &[WorkerHandle],
        filter: &F,
        room: usize,
        listen: impl Fn(&WorkerHandle, &Arc<Watch<F, E>>) -> Result<(), MailboxFull>,
    ) -> Result<Self, (Self, Refusal)> {
        let mut ears = Self(Vec::new());
        for worker in workers {
            let (id, watch) = (worker.id().index(), Watch::new(room, filter.clone()));
            if listen(worker, &watch).is_err() {
                ears.close();
                return Err((ears, Refusal::failed(format!("worker {id} does not look at its mailbox"))));
            }
            ears.0.push(Ear { worker: id, watch, lost: 0 });
        }
        Ok(ears)
    }

    /// Has the workers let go.
    pub(super) fn close(&self) {
        for ear in &self.0 {
            ear.watch.close();
        }
    }

    /// Whether a worker still holds one of the rings: these are to be freed here, not by a worker.
    pub(super) fn are_held(&self) -> bool {
        self.0.iter().any(|ear| Arc::strong_count(&ear.watch) > 1)
    }

    /// Each of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Ear<F, E>> {
        self.0.iter_mut()
    }
}

impl<F, E> Ear<F, E> {
    /// Which worker is heard.
    pub(super) fn worker(&self) -> usize {
        self.worker
    }

    /// The oldest event that waits.
    pub(super) fn hear(&mut self) -> Option<E> {
        self.watch.pop()
    }

    /// Events that found no room and have not been asked about yet, if there are any.
    pub(super) fn lost(&self) -> Option<u64> {
        let lost = self.watch.lost() - self.lost;
        (lost > 0).then_some(lost)
    }

    /// Those are known from now on.
    pub(super) fn note_lost(&mut self, lost: u64) {
        self.lost += lost;
    }
}
