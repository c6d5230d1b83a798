//! The flow table of one worker: records, index, timers, all allocated at the start.

mod eviction;

use super::index::Index;
use super::record::{Cold, Extra, Flags, Hot};
use super::wheel::{Link, Links, Wheel};
use crate::key::FlowKey;
use crate::prefetch::prefetch;
use crate::units::Tick;
use eviction::FRUITLESS_SEARCHES_A_TURN;

/// Of this many flows one can have a helper or a master.
const FLOWS_AN_EXTRA: usize = 4;

/// The record that so many new flows later will have is fetched with each new flow.
const FETCHED_AHEAD: usize = 4;

/// A record's number, good while the flow lives.
pub type RecordId = u32;

/// The flow table of one worker.
#[derive(Debug)]
pub struct FlowTable {
    index: Index,
    records: Vec<Record>,
    extras: Vec<Extra>,
    links: Vec<Link>,
    wheel: Wheel,
    /// The last record that has got a flow, if it is not in the wheel yet: what its first packet comes to may give it
    /// another deadline. It is filed when the next one comes, or a turn ends.
    unfiled: Option<RecordId>,
    /// Records without a flow; the last one is the next to have one.
    free: Vec<RecordId>,
    free_extras: Vec<u32>,
    secret: u64,
    /// Grows with every flow that comes or goes: a look-up made before is stale when it has changed.
    changes: u64,
    /// Where the search for flows that may be evicted goes on.
    rover: RecordId,
    /// Searches of this turn that may still find none.
    searches_left: u32,
}

/// Where a table has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Each record is in use.
    Records,
    /// Each extra line is in use, and the flow needs one.
    Extras,
    /// The index has no place for this hash. No other flow's end is known to help.
    Index,
}

/// A flow's two lines, side by side.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
struct Record {
    hot: Hot,
    cold: Cold,
}

/// What the wheel needs of the records.
struct Timers<'a> {
    records: &'a [Record],
    links: &'a mut [Link],
    index: &'a Index,
    secret: u64,
}

impl Links for Timers<'_> {
    #[inline]
    fn link(&mut self, record: u32) -> &mut Link {
        &mut self.links[record as usize]
    }

    #[inline]
    fn deadline(&self, record: u32) -> Tick {
        self.records[record as usize].hot.deadline
    }

    #[inline]
    fn fetch(&self, record: u32) {
        prefetch(&self.records[record as usize].hot);
    }

    #[inline]
    fn fetch_end(&self, record: u32, now: Tick) {
        let hot = &self.records[record as usize].hot;
        if now.reached(hot.deadline) {
            self.index.prefetch(hot.key.hash(self.secret));
            prefetch(&self.records[record as usize].cold);
        }
    }
}

impl FlowTable {
    /// A table for `flows_max` flows (at least one); `secret` seeds its hash.
    pub fn new(flows_max: u32, secret: u64, now: Tick) -> Self {
        let size = flows_max.max(1) as usize;
        let extras = size.div_ceil(FLOWS_AN_EXTRA);
        Self {
            index: Index::with_capacity(size),
            records: vec![Record { hot: Hot::free(), cold: Cold::default() }; size],
            extras: vec![Extra::default(); extras],
            links: vec![Link::default(); size],
            wheel: Wheel::new(now),
            unfiled: None,
            free: (0..flows_max.max(1)).rev().collect(),
            free_extras: (0..u32::try_from(extras).unwrap_or(u32::MAX)).rev().collect(),
            secret,
            changes: 0,
            rover: 0,
            searches_left: FRUITLESS_SEARCHES_A_TURN,
        }
    }

    /// Flows it can hold.
    pub fn capacity(&self) -> usize {
        self.records.len()
    }

    /// Flows it holds.
    pub fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes whenever a flow comes or goes.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// First step of a look-up: hash the key, fetch its index line.
    #[inline]
    pub fn prepare(&self, key: &FlowKey) -> u64 {
        let hash = key.hash(self.secret);
        self.index.prefetch(hash);
        hash
    }

    /// Second step: read the index line, fetch the record that may be the one.
    #[inline(always)]
    pub fn candidate(&self, hash: u64) -> Option<RecordId> {
        let record = self.index.candidate(hash)?;
        self.fetch(record);
        Some(record)
    }

    /// Third step: whether the candidate is the one.
    #[inline]
    pub fn is(&self, record: RecordId, key: &FlowKey) -> bool {
        let hot = &self.records[record as usize].hot;
        hot.key == *key && hot.flags.has(Flags::LIVE)
    }

    /// The flow of this name, all three steps at once.
    pub fn find(&self, key: &FlowKey, hash: u64) -> Option<RecordId> {
        self.index.find(hash, |record| self.is(record, key))
    }

