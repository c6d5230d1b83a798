//! The index of the flow table: from a key's hash to a record, one cache line a look.
//!
//! A bucket is one line: ten slots of a tag (15 bits of the hash) and a record's number. A record has two places,
//! its home bucket and one other that follows from home and tag alone. Only when its home is full does it go to the
//! other, and the home remembers how many it has sent away: a look-up reads a second line only for those.
//! When both are full, one slot of either moves to its own other place; that is all the moving there is, so an
//! insertion takes a bounded time. With five records to a bucket, the load that the table is sized for, that does not
//! fail in practice; if it did, the flow would be refused and counted.

use crate::prefetch::prefetch;
use wide::{i8x16, i16x16};

const SLOTS: usize = 10;

/// Records for each bucket: half of its slots. While flows come and go in a table that is full, 2 % of the records
/// stand in their other place; with six for each bucket it would be 5 %, with seven 12 %.
const RECORDS_A_BUCKET: usize = 5;

/// Set in a tag that stands in its home bucket.
const AT_HOME: u16 = 1 << 15;

/// Set in each tag, so that 0 is an empty slot.
const TAKEN: u16 = 1;

#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u16; SLOTS],
    /// Records whose home this is and that stand in their other place.
    sent_away: u16,
    spare: u16,
    records: [u32; SLOTS],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    /// The slots that hold `tag`, a bit each. All are compared at once.
    #[inline(always)]
    fn matches(&self, tag: u16) -> Slots {
        let mut lanes = [0; 16];
        for (lane, held) in lanes.iter_mut().zip(self.tags) {
            *lane = held.cast_signed();
        }
        let equal = i16x16::new(lanes).simd_eq(i16x16::splat(tag.cast_signed()));
        Slots(i8x16::from_i16x16_saturate(equal).to_bitmask() & ((1 << SLOTS) - 1))
    }

    /// The first record with this tag.
    #[inline(always)]
    fn first(&self, tag: u16) -> Option<u32> {
        self.matches(tag).next().map(|slot| self.records[slot])
    }

    /// The record with this tag that `is_it` recognises.
    #[inline]
    fn search(&self, tag: u16, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.matches(tag).map(|slot| self.records[slot]).find(|record| is_it(*record))
    }

    fn put(&mut self, tag: u16, record: u32) -> bool {
        let Some(slot) = self.matches(0).next() else { return false };
        self.tags[slot] = tag;
        self.records[slot] = record;
        true
    }

    fn clear(&mut self, tag: u16, record: u32) -> bool {
        let slot = self.matches(tag).find(|slot| self.records[*slot] == record);
        if let Some(slot) = slot {
            self.tags[slot] = 0;
        }
        slot.is_some()
    }
}

/// Slots of a bucket, a bit each, the first one's lowest.
#[derive(Clone, Copy, Debug)]
struct Slots(u32);

impl Iterator for Slots {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let slot = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (slot < SLOTS).then_some(slot)
    }
}

/// Where a hash belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    home: usize,
    /// As it stands at home.
    tag: u16,
}

/// From hash to record number.
#[derive(Debug)]
pub struct Index {
    buckets: Vec<Bucket>,
}

impl Index {
    /// An index for at most `records` records: 12.8 bytes for each.
    pub fn with_capacity(records: usize) -> Self {
        Self { buckets: vec![Bucket::default(); records.div_ceil(RECORDS_A_BUCKET).max(2)] }
    }

