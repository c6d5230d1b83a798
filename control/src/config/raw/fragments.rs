//! `conntrack.fragments`, as it is written.

use super::Seconds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_dataplane::config as domain;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Fragments {
    /// Frames that wait for the rest of their datagram, at most; the workers share them evenly. Each takes a packet
    /// buffer. Default: 4096, but no more than a quarter of `memory.buffers`.
    #[schemars(range(min = 64, max = 1048576))]
    pub(in crate::config) frames_max: Option<u32>,
    /// IPv4.
    pub(in crate::config) ipv4: Ipv4Fragments,
    /// IPv6.
    pub(in crate::config) ipv6: Ipv6Fragments,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Ipv4Fragments {
    /// How long a datagram may take to be complete, in seconds. Linux's `ipfrag_time`.
    pub(in crate::config) timeout_s: Seconds,
    /// Bytes of the whole node that wait before fragments are refused. Linux's `ipfrag_high_thresh`.
    #[schemars(range(min = 65536, max = 1073741824))]
    pub(in crate::config) high_thresh_bytes: u32,
    /// Fragments of the same source that may come between two of one datagram; with more, its identification has been
    /// used again. 0: any number. Linux's `ipfrag_max_dist`.
    #[schemars(range(min = 0, max = 1048576))]
    pub(in crate::config) max_dist: u32,
}

impl Default for Ipv4Fragments {
    fn default() -> Self {
        let domain::Ipv4Fragments { timeout, high_thresh_bytes, max_dist } = domain::Ipv4Fragments::default();
        Self { timeout_s: timeout.into(), high_thresh_bytes, max_dist }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Ipv6Fragments {
    /// How long a datagram may take to be complete, in seconds. Linux's `nf_conntrack_frag6_timeout`.
    pub(in crate::config) timeout_s: Seconds,
    /// Bytes of the whole node that wait before fragments are refused. Linux's `nf_conntrack_frag6_high_thresh`.
    #[schemars(range(min = 65536, max = 1073741824))]
    pub(in crate::config) high_thresh_bytes: u32,
}

impl Default for Ipv6Fragments {
    fn default() -> Self {
        let domain::Ipv6Fragments { timeout, high_thresh_bytes } = domain::Ipv6Fragments::default();
        Self { timeout_s: timeout.into(), high_thresh_bytes }
    }
}
