//! Bob Jenkins' lookup3 over 32-bit words, as Linux computes it (`jhash_1word` to `jhash_3words`, `jhash2`).
//!
//! Linux hashes addresses as the words that their bytes make in memory, so machines of different byte order
//! disagree; [`word`] reads them as a little-endian machine does, on every machine.

/// Linux's `JHASH_INITVAL`.
const INITIAL: u32 = 0xdead_beef;

/// Four bytes of an address as a word.
#[inline]
pub const fn word(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes)
}

/// The hash of `N` words.
#[inline]
pub fn words<const N: usize>(words: [u32; N], seed: u32) -> u32 {
    const { assert!(N >= 1 && N <= 32) };
    #[expect(clippy::cast_possible_truncation, reason = "N is at most 32")]
    let start = INITIAL.wrapping_add(N as u32 * 4).wrapping_add(seed);
    let mut state = [start; 3];
    let mut rest = words.as_slice();
    while let Some((block, more)) = rest.split_first_chunk::<3>().filter(|(_, more)| !more.is_empty()) {
        add(&mut state, block);
        mix(&mut state);
        rest = more;
    }
    add(&mut state, rest);
    finish(state)
}

/// Where in `0..n` a hash falls: its share of the 32-bit space, as Linux's `reciprocal_scale`. Not a remainder.
#[inline]
pub const fn scale(hash: u32, n: u32) -> u32 {
    ((hash as u64 * n as u64) >> 32) as u32
}

#[inline]
fn add(state: &mut [u32; 3], words: &[u32]) {
    for (lane, word) in state.iter_mut().zip(words) {
        *lane = lane.wrapping_add(*word);
    }
}

#[inline]
fn mix(state: &mut [u32; 3]) {
    let [a, b, c] = state;
    let step = |x: &mut u32, y: &mut u32, z: u32, rotation: u32| {
        *x = x.wrapping_sub(*y) ^ y.rotate_left(rotation);
        *y = y.wrapping_add(z);
    };
    step(a, c, *b, 4);
    step(b, a, *c, 6);
    step(c, b, *a, 8);
    step(a, c, *b, 16);
    step(b, a, *c, 19);
    step(c, b, *a, 4);
}

#[inline]
fn finish([mut a, mut b, mut c]: [u32; 3]) -> u32 {
    let step = |x: &mut u32, y: u32, rotation: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(rotation));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_hashes_as_on_a_little_endian_linux() {
        assert_eq!(words([word([192, 168, 2, 100])], 0xdead_beef), 0xee60_921e);
        assert_eq!(words([word([192, 168, 2, 101])], 0xdead_beef), 0x8c6d_fc0c);
        assert_eq!(words([word([10, 0, 0, 1])], 0), 0x2fa5_f781);
        assert_eq!(words([word([203, 0, 113, 77])], 0xfeed_cafe), 0x4670_961e);
    }

    #[test]
    fn four_words_are_mixed_once_before_the_last() {
        assert_eq!(words([0xb80d_0120, 0, 0, 0x0100_0000], 0xdead_beef), 0xf9db_fa2e);
        assert_eq!(words([0x80fe, 0, 0, 0x3412_0000], 0), 0x0d9f_1372);
    }

    #[test]
    fn one_two_and_three_words_hash_as_on_linux() {
        let [ip, source_port, destination_port] = [0xc0a8_0007, 0x409c, 0x5000];
        assert_eq!(words([ip], 0), 0x4d7c_addf);
        assert_eq!(words([ip, source_port], 0), 0x570f_d8c8);
        assert_eq!(words([ip, source_port, destination_port], 0), 0x6d24_4d7b);
        let [ip, source_port, destination_port] = [0x0a01_0203, 0xd204, 0xbb01];
        assert_eq!(words([ip], 0xdead_beef), 0x81bc_235a);
        assert_eq!(words([ip, source_port], 0xdead_beef), 0x7201_958d);
        assert_eq!(words([ip, source_port, destination_port], 0xdead_beef), 0x4743_8e7d);
    }

    #[test]
    fn scaling_is_a_share_and_no_remainder() {
        assert_eq!(scale(0xee60_921e, 2), 1);
        assert_eq!(scale(0x4670_961e, 32), 8);
        assert_eq!((scale(u32::MAX, 7), scale(0, 7), scale(u32::MAX, 1)), (6, 0, 0));
    }

    proptest! {
        #[test]
        fn a_share_is_below_its_count(hash: u32, n in 1..=1024u32) {
            prop_assert!(scale(hash, n) < n);
        }
    }
}
