//! What `weir cluster` shows: the members, whose the buckets are, what is wrong, and what has lately changed.

use super::alarm::Alarm;
use super::coordinator::Coordinator;
use super::history::Event;
use super::member::{Digest, Member, NodeName, State};
use super::proposal::MapEpoch;
use super::settings::Agreement;
use super::view::{Lease, Liveness, View};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The cluster as one node sees it. Moments are milliseconds of that node's monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The node that sees it so.
    pub node: NodeName,
    /// The moment it was seen.
    pub now_ms: u64,
    /// Since when this node has been in its state.
    pub in_state_since_ms: u64,
    /// By when it will have left, while it drains.
    pub drains_until_ms: Option<u64>,
    /// When its lease ends, with leases.
    pub lease_ends_ms: Option<u64>,
    /// The map in force here.
    pub map: Option<MapEpoch>,
    /// By hand, the orders that hold.
    pub orders: Vec<String>,
    /// The map that is to follow, and since when it is known.
    pub next_map: Option<(MapEpoch, u64)>,
    /// All nodes, by name.
    pub members: Vec<MemberStatus>,
    /// Whose the buckets are, the first being that of number 1.
    pub owners: Vec<Option<NodeName>>,
    /// What is wrong.
    pub alarms: Vec<Alarm>,
    /// The last changes, the oldest first.
    pub history: Vec<Event>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Its name.
    pub name: NodeName,
    /// Where in its life it is.
    pub state: State,
    /// Whether it lives.
    pub liveness: Liveness,
    /// Its share beside those of the others.
    pub weight: u16,
    /// Where operators reach it.
    pub address: IpAddr,
    /// What it tells; nothing of other nodes by hand.
    pub published: Option<Published>,
    /// How many buckets are its own.
    pub buckets: usize,
    /// How many buckets would be its own in addition if that node died, for each other one that lives.
    pub inherits: BTreeMap<NodeName, usize>,
    /// How many flows it has left, while it drains.
    pub flows_left: Option<u64>,
}

/// What a node tells of itself that must be the same on all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Weir's version on it.
    pub version: String,
    /// Of its configuration.
    pub config_digest: Digest,
    /// Where it starts the hash.
    pub hash_seed: u32,
    /// Into how many buckets it cuts the hash space.
    pub total_nodes: u16,
    /// The map it acts by.
    pub map: Option<MapEpoch>,
}

impl Coordinator {
    /// The cluster as this node sees it.
    pub fn status(&self, view: &View, now_ms: u64) -> Status {
        let me = self.member();
        let view = &*self.believes(view);
        let others = view.peers.iter().filter(|(name, _)| **name != me.name);
        let mut members = vec![member_status(me, Liveness::Alive, true)];
        let tell = self.settings().agreement != Agreement::ByHand;
        members.extend(others.map(|(_, peer)| member_status(&peer.member, peer.liveness, tell)));
        members.sort_by(|a, b| a.name.cmp(&b.name));
        self.count_buckets(&mut members, view, now_ms);
        Status {
            node: me.name.clone(),
            now_ms,
            in_state_since_ms: self.in_state_since_ms(),
            drains_until_ms: self.drains_until_ms(),
            lease_ends_ms: match view.lease {
                Some(Lease::Until { end_ms }) => Some(end_ms),
                Some(Lease::None) | None => None,
            },
            map: me.active.clone(),
            orders: self.orders().map(|order| order.to_string()).collect(),
            next_map: self.change_under_way().map(|(epoch, since_ms)| (epoch.clone(), since_ms)),
            members,
            owners: self.ownership().owners.clone(),
            alarms: self.alarms(now_ms).collect(),
            history: self.history().cloned().collect(),
        }
    }

    fn count_buckets(&self, members: &mut [MemberStatus], view: &View, now_ms: u64) {
        let mut count = |name: Option<&NodeName>, counted: &mut dyn FnMut(&mut MemberStatus)| {
            let owner = members.iter_mut().find(|member| Some(&member.name) == name);
            owner.into_iter().for_each(counted);
        };
        for owner in &self.ownership().owners {
            count(owner.as_ref(), &mut |member| member.buckets += 1);
        }
        for dead in self.ownership().living.keys() {
            for (now, then) in self.ownership().owners.iter().zip(self.owners_if_dead(dead, view, now_ms)) {
                if now.as_ref() == Some(dead) {
                    count(then, &mut |member| *member.inherits.entry(dead.clone()).or_default() += 1);
                }
            }
        }
    }
}

fn member_status(member: &Member, liveness: Liveness, tells: bool) -> MemberStatus {
    MemberStatus {
        name: member.name.clone(),
        state: member.state,
        liveness,
        weight: member.weight.number(),
        address: member.address,
        published: tells.then(|| Published {
            version: member.version.to_string(),
            config_digest: member.config_digest,
            hash_seed: member.hash_seed,
            total_nodes: member.total_nodes,
            map: member.active.clone(),
        }),
        buckets: 0,
        inherits: BTreeMap::new(),
        flows_left: member.flows_left,
    }
}
