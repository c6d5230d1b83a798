//! A gateway, packets that come to it, and what it says read back by code that is not the gateway's.

use super::addresses::Addresses;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::route::{Interface, ReversePath};
use weir_dataplane::units::PortId;
use weir_dataplane::wire::MacAddr;
use weir_tests::packet::checksum::{fold, sum};
use weir_tests::packet::{Address, Ip, Mac, eth, packet_of};

/// Interfaces with these addresses.
pub(super) fn interfaces(addresses: &[&[&str]]) -> Vec<Interface> {
    let interface = |addresses: &&[&str]| Interface {
        port: PortId::new(0).unwrap(),
        vlan: None,
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        source_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        management: Vec::new(),
        vips: Vec::new(),
        tapped: false,
        reverse_path: ReversePath::Strict,
    };
    addresses.iter().map(interface).collect()
}

/// A gateway between two networks, with a link of two addresses and an interface without any.
pub(super) fn gateway() -> Vec<Interface> {
    interfaces(&[
        &["10.1.0.1/24", "10.3.0.1/24", "2001:db8:1::1/64", "fe80::1/64"],
        &["10.2.0.1/24", "192.0.2.0/31", "2001:db8:2::1/64"],
        &[],
    ])
}

/// Another one, that a gateway's words pass on their way.
pub(super) fn elsewhere() -> Vec<Interface> {
    interfaces(&[&["192.168.0.1/16", "2001:db8:ffff::1/64"]])
}

/// What `say` says with the addresses of [`gateway`].
pub(super) fn with_gateway<T>(say: impl FnOnce(Addresses<'_>) -> T) -> T {
    say(Addresses::of(&gateway()))
}

pub(super) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// A packet from one address to another; its transport is still to come.
pub(super) fn from_to<A: Address + std::str::FromStr<Err: std::fmt::Debug>>(from: &str, to: &str) -> Ip<A> {
    eth(Mac::host(1), Mac::host(2)).ip(from.parse().unwrap(), to.parse().unwrap())
}

/// A packet of the first network's host to one of the second's.
pub(super) fn v4() -> Ip<Ipv4Addr> {
    from_to("10.1.0.9", "10.2.0.9")
}

/// The same over IPv6.
pub(super) fn v6() -> Ip<Ipv6Addr> {
    from_to("2001:db8:1::9", "2001:db8:2::9")
}

/// A frame's IP packet.
pub(super) fn packet(frame: &[u8]) -> Vec<u8> {
    packet_of(frame).to_vec()
}

/// An IPv4 packet after `change` of its bytes, the header's checksum right again.
pub(super) fn changed(mut packet: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut packet);
    let header_len = usize::from(packet[0] & 0x0f) * 4;
    packet[10..12].fill(0);
    let checksum = fold(sum(&packet[..header_len.min(packet.len())])).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
    packet
}

/// What the gateway said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) traffic_class: u8,
    /// Type, code and the header's other half.
    pub(super) head: [u8; 6],
    pub(super) body: Vec<u8>,
}

/// Reads a packet of the gateway. Its lengths and checksums are right, it goes 64 hops, has no options and is whole.
pub(super) fn read(packet: &[u8]) -> Said {
    let (from, to, traffic_class, icmp): (IpAddr, IpAddr, _, _) = if packet[0] == 0x45 {
        assert_eq!(packet[2..4], u16::try_from(packet.len()).unwrap().to_be_bytes(), "total length");
        assert_eq!(packet[6..10], [0, 0, 64, 1], "whole, 64 hops, ICMP");
        assert_eq!(fold(sum(&packet[..20])), 0, "checksum of the header");
        assert_eq!(fold(sum(&packet[20..])), 0, "checksum of ICMP");
        let [from, to] = [12, 16].map(|at| Ipv4Addr::from(*packet[at..].first_chunk().unwrap()));
        (from.into(), to.into(), packet[1], &packet[20..])
    } else {
        let icmp = &packet[40..];
        assert_eq!(packet[0] >> 4, 6, "version");
        assert_eq!(packet[4..6], u16::try_from(icmp.len()).unwrap().to_be_bytes(), "payload length");
        assert_eq!(packet[6..8], [58, 64], "ICMPv6, 64 hops");
        assert_eq!(fold(sum(&packet[8..40]) + 58 + icmp.len() as u64 + sum(icmp)), 0, "checksum of ICMPv6");
        let [from, to] = [8, 24].map(|at| Ipv6Addr::from(*packet[at..].first_chunk().unwrap()));
        (from.into(), to.into(), packet[0] << 4 | packet[1] >> 4, icmp)
    };
    let [kind, code, _, _, a, b, c, d] = *icmp.first_chunk().expect("an ICMP header");
    Said { from, to, traffic_class, head: [kind, code, a, b, c, d], body: icmp[8..].to_vec() }
}
