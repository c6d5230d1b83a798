//! Clients that follow what happens to flows, and what is on its way to them.

use super::rows;
use crate::api::Refusal;
use crate::observe::FlowEvent;
use core::time::Duration;
use std::sync::Arc;
use tokio::sync::mpsc;
use weir_dataplane::config::Cluster;
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::track::filter::Filter;
use weir_dataplane::track::watch::{WATCHES_MAX, Watch};

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
    /// By worker.
    ears: Vec<Ear>,
    client: mpsc::Sender<FlowEvent>,
}

/// Where one worker is heard.
#[derive(Debug)]
struct Ear {
    worker: usize,
    watch: Arc<Watch>,
    /// Of the lost events, those that the client knows of.
    lost: u64,
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
        let ear = |worker: &WorkerHandle| {
            let ear =
                Ear { worker: worker.id().index(), watch: Watch::new(WATCH_ROOM, filter.clone()), lost: 0 };
            worker.watch(&ear.watch).map(|()| ear)
        };
        let mut follower = Follower { ears: Vec::new(), client };
        for worker in workers {
            match ear(worker) {
                Ok(ear) => follower.ears.push(ear),
                Err(_) => {
                    follower.close();
                    let id = worker.id().index();
                    self.0.push(follower);
                    return Err(Refusal::failed(format!("worker {id} does not look at its mailbox")));
                }
            }
        }
        self.0.push(follower);
        Ok(events)
    }

    /// Passes on what the workers have told, and forgets who has gone.
    pub(super) fn pass_on(&mut self, cluster: Option<&Cluster>) {
        self.0.retain_mut(|follower| {
            if !follower.client.is_closed() {
                follower.pass_on(cluster);
                return true;
            }
            follower.close();
            // A watch is freed here, not by a worker.
            follower.ears.iter().any(|ear| Arc::strong_count(&ear.watch) > 1)
        });
    }
}

impl Follower {
    fn close(&self) {
        for ear in &self.ears {
            ear.watch.close();
        }
    }

    fn pass_on(&mut self, cluster: Option<&Cluster>) {
        for ear in &mut self.ears {
            let lost = ear.watch.lost();
            if lost > ear.lost {
                let Ok(room) = self.client.try_reserve() else { return };
                room.send(FlowEvent::Lost { worker: ear.worker, events: lost - ear.lost });
                ear.lost = lost;
            }
            // Without room the events wait with the worker, where those that come too late are counted.
            while let Ok(room) = self.client.try_reserve() {
                let Some(event) = ear.watch.pop() else { break };
                room.send(rows::event(ear.worker, &event, cluster));
            }
        }
    }
}
