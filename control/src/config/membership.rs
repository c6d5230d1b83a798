//! The validated way in which the nodes of a cluster know of each other.

use crate::cluster::engine::etcd::EtcdConfig;
use crate::cluster::engine::gossip::GossipConfig;
use crate::cluster::{NodeName, Settings, Weight};
use std::net::IpAddr;
use std::path::PathBuf;

/// How this node is a member of its cluster.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Its name.
    pub name: NodeName,
    /// Its part beside those of the others.
    pub weight: Weight,
    /// Where others reach it.
    pub address: IpAddr,
    /// Who carries the news.
    pub carrier: Carrier,
    /// How long what takes.
    pub settings: Settings,
}

/// Who carries the news between nodes.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// They tell each other.
    Gossip {
        /// How.
        config: GossipConfig,
        /// Where the cluster's key is.
        key_file: PathBuf,
    },
    /// They read of each other in etcd.
    Etcd(EtcdConfig),
}
