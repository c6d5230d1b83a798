//! Expectations: flows that a helper has read about in another one, their master.
//!
//! One worker's, in bounded memory that is allocated at the start. An expectation is used up by the first packet
//! that fits it, unless it is permanent; it runs out after its time, and goes when its master goes. Those that a
//! packet may find at another worker are told to it as [`News`], and so is their end.

mod store;

use super::news::{Announced, News, Outbound, Peers, Post, Serial};
use super::record::{Heritage, Origin};
use super::table::RecordId;
use crate::config::HelperKind;
use crate::helper::{Expected, Helper, Refused};
use crate::key::{Address, Endpoint, Family, FlowKey};
use crate::units::{Span, Tick};
use crate::wire::IpProtocol;
use core::net::{IpAddr, SocketAddr};
use store::{Entry, NONE, Store};

/// Expectations of one destination, at most. They differ in their sources; real traffic has one or two.
const CHAIN_MAX: usize = 32;

/// The name that expectations are looked up by: that of their destination.
fn key_of(protocol: IpProtocol, destination: SocketAddr) -> FlowKey {
    let family = if destination.is_ipv4() { Family::V4 } else { Family::V6 };
    let destination = Endpoint::new(Address::from_ip(destination.ip()), destination.port());
    FlowKey::oriented(family, protocol.0, Endpoint::default(), destination)
}

fn destination_of(expected: &Expected) -> SocketAddr {
    SocketAddr::new(expected.destination, expected.destination_port)
}

/// The flow that expects, for as long as it lives.
#[derive(Clone, Copy, Debug)]
pub struct Master {
    /// Its record.
    pub record: RecordId,
    /// What its children have from it.
    pub heritage: Heritage,
    /// Its helper.
    pub helper: HelperKind,
}

/// An expectation that a packet has used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// The master's record, where the master is this worker's.
    pub master: Option<RecordId>,
    /// What there was to have from the master when it announced it.
    pub heritage: Heritage,
    /// The helper of the flow.
    pub helper: Option<Helper>,
}

/// An expectation for show.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// What is expected.
    pub expected: Expected,
    /// Who announced it.
    pub master: Origin,
    /// The master's helper.
    pub helper: HelperKind,
    /// When it runs out.
    pub deadline: Tick,
}

/// All expectations of one worker.
#[derive(Debug)]
pub struct Expectations {
    store: Store,
    outbound: Outbound,
}

impl Expectations {
    /// Room for `max` of them, at a worker among `peers`.
    pub fn new(max: u32, secret: u64, now: Tick, peers: Peers) -> Self {
        Self { store: Store::new(max, secret, now), outbound: Outbound::new(peers) }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Waits for `expected`: its number. Linux's rules: the same one of the same master and class begins anew; a
    /// master that expects more than its class allows loses its oldest one.
    pub fn add(&mut self, expected: &Expected, master: &Master, now: Tick) -> Result<u32, Refused> {
        let key = key_of(expected.protocol, destination_of(expected));
        self.make_way(&key, expected, Some(master.record))?;
        let class = expected.class;
        let of_class =
            |entry: &u32| self.store.entry(*entry).is_some_and(|e| e.expected.class.index == class.index);
        if self.store.of_master(master.record).filter(of_class).count() >= usize::from(class.expectations_max)
            && let Some(oldest) = self.store.of_master(master.record).filter(of_class).last()
        {
            self.remove(oldest);
        }
        if self.store.is_full() || !self.outbound.has_room() {
            return Err(Refused::Full);
        }
        let serial = self.outbound.serial();
        let deadline = now.after(class.timeout);
        let Master { record, heritage, helper } = *master;
        let entry = Entry {
            key,
            expected: *expected,
            deadline,
            master: record,
            heritage,
            helper,
            serial,
            next: NONE,
            older: NONE,
        };
        let entry = self.store.insert(entry)?;
        self.announce(entry);
        Ok(entry)
    }

    /// The expectation that a first packet from `source` to `destination` fits, and what there is to have from it.
    pub fn fitting(
        &self,
        protocol: IpProtocol,
        source: SocketAddr,
        destination: SocketAddr,
        now: Tick,
    ) -> Option<(u32, Used)> {
        if self.is_empty() {
            return None;
        }
        let fits =
            |entry: &Entry| !entry.expected.inactive && entry.expected.fits(source.ip(), source.port());
        let key = key_of(protocol, destination);
        let found = self.store.chain(&key).find(|number| self.store.entry(*number).is_some_and(fits))?;
        let Entry { master, heritage, expected, deadline, .. } = *self.store.entry(found)?;
        let master = (master != NONE).then_some(master);
        (!now.reached(deadline)).then_some((found, Used { master, heritage, helper: expected.helper }))
    }

    /// A first packet uses it up.
    pub fn use_up(&mut self, number: u32) {
        if self.store.entry(number).is_some_and(|entry| !entry.expected.permanent) {
            self.remove(number);
        }
    }

    /// The newest one that a packet would fit, active or not; without a source, one that is open to all.
    pub fn find(
        &self,
        protocol: IpProtocol,
        source: Option<IpAddr>,
        destination: SocketAddr,
        now: Tick,
    ) -> Option<(u32, Waiting, Option<RecordId>)> {
        let fits = |expected: &Expected| match source {
            Some(source) => expected.fits(source, 0),
            None => expected.source == crate::helper::Source::Any && expected.source_port.is_none(),
        };
        self.store.chain(&key_of(protocol, destination)).find_map(|number| {
            let entry = self.store.entry(number).filter(|entry| fits(&entry.expected))?;
            let master = (entry.master != NONE).then_some(entry.master);
            (!now.reached(entry.deadline)).then(|| (number, entry.waiting(), master))
        })
    }

    /// Those of `master`, newest first.
    pub fn own(&self, master: RecordId) -> impl Iterator<Item = (u32, &Expected)> + '_ {
        self.store.of_master(master).filter_map(|number| Some((number, &self.store.entry(number)?.expected)))
    }