    /// Fetches the line that a look-up of `hash` reads first.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        prefetch(self.buckets.as_ptr().wrapping_add(self.place(hash).home));
    }

    /// A record that may be the one: its tag fits. For prefetching it.
    #[inline(always)]
    pub fn candidate(&self, hash: u64) -> Option<u32> {
        let Place { home, tag } = self.place(hash);
        let bucket = &self.buckets[home];
        if let Some(record) = bucket.first(tag) {
            return Some(record);
        }
        if bucket.sent_away == 0 {
            return None;
        }
        self.buckets[self.other(home, tag)].first(tag ^ AT_HOME)
    }

    /// The record with this hash that `is_it` recognises.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let Place { home, tag } = self.place(hash);
        let bucket = &self.buckets[home];
        if let Some(record) = bucket.search(tag, &is_it) {
            return Some(record);
        }
        if bucket.sent_away == 0 {
            return None;
        }
        self.buckets[self.other(home, tag)].search(tag ^ AT_HOME, is_it)
    }

    /// The records in this many buckets from the home of `hash` on.
    pub fn near(&self, hash: u64, buckets: usize) -> impl Iterator<Item = u32> + '_ {
        let (before, from) = self.buckets.split_at(self.place(hash).home);
        from.iter().chain(before).take(buckets).flat_map(|bucket| {
            let slots = bucket.tags.iter().zip(&bucket.records);
            slots.filter(|(tag, _)| **tag != 0).map(|(_, record)| *record)
        })
    }

    /// Adds a record that is not there; false when there is no room for it.
    pub fn insert(&mut self, hash: u64, record: u32) -> bool {
        let Place { home, tag } = self.place(hash);
        if self.buckets[home].put(tag, record) {
            return true;
        }
        let (other, away) = (self.other(home, tag), tag ^ AT_HOME);
        let mut sent = self.buckets[other].put(away, record);
        if !sent && self.make_room(home) {
            return self.buckets[home].put(tag, record);
        }
        sent = sent || self.make_room(other) && self.buckets[other].put(away, record);
        self.buckets[home].sent_away += u16::from(sent);
        sent
    }

    /// Removes a record; false when it was not there.
    pub fn remove(&mut self, hash: u64, record: u32) -> bool {
        let Place { home, tag } = self.place(hash);
        if self.buckets[home].clear(tag, record) {
            return true;
        }
        let other = self.other(home, tag);
        let removed = self.buckets[other].clear(tag ^ AT_HOME, record);
        if removed {
            self.buckets[home].sent_away -= 1;
        }
        removed
    }

    /// Moves one record out of the full bucket `crowded` to its other place.
    fn make_room(&mut self, crowded: usize) -> bool {
        for slot in 0..SLOTS {
            let (tag, record) = (self.buckets[crowded].tags[slot], self.buckets[crowded].records[slot]);
            let target = self.other(crowded, tag);
            if self.buckets[target].put(tag ^ AT_HOME, record) {
                self.buckets[crowded].tags[slot] = 0;
                if tag & AT_HOME == 0 {
                    self.buckets[target].sent_away -= 1;
                } else {
                    self.buckets[crowded].sent_away += 1;
                }
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn place(&self, hash: u64) -> Place {
        Place { home: self.scaled(hash), tag: (hash >> 48) as u16 | AT_HOME | TAKEN }
    }

    /// The second place. Both places of a tag are mirror images, so the second of the second is the first.
    #[inline(always)]
    fn other(&self, bucket: usize, tag: u16) -> usize {
        let mirror = self.scaled(u64::from(tag & !AT_HOME).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
        if bucket <= mirror { mirror - bucket } else { self.buckets.len() + mirror - bucket }
    }

    /// A bucket by the low half of a hash, for any number of buckets up to 2^32.
    #[inline(always)]
    fn scaled(&self, hash: u64) -> usize {
        (((hash & 0xffff_ffff) * self.buckets.len() as u64) >> 32) as usize
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "test sizes are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn hash(n: u32) -> u64 {
        (u64::from(n) + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[test]
    fn holds_all_it_is_sized_for_and_finds_each() {
        let records = 100_000;
        let mut index = Index::with_capacity(records as usize);
        for n in 0..records {
            assert!(index.insert(hash(n), n), "{n}");
        }
        for n in 0..records {
            assert_eq!(index.find(hash(n), |record| record == n), Some(n));
            assert!(index.candidate(hash(n)).is_some());
        }
        for n in 0..records {
            assert!(index.remove(hash(n), n) && !index.remove(hash(n), n));
        }
        assert!(index.buckets.iter().all(|bucket| bucket.sent_away == 0 && bucket.tags == [0; SLOTS]));
    }

    #[test]
    fn works_when_slots_are_nearly_all_taken() {
        let mut index = Index { buckets: vec![Bucket::default(); 1024] };
        let taken: Vec<u32> = (0..1024 * SLOTS as u32).filter(|n| index.insert(hash(*n), *n)).collect();
        assert!(taken.len() * 100 > 1024 * SLOTS * 90, "{}", taken.len());
        for n in &taken {
            assert_eq!(index.find(hash(*n), |record| record == *n), Some(*n));
        }
    }

    #[test]
    fn the_second_place_of_the_second_place_is_the_first() {
        for buckets in [2, 3, 1000, 1023] {
            let index = Index { buckets: vec![Bucket::default(); buckets] };
            for (bucket, n) in (0..buckets).flat_map(|bucket| (0..99).map(move |n| (bucket, hash(n)))) {
                let tag = index.place(n).tag;
                let other = index.other(bucket, tag);
                assert_eq!(index.other(other, tag ^ AT_HOME), bucket);
            }
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(operations in proptest::collection::vec((any::<bool>(), 0u32..64), 0..400)) {
            // Two buckets: everything collides.
            let mut index = Index { buckets: vec![Bucket::default(); 2] };
            let mut model = HashMap::new();
            for (insert, n) in operations {
                if insert && !model.contains_key(&n) {
                    if index.insert(hash(n), n) {
                        model.insert(n, ());
                    } else {
                        prop_assert!(model.len() > SLOTS);
                    }
                } else if !insert {
                    prop_assert_eq!(index.remove(hash(n), n), model.remove(&n).is_some());
                }
                for n in 0..64 {
                    let found = index.find(hash(n), |record| record == n);
                    prop_assert_eq!(found.is_some(), model.contains_key(&n));
                }
            }
        }
    }
}
