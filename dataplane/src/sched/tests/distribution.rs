//! Shares of a million connections.
//!
//! What the bounds follow from: `wrr` gives each server as many turns in a round as its weight has steps. The others
//! give a connection to the server whose load for its weight is the least, and so not above that of all servers
//! together for all weights; so no load is ever above its share by more than that one connection, and none below its
//! share by more than what all the others may be above theirs. That holds whichever connections end.

use super::super::least::{lc, nq, sed, wlc};
use super::super::{Load, Servers, wrr};
use super::id;
use crate::sched::Server;
use crate::units::ServerId;

const CONNECTIONS: usize = 1_000_000;
/// Of each server; one is quiesced.
const WEIGHTS: [u16; 6] = [5, 1, 0, 12, 3, 4];
const WEIGHT: i64 = 25;
/// Servers that have a weight.
const WEIGHTY: i64 = 5;

/// One that chooses by loads.
struct Scheduler {
    name: &'static str,
    choose: fn(&Servers, &[Load; 6]) -> Option<ServerId>,
    weights: [u16; 6],
    /// It counts those that are over as well, as a 256th.
    counts_inactive: bool,
    /// How far a server's load can be from its share, in connections.
    slack: i64,
}

const fn of(loads: &[Load; 6]) -> impl Fn(ServerId) -> Load + '_ {
    |id| loads[id.index()]
}

/// With `lc` each is as good as any. `sed` counts the one that is to come at each server, which is another one of
/// slack; `nq` besides gives one to each that has none.
const BY_LOAD: [Scheduler; 4] = [
    Scheduler {
        name: "lc",
        choose: |servers, loads| lc(servers, &of(loads)),
        weights: [5, 5, 0, 5, 5, 5],
        counts_inactive: true,
        slack: WEIGHTY - 1,
    },
    Scheduler {
        name: "wlc",
        choose: |servers, loads| wlc(servers, &of(loads)),
        weights: WEIGHTS,
        counts_inactive: true,
        slack: WEIGHTY - 1,
    },
    Scheduler {
        name: "sed",
        choose: |servers, loads| sed(servers, &of(loads)),
        weights: WEIGHTS,
        counts_inactive: false,
        slack: WEIGHTY,
    },
    Scheduler {
        name: "nq",
        choose: |servers, loads| nq(servers, &of(loads)),
        weights: WEIGHTS,
        counts_inactive: false,
        slack: 2 * WEIGHTY,
    },
];

impl Scheduler {
    fn servers(&self) -> Servers {
        servers(&self.weights)
    }

    /// What it makes of a load, in 256ths of a connection.
    fn measure(&self, load: Load) -> i64 {
        let inactive = if self.counts_inactive { load.inactive } else { 0 };
        i64::from(load.active) * 256 + i64::from(inactive)
    }

    /// All loads are their shares of the whole, but for the slack.
    fn check(&self, loads: &[Load; 6]) {
        let whole: i64 = loads.iter().map(|load| self.measure(*load)).sum();
        for (load, weight) in loads.iter().zip(self.weights) {
            let off = self.measure(*load) * WEIGHT - whole * i64::from(weight);
            let is_near = off.abs() <= self.slack * 256 * WEIGHT;
            assert!(is_near && (weight > 0 || *load == Load::default()), "{}: {loads:?}", self.name);
        }
    }
}

fn servers(weights: &[u16; 6]) -> Servers {
    Servers::new(weights.iter().enumerate().map(|(number, weight)| Server::new(id(number), *weight)))
}

/// Each server has had its share of all connections, but for so many.
fn check_shares(name: &str, weights: &[u16; 6], had: &[i64; 6], slack: i64) {
    println!("{name}: {had:?}, within {slack}");
    assert_eq!(had.iter().sum::<i64>(), CONNECTIONS as i64, "{name}");
    for (had, weight) in had.iter().zip(weights) {
        let off = had * WEIGHT - CONNECTIONS as i64 * i64::from(*weight);
        assert!(
            off.abs() <= slack * WEIGHT && (*weight > 0 || *had == 0),
            "{name}: {had} of weight {weight}"
        );
    }
}

