//! The two ends between the cluster's logic and the engine that carries membership.
//!
//! Either side keeps the latest value alone: a view replaces the one before it, a member too.

use super::{Member, View};
use tokio::sync::watch;

/// What an engine (static, gossip, etcd) holds: it sends views, and publishes the member it finds here.
#[derive(Debug)]
pub struct EngineEnd {
    /// Whom this node believes alive; sent when it changes.
    pub views: watch::Sender<View>,
    /// What this node tells the others of itself. Each change is to be published at once: the others wait for it.
    pub member: watch::Receiver<Member>,
}

/// What the owner of a coordinator holds.
#[derive(Debug)]
pub struct ClusterEnd {
    /// The latest view.
    pub views: watch::Receiver<View>,
    /// Where the coordinator's member goes.
    pub member: watch::Sender<Member>,
}

/// A pair of ends; the engine finds `member` to publish, the cluster an empty view.
pub fn link(member: Member) -> (EngineEnd, ClusterEnd) {
    let (views_in, views_out) = watch::channel(View::default());
    let (member_in, member_out) = watch::channel(member);
    (EngineEnd { views: views_in, member: member_out }, ClusterEnd { views: views_out, member: member_in })
}
