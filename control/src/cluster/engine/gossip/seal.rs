//! What stands around each gossip datagram: proof that a node of this cluster sent it, lately, and once.
//!
//! ```text
//! 0      2         3              11         43
//! | "WG" | version | stamp, µs BE | HMAC-256 | message of chitchat … | whether its receiver is heard: a byte
//! ```
//!
//! The code covers the cluster's id, the header and the message (HMAC-SHA256, RFC 2104). The stamp is the sender's
//! wall clock. A datagram is refused when its stamp is further from this node's clock than `clock_skew_max`, when it
//! is from before this node began, or when it was opened before; what has been opened is remembered until its stamp is
//! too old anyway. So a recorded datagram cannot make a dead node look alive.
//!
//! It does not encrypt: who listens on the wire learns the cluster's state, and can delay or drop datagrams.

use super::keys::{Key, KeyRing};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeSet;
use std::time::Duration;

const MAGIC: [u8; 2] = *b"WG";
const VERSION: u8 = 1;
const STAMP: std::ops::Range<usize> = 3..11;
const TAG: std::ops::Range<usize> = 11..HEADER_BYTES;

/// Bytes before the message.
pub(super) const HEADER_BYTES: usize = 43;

/// Microseconds of the wall clock since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(pub(super) u64);

/// Why a datagram was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no sealed datagram, or one of another version.
    Format,
    /// No key of the ring made its code, or it belongs to another cluster.
    Key,
    /// Its sender's clock and ours are too far apart, or it was recorded long ago.
    Clock,
    /// It was opened before.
    Replay,
}

/// Seals and opens the datagrams of one node.
#[derive(Debug)]
pub(super) struct Seal {
    cluster: String,
    clock_skew_max_us: u64,
    begun: Stamp,
    opened: BTreeSet<(Stamp, [u8; 32])>,
}

impl Seal {
    /// For a node of the cluster with this id that begins `now`.
    pub(super) fn new(cluster: &str, clock_skew_max: Duration, now: Stamp) -> Self {
        let clock_skew_max_us = u64::try_from(clock_skew_max.as_micros()).unwrap_or(u64::MAX);
        Self { cluster: cluster.to_owned(), clock_skew_max_us, begun: now, opened: BTreeSet::new() }
    }

    /// Fills in the header of `datagram`, whose first [`HEADER_BYTES`] are room for it.
    pub(super) fn seal(&self, keys: &KeyRing, now: Stamp, datagram: &mut [u8]) {
        let (header, message) = datagram.split_at_mut(HEADER_BYTES);
        header[..2].copy_from_slice(&MAGIC);
        header[2] = VERSION;
        header[STAMP].copy_from_slice(&now.0.to_be_bytes());
        let code = self.code(keys.first(), &header[..STAMP.end], message).finalize();
        header[TAG].copy_from_slice(&code.into_bytes());
    }

