//! What servers carry, as one worker knows it.
//!
//! A worker counts the connections that it has given out itself, in its counters, and is told from time to time what
//! all others carry.

use crate::config::service::{self, ServerState};
use crate::counters::{Cell, ServerCells, WorkerCounters};
use crate::units::{SERVERS_MAX, ServerId};
use std::sync::Arc;

/// Which of a server's two counts a connection is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Established, or about to be.
    Active,
    /// Over, and not yet forgotten.
    Inactive,
    /// Of what has no connections, such as UDP: IPVS has it in the count of the inactive ones, and so it is here; but it
    /// is no less of a load than what is active.
    Datagrams,
}

/// Connections to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Established, or about to be.
    pub active: u32,
    /// All others.
    pub inactive: u32,
    /// Of those, flows of what has no connections.
    pub datagrams: u32,
}

impl Counts {
    /// All connections in one number, of which an active one counts as 256 that are not.
    #[inline]
    pub const fn overhead(self) -> u64 {
        self.active as u64 * 256 + self.inactive as u64
    }

    const fn add(&mut self, activity: Activity, change: i32) {
        let count = match activity {
            Activity::Active => &mut self.active,
            Activity::Inactive => &mut self.inactive,
            Activity::Datagrams => {
                self.datagrams = self.datagrams.wrapping_add_signed(change);
                &mut self.inactive
            }
        };
        *count = count.wrapping_add_signed(change);
    }
}

/// One server.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Tally {
    /// Of all workers,
    counts: Counts,
    /// and of all but this one.
    others: Counts,
    upper_threshold: u32,
    lower_threshold: u32,
    over_threshold: bool,
    is_up: bool,
    /// It is up, and not over its threshold.
    takes: bool,
}

const _: () = assert!(size_of::<Tally>() == 64);

impl Tally {
    #[inline]
    const fn total(&self) -> u64 {
        self.counts.active as u64 + self.counts.inactive as u64
    }

    /// A connection more: with as many as its upper threshold a server gets no new ones. As [`Tally::weigh`].
    #[inline(always)]
    fn rise(&mut self) -> u64 {
        self.over_threshold |= self.upper_threshold != 0 && self.total() >= self.upper_threshold.into();
        self.weigh()
    }

    /// A connection less: with fewer than its lower threshold it gets new ones again; without one, with fewer than
    /// three quarters of the upper one. As [`Tally::weigh`].
    #[inline(always)]
    fn fall(&mut self) -> u64 {
        if self.over_threshold {
            self.recover();
        }
        self.weigh()
    }

    #[inline(never)]
    fn recover(&mut self) {
        let total = self.total();
        let (upper, lower) = (u64::from(self.upper_threshold), u64::from(self.lower_threshold));
        let low = if lower == 0 { total * 4 < upper * 3 } else { total < lower };
        if low || upper == 0 {
            self.over_threshold = false;
        }
    }

    /// All connections in one number, as [`Counts::overhead`] has it, or the highest that there is: it is not up, or over
    /// its threshold.
    #[inline(always)]
    const fn weigh(&mut self) -> u64 {
        self.takes = self.is_up && !self.over_threshold;
        if self.takes { self.counts.overhead() } else { u64::MAX }
    }
}

/// All servers of all services, by their numbers.
#[derive(Debug)]
pub struct Tallies {
    tallies: Vec<Tally>,
    /// What a choice among servers reads stands in one place, and is worked out when it changes: [`Tally::weigh`].
    overheads: Vec<u64>,
    counters: Arc<WorkerCounters>,
}

impl Tallies {
    /// No connection yet, and no threshold. What this worker gives out is counted in `counters`.
    pub fn new(counters: Arc<WorkerCounters>) -> Self {
        let tallies = vec![Tally::default(); SERVERS_MAX];
        Self { tallies, overheads: vec![0; SERVERS_MAX], counters }
    }

    /// A server is configured so.
    pub fn set(&mut self, server: &service::Server) {
        let tally = &mut self.tallies[server.id.index()];
        (tally.upper_threshold, tally.lower_threshold) = (server.upper_threshold, server.lower_threshold);
        tally.is_up = server.state == ServerState::Up;
        tally.rise();
        self.overheads[server.id.index()] = tally.fall();
    }

