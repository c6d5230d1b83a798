//! The index of the flow table: from a key's hash to a record, one cache line a look.
//!
//! A bucket is one line: ten slots of a tag (15 bits of the hash) and a record's number. A record has two places,
//! its home bucket and one other that follows from home and tag alone. Only when its home is full does it go to the
//! other, and the home remembers how many it has sent away: a look-up reads a second line only for those.
//! When both are full, one slot of the home moves to its own other place; that is all the moving there is, so an
//! insertion takes a bounded time. At the load the table is sized for (at most 60 %) it practically never fails;
//! when it does, the flow is refused and counted.

use crate::prefetch::prefetch;

const SLOTS: usize = 10;

/// Set in a tag that stands in its home bucket. The 15 bits below are never 0, so that 0 is an empty slot.
const AT_HOME: u16 = 1 << 15;

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
    #[inline]
    fn matches(&self, tag: u16) -> u32 {
        let mut found = 0;
        for (slot, held) in self.tags.iter().enumerate() {
            found |= u32::from(*held == tag) << slot;
        }
        found
    }

    fn put(&mut self, tag: u16, record: u32) -> bool {
        let Some(slot) = self.tags.iter().position(|held| *held == 0) else { return false };
        self.tags[slot] = tag;
        self.records[slot] = record;
        true
    }
}

/// Where a hash belongs.
#[derive(Clone, Copy, Debug)]
struct Place {
    home: usize,
    tag: u16,
}

/// From hash to record number.
#[derive(Debug)]
pub struct Index {
    buckets: Vec<Bucket>,
    mask: usize,
}

impl Index {
    /// An index for at most `records` records, filled to 60 % by them.
    pub fn with_capacity(records: usize) -> Self {
        let buckets = (records * 10 / 6).div_ceil(SLOTS).next_power_of_two().max(2);
        Self { buckets: vec![Bucket::default(); buckets], mask: buckets - 1 }
    }

    /// Fetches the line that a look-up of `hash` reads first.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch(&self.buckets[self.place(hash).home]);
    }

    /// A record that may be the one: its tag fits. For prefetching it.
    #[inline]
    pub fn candidate(&self, hash: u64) -> Option<u32> {
        let place = self.place(hash);
        let bucket = &self.buckets[place.home];
        let found = bucket.matches(place.tag | AT_HOME);
        if found != 0 {
            return Some(bucket.records[found.trailing_zeros() as usize % SLOTS]);
        }
        if bucket.sent_away == 0 {
            return None;
        }
        let bucket = &self.buckets[self.other(place.home, place.tag)];
        let found = bucket.matches(place.tag);
        (found != 0).then(|| bucket.records[found.trailing_zeros() as usize % SLOTS])
    }

    /// The record with this hash that `is_it` recognises.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let place = self.place(hash);
        let bucket = &self.buckets[place.home];
        if let Some(record) = search(bucket, place.tag | AT_HOME, &is_it) {
            return Some(record);
        }
        if bucket.sent_away == 0 {
            return None;
        }
        search(&self.buckets[self.other(place.home, place.tag)], place.tag, &is_it)
    }

    /// The records in this many buckets from the home of `hash` on.
    pub fn near(&self, hash: u64, buckets: usize) -> impl Iterator<Item = u32> + '_ {
        let home = self.place(hash).home;
        (0..buckets).flat_map(move |step| {
            let bucket = &self.buckets[(home + step) & self.mask];
            let slots = bucket.tags.iter().zip(&bucket.records);
            slots.filter(|(tag, _)| **tag != 0).map(|(_, record)| *record)
        })
    }

    /// Adds a record that is not there; false when there is no room for it.
    pub fn insert(&mut self, hash: u64, record: u32) -> bool {
        let place = self.place(hash);
        if self.buckets[place.home].put(place.tag | AT_HOME, record) {
            return true;
        }
        let other = self.other(place.home, place.tag);
        if self.buckets[other].put(place.tag, record) {
            self.buckets[place.home].sent_away += 1;
            return true;
        }
        self.make_room(place.home) && self.buckets[place.home].put(place.tag | AT_HOME, record)
    }

    /// Removes a record; false when it was not there.
    pub fn remove(&mut self, hash: u64, record: u32) -> bool {
        let place = self.place(hash);
        if clear(&mut self.buckets[place.home], place.tag | AT_HOME, record) {
            return true;
        }
        let other = self.other(place.home, place.tag);
        let removed = clear(&mut self.buckets[other], place.tag, record);
        if removed {
            self.buckets[place.home].sent_away -= 1;
        }
        removed
    }

    /// Moves one record out of the full bucket `crowded` to its other place.
    fn make_room(&mut self, crowded: usize) -> bool {
        for slot in 0..SLOTS {
            let held = self.buckets[crowded].tags[slot];
            let (tag, record) = (held & !AT_HOME, self.buckets[crowded].records[slot]);
            let goes_home = held & AT_HOME == 0;
            let target = self.other(crowded, tag);
            let new_tag = if goes_home { tag | AT_HOME } else { tag };
            if self.buckets[target].put(new_tag, record) {
                self.buckets[crowded].tags[slot] = 0;
                if goes_home {
                    self.buckets[target].sent_away -= 1;
                } else {
                    self.buckets[crowded].sent_away += 1;
                }
                return true;
            }
        }
        false
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to the table, shifted to 15 bits")]
    fn place(&self, hash: u64) -> Place {
        Place { home: hash as usize & self.mask, tag: ((hash >> 49) as u16).max(1) }
    }

    /// The second place: an involution, so it leads back as well.
    #[inline]
    fn other(&self, bucket: usize, tag: u16) -> usize {
        bucket ^ ((usize::from(tag).wrapping_mul(0x5bd1_e995) | 1) & self.mask)
    }
}

#[inline]
fn search(bucket: &Bucket, tag: u16, is_it: &impl Fn(u32) -> bool) -> Option<u32> {
    let mut found = bucket.matches(tag);
    while found != 0 {
        let record = bucket.records[found.trailing_zeros() as usize % SLOTS];
        if is_it(record) {
            return Some(record);
        }
        found &= found - 1;
    }
    None
}

fn clear(bucket: &mut Bucket, tag: u16, record: u32) -> bool {
    let slot = (0..SLOTS).find(|slot| bucket.tags[*slot] == tag && bucket.records[*slot] == record);
    if let Some(slot) = slot {
        bucket.tags[slot] = 0;
    }
    slot.is_some()
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
        let mut index = Index { buckets: vec![Bucket::default(); 1024], mask: 1023 };
        let taken: Vec<u32> = (0..1024 * SLOTS as u32).filter(|n| index.insert(hash(*n), *n)).collect();
        assert!(taken.len() * 100 > 1024 * SLOTS * 90, "{}", taken.len());
        for n in &taken {
            assert_eq!(index.find(hash(*n), |record| record == *n), Some(*n));
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(operations in proptest::collection::vec((any::<bool>(), 0u32..64), 0..400)) {
            // Two buckets: everything collides.
            let mut index = Index { buckets: vec![Bucket::default(); 2], mask: 1 };
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
