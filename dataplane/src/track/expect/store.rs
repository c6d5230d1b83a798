//! Where expectations lie: by what they expect, by their master, and by their time. Allocated at the start.

use super::super::news::Serial;
use super::super::record::Heritage;
use super::super::table::RecordId;
use super::super::wheel::{Link, Links, Wheel};
use super::Waiting;
use crate::config::HelperKind;
use crate::helper::{Expected, Refused};
use crate::key::FlowKey;
use crate::units::Tick;
use hashbrown::{HashMap, HashTable};

/// No entry, and no master of this worker.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) key: FlowKey,
    pub(super) expected: Expected,
    pub(super) deadline: Tick,
    /// [`NONE`]: the master is another worker's.
    pub(super) master: RecordId,
    pub(super) heritage: Heritage,
    pub(super) helper: HelperKind,
    pub(super) serial: Serial,
    /// The next older one with this key.
    pub(super) next: u32,
    /// The master's next older one.
    pub(super) older: u32,
}

impl Entry {
    /// For show.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting {
            expected: self.expected,
            master: self.heritage.origin,
            helper: self.helper,
            deadline: self.deadline,
        }
    }
}

/// All entries.
#[derive(Debug)]
pub(super) struct Store {
    /// The newest of each key.
    index: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    links: Vec<Link>,
    wheel: Wheel,
    free: Vec<u32>,
    /// Each master's newest.
    newest: HashMap<RecordId, u32>,
    secret: u64,
}

struct Timers<'a> {
    entries: &'a [Option<Entry>],
    links: &'a mut [Link],
}

impl Links for Timers<'_> {
    fn link(&mut self, record: u32) -> &mut Link {
        &mut self.links[record as usize]
    }

    fn deadline(&self, record: u32) -> Tick {
        self.entries[record as usize].as_ref().map_or_else(Tick::default, |entry| entry.deadline)
    }
}

impl Store {
    pub(super) fn new(max: u32, secret: u64, now: Tick) -> Self {
        let size = max as usize;
        // Twice the room: a table that is never more than half full tidies up in place and never allocates.
        Self {
            index: HashTable::with_capacity(2 * size),
            entries: vec![None; size],
            links: vec![Link::default(); size],
            wheel: Wheel::new(now),
            free: (0..max).rev().collect(),
            newest: HashMap::with_capacity(2 * size),
            secret,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Nothing is left of any entry.
    #[cfg(test)]
    pub(super) fn is_spotless(&self) -> bool {
        self.free.len() == self.entries.len() && self.index.is_empty() && self.newest.is_empty()
    }

    /// Makes one active, until `deadline`.
    pub(super) fn activate(&mut self, number: u32, deadline: Tick) {
        if self.entry(number).is_none() {
            return;
        }
        self.wheel.remove(&mut Timers { entries: &self.entries, links: &mut self.links }, number);
        self.with(number, |entry| {
            entry.deadline = deadline;
            entry.expected.inactive = false;
        });
        self.wheel.insert(&mut Timers { entries: &self.entries, links: &mut self.links }, number);
    }

    /// Takes out those whose time has run out, `budget` at most.
    pub(super) fn expire(&mut self, now: Tick, budget: &mut u32) {
        let mut timers = Timers { entries: &self.entries, links: &mut self.links };
        while let Some(number) = self.wheel.expire(&mut timers, now, budget) {
            self.unlink(number);
            timers = Timers { entries: &self.entries, links: &mut self.links };
        }
    }

    /// Puts one in: its number.
    pub(super) fn insert(&mut self, mut entry: Entry) -> Result<u32, Refused> {
        let number = self.free.pop().ok_or(Refused::Full)?;
        let hash = entry.key.hash(self.secret);
        let (entries, secret) = (&self.entries, self.secret);
        let same = |held: &u32| entries[*held as usize].as_ref().is_some_and(|held| held.key == entry.key);
        match self.index.find_mut(hash, same) {
            Some(head) => entry.next = core::mem::replace(head, number),
            None => {
                let hash_of =
                    |held: &u32| entries[*held as usize].as_ref().map_or(0, |held| held.key.hash(secret));
                self.index.insert_unique(hash, number, hash_of);
            }
        }
        if entry.master != NONE {
            entry.older = self.newest.insert(entry.master, number).unwrap_or(NONE);
        }
        self.entries[number as usize] = Some(entry);
        self.wheel.insert(&mut Timers { entries: &self.entries, links: &mut self.links }, number);
        Ok(number)
    }

    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)?.as_ref()
    }

    /// All of this key, newest first.
    pub(super) fn chain(&self, key: &FlowKey) -> impl Iterator<Item = u32> + '_ {
        let key = *key;
        let same = |number: &u32| self.entry(*number).is_some_and(|entry| entry.key == key);
        let first = self.index.find(key.hash(self.secret), same).copied();
        let known = |number: u32| (number != NONE).then_some(number);
        core::iter::successors(first, move |number| known(self.entry(*number)?.next))
    }

    /// All of this master, newest first.
    pub(super) fn of_master(&self, master: RecordId) -> impl Iterator<Item = u32> + '_ {
        let known = |number: u32| (number != NONE).then_some(number);
        let first = self.newest.get(&master).copied();
        core::iter::successors(first, move |number| known(self.entry(*number)?.older))
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, number: u32) {
        self.wheel.remove(&mut Timers { entries: &self.entries, links: &mut self.links }, number);
        self.unlink(number);
    }

    /// Takes an entry that is in no wheel out of its chains.
    fn unlink(&mut self, number: u32) {
        let Some(Entry { key, master, next, older, .. }) = self.entry(number).copied() else { return };
        let newer = self.chain(&key).find(|held| self.entry(*held).is_some_and(|e| e.next == number));
        match newer {
            Some(newer) => self.with(newer, |entry| entry.next = next),
            None => {
                if let Ok(mut head) = self.index.find_entry(key.hash(self.secret), |held| *held == number) {
                    if next == NONE {
                        head.remove();
                    } else {
                        *head.get_mut() = next;
                    }
                }
            }
        }
        let newer = self.of_master(master).find(|held| self.entry(*held).is_some_and(|e| e.older == number));
        match (newer, older) {
            _ if master == NONE => {}
            (Some(newer), _) => self.with(newer, |entry| entry.older = older),
            (None, NONE) => drop(self.newest.remove(&master)),
            (None, _) => drop(self.newest.insert(master, older)),
        }
        self.entries[number as usize] = None;
        self.free.push(number);
    }

    fn with(&mut self, number: u32, change: impl FnOnce(&mut Entry)) {
        if let Some(Some(entry)) = self.entries.get_mut(number as usize) {
            change(entry);
        }
    }
}
