//! The Internet checksum (RFC 1071): made, verified, and brought up to date after a change (RFC 1624).

use super::IpProtocol;
use core::net::{Ipv4Addr, Ipv6Addr};

/// A running ones-complement sum.
///
/// Words are added as the machine reads them and put in order once at the end, which the sum allows (RFC 1071 2B).
/// Four of them are added at a time, and what is carried out of all of them comes in again below, as it would from
/// word to word.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Sum(u64);

impl Sum {
    /// The sum of `bytes`; a last odd one counts as if a zero followed.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        Self::default().and(bytes)
    }

    /// The sum of the pseudo-header that TCP and UDP over IPv4 put before their own (RFC 9293 3.1). `len` is that
    /// of the transport's header and payload.
    #[inline]
    pub fn pseudo_ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: IpProtocol, len: u16) -> Self {
        Self::of(&source.octets()).and(&destination.octets()).and_word(u16::from(protocol.0)).and_word(len)
    }

    /// The same over IPv6, for ICMPv6 too (RFC 8200 8.1).
    #[inline]
    pub fn pseudo_ipv6(source: Ipv6Addr, destination: Ipv6Addr, protocol: IpProtocol, len: u32) -> Self {
        Self::of(&source.octets())
            .and(&destination.octets())
            .and(&len.to_be_bytes())
            .and_word(u16::from(protocol.0))
    }

    /// Adds `bytes`. Only the last part that is added may have an odd length.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "both halves of the sum are added")]
    pub fn and(self, bytes: &[u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks::<32>();
        let mut sum = blocks.iter().fold(0, |sum, block| sum + eights(block));
        // Of each smaller size there is one at most: no loop for a short packet.
        let (sixteens, rest) = rest.as_chunks::<16>();
        if let [sixteen] = sixteens {
            sum += eights(sixteen);
        }
        let (octets, rest) = rest.as_chunks::<8>();
        if let [octet] = octets {
            sum += eights(octet);
        }
        let (quads, rest) = rest.as_chunks::<4>();
        let (pairs, odd) = rest.as_chunks::<2>();
        if let [quad] = quads {
            sum += u128::from(u32::from_ne_bytes(*quad));
        }
        if let [pair] = pairs {
            sum += u128::from(u16::from_ne_bytes(*pair));
        }
        if let [last] = odd {
            sum += u128::from(u16::from_ne_bytes([*last, 0]));
        }
        self.plus(sum as u64).plus((sum >> 64) as u64)
    }

    /// Adds one 16-bit number.
    #[inline]
    pub fn and_word(self, word: u16) -> Self {
        self.plus(u64::from(word.to_be()))
    }

    /// Adds four words. What is carried out counts as one again.
    #[inline(always)]
    fn plus(self, words: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(words);
        Self(sum + u64::from(carry))
    }

    /// The checksum to write into a header: the complement of the sum.
    #[inline]
    #[must_use]
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Whether the sum, with the checksum among what was added, says that nothing was changed.
    #[inline]
    #[must_use]
    pub fn verifies(self) -> bool {
        // Folded it is the remainder by this, but for one of 0, which a sum of 0 alone has as 0.
        self.0 != 0 && self.0.is_multiple_of(u64::from(u16::MAX))
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "four folds leave 16 bits")]
    fn folded(self) -> u16 {
        let mut sum = self.0;
        sum = (sum >> 32) + (sum & 0xffff_ffff);
        sum = (sum >> 32) + (sum & 0xffff_ffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);
        u16::from_be(((sum >> 16) + (sum & 0xffff)) as u16)
    }
}

/// The sum of `bytes`, eight at a time.
#[inline(always)]
fn eights<const N: usize>(bytes: &[u8; N]) -> u128 {
    let (octets, _) = bytes.as_chunks::<8>();
    octets.iter().map(|octet| u128::from(u64::from_ne_bytes(*octet))).sum()
}

/// `checksum` after `old` became `new`, both of one even length and at an even offset of what it covers
/// (RFC 1624 equation 3).
#[inline]
#[must_use]
pub fn update<const N: usize>(checksum: u16, old: [u8; N], new: [u8; N]) -> u16 {
    const { assert!(N.is_multiple_of(2)) };
    Sum::of(&old.map(|byte| !byte)).and(&new).and_word(!checksum).checksum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Word by word, as RFC 1071 puts it.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for word in bytes.chunks(2) {
            sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
            sum = (sum >> 16) + (sum & 0xffff);
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn sums_the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).checksum(), !0xddf2);
    }

    #[test]
    fn updates_the_example_of_rfc_1624() {
        assert_eq!(update(0xdd2f, [0x55, 0x55], [0x32, 0x85]), 0x0000);
    }

    #[test]
    fn verifies_a_dns_query_over_ipv4() {
        let [source, destination] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7)];
        let mut udp = [0xd4, 0x31, 0x00, 0x35, 0x00, 0x0b, 0, 0, b'a', b'b', b'c'];
        let pseudo = [192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0, 11];
        let checksum = naive(&[pseudo.as_slice(), &udp].concat());
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        let sum = Sum::pseudo_ipv4(source, destination, IpProtocol::UDP, 11).and(&udp);
        assert!(sum.verifies());
        udp[10] ^= 1;
        assert!(!Sum::pseudo_ipv4(source, destination, IpProtocol::UDP, 11).and(&udp).verifies());
    }

    #[test]
    fn verifies_an_echo_over_ipv6() {
        let [source, destination] = [Ipv6Addr::LOCALHOST, "2001:db8::1".parse().unwrap()];
        let echo = [128, 0, 0, 0, 0, 1, 0, 2];
        let pseudo = [source.octets().as_slice(), &destination.octets(), &[0, 0, 0, 8, 0, 0, 0, 58]].concat();
        let sum = Sum::pseudo_ipv6(source, destination, IpProtocol::ICMPV6, 8).and(&echo);
        assert_eq!(sum.checksum(), naive(&[pseudo.as_slice(), &echo].concat()));
    }

    proptest! {
        #[test]
        fn any_cut_at_an_even_place_sums_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..200usize) {
            let cut = (cut.min(bytes.len())) & !1;
            let (head, tail) = bytes.split_at(cut);
            prop_assert_eq!(Sum::of(head).and(tail).checksum(), naive(&bytes));
        }

        #[test]
        fn a_sum_verifies_when_it_comes_to_nothing(
            mut bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 2..80),
        ) {
            prop_assert_eq!(Sum::of(&bytes).verifies(), naive(&bytes) == 0);
            bytes[..2].fill(0);
            let checksum = naive(&bytes).to_be_bytes();
            bytes[..2].copy_from_slice(&checksum);
            prop_assert!(Sum::of(&bytes).verifies());
        }

        #[test]
        fn an_update_equals_a_recomputation(
            mut bytes in proptest::collection::vec(any::<u8>(), 8..64),
            at in 1..15usize,
            new in any::<[u8; 4]>(),
        ) {
            // A sum over nothing but zeros has two spellings; real headers are never all zero.
            bytes[0] = 0x45;
            let at = (at * 2).min((bytes.len() - 4) & !1);
            let before = Sum::of(&bytes).checksum();
            let old: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
            bytes[at..at + 4].copy_from_slice(&new);
            prop_assert_eq!(update(before, old, new), Sum::of(&bytes).checksum());
        }
    }
}
