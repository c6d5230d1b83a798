//! Where a server or a node is, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a server or a node is: its `address`, or `mac` and `dev`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct Place {
    /// Its own IP address, which is found as any next hop is.
    #[schemars(example = &"10.0.0.2")]
    pub(in crate::config) address: Option<String>,
    /// Its MAC address, if it has no IP address of its own.
    #[schemars(example = &"02:00:00:00:00:02")]
    pub(in crate::config) mac: Option<String>,
    /// The interface that `mac` is at.
    #[schemars(example = &"lan")]
    pub(in crate::config) dev: Option<String>,
}
