//! Who forwards a flow: its owner at birth while that node lives, else whom the map names for its bucket.
//!
//! A flow keeps its owner, so a new map among the living moves new flows only, and a death moves all flows of the dead
//! node at once, each when its next packet comes. Where a node has its part of the hash space by numbers, no owner
//! lives on: whose a flow is goes by the numbers in force.
//!
//! Maps are made elsewhere; here they are looked up.

use crate::config::{Cluster, Membership};
use crate::units::{BUCKETS_MAX, BucketId, Epoch, MEMBERS_MAX, MemberId};

/// Whose flows are whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerMap {
    me: MemberId,
    learning: bool,
    named: bool,
    map: [Option<MemberId>; BUCKETS_MAX],
    /// Since when each of them lives.
    living: [Option<Epoch>; MEMBERS_MAX],
}

impl OwnerMap {
    /// The table of one node. Whose share is numbers is [`MemberId::FIRST`]; what is not its own is nobody's.
    pub fn compile(cluster: &Cluster) -> Self {
        let mut owners = Self {
            me: MemberId::FIRST,
            learning: false,
            named: false,
            map: [None; BUCKETS_MAX],
            living: [None; MEMBERS_MAX],
        };
        let buckets = || (0..usize::from(cluster.total_nodes)).filter_map(BucketId::new);
        match &cluster.membership {
            Membership::Mask(mask) => {
                for bucket in buckets() {
                    owners.map[bucket.index()] = mask.owns(bucket).then_some(owners.me);
                }
            }
            Membership::Members(members) => {
                (owners.me, owners.learning, owners.named) = (members.me, members.learning, true);
                for (member, since) in &members.living {
                    owners.living[member.index()] = Some(*since);
                }
                for (bucket, owner) in buckets().zip(&members.map) {
                    owners.map[bucket.index()] = owner.filter(|owner| owners.lives(*owner));
                }
            }
        }
        owners
    }

    /// Which member this node is.
    #[inline]
    pub fn me(&self) -> MemberId {
        self.me
    }

    /// Whose a flow of `bucket` is that begins now; `None`: nobody's, or that of a node of which nothing is known.
    #[inline]
    pub fn owner(&self, bucket: BucketId) -> Option<MemberId> {
        self.map[bucket.index()]
    }

    /// Whether what was `owner`'s at the epoch `then` still is.
    #[inline]
    pub fn keeps(&self, owner: MemberId, then: Epoch) -> bool {
        self.living[owner.index()].is_some_and(|since| since <= then)
    }

    /// Whether owners are named, and not only this node's part of the hash space.
    #[inline]
    pub fn names_owners(&self) -> bool {
        self.named
    }

    /// Whether this node has come too lately to know which flows are new.
    #[inline]
    pub fn is_learning(&self) -> bool {
        self.learning
    }

    /// Whether no other node lives that could own what this one knows nothing of.
    pub fn is_alone(&self) -> bool {
        self.living.iter().enumerate().all(|(member, since)| since.is_none() || member == self.me.index())
    }

    /// Whose a flow would be if `dead` died: it keeps its `birth` owner, or goes by the map. `None`: that is for the
    /// map to say that is made then.
    pub fn owner_if(&self, bucket: BucketId, birth: Option<MemberId>, dead: MemberId) -> Option<MemberId> {
        let kept = birth.filter(|owner| self.lives(*owner) && *owner != dead);
        kept.or_else(|| self.owner(bucket).filter(|owner| *owner != dead))
    }

    /// Whether a node lives.
    pub fn lives(&self, member: MemberId) -> bool {
        self.living[member.index()].is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Members, NodeMask, Share, Tracking};
    use proptest::prelude::*;

    const TOTAL_NODES: u16 = 4;

    fn compile(membership: Membership) -> OwnerMap {
        OwnerMap::compile(&Cluster {
            total_nodes: TOTAL_NODES,
            hash_seed: 0,
            membership,
            tracking: Tracking::All,
            non_ip: Share::Owner,
            untracked: Share::Owner,
        })
    }

