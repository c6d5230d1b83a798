//! `lblc` and `lblcr` beside naive models, through days of virtual time.

use super::super::cache::Table;
use super::super::{lblc, lblcr};
use super::{Plain, id, loads, plain, servers, wlc};
use crate::config::service::Locality;
use crate::units::{Span, Tick};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

const DAY_S: u32 = 86_400;
const IDLE_S: u32 = 360;
/// One address fewer than there are.
const ENTRIES_MAX: u32 = 4;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lblc,
    Lblcr,
}

/// What happens to a service.
#[derive(Clone, Debug)]
enum Step {
    /// A connection to one of five addresses.
    Connect(usize),
    /// These servers are as they are from now on, and the last of them may be away.
    Change(Vec<Plain>, bool),
    /// So many seconds pass.
    Pass(u32),
    /// The table is looked through.
    Sweep,
}

/// What is known of an address.
#[derive(Clone, Debug)]
struct Known {
    used_s: u32,
    changed_s: u32,
    /// By number, the newest first.
    servers: Vec<usize>,
}

/// What is written of them, with a map and lists.
#[derive(Debug, Default)]
struct Model {
    known: BTreeMap<usize, Known>,
    list: Vec<Plain>,
    now_s: u32,
    /// How often a server came to an address or left one.
    changes: usize,
}

impl Model {
    /// One of the service with this number.
    fn server(&self, number: usize) -> Option<&Plain> {
        self.list.iter().find(|server| server.number == number)
    }

    /// It has more active connections than its weight, and one that gets new ones has less than half of its own.
    fn is_overloaded(&self, server: &Plain) -> bool {
        let is_idle = |other: &Plain| u64::from(other.active) * 2 < u64::from(other.weight);
        server.active > u32::from(server.weight)
            && self.list.iter().filter(|other| other.is_usable()).any(is_idle)
    }

    fn connect(&mut self, kind: Kind, address: usize) -> Option<usize> {
        let least = wlc(&self.list).map(|server| server.number);
        let Some(mut known) = self.known.get(&address).cloned() else {
            if let Some(least) = least.filter(|_| self.known.len() < ENTRIES_MAX as usize) {
                let known = Known { used_s: self.now_s, changed_s: self.now_s, servers: vec![least] };
                self.known.insert(address, known);
                self.changes += 1;
            }
            return least;
        };
        known.used_s = self.now_s;
        let bears = |server: &&Plain| !self.is_overloaded(server);
        let of_service = known.servers.iter().filter_map(|number| self.server(*number));
        let best = wlc(of_service).filter(bears).map(|server| server.number);
        if kind == Kind::Lblcr {
            self.shrink(&mut known);
        }
        if let Some(least) = least.filter(|_| best.is_none()) {
            if kind == Kind::Lblc && known.servers != [least] {
                known.servers.clear();
                self.changes += 1;
            }
            if !known.servers.contains(&least) {
                known.servers.insert(0, least);
                known.changed_s = self.now_s;
                self.changes += 1;
            }
        }
        self.known.insert(address, known);
        best.or(least)
    }

    /// A set loses a server that the service has no more; else the most loaded one, if it has not changed for a day and
    /// has others. What is quiesced has no load for its weight.
    fn shrink(&mut self, known: &mut Known) {
        let gone = known.servers.iter().copied().find(|number| self.server(*number).is_none());
        let is_old = known.servers.len() > 1 && self.now_s > known.changed_s + DAY_S;
        let mut most: Option<&Plain> = None;
        for server in known.servers.iter().filter_map(|number| self.server(*number)) {
            let is_more = most.is_none_or(|most| {
                server.overhead() * u128::from(most.weight) > most.overhead() * u128::from(server.weight)
            });
            if server.weight > 0 && is_more {
                most = Some(server);
            }
        }
        let most = most.map(|server| server.number).filter(|_| is_old);
        if let Some(leaves) = gone.or(most) {
            known.servers.retain(|number| *number != leaves);
            known.changed_s = self.now_s;
            self.changes += 1;
        }
    }

    fn sweep(&mut self) {
        let span_s = if self.known.len() == ENTRIES_MAX as usize { IDLE_S } else { DAY_S };
        self.known.retain(|_, known| self.now_s - known.used_s <= span_s);
    }
}

/// Of both families.
fn address(n: usize) -> IpAddr {
    let host = u8::try_from(n).unwrap();
    if host.is_multiple_of(2) {
        [198, 51, 100, host].into()
    } else {
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()].into()
    }
}

fn at(s: u32) -> Tick {
    Tick::default().after(Span::from_s(s).unwrap())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..5usize).prop_map(Step::Connect),
        6 => (prop::collection::vec(plain(), 4), prop::bool::weighted(0.2))
            .prop_map(|(list, away)| Step::Change(list, away)),
        4 => prop_oneof![
            Just(1), Just(IDLE_S), Just(IDLE_S + 1), Just(DAY_S), Just(DAY_S + 1), 0..2 * DAY_S
        ].prop_map(Step::Pass),
        2 => Just(Step::Sweep),
    ]
}

fn compare(kind: Kind, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut table = Table::new(Locality { entries_max: ENTRIES_MAX, ..Locality::default() });
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Connect(n) => {
                let (servers, loads) = (servers(&model.list), loads(&model.list));
                let choose = if kind == Kind::Lblc { lblc::choose } else { lblcr::choose };
                let chosen = choose(&mut table, address(n), &servers, &loads, at(model.now_s));
                drop(loads);
                prop_assert_eq!(chosen, model.connect(kind, n).map(id));
                // What other workers are told.
                prop_assert_eq!(table.take_lessons().count(), std::mem::take(&mut model.changes));
            }
            Step::Change(mut list, away) => {
                list.iter_mut().enumerate().for_each(|(number, server)| server.number = number);
                list.truncate(4 - usize::from(away));
                model.list = list;
            }
            Step::Pass(s) => model.now_s += s,
            Step::Sweep => {
                table.sweep(at(model.now_s), ENTRIES_MAX);
                model.sweep();
            }
        }
        let mut known: Vec<_> = table
            .entries()
            .map(|(place, entry)| {
                let servers: Vec<usize> = table.servers(place).map(|server| server.index()).collect();
                (entry.address, entry.last_used, entry.last_changed, servers)
            })
            .collect();
        known.sort_unstable_by_key(|known| known.0);
        let expected = model.known.iter();
        let mut expected: Vec<_> = expected
            .map(|(n, known)| (address(*n), at(known.used_s), at(known.changed_s), known.servers.clone()))
            .collect();
        expected.sort_unstable_by_key(|known| known.0);
        prop_assert_eq!(known, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn lblc_sends_an_address_to_one_server_while_that_bears_it(steps in prop::collection::vec(step(), 0..120)) {
        compare(Kind::Lblc, steps)?;
    }

    #[test]
    fn lblcr_sends_an_address_to_as_many_servers_as_bear_it(steps in prop::collection::vec(step(), 0..120)) {
        compare(Kind::Lblcr, steps)?;
    }
}
