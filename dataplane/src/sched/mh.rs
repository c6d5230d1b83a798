//! `mh`, Maglev hashing: by the source, so that few move when a server comes or goes.
//!
//! Equal to the table of a 64-bit Linux for the same servers in the same order. Eisenbud et al., "Maglev: A Fast and
//! Reliable Software Network Load Balancer", section 3.4.

use super::{Loads, Servers};
use crate::config::service::{MaglevHashing, Server};
use crate::hash::ipvs::fold;
use crate::hash::siphash;
use crate::units::ServerId;
use core::iter;
use core::net::IpAddr;

/// Linux's two keys, each for both halves.
const START_KEY: [u64; 2] = [2_654_435_761; 2];
const SKIP_KEY: [u64; 2] = [2_654_446_892; 2];
/// A server has at most 2^6 slots in a row.
const TURN_BITS_MAX: u32 = 6;

/// Which server has which slot.
#[derive(Clone, Debug)]
pub struct Table {
    slots: Vec<ServerId>,
    hashing: MaglevHashing,
}

impl Table {
    /// In the order of the list.
    pub fn compile(servers: &[Server], hashing: MaglevHashing) -> Self {
        let size = hashing.size;
        let turns = turns(servers);
        let mut walks: Vec<Walk> = servers
            .iter()
            .zip(turns)
            .filter(|(_, turns)| *turns > 0)
            .map(|(place, turns)| Walk::new(place, turns, size))
            .collect();
        let mut slots = vec![None; size as usize];
        let mut free = if walks.is_empty() { 0 } else { slots.len() };
        while free > 0 {
            for walk in &mut walks {
                for _ in 0..walk.turns.min(free) {
                    walk.take(&mut slots);
                    free -= 1;
                }
            }
        }
        Self { slots: slots.into_iter().flatten().collect(), hashing }
    }

    /// The server for this source.
    #[inline]
    pub fn choose(
        &self,
        (source, port): (IpAddr, u16),
        servers: &Servers,
        loads: &impl Loads,
    ) -> Option<ServerId> {
        #[expect(clippy::cast_possible_truncation, reason = "one of MAGLEV_SIZES")]
        let size = self.slots.len() as u32;
        if size == 0 {
            return None;
        }
        let port = if self.hashing.port { port } else { 0 };
        let hash = |offset: u32| hash((source, port), offset, START_KEY) % size;
        let first = hash(0);
        let search = (0..size).map(|step| hash((step + first) % size));
        let looks = iter::once(first).chain(search.filter(|_| self.hashing.fallback));
        looks
            .filter_map(|slot| servers.usable(*self.slots.get(slot as usize)?, loads))
            .map(|(server, _)| server.id)
            .next()
    }
}

fn hash((address, port): (IpAddr, u16), offset: u32, key: [u64; 2]) -> u32 {
    siphash::word(fold(address).wrapping_add(port.into()).wrapping_add(offset), key)
}

/// How many slots each takes in a row.
fn turns(servers: &[Server]) -> impl Iterator<Item = usize> {
    let list = || servers.iter().map(|place| super::Server::new(place.id, place.last_weight));
    let weights = Servers::new(list());
    let (max, gcd) = (weights.weight_max(), weights.weight_gcd().max(1));
    let shift = (u16::BITS - (max / gcd).leading_zeros()).saturating_sub(TURN_BITS_MAX);
    servers.iter().map(move |place| match place.last_weight / gcd {
        0 => 0,
        share => usize::from(share >> shift).max(1),
    })
}

/// A server's way through all slots.
#[derive(Debug)]
struct Walk {
    id: ServerId,
    at: u32,
    skip: u32,
    turns: usize,
}

impl Walk {
    fn new(server: &Server, turns: usize, size: u32) -> Self {
        let at = (server.place.address(), server.port);
        let (at, skip) = (hash(at, 0, START_KEY) % size, hash(at, 0, SKIP_KEY) % (size - 1) + 1);
        Self { id: server.id, at, skip, turns }
    }

