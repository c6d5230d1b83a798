//! An interface as its neighbours see it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use weir_dataplane::config::route::{Interface, Route, Routing, Target};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::wire::MacAddr;

/// An interface.
///
/// A gateway of its own has one MAC address. In a cluster all nodes *announce* the same one inside ARP and
/// neighbour discovery, a group address or a shared unicast one, and each *sends* its frames from its port's own: a
/// group address is no sender (IEEE 802.3 3.2.3), and a switch that heard frames from a shared one would learn a
/// single port for it and stop to flood. So a node's own address is only ever in an Ethernet header.
#[derive(Clone, Debug)]
pub(super) struct Link {
    interface: Interface,
    /// Networks that are behind it by a route, without a router between.
    on_link: Vec<Subnet>,
}

impl Link {
    /// The links of all interfaces.
    pub(super) fn all(routing: &Routing) -> Vec<Arc<Self>> {
        let mut links: Vec<Self> = routing
            .interfaces
            .iter()
            .map(|interface| Self { interface: interface.clone(), on_link: Vec::new() })
            .collect();
        for Route { to, target } in &routing.routes {
            let Target::Via(hops) = target else { continue };
            for hop in hops.iter().filter(|hop| hop.gateway.is_none()) {
                if let Some(link) = links.get_mut(hop.interface.index()) {
                    link.on_link.push(*to);
                }
            }
        }
        links.into_iter().map(Arc::new).collect()
    }

    /// The interface.
    pub(super) const fn interface(&self) -> &Interface {
        &self.interface
    }

    /// What the interface's addresses are announced with.
    pub(super) const fn announced(&self) -> MacAddr {
        self.interface.mac
    }

    /// What one of the interface's addresses is announced with.
    pub(super) fn announced_as(&self, address: IpAddr) -> MacAddr {
        self.interface.mac_of(address)
    }

    /// Whether the gateway goes by this MAC address here.
    pub(super) fn goes_by(&self, mac: MacAddr) -> bool {
        [self.announced(), self.source()].contains(&mac)
            || self.interface.vips.iter().any(|vip| vip.mac == mac)
    }

    /// Whether an address is this node's alone, whatever cluster it is in.
    pub(super) fn is_management(&self, address: IpAddr) -> bool {
        self.interface.management.contains(&address)
    }

    /// What frames come from.
    pub(super) const fn source(&self) -> MacAddr {
        self.interface.source_mac
    }

    /// Whether other nodes hear what is told to one of the interface's addresses.
    pub(super) fn is_shared(&self, address: IpAddr) -> bool {
        self.announced() != self.source() || self.announced_as(address) != self.source()
    }

    /// The interface's own addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.interface.addresses.iter().map(|network| network.address)
    }

    /// Whether an address is the interface's own.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses().any(|own| own == address)
    }

    /// Whether a neighbour may have this address: a unicast one of a network of the interface, of one that a route puts
    /// right behind it, or IPv6 link-local.
    pub(super) fn may_have(&self, address: IpAddr) -> bool {
        let unicast = match address {
            IpAddr::V4(address) => {
                !address.is_unspecified()
                    && !address.is_loopback()
                    && !address.is_multicast()
                    && !address.is_broadcast()
            }
            IpAddr::V6(address) => {
                !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
            }
        };
        unicast
            && (is_link_local(address)
                || self.interface.addresses.iter().any(|net| host(*net, address))
                || self.on_link.iter().any(|net| net.contains(address)))
    }

    /// Our address to ask for a neighbour from: one of its network, else a link-local one, else any of its family.
    pub(super) fn asks_from(&self, neighbour: IpAddr) -> Option<IpAddr> {
        let family = || self.addresses().filter(|own| own.is_ipv4() == neighbour.is_ipv4());
        let same_network = self.interface.addresses.iter().find(|network| network.contains(neighbour));
        same_network
            .map(|network| network.address)
            .or_else(|| family().find(|own| is_link_local(*own)))
            .or_else(|| family().next())
    }
}

