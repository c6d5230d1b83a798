//! How the nodes of a cluster know of each other.
//!
//! An engine is a tokio task between this node's coordinator and the other nodes: it publishes the [`Member`] it finds
//! at its [`EngineEnd`], and sends there a new [`View`] whenever what it knows of the others changes.
//!
//! | engine | a dead node is noticed | two nodes may own the same |
//! |---|---|---|
//! | [`fixed`] | by nobody: the operator says so | when the files of the nodes disagree |
//! | [`gossip`] | within `detection_time`, 1 s | while the network between them is cut |
//! | [`etcd`] | when its lease ends, 10 s | never, with `on_loss: stop` |
//!
//! The task ends when its [`Engine`] is dropped, as if the node had died; [`Engine::leave`] says good-bye first. What
//! goes wrong while it runs is told in the log once when it begins and once when it is over, and counted; it ends no
//! engine. An engine decides nothing: who owns what is the coordinator's.
//!
//! [`Member`]: crate::cluster::Member
//! [`View`]: crate::cluster::View
//! [`EngineEnd`]: crate::cluster::EngineEnd

mod counts;
pub mod etcd;
pub mod fixed;
pub mod gossip;
mod incident;

pub use counts::{Count, Counts};

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a good-bye may take.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    task: JoinHandle<()>,
    leave: Option<oneshot::Sender<()>>,
    counts: Arc<Counts>,
}

impl Engine {
    /// Runs what `task` makes of the receiver that hears when to leave. Call it inside a tokio runtime.
    fn run<F>(counts: Arc<Counts>, task: impl FnOnce(oneshot::Receiver<()>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (leave, leaving) = oneshot::channel();
        Self { task: tokio::spawn(task(leaving)), leave: Some(leave), counts }
    }

    /// What it has counted since it began.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Tells the others that this node goes, and ends. The node owns nothing any more when this is called.
    pub async fn leave(mut self) {
        if let Some(leave) = self.leave.take()
            && leave.send(()).is_ok()
        {
            // Late or not: dropping it ends it.
            let _ = tokio::time::timeout(LEAVE_MAX, &mut self.task).await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The clock whose time the coordinator is given: milliseconds since the gateway began.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begun: Instant,
}

impl Clock {
    /// A clock that stood at 0 then.
    pub const fn new(begun: Instant) -> Self {
        Self { begun }
    }

    /// The time it shows at `moment`.
    pub fn ms(self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }
}

/// A member for tests.
#[cfg(test)]
fn test_member(name: &str, incarnation: u64) -> crate::cluster::Member {
    crate::cluster::Member {
        name: name.parse().unwrap(),
        incarnation: crate::cluster::Incarnation(incarnation),
        state: crate::cluster::State::Active,
        weight: crate::cluster::Weight::new(1).unwrap(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        hash_seed: 0,
        total_nodes: 16,
        config_digest: crate::cluster::Digest(0),
        version: "0.1.0".into(),
        proposal: None,
        released: None,
        active: None,
        electorate: None,
        flows_left: None,
        handover: None,
        holds_for: None,
    }
}
