//! The name of a flow: one key for both of its directions, 40 bytes.
//!
//! Protocols with ports, and those with nothing but addresses, put the lower endpoint first, so a packet and its
//! answer give the same key. ICMP queries put the asking side first: an echo request from A to B and one from B to
//! A with the same identifier are two flows, as in Linux.

use crate::units::Direction;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP address as it lies in memory: two words, the second 0 for IPv4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address([u64; 2]);

impl Address {
    /// From the four bytes of an IPv4 header.
    #[inline]
    pub const fn v4(bytes: [u8; 4]) -> Self {
        Self([u32::from_ne_bytes(bytes) as u64, 0])
    }

    /// From the sixteen bytes of an IPv6 header.
    #[inline]
    pub const fn v6(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes([i, j, k, l, m, n, o, p])])
    }

    /// From a standard address.
    pub const fn from_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip.octets()),
            IpAddr::V6(ip) => Self::v6(ip.octets()),
        }
    }

    /// An IPv4 address as a number in host order.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an IPv4 address fills the low half of the first word"
    )]
    pub const fn ipv4_bits(self) -> u32 {
        u32::from_be(self.0[0] as u32)
    }

    /// An IPv6 address as two numbers in host order, the first bits first.
    #[inline]
    pub const fn ipv6_bits(self) -> [u64; 2] {
        [u64::from_be(self.0[0]), u64::from_be(self.0[1])]
    }

    /// As a standard address of that family.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an IPv4 address fills the low half of the first word"
    )]
    pub fn ip(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from((self.0[0] as u32).to_ne_bytes())),
            Family::V6 => {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&self.0[0].to_ne_bytes());
                bytes[8..].copy_from_slice(&self.0[1].to_ne_bytes());
                IpAddr::V6(Ipv6Addr::from(bytes))
            }
        }
    }
}

/// IP version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    #[default]
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

impl Family {
    /// That of an address.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// One end of a flow: an address, and the port in host order (0 where the protocol has none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: Address,
    /// Its port; for ICMP queries the identifier on the asking side and type and code on the other.
    pub port: u16,
}

impl Endpoint {
    /// An end of a flow.
    #[inline]
    pub const fn new(address: Address, port: u16) -> Self {
        Self { address, port }
    }

    #[inline]
    fn order(&self) -> (u64, u64, u16) {
        (self.address.0[0], self.address.0[1], self.port)
    }
}

/// Which of a key's two ends a packet comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// The first.
    #[default]
    First,
    /// The second.
    Second,
}

impl Side {
    /// The direction of a packet from this side in a flow whose original source is `origin`.
    #[inline]
    pub fn direction(self, origin: Self) -> Direction {
        if self == origin { Direction::Original } else { Direction::Reply }
    }

    /// The other side.
    #[inline]
    pub const fn opposite(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// The name of a flow.
#[derive(Clone, Copy, Default, Eq)]
#[repr(C)]
pub struct FlowKey {
    words: [u64; 5],
}

impl PartialEq for FlowKey {
    /// All words at once: keys that are compared are nearly always equal, and a call costs more than the comparison.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let [a, b, c, d, e] = self.words;
        let [v, w, x, y, z] = other.words;
        (a ^ v) | (b ^ w) | (c ^ x) | (d ^ y) | (e ^ z) == 0
    }
}

const PROTOCOL_SHIFT: u32 = 32;
const FAMILY_SHIFT: u32 = 40;

impl FlowKey {
    /// The key of no flow.
    pub const NONE: Self = Self { words: [0; 5] };

    /// The key of a packet from `source` to `destination`, and which side of it the source is.
    #[inline]
    pub fn sorted(family: Family, protocol: u8, source: Endpoint, destination: Endpoint) -> (Self, Side) {
        if source.order() <= destination.order() {
            (Self::oriented(family, protocol, source, destination), Side::First)
        } else {
            (Self::oriented(family, protocol, destination, source), Side::Second)
        }
    }

