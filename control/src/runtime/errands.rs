//! Errands through the workers' tables, beside the control loop: a large table takes its time, and neighbours, punts
//! and the lease cannot wait for it.

use super::gateway::{ANSWER_POLL, ANSWER_TIMEOUT};
use crate::api::Refusal;
use core::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use weir_dataplane::mailbox::{Dump, Errand, WorkerHandle};
use weir_dataplane::track::filter::Filter;

/// Things that a worker may copy ahead of control.
const DUMP_ROOM: usize = 1024;

/// Who sends workers on errands.
#[derive(Clone, Debug)]
pub(super) struct Errands {
    workers: Arc<[WorkerHandle]>,
    /// A worker has one errand at a time: who holds this may send them.
    turn: Arc<Mutex<()>>,
    /// So long a worker may stand still on an errand.
    patience: Duration,
}

/// One worker's part of an errand.
#[derive(Debug)]
struct Part<T> {
    worker: usize,
    dump: Arc<Dump<T>>,
    /// How far it was, and since when.
    seen: u32,
    since: Instant,
}

impl<T> Drop for Part<T> {
    /// However it ends, the worker need not go on.
    fn drop(&mut self) {
        self.dump.close();
    }
}

impl Errands {
    /// For these workers.
    pub(super) fn new(workers: &[WorkerHandle]) -> Self {
        Self { workers: workers.into(), turn: Arc::default(), patience: ANSWER_TIMEOUT }
    }

    /// Whom it sends.
    pub(super) fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// Ends the flows that are meant; how many they were.
    ///
    /// # Errors
    /// When a worker stands still.
    pub(super) async fn delete(&self, filter: Filter) -> Result<u64, Refusal> {
        let (filter, mut deleted) = (Arc::new(filter), 0);
        let each = |_, _| {
            deleted += 1;
            ControlFlow::Continue(())
        };
        self.run(|dump| Errand::Delete(Arc::clone(&filter), dump), each).await?;
        Ok(deleted)
    }

