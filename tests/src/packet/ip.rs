//! IPv4 (RFC 791) and IPv6 (RFC 8200).

use super::checksum::{fold, sum};
use super::icmp::Icmp;
use super::link::Carrier;
use super::raw::Raw;
use super::sctp::Sctp;
use super::tcp::Tcp;
use super::udp::Udp;
use super::udp_lite::UdpLite;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const GRE: u8 = 47;
const IPV6_FRAGMENT: u8 = 44;

/// An IP address of either family, with what else differs between the families.
pub trait Address: Copy + Eq + std::fmt::Debug + Into<std::net::IpAddr> {
    /// Ethernet's number of the family.
    const ETHERTYPE: u16;
    /// PPP's number of the family.
    const PPP_PROTOCOL: u16;
    /// Protocol number of ICMP in this family.
    const ICMP: u8;
    /// ICMP type of an echo request.
    const ECHO_REQUEST: u8;
    /// ICMP type of an echo reply.
    const ECHO_REPLY: u8;
    /// Whether the ICMP checksum covers a pseudo header.
    const ICMP_PSEUDO_HEADER: bool;

    /// In network order.
    fn network_bytes(self) -> Vec<u8>;

    /// The header, with everything in front of the transport's segment of `length` bytes.
    fn header(ip: &Ip<Self>, protocol: u8, length: usize) -> Vec<u8>;
}

/// An IP header; the transport is still to come.
#[derive(Clone, Debug)]
pub struct Ip<A> {
    carrier: Carrier,
    source: A,
    destination: A,
    hop_limit: u8,
    ecn: u8,
    id: u32,
    fragment: Option<(u16, bool)>,
    options: Vec<u8>,
    extensions: Vec<(u8, Vec<u8>)>,
    bad_checksum: bool,
}

impl<A: Address> Ip<A> {
    pub(super) fn new(carrier: Carrier, source: A, destination: A) -> Self {
        Self {
            carrier,
            source,
            destination,
            hop_limit: 64,
            ecn: 0,
            id: 0,
            fragment: None,
            options: Vec::new(),
            extensions: Vec::new(),
            bad_checksum: false,
        }
    }

    /// Time to live, or hop limit; 64 otherwise.
    #[must_use]
    pub fn hop_limit(mut self, hops: u8) -> Self {
        self.hop_limit = hops;
        self
    }

    /// The two bits of explicit congestion notification.
    #[must_use]
    pub fn ecn(mut self, ecn: u8) -> Self {
        self.ecn = ecn & 3;
        self
    }

    /// The identification of an IPv4 packet or of an IPv6 fragment.
    #[must_use]
    pub fn id(mut self, id: u32) -> Self {
        self.id = id;
        self
    }

    /// Makes it a fragment whose payload stands `offset` bytes (a multiple of 8) into the datagram; `more` follow.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        assert_eq!(offset % 8, 0, "fragments start at multiples of 8");
        self.fragment = Some((offset, more));
        self
    }

    /// Goes on with TCP.
    pub fn tcp(self, source: u16, destination: u16) -> Tcp<A> {
        Tcp::new(self, source, destination)
    }

    /// Goes on with UDP.
    pub fn udp(self, source: u16, destination: u16) -> Udp<A> {
        Udp::new(self, source, destination)
    }

    /// Goes on with UDP-Lite.
    pub fn udp_lite(self, source: u16, destination: u16) -> UdpLite<A> {
        UdpLite::new(self, source, destination)
    }

    /// Goes on with SCTP.
    pub fn sctp(self, source: u16, destination: u16) -> Sctp<A> {
        Sctp::new(self, source, destination)
    }

    /// Goes on with an ICMP message of this family: `rest` is what follows the checksum.
    pub fn icmp(self, kind: u8, code: u8, rest: [u8; 4]) -> Icmp<A> {
        Icmp::new(self, kind, code, rest)
    }

    /// Goes on with an echo request.
    pub fn echo_request(self, id: u16, sequence: u16) -> Icmp<A> {
        self.icmp(A::ECHO_REQUEST, 0, Icmp::<A>::echo_rest(id, sequence))
    }

    /// Goes on with an echo reply.
    pub fn echo_reply(self, id: u16, sequence: u16) -> Icmp<A> {
        self.icmp(A::ECHO_REPLY, 0, Icmp::<A>::echo_rest(id, sequence))
    }

    /// Goes on with GRE (RFC 2784) that carries this EtherType.
    pub fn gre(self, ethertype: u16) -> Raw<A> {
        let [high, low] = ethertype.to_be_bytes();
        Raw::new(self, GRE, vec![0, 0, high, low])
    }

    /// Goes on with PPTP's GRE (RFC 2637) of the call that the receiver knows by this number.
    pub fn gre_call(self, call_id: u16) -> Raw<A> {
        let [high, low] = call_id.to_be_bytes();
        Raw::new(self, GRE, vec![0x30, 0x01, 0x88, 0x0b, 0, 0, high, low, 0, 0, 0, 1])
    }

    /// Goes on with any protocol by its number; no checksum is filled in.
    pub fn protocol(self, number: u8) -> Raw<A> {
        Raw::new(self, number, Vec::new())
    }

    /// The sum over the pseudo header (RFC 793, RFC 8200 §8.1): both families' fields add up alike.
    pub(super) fn pseudo_sum(&self, protocol: u8, length: usize) -> u64 {
        sum(&self.source.network_bytes())
            + sum(&self.destination.network_bytes())
            + u64::from(protocol)
            + length as u64
    }

    /// The whole frame.
    pub(super) fn wrap(self, protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut packet = A::header(&self, protocol, segment.len());
        packet.extend(segment);
        self.carrier.wrap(&packet)
    }
}

