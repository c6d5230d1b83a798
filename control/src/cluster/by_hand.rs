//! Ownership without agreement: nodes know of each other from their configuration alone, and an operator says what
//! changes.
//!
//! The map follows from the configured nodes, their weights and pins, so that nodes with the same configuration have
//! the same one. Nobody dies by himself: `take` says that a node is dead, and then each of those that are told so has
//! its part of what that one had; `give` says that it lives. `add` and `del` move single buckets of this node.
//! An order takes effect at once and here alone; that orders on two nodes fit together is the operator's to see to.

use super::company::Company;
use super::map::OwnershipMap;
use super::member::NodeName;
use super::proposal::{Proposal, Roster, Seat};
use std::collections::{BTreeMap, BTreeSet};
use weir_dataplane::config::BucketSet;
use weir_dataplane::units::BucketId;

/// What an operator has said.
#[derive(Debug, Default)]
pub(super) struct ByHand {
    pins: BTreeMap<u16, NodeName>,
    taken: BTreeSet<NodeName>,
    added: BucketSet,
    deleted: BucketSet,
    map: Option<(Vec<Seat>, OwnershipMap)>,
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

    /// A node is dead.
    pub(super) fn take(&mut self, node: NodeName) {
        self.taken.insert(node);
    }

    /// A node lives.
    pub(super) fn give(&mut self, node: &NodeName) {
        self.taken.remove(node);
    }

    /// Whether a node is not said to be dead.
    pub(super) fn lives(&self, node: &NodeName) -> bool {
        !self.taken.contains(node)
    }

    /// Makes the map of all that are configured, unless it is there.
    pub(super) fn map(&mut self, company: &Company<'_>) {
        let seats = company.seats();
        if self.map.as_ref().is_none_or(|(made_of, _)| *made_of != seats) {
            let total_nodes = company.me().total_nodes;
            let roster =
                Roster { total_nodes, seats: seats.clone(), pins: self.pins.clone(), settles: false };
            self.map = Some((seats, OwnershipMap::compute(&Proposal::after(0, &company.me().name, roster))));
        }
    }

    /// Whose a bucket is, as far as this node may know: of one that was taken from it by hand, nobody's.
    pub(super) fn owner<'a>(&'a self, bucket: BucketId, me: &'a NodeName) -> Option<&'a NodeName> {
        self.owner_among(bucket, me, |node| self.lives(node))
    }

    /// The same if `dead` were said to be dead everywhere.
    pub(super) fn heir<'a>(
        &'a self,
        bucket: BucketId,
        me: &'a NodeName,
        dead: &NodeName,
    ) -> Option<&'a NodeName> {
        self.owner_among(bucket, me, |node| node != dead && self.lives(node))
    }

    fn owner_among<'a>(
        &'a self,
        bucket: BucketId,
        me: &'a NodeName,
        lives: impl Fn(&NodeName) -> bool,
    ) -> Option<&'a NodeName> {
        if self.added.contains(bucket) && lives(me) {
            return Some(me);
        }
        let (_, map) = self.map.as_ref()?;
        let owner = &map.owner(bucket, |seat| lives(&seat.name))?.name;
        (owner != me || !self.deleted.contains(bucket)).then_some(owner)
    }
}
