//! What passes between the networks and the gateway's own system, the kernel, and what does not.
//!
//! The kernel has the gateway's addresses on its taps, but the networks belong to the gateway: the kernel's ARP and
//! neighbour discovery never leave ([`FromKernel::Asks`]), and it speaks with the gateway's addresses alone.
//!
//! In a cluster several kernels have the same shared addresses. Of all nodes one speaks with a station from those, and
//! hears it: the one that a flow from the station's address would belong to. Groups are spoken to by the node that
//! the shared address itself would fall to. A management address is its node's alone, and always may.

use super::addresses::Addresses;
use super::neighbours;
use std::net::IpAddr;
use weir_dataplane::config::route::Interface;
use weir_dataplane::wire::{EtherType, Icmpv6, Icmpv6Type, IpProtocol, Ipv4, Ipv6, MacAddr, Udp};

/// Where DHCP servers and clients listen (RFC 2131 4.1).
const DHCP_PORTS: [u16; 2] = [67, 68];

/// What the kernel wants with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromKernel {
    /// To know the MAC address of a neighbour.
    Asks(IpAddr),
    /// To have it sent.
    Sends,
    /// To tell what the gateway tells itself.
    Tells,
    /// What it may not.
    Refused,
}

/// The interfaces, and which stations this node speaks with from shared addresses.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a, O> {
    /// Position is the interface's id.
    pub interfaces: &'a [Interface],
    /// Whether this node is the one for the station of that address.
    pub owns: O,
}

impl<O: Fn(IpAddr) -> bool> Host<'_, O> {
    /// What the kernel wants with `frame`, whose packet begins at `at` with that type.
    pub fn from_kernel(&self, frame: &[u8], at: usize, ethertype: EtherType) -> FromKernel {
        let packet = frame.get(at..).unwrap_or_default();
        if ethertype == EtherType::ARP || is_discovery(ethertype, packet) {
            return match neighbours::asked_for(frame) {
                Some(target) if self.addresses().contain(target) => FromKernel::Tells,
                Some(target) => FromKernel::Asks(target),
                None => FromKernel::Tells,
            };
        }
        match ends(ethertype, packet) {
            Some((source, destination)) if self.may_speak(source, destination) => FromKernel::Sends,
            _ => FromKernel::Refused,
        }
    }

    /// Whether the kernel of this node is to hear a packet to one of the gateway's addresses, or to a group.
    pub fn hears(&self, packet: &[u8], arrival: &Interface) -> bool {
        let ethertype = match packet.first().map(|byte| byte >> 4) {
            Some(4) => EtherType::IPV4,
            _ => EtherType::IPV6,
        };
        let Some((source, destination)) = ends(ethertype, packet) else { return false };
        if is_group(destination) {
            let wanted = !is_broadcast(destination) || is_dhcp(packet);
            return wanted && (!arrival.management.is_empty() || (self.owns)(source));
        }
        self.is_management(destination) || (self.owns)(source)
    }

    fn may_speak(&self, source: IpAddr, destination: IpAddr) -> bool {
        if !self.addresses().contain(source) {
            return false;
        }
        let station = if is_group(destination) { source } else { destination };
        self.is_management(source) || self.is_vip(source) && !is_group(destination) || (self.owns)(station)
    }

    /// Whose packets come here the gate has said; so this node answers them.
    fn is_vip(&self, address: IpAddr) -> bool {
        self.interfaces.iter().flat_map(|interface| &interface.vips).any(|vip| vip.address == address)
    }

    fn is_management(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|interface| interface.management.contains(&address))
    }

    const fn addresses(&self) -> Addresses<'_> {
        Addresses::of(self.interfaces)
    }
}

/// Makes a frame to the gateway one to the kernel, whose interface has the port's own MAC address: it takes nothing that
/// a group's, or another's, address is on, unless it is to a group of hosts.
pub fn address_to(frame: &mut [u8], mac: MacAddr) {
    if let Some(destination) = frame.first_chunk_mut::<6>() {
        *destination = mac.0;
    }
}

