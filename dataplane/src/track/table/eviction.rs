//! Which flow makes room when there is none.
//!
//! A search looks at a bounded number of records, and a turn makes a bounded number of searches that find nothing.

use super::{FETCHED_AHEAD, FlowTable, Full, Record, RecordId};
use crate::track::record::{Flags, Hot};

/// Records looked at for a flow that may be evicted, and then buckets.
const EVICTION_RECORDS: usize = 64;
const EVICTION_BUCKETS: usize = 8;

/// Searches of one turn that may find nothing. A flood of new flows into a table that is full of open ones must not keep
/// the turn from its end.
pub(super) const FRUITLESS_SEARCHES_A_TURN: u32 = 8;

/// From here on closing flows end early, so that new ones find room; Linux's share.
const NEARLY_FULL_PERCENT: u64 = 95;

/// What a flow is worth when room is needed. An open flow that has proven itself is worth more than any new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    Unproven,
    Closing,
    Open,
}

impl Worth {
    /// `None` for a record that no flow uses.
    fn of(hot: &Hot) -> Option<Self> {
        if !hot.flags.has(Flags::LIVE) {
            None
        } else if !hot.flags.has(Flags::ASSURED) {
            Some(Self::Unproven)
        } else if hot.class.is_closing() {
            Some(Self::Closing)
        } else {
            Some(Self::Open)
        }
    }
}

impl FlowTable {
    /// A flow to give up for a new one of this hash: one that has not proven itself, else one that is closing. Looks
    /// at a few records in the order of their numbers, which is about that of their age and costs no cache miss; then
    /// where Linux does, in the eight buckets from the new one's on. After some searches of a turn that found nothing
    /// it looks no more.
    pub fn victim(&mut self, hash: u64, full: Full) -> Option<RecordId> {
        if self.searches_left == 0 {
            return None;
        }
        let (mut closing, mut rover) = (None, self.rover);
        let mut is_unproven = |record: RecordId| match self.worth_to(record, full) {
            Some(Worth::Unproven) => true,
            Some(Worth::Closing) => {
                closing = closing.or(Some(record));
                false
            }
            _ => false,
        };
        let next = (0..EVICTION_RECORDS).find_map(|_| {
            let record = rover;
            rover = self.after(record);
            is_unproven(record).then_some(record)
        });
        let unproven =
            next.or_else(|| self.index.near(hash, EVICTION_BUCKETS).find(|record| is_unproven(*record)));
        self.rover = rover;
        // Who goes next is likely to stand a little farther on.
        if let Some(Record { hot, .. }) = self.records.get(rover as usize + FETCHED_AHEAD) {
            self.index.prefetch(hot.key.hash(self.secret));
        }
        let victim = unproven.or(closing);
        self.searches_left -= u32::from(victim.is_none());
        victim
    }

    /// What a record is worth whose end would make room where it is wanted.
    fn worth_to(&self, record: RecordId, full: Full) -> Option<Worth> {
        let hot = &self.records[record as usize].hot;
        let helps = match full {
            Full::Records => true,
            Full::Extras => hot.extra != Hot::NO_EXTRA,
            Full::Index => false,
        };
        if helps { Worth::of(hot) } else { None }
    }

    /// Whether so few records are free that closing flows are to end early.
    #[inline]
    pub fn is_nearly_full(&self) -> bool {
        self.len() as u64 * 100 >= self.capacity() as u64 * NEARLY_FULL_PERCENT
    }

    /// The next flow that is closing. Looks at `budget` records at most.
    pub fn closing(&mut self, budget: &mut u32) -> Option<RecordId> {
        while *budget > 0 {
            *budget -= 1;
            let record = self.rover;
            self.rover = self.after(record);
            let hot = &self.records[record as usize].hot;
            if hot.flags.has(Flags::LIVE) && hot.class.is_closing() {
                return Some(record);
            }
        }
        None
    }

