//! The static engine: the members are what the configuration says, and live for ever.
//!
//! It sends nothing and hears nothing: no node learns what another publishes, and what a [`Peer`] of it holds beside
//! name, weight and address says nothing. Buckets move by an operator's hand.

use super::Engine;
use crate::cluster::{EngineEnd, Liveness, Member, Peer, View};
use std::sync::Arc;

/// Runs with the members of the configuration; one of this node's own name is left out. Call it inside a tokio runtime.
pub fn start(members: Vec<Member>, end: EngineEnd) -> Engine {
    let own = end.member.borrow().name.clone();
    let others = members.into_iter().filter(|member| member.name != own);
    let peers = others
        .map(|member| (member.name.clone(), Peer { member, liveness: Liveness::Alive, deaf: false }))
        .collect();
    end.views.send_replace(View { peers, lease: None });
    Engine::run(Arc::default(), async move |leaving| {
        // Keeps its end until it is told to leave: the coordinator sees a closed end as an engine that broke.
        let _ = leaving.await;
        drop(end);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::engine::test_member as member;
    use crate::cluster::link;

    #[tokio::test]
    async fn the_others_live_whatever_happens() {
        let (engine_end, mut end) = link(member("n1", 5));
        let engine = start(["n1", "n2", "n3"].map(|name| member(name, 0)).into(), engine_end);
        let view = end.views.borrow_and_update().clone();
        assert_eq!(view.peers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["n2", "n3"]);
        assert!(view.peers.values().all(|peer| peer.liveness == Liveness::Alive));
        assert_eq!(view.lease, None);
        end.member.send_modify(|member| member.flows_left = Some(1));
        tokio::task::yield_now().await;
        assert!(matches!(end.views.has_changed(), Ok(false)), "nothing is heard, and the end is held");
        engine.leave().await;
        assert!(end.views.has_changed().is_err(), "the end is given up");
    }
}
