//! Addresses that are not routed, whatever the routes say (RFC 1812 5.3.7, RFC 4291 2.5 to 2.7, RFC 6890).
//!
//! Networks for documentation and benchmarks are routed as any other, as Linux does.

use super::Way;
use crate::key::{Address, Family};
use crate::subnet::Subnet;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn ipv4(a: u8, b: u8, prefix_len: u8) -> Subnet {
    Subnet { address: IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), prefix_len }
}

const fn ipv6(first: u16, last: u128, prefix_len: u8) -> Subnet {
    Subnet { address: IpAddr::V6(Ipv6Addr::from_bits((first as u128) << 112 | last)), prefix_len }
}

/// The networks that are not routed, and what packets to them are.
pub(super) const NETWORKS: [(Subnet, Way); 11] = [
    // This host on this network.
    (ipv4(0, 0, 8), Way::Martian),
    // Loopback.
    (ipv4(127, 0, 8), Way::Martian),
    // Link-local (RFC 3927 7).
    (ipv4(169, 254, 16), Way::Martian),
    (ipv4(224, 0, 4), Way::Multicast),
    // Class E.
    (ipv4(240, 0, 4), Way::Martian),
    (Subnet { address: IpAddr::V4(Ipv4Addr::BROADCAST), prefix_len: 32 }, Way::Broadcast),
    // Unspecified, and loopback.
    (ipv6(0, 0, 128), Way::Martian),
    (ipv6(0, 1, 128), Way::Martian),
    // IPv4 in IPv6, which is never sent.
    (ipv6(0, 0xffff << 32, 96), Way::Martian),
    // Link-local.
    (ipv6(0xfe80, 0, 10), Way::Martian),
    (ipv6(0xff00, 0, 8), Way::Multicast),
];

/// Whether all of this network is in one that is not routed.
pub(super) fn has(network: Subnet) -> bool {
    let within = |all: Subnet| all.prefix_len <= network.prefix_len && all.contains(network.address);
    NETWORKS.iter().any(|(all, _)| within(*all))
}

/// Whether no packet with this source is forwarded. What only the interfaces' own networks tell, broadcast addresses
/// and those of the gateway itself, is not known here.
#[inline]
pub fn is_source(family: Family, source: Address) -> bool {
    match family {
        Family::V4 => {
            let [a, b, ..] = source.ipv4_bits().to_be_bytes();
            matches!((a, b), (0 | 127 | 224.., _) | (169, 254))
        }
        Family::V6 => {
            let [high, low] = source.ipv6_bits();
            let below_one = high == 0 && (low <= 1 || low >> 32 == 0xffff);
            below_one || high >> 54 == 0xfe80 >> 6 || high >> 56 == 0xff
        }
    }
}
