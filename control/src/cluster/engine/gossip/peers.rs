//! What chitchat knows, as a view.
//!
//! A node that came again is there several times until its former lives are forgotten; the view shows the living one
//! of them, or else the latest.

use super::GossipConfig;
use crate::cluster::engine::incident::Incident;
use crate::cluster::engine::{Clock, Count, Counts};
use crate::cluster::{Liveness, Member, MemberError, NodeName, Peer, View};
use chitchat::{Chitchat, ChitchatId, Heartbeat, NodeState};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads views from chitchat's state.
pub(super) struct Peers {
    clock: Clock,
    detection_time: Duration,
    heard: HashMap<ChitchatId, Heard>,
    counts: Arc<Counts>,
    malformed: Incident,
}

/// One life of a node, as it was heard of.
struct Heard {
    heartbeat: Heartbeat,
    /// When that was new, or when the node was first heard of.
    at: Instant,
    /// Whether it was ever found alive.
    lived: bool,
    dead_since: Option<Instant>,
    /// What could not be read, counted once.
    malformed: Option<MemberError>,
}

impl Peers {
    pub(super) fn new(config: &GossipConfig, clock: Clock, counts: Arc<Counts>) -> Self {
        let malformed = Incident::new("cannot read what another node publishes");
        Self { clock, detection_time: config.detection_time, heard: HashMap::new(), counts, malformed }
    }

    /// The other nodes now.
    pub(super) fn view(&mut self, state: &Chitchat) -> View {
        let now = Instant::now();
        let alive: HashSet<_> = state.live_nodes().collect();
        let own = state.self_chitchat_id();
        self.heard.retain(|id, _| state.node_states().contains_key(id));
        let mut best: BTreeMap<NodeName, (Rank, Peer)> = BTreeMap::new();
        for (id, node) in state.node_states().iter().filter(|(id, _)| *id != own) {
            let liveness = self.liveness(id, node.heartbeat(), alive.contains(id), now);
            let Some(member) = self.member(id, node) else { continue };
            let rank = (liveness.lives(), id.generation_id);
            if best.get(&member.name).is_none_or(|(known, _)| *known < rank) {
                best.insert(member.name.clone(), (rank, Peer { member, liveness }));
            }
        }
        let peers = best.into_iter().map(|(name, (_, peer))| (name, peer)).collect();
        View { peers, lease: None }
    }

    fn liveness(&mut self, id: &ChitchatId, heartbeat: Heartbeat, alive: bool, now: Instant) -> Liveness {
        let new = || Heard { heartbeat, at: now, lived: false, dead_since: None, malformed: None };
        let heard = self.heard.entry(id.clone()).or_insert_with(new);
        if heard.heartbeat != heartbeat {
            heard.heartbeat = heartbeat;
            heard.at = now;
        }
        let silence = now.duration_since(heard.at);
        // Who was never found alive may be dead for long, or a name that has just come in: the time tells.
        let late = if alive {
            silence > self.detection_time / 2
        } else {
            !heard.lived && silence < self.detection_time
        };
        heard.lived |= alive;
        if alive || late {
            heard.dead_since = None;
        }
        match (alive, late) {
            (true, false) => Liveness::Alive,
            (_, true) => Liveness::Suspected { since_ms: self.clock.ms(heard.at) },
            (false, false) => {
                Liveness::Dead { since_ms: self.clock.ms(*heard.dead_since.get_or_insert(now)) }
            }
        }
    }

    fn member(&mut self, id: &ChitchatId, node: &NodeState) -> Option<Member> {
        let heard = self.heard.get_mut(id)?;
        let member = Member::from_pairs(node.key_values());
        match member {
            Ok(member) if member.name.as_str() == &*id.node_id => {
                heard.malformed = None;
                Some(member)
            }
            // The rest is on its way.
            Err(MemberError::Missing(_)) => None,
            wrong => {
                let error =
                    wrong.map_or_else(|error| error, |member| MemberError::Name(member.name.to_string()));
                if heard.malformed.as_ref() != Some(&error) {
                    self.counts.add(Count::Malformed);
                    self.malformed.met_after(self.detection_time, format_args!("{id:?}: {error}"));
                    heard.malformed = Some(error);
                }
                None
            }
        }
    }
}

/// The living before the dead, the later life before the former.
type Rank = (bool, u64);
