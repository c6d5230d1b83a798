//! What servers carry, as one worker knows it.
//!
//! A worker counts the connections that it has given out itself, and is told from time to time what all others carry.

use crate::config::service;
use crate::sched::{Load, Loads};
use crate::units::ServerId;

/// Which of a server's two counts a connection is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Established, or about to be.
    Active,
    /// Over, and not yet forgotten; and what has no connections, such as UDP, is in this count too.
    Inactive,
}

/// One server.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    own: Counts,
    others: Counts,
    upper_threshold: u32,
    lower_threshold: u32,
    over_threshold: bool,
    dead: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    active: u32,
    inactive: u32,
}

impl Counts {
    fn of(&mut self, activity: Activity) -> &mut u32 {
        match activity {
            Activity::Active => &mut self.active,
            Activity::Inactive => &mut self.inactive,
        }
    }
}

impl Tally {
    const fn total(&self) -> u64 {
        let Self { own, others, .. } = self;
        own.active as u64 + own.inactive as u64 + others.active as u64 + others.inactive as u64
    }

    /// A connection more: with as many as its upper threshold a server gets no new ones.
    fn rise(&mut self) {
        self.over_threshold |= self.upper_threshold != 0 && self.total() >= self.upper_threshold.into();
    }

    /// A connection less: with fewer than its lower threshold it gets new ones again; without one, with fewer than
    /// three quarters of the upper one.
    fn fall(&mut self) {
        let (upper, lower, total) =
            (u64::from(self.upper_threshold), u64::from(self.lower_threshold), self.total());
        let low = if lower == 0 { total * 4 < upper * 3 } else { total < lower };
        if low || upper == 0 {
            self.over_threshold = false;
        }
    }
}

/// All servers of all services, by their numbers.
#[derive(Debug, Default)]
pub struct Tallies {
    tallies: Vec<Tally>,
}

impl Tallies {
    /// Room for servers up to this number.
    pub fn new(servers_max: usize) -> Self {
        Self { tallies: vec![Tally::default(); servers_max] }
    }

    /// A server is configured so, and lives or not.
    pub fn set(&mut self, server: &service::Server, dead: bool) {
        if let Some(tally) = self.tallies.get_mut(server.id.index()) {
            tally.upper_threshold = server.upper_threshold;
            tally.lower_threshold = server.lower_threshold;
            tally.dead = dead;
            tally.rise();
            tally.fall();
        }
    }

    /// What the other workers' connections to a server come to.
    pub fn hear(&mut self, server: ServerId, active: u32, inactive: u32) {
        if let Some(tally) = self.tallies.get_mut(server.index()) {
            tally.others = Counts { active, inactive };
            tally.rise();
            tally.fall();
        }
    }

    /// A server gets a connection.
    #[inline]
    pub fn bind(&mut self, server: ServerId, activity: Activity) {
        if let Some(tally) = self.tallies.get_mut(server.index()) {
            *tally.own.of(activity) += 1;
            tally.rise();
        }
    }

    /// A connection goes from one count to the other.
    #[inline]
    pub fn change(&mut self, server: ServerId, from: Activity, to: Activity) {
        if let Some(tally) = self.tallies.get_mut(server.index()) {
            let count = tally.own.of(from);
            *count = count.saturating_sub(1);
            *tally.own.of(to) += 1;
        }
    }

    /// A server's connection is forgotten.
    #[inline]
    pub fn unbind(&mut self, server: ServerId, activity: Activity) {
        if let Some(tally) = self.tallies.get_mut(server.index()) {
            let count = tally.own.of(activity);
            *count = count.saturating_sub(1);
            tally.fall();
        }
    }
}

impl Loads for Tallies {
    #[inline]
    fn of(&self, server: ServerId) -> Load {
        let Some(tally) = self.tallies.get(server.index()) else {
            return Load { overloaded: true, ..Load::default() };
        };
        Load {
            active: tally.own.active.saturating_add(tally.others.active),
            inactive: tally.own.inactive.saturating_add(tally.others.inactive),
            overloaded: tally.over_threshold || tally.dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Active, Inactive};

    fn tallies(upper_threshold: u32, lower_threshold: u32) -> (Tallies, ServerId) {
        let address = service::Place::Address([192, 0, 2, 1].into());
        let server = service::Server::new(ServerId::FIRST, address);
        let server = service::Server { upper_threshold, lower_threshold, ..server };
        let mut tallies = Tallies::new(1);
        tallies.set(&server, false);
        (tallies, server.id)
    }

    /// How many connections a server has when it gets no more, and when it does again.
    fn turns(upper: u32, lower: u32) -> (u32, u32) {
        let (mut tallies, server) = tallies(upper, lower);
        let mut count = 0;
        while !tallies.of(server).overloaded {
            tallies.bind(server, Active);
            count += 1;
        }
        let most = count;
        while tallies.of(server).overloaded {
            tallies.unbind(server, Active);
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
        let (mut tallies, server) = tallies(10, 0);
        tallies.bind(server, Inactive);
        tallies.hear(server, 4, 5);
        assert_eq!(tallies.of(server), Load { active: 4, inactive: 6, overloaded: true });
        tallies.hear(server, 0, 0);
        tallies.change(server, Inactive, Active);
        assert_eq!(tallies.of(server), Load { active: 1, inactive: 0, overloaded: false });
    }

    #[test]
    fn the_dead_and_the_unknown_get_nothing() {
        let (mut tallies, server) = tallies(0, 0);
        assert!(!tallies.of(server).overloaded);
        assert!(tallies.of(ServerId::new(1).unwrap()).overloaded);
        let address = service::Place::Address([192, 0, 2, 1].into());
        tallies.set(&service::Server::new(server, address), true);
        assert!(tallies.of(server).overloaded);
    }
}
