//! Whom a node of a cluster speaks to: each station is answered by one node.

use core::net::IpAddr;
use weir_dataplane::config::Config;
use weir_dataplane::gate::cluster_match::ClusterMatch;
use weir_dataplane::gate::owner::OwnerMap;

/// Which node of a cluster speaks to which station.
#[derive(Debug)]
pub(in crate::runtime) struct Gate {
    matcher: ClusterMatch,
    owners: OwnerMap,
}

/// Whose stations this node speaks to; `None`: all.
pub(in crate::runtime) fn gate(dataplane: &Config) -> Option<Gate> {
    let cluster = dataplane.cluster.as_ref()?;
    Some(Gate { matcher: ClusterMatch::compile(cluster), owners: OwnerMap::compile(cluster) })
}

/// Whether this node is the one that speaks to the station of this address.
pub(super) fn owns(gate: Option<&Gate>, address: IpAddr) -> bool {
    gate.is_none_or(|gate| gate.owners.owner(gate.matcher.bucket(address)) == Some(gate.owners.me()))
}
