//! The gateway's own addresses: which they are, which of them it speaks with, and to whom.

use std::net::{IpAddr, Ipv4Addr};
use weir_dataplane::config::route::Interface;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::InterfaceId;

/// Shortest IPv4 network without a broadcast address (RFC 3021).
const POINT_TO_POINT: u8 = 31;

/// The addresses of all interfaces.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a>(&'a [Interface]);

impl<'a> Addresses<'a> {
    /// Position among `interfaces` is [`InterfaceId`].
    pub const fn of(interfaces: &'a [Interface]) -> Self {
        Self(interfaces)
    }

    /// Whether the address is the gateway's.
    pub fn contain(self, address: IpAddr) -> bool {
        self.all().any(|own| own.address == address)
    }

    /// With which address the gateway tells `peer` what became of a packet that came in by `arrival`: the
    /// interface's own in the peer's network, else its first, else the first of the gateway. A link-local one is
    /// understood in its own network only. `None` where it has none of the family.
    pub fn speaker(self, arrival: InterfaceId, peer: IpAddr) -> Option<IpAddr> {
        let of_arrival =
            || self.0.get(arrival.index()).into_iter().flat_map(|interface| &interface.addresses);
        let beside = of_arrival().find(|own| own.contains(peer));
        let reaching = |own: &&Subnet| own.address.is_ipv4() == peer.is_ipv4() && !is_link_local(own.address);
        let speaker = beside.or_else(|| of_arrival().find(reaching)).or_else(|| self.all().find(reaching));
        speaker.map(|own| own.address)
    }

    /// Whether the address names one host, and not the gateway itself: what is said to it reaches who asked
    /// (RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4 e.6).
    pub fn name_other_host(self, address: IpAddr) -> bool {
        let is_host = match address {
            // 0/8 and 127/8 are nobody outside of a host; above 223/8 are groups and nobody.
            IpAddr::V4(address) => matches!(address.octets()[0], 1..=126 | 128..=223),
            IpAddr::V6(address) => !address.is_unspecified() && !address.is_loopback(),
        };
        is_host && !self.name_group(address) && !self.contain(address)
    }

    /// Whether the address is for many: multicast, and over IPv4 broadcast to all or to a network that the gateway
    /// is in.
    pub fn name_group(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) if v4.is_broadcast() || v4.is_unspecified() => true,
            IpAddr::V4(v4) => v4.is_multicast() || self.all().any(|own| broadcast(*own) == Some(v4)),
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }

    fn all(self) -> impl Iterator<Item = &'a Subnet> {
        self.0.iter().flat_map(|interface| &interface.addresses)
    }
}

/// The broadcast address of an IPv4 network that has one.
fn broadcast(network: Subnet) -> Option<Ipv4Addr> {
    match network.address {
        IpAddr::V4(address) if network.prefix_len < POINT_TO_POINT => {
            Some(address | Ipv4Addr::from_bits(u32::MAX >> network.prefix_len))
        }
        _ => None,
    }
}

/// Whether the address counts on one link only (RFC 4291 2.5.6).
pub const fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{gateway, interfaces, ip};
    use super::*;

    #[test]
    fn the_gateway_speaks_with_the_address_nearest_to_the_peer() {
        let gateway = gateway();
        let addresses = Addresses::of(&gateway);
        for (arrival, peer, speaker) in [
            (0, "10.1.0.9", Some("10.1.0.1")),
            (0, "10.3.0.9", Some("10.3.0.1")),
            (0, "198.51.100.7", Some("10.1.0.1")),
            (1, "198.51.100.7", Some("10.2.0.1")),
            (1, "10.1.0.9", Some("10.2.0.1")),
            (2, "10.1.0.9", Some("10.1.0.1")),
            (9, "10.1.0.9", Some("10.1.0.1")),
            (0, "fe80::9", Some("fe80::1")),
            (0, "2001:db8:7::1", Some("2001:db8:1::1")),
            (1, "2001:db8:7::1", Some("2001:db8:2::1")),
        ] {
            let found = addresses.speaker(InterfaceId::new(arrival).unwrap(), ip(peer));
            assert_eq!(found, speaker.map(ip), "to {peer} by {arrival}");
        }
        let mute = interfaces(&[&["fe80::1/64"]]);
        let first = InterfaceId::new(0).unwrap();
        assert_eq!(Addresses::of(&mute).speaker(first, ip("2001:db8::1")), None, "nobody there knows it");
        assert_eq!(Addresses::of(&mute).speaker(first, ip("10.0.0.1")), None);
    }

    #[test]
    fn hosts_groups_and_the_gateway_are_told_apart() {
        let gateway = gateway();
        let addresses = Addresses::of(&gateway);
        for host in ["10.1.0.9", "10.2.0.254", "192.0.2.1", "223.255.255.1", "2001:db8::1", "fe80::9"] {
            assert!(addresses.name_other_host(ip(host)) && !addresses.name_group(ip(host)), "{host}");
        }
        for group in ["10.1.0.255", "10.2.0.255", "255.255.255.255", "0.0.0.0", "224.0.0.1", "ff02::1"] {
            assert!(addresses.name_group(ip(group)) && !addresses.name_other_host(ip(group)), "{group}");
        }
        for nobody in ["0.1.2.3", "127.0.0.1", "240.0.0.1", "::", "::1"] {
            assert!(!addresses.name_other_host(ip(nobody)), "{nobody}");
        }
        for own in ["10.1.0.1", "192.0.2.0", "fe80::1"] {
            assert!(addresses.contain(ip(own)) && !addresses.name_other_host(ip(own)), "{own}");
            assert!(!addresses.name_group(ip(own)), "{own}: a network of two has no broadcast");
        }
    }
}
