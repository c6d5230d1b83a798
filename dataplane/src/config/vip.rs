//! VIPs: addresses that several nodes have at once, of whose packets each node takes its part.

use super::BucketSet;
use crate::counters::named_enum;
use crate::units::VipId;
use core::net::IpAddr;

named_enum! {
    /// What of a packet names its node; the words of iptables' CLUSTERIP.
    pub enum HashMode {
        /// Where it comes from: a client has one node.
        Source = "sourceip",
        /// The same with its source port: a connection has one node.
        SourcePort = "sourceip-sourceport",
        /// The same with the port that it goes to.
        SourceDestinationPort = "sourceip-sourceport-destport",
    }
}

/// A VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// Its number, which no other has.
    pub id: VipId,
    /// The address.
    pub address: IpAddr,
    /// What of a packet names its node.
    pub hash_mode: HashMode,
    /// Nodes that the address has; 1 to [`BUCKETS_MAX`](crate::units::BUCKETS_MAX).
    pub total_nodes: u16,
    /// Where the hash starts.
    pub hash_init: u32,
    /// Which of the nodes are here.
    pub nodes: Nodes,
}

/// Which nodes of a VIP a gateway stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// These.
    Local(BucketSet),
    /// Those whose buckets are this gateway's in its cluster.
    Cluster,
}

impl Vip {
    /// The nodes that an operator may change; `None`: they are the cluster's.
    pub fn local_nodes_mut(&mut self) -> Option<&mut BucketSet> {
        match &mut self.nodes {
            Nodes::Local(nodes) => Some(nodes),
            Nodes::Cluster => None,
        }
    }
}
