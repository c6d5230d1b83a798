//! Which node owns which bucket: weighted rendezvous hashing over the seats of a proposal.
//!
//! Each seat has a score for each bucket, and the lowest one owns it (Highest Random Weight; Thaler and Ravishankar
//! 1998, with the weights of Schindelhauer and Schomaker 2005: -ln(h) / w for h uniform in (0, 1]). A seat's score
//! depends on its name, its weight and the bucket alone. So a seat that goes leaves only its own buckets to others, and
//! one that comes takes from others only what it gets. All of it is integer arithmetic: the logarithm has base two and
//! 32 binary places, and scores are compared as fractions by cross multiplication. So machines cannot differ.
//!
//! The same ranking says who inherits: of a bucket whose owner is dead, the next seat in rank that lives. A map made
//! without the dead gives the bucket to that same seat.

use super::hash::{hash, mixed};
use super::proposal::{MapEpoch, Proposal, Seat};
use weir_dataplane::units::{BUCKETS_MAX, BucketId};

/// A computed map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnershipMap {
    epoch: MapEpoch,
    seats: Vec<Seat>,
    settles: bool,
    /// For each bucket all positions in `seats`, the owner first, then the heirs.
    ranked: Vec<Vec<u16>>,
}

impl OwnershipMap {
    /// The map that `proposal` makes.
    #[expect(clippy::cast_possible_truncation, reason = "seats are as many as nodes, buckets at most 1024")]
    pub fn compute(proposal: &Proposal) -> Self {
        let roster = proposal.roster();
        let names: Vec<u64> =
            roster.seats.iter().map(|seat| hash(&[seat.name.as_str().as_bytes()])).collect();
        let rank = |bucket: u16| {
            let mut scored: Vec<_> = (0..roster.seats.len() as u16)
                .map(|i| (surprise(mixed(names[usize::from(i)] ^ mixed(u64::from(bucket) + 1))), i))
                .collect();
            let weight = |i: u16| u64::from(roster.seats[usize::from(i)].weight.number());
            scored.sort_by(|(a, i), (b, j)| (a * weight(*j)).cmp(&(b * weight(*i))).then(i.cmp(j)));
            let mut ranked: Vec<u16> = scored.into_iter().map(|(_, i)| i).collect();
            let pin = roster.pins.get(&bucket);
            if let Some(at) =
                pin.and_then(|pin| ranked.iter().position(|i| roster.seats[usize::from(*i)].name == *pin))
            {
                ranked[..=at].rotate_right(1);
            }
            ranked
        };
        Self {
            epoch: proposal.epoch().clone(),
            seats: roster.seats.clone(),
            settles: roster.settles,
            ranked: (0..roster.total_nodes.min(BUCKETS_MAX as u16)).map(rank).collect(),
        }
    }

    /// Which map this is.
    pub const fn epoch(&self) -> &MapEpoch {
        &self.epoch
    }

    /// Who may own buckets.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Whether flows decided before it are to be decided anew by it.
    pub const fn settles(&self) -> bool {
        self.settles
    }

    /// All buckets, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = BucketId> + use<> {
        (0..self.ranked.len()).filter_map(BucketId::new)
    }

    /// Whose a bucket is while those live of whom `lives` says so; `None` when nobody with a seat does.
    pub fn owner(&self, bucket: BucketId, lives: impl Fn(&Seat) -> bool) -> Option<&Seat> {
        let ranked = self.ranked.get(bucket.index())?;
        ranked.iter().map(|i| &self.seats[usize::from(*i)]).find(|seat| lives(seat))
    }
}

