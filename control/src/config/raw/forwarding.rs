//! `forwarding`, as it is written.

use super::Items;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Forwarding {
    /// How the way out is found.
    pub(in crate::config) mode: Mode,
    /// Pairs of ports: what comes in by one leaves by the other. Not needed with exactly two ports.
    #[schemars(example = &[["lan", "wan"]], inner(length(min = 2, max = 2)))]
    pub(in crate::config) pairs: Option<Items<Items<String>>>,
    /// Spanning tree frames (to 01:80:c2:00:00:00). The other link-local addresses never cross.
    pub(in crate::config) stp: Stp,
    /// Routes of the kernel's main table whose next hops are behind the ports' taps hold beside `routes`: so FRR's do. Of
    /// two to one network that of `routes` holds.
    pub(in crate::config) kernel_routes: bool,
    /// Packets a second that each tap gives the kernel at most; so many at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) kernel_packets_per_s: u32,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            pairs: None,
            stp: Stp::default(),
            kernel_routes: false,
            kernel_packets_per_s: 10_000,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Stp {
    /// They end here.
    #[default]
    Drop,
    /// They cross, as over a Linux bridge that does not speak spanning tree itself.
    Forward,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Mode {
    /// By the other port of the pair, unchanged.
    #[default]
    Bridge,
    /// By `routes` and the networks that the ports' addresses are in, as a router does.
    Route,
}
