//! `vips`, as they are written.

use super::Items;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address that several nodes have, of whose packets each takes its part. The words are those of iptables'
/// CLUSTERIP.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Vip {
    /// The port that has the address, or a VLAN of it (`lan.10`).
    #[schemars(required, example = &"lan")]
    pub(in crate::config) port: Option<String>,
    /// The address; it stands in no port's `addresses`.
    #[schemars(required, example = &"192.0.2.9")]
    pub(in crate::config) address: Option<String>,
    /// The MAC address that all nodes answer with for it: a multicast one, or a unicast one that no station has.
    /// CLUSTERIP's `--clustermac`.
    #[schemars(required, example = &"01:00:5e:00:00:20")]
    pub(in crate::config) mac: Option<String>,
    /// What of a packet names its node. CLUSTERIP's `--hashmode`.
    #[schemars(required)]
    pub(in crate::config) hash_mode: Option<HashMode>,
    /// Nodes that have the address. CLUSTERIP's `--total-nodes`, which stops at 16. With the cluster's nodes it may be left
    /// out.
    #[serde(default)]
    #[schemars(example = &2, range(min = 1, max = 1024))]
    pub(in crate::config) total_nodes: Option<u16>,
    /// Which of them this gateway stands for, from 1. CLUSTERIP's `--local-node`. Without it they are the buckets that are
    /// this node's in its `cluster`.
    #[serde(default)]
    #[schemars(example = &[1], inner(range(min = 1, max = 1024)))]
    pub(in crate::config) local_nodes: Option<Items<u16>>,
    /// Where the hash starts; the same on all nodes. CLUSTERIP's `--hash-init`.
    #[serde(default)]
    #[schemars(range(max = 0xffff_ffff_u32))]
    pub(in crate::config) hash_init: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum HashMode {
    /// Where it comes from: a client has one node.
    Sourceip,
    /// The same with its source port: a connection has one node.
    SourceipSourceport,
    /// The same with the port that it goes to.
    SourceipSourceportDestport,
}