/// Whether `address` is a host's in `network`: in it, and neither its first nor its last address where these stand
/// for all (RFC 3021 has none in a /31).
fn host(network: Subnet, address: IpAddr) -> bool {
    let all = |ours: Ipv4Addr, theirs: Ipv4Addr| {
        let hosts = u32::MAX.checked_shr(network.prefix_len.into()).unwrap_or(0);
        network.prefix_len < 31 && [0, hosts].contains(&(theirs.to_bits() & hosts)) && ours != theirs
    };
    network.contains(address)
        && match (network.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => !all(ours, theirs),
            _ => true,
        }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU8;
    use weir_dataplane::config::route::{NextHop, ReversePath, VipAddress};
    use weir_dataplane::units::{InterfaceId, PortId};

    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const CLUSTER: MacAddr = MacAddr([1, 0, 0x5e, 0, 1, 1]);

    fn link(addresses: &[&str]) -> Link {
        let interface = Interface {
            port: PortId::default(),
            vlan: None,
            mac: CLUSTER,
            source_mac: OWN,
            mtu: 1500,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            management: Vec::new(),
            vips: Vec::new(),
            tapped: false,
            reverse_path: ReversePath::Strict,
        };
        let hop = |gateway: Option<&str>| NextHop {
            interface: InterfaceId::default(),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            weight: NonZeroU8::MIN,
        };
        let via = |to: &str, hop| Route { to: to.parse().unwrap(), target: Target::Via(vec![hop]) };
        let routes = vec![via("10.9.0.0/16", hop(None)), via("10.8.0.0/16", hop(Some("192.0.2.9")))];
        let links = Link::all(&Routing { interfaces: vec![interface], routes });
        Link::clone(&links[0])
    }

    #[test]
    fn a_link_is_shared_when_it_announces_what_it_does_not_send_from() {
        let shared = link(&[]);
        let alone =
            Link { interface: Interface { mac: OWN, ..shared.interface().clone() }, ..shared.clone() };
        let any = "192.0.2.1".parse().unwrap();
        assert!(shared.is_shared(any) && !alone.is_shared(any));
        let vip = VipAddress { address: any, mac: CLUSTER };
        let with_vip = Interface { vips: vec![vip], ..alone.interface().clone() };
        let with_vip = Link { interface: with_vip, ..alone };
        let other = "192.0.2.2".parse().unwrap();
        assert!(with_vip.is_shared(any) && !with_vip.is_shared(other));
        assert_eq!([any, other].map(|own| with_vip.announced_as(own)), [CLUSTER, OWN]);
        assert!(with_vip.goes_by(CLUSTER) && with_vip.goes_by(OWN));
    }

    #[test]
    fn neighbours_have_addresses_of_the_networks() {
        let link = link(&["192.0.2.1/24", "198.51.100.0/31", "203.0.113.7/32", "2001:db8::1/64"]);
        let may = |address: &str| link.may_have(address.parse().unwrap());
        assert!(may("192.0.2.9") && may("198.51.100.1") && may("2001:db8::9") && may("fe80::9"));
        for address in ["192.0.2.0", "192.0.2.255", "192.0.3.1", "0.0.0.0", "255.255.255.255", "224.0.0.1"] {
            assert!(!may(address), "{address}");
        }
        assert!(may("10.9.1.2") && !may("10.8.1.2"), "behind it by a route, and behind a router");
        assert!(!may("2001:db8:1::9") && !may("ff02::1") && !may("::"));
    }

    #[test]
    fn questions_come_from_the_neighbours_network() {
        let link = link(&["192.0.2.1/24", "198.51.100.1/24", "2001:db8::1/64", "fe80::1/64"]);
        let from = |address: &str| link.asks_from(address.parse().unwrap()).unwrap().to_string();
        assert_eq!(from("198.51.100.9"), "198.51.100.1");
        assert_eq!(from("203.0.113.9"), "192.0.2.1");
        assert_eq!((from("2001:db8::9"), from("fe80::9")), ("2001:db8::1".into(), "fe80::1".into()));
        assert_eq!(from("2001:db8:1::9"), "fe80::1");
        assert!(self::link(&["192.0.2.1/24"]).asks_from("fe80::9".parse().unwrap()).is_none());
    }
}
