//! `workers`, as it is written.

use super::Items;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
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
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Idle {
    /// Asks again at once: lowest delay, and the core is always busy.
    Poll,
    /// Sleeps a little, longer the longer nothing comes.
    Backoff,
}
