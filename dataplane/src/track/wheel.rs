//! The timer wheel: which records to look at now, without walking the table.
//!
//! One slot for each tick of five minutes. A packet only writes a record's new deadline; the record stays in its slot,
//! and when the slot comes round it is filed again by the deadline it has by then, `HORIZON` ahead at most. So a
//! deadline that is farther away than that may come nearer, too, and the record stays: an open connection lives for
//! days while nothing is under way, and for minutes while something is. A deadline that is nearer takes one look.
//!
//! The work of a turn is bounded twice, in ticks and in records; what is left over waits for the next turn. Lateness
//! does no harm, since a look-up does not believe in a record whose deadline has passed.
//!
//! What is due is looked at in batches, so that the cache misses of its records overlap.

use crate::units::{Span, Tick};
use arrayvec::ArrayVec;

/// A power of two, so that the slots go on in their order where ticks wrap.
const SLOTS: u32 = 1 << 15;

/// A record is looked at after so long at the latest. Below the shortest time that an open TCP connection has
/// (Linux's 300 s for one with something unacknowledged).
const HORIZON: Span = match Span::from_s(256) {
    Some(span) => span,
    None => Span::MAX,
};

const _: () = assert!(HORIZON.count() < SLOTS);

const NONE: u32 = u32::MAX;

/// Records that are looked at together.
const BATCH: usize = 16;

/// Ticks that one turn may step over at most.
const TICKS_A_TURN: u32 = 4096;

/// A record's place in the lists: numbers of its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    next: u32,
    /// The neighbour before, or [`HEAD`] plus the slot's number.
    prev: u32,
}

/// Marks a `prev` that is a slot's head. Record numbers stay below.
const HEAD: u32 = 1 << 31;

impl Link {
    /// In no slot.
    const OUT: Self = Self { next: NONE, prev: NONE };
}

impl Default for Link {
    fn default() -> Self {
        Self::OUT
    }
}

/// Gives the wheel the links it threads through the records.
pub trait Links {
    /// The link of a record.
    fn link(&mut self, record: u32) -> &mut Link;
    /// The moment the record is to be looked at.
    fn deadline(&self, record: u32) -> Tick;
    /// Its deadline is asked for soon: fetches the line it is in.
    fn fetch(&self, _record: u32) {}
    /// It is to be looked at next, and its deadline is here: if that has been reached, fetches what its end needs.
    fn fetch_end(&self, _record: u32, _now: Tick) {}
}

/// The wheel.
#[derive(Debug)]
pub struct Wheel {
    /// The first record of each slot.
    heads: Vec<u32>,
    /// Records that were due, in no slot any more and not yet looked at; the last one is next.
    batch: ArrayVec<u32, BATCH>,
    /// What is in its slot is due, and nothing before.
    now: Tick,
}

impl Wheel {
    /// An empty wheel that stands at `now`.
    pub fn new(now: Tick) -> Self {
        Self { heads: vec![NONE; SLOTS as usize], batch: ArrayVec::new(), now }
    }

    /// Files a record by its deadline.
    pub fn insert(&mut self, links: &mut impl Links, record: u32) {
        let ahead = self.now.until(links.deadline(record)).min(HORIZON);
        let slot = slot_of(self.now.after(ahead));
        let next = core::mem::replace(&mut self.heads[slot as usize], record);
        *links.link(record) = Link { next, prev: HEAD | slot };
        if next != NONE {
            links.link(next).prev = record;
        }
    }

    /// Whether a record is looked at before `deadline` wherever it is filed, so that it need not move.
    #[inline]
    pub fn is_far(&self, deadline: Tick) -> bool {
        self.now.until(deadline) >= HORIZON
    }

    /// Takes a record out, wherever it is.
    pub fn remove(&mut self, links: &mut impl Links, record: u32) {
        let link = core::mem::take(links.link(record));
        if link == Link::OUT {
            self.batch.retain(|waiting| *waiting != record);
            return;
        }
        let Link { next, prev } = link;
        if prev & HEAD != 0 {
            self.heads[(prev & !HEAD) as usize] = next;
        } else {
            links.link(prev).next = next;
        }
        if next != NONE {
            links.link(next).prev = prev;
        }
    }

    /// Moves on towards `now` and returns the next record whose deadline has been reached, taken out of the wheel.
    /// Looks at `budget` records at most and counts it down; `None` when that is used up or nothing is due.
    pub fn expire(&mut self, links: &mut impl Links, now: Tick, budget: &mut u32) -> Option<u32> {
        while *budget > 0 {
            if self.batch.is_empty() {
                self.refill(links, now, budget);
            }
            let record = self.batch.pop()?;
            *budget -= 1;
            if now.reached(links.deadline(record)) {
                return Some(record);
            }
            self.insert(links, record);
        }
        None
    }

    /// Takes a batch of what is due out of its slots. When the turn's ticks are used up, so is its budget behind it.
    fn refill(&mut self, links: &mut impl Links, now: Tick, budget: &mut u32) {
        for ticks in 0.. {
            self.take_due(links);
            if self.batch.is_full() || self.now.reached(now) {
                break;
            }
            if ticks == TICKS_A_TURN {
                let waiting = u32::try_from(self.batch.len()).unwrap_or(u32::MAX);
                *budget = waiting.min(*budget);
                break;
            }
            self.now = Tick::from_count(self.now.count().wrapping_add(1));
        }
        for record in self.batch.iter().rev() {
            links.fetch_end(*record, now);
        }
    }