/// -log2(h / 2^64) with 32 binary places, for `h` of 1 to 2^64 - 1 (0 is taken as 1): how unlikely it is that a
/// uniform number is below `h`. By repeated squaring: each square that passes 2 yields a binary place.
fn surprise(h: u64) -> u64 {
    let h = h.max(1);
    let whole = u64::from(63 - h.leading_zeros());
    let mut mantissa = h << h.leading_zeros();
    let mut log = whole << 32;
    for place in (0..32).rev() {
        // 1.63 squared is 2.126; its top 64 bits are 2.62.
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carries = square >> 127 == 1;
        log |= u64::from(carries) << place;
        #[expect(clippy::cast_possible_truncation, reason = "the shift leaves 64 bits")]
        {
            mantissa = (square >> if carries { 64 } else { 63 }) as u64;
        }
    }
    (64 << 32) - log
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::member::{Incarnation, Weight};
    use crate::cluster::proposal::Roster;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn compute(total_nodes: u16, seats: &BTreeMap<u16, u16>, pins: &[(u16, u16)]) -> OwnershipMap {
        let name = |id: u16| format!("node-{id}").parse().unwrap();
        let seat = |(id, weight): (&u16, &u16)| Seat {
            name: name(*id),
            incarnation: Incarnation(1),
            weight: Weight::new(*weight).unwrap(),
        };
        let roster = Roster {
            total_nodes,
            seats: seats.iter().map(seat).collect(),
            pins: pins.iter().map(|(bucket, id)| (*bucket, name(*id))).collect(),
            settles: false,
        };
        OwnershipMap::compute(&Proposal::after(0, &name(0), roster))
    }

    fn owners(map: &OwnershipMap) -> Vec<String> {
        map.buckets().map(|bucket| map.owner(bucket, |_| true).unwrap().name.to_string()).collect()
    }

    #[test]
    fn a_logarithm_has_the_value_that_it_should() {
        assert_eq!(surprise(1), 64 << 32);
        assert_eq!(surprise(0), 64 << 32);
        assert_eq!(surprise(1 << 63), 1 << 32);
        for h in [3, 0x1234_5678, 0xdead_beef_0000_0001, u64::MAX - 1] {
            #[expect(clippy::cast_precision_loss, reason = "a comparison within one part in a million")]
            let (fixed, float) = (surprise(h) as f64 / 4_294_967_296.0, 64.0 - (h as f64).log2());
            assert!((fixed - float).abs() < 1e-6, "{h}: {fixed} is not {float}");
        }
    }

    /// Literal owners: a change of any part of the computation would tear a cluster of two versions apart.
    #[test]
    fn the_map_of_three_nodes_is_this_one() {
        let map = compute(12, &BTreeMap::from([(1, 100), (2, 100), (3, 200)]), &[]);
        let owners: Vec<_> = owners(&map).iter().map(|name| name.as_bytes()[5] - b'0').collect();
        assert_eq!(owners, THREE);
    }

    const THREE: [u8; 12] = [3, 2, 2, 2, 3, 1, 1, 3, 3, 3, 1, 3];

    #[test]
    fn buckets_go_by_weight() {
        let map = compute(1024, &BTreeMap::from([(1, 100), (2, 100), (3, 200), (4, 400)]), &[]);
        let mut share = BTreeMap::new();
        for owner in owners(&map) {
            *share.entry(owner).or_insert(0_u32) += 1;
        }
        // Binomial: four standard deviations are below 64 of 1024.
        for (node, expected) in [("node-1", 128), ("node-2", 128), ("node-3", 256), ("node-4", 512)] {
            assert!(share[node].abs_diff(expected) < 64, "{node}: {}", share[node]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_node_that_goes_moves_only_its_buckets_and_one_that_comes_takes_only_what_it_gets(
            seats in prop::collection::btree_map(0..40_u16, 1..1000_u16, 2..12),
            total in 1..128_u16, which: prop::sample::Index,
        ) {
            let gone = *which.get(&seats.keys().copied().collect::<Vec<_>>());
            let mut rest = seats.clone();
            rest.remove(&gone);
            let (with, without) = (compute(total, &seats, &[]), compute(total, &rest, &[]));
            let name = format!("node-{gone}");
            for (before, after) in owners(&with).iter().zip(owners(&without)) {
                prop_assert!(*before == after || *before == name);
            }
            let heirs = with.buckets().map(|b| with.owner(b, |seat| seat.name.as_str() != name).unwrap().name.to_string());
            prop_assert_eq!(heirs.collect::<Vec<_>>(), owners(&without), "the heir is whom the next map names");
        }

        #[test]
        fn a_heavier_node_only_gains(
            seats in prop::collection::btree_map(0..40_u16, 1..1000_u16, 2..12), more in 1..1000_u16,
        ) {
            let id = *seats.keys().next().unwrap();
            let mut heavier = seats.clone();
            *heavier.get_mut(&id).unwrap() += more;
            let (before, after) = (compute(64, &seats, &[]), compute(64, &heavier, &[]));
            let name = format!("node-{id}");
            for (before, after) in owners(&before).into_iter().zip(owners(&after)) {
                prop_assert!(before == after || after == name);
            }
        }

        #[test]
        fn a_pin_moves_its_bucket_alone_and_ends_with_its_node(
            seats in prop::collection::btree_map(0..40_u16, 1..1000_u16, 2..12),
            bucket in 0..32_u16, which: prop::sample::Index,
        ) {
            let pinned = *which.get(&seats.keys().copied().collect::<Vec<_>>());
            let (free, held) = (compute(32, &seats, &[]), compute(32, &seats, &[(bucket, pinned)]));
            let moved: BTreeSet<_> = free.buckets().filter(|b| free.owner(*b, |_| true) != held.owner(*b, |_| true)).collect();
            let id = BucketId::new(usize::from(bucket)).unwrap();
            prop_assert!(moved.iter().all(|b| *b == id));
            let name = format!("node-{pinned}");
            prop_assert_eq!(held.owner(id, |_| true).unwrap().name.as_str(), &name);
            let others = |seat: &Seat| seat.name.as_str() != name;
            prop_assert_eq!(held.owner(id, others), free.owner(id, others));
        }
    }

    #[test]
    fn without_living_seats_there_is_no_owner() {
        let map = compute(4, &BTreeMap::from([(1, 1)]), &[]);
        assert!(map.buckets().all(|bucket| map.owner(bucket, |_| false).is_none()));
        assert_eq!(compute(4, &BTreeMap::new(), &[]).owner(BucketId::default(), |_| true), None);
    }
}