    /// The same for IPv4, where an end is one word.
    #[inline(always)]
    pub fn sorted_ipv4(
        protocol: u8,
        [source, destination]: [[u8; 4]; 2],
        [source_port, destination_port]: [u16; 2],
    ) -> (Self, Side) {
        let word = |address, port| u64::from(u32::from_ne_bytes(address)) << u16::BITS | u64::from(port);
        let source = word(source, source_port);
        let destination = word(destination, destination_port);
        let (first, second) = (source.min(destination), source.max(destination));
        let rest = (first & 0xffff)
            | (second & 0xffff) << 16
            | u64::from(protocol) << PROTOCOL_SHIFT
            | (Family::V4 as u64) << FAMILY_SHIFT;
        let side = if source <= destination { Side::First } else { Side::Second };
        (Self { words: [first >> u16::BITS, 0, second >> u16::BITS, 0, rest] }, side)
    }

    /// The key of a flow whose ends have their places by what they do.
    #[inline]
    pub fn oriented(family: Family, protocol: u8, first: Endpoint, second: Endpoint) -> Self {
        let [a, b] = first.address.0;
        let [c, d] = second.address.0;
        let rest = u64::from(first.port)
            | u64::from(second.port) << 16
            | u64::from(protocol) << PROTOCOL_SHIFT
            | (family as u64) << FAMILY_SHIFT;
        Self { words: [a, b, c, d, rest] }
    }

    /// Well mixed in all 64 bits; `secret` keeps an attacker from choosing keys that collide.
    /// Folded 64×64→128-bit multiplications, as in wyhash. Each factor has a secret in it: who knew one could make it
    /// zero, and then the other one would not matter.
    #[inline]
    pub fn hash(&self, secret: u64) -> u64 {
        let [a, b, c, d, rest] = self.words;
        let turned = secret.rotate_left(32);
        // The ports go through two rounds as well: of one alone, some secrets would make little.
        let first = fold(a ^ secret, b ^ rest ^ (secret ^ 0xa076_1d64_78bd_642f));
        let second = fold(c ^ turned, d ^ (turned ^ 0xe703_7ed1_a0b4_28db));
        fold(first ^ second.rotate_left(17), secret ^ 0x8ebc_6af0_9c88_c6e3)
    }

    /// IP version.
    #[inline]
    pub fn family(&self) -> Family {
        if (self.words[4] >> FAMILY_SHIFT) & 0xff == Family::V4 as u64 { Family::V4 } else { Family::V6 }
    }

    /// IP protocol number.
    #[inline]
    pub fn protocol(&self) -> u8 {
        (self.words[4] >> PROTOCOL_SHIFT & 0xff) as u8
    }

    /// The first four bytes of the address on `side`.
    #[inline]
    pub fn head(&self, side: Side) -> [u8; 4] {
        let word = match side {
            Side::First => self.words[0],
            Side::Second => self.words[2],
        };
        match self.family() {
            #[expect(clippy::cast_possible_truncation, reason = "an IPv4 address fills the low half")]
            Family::V4 => (word as u32).to_ne_bytes(),
            Family::V6 => {
                let [a, b, c, d, ..] = word.to_ne_bytes();
                [a, b, c, d]
            }
        }
    }

    /// The address on `side`.
    #[inline(always)]
    pub const fn address(&self, side: Side) -> Address {
        let at = 2 * side as usize;
        Address([self.words[at], self.words[at + 1]])
    }

    /// The port on `side`.
    #[inline(always)]
    pub const fn port(&self, side: Side) -> u16 {
        (self.words[4] >> (u16::BITS * side as u32) & 0xffff) as u16
    }

    /// The ports on `side` and on the other: one number, read in the order that is asked for.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
    pub const fn ports(&self, side: Side) -> (u16, u16) {
        let both = (self.words[4] as u32).rotate_right(u16::BITS * side as u32);
        (both as u16, (both >> u16::BITS) as u16)
    }

