//! What chitchat knows, as a view.
//!
//! A node that came again is there several times until its former lives are forgotten; the view shows the living one
//! of them, or else the latest.
//!
//! A node that stood still itself, because its machine was busy, finds all others silent for as long. What they said
//! meanwhile waits in its socket; so it believes no death until it has had the time to hear that.

use super::GossipConfig;
use super::hearing::Hearing;
use crate::cluster::engine::incident::Incident;
use crate::cluster::engine::{Clock, Count, Counts};
use crate::cluster::{Liveness, Member, MemberError, NodeName, Peer, View};
use chitchat::{Chitchat, ChitchatId, Heartbeat, NodeState};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// This many intervals without a look are a node that stood still.
const STOOD_STILL: u32 = 2;
/// What waits in the socket is read within one; the failure detector looks once in the next.
const CATCHING_UP: u32 = 3;

/// Reads views from chitchat's state.
pub(super) struct Peers {
    clock: Clock,
    detection_time: Duration,
    interval: Duration,
    looked: Instant,
    /// Until when this node may not have heard what was said while it stood still.
    catching_up_until: Instant,
    heard: HashMap<ChitchatId, Heard>,
    counts: Arc<Counts>,
    hearing: Hearing,
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
    pub(super) fn new(config: &GossipConfig, clock: Clock, counts: Arc<Counts>, hearing: Hearing) -> Self {
        let now = Instant::now();
        Self {
            clock,
            detection_time: config.detection_time,
            interval: config.interval,
            looked: now,
            catching_up_until: now,
            heard: HashMap::new(),
            counts,
            hearing,
            malformed: Incident::new("cannot read what another node publishes"),
        }
    }

    /// The other nodes now.
    pub(super) fn view(&mut self, state: &Chitchat) -> View {
        let now = Instant::now();
        if now.duration_since(self.looked) > STOOD_STILL * self.interval {
            self.catching_up_until = now + CATCHING_UP * self.interval;
        }
        self.looked = now;
        let alive: HashSet<_> = state.live_nodes().collect();
        let own = state.self_chitchat_id();
        self.heard.retain(|id, _| state.node_states().contains_key(id));
        let mut living = HashSet::new();
        let mut best: BTreeMap<NodeName, (Rank, Peer)> = BTreeMap::new();
        for (id, node) in state.node_states().iter().filter(|(id, _)| *id != own) {
            let liveness = self.liveness(id, node.heartbeat(), alive.contains(id), now);
            let (address, lives) = (id.gossip_advertise_addr, liveness.lives());
            let deaf = lives && self.hearing.is_deaf(address);
            if lives {
                living.insert(address);
            }
            let Some(member) = self.member(id, node) else { continue };
            let rank = (lives, id.generation_id);
            if best.get(&member.name).is_none_or(|(known, _)| *known < rank) {
                best.insert(member.name.clone(), (rank, Peer { member, liveness, deaf }));
            }
        }
        self.hearing.set_heard(living);
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
        } else if heard.lived {
            heard.dead_since.is_none() && now < self.catching_up_until
        } else {
            silence < self.detection_time
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