    /// Sends all workers on the errand that `errand` makes of a dump, and hands what they bring to `each`, with the
    /// worker's number, until that has enough. Errands come one after the other.
    ///
    /// # Errors
    /// When a worker stands still.
    pub(super) async fn run<T>(
        &self,
        errand: impl Fn(Arc<Dump<T>>) -> Errand,
        mut each: impl FnMut(usize, T) -> ControlFlow<()>,
    ) -> Result<(), Refusal> {
        let _turn = self.turn.lock().await;
        let mut parts = Vec::with_capacity(self.workers.len());
        for worker in self.workers.iter() {
            let (id, dump) = (worker.id().index(), Dump::new(DUMP_ROOM));
            worker
                .send(errand(Arc::clone(&dump)))
                .map_err(|_| Refusal::failed(format!("worker {id} does not look at its mailbox")))?;
            parts.push(Part { worker: id, dump, seen: 0, since: Instant::now() });
        }
        loop {
            let mut left = Vec::with_capacity(parts.len());
            for mut part in parts {
                let complete = part.dump.is_complete();
                // While it is emptied the worker may fill it: the next look comes soon.
                for item in core::iter::from_fn(|| part.dump.pop()).take(DUMP_ROOM) {
                    if each(part.worker, item).is_break() {
                        return Ok(());
                    }
                }
                if complete {
                    continue;
                }
                let seen = part.dump.seen();
                if seen != part.seen {
                    (part.seen, part.since) = (seen, Instant::now());
                } else if part.since.elapsed() >= self.patience {
                    return Err(Refusal::failed(format!(
                        "worker {} does not get on with its tables",
                        part.worker
                    )));
                }
                left.push(part);
            }
            if left.is_empty() {
                return Ok(());
            }
            parts = left;
            tokio::time::sleep(ANSWER_POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RefusalKind;
    use std::cell::RefCell;
    use weir_dataplane::config::Config;
    use weir_dataplane::pipeline::Limits;
    use weir_dataplane::port::mem::{MemClock, MemQueue};
    use weir_dataplane::punt;
    use weir_dataplane::snapshot::Snapshot;
    use weir_dataplane::track::FlowView;
    use weir_dataplane::units::{Epoch, PORTS_MAX, WorkerId};
    use weir_dataplane::worker::{Idle, Mesh, Setup, Worker};

    /// Records of a worker's table: so many that it takes 32 turns to walk through them.
    const FLOWS_MAX: u32 = 2048;

    type TestWorker = Worker<MemQueue, MemQueue, MemClock>;

    fn workers<const N: usize>() -> ([TestWorker; N], Errands) {
        let mut meshes = Mesh::new(N, [WorkerId::default(); PORTS_MAX]);
        let snapshot = Arc::new(Snapshot::compile(Epoch::FIRST, &Config::default()));
        let both = core::array::from_fn::<_, N, _>(|id| {
            Worker::new(Setup {
                id: WorkerId::new(id).unwrap(),
                ports: Vec::new(),
                mesh: meshes.remove(0),
                control: punt::new().0,
                clock: MemClock::default(),
                idle: Idle::Backoff,
                limits: Limits { flows_max: FLOWS_MAX, expectations_max: 1 },
                secret: 1,
                snapshot: Arc::clone(&snapshot),
            })
        });
        let handles: Vec<_> = both.iter().map(|(_, handle)| handle.clone()).collect();
        let errands = Errands { patience: Duration::from_millis(30), ..Errands::new(&handles) };
        (both.map(|(worker, _)| worker), errands)
    }

    /// Waits for `work`, while workers take a turn each time that so long has gone by.
    async fn beside<T>(workers: &mut [TestWorker], turn_ms: u64, work: impl Future<Output = T>) -> T {
        let turns = async {
            loop {
                tokio::time::sleep(Duration::from_millis(turn_ms)).await;
                workers.iter_mut().for_each(|worker| _ = worker.turn());
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = turns => unreachable!("it goes on for ever"),
        }
    }

    #[tokio::test]
    async fn who_gets_on_may_take_longer_than_who_stands_still() {
        let (mut workers, errands) = workers::<2>();
        let begin = Instant::now();
        let deleted = beside(&mut workers, 3, errands.delete(Filter::default())).await;
        assert_eq!(deleted, Ok(0));
        assert!(begin.elapsed() > 2 * errands.patience, "the test shows nothing");
    }

    #[tokio::test]
    async fn who_stands_still_is_not_waited_for() {
        let (mut workers, errands) = workers::<2>();
        let stuck = beside(&mut workers[..1], 1, errands.delete(Filter::default())).await;
        assert_eq!(stuck.unwrap_err().message, "worker 1 does not get on with its tables");
        // It has not done its last errand when the next one comes.
        assert_eq!(beside(&mut workers, 1, errands.delete(Filter::default())).await, Ok(0));
    }

    #[tokio::test]
    async fn errands_come_one_after_the_other_and_nobody_waits_for_them() {
        let (mut workers, errands) = workers::<1>();
        let order = RefCell::new(Vec::new());
        let list = |dump: Arc<Dump<FlowView>>| Errand::List(Arc::default(), dump);
        let note = async |name| {
            let outcome = errands.run(list, |_, _| ControlFlow::Continue(())).await;
            assert_eq!(outcome, Ok(()), "the other one took its place");
            order.borrow_mut().push(name);
        };
        let control = async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            order.borrow_mut().push("control");
        };
        let all = async { tokio::join!(note("first"), note("second"), control) };
        beside(&mut workers, 1, all).await;
        assert_eq!(*order.borrow(), ["control", "first", "second"]);
    }

    #[tokio::test]
    async fn a_full_mailbox_is_an_error() {
        let (_workers, errands) = workers::<1>();
        let fill = || errands.workers()[0].send(Errand::List(Arc::default(), Dump::new(1)));
        while fill().is_ok() {}
        let refusal = errands.delete(Filter::default()).await.unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Failed);
    }
}