/// Makes a frame of the kernel one of the port.
pub fn address_from(frame: &mut [u8], mac: MacAddr) {
    if let Some(source) = frame.get_mut(6..12) {
        source.copy_from_slice(&mac.0);
    }
}

/// Whether it is of neighbour discovery (RFC 4861 4): what routers and neighbours say of themselves is the gateway's
/// to say.
fn is_discovery(ethertype: EtherType, packet: &[u8]) -> bool {
    let kinds = Icmpv6Type::ROUTER_SOLICITATION.0..=Icmpv6Type::REDIRECT.0;
    ethertype == EtherType::IPV6
        && Ipv6::new(packet).is_some_and(|ip| {
            ip.next_header() == IpProtocol::ICMPV6
                && Icmpv6::new(ip.payload()).is_some_and(|message| kinds.contains(&message.kind().0))
        })
}

/// From where to where.
fn ends(ethertype: EtherType, packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match ethertype {
        EtherType::IPV4 => {
            let ip = Ipv4::new(packet).filter(|ip| ip.version() == 4)?;
            Some((ip.source().into(), ip.destination().into()))
        }
        EtherType::IPV6 => {
            let ip = Ipv6::new(packet).filter(|ip| ip.version() == 6)?;
            Some((ip.source().into(), ip.destination().into()))
        }
        _ => None,
    }
}

fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || is_broadcast(address)
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

