//! `memory`, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Memory {
    /// Whether DPDK takes reserved huge pages, and the workers' tables (174 bytes a flow) as many as are left. Tables that
    /// find none lie on transparent huge pages, or else on ordinary ones; the log says which. Default `true` with a PCI
    /// device, `false` with virtual devices alone.
    pub(in crate::config) huge_pages: Option<bool>,
    /// Memory that DPDK takes at start, in MiB. Default: as much as the buffers need.
    #[schemars(range(min = 16, max = 1048576))]
    pub(in crate::config) size_mib: Option<u32>,
    /// Packet buffers. Default: as many as the queues and workers can hold at once.
    #[schemars(range(min = 512, max = 16777216))]
    pub(in crate::config) buffers: Option<u32>,
    /// Bytes of a packet buffer, with 128 bytes of headroom. Default: what the largest MTU needs.
    #[schemars(range(min = 256, max = 65472))]
    pub(in crate::config) buffer_size: Option<u16>,
}
