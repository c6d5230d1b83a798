//! Expectations: flows that a helper has read about in another one, their master.
//!
//! One worker's, in bounded memory that is allocated at the start. An expectation is used up by the first packet
//! that fits it, runs out after its time, and goes when its master goes. A master that expects more than its class
//! allows loses its oldest one, as in Linux.

use super::record::Origin;
use super::table::RecordId;
use super::wheel::{Link, Links, Wheel};
use crate::helper::Expected;
use crate::key::{Address, Endpoint, Family, FlowKey, Side};
use crate::units::Tick;
use hashbrown::{HashMap, HashTable};

const NONE: u32 = u32::MAX;

/// The name an expectation goes by: its source with any port, its destination with its own.
fn key_of(expected: &Expected) -> FlowKey {
    let family = if expected.source.is_ipv4() { Family::V4 } else { Family::V6 };
    let destination = Endpoint::new(Address::from_ip(expected.destination), expected.destination_port);
    key(family, expected.protocol.0, Address::from_ip(expected.source), destination)
}

fn key(family: Family, protocol: u8, source: Address, destination: Endpoint) -> FlowKey {
    FlowKey::oriented(family, protocol, Endpoint::new(source, 0), destination)
}

/// Why an expectation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another master expects the same.
    Taken,
    /// There is no room.
    Full,
}

/// An expectation for show.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Source with port 0, then destination.
    pub key: FlowKey,
    /// Who announced it.
    pub master: Origin,
    /// When it runs out.
    pub deadline: Tick,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: FlowKey,
    deadline: Tick,
    master: RecordId,
    origin: Origin,
    /// Its kind among those of the master's helper.
    class: u8,
    /// The master's next older expectation.
    older: u32,
}

/// All expectations of one worker.
#[derive(Debug)]
pub struct Expectations {
    index: HashTable<u32>,
    entries: Vec<Entry>,
    links: Vec<Link>,
    wheel: Wheel,
    free: Vec<u32>,
    /// Each master's newest.
    newest: HashMap<RecordId, u32>,
    secret: u64,
}

struct Timers<'a> {
    entries: &'a [Entry],
    links: &'a mut [Link],
}

impl Links for Timers<'_> {
    fn link(&mut self, record: u32) -> &mut Link {
        &mut self.links[record as usize]
    }

    fn deadline(&self, record: u32) -> Tick {
        self.entries[record as usize].deadline
    }
}

impl Expectations {
    /// Room for `max` of them.
    pub fn new(max: u32, secret: u64, now: Tick) -> Self {
        let size = max as usize;
        let nobody = Origin { key: FlowKey::NONE, side: Side::First };
        let blank =
            Entry { key: FlowKey::NONE, deadline: now, master: NONE, origin: nobody, class: 0, older: NONE };
        Self {
            index: HashTable::with_capacity(size),
            entries: vec![blank; size],
            links: vec![Link::default(); size],
            wheel: Wheel::new(now),
            free: (0..max).rev().collect(),
            newest: HashMap::with_capacity(size),
            secret,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Waits for `expected`, announced by the flow `master`.
    pub fn add(
        &mut self,
        expected: &Expected,
        master: RecordId,
        origin: Origin,
        now: Tick,
    ) -> Result<(), Refused> {
        let key = key_of(expected);
        let hash = key.hash(self.secret);
        if let Some(same) = self.find(&key, hash) {
            if self.entries[same as usize].master != master {
                return Err(Refused::Taken);
            }
            self.remove(same);
        }
        let class = expected.class;
        let of_class = |entry: &u32| self.entries[*entry as usize].class == class.index;
        if self.of_master(master).filter(of_class).count() >= usize::from(class.expectations_max)
            && let Some(oldest) = self.of_master(master).filter(of_class).last()
        {
            self.remove(oldest);
        }
        let entry = self.free.pop().ok_or(Refused::Full)?;
        let older = self.newest.insert(master, entry).unwrap_or(NONE);
        self.entries[entry as usize] =
            Entry { key, deadline: now.after(class.timeout), master, origin, class: class.index, older };
        let (entries, secret) = (&self.entries, self.secret);
        self.index.insert_unique(hash, entry, |held| entries[*held as usize].key.hash(secret));
        self.wheel.insert(&mut Timers { entries: &self.entries, links: &mut self.links }, entry);
        Ok(())
    }

    /// Uses up the expectation that a first packet from `source` to `destination` fits: its master.
    pub fn take(
        &mut self,
        family: Family,
        protocol: u8,
        source: Address,
        destination: Endpoint,
        now: Tick,
    ) -> Option<(RecordId, Origin)> {
        if self.is_empty() {
            return None;
        }
        let key = key(family, protocol, source, destination);
        let found = self.find(&key, key.hash(self.secret))?;
        let Entry { master, origin, deadline, .. } = self.entries[found as usize];
        self.remove(found);
        (!now.reached(deadline)).then_some((master, origin))
    }

    /// Forgets all that `master` announced.
    pub fn forget_master(&mut self, master: RecordId) {
        while let Some(entry) = self.newest.get(&master).copied() {
            self.remove(entry);
        }
    }

    /// Forgets those whose time has run out, `budget` at most.
    pub fn expire(&mut self, now: Tick, budget: &mut u32) {
        let mut timers = Timers { entries: &self.entries, links: &mut self.links };
        while let Some(entry) = self.wheel.expire(&mut timers, now, budget) {
            self.unlink(entry);
            timers = Timers { entries: &self.entries, links: &mut self.links };
        }
    }

    /// All that wait, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Waiting> + '_ {
        self.index.iter().map(|entry| {
            let Entry { key, origin, deadline, .. } = self.entries[*entry as usize];
            Waiting { key, master: origin, deadline }
        })
    }

    fn find(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        self.index.find(hash, |entry| self.entries[*entry as usize].key == *key).copied()
    }

    /// Newest first.
    fn of_master(&self, master: RecordId) -> impl Iterator<Item = u32> + '_ {
        let known = |entry: u32| (entry != NONE).then_some(entry);
        let first = self.newest.get(&master).copied();
        core::iter::successors(first, move |entry| known(self.entries[*entry as usize].older))
    }

