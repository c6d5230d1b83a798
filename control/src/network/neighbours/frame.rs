//! ARP and neighbour discovery messages as whole frames, without a VLAN tag.

use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::{EtherType, Icmpv6Type, IpProtocol, MacAddr};

/// Shortest Ethernet frame without its check sequence; what is shorter is filled up with zeros.
const FRAME_LEN_MIN: usize = 60;

/// What neighbour discovery sends with, and demands: a router would have counted it down (RFC 4861 7.1).
pub(super) const HOP_LIMIT: u8 = 255;

/// Option: the sender's link-layer address.
pub(super) const OPTION_SOURCE: u8 = 1;
/// Option: the target's link-layer address.
pub(super) const OPTION_TARGET: u8 = 2;

/// Advertisement: the sender is a router.
pub(super) const FLAG_ROUTER: u8 = 0x80;
/// Advertisement: it answers a question.
pub(super) const FLAG_SOLICITED: u8 = 0x40;
/// Advertisement: it holds against what was known.
pub(super) const FLAG_OVERRIDE: u8 = 0x20;

/// All nodes of a link.
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The group of all whose address ends like this one (RFC 4291 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// The MAC address of an IPv6 group (RFC 2464 7).
pub(super) fn group_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// An ARP message and the frame around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArpFrame {
    pub(super) destination: MacAddr,
    pub(super) source: MacAddr,
    pub(super) operation: ArpOperation,
    pub(super) sender: (MacAddr, Ipv4Addr),
    pub(super) target: (MacAddr, Ipv4Addr),
}

/// What an ARP message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArpOperation {
    Request = 1,
    Reply = 2,
}

impl ArpFrame {
    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut frame = header(self.destination, self.source, EtherType::ARP);
        frame.extend([0, 1, 8, 0, 6, 4, 0, self.operation as u8]);
        for (mac, address) in [self.sender, self.target] {
            frame.extend(mac.0);
            frame.extend(address.octets());
        }
        frame.resize(FRAME_LEN_MIN, 0);
        frame
    }
}

/// A neighbour solicitation or advertisement and the frame around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NdFrame {
    pub(super) destination: MacAddr,
    pub(super) source: MacAddr,
    pub(super) from: Ipv6Addr,
    pub(super) to: Ipv6Addr,
    pub(super) kind: Icmpv6Type,
    pub(super) flags: u8,
    pub(super) target: Ipv6Addr,
    /// An option with a link-layer address: which, and the address.
    pub(super) option: Option<(u8, MacAddr)>,
}

impl NdFrame {
    /// Its bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut message = vec![self.kind.0, 0, 0, 0, self.flags, 0, 0, 0];
        message.extend(self.target.octets());
        if let Some((option, mac)) = self.option {
            message.extend([option, 1]);
            message.extend(mac.0);
        }
        let len: u16 = if self.option.is_some() { 32 } else { 24 };
        let sum = Sum::pseudo_ipv6(self.from, self.to, IpProtocol::ICMPV6, len.into()).and(&message);
        message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());

        let mut frame = header(self.destination, self.source, EtherType::IPV6);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([IpProtocol::ICMPV6.0, HOP_LIMIT]);
        frame.extend(self.from.octets());
        frame.extend(self.to.octets());
        frame.extend(message);
        frame
    }
}

fn header(destination: MacAddr, source: MacAddr, ethertype: EtherType) -> Vec<u8> {
    [destination.0.as_slice(), &source.0, &ethertype.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arp_request_byte_by_byte() {
        let frame = ArpFrame {
            destination: MacAddr::BROADCAST,
            source: MacAddr([2, 0, 0, 0, 0, 1]),
            operation: ArpOperation::Request,
            sender: (MacAddr([1, 0, 0x5e, 0, 1, 1]), Ipv4Addr::new(192, 0, 2, 1)),
            target: (MacAddr::default(), Ipv4Addr::new(192, 0, 2, 9)),
        };
        let bytes = frame.bytes();
        assert_eq!(
            bytes[..42],
            [
                255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, // to everybody, from the node
                0, 1, 8, 0, 6, 4, 0, 1, // request
                1, 0, 0x5e, 0, 1, 1, 192, 0, 2, 1, // the cluster's address
                0, 0, 0, 0, 0, 0, 192, 0, 2, 9,
            ]
        );
        assert_eq!(bytes[42..], [0; 18]);
    }

    #[test]
    fn a_solicitation_byte_by_byte() {
        let target = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456);
        let group = solicited_node(target);
        let frame = NdFrame {
            destination: group_mac(group),
            source: MacAddr([2, 0, 0, 0, 0, 1]),
            from: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
            to: group,
            kind: Icmpv6Type::NEIGHBOUR_SOLICITATION,
            flags: 0,
            target,
            option: Some((OPTION_SOURCE, MacAddr([2, 0, 0, 0, 0, 1]))),
        };
        let bytes = frame.bytes();
        assert_eq!(bytes[..14], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
        assert_eq!(bytes[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255]);
        assert_eq!(group.to_string(), "ff02::1:ff12:3456");
        assert_eq!(bytes[54..56], [135, 0]);
        assert_eq!(bytes[58..62], [0; 4]);
        assert_eq!(bytes[62..78], target.octets());
        assert_eq!(bytes[78..], [1, 1, 2, 0, 0, 0, 0, 1]);
        let sum = Sum::pseudo_ipv6(frame.from, frame.to, IpProtocol::ICMPV6, 32).and(&bytes[54..]);
        assert!(sum.verifies());
    }
}
