//! Errands through the workers' tables, one worker after the other.

use super::gateway::{ANSWER_POLL, ANSWER_TIMEOUT};
use crate::api::Refusal;
use core::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;
use weir_dataplane::mailbox::{Dump, Errand, WorkerHandle};

/// Things that a worker may copy ahead of control.
const DUMP_ROOM: usize = 1024;

/// Sends each worker on the errand that `errand` makes of a dump, and hands what it brings to `each`, with the
/// worker's number, until that has enough.
///
/// # Errors
/// When a worker does not answer in time.
pub(super) async fn run<T>(
    workers: &[WorkerHandle],
    errand: impl Fn(Arc<Dump<T>>) -> Errand,
    mut each: impl FnMut(usize, T) -> ControlFlow<()>,
) -> Result<(), Refusal> {
    for worker in workers {
        let id = worker.id().index();
        let dump = Dump::new(DUMP_ROOM);
        worker
            .send(errand(Arc::clone(&dump)))
            .map_err(|_| Refusal::failed(format!("worker {id} does not look at its mailbox")))?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        loop {
            let complete = dump.is_complete();
            while let Some(item) = dump.pop() {
                if each(id, item).is_break() {
                    dump.close();
                    return Ok(());
                }
            }
            if complete {
                break;
            }
            if Instant::now() >= deadline {
                dump.close();
                return Err(Refusal::failed(format!("worker {id} did not get through its tables in time")));
            }
            tokio::time::sleep(ANSWER_POLL).await;
        }
    }
    Ok(())
}
