//! `dh`, `sh` and `mh` beside naive models, over both families of addresses, with and without ports.

use super::super::{dh, mh, sh};
use super::{Plain, id, list, loads, servers};
use crate::config::service::{MAGLEV_SIZES, MaglevHashing, Place, Server as Configured, SourceHashing};
use crate::hash::siphash;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Linux's keys of `mh`, for where a server begins and for its steps.
const KEYS: [[u64; 2]; 2] = [[2_654_435_761; 2], [2_654_446_892; 2]];

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        // Many zeros, as people's addresses have.
        any::<(u16, u16)>()
            .prop_map(|(net, host)| Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host).into()),
        any::<u8>().prop_map(|host| Ipv4Addr::new(192, 0, 2, host).into()),
    ]
}

/// An address as one number: the four-byte words are XORed byte by byte as they are on the wire, then read as one.
fn folded(address: IpAddr) -> u64 {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let byte = |at: usize| bytes.iter().skip(at).step_by(4).fold(0, |folded, byte| folded ^ byte);
    (0..4).fold(0, |number, at| number << 8 | u64::from(byte(at)))
}

/// `hash_32`: a product's low 32 bits, and of those the high ones.
fn product(value: u64, bits: u32) -> usize {
    let product = u128::from(value) * 0x61c8_8647 % (1 << 32);
    (product >> (32 - bits)) as usize
}

/// The first of those whose owner is usable, of the first alone without a fallback.
fn first_usable(looks: impl Iterator<Item = Plain>, fallback: bool) -> Option<usize> {
    let looks = looks.take(if fallback { usize::MAX } else { 1 });
    looks.filter(Plain::is_usable).map(|server| server.number).next()
}

/// Who owns the buckets: all in turn, each `share` of itself in a row.
fn in_turn(list: &[Plain], buckets: usize, share: impl Fn(&Plain) -> usize) -> Vec<Plain> {
    let mut owners = Vec::new();
    while owners.len() < buckets && !list.is_empty() {
        for server in list {
            (0..share(server)).for_each(|_| owners.push(*server));
        }
    }
    owners.truncate(buckets);
    owners
}

/// How many slots each takes in a row: its weight in the greatest steps that divide all weights, halved until the
/// greatest has six bits; at least one.
fn turns(weights: &[u16]) -> Vec<usize> {
    let most = *weights.iter().max().unwrap_or(&0);
    let divides_all = |step: &u16| weights.iter().all(|weight| weight % step == 0);
    let step = (1..=most).rev().find(divides_all).unwrap_or(1);
    let mut halvings = 0;
    while (most / step) >> halvings >= 64 {
        halvings += 1;
    }
    let turns = |weight: &u16| match weight {
        0 => 0,
        weight => usize::from((weight / step) >> halvings).max(1),
    };
    weights.iter().map(turns).collect()
}

/// `mh`'s hash of an address, a port and an offset.
fn word(address: IpAddr, port: u16, offset: u64, key: [u64; 2]) -> usize {
    let sum = (folded(address) + u64::from(port) + offset) % (1 << 32);
    siphash::word(u32::try_from(sum).unwrap(), key) as usize
}

/// The paper's filling: each server prefers slots in an order of its own, which is written out in full.
fn filled(list: &[(Plain, IpAddr, u16)], last_weights: &[u16], size: usize) -> Vec<Plain> {
    let mut preferences: Vec<_> = list
        .iter()
        .zip(turns(last_weights))
        .map(|((server, address, port), turns)| {
            let start = word(*address, *port, 0, KEYS[0]) % size;
            let skip = word(*address, *port, 0, KEYS[1]) % (size - 1) + 1;
            let order: Vec<usize> = (0..size).map(|n| (start + n * skip) % size).collect();
            (*server, turns, order.into_iter())
        })
        .collect();
    let mut slots: Vec<Option<Plain>> = vec![None; size];
    let mut free = if last_weights.iter().any(|weight| *weight > 0) { size } else { 0 };
    while free > 0 {
        for (server, turns, order) in &mut preferences {
            for _ in 0..(*turns).min(free) {
                let slot = order.find(|slot| slots[*slot].is_none()).expect("each order has all slots");
                slots[slot] = Some(*server);
                free -= 1;
            }
        }
    }
    slots.into_iter().flatten().collect()
}

