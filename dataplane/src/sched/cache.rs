//! What `lblc` and `lblcr` remember: which servers hold an address's content.
//!
//! All memory is taken when the table is made. A table that is full remembers nothing new until entries have been idle
//! for some minutes; connections are scheduled all the same. The sweep that forgets visits some entries at a time. There
//! are as many buckets as entries at least, and whoever chooses addresses cannot choose their buckets: the key is random.
//!
//! Clients of one address come to all workers, so each of them tells the others what its scheduler has learned
//! ([`Lesson`]). Two that learn of an address at the same moment may choose two servers: then it has both.

use crate::config::service::Locality;
use crate::lesson::Lesson;
use crate::units::{ServerId, Span, Tick};
use core::hash::BuildHasher as _;
use core::net::{IpAddr, Ipv4Addr};
use std::hash::RandomState;

const NONE: u32 = u32::MAX;

/// Why an address is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A connection was scheduled.
    Learned,
    /// An operator said so: its server does not change, and it is not forgotten.
    Pinned,
    /// An operator said so: its servers are not remembered.
    Banned,
}

/// An address.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where its content comes from.
    pub address: IpAddr,
    /// Why it is here.
    pub hold: Hold,
    /// When it was last asked for.
    pub last_used: Tick,
    /// When its servers last changed.
    pub last_changed: Tick,
    /// How often it was asked for since it came.
    pub uses: u32,
    /// How many servers it has.
    pub members: u16,
    /// The newest of its servers, or the next free entry's place.
    first: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    server: ServerId,
    next: u32,
}

/// Servers that one choice may change: one leaves and another one comes.
const CHANGES_MAX: usize = 2;

/// Servers of an address that are shown.
pub const SERVERS_SHOWN: usize = 16;

/// An address at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Where its content comes from.
    pub address: IpAddr,
    /// Why it is in the table.
    pub hold: Hold,
    /// Since it was last asked for.
    pub unused: Span,
    /// Since its servers last changed.
    pub unchanged: Span,
    /// How often it was asked for since it came.
    pub uses: u32,
    /// How many servers it has.
    pub members: u16,
    /// The newest of them, first the last that came.
    pub servers: [Option<ServerId>; SERVERS_SHOWN],
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

/// The table of one service on one worker.
#[derive(Debug)]
pub struct Table {
    limits: Locality,
    key: RandomState,
    buckets: Vec<u32>,
    entries: Vec<Entry>,
    members: Vec<Member>,
    free_entry: u32,
    free_member: u32,
    count: u32,
    /// Where the sweep goes on.
    rover: u32,
    /// What the last choice has changed.
    lessons: [Option<Lesson>; CHANGES_MAX],
}

impl Table {
    /// An empty one.
    pub fn new(limits: Locality) -> Self {
        let place = |i: u32, count: u32| if i + 1 < count { i + 1 } else { NONE };
        let entry = |i| Entry { next: place(i, limits.entries_max), ..Entry::EMPTY };
        let member = |i| Member { server: ServerId::FIRST, next: place(i, limits.members_max) };
        Self {
            key: RandomState::new(),
            buckets: vec![NONE; (limits.entries_max as usize).next_power_of_two()],
            entries: (0..limits.entries_max).map(entry).collect(),
            members: (0..limits.members_max).map(member).collect(),
            free_entry: if limits.entries_max > 0 { 0 } else { NONE },
            free_member: if limits.members_max > 0 { 0 } else { NONE },
            count: 0,
            rover: 0,
            lessons: [None; CHANGES_MAX],
            limits,
        }
    }

    /// Bytes that one takes.
    pub const fn bytes(limits: Locality) -> u64 {
        let entries = limits.entries_max as u64 * size_of::<Entry>() as u64;
        entries + limits.members_max as u64 * size_of::<Member>() as u64
    }

