//! `pools`, as it is written.

use super::services::Fallback;
use super::{Health, Items, Place, Rule, Seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nodes that share an address, of which the least loaded gets each new connection.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Pool {
    /// Its name: a letter, then letters, digits, `_`, `-`, `.`.
    #[schemars(required, example = &"front")]
    pub(in crate::config) name: Option<String>,
    /// Who gets the connections.
    #[serde(default)]
    pub(in crate::config) nodes: Items<Node>,
    /// Which connections are the pool's; the first that holds, in the order of this list and of the pools.
    #[serde(default)]
    pub(in crate::config) rules: Items<PoolRule>,
    /// What becomes of a new connection that no node can take.
    #[serde(default)]
    pub(in crate::config) fallback: Fallback,
    /// The UDP address that nodes report their loads to.
    #[serde(default)]
    #[schemars(example = &"10.0.1.254:9476")]
    pub(in crate::config) reports: Option<String>,
    /// Where each node is asked for its load, over HTTP and through the gateway's own ports.
    #[serde(default)]
    pub(in crate::config) agent: Option<Agent>,
    /// Ports of the shared address that are a node's own.
    #[serde(default)]
    pub(in crate::config) slices: Option<Slices>,
    /// How nodes are known to live. Without it they are taken to.
    #[serde(default)]
    pub(in crate::config) health: Option<Health>,
    /// How long a node may keep its connections once it is drained. Without it as long as they last.
    #[serde(default)]
    pub(in crate::config) drain_timeout_s: Option<Seconds>,
}

/// Where each node is asked for its load: the page is the line that a report is.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Agent {
    /// The port.
    #[schemars(required, range(min = 1, max = 65_535), example = &9477)]
    pub(in crate::config) port: Option<u16>,
    /// Which page.
    #[serde(default = "page")]
    pub(in crate::config) path: String,
    /// How often; an answer is waited for as long.
    #[serde(default = "second")]
    pub(in crate::config) interval_s: Seconds,
}

fn page() -> String {
    "/load".to_owned()
}

const fn second() -> Seconds {
    Seconds(1.0)
}

/// A node of a pool.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(in crate::config) struct Node {
    /// Its name: a letter, then letters, digits, `_`, `-`, `.`.
    #[schemars(required, example = &"a")]
    pub(in crate::config) name: Option<String>,
    #[serde(flatten)]
    pub(in crate::config) place: Place,
    /// What each of its connections adds to its load.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) cost: u16,
    /// Whether it gets new connections.
    #[serde(default)]
    pub(in crate::config) state: NodeState,
}

const fn one() -> u16 {
    1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum NodeState {
    /// It does.
    #[default]
    Up,
    /// It does not.
    Down,
}

/// Connections of a pool.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(in crate::config) struct PoolRule {
    #[serde(flatten)]
    pub(in crate::config) rule: Rule,
    /// The mark that `marks` has given them.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub(in crate::config) mark: Option<u32>,
    /// The node that gets them all. Without it the least loaded.
    #[serde(default)]
    #[schemars(example = &"a")]
    pub(in crate::config) node: Option<String>,
}

/// Ports of the shared address that are a node's own: what nodes open connections of their own from. The first
/// `ports_a_node` from `first_port` on are the first node's, and so on. Packets to them need no state.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Slices {
    /// The address that the nodes share.
    #[schemars(required, example = &"192.0.2.1")]
    pub(in crate::config) address: Option<String>,
    /// The first port of the first node.
    #[schemars(required, range(min = 1, max = 65_535), example = &4096)]
    pub(in crate::config) first_port: Option<u16>,
    /// How many each node has.
    #[schemars(required, range(min = 1, max = 65_535), example = &3840)]
    pub(in crate::config) ports_a_node: Option<u16>,
}
