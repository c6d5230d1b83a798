//! SipHash-1-3 of one 32-bit word, cut to 32 bits: what `hsiphash` is on a 64-bit Linux.
//!
//! On a 32-bit one it is HalfSipHash, with other results. Aumasson and Bernstein, "SipHash: a fast short-input PRF".

/// The hash of the word's four bytes, the lowest first.
#[expect(clippy::cast_possible_truncation, reason = "32 bits are what is wanted")]
pub const fn word(word: u32, key: [u64; 2]) -> u32 {
    let mut v = [
        0x736f_6d65_7073_6575 ^ key[0],
        0x646f_7261_6e64_6f6d ^ key[1],
        0x6c79_6765_6e65_7261 ^ key[0],
        0x7465_6462_7974_6573 ^ key[1],
    ];
    // The length stands in the last block's highest byte.
    let block = 4 << 56 | word as u64;
    v[3] ^= block;
    v = round(v);
    v[0] ^= block;
    v[2] ^= 0xff;
    v = round(round(round(v)));
    (v[0] ^ v[1] ^ v[2] ^ v[3]) as u32
}

const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::Hasher;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_hashes_as_the_standard_librarys_default(value: u32) {
            // `DefaultHasher` is SipHash-1-3 with both keys zero.
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(&value.to_le_bytes());
            #[expect(clippy::cast_possible_truncation, reason = "as above")]
            let expected = hasher.finish() as u32;
            prop_assert_eq!(word(value, [0, 0]), expected);
        }
    }
}
