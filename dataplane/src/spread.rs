//! Which worker a frame belongs to: both directions of a flow, its related flows, and the ICMP errors about it meet
//! on one.
//!
//! The answer follows from the address pair alone, by the hash that a network card with the same key computes, so
//! that cards and software agree. An ICMP error belongs where the packet that it quotes belongs, which no card knows.

use crate::hash::symmetric::Fold;
use crate::units::WorkerId;
use crate::wire::{
    EtherType, Ethernet, Icmp, Icmpv6, IpProtocol, Ipv4, Ipv6, Pppoe, Vlan, icmp, ipv4, pppoe,
};
use core::net::IpAddr;

/// Slots of the indirection table that maps hashes to workers, in software and in cards: slot `i` belongs to worker
/// `i % workers`. A card with more slots repeats them.
pub const SLOTS: u32 = 128;

/// VLAN tags that are looked behind.
const TAGS_MAX: usize = 2;

/// How much of the spreading is left for software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Nothing: there is one worker.
    None,
    /// ICMP errors: the card spreads the rest.
    IcmpErrors,
    /// Everything.
    All,
}

/// The worker of `workers` that a frame belongs to; `None`: the one that has it.
#[inline]
pub fn home(frame: &[u8], spread: Spread, workers: usize) -> Option<WorkerId> {
    let pair = plain_pair(frame).map(|fold| (fold, false)).or_else(|| pair(frame));
    let hash = match (spread, pair) {
        (Spread::None, _) | (Spread::IcmpErrors, None | Some((_, false))) => return None,
        (Spread::All, None) => 0,
        (_, Some((fold, _))) => fold.hash(),
    };
    worker_of(hash, workers)
}

/// The worker of `workers` that packets between two hosts belong to; `None` when no packet can go between them.
pub fn home_of_pair(source: IpAddr, destination: IpAddr, workers: usize) -> Option<WorkerId> {
    let fold = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Fold::ipv4(source, destination),
        (IpAddr::V6(source), IpAddr::V6(destination)) => Fold::ipv6(source, destination),
        _ => return None,
    };
    worker_of(fold.hash(), workers)
}

#[inline]
fn worker_of(hash: u32, workers: usize) -> Option<WorkerId> {
    let slot = (hash % SLOTS) as usize;
    // Most gateways are spared the division.
    let worker = if workers.is_power_of_two() { slot & (workers - 1) } else { slot % workers.max(1) };
    WorkerId::new(worker)
}

/// The address pair of what most frames are: IPv4 right behind the MAC addresses, and not ICMP.
#[inline(always)]
fn plain_pair(frame: &[u8]) -> Option<Fold> {
    let ethernet = Ethernet::new(frame).filter(|ethernet| ethernet.ethertype() == EtherType::IPV4)?;
    let ip = Ipv4::new(ethernet.payload()).filter(|ip| ip.protocol() != IpProtocol::ICMP)?;
    Some(Fold::ipv4(ip.source(), ip.destination()))
}

/// The address pair that speaks for a frame, and whether it is one that an ICMP error quotes.
fn pair(frame: &[u8]) -> Option<(Fold, bool)> {
    let ethernet = Ethernet::new(frame)?;
    let (mut ethertype, mut rest) = (ethernet.ethertype(), ethernet.payload());
    for _ in 0..TAGS_MAX {
        if ethertype.is_vlan() {
            let vlan = Vlan::new(rest)?;
            (ethertype, rest) = (vlan.ethertype(), vlan.payload());
        }
    }
    if ethertype == EtherType::PPPOE_SESSION {
        (ethertype, rest) = (Pppoe::new(rest)?.ethertype()?, &rest[pppoe::HEADER_LEN..]);
    }
    match ethertype {
        EtherType::IPV4 => {
            let ip = Ipv4::new(rest)?;
            let quoted =
                (ip.protocol() == IpProtocol::ICMP && !ip.is_fragment()).then(|| quoted_ipv4(rest)).flatten();
            Some((quoted.unwrap_or_else(|| Fold::ipv4(ip.source(), ip.destination())), quoted.is_some()))
        }
        EtherType::IPV6 => {
            let ip = Ipv6::new(rest)?;
            let quoted =
                (ip.next_header() == IpProtocol::ICMPV6).then(|| quoted_ipv6(ip.payload())).flatten();
            Some((quoted.unwrap_or_else(|| Fold::ipv6(ip.source(), ip.destination())), quoted.is_some()))
        }
        _ => None,
    }
}

fn quoted_ipv4(packet: &[u8]) -> Option<Fold> {
    let at = Ipv4::new(packet)?.header_len().max(ipv4::HEADER_LEN);
    let error = packet.get(at..)?;
    if !Icmp::new(error)?.kind().is_error() {
        return None;
    }
    let quoted = Ipv4::new(error.get(icmp::HEADER_LEN..)?)?;
    Some(Fold::ipv4(quoted.source(), quoted.destination()))
}

fn quoted_ipv6(error: &[u8]) -> Option<Fold> {
    let header = Icmpv6::new(error)?;
    if !header.kind().is_error() {
        return None;
    }
    let quoted = Ipv6::new(header.payload())?;
    Some(Fold::ipv6(quoted.source(), quoted.destination()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ethernet and IPv4 from 10.0.0.`source` to 10.0.0.`destination`, and what follows.
    fn frame(source: u8, destination: u8, protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        bytes.extend([0x45, 0, 0, 20, 0, 0, 0, 0, 64, protocol, 0, 0]);
        bytes.extend([10, 0, 0, source, 10, 0, 0, destination]);
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn both_directions_and_errors_about_them_have_one_home() {
        for client in 1..100 {
            let there = frame(client, 200, 6, &[]);
            let back = frame(200, client, 6, &[]);
            let mut error = vec![3, 1, 0, 0, 0, 0, 0, 0];
            error.extend(&there[14..]);
            let error = frame(254, client, 1, &error);
            let home_of = |frame: &[u8]| home(frame, Spread::All, 5).unwrap();
            assert_eq!(home_of(&there), home_of(&back));
            assert_eq!(home_of(&there), home_of(&error));
            let [client, server] = [client, 200].map(|host| IpAddr::from([10, 0, 0, host]));
            assert_eq!(home_of_pair(client, server, 5), Some(home_of(&there)));
            assert_eq!(home(&there, Spread::IcmpErrors, 5), None);
            assert_eq!(home(&error, Spread::IcmpErrors, 5), Some(home_of(&there)));
        }
    }

    proptest! {
        #[test]
        fn the_short_way_answers_as_the_long_one(
            mut frame in proptest::collection::vec(any::<u8>(), 0..80),
            protocol in prop_oneof![Just(1), Just(6), any::<u8>()],
        ) {
            for (at, byte) in [(12, 8), (13, 0), (23, protocol)] {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            if let Some(fold) = plain_pair(&frame) {
                prop_assert_eq!(pair(&frame), Some((fold, false)));
            }
        }
    }

    #[test]
    fn the_load_is_spread_and_what_has_no_addresses_has_a_home_too() {
        let mut homes = [0; 4];
        for client in 0..=255 {
            homes[home(&frame(client, 9, 17, &[]), Spread::All, 4).unwrap().index()] += 1;
        }
        assert!(homes.iter().all(|count| (32..96).contains(count)), "{homes:?}");
        assert_eq!(home(&[0; 60], Spread::All, 4), WorkerId::new(0));
        assert_eq!(home(&[0; 3], Spread::All, 4), WorkerId::new(0));
    }
}