    /// What the other workers' connections to a server come to.
    pub fn hear(&mut self, server: ServerId, others: Counts) {
        let tally = &mut self.tallies[server.index()];
        let counts = |all: u32, before: u32, now: u32| all.wrapping_sub(before).wrapping_add(now);
        tally.counts = Counts {
            active: counts(tally.counts.active, tally.others.active, others.active),
            inactive: counts(tally.counts.inactive, tally.others.inactive, others.inactive),
            datagrams: counts(tally.counts.datagrams, tally.others.datagrams, others.datagrams),
        };
        tally.others = others;
        tally.rise();
        self.overheads[server.index()] = tally.fall();
    }

    /// A server gets a connection.
    #[inline(always)]
    pub fn bind(&mut self, server: ServerId, activity: Activity) {
        let cells = self.counters.server(server);
        cells.connections.add(1);
        gauges(cells, activity).for_each(|gauge| gauge.add(1));
        let tally = &mut self.tallies[server.index()];
        tally.counts.add(activity, 1);
        self.overheads[server.index()] = tally.rise();
    }

    /// A connection goes from one count to the other.
    #[inline]
    pub fn change(&mut self, server: ServerId, from: Activity, to: Activity) {
        let cells = self.counters.server(server);
        gauges(cells, from).for_each(|gauge| gauge.sub(1));
        gauges(cells, to).for_each(|gauge| gauge.add(1));
        let tally = &mut self.tallies[server.index()];
        tally.counts.add(from, -1);
        tally.counts.add(to, 1);
        self.overheads[server.index()] = tally.weigh();
    }

    /// A server's connection is forgotten.
    #[inline(always)]
    pub fn unbind(&mut self, server: ServerId, activity: Activity) {
        gauges(self.counters.server(server), activity).for_each(|gauge| gauge.sub(1));
        let tally = &mut self.tallies[server.index()];
        tally.counts.add(activity, -1);
        self.overheads[server.index()] = tally.fall();
    }

    /// All connections to a server, and whether it may get another one: it is up, and its upper threshold was not
    /// reached, or its lower one since.
    #[inline]
    pub fn of(&self, server: ServerId) -> (Counts, bool) {
        let tally = &self.tallies[server.index()];
        (tally.counts, tally.takes)
    }

    /// All connections to a server in one number, or the highest number that there is if it may not get another one.
    #[inline]
    pub fn overhead(&self, server: ServerId) -> u64 {
        self.overheads[server.index()]
    }
}

fn gauges(cells: &ServerCells, activity: Activity) -> impl Iterator<Item = &Cell> {
    let (count, part) = match activity {
        Activity::Active => (&cells.active, None),
        Activity::Inactive => (&cells.inactive, None),
        Activity::Datagrams => (&cells.inactive, Some(&cells.datagrams)),
    };
    core::iter::once(count).chain(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Active, Inactive};
    use service::{Place, Server};

    const SERVER: ServerId = ServerId::FIRST;

    fn tallies(upper_threshold: u32, lower_threshold: u32) -> Tallies {
        let mut tallies = Tallies::new(Arc::default());
        let server = Server::new(SERVER, Place::Address([192, 0, 2, 1].into()));
        tallies.set(&Server { upper_threshold, lower_threshold, ..server });
        tallies
    }

    /// How many connections a server has when it gets no more, and when it does again.
    fn turns(upper: u32, lower: u32) -> (u32, u32) {
        let mut tallies = tallies(upper, lower);
        let mut count = 0;
        while tallies.of(SERVER).1 {
            tallies.bind(SERVER, Active);
            count += 1;
        }
        let most = count;
        while !tallies.of(SERVER).1 {
            tallies.unbind(SERVER, Active);
            count -= 1;
        }
        (most, count)
    }

    #[test]
    fn thresholds_hold_until_the_lower_one() {
        assert_eq!(turns(8, 3), (8, 2));
        assert_eq!(turns(8, 0), (8, 5), "below three quarters");
        assert_eq!(turns(1, 0), (1, 0));
    }

    #[test]
    fn what_others_have_counts_as_well() {
        let mut tallies = tallies(10, 0);
        tallies.bind(SERVER, Inactive);
        tallies.hear(SERVER, Counts { active: 4, inactive: 5, datagrams: 2 });
        assert_eq!(tallies.of(SERVER), (Counts { active: 4, inactive: 6, datagrams: 2 }, false));
        assert_eq!(tallies.overhead(SERVER), u64::MAX);
        tallies.hear(SERVER, Counts::default());
        tallies.change(SERVER, Inactive, Active);
        assert_eq!(tallies.of(SERVER), (Counts { active: 1, inactive: 0, datagrams: 0 }, true));
        assert_eq!(tallies.overhead(SERVER), 256);
        tallies.change(SERVER, Active, Inactive);
        assert_eq!(tallies.overhead(SERVER), 1);
    }
}