    /// The end on `side`.
    #[inline]
    pub fn endpoint(&self, side: Side) -> Endpoint {
        Endpoint::new(self.address(side), self.port(side))
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both halves of the product are kept")]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = [Side::First, Side::Second].map(|side| self.endpoint(side));
        let family = self.family();
        write!(
            f,
            "{} {}#{} {}#{}",
            self.protocol(),
            first.address.ip(family),
            first.port,
            second.address.ip(family),
            second.port
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(ip: &str, port: u16) -> Endpoint {
        Endpoint::new(Address::from_ip(ip.parse().unwrap()), port)
    }

    #[test]
    fn a_packet_and_its_answer_have_one_key_and_opposite_sides() {
        for (a, b, family) in [("10.0.0.1", "10.0.0.2", Family::V4), ("2001:db8::1", "fe80::2", Family::V6)] {
            let (there, from) = FlowKey::sorted(family, 6, end(a, 4000), end(b, 80));
            let (back, answer) = FlowKey::sorted(family, 6, end(b, 80), end(a, 4000));
            assert_eq!(there, back);
            assert_eq!(from.opposite(), answer);
            assert_eq!(there.hash(7), back.hash(7));
            assert_eq!(there.endpoint(from), end(a, 4000));
            assert_eq!((there.ports(from), there.ports(answer)), ((4000, 80), (80, 4000)));
            assert_eq!(there.endpoint(answer).address.ip(family), b.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn an_address_is_a_number_whose_first_bits_are_the_highest() {
        assert_eq!(end("192.0.2.1", 0).address.ipv4_bits(), 0xc000_0201);
        assert_eq!(end("2001:db8::1", 0).address.ipv6_bits(), [0x2001_0db8_0000_0000, 1]);
    }

    #[test]
    fn family_protocol_and_ports_tell_flows_apart() {
        let (tcp, _) = FlowKey::sorted(Family::V4, 6, end("1.2.3.4", 1), end("5.6.7.8", 2));
        let (udp, _) = FlowKey::sorted(Family::V4, 17, end("1.2.3.4", 1), end("5.6.7.8", 2));
        let (swapped, _) = FlowKey::sorted(Family::V4, 6, end("1.2.3.4", 2), end("5.6.7.8", 1));
        let (six, _) = FlowKey::sorted(Family::V6, 6, end("1.2.3.4", 1), end("5.6.7.8", 2));
        assert!(tcp != udp && tcp != swapped && tcp != six);
        assert_eq!((tcp.family(), udp.protocol(), six.family()), (Family::V4, 17, Family::V6));
    }

    #[test]
    fn nobody_makes_keys_collide_without_the_secret() {
        let made = |prefix: u64, word: usize, factor: u64| {
            let mut key = FlowKey::oriented(Family::V6, 6, end("::", 1), end("::", 2));
            key.words[word - 1] = prefix;
            key.words[word] = factor;
            key.hash(0x1234_5678_9abc_def1)
        };
        let ports = FlowKey::oriented(Family::V6, 6, end("::", 1), end("::", 2)).words[4];
        for (word, factor) in [(1, ports ^ 0xa076_1d64_78bd_642f), (3, 0xe703_7ed1_a0b4_28db)] {
            let hashes: std::collections::HashSet<u64> =
                (0..1000).map(|prefix| made(prefix, word, factor)).collect();
            assert_eq!(hashes.len(), 1000, "of {word}");
        }
    }

    #[test]
    fn the_hash_spreads_over_all_its_bytes() {
        // With the second secret the sequence of ports would come to few values if one round were all they had.
        for secret in [0x1234_5678_9abc_def1, 0x5bdf_7810_aac5_4b52] {
            let mut counts = [[0u32; 256]; 16];
            for i in 0..=u16::MAX {
                let address = Address::v4((0x0a00_0000 + u32::from(i)).to_be_bytes());
                let sources = [Endpoint::new(address, 40_000), end("10.0.0.1", i)];
                for (source, counts) in sources.into_iter().zip(counts.chunks_mut(8)) {
                    let (key, _) = FlowKey::sorted(Family::V4, 6, source, end("192.0.2.1", 80));
                    let bytes = key.hash(secret).to_ne_bytes();
                    bytes.iter().zip(counts).for_each(|(byte, counts)| counts[usize::from(*byte)] += 1);
                }
            }
            assert!(counts.as_flattened().iter().all(|n| (150..370).contains(n)), "{counts:?}");
        }
    }
}
