//! Which packets something is for, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Packets that agree with all that is said. What is left out does not matter.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct Rule {
    /// Where they come from: a prefix, or one address.
    #[schemars(example = &"10.0.0.0/24")]
    pub(in crate::config) source: Option<String>,
    /// Where they go: a prefix, or one address.
    #[schemars(example = &"192.0.2.80")]
    pub(in crate::config) destination: Option<String>,
    /// Their protocol: `tcp`, `udp`, `udplite`, `sctp`, `dccp`, `icmp`, `icmpv6`, `gre`, or its number.
    #[schemars(example = &"tcp")]
    pub(in crate::config) protocol: Option<Protocol>,
    /// The TCP, UDP or SCTP port they come from, or a range of them. What has no ports has port 0.
    #[schemars(example = &"1024-65535")]
    pub(in crate::config) source_port: Option<Numbers>,
    /// The TCP, UDP or SCTP port they go to, or a range of them. What has no ports has port 0.
    #[schemars(example = &80)]
    pub(in crate::config) destination_port: Option<Numbers>,
    /// The port of the gateway that they come in by.
    #[schemars(example = &"lan")]
    pub(in crate::config) port: Option<String>,
    /// Their VLAN.
    #[schemars(range(min = 1, max = 4094))]
    pub(in crate::config) vlan: Option<u16>,
}

/// A protocol by its name or number.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Protocol {
    Name(String),
    Number(u8),
}

/// One number, or as text a range of them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Numbers {
    One(u16),
    Range(String),
}
