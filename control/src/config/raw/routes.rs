//! `routes` and `neighbours`, as they are written.

use super::Items;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A way to a network. The words are those of `ip route`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// The network: a prefix, or `default`.
    #[schemars(required, example = &"default", example = &"10.1.0.0/16")]
    pub(in crate::config) to: Option<String>,
    /// The router that packets are sent on to.
    #[serde(default)]
    #[schemars(example = &"192.0.2.254")]
    pub(in crate::config) via: Option<String>,
    /// The interface they leave by: a port, or a VLAN of it (`lan.10`). Needed for a `via` that is link-local, and
    /// without `via`: then the destinations themselves are there.
    #[serde(default)]
    #[schemars(example = &"wan")]
    pub(in crate::config) dev: Option<String>,
    /// Several ways, of which each flow keeps to one. Instead of `via` and `dev`.
    #[serde(default)]
    pub(in crate::config) nexthops: Items<NextHop>,
    /// What becomes of packets to this network.
    #[serde(default, rename = "type")]
    pub(in crate::config) kind: RouteKind,
}

/// One of several ways.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct NextHop {
    /// The router that packets are sent on to.
    #[serde(default)]
    pub(in crate::config) via: Option<String>,
    /// The interface they leave by.
    #[serde(default)]
    pub(in crate::config) dev: Option<String>,
    /// Its share of the flows, beside those of the others.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 255))]
    pub(in crate::config) weight: u8,
}

const fn one() -> u8 {
    1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RouteKind {
    /// They are sent on.
    #[default]
    Unicast,
    /// They end here.
    Blackhole,
    /// They end here, and the sender is told.
    Unreachable,
}

/// A station whose MAC address is known for good.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Neighbour {
    /// Its IP address.
    #[schemars(required, example = &"192.0.2.254")]
    pub(in crate::config) address: Option<String>,
    /// Its MAC address.
    #[schemars(required, example = &"02:00:00:00:00:fe")]
    pub(in crate::config) mac: Option<String>,
    /// The interface it is at; needed for a link-local address.
    #[serde(default)]
    pub(in crate::config) dev: Option<String>,
}