    /// Takes the next free slot, which there is.
    fn take(&mut self, slots: &mut [Option<ServerId>]) {
        #[expect(clippy::cast_possible_truncation, reason = "one of MAGLEV_SIZES")]
        let size = slots.len() as u32;
        while slots[self.at as usize].is_some() {
            self.at = (self.at + self.skip) % size;
        }
        slots[self.at as usize] = Some(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, idle, loads, servers};
    use super::*;
    use crate::config::service::Place;

    const SIZE: u32 = 4093;

    fn places(weights: &[u16]) -> Vec<Server> {
        let place = |(i, weight): (usize, &u16)| {
            let address = [10, 0, 0, u8::try_from(i + 1).unwrap()].into();
            let server = Server::new(id(i), Place::Address(address));
            Server { port: 80, weight: *weight, last_weight: *weight, ..server }
        };
        weights.iter().enumerate().map(place).collect()
    }

    fn slots(table: &Table) -> Vec<usize> {
        let has = |i| table.slots.iter().filter(|server| server.index() == i).count();
        (0..3).map(has).collect()
    }

    #[test]
    fn servers_begin_and_step_as_on_linux() {
        let walks: Vec<_> =
            places(&[1; 3]).iter().map(|place| Walk::new(place, 1, SIZE)).map(|w| (w.at, w.skip)).collect();
        assert_eq!(walks, [(3167, 700), (1231, 3544), (1631, 3453)]);
    }

    #[test]
    fn slots_follow_weights_and_order_as_on_linux() {
        let mut places = places(&[1, 1, 2]);
        let table = Table::compile(&places, MaglevHashing::default());
        assert_eq!(slots(&table), [1024, 1023, 2046]);
        places.reverse();
        assert_eq!(slots(&Table::compile(&places, MaglevHashing::default())), [1023, 1023, 2047]);
    }

    #[test]
    fn sources_fall_where_they_do_on_linux() {
        let some = servers(&[1, 1, 2]);
        let table = Table::compile(&places(&[1, 1, 2]), MaglevHashing::default());
        for (source, hashed, slot, server) in [
            ("192.0.2.1", 0x9288_9c88, 2891, 2),
            ("198.51.100.7", 0xadb9_8ab6, 924, 0),
            ("203.0.113.77", 0xd668_af81_u32, 2731, 1),
        ] {
            let source = source.parse().unwrap();
            let hash = hash((source, 0), 0, START_KEY);
            assert_eq!((hash, hash % SIZE), (hashed, slot));
            assert_eq!(table.choose((source, 9), &some, &idle), Some(id(server)));
        }
        let by_port = MaglevHashing { port: true, ..MaglevHashing::default() };
        let table = Table::compile(&places(&[1, 1, 2]), by_port);
        assert_eq!(table.choose(([192, 0, 2, 1].into(), 40_000), &some, &idle), Some(id(2)));
    }

    #[test]
    fn a_quiesced_server_keeps_its_slots_and_others_stay() {
        let some = servers(&[1, 1, 0]);
        let table = Table::compile(&places(&[1, 1, 2]), MaglevHashing::default());
        assert_eq!(table.choose(([192, 0, 2, 1].into(), 9), &some, &idle), None);
        let fallback = Table { hashing: MaglevHashing { fallback: true, ..table.hashing }, ..table };
        assert!(fallback.choose(([192, 0, 2, 1].into(), 9), &some, &idle).is_some());
        assert_eq!(fallback.choose(([1, 2, 3, 4].into(), 9), &some, &loads(&[None, None, None])), None);
    }

    #[test]
    fn great_weights_take_no_more_than_64_slots_in_a_row() {
        let turns: Vec<_> = turns(&places(&[1, 1000, 65_535])).collect();
        assert_eq!(turns, [1, 1, 63]);
        assert_eq!(turns_of(&[2, 4]), [1, 2]);
        assert_eq!(turns_of(&[0, 3]), [0, 1]);
    }

    fn turns_of(weights: &[u16]) -> Vec<usize> {
        turns(&places(weights)).collect()
    }

    #[test]
    fn a_server_that_goes_moves_few_of_the_others() {
        let all = Table::compile(&places(&[1; 3]), MaglevHashing::default());
        let two = Table::compile(&places(&[1; 3])[..2], MaglevHashing::default());
        let moved = all.slots.iter().zip(&two.slots).filter(|(a, b)| a.index() != 2 && a != b).count();
        assert!(moved < all.slots.len() / 8, "{moved}");
    }
}
