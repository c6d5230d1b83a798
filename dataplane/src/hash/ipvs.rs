//! How Linux's IPVS reduces addresses for its hashing schedulers.

use core::net::IpAddr;

/// Linux's `GOLDEN_RATIO_32`.
const GOLDEN_RATIO: u32 = 0x61c8_8647;

/// An address as one number: an IPv6 address's four words are XORed.
#[inline]
pub const fn fold(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        #[expect(clippy::cast_possible_truncation, reason = "word by word")]
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    }
}

/// Linux's `hash_32`: the highest `bits` bits (1 to 32) of a product.
#[inline]
pub const fn hash_32(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(GOLDEN_RATIO) >> (32 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_fall_into_the_buckets_that_linux_gives_them() {
        let [a, b] = ["192.0.2.1", "198.51.100.7"].map(|text| fold(text.parse().unwrap()));
        assert_eq!([hash_32(a, 8), hash_32(a, 10)], [50, 203]);
        assert_eq!([hash_32(b, 8), hash_32(b, 10)], [171, 684]);
    }

    #[test]
    fn the_words_of_an_ipv6_address_are_xored() {
        assert_eq!(fold("2001:db8::1".parse().unwrap()), 0x2001_0db8 ^ 1);
    }
}
