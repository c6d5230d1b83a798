//! All neighbours: bounded, in order, with what is due next at hand.

use super::action::{At, Neighbour};
use super::config::Config;
use super::entry::{Entry, State};
use std::collections::{BTreeMap, BTreeSet};

/// From one forced search for room to the next.
const FORCED_SWEEP_MS: u64 = 1_000;

/// The neighbours. All changes of an entry go through [`update`](Self::update), which keeps the books.
#[derive(Debug)]
pub(super) struct Table<P> {
    entries: BTreeMap<At, Entry<P>>,
    deadlines: BTreeSet<(u64, At)>,
    permanent: usize,
    waiting: Waiting,
    next_sweep_ms: u64,
    next_forced_ms: u64,
    /// Whether the set of known neighbours has changed since it was last told.
    changed: bool,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) packets: usize,
    pub(super) bytes: usize,
}

/// There is no room.
#[derive(Debug)]
pub(super) struct Full;

impl<P: AsRef<[u8]>> Table<P> {
    pub(super) const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            permanent: 0,
            waiting: Waiting { packets: 0, bytes: 0 },
            next_sweep_ms: 0,
            next_forced_ms: 0,
            changed: false,
        }
    }

    pub(super) fn find(&self, at: At) -> Option<&Entry<P>> {
        self.entries.get(&at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (At, &Entry<P>)> {
        self.entries.iter().map(|(at, entry)| (*at, entry))
    }

    pub(super) const fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Adds what is not there yet.
    pub(super) fn insert(&mut self, at: At, entry: Entry<P>) {
        self.book_in(at, &entry);
        self.entries.insert(at, entry);
    }

    /// Adds what is not there yet, where there are fewer than `limit` that are not permanent. What nobody uses makes
    /// room from `gc_thresh2` on. Says how many were forgotten.
    pub(super) fn admit(
        &mut self,
        at: At,
        entry: Entry<P>,
        limit: usize,
        config: &Config,
        now_ms: u64,
    ) -> (usize, Result<(), Full>) {
        let crowded = self.len() >= config.limits.gc_thresh2.min(limit);
        let mut forgotten = 0;
        if crowded && now_ms >= self.next_forced_ms {
            self.next_forced_ms = now_ms + FORCED_SWEEP_MS;
            forgotten = self.forget(config, true, now_ms);
        }
        if self.len() >= limit {
            return (forgotten, Err(Full));
        }
        if self.len() == 0 {
            self.next_sweep_ms = now_ms + config.timers.sweep_ms;
        }
        self.insert(at, entry);
        (forgotten, Ok(()))
    }

    /// Changes an entry.
    pub(super) fn update<R>(&mut self, at: At, change: impl FnOnce(&mut Entry<P>) -> R) -> Option<R> {
        let mut entry = self.entries.remove(&at)?;
        let before = entry.mac();
        let told = self.changed;
        self.book_out(at, &entry);
        let result = change(&mut entry);
        self.book_in(at, &entry);
        self.changed = told || before != entry.mac();
        self.entries.insert(at, entry);
        Some(result)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, at: At) -> Option<Entry<P>> {
        let entry = self.entries.remove(&at)?;
        self.book_out(at, &entry);
        Some(entry)
    }

    /// Takes all out.
    pub(super) fn drain(&mut self) -> BTreeMap<At, Entry<P>> {
        let all = std::mem::take(&mut self.entries);
        for (at, entry) in &all {
            self.book_out(*at, entry);
        }
        all
    }

    /// One whose deadline has come.
    pub(super) fn due(&self, now_ms: u64) -> Option<At> {
        self.deadlines.first().filter(|(deadline_ms, _)| *deadline_ms <= now_ms).map(|(_, at)| *at)
    }

    /// When something is to be done next.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let sweep_ms = (self.len() > 0).then_some(self.next_sweep_ms);
        let deadline_ms = self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms);
        sweep_ms.into_iter().chain(deadline_ms).min()
    }

    /// Forgets what is too old, now and then. Says how many.
    pub(super) fn sweep(&mut self, config: &Config, now_ms: u64) -> usize {
        if now_ms < self.next_sweep_ms {
            return 0;
        }
        self.next_sweep_ms = now_ms + config.timers.sweep_ms;
        self.forget(config, false, now_ms)
    }

    /// Whether the set of known neighbours has changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Those whose MAC address is known.
    pub(super) fn known(&self) -> impl Iterator<Item = Neighbour> {
        self.iter().filter_map(|(at, entry)| Some(Neighbour { at, mac: entry.mac()? }))
    }

    /// Entries that are not permanent.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.permanent
    }

    fn forget(&mut self, config: &Config, full: bool, now_ms: u64) -> usize {
        // Failed ones go whatever their number: they are of no use to anybody.
        let few = !full && self.len() <= config.limits.gc_thresh1;
        let goes = |entry: &Entry<P>| {
            (!few || entry.state() == State::Failed) && entry.is_forgettable(&config.timers, full, now_ms)
        };
        let gone: Vec<At> = self.iter().filter(|(_, entry)| goes(entry)).map(|(at, _)| at).collect();
        for at in &gone {
            self.remove(*at);
        }
        gone.len()
    }

    fn book_in(&mut self, at: At, entry: &Entry<P>) {
        self.deadlines.extend(entry.deadline_ms.map(|deadline_ms| (deadline_ms, at)));
        self.permanent += usize::from(entry.state() == State::Permanent);
        self.changed |= entry.mac().is_some();
        if let Some(waiting) = entry.waiting() {
            self.waiting.packets += waiting.len();
            self.waiting.bytes += waiting.bytes();
        }
    }

    fn book_out(&mut self, at: At, entry: &Entry<P>) {
        if let Some(deadline_ms) = entry.deadline_ms {
            self.deadlines.remove(&(deadline_ms, at));
        }
        self.permanent -= usize::from(entry.state() == State::Permanent);
        self.changed |= entry.mac().is_some();
        if let Some(waiting) = entry.waiting() {
            self.waiting.packets -= waiting.len();
            self.waiting.bytes -= waiting.bytes();
        }
    }
}
