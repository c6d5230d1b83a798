//! The static engine: the members are what the configuration says, and live for ever.
//!
//! It sends nothing and hears nothing: no node learns what another publishes. Buckets move by an operator's hand.

use super::Engine;
use crate::cluster::{EngineEnd, Liveness, Member, Peer, View};
use std::sync::Arc;

/// Runs with the members of the configuration; one of this node's own name is left out. Call it inside a tokio runtime.
pub fn start(members: Vec<Member>, end: EngineEnd) -> Engine {
    let own = end.member.borrow().name.clone();
    let others = members.into_iter().filter(|member| member.name != own);
    let peers =
        others.map(|member| (member.name.clone(), Peer { member, liveness: Liveness::Alive })).collect();
    end.views.send_replace(View { peers, lease: None });
    Engine::run(Arc::default(), async move |leaving| {
        // Keeps its end until it is told to leave: the coordinator sees a closed end as an engine that broke.
        let _ = leaving.await;
        drop(end);
    })
}