    /// Takes what is due at this tick, as far as there is room.
    fn take_due(&mut self, links: &mut impl Links) {
        let slot = slot_of(self.now);
        let first = self.heads[slot as usize];
        let mut record = first;
        while record != NONE && !self.batch.is_full() {
            links.fetch(record);
            self.batch.push(record);
            record = core::mem::take(links.link(record)).next;
        }
        if record != first {
            self.heads[slot as usize] = record;
            if record != NONE {
                links.link(record).prev = HEAD | slot;
            }
        }
    }
}

const fn slot_of(tick: Tick) -> u32 {
    tick.count() & (SLOTS - 1)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "test sizes are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Records(Vec<(Link, Tick)>);

    impl Links for Records {
        fn link(&mut self, record: u32) -> &mut Link {
            &mut self.0[record as usize].0
        }
        fn deadline(&self, record: u32) -> Tick {
            self.0[record as usize].1
        }
    }

    fn drain(wheel: &mut Wheel, records: &mut Records, now: u32) -> Vec<u32> {
        let mut out = Vec::new();
        let now = Tick::from_count(now);
        while !wheel.now.reached(now) {
            let mut budget = 1000;
            while let Some(record) = wheel.expire(records, now, &mut budget) {
                out.push(record);
            }
        }
        out
    }

    #[test]
    fn a_postponed_deadline_is_kept() {
        let mut records = Records(vec![(Link::default(), Tick::from_count(100))]);
        let mut wheel = Wheel::new(Tick::from_count(0));
        wheel.insert(&mut records, 0);
        records.0[0].1 = Tick::from_count(70_000);
        assert_eq!(drain(&mut wheel, &mut records, 69_999), []);
        assert_eq!(drain(&mut wheel, &mut records, 70_000), [0]);
    }

    #[test]
    fn the_records_of_a_turn_are_bounded() {
        let mut records = Records(vec![(Link::default(), Tick::from_count(5)); 100]);
        let mut wheel = Wheel::new(Tick::from_count(0));
        for record in 0..100 {
            wheel.insert(&mut records, record);
        }
        let mut budget = 7;
        let mut expired = 0;
        while wheel.expire(&mut records, Tick::from_count(10), &mut budget).is_some() {
            expired += 1;
        }
        assert_eq!((expired, budget), (7, 0));
    }

    #[test]
    fn the_ticks_of_a_turn_are_bounded() {
        let deadline = |record: u32| Tick::from_count(record * 1000);
        let mut records = Records((0..20).map(|record| (Link::default(), deadline(record))).collect());
        let mut wheel = Wheel::new(Tick::from_count(0));
        (0..20).for_each(|record| wheel.insert(&mut records, record));
        let mut turn = || {
            let mut budget = 100;
            while wheel.expire(&mut records, Tick::from_count(1_000_000), &mut budget).is_some() {}
            wheel.now.count()
        };
        assert_eq!([turn(), turn()], [TICKS_A_TURN, 2 * TICKS_A_TURN]);
    }

    #[test]
    fn what_waits_in_a_batch_can_be_removed() {
        let mut records = Records(vec![(Link::default(), Tick::from_count(1)); 5]);
        let mut wheel = Wheel::new(Tick::from_count(0));
        (0..5).for_each(|record| wheel.insert(&mut records, record));
        let now = Tick::from_count(1);
        let first = wheel.expire(&mut records, now, &mut 100).unwrap();
        for record in (0..5).filter(|record| *record != first && record % 2 == 0) {
            wheel.remove(&mut records, record);
        }
        let mut rest: Vec<u32> = core::iter::from_fn(|| wheel.expire(&mut records, now, &mut 100)).collect();
        rest.sort_unstable();
        let odd = [1, 3].into_iter().filter(|record| *record != first);
        assert_eq!(rest, odd.collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn everything_expires_in_its_time_and_once(
            start in prop_oneof![Just(0u32), Just(u32::MAX - 1000), any::<u32>()],
            spans in proptest::collection::vec(prop_oneof![0u32..300, 0u32..70_000, 0u32..1_200_000], 1..60),
            removed in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let deadline = |span: &u32| Tick::from_count(start.wrapping_add(*span));
            let mut records = Records(spans.iter().map(|s| (Link::default(), deadline(s))).collect());
            let mut wheel = Wheel::new(Tick::from_count(start));
            for record in 0..spans.len() as u32 {
                wheel.insert(&mut records, record);
            }
            for record in (0..spans.len()).filter(|r| removed[*r]) {
                wheel.remove(&mut records, record as u32);
            }
            let mut seen = vec![false; spans.len()];
            for at in [10u32, 299, 3000, 70_000, 1_200_000] {
                for record in drain(&mut wheel, &mut records, start.wrapping_add(at)) {
                    let record = record as usize;
                    prop_assert!(!seen[record] && !removed[record] && spans[record] <= at);
                    seen[record] = true;
                }
                for (record, span) in spans.iter().enumerate() {
                    prop_assert!(seen[record] || removed[record] || *span > at, "{span} {at}");
                }
            }
        }
    }
}