    /// Makes one active and lets it wait this long.
    pub fn activate(&mut self, number: u32, now: Tick, timeout: Span) {
        self.store.activate(number, now.after(timeout));
        self.announce(number);
    }

    /// Takes one out.
    pub fn remove(&mut self, number: u32) {
        let Some(Entry { expected, serial, .. }) = self.store.entry(number).copied() else { return };
        self.outbound.withdraw(&expected, serial);
        self.store.remove(number);
    }

    /// Takes out the newest that a packet would fit, whosever it is.
    pub fn withdraw(&mut self, protocol: IpProtocol, source: SocketAddr, destination: SocketAddr) {
        let fits = |entry: &Entry| entry.expected.fits(source.ip(), source.port());
        let key = key_of(protocol, destination);
        let found = self.store.chain(&key).find(|number| self.store.entry(*number).is_some_and(fits));
        if let Some(found) = found {
            self.remove(found);
        }
    }

    /// Forgets all that `master` announced.
    pub fn forget_master(&mut self, master: RecordId) {
        loop {
            let newest = self.store.of_master(master).next();
            let Some(newest) = newest else { return };
            self.remove(newest);
        }
    }

    /// Forgets those whose time has run out, `budget` at most. Each worker sees to its own copies.
    pub fn expire(&mut self, now: Tick, budget: &mut u32) {
        self.store.expire(now, budget);
    }

    /// Takes in what another worker tells.
    pub fn hear(&mut self, news: &News) {
        match news {
            News::Announced(announced) => {
                let Announced { expected, heritage, helper, deadline, serial } = *announced;
                let key = key_of(expected.protocol, destination_of(&expected));
                self.withdraw_serial(&key, serial);
                let entry = Entry {
                    key,
                    expected,
                    deadline,
                    master: NONE,
                    heritage,
                    helper,
                    serial,
                    next: NONE,
                    older: NONE,
                };
                // The other worker has booked it already: what stands in its way here came first and stays.
                if self.make_way(&key, &expected, None).is_ok() {
                    let _ = self.store.insert(entry);
                }
            }
            News::Withdrawn { protocol, destination, serial } => {
                self.withdraw_serial(&key_of(*protocol, *destination), *serial);
            }
            News::Learned { .. } | News::Visited { .. } => {}
        }
    }

    /// The next thing to tell other workers.
    #[inline]
    pub fn post(&mut self) -> Option<Post> {
        self.outbound.take()
    }

    /// How many can wait: their numbers are below.
    pub fn capacity(&self) -> usize {
        self.store.capacity()
    }

    /// The one of this number, if its master is this worker's.
    pub fn waiting(&self, number: u32) -> Option<Waiting> {
        self.store.entry(number).filter(|entry| entry.master != NONE).map(Entry::waiting)
    }

    /// Removes what the new one replaces, or says what stands in its way.
    fn make_way(
        &mut self,
        key: &FlowKey,
        expected: &Expected,
        master: Option<RecordId>,
    ) -> Result<(), Refused> {
        let mut same = None;
        let mut length = 0;
        for number in self.store.chain(key) {
            let Some(entry) = self.store.entry(number) else { continue };
            length += 1;
            let ours = Some(entry.master) == master;
            if (ours || expected.any_master) && entry.expected.equals(expected) {
                if !ours || entry.expected.class.index != expected.class.index {
                    return Err(Refused::Taken);
                }
                same = Some(number);
                break;
            }
            if entry.expected.clashes(expected) {
                return Err(Refused::Clash);
            }
        }
        if length > CHAIN_MAX {
            return Err(Refused::Full);
        }
        if let Some(same) = same {
            self.remove(same);
        }
        Ok(())
    }

    fn announce(&mut self, number: u32) {
        let Some(entry) = self.store.entry(number) else { return };
        let Entry { expected, heritage, helper, deadline, serial, .. } = *entry;
        self.outbound.announce(Announced { expected, heritage, helper, deadline, serial });
    }

    fn withdraw_serial(&mut self, key: &FlowKey, serial: Serial) {
        let held = self
            .store
            .chain(key)
            .find(|number| self.store.entry(*number).is_some_and(|e| e.serial == serial));
        if let Some(number) = held {
            self.store.remove(number);
        }
    }
}

#[cfg(test)]
mod tests;
