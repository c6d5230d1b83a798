//! The VIP: which of the nodes that share an address answers a packet, exactly as Linux's CLUSTERIP decided until 2023.
//!
//! Each packet is hashed by itself, with lookup3. Linux took the address in the host's byte order and the ports as
//! they are in the packet, so that machines of different byte order disagreed; here all hash as a little-endian one.
//! Linux knew IPv4 alone. An IPv6 address goes in as four words in host order, the highest first; that is ours.

use crate::hash::jhash;
use crate::units::{BUCKETS_MAX, BucketId};
use core::net::IpAddr;

/// What of a packet names its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashMode {
    /// `sourceip`
    Source,
    /// `sourceip-sourceport`
    SourcePort,
    /// `sourceip-sourceport-destport`
    SourceDestinationPort,
}

/// How the packets for an address are shared.
#[derive(Clone, Debug)]
pub struct Vip {
    mode: HashMode,
    total_nodes: u32,
    hash_init: u32,
}

impl Vip {
    /// The same for all nodes of the address; 1 to [`BUCKETS_MAX`] of them.
    pub fn compile(mode: HashMode, total_nodes: u16, hash_init: u32) -> Self {
        debug_assert!((1..=BUCKETS_MAX).contains(&usize::from(total_nodes)));
        Self { mode, total_nodes: u32::from(total_nodes), hash_init }
    }

    /// Whose a packet is, by its source and its ports as (source, destination), which are 0 where there are none.
    #[inline]
    pub fn bucket(&self, source: IpAddr, ports: (u16, u16)) -> BucketId {
        BucketId::new(jhash::scale(self.hash(source, ports), self.total_nodes) as usize).unwrap_or_default()
    }

    /// The hash, of whose 32-bit space the bucket is a share.
    #[inline]
    pub fn hash(&self, source: IpAddr, (source_port, destination_port): (u16, u16)) -> u32 {
        let [from, to] = [source_port, destination_port].map(|port| u32::from(port.swap_bytes()));
        match source {
            IpAddr::V4(source) => self.of([source.to_bits()], from, to),
            IpAddr::V6(source) => {
                let [a, b, c, d, e, f, g, h] = source.segments().map(u32::from);
                self.of([a << 16 | b, c << 16 | d, e << 16 | f, g << 16 | h], from, to)
            }
        }
    }

    #[inline]
    fn of<const N: usize>(&self, address: [u32; N], from: u32, to: u32) -> u32 {
        let mut words = [0; 6];
        words[..N].copy_from_slice(&address);
        (words[N], words[N + 1]) = (from, to);
        let seed = self.hash_init;
        match (N, self.mode) {
            (1, HashMode::Source) => jhash::words([words[0]], seed),
            (1, HashMode::SourcePort) => jhash::words([words[0], words[1]], seed),
            (1, HashMode::SourceDestinationPort) => jhash::words([words[0], words[1], words[2]], seed),
            (_, HashMode::Source) => jhash::words([words[0], words[1], words[2], words[3]], seed),
            (_, HashMode::SourcePort) => {
                jhash::words([words[0], words[1], words[2], words[3], words[4]], seed)
            }
            (_, HashMode::SourceDestinationPort) => jhash::words(words, seed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODES: [HashMode; 3] = [HashMode::Source, HashMode::SourcePort, HashMode::SourceDestinationPort];

    fn node(vip: &Vip, source: [u8; 4], ports: (u16, u16)) -> u16 {
        vip.bucket(source.into(), ports).number().number()
    }

    #[test]
    fn packets_fall_to_the_nodes_that_linux_gave_them_to() {
        let all = |total_nodes, init, source: [u8; 4], ports| {
            MODES.map(|mode| {
                let vip = Vip::compile(mode, total_nodes, init);
                (vip.hash(source.into(), ports), node(&vip, source, ports))
            })
        };
        let expected = [(0x4d7c_addf, 1), (0x570f_d8c8, 1), (0x6d24_4d7b, 1)];
        assert_eq!(all(2, 0, [192, 168, 0, 7], (40_000, 80)), expected);
        let expected = [(0x81bc_235a, 9), (0x7201_958d, 8), (0x4743_8e7d, 5)];
        assert_eq!(all(16, 0xdead_beef, [10, 1, 2, 3], (1234, 443)), expected);
    }

    #[test]
    fn what_the_mode_leaves_out_does_not_matter() {
        let ipv6 = "2001:db8::7".parse().unwrap();
        for source in [IpAddr::from([192, 0, 2, 1]), ipv6] {
            let hash = |mode, ports| Vip::compile(mode, 8, 1).hash(source, ports);
            assert_eq!(hash(HashMode::Source, (1, 2)), hash(HashMode::Source, (3, 4)));
            assert_eq!(hash(HashMode::SourcePort, (1, 2)), hash(HashMode::SourcePort, (1, 4)));
            assert_ne!(hash(HashMode::SourcePort, (1, 2)), hash(HashMode::SourcePort, (2, 2)));
            let both = HashMode::SourceDestinationPort;
            assert_ne!(hash(both, (1, 2)), hash(both, (1, 4)));
        }
    }

    proptest! {
        #[test]
        fn each_packet_has_one_node_of_those_that_there_are(
            source: u128, ipv6: bool, ports: (u16, u16), total_nodes in 1..=32u16, init: u32
        ) {
            #[expect(clippy::cast_possible_truncation, reason = "any address will do")]
            let source = if ipv6 { IpAddr::from(source.to_be_bytes()) } else { (source as u32).to_be_bytes().into() };
            for mode in MODES {
                let number = Vip::compile(mode, total_nodes, init).bucket(source, ports).number().number();
                prop_assert!((1..=total_nodes).contains(&number));
            }
        }
    }
}
