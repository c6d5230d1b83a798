//! The cluster: how the hash space is cut, and which part is whose.

use crate::counters::named_enum;
use crate::units::{BUCKETS_MAX, BucketId, Epoch, MemberId};
use std::collections::BTreeMap;

/// A set of [`BucketId`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSet {
    words: [u64; BUCKETS_MAX / 64],
}

impl Default for BucketSet {
    fn default() -> Self {
        Self { words: [0; BUCKETS_MAX / 64] }
    }
}

impl BucketSet {
    /// Adds one; false when it was there.
    pub fn insert(&mut self, bucket: BucketId) -> bool {
        let fresh = !self.contains(bucket);
        self.words[bucket.index() / 64] |= 1 << (bucket.index() % 64);
        fresh
    }

    /// Takes one out; false when it was not there.
    pub fn remove(&mut self, bucket: BucketId) -> bool {
        let there = self.contains(bucket);
        self.words[bucket.index() / 64] &= !(1 << (bucket.index() % 64));
        there
    }

    /// Whether it is there.
    #[inline]
    pub fn contains(&self, bucket: BucketId) -> bool {
        self.words[bucket.index() / 64] >> (bucket.index() % 64) & 1 == 1
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = BucketId> + '_ {
        (0..BUCKETS_MAX).filter_map(BucketId::new).filter(|bucket| self.contains(*bucket))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<BucketId> for BucketSet {
    fn from_iter<T: IntoIterator<Item = BucketId>>(buckets: T) -> Self {
        let mut set = Self::default();
        for bucket in buckets {
            set.insert(bucket);
        }
        set
    }
}

named_enum! {
    /// Whose flows a node tracks.
    pub enum Tracking {
        /// Its own, as Linux does: what belongs to others is dropped before it is tracked.
        Own = "own",
        /// Everybody's: those of others as shadows, so that each valid frame has exactly one owner.
        All = "all",
    }
}

named_enum! {
    /// What to do with frames that no flow, and so no cluster hash, speaks for.
    pub enum Share {
        /// One node forwards them: the owner of the source MAC's hash.
        Owner = "owner",
        /// This node forwards them, whatever the others do.
        Forward = "forward",
        /// This node drops them.
        Drop = "drop",
    }
}

/// A part of the hash space by number, as Linux's xt_cluster has it: nothing is known of other nodes.
#[derive(Clone, Debug)]
pub struct NodeMask {
    /// The buckets that are this node's. Linux's `--cluster-local-nodemask`.
    pub local_nodes: BucketSet,
    /// Owns what it would not, and the other way round. Linux's `!`.
    pub invert: bool,
}

impl NodeMask {
    /// Whether the flows of `bucket` are this node's.
    pub fn owns(&self, bucket: BucketId) -> bool {
        self.local_nodes.contains(bucket) != self.invert
    }
}

/// The nodes of the cluster, and which buckets are whose.
///
/// A flow is its owner's at birth for as long as that node lives without a break, else the map's. All nodes must be
/// told the same: of the map, and of deaths. A node that others gave up and that never stopped itself must be told of
/// its own death too, or what its heirs have taken over has two owners.
#[derive(Clone, Debug)]
pub struct Members {
    /// Which of them this node is.
    pub me: MemberId,
    /// Whose the flows are that begin now, by [`BucketId`]. A bucket of nobody, of a node that does not live, or
    /// beyond the end is a hole: nobody forwards its new flows.
    pub map: Vec<Option<MemberId>>,
    /// The nodes that live, with the epoch of the first snapshot that said so without a break since. Whoever dies is
    /// taken out, and comes back with the epoch of its return: what was born to it before goes by the map.
    pub living: BTreeMap<MemberId, Epoch>,
    /// This node has not been here for as long as flows are silent. What it hears first of a flow need not be the
    /// flow's first packet, so it picks up connections in mid-stream too. The map should have nothing for it.
    pub learning: bool,
}

impl Members {
    /// Whether the flows of `bucket` that begin now are this node's.
    pub fn owns(&self, bucket: BucketId) -> bool {
        let owner = self.map.get(bucket.index()).copied().flatten();
        owner == Some(self.me) && self.living.contains_key(&self.me)
    }
}

/// How it is known which part of the hash space is whose.
#[derive(Clone, Debug)]
pub enum Membership {
    /// By numbers: whether a flow is this node's goes by its bucket at any moment, so that an operator's change takes
    /// effect at once.
    Mask(NodeMask),
    /// By named nodes: a flow keeps its owner.
    Members(Members),
}

/// This node's part of its cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Into how many buckets the hash space is cut; 1 to [`BUCKETS_MAX`]. Linux's `--cluster-total-nodes`.
    pub total_nodes: u16,
    /// Linux's `--cluster-hash-seed`.
    pub hash_seed: u32,
    /// Which of them are whose.
    pub membership: Membership,
    /// Whose flows are tracked.
    pub tracking: Tracking,
    /// Frames that are not IP.
    pub non_ip: Share,
    /// IP packets that are never tracked: neighbour discovery, multicast listener discovery.
    pub untracked: Share,
}

impl Cluster {
    /// Whether the flows of `bucket` that begin now are this node's.
    pub fn owns(&self, bucket: BucketId) -> bool {
        match &self.membership {
            Membership::Mask(mask) => mask.owns(bucket),
            Membership::Members(members) => members.owns(bucket),
        }
    }

    /// Whether a flow of `bucket` that is `owner`'s is this node's.
    pub fn forwards(&self, bucket: BucketId, owner: Option<MemberId>) -> bool {
        match &self.membership {
            Membership::Mask(mask) => mask.owns(bucket),
            Membership::Members(members) => owner == Some(members.me),
        }
    }

    /// The numbers that are this node's, where it goes by numbers.
    pub fn mask(&self) -> Option<&NodeMask> {
        match &self.membership {
            Membership::Mask(mask) => Some(mask),
            Membership::Members(_) => None,
        }
    }

    /// Like [`Cluster::mask`].
    pub fn mask_mut(&mut self) -> Option<&mut NodeMask> {
        match &mut self.membership {
            Membership::Mask(mask) => Some(mask),
            Membership::Members(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_set_is_a_set() {
        let [first, last] = [0, BUCKETS_MAX - 1].map(|i| BucketId::new(i).unwrap());
        let mut set: BucketSet = [first, last, last].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [first, last]);
        assert!(!set.insert(first) && set.remove(first) && !set.remove(first));
        assert_eq!(set.len(), 1);
        assert!(!set.is_empty());
    }
}
