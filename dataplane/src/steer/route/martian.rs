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

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "parts of random numbers are meant")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(ip: IpAddr) -> bool {
        is_source(Family::of(ip), Address::from_ip(ip))
    }

    #[test]
    fn what_no_packet_comes_from() {
        for martian in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "169.254.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:192.0.2.1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "ff0e::1",
        ] {
            assert!(refused(martian.parse().unwrap()), "{martian}");
        }
        for routed in [
            "1.0.0.0",
            "10.0.0.1",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "192.0.2.1",
            "223.255.255.255",
            "::2",
            "::1:0:0:1",
            "64:ff9b::c000:201",
            "2001:db8::1",
            "fc00::1",
            "fe7f::1",
            "fec0::1",
        ] {
            assert!(!refused(routed.parse().unwrap()), "{routed}");
        }
    }

    proptest! {
        #[test]
        fn the_function_and_the_networks_say_the_same(
            network in 0..NETWORKS.len(), noise: u128, keep in 0u32..=128, anywhere: u128, family: bool,
        ) {
            // An address in a network or beside it, and one anywhere.
            let noise = noise & u128::MAX.checked_shr(keep).unwrap_or(0);
            let near: IpAddr = match NETWORKS[network].0.address {
                IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() ^ (noise >> 96) as u32).into(),
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() ^ noise).into(),
            };
            let far: IpAddr = if family {
                Ipv4Addr::from_bits(anywhere as u32).into()
            } else {
                Ipv6Addr::from_bits(anywhere).into()
            };
            for ip in [near, far] {
                prop_assert_eq!(refused(ip), NETWORKS.iter().any(|(network, _)| network.contains(ip)), "{}", ip);
            }
        }
    }
}
