//! A hash that every node computes alike, whatever its version or machine.
//!
//! FNV-1a over the bytes, then the finaliser of SplitMix64, because FNV alone leaves the high bits of short inputs
//! close together. Not meant to withstand an attacker: names of nodes are the operator's.

/// 64 bits of `parts`; their borders count, so that `ab, c` is not `a, bc`.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |byte: u8| state = (state ^ u64::from(byte)).wrapping_mul(PRIME);
    for part in parts {
        part.iter().for_each(|byte| eat(*byte));
        (part.len() as u64).to_le_bytes().iter().for_each(|byte| eat(*byte));
    }
    mixed(state)
}

/// SplitMix64's finaliser: each bit of the result depends on each of the input.
pub(super) const fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_everywhere_and_borders_count() {
        assert_eq!(
            mixed(0x9e37_79b9_7f4a_7c15),
            0xe220_a839_7b1d_cdaf,
            "SplitMix64's first output for seed 0"
        );
        assert_eq!(hash(&[b"ab", b"c"]), hash(&[b"ab", b"c"]));
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"a"]), hash(&[b"a", b""]));
    }
}
