//! ICMP (RFC 792), ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861).

use super::checksum::{fold, sum};
use super::ip::{Address, Ip};
use super::link::{Mac, packet_of};
use std::net::Ipv6Addr;

const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const SOLICITED_OVERRIDE: [u8; 4] = [0x60, 0, 0, 0];

/// An ICMP message.
#[derive(Clone, Debug)]
pub struct Icmp<A> {
    ip: Ip<A>,
    head: [u8; 8],
    payload: Vec<u8>,
    bad_checksum: bool,
}

impl<A: Address> Icmp<A> {
    pub(super) fn new(ip: Ip<A>, kind: u8, code: u8, rest: [u8; 4]) -> Self {
        let [a, b, c, d] = rest;
        Self { ip, head: [kind, code, 0, 0, a, b, c, d], payload: Vec::new(), bad_checksum: false }
    }

    pub(super) fn echo_rest(id: u16, sequence: u16) -> [u8; 4] {
        let ([a, b], [c, d]) = (id.to_be_bytes(), sequence.to_be_bytes());
        [a, b, c, d]
    }

    /// The data.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// The data is the first `length` bytes of this frame's IP packet: what an error quotes.
    #[must_use]
    pub fn quote(self, frame: &[u8], length: usize) -> Self {
        let packet = packet_of(frame);
        self.payload(&packet[..length.min(packet.len())])
    }

    /// Breaks the checksum.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.bad_checksum = true;
        self
    }

    /// The whole frame.
    pub fn build(self) -> Vec<u8> {
        let mut message = [&self.head[..], &self.payload].concat();
        let pseudo = if A::ICMP_PSEUDO_HEADER { self.ip.pseudo_sum(A::ICMP, message.len()) } else { 0 };
        let checksum = fold(pseudo + sum(&message)) ^ if self.bad_checksum { 0x5555 } else { 0 };
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        self.ip.wrap(A::ICMP, &message)
    }
}

impl Ip<Ipv6Addr> {
    /// The whole frame: who has `target`? With the asker's MAC.
    pub fn neighbor_solicitation(self, target: Ipv6Addr, asker: Mac) -> Vec<u8> {
        self.neighbor(NEIGHBOR_SOLICITATION, [0; 4], target, 1, asker)
    }

    /// The whole frame: `target` is at `mac`.
    pub fn neighbor_advertisement(self, target: Ipv6Addr, mac: Mac) -> Vec<u8> {
        self.neighbor(NEIGHBOR_ADVERTISEMENT, SOLICITED_OVERRIDE, target, 2, mac)
    }

    fn neighbor(self, kind: u8, flags: [u8; 4], target: Ipv6Addr, option: u8, mac: Mac) -> Vec<u8> {
        let body = [&target.octets()[..], &[option, 1], &mac.0].concat();
        self.hop_limit(255).icmp(kind, 0, flags).payload(&body).build()
    }
}

#[cfg(test)]
mod tests {
    use super::super::eth;
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_echo_request_is_laid_out_as_the_rfc_says() {
        let c = Ipv4Addr::LOCALHOST;
        let frame = eth(Mac::host(1), Mac::host(2)).ip(c, c).echo_request(0x0102, 3).payload(b"ab").build();
        let message = &packet_of(&frame)[20..];
        assert_eq!([&message[..2], &message[4..]].concat(), [8, 0, 1, 2, 0, 3, b'a', b'b']);
        assert_eq!(fold(sum(message)), 0);
    }

    #[test]
    fn an_error_quotes_the_ip_packet_without_its_link_header() {
        let c = Ipv4Addr::LOCALHOST;
        let link = eth(Mac::host(1), Mac::host(2));
        let cause = link.clone().vlan(3).ip(c, c).udp(1, 2).payload(&[0; 99]).build();
        let error = link.ip(c, c).icmp(3, 3, [0; 4]).quote(&cause, 28).build();
        assert_eq!(packet_of(&error)[28..], packet_of(&cause)[..28]);
    }

    #[test]
    fn an_icmpv6_checksum_covers_the_pseudo_header() {
        let s = Ipv6Addr::LOCALHOST;
        let ip = eth(Mac::host(1), Mac::host(2)).ip(s, s);
        let frame = ip.clone().neighbor_solicitation(s, Mac::host(1));
        let message = &packet_of(&frame)[40..];
        assert_eq!(message.len(), 32);
        assert_eq!(fold(ip.pseudo_sum(58, message.len()) + sum(message)), 0);
    }
}