impl Ip<Ipv4Addr> {
    /// Header options, padded with zeros to a multiple of four bytes; at most 40.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self.options.resize(options.len().next_multiple_of(4), 0);
        assert!(self.options.len() <= 40, "an IPv4 header has room for 40 bytes of options");
        self
    }

    /// Breaks the header's checksum.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.bad_checksum = true;
        self
    }
}

impl Ip<Ipv6Addr> {
    /// Adds an extension header of protocol number `kind`; `body` follows its first two bytes and is padded with
    /// zeros to a multiple of eight.
    #[must_use]
    pub fn extension(mut self, kind: u8, body: &[u8]) -> Self {
        let mut body = body.to_vec();
        body.resize((body.len() + 2).next_multiple_of(8) - 2, 0);
        self.extensions.push((kind, body));
        self
    }
}

impl Address for Ipv4Addr {
    const ETHERTYPE: u16 = 0x0800;
    const PPP_PROTOCOL: u16 = 0x0021;
    const ICMP: u8 = 1;
    const ECHO_REQUEST: u8 = 8;
    const ECHO_REPLY: u8 = 0;
    const ICMP_PSEUDO_HEADER: bool = false;

    fn network_bytes(self) -> Vec<u8> {
        Self::octets(&self).to_vec()
    }

    fn header(ip: &Ip<Self>, protocol: u8, length: usize) -> Vec<u8> {
        let words = 5 + ip.options.len() / 4;
        let total = (words * 4 + length) as u16;
        let fragment = match ip.fragment {
            None => 0x4000,
            Some((offset, more)) => (offset / 8) | if more { 0x2000 } else { 0 },
        };
        let mut header = vec![0x40 | words as u8, ip.ecn];
        for field in [total, ip.id as u16, fragment, u16::from(ip.hop_limit) << 8 | u16::from(protocol), 0] {
            header.extend(field.to_be_bytes());
        }
        header.extend(ip.source.octets());
        header.extend(ip.destination.octets());
        header.extend(&ip.options);
        let checksum = fold(sum(&header)) ^ if ip.bad_checksum { 0x5555 } else { 0 };
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }
}

impl Address for Ipv6Addr {
    const ETHERTYPE: u16 = 0x86dd;
    const PPP_PROTOCOL: u16 = 0x0057;
    const ICMP: u8 = 58;
    const ECHO_REQUEST: u8 = 128;
    const ECHO_REPLY: u8 = 129;
    const ICMP_PSEUDO_HEADER: bool = true;

    fn network_bytes(self) -> Vec<u8> {
        Self::octets(&self).to_vec()
    }

    fn header(ip: &Ip<Self>, protocol: u8, length: usize) -> Vec<u8> {
        let mut extensions = ip.extensions.clone();
        if let Some((offset, more)) = ip.fragment {
            let body = [&(offset | u16::from(more)).to_be_bytes()[..], &ip.id.to_be_bytes()].concat();
            extensions.push((IPV6_FRAGMENT, body));
        }
        let kinds = extensions.iter().map(|(kind, _)| *kind).chain([protocol]).collect::<Vec<_>>();
        let mut chain = Vec::new();
        for ((kind, body), next) in extensions.iter().zip(&kinds[1..]) {
            // The fragment header has a reserved byte where the others have their length.
            let units = if *kind == IPV6_FRAGMENT { 0 } else { ((body.len() + 2) / 8 - 1) as u8 };
            chain.extend([*next, units]);
            chain.extend(body);
        }
        let mut header = vec![0x60, ip.ecn << 4, 0, 0];
        header.extend(((chain.len() + length) as u16).to_be_bytes());
        header.extend([kinds[0], ip.hop_limit]);
        header.extend(ip.source.octets());
        header.extend(ip.destination.octets());
        header.extend(chain);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mac, eth, packet_of};
    use super::*;

    fn link() -> super::super::Link {
        eth(Mac::host(1), Mac::host(2))
    }

    #[test]
    fn an_ipv4_header_is_the_textbook_one() {
        // The well-known example header: 192.168.0.1 to 192.168.0.199, UDP, 115 bytes, checksum b861.
        let [c, s] = [1, 199].map(|n| Ipv4Addr::new(192, 168, 0, n));
        let frame = link().ip(c, s).udp(1, 2).payload(&[0; 87]).build();
        assert_eq!(packet_of(&frame)[..12], [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61]);
    }

    #[test]
    fn extension_headers_name_what_follows_them() {
        let s = Ipv6Addr::LOCALHOST;
        let frame = link().ip(s, s).extension(0, &[1, 4]).fragment(8, true).id(9).protocol(99).build();
        let packet = packet_of(&frame);
        assert_eq!(packet[4..8], [0, 16, 0, 64]);
        assert_eq!(packet[40..], [44, 0, 1, 4, 0, 0, 0, 0, 99, 0, 0, 9, 0, 0, 0, 9]);
    }

    #[test]
    fn a_bad_checksum_is_bad() {
        let c = Ipv4Addr::LOCALHOST;
        let good = link().ip(c, c).options(&[7, 3, 4]).protocol(99).build();
        let bad = link().ip(c, c).options(&[7, 3, 4]).bad_checksum().protocol(99).build();
        assert_eq!(fold(sum(packet_of(&good))), 0);
        assert_ne!(fold(sum(packet_of(&bad))), 0);
    }
}
