//! Ownership without agreement: nodes know of each other from their configuration alone, and an operator says what
//! changes.
//!
//! The map follows from the configured nodes, their weights and pins, so that nodes with the same configuration have
//! the same one, and the same epoch. Nobody dies by himself: `take` says that a node is dead, and then each of those
//! that are told so has its part of what that one had; `give` says that it lives. `add` and `del` move single buckets
//! of this node. An order takes effect at once and here alone; that orders on two nodes fit together is the operator's
//! to see to.

use super::company::Company;
use super::map::OwnershipMap;
use super::member::{Incarnation, Member, NodeName};
use super::order::Order;
use super::proposal::{MapEpoch, Proposal, Roster, Seat};
use super::view::{Liveness, View};
use std::collections::BTreeMap;
use weir_dataplane::config::BucketSet;
use weir_dataplane::units::BucketId;

/// What an operator has said, of the other nodes and of this one's buckets.
#[derive(Debug, Default)]
pub(super) struct ByHand {
    pins: BTreeMap<u16, NodeName>,
    /// The dead, and since when they are said to be.
    taken: BTreeMap<NodeName, u64>,
    added: BucketSet,
    deleted: BucketSet,
    map: Option<OwnershipMap>,
}

impl ByHand {
    /// With what the configuration pins.
    pub(super) fn new(pins: BTreeMap<u16, NodeName>) -> Self {
        Self { pins, ..Self::default() }
    }

    /// Owns a bucket here.
    pub(super) fn add(&mut self, bucket: BucketId) {
        self.deleted.remove(bucket);
        self.added.insert(bucket);
    }

    /// Does not own a bucket here.
    pub(super) fn del(&mut self, bucket: BucketId) {
        self.added.remove(bucket);
        self.deleted.insert(bucket);
    }

    /// Another node is dead; whether it was not.
    pub(super) fn take(&mut self, node: NodeName, now_ms: u64) -> bool {
        self.taken.insert(node, now_ms).is_none()
    }

    /// Another node lives; whether it did not.
    pub(super) fn give(&mut self, node: &NodeName) -> bool {
        self.taken.remove(node).is_some()
    }

    /// The orders that hold.
    pub(super) fn orders(&self) -> impl Iterator<Item = Order> {
        let taken = self.taken.keys().map(|node| Order::Take { node: node.clone() });
        let added = self.added.iter().map(|bucket| Order::Add { bucket });
        let deleted = self.deleted.iter().map(|bucket| Order::Del { bucket });
        taken.chain(added).chain(deleted)
    }

    /// What the engine believes, with those dead that are said to be.
    pub(super) fn corrected(&self, view: &View) -> View {
        let mut view = view.clone();
        for (name, since_ms) in &self.taken {
            if let Some(peer) = view.peers.get_mut(name) {
                peer.liveness = Liveness::Dead { since_ms: *since_ms };
            }
        }
        view
    }

    /// Makes the map of all that are configured, unless it is there.
    pub(super) fn map(&mut self, view: &View, me: &Member) {
        // Nobody tells one life of a node from another: with the lives left out, the epoch is the same on all nodes.
        let seat = |member: &Member| Seat {
            name: member.name.clone(),
            incarnation: Incarnation::default(),
            weight: member.weight,
        };
        let mut seats: Vec<Seat> = view.peers.values().map(|peer| seat(&peer.member)).collect();
        seats.retain(|seat| seat.name != me.name);
        seats.push(seat(me));
        seats.sort();
        if self.map.as_ref().is_some_and(|map| map.seats() == seats) {
            return;
        }
        let first = seats[0].name.clone();
        let roster = Roster { total_nodes: me.total_nodes, seats, pins: self.pins.clone(), settles: false };
        self.map = Some(OwnershipMap::compute(&Proposal::after(0, &first, roster)));
    }

    /// Which map it is.
    pub(super) fn epoch(&self) -> Option<&MapEpoch> {
        self.map.as_ref().map(OwnershipMap::epoch)
    }

    /// Whose a bucket is, as far as this node may know: of one that was taken from it by hand, nobody's.
    pub(super) fn owner(&self, bucket: BucketId, company: &Company<'_>) -> Option<&NodeName> {
        let (map, me) = (self.map.as_ref()?, &company.me().name);
        let serves = |seat: &Seat| company.servers().any(|member| member.name == seat.name);
        let owner = if self.added.contains(bucket) && company.serving() {
            map.seats().iter().find(|seat| seat.name == *me)
        } else {
            map.owner(bucket, serves)
        };
        let given_up = |name: &NodeName| name == me && self.deleted.contains(bucket);
        owner.map(|seat| &seat.name).filter(|name| !given_up(name))
    }
}