    fn mask(local: &[usize], invert: bool) -> OwnerMap {
        let local_nodes = local.iter().filter_map(|bucket| BucketId::new(*bucket)).collect();
        compile(Membership::Mask(NodeMask { local_nodes, invert }))
    }

    fn member(index: usize) -> MemberId {
        MemberId::new(index).unwrap()
    }

    fn epoch(number: u32) -> Epoch {
        (1..number).fold(Epoch::FIRST, |epoch, _| epoch.next())
    }

    /// Node 0 of those that live, each since an epoch; the map by bucket.
    fn members(living: &[(usize, u32)], map: &[Option<usize>]) -> OwnerMap {
        compile(Membership::Members(Members {
            me: member(0),
            map: map.iter().map(|owner| owner.map(member)).collect(),
            living: living.iter().map(|(index, since)| (member(*index), epoch(*since))).collect(),
            learning: false,
        }))
    }

    fn map(owners: &OwnerMap) -> Vec<Option<usize>> {
        let buckets = (0..usize::from(TOTAL_NODES)).filter_map(BucketId::new);
        buckets.map(|bucket| owners.owner(bucket).map(MemberId::index)).collect()
    }

    #[test]
    fn by_numbers_a_node_has_several_buckets_or_all_but_one_and_knows_no_other_owner() {
        assert_eq!(map(&mask(&[0, 3], false)), [Some(0), None, None, Some(0)]);
        assert_eq!(map(&mask(&[2], true)), [Some(0), Some(0), None, Some(0)]);
    }

    #[test]
    fn by_numbers_no_owner_lives_on() {
        assert!(!mask(&[0, 1, 2, 3], false).keeps(MemberId::FIRST, epoch(1)));
    }

    #[test]
    fn buckets_of_nobody_of_the_dead_and_beyond_the_map_are_holes() {
        let owners = members(&[(0, 1), (1, 1)], &[Some(1), None, Some(2)]);
        assert_eq!(map(&owners), [Some(1), None, None, None]);
    }

    #[test]
    fn a_flow_is_its_owners_while_that_node_lives_without_a_break() {
        let owners = members(&[(0, 1), (1, 5)], &[]);
        assert!(owners.keeps(member(0), epoch(1)));
        assert!(owners.keeps(member(1), epoch(5)));
        assert!(!owners.keeps(member(1), epoch(4)), "it has been dead since");
        assert!(!owners.keeps(member(2), epoch(5)));
    }

    #[test]
    fn a_death_would_move_what_is_the_dead_ones_and_nothing_else() {
        let owners = members(&[(0, 1), (1, 1), (2, 1)], &[Some(0), Some(1), None, None]);
        let bucket = |index| BucketId::new(index).unwrap();
        assert_eq!(owners.owner_if(bucket(0), Some(member(1)), member(2)), Some(member(1)));
        assert_eq!(owners.owner_if(bucket(0), Some(member(1)), member(1)), Some(member(0)));
        assert_eq!(owners.owner_if(bucket(0), Some(member(3)), member(1)), Some(member(0)), "3 is dead");
        assert_eq!(owners.owner_if(bucket(1), Some(member(1)), member(1)), None, "a matter of the next map");
        assert_eq!(owners.owner_if(bucket(2), None, member(1)), None);
    }

    proptest! {
        #[test]
        fn of_nodes_with_a_number_each_exactly_one_owns_each_bucket(bucket in 0..4usize, invert: bool) {
            let bucket = BucketId::new(bucket).unwrap();
            let nodes = (0..usize::from(TOTAL_NODES)).map(|node| mask(&[node], invert));
            let owners = nodes.filter(|node| node.owner(bucket) == Some(node.me())).count();
            prop_assert_eq!(owners, if invert { 3 } else { 1 });
        }
    }
}
