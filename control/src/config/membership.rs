//! The validated way in which the nodes of a cluster know of each other.

use crate::cluster::engine::etcd::EtcdConfig;
use crate::cluster::engine::gossip::GossipConfig;
use crate::cluster::{NodeName, Settings, Weight};
use std::collections::BTreeMap;
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
    /// The configuration says who they are, and an operator who lives.
    Static(Fixed),
}

/// The nodes of a cluster that is run by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// All of them, this one too.
    pub members: Vec<FixedMember>,
    /// Buckets, counted from 0, that are one node's.
    pub pins: BTreeMap<u16, NodeName>,
    /// This node owns nothing until an operator says that it lives.
    pub waits: bool,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedMember {
    /// Its name.
    pub name: NodeName,
    /// Its part beside those of the others.
    pub weight: Weight,
    /// Where operators reach it; unspecified if that is not said.
    pub address: IpAddr,
}
