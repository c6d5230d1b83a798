//! The link layer: Ethernet, its tags, PPPoE sessions and ARP.

use super::ip::{Address, Ip};
use std::net::Ipv4Addr;

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;
const ETHERTYPE_PPPOE: u16 = 0x8864;
const PPPOE_HEADER: usize = 6;

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// To everybody.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The locally administered unicast address number `n`.
    pub const fn host(n: u32) -> Self {
        let [a, b, c, d] = n.to_be_bytes();
        Self([2, 0, a, b, c, d])
    }

    /// Where Ethernet carries an IPv6 multicast group (RFC 2464 §7).
    pub const fn multicast_v6(group: std::net::Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }
}

/// An Ethernet header with its tags; the EtherType is still to come.
#[derive(Clone, Debug)]
pub struct Link {
    bytes: Vec<u8>,
}

/// Starts a frame from `source` to `destination`.
pub fn eth(source: Mac, destination: Mac) -> Link {
    Link { bytes: [destination.0, source.0].concat() }
}

impl Link {
    /// Adds an 802.1Q tag.
    #[must_use]
    pub fn vlan(self, id: u16) -> Self {
        self.tag(ETHERTYPE_VLAN, id)
    }

    /// Adds an 802.1ad service tag: the outer one of QinQ.
    #[must_use]
    pub fn service_vlan(self, id: u16) -> Self {
        self.tag(ETHERTYPE_SERVICE_VLAN, id)
    }

    /// Goes on inside a PPPoE session (RFC 2516).
    pub fn pppoe(mut self, session: u16) -> Pppoe {
        self.put(ETHERTYPE_PPPOE);
        self.bytes.extend([0x11, 0]);
        self.put(session);
        self.put(0);
        Pppoe(self)
    }

    /// Goes on with an IP header.
    pub fn ip<A: Address>(mut self, source: A, destination: A) -> Ip<A> {
        self.put(A::ETHERTYPE);
        Ip::new(Carrier { header: self.bytes, pppoe: false }, source, destination)
    }

    /// The whole frame: who has `target`? `sender` asks, with this frame's source MAC.
    pub fn arp_request(self, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        self.arp(1, sender, Mac([0; 6]), target)
    }

    /// The whole frame: `sender` is at this frame's source MAC, says it to `target`.
    pub fn arp_reply(self, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let asker = Mac(std::array::from_fn(|i| self.bytes[i]));
        self.arp(2, sender, asker, target)
    }

    /// The whole frame: any other protocol.
    pub fn ethertype(mut self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        self.put(ethertype);
        self.bytes.extend(payload);
        self.bytes
    }

    fn arp(mut self, operation: u16, sender: Ipv4Addr, target_mac: Mac, target: Ipv4Addr) -> Vec<u8> {
        let source: [u8; 6] = std::array::from_fn(|i| self.bytes[6 + i]);
        self.put(ETHERTYPE_ARP);
        for field in [1, 0x0800, 0x0604, operation] {
            self.put(field);
        }
        self.bytes.extend(source);
        self.bytes.extend(sender.octets());
        self.bytes.extend(target_mac.0);
        self.bytes.extend(target.octets());
        self.bytes
    }

    fn tag(mut self, ethertype: u16, id: u16) -> Self {
        self.put(ethertype);
        self.put(id & 0x0fff);
        self
    }

    fn put(&mut self, field: u16) {
        self.bytes.extend(field.to_be_bytes());
    }
}

/// A PPPoE session header; only IP follows.
#[derive(Clone, Debug)]
pub struct Pppoe(Link);

impl Pppoe {
    /// Goes on with an IP header.
    pub fn ip<A: Address>(mut self, source: A, destination: A) -> Ip<A> {
        self.0.put(A::PPP_PROTOCOL);
        Ip::new(Carrier { header: self.0.bytes, pppoe: true }, source, destination)
    }
}

/// What carries the IP packet, written up to the IP header.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    header: Vec<u8>,
    pppoe: bool,
}

impl Carrier {
    /// The frame around `packet`.
    pub(super) fn wrap(mut self, packet: &[u8]) -> Vec<u8> {
        if self.pppoe {
            let at = self.header.len() - 4;
            let length = (packet.len() + 2) as u16;
            self.header[at..at + 2].copy_from_slice(&length.to_be_bytes());
        }
        self.header.extend(packet);
        self.header
    }
}

/// The IP packet (or other payload) of a frame that this module built: what follows tags and PPPoE header.
pub fn packet_of(frame: &[u8]) -> &[u8] {
    let mut at = 12;
    loop {
        match u16::from_be_bytes([frame[at], frame[at + 1]]) {
            ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN => at += 4,
            ETHERTYPE_PPPOE => return &frame[at + 2 + PPPOE_HEADER + 2..],
            _ => return &frame[at + 2..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn tags_stand_between_the_addresses_and_the_ethertype() {
        let frame = eth(A, B).service_vlan(100).vlan(7).ethertype(0x88b5, b"x");
        assert_eq!(frame, [&B.0[..], &A.0, &[0x88, 0xa8, 0, 100, 0x81, 0, 0, 7, 0x88, 0xb5], b"x"].concat());
        assert_eq!(packet_of(&frame), b"x");
    }

    #[test]
    fn a_pppoe_length_covers_the_ppp_protocol_and_the_packet() {
        let [c, s] = [1, 2].map(|n| Ipv4Addr::new(10, 0, 0, n));
        let frame = eth(A, B).pppoe(0x0102).ip(c, s).udp(1, 2).payload(b"hi").build();
        assert_eq!(frame[12..22], [0x88, 0x64, 0x11, 0, 1, 2, 0, 32, 0, 0x21]);
        assert_eq!(packet_of(&frame)[0], 0x45);
    }

    #[test]
    fn an_arp_reply_answers_the_asker() {
        let [c, s] = [1, 2].map(|n| Ipv4Addr::new(10, 0, 0, n));
        let frame = eth(A, B).arp_reply(c, s);
        assert_eq!(frame[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        assert_eq!(frame[22..32], [2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        assert_eq!(frame[32..42], [2, 0, 0, 0, 0, 2, 10, 0, 0, 2]);
    }
}
