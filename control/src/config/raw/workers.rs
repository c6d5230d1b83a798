//! `workers`, as it is written.

use super::Items;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Workers {
    /// How many workers; the gateway chooses their cores. Default 1. Not together with `cores`.
    #[schemars(range(min = 1, max = 128))]
    pub(in crate::config) count: Option<u16>,
    /// One worker on each of these cores, as Linux numbers them. Not together with `count`.
    #[schemars(example = &[1, 2], length(min = 1, max = 128), inner(range(min = 0, max = 1023)))]
    pub(in crate::config) cores: Option<Items<u16>>,
    /// What a worker does when nothing arrives. Default `poll` with a PCI device, `backoff` with virtual devices alone.
    pub(in crate::config) idle: Option<Idle>,
    /// Frames taken from a queue at once.
    #[schemars(range(min = 1, max = 64))]
    pub(in crate::config) burst: u8,
}

impl Default for Workers {
    fn default() -> Self {
        Self { count: None, cores: None, idle: None, burst: 32 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Idle {
    /// Asks again at once: lowest delay, and the core is always busy.
    Poll,
    /// Sleeps a little, longer the longer nothing comes.
    Backoff,
}
