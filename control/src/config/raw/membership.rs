//! How the nodes of a cluster know of each other, as it is written.

use super::{Items, Seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Membership by gossip.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Gossip {
    /// The UDP address that this node listens on, and that others reach it at.
    #[schemars(required, example = &"192.0.2.11:7946")]
    pub(in crate::config) listen: Option<String>,
    /// Where to find others, as `host:port`. Its own address does no harm.
    #[schemars(required, example = &["192.0.2.11:7946", "192.0.2.12:7946"])]
    pub(in crate::config) seeds: Option<Items<String>>,
    /// A file with the cluster's key, 64 hexadecimal digits, that only its owner may read. A second line is a key that is
    /// accepted as well, for the time of a change.
    #[schemars(required, example = &"/etc/weir/cluster.key")]
    pub(in crate::config) key_file: Option<String>,
    /// The cluster's name: nodes of others are not heard.
    #[serde(default = "cluster_id")]
    pub(in crate::config) cluster_id: String,
    /// How often this node speaks.
    #[serde(default = "interval")]
    pub(in crate::config) interval_s: Seconds,
    /// Within what time a dead node is noticed.
    #[serde(default = "detection_time")]
    pub(in crate::config) detection_time_s: Seconds,
    /// How many usual intervals without a sign of life make a node dead.
    #[serde(default = "phi_threshold")]
    #[schemars(range(min = 1, max = 20))]
    pub(in crate::config) phi_threshold: f64,
    /// What those do who hear fewer than half of the nodes.
    #[serde(default)]
    pub(in crate::config) minority: Minority,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Minority {
    /// They go on for all: one node may be left alone. A cluster that is parted forwards frames twice.
    #[default]
    Serves,
    /// They own nothing until they hear enough of the others: a cluster that loses half of its nodes at once stops.
    Yields,
}

/// Membership by leases in etcd, for strict ownership.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Etcd {
    /// Its servers, of which one is used at a time.
    #[schemars(required, example = &["http://192.0.2.21:2379"])]
    pub(in crate::config) endpoints: Option<Items<String>>,
    /// What all keys begin with.
    #[serde(default = "prefix")]
    pub(in crate::config) prefix: String,
    /// The cluster's name: the part of the keys after the prefix.
    #[serde(default = "cluster_id")]
    pub(in crate::config) cluster_id: String,
    /// How long a lease is, in seconds. It is the time in which a death is noticed.
    #[serde(default = "lease")]
    #[schemars(range(min = 2, max = 3600))]
    pub(in crate::config) lease_s: u16,
    /// What a node does when its lease is no more certain.
    #[serde(default)]
    pub(in crate::config) on_loss: OnLoss,
    /// How to trust etcd, and to be trusted by it; then the endpoints begin with `https://`.
    #[serde(default)]
    pub(in crate::config) tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OnLoss {
    /// It stops owning: nothing is ever forwarded twice.
    #[default]
    Stop,
    /// It owns on: while etcd is away for all, everything is forwarded.
    Keep,
}

/// Files in PEM.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    /// The authority that etcd's certificate is from.
    #[schemars(required)]
    pub(in crate::config) ca: Option<String>,
    /// This node's certificate.
    #[schemars(required)]
    pub(in crate::config) certificate: Option<String>,
    /// This node's private key.
    #[schemars(required)]
    pub(in crate::config) key: Option<String>,
}

/// Membership by hand: the nodes know of each other from here alone, and an operator says who is dead.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Static {
    /// All nodes, this one too. The same on each of them.
    #[schemars(required, length(min = 1, max = 128))]
    pub(in crate::config) members: Option<Items<StaticMember>>,
    /// Shares that are one node's as long as it lives, whatever the weights say. The same on each node.
    #[serde(default)]
    pub(in crate::config) pins: Items<StaticPin>,
    /// What this node does when it starts.
    #[serde(default)]
    pub(in crate::config) start: Start,
}

/// A node of a cluster that is run by hand.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct StaticMember {
    /// Its `node`.
    #[schemars(required, example = &"gw1")]
    pub(in crate::config) name: Option<String>,
    /// Its part beside those of the others.
    #[serde(default = "super::cluster::one")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) weight: u16,
    /// Where operators reach it. `weir cluster show` tells it, and nothing else uses it.
    #[serde(default)]
    #[schemars(example = &"192.0.2.11")]
    pub(in crate::config) address: Option<String>,
}

/// A share that is one node's.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct StaticPin {
    /// Which, from 1.
    #[schemars(required, range(min = 1, max = 1024), example = &1)]
    pub(in crate::config) bucket: Option<u16>,
    /// Whose: a name of `members`.
    #[schemars(required, example = &"gw1")]
    pub(in crate::config) node: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Start {
    /// It owns its part at once.
    #[default]
    Serves,
    /// It owns nothing until `weir cluster give` names it here: another may have taken its part.
    Waits,
}

fn cluster_id() -> String {
    "weir".to_owned()
}

fn prefix() -> String {
    "/weir".to_owned()
}

const fn interval() -> Seconds {
    Seconds(0.1)
}

const fn detection_time() -> Seconds {
    Seconds(1.0)
}

const fn phi_threshold() -> f64 {
    4.0
}

const fn lease() -> u16 {
    10
}
