//! Three nodes with names that share VIPs by their cluster's map, or by numbers.

use super::{CLIENT_MAC, LEFT, TAKEN, VIP, VIP_MAC, only, routed, routing, vips};
use std::net::Ipv4Addr;
use std::sync::LazyLock;
use weir_dataplane::config::vip::{HashMode, Nodes};
use weir_dataplane::config::{Bridge, Config, Members, Membership, Tracking};
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::gate::vip::NodeHash;
use weir_dataplane::steer::Router;
use weir_dataplane::track::record::Hot;
use weir_dataplane::units::{Epoch, MemberId};
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::node::{Node, bridge, clustered};
use weir_tests::packet::eth;

/// Who has each of the eight buckets.
pub(crate) type Map = [usize; 8];

/// All buckets are this node's.
pub(crate) const fn all(node: usize) -> Map {
    [node; 8]
}

/// By node. They have large tables.
static ROUTERS: LazyLock<[Router; 3]> =
    LazyLock::new(|| [0, 1, 2].map(|node| Router::compile(&routing(node))));

/// A node of the cluster, of three that live.
pub(crate) fn node(mode: HashMode, me: usize, owners: &Map) -> Node {
    routed(&named(mode, me, owners, &[0, 1, 2]), ROUTERS[me].clone())
}

pub(crate) struct Three {
    pub(crate) nodes: Vec<Node>,
    mode: HashMode,
    pub(crate) at_us: u64,
}

/// A node's configuration, by a numbering of its own.
pub(crate) fn named(mode: HashMode, me: usize, owners: &Map, living: &[usize]) -> Config {
    let id = |node: usize| MemberId::new((node + 3 - me) % 3).unwrap();
    let members = Members {
        me: id(me),
        map: owners.iter().map(|owner| Some(id(*owner))).collect(),
        living: living.iter().map(|node| (id(*node), Epoch::FIRST)).collect(),
        learning: false,
    };
    let config = clustered(8, Membership::Members(members), Tracking::All);
    Config { vips: vips(mode, 8, &Nodes::Cluster), bridge: Bridge::default(), ..config }
}

/// The same for nodes by numbers, one each.
fn numbered(mode: HashMode, me: usize) -> Config {
    Config { vips: vips(mode, 3, &only(me)), bridge: Bridge::default(), ..bridge() }
}

impl Three {
    pub(crate) fn of_cluster(mode: HashMode, owners: &Map) -> Self {
        Self::of(mode, |me| named(mode, me, owners, &[0, 1, 2]))
    }

    pub(crate) fn by_numbers(mode: HashMode) -> Self {
        Self::of(mode, |me| numbered(mode, me))
    }

    fn of(mode: HashMode, config: impl Fn(usize) -> Config) -> Self {
        let nodes = (0..3).map(|me| routed(&config(me), ROUTERS[me].clone())).collect();
        Self { nodes, mode, at_us: 1_000_000 }
    }

    /// One node goes by a map, of which those that live know.
    pub(crate) fn tell(&mut self, node: usize, owners: &Map, living: &[usize]) {
        self.nodes[node].reconfigure(&named(self.mode, node, owners, living));
    }

    /// All go by a map.
    pub(crate) fn agree(&mut self, owners: &Map) {
        (0..3).for_each(|node| self.tell(node, owners, &[0, 1, 2]));
    }

    pub(crate) fn wait(&mut self, s: u64) {
        self.at_us += s * 1_000_000;
    }

    /// What each node does with a frame.
    pub(crate) fn verdicts(&mut self, frame: &[u8]) -> Vec<Verdict> {
        let client = Ipv4Addr::UNSPECIFIED.into();
        let (fate, at_us, side, bytes) = (Fate::Flow, self.at_us, Side::Lan, frame.to_vec());
        let passage = Passage { client, fate, at_us, side, bytes };
        self.nodes.iter_mut().map(|node| node.take([&passage])[0].verdict).collect()
    }

    /// Who take a frame; the others leave it.
    pub(crate) fn takers(&mut self, frame: &[u8]) -> Vec<usize> {
        let verdicts = self.verdicts(frame);
        let left = [TAKEN, LEFT, Verdict::Drop(DropReason::InvalidNoFlow)];
        assert!(verdicts.iter().all(|verdict| left.contains(verdict)), "{verdicts:?}");
        (0..3).filter(|node| verdicts[*node] == TAKEN).collect()
    }

    /// Who takes a frame.
    pub(crate) fn taker(&mut self, frame: &[u8]) -> usize {
        let takers = self.takers(frame);
        let [taker] = *takers else { panic!("{takers:?} take it") };
        taker
    }

    /// How many flows a node has for its own.
    pub(crate) fn own(&self, node: usize) -> u64 {
        self.nodes[node].counters().flows_of(Some(MemberId::FIRST)).read()
    }

    pub(crate) fn flows(&self, node: usize) -> Vec<Hot> {
        self.nodes[node].flows()
    }

    /// Which node's number the hash says, of so many.
    pub(crate) fn bucket(&self, total: u16, client: &Client, port: u16) -> usize {
        let hash = NodeHash::compile(self.mode, total, 7);
        hash.bucket(client.address.into(), (client.port, port)).index()
    }
}

/// One end of a connection to the VIP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) to: u16,
    pub(crate) seq: u32,
}

impl Client {
    pub(crate) fn new(last: u8, port: u16, to: u16) -> Self {
        Self { address: Ipv4Addr::new(192, 0, 2, last), port, to, seq: 1000 }
    }

    fn tcp(&self) -> weir_tests::packet::Tcp<Ipv4Addr> {
        eth(CLIENT_MAC, VIP_MAC).ip(self.address, VIP).tcp(self.port, self.to)
    }

    pub(crate) fn syn(&self) -> Vec<u8> {
        self.tcp().seq(self.seq - 1).syn().build()
    }

    pub(crate) fn syn_ack(&self) -> Vec<u8> {
        self.tcp().seq(self.seq - 1).syn().ack(1).build()
    }

    pub(crate) fn ack(&self) -> Vec<u8> {
        self.tcp().seq(self.seq).ack(1).build()
    }

    pub(crate) fn fin(&self) -> Vec<u8> {
        self.tcp().seq(self.seq).ack(1).fin().build()
    }

    pub(crate) fn rst(&self) -> Vec<u8> {
        self.tcp().seq(self.seq).rst().build()
    }

    /// A line; it has then been said.
    pub(crate) fn say(&mut self, line: &str) -> Vec<u8> {
        let frame = self.repeat(line);
        self.seq += u32::try_from(line.len()).unwrap();
        frame
    }

    /// A line that is to be said again.
    pub(crate) fn repeat(&self, line: &str) -> Vec<u8> {
        self.tcp().seq(self.seq).ack(1).psh().payload(line.as_bytes()).build()
    }

    pub(crate) fn datagram(&self, payload: &[u8]) -> Vec<u8> {
        eth(CLIENT_MAC, VIP_MAC).ip(self.address, VIP).udp(self.port, self.to).payload(payload).build()
    }
}