    /// The message in `datagram`.
    ///
    /// # Errors
    /// See [`Refusal`]. What was refused has changed nothing here.
    pub(super) fn open<'a>(
        &mut self,
        keys: &KeyRing,
        now: Stamp,
        datagram: &'a [u8],
    ) -> Result<&'a [u8], Refusal> {
        let (header, message) = datagram.split_at_checked(HEADER_BYTES).ok_or(Refusal::Format)?;
        if header[..2] != MAGIC || header[2] != VERSION {
            return Err(Refusal::Format);
        }
        let genuine = |key| self.code(key, &header[..STAMP.end], message).verify_slice(&header[TAG]).is_ok();
        if !keys.all().iter().any(genuine) {
            return Err(Refusal::Key);
        }
        // Only a node of the cluster comes this far: nobody else can fill the memory below.
        let stamp =
            header[STAMP].try_into().map(u64::from_be_bytes).map(Stamp).map_err(|_| Refusal::Format)?;
        let oldest = self.begun.max(Stamp(now.0.saturating_sub(self.clock_skew_max_us)));
        if stamp < oldest || stamp.0 > now.0.saturating_add(self.clock_skew_max_us) {
            return Err(Refusal::Clock);
        }
        let tag = header[TAG].try_into().map_err(|_| Refusal::Format)?;
        self.opened = self.opened.split_off(&(oldest, [0; 32]));
        if self.opened.insert((stamp, tag)) { Ok(message) } else { Err(Refusal::Replay) }
    }

    fn code(&self, key: &Key, header: &[u8], message: &[u8]) -> Hmac<Sha256> {
        // A whole block of the hash, as `new` wants it: RFC 2104 fills a shorter key up with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key.bytes());
        let mut code = Hmac::<Sha256>::new(&block.into());
        code.update(&(self.cluster.len() as u64).to_be_bytes());
        code.update(self.cluster.as_bytes());
        code.update(header);
        code.update(message);
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp(1_700_000_000_000_000);
    const SKEW: Duration = Duration::from_secs(5);

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    fn later(duration: Duration) -> Stamp {
        Stamp(NOW.0 + u64::try_from(duration.as_micros()).unwrap())
    }

    fn sealed(keys: &KeyRing, cluster: &str, now: Stamp) -> Vec<u8> {
        let mut datagram = vec![0; HEADER_BYTES];
        datagram.extend(b"hello");
        Seal::new(cluster, SKEW, NOW).seal(keys, now, &mut datagram);
        datagram
    }

    #[test]
    fn a_datagram_is_these_bytes() {
        // printf '\0\0\0\0\0\0\0\2gwWG\1\0\6\12\044\030\036\100\0hello' |
        //   openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '07%.0s' {1..32})
        let tag: [u8; 32] = [
            0x64, 0xb5, 0x65, 0x7b, 0x5e, 0x4b, 0xdd, 0x9e, 0x8b, 0x18, 0x88, 0xae, 0xbd, 0x23, 0x64, 0xf6,
            0x63, 0xe5, 0xc9, 0xf9, 0x03, 0x33, 0x90, 0x0c, 0x34, 0x42, 0xfb, 0x55, 0x66, 0x3e, 0xa9, 0xf7,
        ];
        let mut expected = b"WG\x01\x00\x06\x0a\x24\x18\x1e\x40\x00".to_vec();
        expected.extend(tag);
        expected.extend(b"hello");
        assert_eq!(sealed(&KeyRing::of(key(7)), "gw", NOW), expected);
    }

    #[test]
    fn what_a_node_of_the_cluster_says_is_opened_once() {
        let keys = KeyRing::of(key(7));
        let mut seal = Seal::new("gw", SKEW, NOW);
        let datagram = sealed(&keys, "gw", NOW);
        assert_eq!(seal.open(&keys, NOW, &datagram), Ok(&b"hello"[..]));
        assert_eq!(seal.open(&keys, NOW, &datagram), Err(Refusal::Replay));
        assert_eq!(seal.open(&keys, later(SKEW), &datagram), Err(Refusal::Replay));
        let long_after = later(SKEW + Duration::from_micros(1));
        assert_eq!(seal.open(&keys, long_after, &datagram), Err(Refusal::Clock));
        let next = sealed(&keys, "gw", long_after);
        assert_eq!(seal.open(&keys, long_after, &next), Ok(&b"hello"[..]));
        assert_eq!(seal.opened.len(), 1, "what is too old to be opened is not remembered");
    }

    #[test]
    fn another_key_or_another_cluster_is_refused() {
        let keys = KeyRing::of(key(7));
        let mut seal = Seal::new("gw", SKEW, NOW);
        for datagram in
            [sealed(&KeyRing::of(key(8)), "gw", NOW), sealed(&keys, "gw2", NOW), sealed(&keys, "", NOW)]
        {
            assert_eq!(seal.open(&keys, NOW, &datagram), Err(Refusal::Key));
        }
        assert!(seal.opened.is_empty());
    }

    #[test]
    fn one_changed_bit_anywhere_or_a_cut_is_refused() {
        let keys = KeyRing::of(key(7));
        let mut seal = Seal::new("gw", SKEW, NOW);
        let datagram = sealed(&keys, "gw", NOW);
        for bit in 0..datagram.len() * 8 {
            let mut changed = datagram.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seal.open(&keys, NOW, &changed).is_err(), "bit {bit}");
        }
        for length in 0..datagram.len() {
            assert!(seal.open(&keys, NOW, &datagram[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn clocks_too_far_apart_and_the_time_before_this_node_are_refused() {
        let keys = KeyRing::of(key(7));
        let mut seal = Seal::new("gw", SKEW, NOW);
        let ahead = sealed(&keys, "gw", later(SKEW));
        assert!(seal.open(&keys, NOW, &ahead).is_ok());
        let too_far_ahead = sealed(&keys, "gw", later(SKEW + Duration::from_micros(1)));
        assert_eq!(seal.open(&keys, NOW, &too_far_ahead), Err(Refusal::Clock));
        let before = sealed(&keys, "gw", Stamp(NOW.0 - 1));
        assert_eq!(seal.open(&keys, NOW, &before), Err(Refusal::Clock));
    }

    #[test]
    fn a_key_is_replaced_without_a_pause() {
        let (old, new) = (KeyRing::of(key(1)), KeyRing::of(key(2)));
        let (added, swapped) = (KeyRing::of_two(key(1), key(2)), KeyRing::of_two(key(2), key(1)));
        // At each step some nodes have done it and some have not.
        for (one, other) in [(&old, &added), (&added, &swapped), (&swapped, &new)] {
            for (sender, receiver) in [(one, other), (other, one)] {
                let datagram = sealed(sender, "gw", NOW);
                assert!(Seal::new("gw", SKEW, NOW).open(receiver, NOW, &datagram).is_ok());
            }
        }
        assert_eq!(Seal::new("gw", SKEW, NOW).open(&old, NOW, &sealed(&new, "gw", NOW)), Err(Refusal::Key));
    }
}
