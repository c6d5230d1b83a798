//! The cluster match: which node a source address belongs to, exactly as Linux's xt_cluster decides.
//!
//! Linux hashes the source address of the flow's original direction, or of its master's when the flow was
//! expected, with lookup3; the hash's share of the 32-bit space is the bucket; a bit mask of buckets, possibly
//! inverted, is the node's. Which address that is, and what happens to frames of others, is the caller's.
//!
//! Of an IPv6 address Linux hashes the first 32 bits alone: it divides the address's length, which it has in words
//! already, by the size of a word once more. So all hosts of a /32 share a bucket. Seen on Linux 6.18.

use crate::config::{BucketSet, Cluster};
use crate::hash::jhash;
use crate::units::{BUCKETS_MAX, BucketId};
use crate::wire::MacAddr;
use core::net::IpAddr;

/// One node's part of the hash space.
#[derive(Clone, Debug)]
pub struct ClusterMatch {
    total_nodes: u32,
    hash_seed: u32,
    /// Inversion is in it already.
    owned: BucketSet,
}

impl ClusterMatch {
    /// The table of one node.
    pub fn compile(cluster: &Cluster) -> Self {
        debug_assert!((1..=BUCKETS_MAX).contains(&usize::from(cluster.total_nodes)));
        let owned = (0..usize::from(cluster.total_nodes))
            .filter_map(BucketId::new)
            .filter(|bucket| cluster.owns(*bucket))
            .collect();
        Self { total_nodes: u32::from(cluster.total_nodes), hash_seed: cluster.hash_seed, owned }
    }

    /// The bucket of a flow by the source address of its original direction, or of its master's.
    #[inline]
    pub fn bucket(&self, source: IpAddr) -> BucketId {
        self.bucket_of_head(match source {
            IpAddr::V4(source) => source.octets(),
            IpAddr::V6(source) => {
                let [a, b, c, d, ..] = source.octets();
                [a, b, c, d]
            }
        })
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

    /// Whether a bucket is this node's.
    #[inline]
    pub fn owns(&self, bucket: BucketId) -> bool {
        self.owned.contains(bucket)
    }

    #[inline]
    fn scaled<const N: usize>(&self, words: [u32; N]) -> BucketId {
        let hash = jhash::words(words, self.hash_seed);
        // Below `total_nodes`, hence below the limit.
        BucketId::new(jhash::scale(hash, self.total_nodes) as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Share, Tracking};
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    fn node(total_nodes: u16, local: &[usize], hash_seed: u32, invert: bool) -> ClusterMatch {
        ClusterMatch::compile(&Cluster {
            total_nodes,
            local_nodes: local.iter().filter_map(|i| BucketId::new(*i)).collect(),
            hash_seed,
            invert,
            tracking: Tracking::Own,
            non_ip: Share::Owner,
            untracked: Share::Owner,
        })
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
            assert_eq!(
                node(total, &[0], seed, false).bucket(source.parse().unwrap()).index(),
                bucket,
                "{source}"
            );
        }
    }

    #[test]
    fn a_node_may_have_several_buckets_or_all_but_one() {
        let owned = |node: &ClusterMatch| {
            (0..4).filter(|i| node.owns(BucketId::new(*i).unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(owned(&node(4, &[0, 3], 0, false)), [0, 3]);
        assert_eq!(owned(&node(4, &[2], 0, true)), [0, 1, 3]);
    }

    proptest! {
        #[test]
        fn exactly_one_node_owns_each_source(
            total in 1..=64u16, seed: u32, bits: u128, mac: [u8; 6], invert: bool,
        ) {
            #[expect(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
            let sources = [Ipv6Addr::from_bits(bits).into(), Ipv4Addr::from_bits(bits as u32).into()];
            let nodes: Vec<_> =
                (0..usize::from(total)).map(|i| node(total, &[i], seed, invert)).collect();
            let owners = |bucket: fn(&ClusterMatch, (IpAddr, MacAddr)) -> BucketId, of| {
                nodes.iter().filter(|node| node.owns(bucket(node, of))).count()
            };
            let expected = if invert { nodes.len() - 1 } else { 1 };
            for source in sources {
                prop_assert_eq!(owners(|node, of| node.bucket(of.0), (source, MacAddr(mac))), expected);
            }
            prop_assert_eq!(owners(|node, of| node.bucket_of_mac(of.1), (sources[0], MacAddr(mac))), expected);
        }

        #[test]
        fn a_bucket_is_below_the_total(total in 1..=1024u16, seed: u32, bits: u32, mac: [u8; 6]) {
            let node = node(total, &[], seed, false);
            prop_assert!(node.bucket(Ipv4Addr::from_bits(bits).into()).index() < usize::from(total));
            prop_assert!(node.bucket_of_mac(MacAddr(mac)).index() < usize::from(total));
        }
    }
}
