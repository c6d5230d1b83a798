//! `control`, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Control {
    /// Path of the unix socket. Whoever may write to it may operate the gateway.
    pub(in crate::config) socket: String,
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: "/run/weir/weir.sock".to_owned() }
    }
}
