//! A store with leases, as etcd has them: what is written under a lease goes with it. Nodes reach it or do not; what
//! they read is late, and never out of order.

use crate::world::Node;
use std::collections::{BTreeMap, VecDeque};
use weir_control::cluster::{Lease, Liveness, Member, NodeName, Peer};
use weir_tests::rng::Rng;

/// Each node's clock may run this much too fast or too slow.
pub(super) const DRIFT_PER_MILLE: i64 = 20;
pub(super) const TTL_MS: u64 = 600;
/// More than twice what clocks differ by over a lease, and what a renewal and a watch take.
pub(super) const MARGIN_MS: u64 = 100;
const LAG_MAX_MS: u64 = 60;

type State = BTreeMap<NodeName, (Member, u64)>;

/// The store.
pub(super) struct Store {
    /// Which nodes reach it.
    pub(super) reached: Vec<bool>,
    /// Each member with the end of its lease.
    members: State,
    /// What has been, for those who read late.
    past: VecDeque<(u64, BTreeMap<NodeName, Member>)>,
}

impl Store {
    pub(super) fn new(nodes: usize) -> Self {
        Self { reached: vec![true; nodes], members: State::new(), past: VecDeque::new() }
    }

    /// Ends leases, and keeps what is there for late readers.
    pub(super) fn tick(&mut self, now_ms: u64) {
        self.members.retain(|_, (_, end_ms)| now_ms < *end_ms);
        let members = self.members.iter().map(|(name, (member, _))| (name.clone(), member.clone())).collect();
        if self.past.back().is_none_or(|(_, last)| *last != members) {
            self.past.push_back((now_ms, members));
        }
        while self.past.len() > 1 && self.past[1].0 + LAG_MAX_MS < now_ms {
            self.past.pop_front();
        }
    }

    /// A node renews its lease, writes its member, and reads those of the others as they were a while ago.
    pub(super) fn serve(&mut self, who: usize, node: &mut Node, now_ms: u64, rng: &mut Rng) {
        let local_ms = node.local_ms(now_ms);
        if !self.reached[who] {
            return;
        }
        let member = node.coordinator.member();
        let ended =
            self.members.get(&member.name).is_none_or(|(known, _)| known.incarnation != member.incarnation);
        let news = node.published.as_deref() != Some(member);
        if ended || now_ms >= node.gossip_at_ms {
            node.gossip_at_ms = now_ms + TTL_MS / 3;
            // The lease counts from when it was asked for here, and from when that arrived there.
            let way_ms = rng.within(0, 20);
            self.members.insert(member.name.clone(), (member.clone(), now_ms + way_ms + TTL_MS));
            node.view.lease = Some(Lease::Until { end_ms: local_ms + TTL_MS });
            if ended {
                // A new lease comes with a fresh read.
                node.read_at_ms = now_ms;
                self.tick(now_ms);
            }
        }
        if news {
            if let Some(known) = self.members.get_mut(&member.name) {
                known.0 = member.clone();
            }
            node.published = Some(member.clone().into());
        }
        node.read_at_ms = node.read_at_ms.max(now_ms - rng.within(0, LAG_MAX_MS).min(now_ms));
        let Some((_, seen)) = self.past.iter().rev().find(|(at_ms, _)| *at_ms <= node.read_at_ms) else {
            return;
        };
        for (name, member) in seen {
            match node.view.peers.get_mut(name) {
                Some(peer) if peer.member == *member && peer.liveness.lives() => {}
                _ => {
                    let peer = Peer { member: member.clone(), liveness: Liveness::Alive, deaf: false };
                    node.view.peers.insert(name.clone(), peer);
                }
            }
        }
        for (name, peer) in &mut node.view.peers {
            if !seen.contains_key(name) && peer.liveness.lives() {
                peer.liveness = Liveness::Dead { since_ms: local_ms };
            }
        }
    }
}
