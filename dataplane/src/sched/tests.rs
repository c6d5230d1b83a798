//! The schedulers beside naive models of what is written of IPVS's, and their shares of many connections.

mod distribution;
mod hashing;
mod locality;
mod turns;

use super::{Load, Server, Servers};
use crate::units::ServerId;
use proptest::prelude::*;

/// A server as a model knows it. Its number is its place among the loads; its place in a list is another matter.
#[derive(Clone, Copy, Debug)]
struct Plain {
    number: usize,
    weight: u16,
    active: u32,
    inactive: u32,
    overloaded: bool,
}

impl Plain {
    /// It gets new connections.
    fn is_usable(&self) -> bool {
        self.weight > 0 && !self.overloaded
    }

    /// An active connection is as 256 that are over.
    fn overhead(&self) -> u128 {
        u128::from(self.active) * 256 + u128::from(self.inactive)
    }
}

/// The same list to a scheduler.
fn servers(list: &[Plain]) -> Servers {
    Servers::new(list.iter().map(|server| Server::new(id(server.number), server.weight)))
}

/// What they carry, to a scheduler.
fn loads(list: &[Plain]) -> impl Fn(ServerId) -> Load + '_ {
    |id| {
        let server = list.iter().find(|server| server.number == id.index()).expect("a server of the list");
        let &Plain { active, inactive, overloaded, .. } = server;
        Load { active, inactive, overloaded, ..Load::default() }
    }
}

fn id(number: usize) -> ServerId {
    ServerId::new(number).expect("few servers")
}

/// Of one that is less loaded for its weight than all before it, the first; both are usable.
fn wlc<'a>(list: impl IntoIterator<Item = &'a Plain>) -> Option<&'a Plain> {
    let mut best: Option<&Plain> = None;
    for server in list.into_iter().filter(|server| server.is_usable()) {
        let is_better = best.is_none_or(|best| {
            best.overhead() * u128::from(server.weight) > server.overhead() * u128::from(best.weight)
        });
        if is_better {
            best = Some(server);
        }
    }
    best
}

prop_compose! {
    /// A server that may be quiesced or overloaded; loads are near weights, so that there are ties.
    fn plain()(
        weight in prop_oneof![1 => Just(0), 6 => 1..6u16, 1 => any::<u16>()],
        active in prop_oneof![9 => 0..12u32, 1 => any::<u32>()],
        inactive in prop_oneof![9 => 0..3u32, 1 => any::<u32>()],
        overloaded in prop::bool::weighted(0.2),
    ) -> Plain {
        Plain { number: 0, weight, active, inactive, overloaded }
    }
}

/// Some servers in an order that is not that of their numbers.
fn list() -> impl Strategy<Value = Vec<Plain>> {
    let numbered = prop::collection::vec(plain(), 0..9).prop_map(|mut list| {
        list.iter_mut().enumerate().for_each(|(number, server)| server.number = number);
        list
    });
    numbered.prop_shuffle()
}