fn is_dhcp(packet: &[u8]) -> bool {
    Ipv4::new(packet).is_some_and(|ip| {
        ip.protocol() == IpProtocol::UDP
            && Udp::new(ip.payload()).is_some_and(|udp| DHCP_PORTS.contains(&udp.destination_port()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{from_to, interfaces, ip, packet};
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use weir_dataplane::config::route::VipAddress;
    use weir_tests::packet::Address;

    /// This node's alone is 10.1.0.11; what ends in an even number is this node's to speak with.
    fn with_host<T>(check: impl FnOnce(Host<'_, fn(IpAddr) -> bool>) -> T) -> T {
        let mut all = interfaces(&[
            &["10.1.0.1/24", "2001:db8:1::1/64", "10.1.0.11/24"],
            &["10.2.0.1/24", "2001:db8:2::1/64"],
        ]);
        all[0].management = vec![ip("10.1.0.11")];
        let owns = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[3] % 2 == 0,
            IpAddr::V6(address) => address.octets()[15] % 2 == 0,
        };
        check(Host { interfaces: &all, owns })
    }

    fn udp<A: Address + std::str::FromStr<Err: std::fmt::Debug>>(from: &str, to: &str, port: u16) -> Vec<u8> {
        from_to::<A>(from, to).udp(1000, port).payload(b"x").build()
    }

    #[test]
    fn the_kernel_speaks_with_the_gateways_addresses_and_from_shared_ones_with_its_own_stations() {
        with_host(|host| {
            for (from, to, answer) in [
                ("10.1.0.1", "10.1.0.8", FromKernel::Sends),
                ("10.1.0.1", "10.1.0.9", FromKernel::Refused),
                ("10.1.0.11", "10.1.0.9", FromKernel::Sends),
                ("10.1.0.11", "224.0.0.5", FromKernel::Sends),
                ("10.2.0.1", "224.0.0.5", FromKernel::Refused),
                ("10.1.0.7", "10.1.0.8", FromKernel::Refused),
                ("0.0.0.0", "255.255.255.255", FromKernel::Refused),
            ] {
                let frame = udp::<Ipv4Addr>(from, to, 179);
                assert_eq!(host.from_kernel(&frame, 14, EtherType::IPV4), answer, "{from} to {to}");
            }
            let frame = udp::<Ipv6Addr>("2001:db8:1::1", "2001:db8:9::8", 179);
            assert_eq!(host.from_kernel(&frame, 14, EtherType::IPV6), FromKernel::Sends);
            assert_eq!(host.from_kernel(&frame[..20], 14, EtherType::IPV6), FromKernel::Refused, "cut");
            assert_eq!(host.from_kernel(&frame, 14, EtherType(0x88cc)), FromKernel::Refused, "LLDP");
        });
    }

    #[test]
    fn the_kernel_speaks_from_a_vip_with_everybody_and_with_no_group() {
        let mut all = interfaces(&[&["10.1.0.1/24", "10.1.0.200/32"]]);
        let mac = MacAddr([1, 0, 0x5e, 0, 0, 0x20]);
        all[0].vips = vec![VipAddress { address: ip("10.1.0.200"), mac }];
        let host = Host { interfaces: &all, owns: |_| false };
        for (from, to, answer) in [
            ("10.1.0.200", "10.1.0.9", FromKernel::Sends),
            ("10.1.0.200", "224.0.0.5", FromKernel::Refused),
            ("10.1.0.1", "10.1.0.9", FromKernel::Refused),
        ] {
            let frame = udp::<Ipv4Addr>(from, to, 80);
            assert_eq!(host.from_kernel(&frame, 14, EtherType::IPV4), answer, "{from} to {to}");
        }
    }

    #[test]
    fn one_kernel_hears_a_station() {
        with_host(|host| {
            for (from, to, port, arrival, hears) in [
                ("10.1.0.8", "10.1.0.1", 22, 0, true),
                ("10.1.0.9", "10.1.0.1", 22, 0, false),
                ("10.1.0.9", "10.1.0.11", 22, 0, true),
                ("10.1.0.9", "224.0.0.5", 22, 0, true),
                ("10.2.0.9", "224.0.0.5", 22, 1, false),
                ("10.2.0.8", "224.0.0.5", 22, 1, true),
                ("0.0.0.0", "255.255.255.255", 67, 1, true),
                ("0.0.0.0", "255.255.255.255", 68, 1, true),
                ("10.2.0.8", "255.255.255.255", 9, 1, false),
            ] {
                let packet = packet(&udp::<Ipv4Addr>(from, to, port));
                assert_eq!(host.hears(&packet, &host.interfaces[arrival]), hears, "{from} to {to}");
            }
        });
    }

    #[test]
    fn what_the_kernel_says_of_neighbours_never_leaves() {
        with_host(|host| {
            for kind in [133, 134, 136, 137] {
                let mut frame = udp::<Ipv6Addr>("2001:db8:1::1", "ff02::1", 9);
                (frame[14 + 6], frame[14 + 40]) = (58, kind);
                assert_eq!(host.from_kernel(&frame, 14, EtherType::IPV6), FromKernel::Tells, "type {kind}");
            }
            let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
            let arp = |sender: [u8; 4], target: [u8; 4]| {
                [&arp[..], &[2, 0, 0, 0, 0, 1], &sender, &[0; 6], &target, &[0; 18]].concat()
            };
            let of = |frame: Vec<u8>| host.from_kernel(&frame, 14, EtherType::ARP);
            assert_eq!(of(arp([10, 1, 0, 1], [10, 1, 0, 9])), FromKernel::Asks(ip("10.1.0.9")));
            assert_eq!(of(arp([10, 1, 0, 1], [10, 1, 0, 1])), FromKernel::Tells);
            assert_eq!(of(arp([0; 4], [10, 1, 0, 1])), FromKernel::Tells);
        });
    }

    #[test]
    fn a_frame_changes_its_addresses_and_nothing_else() {
        let mut frame = udp::<Ipv4Addr>("10.1.0.8", "10.1.0.1", 22);
        let before = frame.clone();
        address_to(&mut frame, MacAddr([2, 0, 0, 0, 0, 7]));
        address_from(&mut frame, MacAddr([2, 0, 0, 0, 0, 8]));
        assert_eq!(frame[..12], [2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 8]);
        assert_eq!(frame[12..], before[12..]);
    }
}
