//! The IP headers of the gateway's own packets.

use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::{IpProtocol, ipv4, ipv6};

/// How far the gateway's words go. Linux's default, and IANA's advice.
const HOP_LIMIT: u8 = 64;

const IPV4_CHECKSUM: usize = 10;

/// From whom, to whom, and how urgent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<A> {
    pub(super) source: A,
    pub(super) destination: A,
    /// IPv4's type of service, IPv6's traffic class.
    pub(super) traffic_class: u8,
}

impl Envelope<Ipv4Addr> {
    /// The header over `len` bytes, with room for them. The packet is free to be fragmented on its way, as Linux sends
    /// its own words; `id` names its fragments.
    pub(super) fn ipv4(self, id: u16, protocol: IpProtocol, len: u16) -> Vec<u8> {
        let total_len = u16::try_from(ipv4::HEADER_LEN + usize::from(len)).unwrap_or(u16::MAX);
        let mut packet = Vec::with_capacity(usize::from(total_len));
        packet.extend([0x45, self.traffic_class]);
        packet.extend(total_len.to_be_bytes());
        packet.extend(id.to_be_bytes());
        packet.extend([0, 0, HOP_LIMIT, protocol.0, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        let checksum = Sum::of(&packet).checksum();
        packet[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
        packet
    }
}

impl Envelope<Ipv6Addr> {
    /// The header over `len` bytes, with room for them.
    pub(super) fn ipv6(self, protocol: IpProtocol, len: u16) -> Vec<u8> {
        let mut packet = Vec::with_capacity(ipv6::HEADER_LEN + usize::from(len));
        // Version, traffic class, and a flow label of 0: these are no flow.
        packet.extend((0x6000_0000 | u32::from(self.traffic_class) << 20).to_be_bytes());
        packet.extend(len.to_be_bytes());
        packet.extend([protocol.0, HOP_LIMIT]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet
    }
}
