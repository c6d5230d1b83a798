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
    /// The bucket, from 0, of the flows that `client` opens.
    pub fn bucket(&self, client: IpAddr) -> usize {
        let octets = match client {
            IpAddr::V4(client) => client.octets().to_vec(),
            IpAddr::V6(client) => client.octets().to_vec(),
        };
        // The words are taken as they lie in memory: in network order, read by a little-endian machine.
        let words: Vec<u32> =
            octets.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        ((u64::from(lookup3(&words, self.hash_seed)) * u64::from(self.total_nodes)) >> 32) as usize
    }
}

/// Jenkins' lookup3 over words: blocks of three, each but the last stirred by `mix`, the last by `last`.
fn lookup3(words: &[u32], seed: u32) -> u32 {
    let mut state = [0xdead_beef_u32.wrapping_add(4 * words.len() as u32).wrapping_add(seed); 3];
    let blocks: Vec<&[u32]> = words.chunks(3).collect();
    for (i, block) in blocks.iter().enumerate() {
        for (lane, word) in state.iter_mut().zip(*block) {
            *lane = lane.wrapping_add(*word);
        }
        state = if i + 1 < blocks.len() { mix(state) } else { last(state) };
    }
    state[2]
}

fn mix(mut s: [u32; 3]) -> [u32; 3] {
    // In turn each lane loses its predecessor, takes it back rotated, and the predecessor gains the successor.
    for (i, rotation) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
        let (lane, before, after) = (i % 3, (i + 2) % 3, (i + 1) % 3);
        s[lane] = s[lane].wrapping_sub(s[before]) ^ s[before].rotate_left(rotation);
        s[before] = s[before].wrapping_add(s[after]);
    }
    s
}

fn last(mut s: [u32; 3]) -> [u32; 3] {
    for (i, rotation) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (lane, before) = ((i + 2) % 3, (i + 1) % 3);
        s[lane] = (s[lane] ^ s[before]).wrapping_sub(s[before].rotate_left(rotation));
    }
    s
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
            ("2001:db8::1", 0xdead_beef, 2, 1),
            ("fe80::1234", 0, 7, 0),
        ] {
            let model = ClusterModel { total_nodes, hash_seed };
            assert_eq!(model.bucket(client.parse().unwrap()), bucket, "{client}");
        }
        assert_eq!(lookup3(&[u32::from_le_bytes([203, 0, 113, 77])], 0xfeed_cafe), 0x4670_961e);
        let link_local = [0x80fe, 0, 0, 0x3412_0000];
        assert_eq!(lookup3(&link_local, 0), 0x0d9f_1372);
    }
}