    /// [`FlowTable::find`] for a key that was not prepared.
    pub fn find_key(&self, key: &FlowKey) -> Option<RecordId> {
        self.find(key, key.hash(self.secret))
    }

    /// Adds a flow that is not there.
    ///
    /// # Errors
    /// Where there is no room: evict a [`FlowTable::victim`] first, or refuse the flow.
    pub fn insert(
        &mut self,
        hash: u64,
        hot: &Hot,
        cold: &Cold,
        extra: Option<Extra>,
    ) -> Result<RecordId, Full> {
        debug_assert!(self.find(&hot.key, hash).is_none(), "a flow is inserted once");
        if extra.is_some() && self.free_extras.is_empty() {
            return Err(Full::Extras);
        }
        let record = *self.free.last().ok_or(Full::Records)?;
        if !self.index.insert(hash, record) {
            return Err(Full::Index);
        }
        self.free.pop();
        if let Some(next) = self.free.iter().nth_back(FETCHED_AHEAD) {
            self.fetch(*next);
            prefetch(self.links.as_ptr().wrapping_add(*next as usize));
        }
        let Record { hot: new, cold: its } = &mut self.records[record as usize];
        (*new, *its) = (*hot, *cold);
        new.flags.set(Flags::LIVE);
        new.extra = Hot::NO_EXTRA;
        if let Some((extra, slot)) = extra.and_then(|extra| Some((extra, self.free_extras.pop()?))) {
            self.extras[slot as usize] = extra;
            new.extra = slot;
        }
        self.file();
        self.unfiled = Some(record);
        self.changes += 1;
        Ok(record)
    }

    /// Puts the flow that came last into the wheel.
    #[inline]
    fn file(&mut self) {
        if let Some(record) = self.unfiled.take() {
            let (wheel, mut timers) = self.timers();
            wheel.insert(&mut timers, record);
        }
    }

    /// Takes a flow out of the wheel, if it is in there.
    #[inline]
    fn unfile(&mut self, record: RecordId) {
        if self.unfiled == Some(record) {
            self.unfiled = None;
        } else {
            let (wheel, mut timers) = self.timers();
            wheel.remove(&mut timers, record);
        }
    }

    /// Ends a flow.
    pub fn remove(&mut self, record: RecordId) {
        self.unfile(record);
        self.forget(record);
    }

    /// A turn ends: what comes next is to [`FlowTable::expire`].
    pub fn end_turn(&mut self) {
        self.searches_left = FRUITLESS_SEARCHES_A_TURN;
        self.file();
    }

    /// The next flow whose time has run out; it is still there and no longer in the wheel: [`FlowTable::forget`] it.
    pub fn expire(&mut self, now: Tick, budget: &mut u32) -> Option<RecordId> {
        let (wheel, mut timers) = self.timers();
        wheel.expire(&mut timers, now, budget)
    }

    /// Gives a record back that is not in the wheel.
    pub fn forget(&mut self, record: RecordId) {
        let hot = &mut self.records[record as usize].hot;
        debug_assert!(hot.flags.has(Flags::LIVE), "a flow ends once");
        let removed = self.index.remove(hot.key.hash(self.secret), record);
        debug_assert!(removed, "each live flow is in the index");
        if hot.extra != Hot::NO_EXTRA {
            self.free_extras.push(hot.extra);
        }
        *hot = Hot::free();
        self.free.push(record);
        self.changes += 1;
    }

    /// Fetches both lines of a record.
    #[inline(always)]
    fn fetch(&self, record: RecordId) {
        let lines = self.records.as_ptr().wrapping_add(record as usize);
        prefetch(lines);
        prefetch(lines.cast::<Hot>().wrapping_add(1));
    }

    #[inline]
    fn timers(&mut self) -> (&mut Wheel, Timers<'_>) {
        let Self { wheel, records, links, index, secret, .. } = self;
        (wheel, Timers { records, links, index, secret: *secret })
    }

    /// The hot line of a flow.
    #[inline]
    pub fn hot(&self, record: RecordId) -> &Hot {
        &self.records[record as usize].hot
    }

    /// Like [`FlowTable::hot`]. The key is not the caller's to change, nor the deadline: that is
    /// [`FlowTable::set_deadline`]'s.
    #[inline]
    pub fn hot_mut(&mut self, record: RecordId) -> &mut Hot {
        &mut self.records[record as usize].hot
    }

    /// Both lines of a flow.
    #[inline]
    pub fn lines_mut(&mut self, record: RecordId) -> (&mut Hot, &mut Cold) {
        let Record { hot, cold } = &mut self.records[record as usize];
        (hot, cold)
    }

    /// The cold line of a flow.
    #[inline]
    pub fn cold(&self, record: RecordId) -> &Cold {
        &self.records[record as usize].cold
    }

