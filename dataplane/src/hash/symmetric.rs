//! The hash by which network cards spread flows over queues (RSS, Toeplitz), with a key for which both directions
//! of a flow hash alike.
//!
//! Toeplitz takes, for each input bit that is set, the 32 key bits from its position on, and adds them without
//! carry. [`KEY`] repeats every 16 bits, so a bit counts by its position within its 16-bit word alone: the input
//! may be folded to one word first, source and destination may change places, and both halves of the result are
//! equal. What is left is the sum of 16 rotations of one key word, selected by the bits of the fold: so the hash of
//! the fold is that of its upper byte added to that of its lower one, and a small table has those.

use core::net::{Ipv4Addr, Ipv6Addr};

/// The word that [`KEY`] repeats (Woo and Park, "Scalable TCP session monitoring with symmetric receive-side
/// scaling", 2012).
const KEY_WORD: u16 = 0x6d5a;

/// The key to give to network cards.
pub const KEY: [u8; 40] = {
    let mut key = [0; 40];
    let mut i = 0;
    while i < key.len() {
        key[i] = KEY_WORD.to_be_bytes()[i % 2];
        i += 1;
    }
    key
};

/// The hash's halves for words of which all but the upper, or all but the lower, eight bits are clear.
static UPPER: [u16; 256] = sums(0);
static LOWER: [u16; 256] = sums(8);

/// For each byte, the sum of the key words at the positions of its bits, of which the first is `from`.
const fn sums(from: u32) -> [u16; 256] {
    let mut sums = [0; 256];
    let mut byte = 0;
    while byte < sums.len() {
        let mut bit = 0;
        while bit < u8::BITS {
            if byte << bit & 0x80 != 0 {
                sums[byte] ^= KEY_WORD.rotate_left(from + bit);
            }
            bit += 1;
        }
        byte += 1;
    }
    sums
}

/// What is hashed, folded to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fold(u16);

impl Fold {
    /// An address pair. IPv4, 8 bytes of input.
    #[inline]
    pub fn ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self::of(u128::from(source.to_bits() ^ destination.to_bits()))
    }

    /// An address pair. IPv6, 32 bytes of input.
    #[inline]
    pub fn ipv6(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self::of(source.to_bits() ^ destination.to_bits())
    }

    /// A port pair besides; TCP, UDP and SCTP, 4 more bytes of input.
    #[inline]
    pub fn ports(self, source: u16, destination: u16) -> Self {
        Self(self.0 ^ source ^ destination)
    }

    /// What a network card with [`KEY`] computes.
    #[inline]
    #[must_use]
    pub fn hash(self) -> u32 {
        let [upper, lower] = self.0.to_be_bytes();
        u32::from(UPPER[usize::from(upper)] ^ LOWER[usize::from(lower)]) * 0x0001_0001
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each step folds the upper half into the lower")]
    fn of(bits: u128) -> Self {
        let quad = (bits >> 64) as u64 ^ bits as u64;
        let pair = (quad >> 32) as u32 ^ quad as u32;
        Self((pair >> 16) as u16 ^ pair as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Microsoft's key, for which it publishes hashes ("Verifying the RSS hash calculation").
    const PUBLISHED_KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    /// Bit by bit, as the definition puts it.
    fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
        let bit = |bytes: &[u8], i: usize| u32::from(bytes[i / 8] >> (7 - i % 8) & 1);
        let window = |at: usize| (at..at + 32).fold(0, |word, i| word << 1 | bit(key, i));
        (0..input.len() * 8).filter(|i| bit(input, *i) == 1).fold(0, |hash, i| hash ^ window(i))
    }

    fn input4(source: Ipv4Addr, destination: Ipv4Addr, ports: &[u16]) -> Vec<u8> {
        let mut input = [source.octets(), destination.octets()].concat();
        input.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        input
    }

    fn input6(source: Ipv6Addr, destination: Ipv6Addr, ports: &[u16]) -> Vec<u8> {
        let mut input = [source.octets(), destination.octets()].concat();
        input.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        input
    }

    #[test]
    fn the_bitwise_model_computes_the_published_ipv4_hashes() {
        for (source, destination, ports, pair, with_ports) in [
            ("66.9.149.187", "161.142.100.80", [2794, 1766], 0x323e_8fc2, 0x51cc_c178),
            ("199.92.111.2", "65.69.140.83", [14230, 4739], 0xd718_262a, 0xc626_b0ea),
            ("24.19.198.95", "12.22.207.184", [12898, 38024], 0xd2d0_a5de, 0x5c2b_394a),
            ("38.27.205.30", "209.142.163.6", [48228, 2217], 0x8298_9176, 0xafc7_327f),
            ("153.39.163.191", "202.188.127.2", [44251, 1303], 0x5d18_09c5, 0x10e8_28a2),
        ] {
            let [source, destination] = [source, destination].map(|a| a.parse().unwrap());
            assert_eq!(toeplitz(&PUBLISHED_KEY, &input4(source, destination, &[])), pair);
            assert_eq!(toeplitz(&PUBLISHED_KEY, &input4(source, destination, &ports)), with_ports);
        }
    }

    #[test]
    fn the_bitwise_model_computes_a_published_ipv6_hash() {
        let [source, destination] =
            ["3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1"].map(|a| a.parse().unwrap());
        assert_eq!(toeplitz(&PUBLISHED_KEY, &input6(source, destination, &[])), 0x2cc1_8cd5);
        assert_eq!(toeplitz(&PUBLISHED_KEY, &input6(source, destination, &[2794, 1766])), 0x4020_7d3d);
    }

    proptest! {
        #[test]
        fn the_fold_equals_the_bitwise_model(a: u128, b: u128, ports: [u16; 2]) {
            let [source, destination] = [a, b].map(Ipv6Addr::from_bits);
            let fold = Fold::ipv6(source, destination);
            prop_assert_eq!(fold.hash(), toeplitz(&KEY, &input6(source, destination, &[])));
            let fold = fold.ports(ports[0], ports[1]);
            // The longest input there is: the window of its last bit ends with the key.
            prop_assert_eq!(fold.hash(), toeplitz(&KEY, &input6(source, destination, &ports)));

            #[expect(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
            let [source, destination] = [a as u32, b as u32].map(Ipv4Addr::from_bits);
            let fold = Fold::ipv4(source, destination);
            prop_assert_eq!(fold.hash(), toeplitz(&KEY, &input4(source, destination, &[])));
            let fold = fold.ports(ports[0], ports[1]);
            prop_assert_eq!(fold.hash(), toeplitz(&KEY, &input4(source, destination, &ports)));
        }

        #[test]
        fn both_directions_hash_alike(a: u128, b: u128, ports: [u16; 2]) {
            let [source, destination] = [a, b].map(Ipv6Addr::from_bits);
            let there = Fold::ipv6(source, destination).ports(ports[0], ports[1]);
            let back = Fold::ipv6(destination, source).ports(ports[1], ports[0]);
            prop_assert_eq!(there.hash(), back.hash());
        }
    }
}