/// In whole rounds each has its turns, and in a part of one between none and all of them.
#[test]
fn wrr_is_never_off_by_more_than_a_round() {
    for (weights, round) in [(WEIGHTS, 25), ([500, 100, 0, 1200, 300, 400], 25), ([1, 1, 0, 1, 1, 1], 5)] {
        let (servers, mut order) = (servers(&weights), wrr::Round::default());
        let step = i64::from(servers.weight_gcd());
        let mut had = [0_i64; 6];
        for n in 1..=CONNECTIONS as i64 {
            let server = order.choose(&servers, &|_| Load::default()).expect("there are usable servers");
            had[server.index()] += 1;
            let turns = |server: usize| i64::from(weights[server]) / step;
            let is_between = |server: usize| {
                (n / round * turns(server)..=(n / round + 1) * turns(server)).contains(&had[server])
            };
            assert!((0..6).all(is_between), "after {n}: {had:?}");
        }
        println!("wrr: {had:?}");
    }
}

/// Each connection lasts for as long as 1,000 others take to come, and is remembered for as long as 3,000 more: the
/// loads of all moments together are the connections times how long they count, so that shares of connections are near
/// what shares of loads are; but for those at the end, whose time is not over.
#[test]
fn connections_that_last_equally_long_fall_to_servers_by_weight() {
    const LASTS: usize = 1_000;
    const REMEMBERED: usize = LASTS + 3_000;
    for scheduler in BY_LOAD {
        let servers = scheduler.servers();
        let mut loads = [Load::default(); 6];
        let mut chosen: Vec<usize> = Vec::with_capacity(CONNECTIONS);
        let mut had = [0_i64; 6];
        for n in 0..CONNECTIONS {
            let before = |count: usize| n.checked_sub(count).map(|at| chosen[at]);
            if let Some(ended) = before(LASTS) {
                loads[ended].active -= 1;
                loads[ended].inactive += 1;
            }
            if let Some(forgotten) = before(REMEMBERED) {
                loads[forgotten].inactive -= 1;
            }
            let server = (scheduler.choose)(&servers, &loads).expect("there are usable servers").index();
            loads[server].active += 1;
            had[server] += 1;
            chosen.push(server);
            scheduler.check(&loads);
        }
        let at_the_end = if scheduler.counts_inactive { REMEMBERED } else { LASTS } as i64;
        // In 256ths, as each connection counts in all its time.
        let counts = if scheduler.counts_inactive { LASTS * 256 + (REMEMBERED - LASTS) } else { LASTS * 256 };
        let slack = CONNECTIONS as i64 * scheduler.slack * 256 / counts as i64 + at_the_end;
        check_shares(scheduler.name, &scheduler.weights, &had, slack);
    }
}

/// 2,000 connections at each moment, of which any may be the next to end: as many end at a server as it has had, so that
/// shares of connections are near what shares of loads are. Besides there is chance, of half the root of their number;
/// six times that is less likely than one in 10^8.
#[test]
fn connections_that_end_at_random_fall_to_servers_by_weight() {
    const OPEN: usize = 2_000;
    for scheduler in BY_LOAD {
        let servers = scheduler.servers();
        let (mut loads, mut open) = ([Load::default(); 6], Vec::with_capacity(OPEN));
        let (mut had, mut seed) = ([0_i64; 6], 7_u64);
        for _ in 0..CONNECTIONS {
            if open.len() == OPEN {
                // Knuth's multiplier; the high bits are the random ones.
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let ended: usize = open.swap_remove((seed >> 33) as usize % OPEN);
                loads[ended].active -= 1;
            }
            let server = (scheduler.choose)(&servers, &loads).expect("there are usable servers").index();
            loads[server].active += 1;
            had[server] += 1;
            open.push(server);
            scheduler.check(&loads);
        }
        let drift = CONNECTIONS as i64 * scheduler.slack / OPEN as i64;
        let chance = 6 * CONNECTIONS.isqrt() as i64 / 2;
        check_shares(scheduler.name, &scheduler.weights, &had, drift + chance + OPEN as i64);
    }
}
