//! The cluster match: which bucket a source address belongs to, exactly as Linux's xt_cluster decides.
//!
//! Linux hashes the source address of the flow's original direction, or of its master's when the flow was
//! expected, with lookup3; the hash's share of the 32-bit space is the bucket. Which address that is, whose the bucket
//! is ([`owner`](super::owner)), and what happens to frames of others, is the caller's.
//!
//! Of an IPv6 address Linux hashes the first 32 bits alone: it divides the address's length, which it has in words
//! already, by the size of a word once more. So all hosts of a /32 share a bucket. Seen on Linux 6.18.

use crate::config::Cluster;
use crate::hash::jhash;
use crate::units::{BUCKETS_MAX, BucketId};
use crate::wire::MacAddr;
use core::net::IpAddr;

/// How the hash space is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMatch {
    total_nodes: u32,
    hash_seed: u32,
}

impl ClusterMatch {
    /// The same for all nodes of a cluster.
    pub fn compile(cluster: &Cluster) -> Self {
        debug_assert!((1..=BUCKETS_MAX).contains(&usize::from(cluster.total_nodes)));
        Self { total_nodes: u32::from(cluster.total_nodes), hash_seed: cluster.hash_seed }
    }

    /// The bucket of a flow by the source address of its original direction, or of its master's.
    #[inline]
    pub fn bucket(&self, source: IpAddr) -> BucketId {
        self.bucket_of_head(head(source))
    }

    /// The hash of a source address, of whose 32-bit space the bucket is a share.
    pub fn hash(&self, source: IpAddr) -> u32 {
        jhash::words([jhash::word(head(source))], self.hash_seed)
    }

    /// The same by the first four bytes of the address, which are all that Linux hashes.
    #[inline]
    pub fn bucket_of_head(&self, head: [u8; 4]) -> BucketId {
        self.scaled([jhash::word(head)])
    }

    /// The bucket of a frame that no flow speaks for, by its source MAC: lookup3 over the address as two
    /// little-endian words, the second of which holds its last two bytes. Linux has no such rule; this is ours.
    #[inline]
    pub fn bucket_of_mac(&self, source: MacAddr) -> BucketId {
        let MacAddr([a, b, c, d, e, f]) = source;
        self.scaled([jhash::word([a, b, c, d]), jhash::word([e, f, 0, 0])])
    }

    #[inline]
    fn scaled<const N: usize>(&self, words: [u32; N]) -> BucketId {
        let hash = jhash::words(words, self.hash_seed);
        // Below `total_nodes`, hence below the limit.
        BucketId::new(jhash::scale(hash, self.total_nodes) as usize).unwrap_or_default()
    }
}

/// The bytes of an address that Linux hashes.
#[inline]
const fn head(source: IpAddr) -> [u8; 4] {
    match source {
        IpAddr::V4(source) => source.octets(),
        IpAddr::V6(source) => {
            let [a, b, c, d, ..] = source.octets();
            [a, b, c, d]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    fn cluster(total_nodes: u16, hash_seed: u32) -> ClusterMatch {
        ClusterMatch { total_nodes: total_nodes.into(), hash_seed }
    }

    #[test]
    fn a_source_falls_into_the_bucket_that_linux_finds() {
        for (source, seed, total, bucket) in [
            ("192.168.2.100", 0xdead_beef, 2, 1),
            ("192.168.2.101", 0xdead_beef, 2, 1),
            ("10.0.0.1", 0, 3, 0),
            ("10.0.0.1", 0xfeed_cafe, 32, 13),
            ("192.168.2.100", 0xfeed_cafe, 32, 17),
            ("203.0.113.77", 0xfeed_cafe, 32, 8),
            ("2001:db8::1", 0xfeed_cafe, 32, 18),
            ("2001:db8:1:2:3:4:5:6", 0xfeed_cafe, 32, 18),
            ("2001:470:1f11:81f:c999:d94:aa7c:2e3e", 0xfeed_cafe, 32, 25),
            ("fd00:1234::1", 0xfeed_cafe, 32, 26),
            ("fd00:1235::1", 0xfeed_cafe, 32, 28),
            ("3ffe:507::1", 0xfeed_cafe, 32, 18),
        ] {
            assert_eq!(cluster(total, seed).bucket(source.parse().unwrap()).index(), bucket, "{source}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_below_the_total(total in 1..=1024u16, seed: u32, bits: u32, mac: [u8; 6]) {
            let cluster = cluster(total, seed);
            prop_assert!(cluster.bucket(Ipv4Addr::from_bits(bits).into()).index() < usize::from(total));
            prop_assert!(cluster.bucket_of_mac(MacAddr(mac)).index() < usize::from(total));
        }
    }
}