    /// How many addresses it knows.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it knows none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// An address, if it is known.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Option<Place> {
        self.chain(self.bucket(address)).find(|place| self.entries[place.0 as usize].address == address)
    }

    /// A known address.
    #[inline]
    pub fn entry(&self, place: Place) -> &Entry {
        &self.entries[place.0 as usize]
    }

    /// All addresses.
    pub fn entries(&self) -> impl Iterator<Item = (Place, &Entry)> {
        let places = (0..self.buckets.len()).flat_map(|bucket| self.chain(bucket));
        places.map(|place| (place, self.entry(place)))
    }

    /// How many addresses there is room for: what [`Table::view`] counts to.
    pub const fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// The address in this place for show, if there is one.
    pub fn view(&self, place: u32, now: Tick) -> Option<View> {
        let entry = self.entries.get(place as usize).filter(|entry| entry.uses > 0)?;
        let mut servers = [None; SERVERS_SHOWN];
        servers.iter_mut().zip(self.servers(Place(place))).for_each(|(shown, server)| *shown = Some(server));
        Some(View {
            address: entry.address,
            hold: entry.hold,
            unused: now.since(entry.last_used),
            unchanged: now.since(entry.last_changed),
            uses: entry.uses,
            members: entry.members,
            servers,
        })
    }

    /// The servers of an address, the newest first.
    #[inline]
    pub fn servers(&self, place: Place) -> impl Iterator<Item = ServerId> {
        let mut at = self.entry(place).first;
        core::iter::from_fn(move || {
            let member = self.members.get(at as usize)?;
            at = member.next;
            Some(member.server)
        })
    }

    /// Whether an address's servers are as they have been for longer than the expiration.
    #[inline]
    pub(super) fn is_settled(&self, place: Place, now: Tick) -> bool {
        now.since(self.entry(place).last_changed) > self.limits.expiration
    }

    /// A known address is asked for.
    #[inline]
    pub(super) fn touch(&mut self, place: Place, now: Tick) {
        let entry = &mut self.entries[place.0 as usize];
        (entry.last_used, entry.uses) = (now, entry.uses.saturating_add(1));
    }

    /// Remembers an address that is not known; `None`: there is no room.
    pub(super) fn insert(&mut self, address: IpAddr, hold: Hold, now: Tick) -> Option<Place> {
        let (place, bucket) = (self.free_entry, self.bucket(address));
        let entry = self.entries.get_mut(place as usize)?;
        self.free_entry = entry.next;
        let head = &mut self.buckets[bucket];
        *entry =
            Entry { address, hold, last_used: now, last_changed: now, uses: 1, next: *head, ..Entry::EMPTY };
        *head = place;
        self.count += 1;
        Some(Place(place))
    }

    /// The scheduler has learned that a server holds an address's content from now on, or no longer; nothing if it has
    /// known that.
    pub(super) fn learn(&mut self, place: Place, server: ServerId, holds: bool, now: Tick) {
        if self.servers(place).any(|known| known == server) == holds {
            return;
        }
        self.change(place, server, holds, now);
        let lesson = Lesson { address: self.entry(place).address, server, holds, at: now };
        if let Some(free) = self.lessons.iter_mut().find(|lesson| lesson.is_none()) {
            *free = Some(lesson);
        }
    }

    /// What the last choice has changed, in order.
    #[inline]
    pub fn take_lessons(&mut self) -> impl Iterator<Item = Lesson> {
        core::mem::take(&mut self.lessons).into_iter().flatten()
    }

    /// Takes in what another worker's scheduler has learned. What an operator says of the address stands above it.
    pub fn hear(&mut self, lesson: &Lesson) {
        let &Lesson { address, server, holds, at } = lesson;
        let known = self.find(address).or_else(|| self.insert(address, Hold::Learned, at));
        if let Some(place) = known.filter(|place| self.entry(*place).hold == Hold::Learned) {
            self.change(place, server, holds, at);
        }
    }

    /// Another node has sent a client to an address to this server: one that holds its content, or with `alone` the one.
    pub fn follow(&mut self, address: IpAddr, server: ServerId, alone: bool, now: Tick) {
        let place = match self.find(address) {
            Some(place) => {
                self.touch(place, now);
                place
            }
            None => match self.insert(address, Hold::Learned, now) {
                Some(place) => place,
                None => return,
            },
        };
        let had = self.servers(place).next();
        if self.entry(place).hold != Hold::Learned || had == Some(server) {
            return;
        }
        if let Some(had) = had.filter(|_| alone) {
            self.learn(place, had, false, now);
        }
        if !self.servers(place).any(|known| known == server) {
            self.learn(place, server, true, now);
        }
    }

    fn change(&mut self, place: Place, server: ServerId, holds: bool, now: Tick) {
        if holds { self.add(place, server, now) } else { self.remove(place, server, now) }
    }

    /// One more server for an address; nothing if it is there, or if there is no room.
    pub(super) fn add(&mut self, place: Place, server: ServerId, now: Tick) {
        if self.servers(place).any(|known| known == server) {
            return;
        }
        let at = self.free_member;
        let Some(member) = self.members.get_mut(at as usize) else { return };
        let entry = &mut self.entries[place.0 as usize];
        self.free_member = member.next;
        *member = Member { server, next: entry.first };
        (entry.first, entry.members, entry.last_changed) = (at, entry.members + 1, now);
    }

    /// One server less for an address.
    pub(super) fn remove(&mut self, place: Place, server: ServerId, now: Tick) {
        let entry = &mut self.entries[place.0 as usize];
        let (mut before, mut at) = (NONE, entry.first);
        while let Some(member) = self.members.get(at as usize).copied() {
            if member.server == server {
                match self.members.get_mut(before as usize) {
                    Some(before) => before.next = member.next,
                    None => entry.first = member.next,
                }
                self.members[at as usize].next = self.free_member;
                (self.free_member, entry.last_changed) = (at, now);
                entry.members -= 1;
                return;
            }
            (before, at) = (at, member.next);
        }
    }

    /// An operator's word on an address; whether there was room for it.
    pub fn hold(&mut self, address: IpAddr, hold: Hold, server: Option<ServerId>, now: Tick) -> bool {
        self.forget(address);
        let Some(place) = self.insert(address, hold, now) else { return false };
        if let Some(server) = server {
            self.add(place, server, now);
        }
        true
    }

    /// Forgets an address, whatever it was held for.
    pub fn forget(&mut self, address: IpAddr) {
        let bucket = self.bucket(address);
        let (mut before, mut at) = (NONE, self.buckets[bucket]);
        while at != NONE {
            let entry = self.entries[at as usize];
            if entry.address == address {
                match self.entries.get_mut(before as usize) {
                    Some(before) => before.next = entry.next,
                    None => self.buckets[bucket] = entry.next,
                }
                self.free(at);
                return;
            }
            (before, at) = (at, entry.next);
        }
    }

    /// Looks at the next `count` entries for addresses that can be forgotten. A whole round a minute is enough.
    pub fn sweep(&mut self, now: Tick, count: u32) {
        let full = self.count >= self.limits.entries_max;
        let span = if full { self.limits.idle } else { self.limits.expiration };
        for _ in 0..count.min(self.limits.entries_max) {
            let Entry { address, hold, last_used, uses, .. } = self.entries[self.rover as usize];
            self.rover = (self.rover + 1) % self.limits.entries_max;
            if uses > 0 && hold == Hold::Learned && now.since(last_used) > span {
                self.forget(address);
            }
        }
    }

    fn free(&mut self, at: u32) {
        let place = Place(at);
        let first = self.entry(place).first;
        let mut last = first;
        while let Some(member) = self.members.get(last as usize).filter(|member| member.next != NONE) {
            last = member.next;
        }
        if let Some(member) = self.members.get_mut(last as usize) {
            member.next = self.free_member;
            self.free_member = first;
        }
        self.entries[at as usize] = Entry { next: self.free_entry, ..Entry::EMPTY };
        self.free_entry = at;
        self.count -= 1;
    }

    #[inline]
    fn bucket(&self, address: IpAddr) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are as good as any")]
        let hash = match address {
            IpAddr::V4(address) => self.key.hash_one(address.to_bits()),
            IpAddr::V6(address) => self.key.hash_one(address.to_bits()),
        } as usize;
        hash & (self.buckets.len() - 1)
    }

    #[inline]
    fn chain(&self, bucket: usize) -> impl Iterator<Item = Place> {
        let mut at = self.buckets[bucket];
        core::iter::from_fn(move || {
            let place = Place(at);
            at = self.entries.get(at as usize)?.next;
            Some(place)
        })
    }
}

impl Entry {
    const EMPTY: Self = Self {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        hold: Hold::Learned,
        last_used: Tick::from_count(0),
        last_changed: Tick::from_count(0),
        uses: 0,
        members: 0,
        first: NONE,
        next: NONE,
    };
}

#[cfg(test)]
mod tests;