proptest! {
    #[test]
    fn dh_gives_256_buckets_out_in_turn(list in list(), destinations in prop::collection::vec(address(), 1..20)) {
        let table = dh::Table::compile(&servers(&list));
        let owners = in_turn(&list, 256, |_| 1);
        for destination in destinations {
            let owner = owners.get(product(folded(destination), 8)).filter(|owner| owner.is_usable());
            let chosen = table.choose(destination, &servers(&list), &loads(&list));
            prop_assert_eq!(chosen, owner.map(|owner| id(owner.number)), "{}", destination);
        }
    }

    #[test]
    fn sh_gives_buckets_out_by_weight(
        list in list(),
        bits in 4..=12u32,
        port: bool,
        fallback: bool,
        sources in prop::collection::vec((address(), any::<u16>()), 1..20),
    ) {
        let table = sh::Table::compile(&servers(&list), SourceHashing { bits, port, fallback });
        let count = 1 << bits;
        // What is quiesced takes a bucket as well: Linux looks at its weight when it has given it one.
        let owners = in_turn(&list, count, |server| usize::from(server.weight.max(1)));
        for (source, from) in sources {
            let sum = (folded(source) + if port { u64::from(from) } else { 0 }) % (1 << 32);
            let bucket = product(sum, bits);
            // An offset is added to the bucket, and the offsets begin with the bucket's own number.
            let offsets = (0..count).map(|offset| (offset + bucket) % count);
            let looks = std::iter::once(bucket).chain(offsets.map(|offset| (bucket + offset) % count));
            let expected = first_usable(looks.filter_map(|bucket| owners.get(bucket)).copied(), fallback);
            let chosen = table.choose((source, from), &servers(&list), &loads(&list));
            prop_assert_eq!(chosen, expected.map(id), "{} port {}", source, from);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn mh_fills_tables_of_all_sizes_as_the_paper_does(
        list in list(),
        places in prop::array::uniform9((address(), any::<u16>(), any::<u16>())),
        port: bool,
        fallback: bool,
        sources in prop::collection::vec((address(), any::<u16>()), 40),
    ) {
        // What is quiesced keeps the slots of its last weight; what had none has none.
        let last_weight = |server: &Plain| if server.weight > 0 { server.weight } else { places[server.number].2 % 5 };
        let last_weights: Vec<u16> = list.iter().map(last_weight).collect();
        let placed: Vec<(Plain, IpAddr, u16)> = list
            .iter()
            .map(|server| (*server, places[server.number].0, places[server.number].1))
            .collect();
        let configured: Vec<Configured> = placed
            .iter()
            .zip(&last_weights)
            .map(|((server, address, port), last_weight)| Configured {
                port: *port,
                weight: server.weight,
                last_weight: *last_weight,
                ..Configured::new(id(server.number), Place::Address(*address))
            })
            .collect();
        for size in MAGLEV_SIZES {
            let table = mh::Table::compile(&configured, MaglevHashing { size, port, fallback });
            let size = size as usize;
            let slots = filled(&placed, &last_weights, size);
            for (source, from) in &sources {
                let hash = |offset: u64| word(*source, if port { *from } else { 0 }, offset, KEYS[0]) % size;
                let first = hash(0);
                let offsets = (0..size).map(|offset| (offset + first) % size);
                let looks = std::iter::once(first).chain(offsets.map(|offset| hash(offset as u64)));
                let expected = first_usable(looks.filter_map(|slot| slots.get(slot)).copied(), fallback);
                let chosen = table.choose((*source, *from), &servers(&list), &loads(&list));
                prop_assert_eq!(chosen, expected.map(id), "{} port {} of {}", source, from, size);
            }
        }
    }
}
