//! The configuration as it is written: every key with its type, range, default and description.
//!
//! The JSON Schema and the reference are made from these types, so that the three cannot disagree. A value that
//! fits them may still be wrong; [`validate`](super::validate) turns them into the domain types.
//!
//! A key that the schema requires is an `Option` here, and so is each item of a list: what does not fit the schema
//! is told and taken out, and the rest can still be checked.

mod cluster;
mod conntrack;
mod control;
mod forwarding;
mod fragments;
mod health;
mod marks;
mod membership;
mod memory;
mod metrics;
mod place;
mod pools;
mod ports;
mod routes;
mod rule;
mod services;
mod vips;
mod workers;

pub(in crate::config) use cluster::{Cluster, Share, Tracking, drain, learning};
pub(in crate::config) use conntrack::{Conntrack, Helpers, SctpTimeouts, Tcp, TcpTimeouts};
pub(in crate::config) use control::Control;
pub(in crate::config) use forwarding::{Forwarding, Mode, Stp};
pub(in crate::config) use fragments::Fragments;
pub(in crate::config) use health::{Check, Health};
pub(in crate::config) use marks::{GivenMark, MarkRule, NoMark};
pub(in crate::config) use membership::{
    Etcd, Gossip, Minority, OnLoss, Start, Static, StaticMember, StaticPin,
};
pub(in crate::config) use memory::Memory;
pub(in crate::config) use metrics::Metrics;
pub(in crate::config) use place::Place;
pub(in crate::config) use pools::{Agent, Node, NodeState, Pool, PoolRule, Slices};
pub(in crate::config) use ports::{Auto, Port, Promiscuous, Queues, ReversePath, Rss, Vlan};
pub(in crate::config) use routes::{Neighbour, NextHop, Route, RouteKind};
pub(in crate::config) use rule::{Numbers, Protocol, Rule};
pub(in crate::config) use services::{
    Fallback, Method, Mh, Order, Persistence, Scheduler, Server, Service, Sh, Transport,
};
pub(in crate::config) use vips::{HashMode, Vip};
pub(in crate::config) use workers::{Idle, Workers};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use weir_dataplane::units::{Span, TICK_MS};

/// A list; an item that did not fit the schema is `None`, so that the others keep their positions.
pub(in crate::config) type Items<T> = Vec<Option<T>>;

/// Configuration of one Weir gateway.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Gateway {
    /// Name of this node: letters, digits, `.`, `_`, `-`. Labels its metrics.
    #[schemars(required, example = &"gw1")]
    pub(in crate::config) node: Option<String>,
    /// The ports, each with a name and a device at least. Their order is the order in status and metrics.
    #[schemars(required, length(min = 2, max = 64))]
    pub(in crate::config) ports: Option<Items<Port>>,
    /// Which way frames go.
    pub(in crate::config) forwarding: Option<Forwarding>,
    /// The ways to networks that no port is in. For `forwarding.mode: route`.
    #[serde(default)]
    pub(in crate::config) routes: Items<Route>,
    /// Stations whose MAC addresses are known for good. For `forwarding.mode: route`.
    #[serde(default)]
    pub(in crate::config) neighbours: Items<Neighbour>,
    /// Addresses that several nodes have, of whose packets each takes its part. For `forwarding.mode: route`.
    #[serde(default)]
    pub(in crate::config) vips: Items<Vip>,
    /// Gives flows a mark, by which `services` and `pools` know them. For `forwarding.mode: route`.
    #[serde(default)]
    pub(in crate::config) marks: Items<MarkRule>,
    /// Connections that are spread over servers, as IPVS does. For `forwarding.mode: route`.
    #[serde(default)]
    pub(in crate::config) services: Items<Service>,
    /// Connections that go to the least loaded of several nodes, and ports that are a node's own. Their rules come before
    /// `services`. For `forwarding.mode: route`.
    #[serde(default)]
    pub(in crate::config) pools: Items<Pool>,
    /// The threads that carry frames.
    #[serde(default)]
    pub(in crate::config) workers: Workers,
    /// Packet memory.
    #[serde(default)]
    pub(in crate::config) memory: Memory,
    /// Connection tracking. Linux's settings under Linux's names, with Linux's defaults except `tcp.loose`.
    #[serde(default)]
    pub(in crate::config) conntrack: Conntrack,
    /// The cluster match: this node's share of the flows. Without it the node owns every flow.
    pub(in crate::config) cluster: Option<Cluster>,
    /// Prometheus metrics.
    #[serde(default)]
    pub(in crate::config) metrics: Metrics,
    /// How `weir status` and its siblings reach the gateway.
    #[serde(default)]
    pub(in crate::config) control: Control,
}

/// A length of time in seconds; hundredths count.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(in crate::config) struct Seconds(
    #[schemars(range(min = 0.01, max = 21_000_000))] pub(in crate::config) f64,
);

impl From<Span> for Seconds {
    fn from(span: Span) -> Self {
        Self(f64::from(span.count()) * f64::from(TICK_MS) / 1000.0)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}
