//! The validated configuration: domain types that cannot hold a wrong value, one file a system.
//!
//! Control reads text into raw values, checks them all, and builds these; [`Snapshot`](crate::snapshot::Snapshot)
//! compiles these into the flat tables that a worker reads. Nothing here knows YAML.

pub mod bridge;
pub mod cluster;
pub mod conntrack;
pub mod fragments;
pub mod route;
pub mod rule;
pub mod service;
pub mod vip;

pub use bridge::Bridge;
pub use cluster::{BucketSet, Cluster, Members, Membership, NodeMask, Share, Tracking};
pub use conntrack::{
    Conntrack, HelperKind, HelperRule, HelperRules, SctpTimeouts, Tcp, TcpTimeouts, Transport,
};
pub use fragments::{Fragments, Ipv4Fragments, Ipv6Fragments};
pub use route::Routing;
pub use rule::Rule;
pub use service::Services;
pub use vip::Vip;

/// What the data plane is told to do.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Which port's frames leave by which.
    pub bridge: Bridge,
    /// How flows are tracked.
    pub conntrack: Conntrack,
    /// This node's part of its cluster; without one it owns everything.
    pub cluster: Option<Cluster>,
    /// Addresses of a router that other nodes have too; no two are the same, or have the same number.
    pub vips: Vec<Vip>,
}
