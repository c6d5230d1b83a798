//! VIPs: which of the nodes that share an address takes a packet, exactly as Linux's CLUSTERIP decided until 2023.
//!
//! Each packet is hashed by itself, with lookup3. Linux took the address in the host's byte order and the ports as
//! they are in the packet, so that machines of different byte order disagreed; here all hash as a little-endian one.
//! Linux knew IPv4 alone. An IPv6 address goes in as four words in host order, the highest first; that is ours.
//!
//! ICMP errors are every node's, since no hash of theirs leads to the connection that they are about.

use crate::config;
use crate::config::vip::{HashMode, Nodes};
use crate::hash::jhash;
use crate::key::{FlowKey, Side};
use crate::parse::Parsed;
use crate::units::{BUCKETS_MAX, BucketId, VipId};
use crate::wire::IpProtocol;
use core::net::IpAddr;

/// All VIPs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vips {
    /// By address.
    vips: Vec<Vip>,
}

/// A VIP, and whose its buckets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    address: IpAddr,
    id: VipId,
    hash: NodeHash,
    nodes: Nodes,
}

impl Vips {
    /// The VIPs of a gateway.
    pub fn compile(vips: &[config::Vip]) -> Self {
        let compiled = vips.iter().map(|vip| Vip {
            address: vip.address,
            id: vip.id,
            hash: NodeHash::compile(vip.hash_mode, vip.total_nodes, vip.hash_init),
            nodes: vip.nodes.clone(),
        });
        let mut vips: Vec<Vip> = compiled.collect();
        vips.sort_unstable_by_key(|vip| vip.address);
        Self { vips }
    }

    /// The VIP of that address, if it is one.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Option<&Vip> {
        let at = self.vips.binary_search_by_key(&address, |vip| vip.address).ok()?;
        self.vips.get(at)
    }
}

impl Vip {
    /// Its number.
    pub fn id(&self) -> VipId {
        self.id
    }

    /// Which of its nodes are here.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Its hash.
    pub fn hash(&self) -> &NodeHash {
        &self.hash
    }

    /// The part of the hash space of a packet of a flow that was read as `parsed` in `frame`.
    #[inline]
    pub fn bucket(&self, frame: &[u8], parsed: &Parsed) -> BucketId {
        let source = parsed.key.address(parsed.side).ip(parsed.family());
        self.hash.bucket(source, ports(&parsed.key, parsed.transport(frame)))
    }

    /// The same of what `side` sends in a flow of a protocol with ports.
    #[inline]
    pub fn bucket_of_flow(&self, key: &FlowKey, side: Side) -> BucketId {
        let (source, ports) = ends(key, side);
        self.hash.bucket(source, ports)
    }

    /// The hash that it is a share of.
    pub fn hash_of_flow(&self, key: &FlowKey, side: Side) -> u32 {
        let (source, ports) = ends(key, side);
        self.hash.hash(source, ports)
    }
}

/// What of a flow is hashed, as its opener's packets have it.
#[inline]
fn ends(key: &FlowKey, side: Side) -> (IpAddr, (u16, u16)) {
    let (source, destination) = (key.endpoint(side), key.endpoint(side.opposite()));
    (source.address.ip(key.family()), (source.port, destination.port))
}

/// The ports that Linux hashes, as (source, destination): also the halves of what names an IPsec connection to its
/// receiver, its security parameters index. 0 of other protocols, and where the header is cut.
#[inline]
fn ports(key: &FlowKey, transport: &[u8]) -> (u16, u16) {
    let at = match IpProtocol(key.protocol()) {
        protocol if protocol.has_ports() => 0,
        IpProtocol::DCCP | IpProtocol::ESP => 0,
        IpProtocol::AUTHENTICATION => 4,
        _ => return (0, 0),
    };
    match transport.get(at..at + 4) {
        Some(&[a, b, c, d]) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        _ => (0, 0),
    }
}

/// How the packets to an address are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeHash {
    mode: HashMode,
    total_nodes: u32,
    hash_init: u32,
}

impl NodeHash {
    /// The same for all nodes of the address; 1 to [`BUCKETS_MAX`] of them.
    pub fn compile(mode: HashMode, total_nodes: u16, hash_init: u32) -> Self {
        debug_assert!((1..=BUCKETS_MAX).contains(&usize::from(total_nodes)));
        Self { mode, total_nodes: u32::from(total_nodes), hash_init }
    }

    /// Whether a client has one node, whatever its ports.
    #[inline]
    pub fn is_by_source(&self) -> bool {
        self.mode == HashMode::Source
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

    fn node(vip: &NodeHash, source: [u8; 4], ports: (u16, u16)) -> u16 {
        vip.bucket(source.into(), ports).number().number()
    }

    #[test]
    fn packets_fall_to_the_nodes_that_linux_gave_them_to() {
        let all = |total_nodes, init, source: [u8; 4], ports| {
            MODES.map(|mode| {
                let vip = NodeHash::compile(mode, total_nodes, init);
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
            let hash = |mode, ports| NodeHash::compile(mode, 8, 1).hash(source, ports);
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
                let number = NodeHash::compile(mode, total_nodes, init).bucket(source, ports).number().number();
                prop_assert!((1..=total_nodes).contains(&number));
            }
        }
    }
}
