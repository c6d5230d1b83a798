//! Clients that follow what happens to flows, and what is on its way to them.

use super::ears::Ears;
use super::rows;
use crate::api::Refusal;
use crate::observe::FlowEvent;
use core::time::Duration;
use tokio::sync::mpsc;
use weir_dataplane::config::Cluster;
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::track::filter::Filter;
use weir_dataplane::track::watch;
use weir_dataplane::watch::WATCHES_MAX;

/// Between two looks at what the workers tell.
pub(super) const FOLLOW_POLL: Duration = Duration::from_millis(10);

/// Events that one worker may have told ahead of control.
const WATCH_ROOM: usize = 8192;

/// Events that control may have told ahead of a client.
const CLIENT_ROOM: usize = 4096;

/// All clients that follow.
#[derive(Debug, Default)]
pub(super) struct Followers(Vec<Follower>);

#[derive(Debug)]
struct Follower {
    ears: Ears<Filter, watch::FlowEvent>,
    client: mpsc::Sender<FlowEvent>,
}

impl Followers {
    /// Whether somebody follows.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Follows the flows that `filter` means, at all workers.
    ///
    /// # Errors
    /// When there are too many who do, or a worker does not answer.
    pub(super) fn add(
        &mut self,
        workers: &[WorkerHandle],
        filter: &Filter,
    ) -> Result<mpsc::Receiver<FlowEvent>, Refusal> {
        if self.0.len() == WATCHES_MAX {
            return Err(Refusal::conflict(format!(
                "{WATCHES_MAX} clients follow the flows already: end one"
            )));
        }
        let (client, events) = mpsc::channel(CLIENT_ROOM);
        match Ears::open(workers, filter, WATCH_ROOM, WorkerHandle::watch) {
            Ok(ears) => {
                self.0.push(Follower { ears, client });
                Ok(events)
            }
            Err((ears, refusal)) => {
                self.0.push(Follower { ears, client });
                Err(refusal)
            }
        }
    }

    /// Passes on what the workers have told, and forgets who has gone.
    pub(super) fn pass_on(&mut self, cluster: Option<&Cluster>) {
        self.0.retain_mut(|follower| {
            if !follower.client.is_closed() {
                follower.pass_on(cluster);
                return true;
            }
            follower.ears.close();
            follower.ears.are_held()
        });
    }
}

impl Follower {
    fn pass_on(&mut self, cluster: Option<&Cluster>) {
        for ear in self.ears.iter_mut() {
            let worker = ear.worker();
            if let Some(events) = ear.lost() {
                let Ok(room) = self.client.try_reserve() else { return };
                room.send(FlowEvent::Lost { worker, events });
                ear.note_lost(events);
            }
            // Without room the events wait with the worker, where those that come too late are counted.
            while let Ok(room) = self.client.try_reserve() {
                let Some(event) = ear.hear() else { break };
                room.send(rows::event(worker, &event, cluster));
            }
        }
    }
}