    /// Sets a flow's deadline, whichever way it moves.
    #[inline(always)]
    pub fn set_deadline(&mut self, record: RecordId, deadline: Tick) {
        let hot = &mut self.records[record as usize].hot;
        let is_unfiled = || self.unfiled == Some(record);
        if deadline.reached(hot.deadline) || self.wheel.is_far(deadline) || is_unfiled() {
            hot.deadline = deadline;
        } else {
            self.hasten(record, deadline);
        }
    }

    /// Brings a flow's deadline forward to one that is near.
    #[inline(never)]
    fn hasten(&mut self, record: RecordId, deadline: Tick) {
        let (wheel, mut timers) = self.timers();
        wheel.remove(&mut timers, record);
        self.hot_mut(record).deadline = deadline;
        let (wheel, mut timers) = self.timers();
        wheel.insert(&mut timers, record);
    }

    /// The extra line of a flow that has one.
    #[inline]
    pub fn extra(&self, record: RecordId) -> Option<&Extra> {
        self.extras.get(self.records[record as usize].hot.extra as usize)
    }

    /// Like [`FlowTable::extra`].
    #[inline]
    pub fn extra_mut(&mut self, record: RecordId) -> Option<&mut Extra> {
        self.extras.get_mut(self.records[record as usize].hot.extra as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Address, Endpoint, Family};
    use proptest::prelude::*;

    #[test]
    fn the_flow_that_came_last_ends_by_the_deadline_that_it_has_by_then() {
        let at = |s: u64| Tick::from_ms(s * 1000);
        let mut table = FlowTable::new(8, 0x5eed, at(0));
        let open = |table: &mut FlowTable, n: u64| {
            let hot = Hot { key: key_of(n, 0, 0), deadline: at(120), ..Hot::free() };
            table.insert(table.prepare(&hot.key), &hot, &Cold::default(), None).unwrap()
        };
        let [first, removed, last] = [1, 2, 3].map(|n| {
            let record = open(&mut table, n);
            table.set_deadline(record, at(20 * n));
            if n == 2 {
                table.remove(record);
            }
            record
        });
        assert_eq!(removed, last, "its record is free again");
        let mut ended = Vec::new();
        for s in 0..=60 {
            let mut budget = 100;
            table.end_turn();
            while let Some(record) = table.expire(at(s), &mut budget) {
                table.forget(record);
                ended.push((s, record));
            }
        }
        assert_eq!(ended, [(20, first), (60, last)]);
        let record = open(&mut table, 4);
        table.end_turn();
        assert_eq!(table.expire(at(60), &mut 100), None);
        table.set_deadline(record, at(70));
        while table.expire(at(69), &mut 100).is_some() {}
        assert_eq!(table.expire(at(70), &mut 100), Some(record), "later ones move");
    }

    /// Keys as an attacker would choose them: they differ in a few bits of one field.
    fn key_of(n: u64, field: u32, shift: u32) -> FlowKey {
        let bits = n.rotate_left(shift);
        let (high, low, port) = match field {
            0 => (bits, 1, 1024),
            1 => (0x2001_0db8 << 32, bits, 1024),
            2 => (bits, bits, 1024),
            _ => (0x2001_0db8 << 32, n >> 16, u16::try_from(n & 0xffff).unwrap()),
        };
        let address = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        let server = Endpoint::new(Address::v6([0xfe; 16]), 80);
        FlowKey::sorted(Family::V6, 6, Endpoint::new(Address::v6(address), port), server).0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn each_record_can_have_a_flow_whatever_the_keys(
            size in prop_oneof![1u32..40, 1000u32..20_000],
            occupied_percent in prop_oneof![Just(95u32), Just(100u32)],
            field in 0u32..4,
            shift in 0u32..64,
            secret in any::<u64>(),
        ) {
            let mut table = FlowTable::new(size, secret, Tick::default());
            let live = (size * occupied_percent).div_ceil(100);
            let key = |n: u32| key_of(n.into(), field, shift);
            let hot = |n| Hot { key: key(n), deadline: Tick::from_count(1 << 20), ..Hot::free() };
            for n in 0..live {
                prop_assert!(table.insert(table.prepare(&key(n)), &hot(n), &Cold::default(), None).is_ok());
            }
            // As many again come as the oldest go.
            for n in 0..live {
                table.remove(table.find_key(&key(n)).unwrap());
                let new = live + n;
                prop_assert!(table.insert(table.prepare(&key(new)), &hot(new), &Cold::default(), None).is_ok());
            }
            for n in 0..live {
                let hash = table.prepare(&key(live + n));
                let record = table.find(&key(live + n), hash);
                prop_assert!(table.is(record.unwrap(), &key(live + n)) && table.candidate(hash).is_some());
                prop_assert_eq!(table.find_key(&key(n)), None);
            }
            prop_assert_eq!(table.len(), live as usize);
        }
    }
}
