//! VIPs, as the API speaks of them.

use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// The VIPs of a gateway that routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vips {
    /// In the order of the configuration.
    pub vips: Vec<VipRow>,
}

/// A VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipRow {
    /// The address.
    pub address: IpAddr,
    /// The interface that has it.
    pub interface: String,
    /// The MAC address that it is answered with.
    pub mac: String,
    /// What of a packet names its node.
    pub hash_mode: String,
    /// Nodes that have the address.
    pub total_nodes: u16,
    /// Where the hash starts.
    pub hash_init: u32,
    /// Which of them are here, ascending.
    pub local_nodes: Vec<u16>,
    /// Whether they follow from the cluster; else from the configuration and from commands.
    pub by_cluster: bool,
    /// Packets that this gateway took.
    pub taken: u64,
    /// Packets that it left to other nodes.
    pub left: u64,
}
