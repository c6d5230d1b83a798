//! `ports`, as it is written.

use super::Items;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A port.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Port {
    /// Its name in this file, in metrics and in commands: a letter, then letters, digits, `_`, `-`.
    #[schemars(required, example = &"lan")]
    pub(in crate::config) name: Option<String>,
    /// The DPDK device: a PCI address or a virtual device with its arguments.
    #[schemars(required, example = &"0000:03:00.0", example = &"net_af_packet0,iface=eth1")]
    pub(in crate::config) device: Option<String>,
    /// Largest IP packet in bytes. Link header and VLAN tags come on top.
    #[serde(default = "Port::default_mtu")]
    #[schemars(range(min = 68, max = 16110))]
    pub(in crate::config) mtu: u16,
    /// Receive and transmit queues. `auto` gives each worker one, as far as the device has them.
    #[serde(default)]
    pub(in crate::config) queues: Queues,
    /// What the device hashes to choose a queue. The key is symmetric: both directions of a flow meet.
    #[serde(default)]
    pub(in crate::config) rss: Rss,
    /// Multicast MAC addresses to accept, such as the one a cluster shares.
    #[serde(default)]
    #[schemars(example = &["01:00:5e:00:01:01"])]
    pub(in crate::config) multicast_macs: Items<String>,
    /// Whether frames to any MAC address are accepted.
    #[serde(default)]
    pub(in crate::config) promiscuous: Promiscuous,
    /// Lets the device verify checksums where it can. Software verifies what the device does not.
    #[serde(default = "yes")]
    pub(in crate::config) checksum_offload: bool,
    /// Length of each queue.
    #[serde(default)]
    pub(in crate::config) descriptors: Descriptors,
    /// The gateway's addresses here, each with the length of its network's prefix. For `forwarding.mode: route`.
    #[serde(default)]
    #[schemars(example = &["192.0.2.1/24", "2001:db8::1/64"])]
    pub(in crate::config) addresses: Items<String>,
    /// The MAC address that all nodes of a cluster answer with for their addresses here: a multicast one, or a unicast
    /// one that no station has. Without it the port's own.
    #[serde(default)]
    #[schemars(example = &"01:00:5e:00:01:01")]
    pub(in crate::config) cluster_mac: Option<String>,
    /// Which source addresses are believed. Linux's `rp_filter`.
    #[serde(default)]
    pub(in crate::config) reverse_path: ReversePath,
    /// VLANs on which the gateway has addresses. Each is an interface of its own: VLAN 10 of `lan` is `lan.10`.
    #[serde(default)]
    pub(in crate::config) vlans: Items<Vlan>,
}

/// A VLAN with addresses of the gateway.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Vlan {
    /// Its number in the tag.
    #[schemars(required, range(min = 1, max = 4094), example = &10)]
    pub(in crate::config) id: Option<u16>,
    /// The gateway's addresses here, each with the length of its network's prefix.
    #[serde(default)]
    #[schemars(example = &["198.51.100.1/24"])]
    pub(in crate::config) addresses: Items<String>,
    /// Largest IP packet in bytes; without it the port's.
    #[serde(default)]
    #[schemars(range(min = 68, max = 16110))]
    pub(in crate::config) mtu: Option<u16>,
    /// Which source addresses are believed.
    #[serde(default)]
    pub(in crate::config) reverse_path: ReversePath,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ReversePath {
    /// Any that can be a source at all.
    #[default]
    Off,
    /// Those that there is a route to.
    Loose,
    /// Those whose route leads back by the same interface.
    Strict,
}

impl Port {
    const fn default_mtu() -> u16 {
        1500
    }
}

const fn yes() -> bool {
    true
}

/// `auto`, or how many.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Queues {
    Word(Auto),
    Count(#[schemars(range(min = 1, max = 128))] u16),
}

impl Default for Queues {
    fn default() -> Self {
        Self::Word(Auto::Auto)
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Auto {
    Auto,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Rss {
    /// The pair of IP addresses: a related flow between two hosts meets its master on one worker.
    #[default]
    Ip,
    /// Addresses and ports: spreads the flows of few hosts.
    IpPorts,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Promiscuous {
    /// As forwarding needs it: everything is accepted.
    #[default]
    Auto,
    /// Always.
    On,
    /// Its own address, broadcasts, `multicast_macs`, and what a router needs: its `cluster_mac`, and the groups of
    /// neighbour discovery. Everything nevertheless where the device cannot tell these from others.
    Off,
}

/// Length of each queue, in frames.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Descriptors {
    /// Of each receive queue. The device may round it.
    #[schemars(range(min = 32, max = 32768))]
    pub(in crate::config) rx: u16,
    /// Of each transmit queue. The device may round it.
    #[schemars(range(min = 32, max = 32768))]
    pub(in crate::config) tx: u16,
}

impl Default for Descriptors {
    fn default() -> Self {
        Self { rx: 1024, tx: 1024 }
    }
}