    /// The record after this one, round and round.
    fn after(&self, record: RecordId) -> RecordId {
        if record as usize + 1 == self.records.len() { 0 } else { record + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::FlowClass;
    use crate::key::{Address, Endpoint, Family, FlowKey};
    use crate::track::record::{Cold, Extra};
    use crate::units::{Span, Tick};

    fn key(n: u8) -> FlowKey {
        let end = |last| Endpoint::new(Address::v4([10, 0, 0, last]), 0);
        FlowKey::sorted(Family::V4, 17, end(0), end(n)).0
    }

    fn add(
        table: &mut FlowTable,
        n: u8,
        flags: Flags,
        class: FlowClass,
        extra: bool,
    ) -> Result<RecordId, Full> {
        let deadline = Tick::default().after(Span::from_s(100).unwrap());
        let hot = Hot { key: key(n), deadline, flags, class, ..Hot::free() };
        table.insert(table.prepare(&key(n)), &hot, &Cold::default(), extra.then(Extra::default))
    }

    #[test]
    fn the_victim_is_the_one_that_is_worth_least() {
        let mut table = FlowTable::new(4, 1, Tick::default());
        let closing = add(&mut table, 1, Flags::ASSURED, FlowClass::TcpTimeWait, false).unwrap();
        let unproven = add(&mut table, 2, Flags::default(), FlowClass::Udp, false).unwrap();
        for n in [3, 4] {
            add(&mut table, n, Flags::ASSURED, FlowClass::TcpEstablished, false).unwrap();
        }
        assert_eq!(add(&mut table, 5, Flags::default(), FlowClass::Udp, false), Err(Full::Records));
        for victim in [Some(unproven), Some(closing), None] {
            assert_eq!(table.victim(key(5).hash(1), Full::Records), victim);
            assert_eq!(table.victim(key(5).hash(1), Full::Index), None);
            victim.into_iter().for_each(|victim| table.remove(victim));
        }
    }

    #[test]
    fn a_turn_gives_up_the_search_for_victims() {
        let mut table = FlowTable::new(3, 1, Tick::default());
        for n in 1..=3 {
            add(&mut table, n, Flags::ASSURED, FlowClass::TcpEstablished, false).unwrap();
        }
        let hash = key(4).hash(1);
        for _ in 0..FRUITLESS_SEARCHES_A_TURN {
            assert_eq!(table.victim(hash, Full::Records), None);
        }
        table.hot_mut(0).class = FlowClass::TcpTimeWait;
        assert_eq!(table.victim(hash, Full::Records), None);
        table.end_turn();
        assert_eq!(table.expire(Tick::default(), &mut 64), None);
        assert_eq!(table.victim(hash, Full::Records), Some(0));
    }

    #[test]
    fn where_extra_lines_are_short_the_victim_has_one() {
        let mut table = FlowTable::new(8, 1, Tick::default());
        let with_extra: Vec<_> =
            [1, 2].map(|n| add(&mut table, n, Flags::default(), FlowClass::Udp, true).unwrap()).into();
        add(&mut table, 3, Flags::default(), FlowClass::Udp, false).unwrap();
        assert_eq!(add(&mut table, 4, Flags::default(), FlowClass::Udp, true), Err(Full::Extras));
        let victim = table.victim(key(4).hash(1), Full::Extras).unwrap();
        assert!(with_extra.contains(&victim));
    }

    #[test]
    fn closing_flows_are_found_within_a_budget() {
        let mut table = FlowTable::new(20, 1, Tick::default());
        for n in 1..=19 {
            add(&mut table, n, Flags::ASSURED, FlowClass::TcpEstablished, false).unwrap();
        }
        assert!(table.is_nearly_full());
        assert_eq!(table.closing(&mut 100), None);
        let closing = add(&mut table, 20, Flags::ASSURED, FlowClass::SctpShutdownSent, false).unwrap();
        assert_eq!(table.closing(&mut 100), Some(closing));
        table.remove(closing);
        table.remove(table.find_key(&key(1)).unwrap());
        assert!(!table.is_nearly_full());
    }
}
