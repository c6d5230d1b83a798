//! What servers carry, as one worker knows it.
//!
//! A worker counts the connections that it has given out itself, in its counters, and is told from time to time what
//! all others carry.

use crate::config::service;
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

/// One server.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    others: Counts,
    upper_threshold: u32,
    lower_threshold: u32,
    over_threshold: bool,
}

impl Tally {
    /// A connection more: with as many as its upper threshold a server gets no new ones.
    fn rise(&mut self, total: u64) {
        self.over_threshold |= self.upper_threshold != 0 && total >= self.upper_threshold.into();
    }

    /// A connection less: with fewer than its lower threshold it gets new ones again; without one, with fewer than
    /// three quarters of the upper one.
    fn fall(&mut self, total: u64) {
        let (upper, lower) = (u64::from(self.upper_threshold), u64::from(self.lower_threshold));
        let low = if lower == 0 { total * 4 < upper * 3 } else { total < lower };
        if low || upper == 0 {
            self.over_threshold = false;
        }
    }
}

/// All servers of all services, by their numbers.
#[derive(Debug)]
pub struct Tallies {
    tallies: Vec<Tally>,
    counters: Arc<WorkerCounters>,
}

impl Tallies {
    /// No connection yet, and no threshold. What this worker gives out is counted in `counters`.
    pub fn new(counters: Arc<WorkerCounters>) -> Self {
        Self { tallies: vec![Tally::default(); SERVERS_MAX], counters }
    }

    /// A server is configured so.
    pub fn set(&mut self, server: &service::Server) {
        let tally = &mut self.tallies[server.id.index()];
        let thresholds = (server.upper_threshold, server.lower_threshold);
        if (tally.upper_threshold, tally.lower_threshold) != thresholds {
            (tally.upper_threshold, tally.lower_threshold) = thresholds;
            self.weigh(server.id);
        }
    }

    /// What the other workers' connections to a server come to.
    pub fn hear(&mut self, server: ServerId, others: Counts) {
        self.tallies[server.index()].others = others;
        self.weigh(server);
    }

    /// A server gets a connection.
    #[inline]
    pub fn bind(&mut self, server: ServerId, activity: Activity) {
        let cells = self.counters.server(server);
        cells.connections.add(1);
        gauges(cells, activity).for_each(|gauge| gauge.add(1));
        let total = self.total(server);
        self.tallies[server.index()].rise(total);
    }

    /// A connection goes from one count to the other.
    #[inline]
    pub fn change(&mut self, server: ServerId, from: Activity, to: Activity) {
        let cells = self.counters.server(server);
        gauges(cells, from).for_each(|gauge| gauge.sub(1));
        gauges(cells, to).for_each(|gauge| gauge.add(1));
    }

    /// A server's connection is forgotten.
    #[inline]
    pub fn unbind(&mut self, server: ServerId, activity: Activity) {
        gauges(self.counters.server(server), activity).for_each(|gauge| gauge.sub(1));
        let total = self.total(server);
        self.tallies[server.index()].fall(total);
    }

    /// All connections to a server.
    #[inline]
    pub fn of(&self, server: ServerId) -> Counts {
        let (own, others) = (self.own(server), self.tallies[server.index()].others);
        Counts {
            active: own.active.saturating_add(others.active),
            inactive: own.inactive.saturating_add(others.inactive),
            datagrams: own.datagrams.saturating_add(others.datagrams),
        }
    }

    /// Whether its upper threshold was reached, and its lower one not since.
    #[inline]
    pub fn is_over_threshold(&self, server: ServerId) -> bool {
        self.tallies[server.index()].over_threshold
    }

    #[expect(clippy::cast_possible_truncation, reason = "no more than there are flows, which are 32 bits")]
    fn own(&self, server: ServerId) -> Counts {
        let cells = self.counters.server(server);
        let [active, inactive, datagrams] =
            [&cells.active, &cells.inactive, &cells.datagrams].map(|cell| cell.read() as u32);
        Counts { active, inactive, datagrams }
    }

    fn total(&self, server: ServerId) -> u64 {
        let Counts { active, inactive, .. } = self.of(server);
        u64::from(active) + u64::from(inactive)
    }

    fn weigh(&mut self, server: ServerId) {
        let total = self.total(server);
        let tally = &mut self.tallies[server.index()];
        tally.rise(total);
        tally.fall(total);
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
        while !tallies.is_over_threshold(SERVER) {
            tallies.bind(SERVER, Active);
            count += 1;
        }
        let most = count;
        while tallies.is_over_threshold(SERVER) {
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
        assert_eq!(tallies.of(SERVER), Counts { active: 4, inactive: 6, datagrams: 2 });
        assert!(tallies.is_over_threshold(SERVER));
        tallies.hear(SERVER, Counts::default());
        tallies.change(SERVER, Inactive, Active);
        assert_eq!(tallies.of(SERVER), Counts { active: 1, inactive: 0, datagrams: 0 });
        assert!(!tallies.is_over_threshold(SERVER));
    }
}
