//! `cluster`, as it is written.

use super::{Etcd, Gossip, Items, Seconds, Static};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cluster {
    /// Into how many shares the flows are cut. Linux's `--cluster-total-nodes`, which stops at 32.
    #[schemars(required, example = &2, range(min = 1, max = 1024))]
    pub(in crate::config) total_nodes: Option<u16>,
    /// Which shares are this node's, from 1. Linux's `--cluster-local-node`. Either this or `node_mask`.
    #[serde(default)]
    #[schemars(example = &[1], inner(range(min = 1, max = 1024)))]
    pub(in crate::config) local_nodes: Option<Items<u16>>,
    /// The same as bits, such as `0x3` for nodes 1 and 2. Linux's `--cluster-local-nodemask`. Either this or
    /// `local_nodes`.
    #[serde(default)]
    #[schemars(range(max = 0xffff_ffff_u32))]
    pub(in crate::config) node_mask: Option<u32>,
    /// The nodes agree among themselves whose the shares are, and find each other by gossip. Instead of `local_nodes`.
    #[serde(default)]
    pub(in crate::config) gossip: Option<Gossip>,
    /// The nodes agree among themselves, and hold leases in etcd, so that no share ever has two owners. Instead of
    /// `local_nodes`.
    #[serde(default)]
    pub(in crate::config) etcd: Option<Etcd>,
    /// The nodes are those of this list, and an operator says who of them is dead. Instead of `local_nodes`.
    #[serde(default, rename = "static")]
    pub(in crate::config) fixed: Option<Static>,
    /// With `gossip` or `etcd`: this node's part beside those of the others.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) weight: u16,
    /// With `gossip` or `etcd`: how long a node that joins follows the flows of the others before it gets any, the longest
    /// time for which a UDP flow is silent. With `static`: how long after its start a node takes up what it hears of flows
    /// that have begun before.
    #[serde(default = "learning")]
    pub(in crate::config) learning_s: Seconds,
    /// With `gossip` or `etcd`: how long `weir cluster drain` waits for flows to end.
    #[serde(default = "drain")]
    pub(in crate::config) drain_s: Seconds,
    /// Where the hash starts, such as `0xdeadbeef`; the same on all nodes. Linux's `--cluster-hash-seed`.
    #[schemars(required, range(max = 0xffff_ffff_u32))]
    pub(in crate::config) hash_seed: Option<u32>,
    /// Owns what it would not, and the other way round. Linux's `!` before `--cluster-local-node`.
    #[serde(default)]
    pub(in crate::config) invert: bool,
    /// Whose flows are tracked.
    #[serde(default)]
    pub(in crate::config) tracking: Tracking,
    /// Frames that are not IP.
    #[serde(default)]
    pub(in crate::config) non_ip: Share,
    /// IP packets that are never tracked: neighbour discovery, multicast listener discovery.
    #[serde(default)]
    pub(in crate::config) untracked: Share,
}

pub(super) const fn one() -> u16 {
    1
}

pub(in crate::config) const fn learning() -> Seconds {
    Seconds(130.0)
}

pub(in crate::config) const fn drain() -> Seconds {
    Seconds(120.0)
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Tracking {
    /// Its own, as Linux does: what belongs to others is dropped before it is tracked. For clusters with a Linux node.
    Own,
    /// Everybody's: those of others as shadows, so that each valid frame has exactly one owner.
    #[default]
    All,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Share {
    /// One node forwards them: the owner of the source MAC's hash.
    #[default]
    Owner,
    /// This node forwards them, whatever the others do.
    Forward,
    /// This node drops them.
    Drop,
}
