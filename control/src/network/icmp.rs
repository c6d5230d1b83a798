//! Finished ICMP packets, from their parts.

use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::{IpProtocol, icmp, ipv4, ipv6};

/// How far the gateway's words go. Linux's default, and IANA's advice.
const HOP_LIMIT: u8 = 64;

const CHECKSUM: usize = 2;
const IPV4_CHECKSUM: usize = 10;

/// From whom, to whom, and how urgent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<A> {
    pub(super) source: A,
    pub(super) destination: A,
    /// IPv4's type of service, IPv6's traffic class.
    pub(super) traffic_class: u8,
}

/// A message, but for its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u8,
    pub(super) code: u8,
    /// The other half of the header.
    pub(super) rest: [u8; 4],
    /// Cut from a packet that came, so that its length has 16 bits with all headers.
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    fn len(&self) -> u16 {
        u16::try_from(icmp::HEADER_LEN + self.body.len()).unwrap_or(u16::MAX)
    }

    /// Appends it, its checksum over `pseudo` and itself.
    fn append(&self, packet: &mut Vec<u8>, pseudo: Sum) {
        let [a, b, c, d] = self.rest;
        let mut header = [self.kind, self.code, 0, 0, a, b, c, d];
        let checksum = pseudo.and(&header).and(self.body).checksum();
        header[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
        packet.extend(header);
        packet.extend(self.body);
    }
}

/// The packet over IPv4, whole, and free to be fragmented on its way, as Linux sends it; `id` names its fragments.
pub(super) fn ipv4(envelope: Envelope<Ipv4Addr>, id: u16, message: &Message<'_>) -> Vec<u8> {
    let total_len = u16::try_from(ipv4::HEADER_LEN + usize::from(message.len())).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(usize::from(total_len));
    packet.extend([0x45, envelope.traffic_class]);
    packet.extend(total_len.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend([0, 0, HOP_LIMIT, IpProtocol::ICMP.0, 0, 0]);
    packet.extend(envelope.source.octets());
    packet.extend(envelope.destination.octets());
    let checksum = Sum::of(&packet).checksum();
    packet[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
    message.append(&mut packet, Sum::default());
    packet
}

/// The packet over IPv6.
pub(super) fn ipv6(envelope: Envelope<Ipv6Addr>, message: &Message<'_>) -> Vec<u8> {
    let len = message.len();
    let mut packet = Vec::with_capacity(ipv6::HEADER_LEN + usize::from(len));
    // Version, traffic class, and a flow label of 0: these are no flow.
    packet.extend((0x6000_0000 | u32::from(envelope.traffic_class) << 20).to_be_bytes());
    packet.extend(len.to_be_bytes());
    packet.extend([IpProtocol::ICMPV6.0, HOP_LIMIT]);
    packet.extend(envelope.source.octets());
    packet.extend(envelope.destination.octets());
    let (source, destination) = (envelope.source, envelope.destination);
    message.append(&mut packet, Sum::pseudo_ipv6(source, destination, IpProtocol::ICMPV6, u32::from(len)));
    packet
}
