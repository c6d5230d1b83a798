//! Naive models: what the data plane should answer, worked out the slow way.

use std::net::IpAddr;

/// The cluster match (Linux's xt_cluster), from its description.
#[derive(Clone, Copy, Debug)]
pub struct ClusterModel {
    /// Buckets.
    pub total_nodes: u16,
    /// The hash's start value.
    pub hash_seed: u32,
}

impl ClusterModel {
    /// The bucket, from 0, of the flows that `client` opens. Of an IPv6 address Linux hashes the first word only.
    pub fn bucket(&self, client: IpAddr) -> usize {
        let word = match client {
            IpAddr::V4(client) => client.octets(),
            IpAddr::V6(client) => std::array::from_fn(|i| client.octets()[i]),
        };
        // The word is taken as it lies in memory: in network order, read by a little-endian machine.
        let hash = lookup3(u32::from_le_bytes(word), self.hash_seed);
        ((u64::from(hash) * u64::from(self.total_nodes)) >> 32) as usize
    }
}

/// Jenkins' lookup3 over one word.
fn lookup3(word: u32, seed: u32) -> u32 {
    let mut lanes = [0xdead_beef_u32.wrapping_add(4).wrapping_add(seed); 3];
    lanes[0] = lanes[0].wrapping_add(word);
    for (i, rotation) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (lane, before) = ((i + 2) % 3, (i + 1) % 3);
        lanes[lane] = (lanes[lane] ^ lanes[before]).wrapping_sub(lanes[before].rotate_left(rotation));
    }
    lanes[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_that_linux_computes() {
        for (client, hash_seed, total_nodes, bucket) in [
            ("192.168.2.100", 0xdead_beef, 2, 1),
            ("10.0.0.1", 0, 3, 0),
            ("203.0.113.77", 0xfeed_cafe, 32, 8),
        ] {
            let model = ClusterModel { total_nodes, hash_seed };
            assert_eq!(model.bucket(client.parse().unwrap()), bucket, "{client}");
        }
        assert_eq!(lookup3(u32::from_le_bytes([203, 0, 113, 77]), 0xfeed_cafe), 0x4670_961e);
        let model = ClusterModel { total_nodes: 32, hash_seed: 0 };
        let [v6, v4] = ["cb00:714d::1", "203.0.113.77"].map(|client| model.bucket(client.parse().unwrap()));
        assert_eq!(v6, v4, "the same first word");
    }
}
