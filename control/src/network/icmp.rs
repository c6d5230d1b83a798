//! Finished ICMP packets, from their parts.

use super::envelope::Envelope;
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::{IpProtocol, icmp};

const CHECKSUM: usize = 2;

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

/// The packet over IPv4, whole; `id` names its fragments, should it be cut on its way.
pub(super) fn ipv4(envelope: Envelope<Ipv4Addr>, id: u16, message: &Message<'_>) -> Vec<u8> {
    let mut packet = envelope.ipv4(id, IpProtocol::ICMP, message.len());
    message.append(&mut packet, Sum::default());
    packet
}

/// The packet over IPv6.
pub(super) fn ipv6(envelope: Envelope<Ipv6Addr>, message: &Message<'_>) -> Vec<u8> {
    let len = message.len();
    let mut packet = envelope.ipv6(IpProtocol::ICMPV6, len);
    let (source, destination) = (envelope.source, envelope.destination);
    message.append(&mut packet, Sum::pseudo_ipv6(source, destination, IpProtocol::ICMPV6, u32::from(len)));
    packet
}