    fn remove(&mut self, entry: u32) {
        self.wheel.remove(&mut Timers { entries: &self.entries, links: &mut self.links }, entry);
        self.unlink(entry);
    }

    /// Takes an entry that is in no wheel out of the index and its master's list.
    fn unlink(&mut self, entry: u32) {
        let Entry { key, master, older, .. } = self.entries[entry as usize];
        if let Ok(found) = self.index.find_entry(key.hash(self.secret), |held| *held == entry) {
            found.remove();
        }
        let newer = self.of_master(master).find(|held| self.entries[*held as usize].older == entry);
        match (newer, older) {
            (Some(newer), _) => self.entries[newer as usize].older = older,
            (None, NONE) => drop(self.newest.remove(&master)),
            (None, _) => drop(self.newest.insert(master, older)),
        }
        self.free.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::Class;
    use crate::units::Span;
    use crate::wire::IpProtocol;
    use core::net::IpAddr;

    const NOW: Tick = Tick::from_count(1000);

    static ONE: Class = Class { index: 0, expectations_max: 1, timeout: Span::from_s(300).unwrap() };
    static TWO: Class = Class { index: 0, expectations_max: 2, timeout: Span::from_s(300).unwrap() };
    static MANY: Class = Class { index: 0, expectations_max: 9, timeout: Span::from_s(300).unwrap() };

    fn expected(port: u16, class: &'static Class) -> Expected {
        Expected {
            source: IpAddr::from([10, 0, 0, 1]),
            destination: IpAddr::from([10, 0, 0, 2]),
            destination_port: port,
            protocol: IpProtocol::TCP,
            class,
        }
    }

    fn origin() -> Origin {
        Origin { key: FlowKey::NONE, side: Side::Second }
    }

    fn take(expectations: &mut Expectations, port: u16, now: Tick) -> Option<RecordId> {
        let source = Address::v4([10, 0, 0, 1]);
        let destination = Endpoint::new(Address::v4([10, 0, 0, 2]), port);
        expectations.take(Family::V4, 6, source, destination, now).map(|(master, _)| master)
    }

    #[test]
    fn is_used_up_by_the_first_packet_that_fits() {
        let mut expectations = Expectations::new(4, 1, NOW);
        expectations.add(&expected(2000, &ONE), 7, origin(), NOW).unwrap();
        assert_eq!(take(&mut expectations, 2001, NOW), None);
        assert_eq!(take(&mut expectations, 2000, NOW), Some(7));
        assert_eq!(take(&mut expectations, 2000, NOW), None);
        assert_eq!((expectations.len(), expectations.free.len(), expectations.newest.len()), (0, 4, 0));
    }

    #[test]
    fn a_master_over_its_limit_loses_its_oldest() {
        let mut expectations = Expectations::new(4, 1, NOW);
        for port in [1, 2, 3] {
            expectations.add(&expected(port, &TWO), 7, origin(), NOW).unwrap();
        }
        assert_eq!([1, 2, 3].map(|port| take(&mut expectations, port, NOW)), [None, Some(7), Some(7)]);
    }

    #[test]
    fn another_master_may_not_expect_the_same_and_memory_is_bounded() {
        let mut expectations = Expectations::new(2, 1, NOW);
        expectations.add(&expected(1, &MANY), 7, origin(), NOW).unwrap();
        expectations.add(&expected(1, &MANY), 7, origin(), NOW).unwrap();
        assert_eq!(expectations.add(&expected(1, &MANY), 8, origin(), NOW), Err(Refused::Taken));
        expectations.add(&expected(2, &MANY), 7, origin(), NOW).unwrap();
        assert_eq!(expectations.add(&expected(3, &MANY), 7, origin(), NOW), Err(Refused::Full));
        assert_eq!(expectations.iter().count(), 2);
    }

    #[test]
    fn goes_with_its_master_and_with_time() {
        let mut expectations = Expectations::new(4, 1, NOW);
        for (port, master) in [(1, 7), (2, 7), (3, 8)] {
            expectations.add(&expected(port, &MANY), master, origin(), NOW).unwrap();
        }
        expectations.forget_master(7);
        assert_eq!(expectations.len(), 1);
        let later = NOW.after(Span::from_s(300).unwrap());
        assert_eq!(take(&mut expectations, 3, later), None);
        expectations.add(&expected(4, &MANY), 8, origin(), NOW).unwrap();
        for _ in 0..16 {
            expectations.expire(later, &mut 10);
        }
        assert_eq!((expectations.len(), expectations.free.len()), (0, 4));
    }
}
