//! Raw values to domain types: each section in its own file, every mistake collected.
//!
//! A function here returns `None` exactly when it has reported an error, or when something that it needs is
//! missing and has been reported already.

mod cluster;
mod connections;
mod conntrack;
mod control;
mod fixed;
mod forwarding;
mod fragments;
mod health;
mod interfaces;
mod marks;
mod membership;
mod memory;
mod metrics;
mod pools;
mod ports;
mod routes;
mod rule;
mod scheduler;
mod servers;
mod services;
mod surroundings;
mod together;
mod vips;
mod workers;

use super::finding::{Findings, Target};
use super::gateway::{GatewayConfig, Port};
use super::path::Path;
use super::raw;
pub(super) use surroundings::Surroundings;
use weir_dataplane::config::Config;

/// The whole configuration, when nothing is wrong with it.
pub(super) fn gateway(raw: Option<raw::Gateway>, findings: &mut Findings) -> Option<GatewayConfig> {
    let raw = raw?;
    let root = Path::root();
    let node = raw.node.and_then(|name| node(name, &root.key("node"), findings));
    let raw_ports = raw.ports.unwrap_or_default();
    let names: Vec<_> = raw_ports.iter().map(|port| port.as_ref()?.name.clone()).collect();
    let routes = forwarding::routes(raw.forwarding.as_ref(), &raw_ports, findings);
    let kernel = forwarding::kernel(raw.forwarding.as_ref(), &raw_ports, findings);
    let bridge = forwarding::validate(raw.forwarding, &names, &root.key("forwarding"), findings);
    let interfaces = interfaces::validate(&raw_ports, &root.key("ports"), findings);
    let mut network = if routes {
        let routed = |all| routes::validate(all, &raw.routes, &raw.neighbours, kernel, findings);
        interfaces.and_then(routed).map(Some)
    } else {
        let others = [(!raw.neighbours.is_empty(), "neighbours"), (!raw.vips.is_empty(), "vips")];
        routes::has_none(&raw_ports, &raw.routes, &others, findings).then_some(None)
    };
    let connections = connections::Raw { marks: &raw.marks, services: &raw.services, pools: &raw.pools };
    let known = network.as_ref().and_then(Option::as_ref);
    let around = routes.then_some(Surroundings { ports: &names, network: known });
    let services = connections::validate(&connections, around, findings);
    let ports = ports::validate(raw_ports, &root.key("ports"), findings);
    let is_virtual = ports.iter().flatten().all(|port| port.device.is_virtual());
    let mtu_max = ports.iter().flatten().map(|port| port.mtu).max().unwrap_or_default();
    let workers = workers::validate(raw.workers, is_virtual, &root.key("workers"), findings);
    let buffers = raw.memory.buffers;
    let memory = memory::validate(raw.memory, is_virtual, mtu_max, &root.key("memory"), findings);
    let conntrack = conntrack::validate(raw.conntrack, buffers, &root.key("conntrack"), findings);
    let cluster = match raw.cluster {
        Some(cluster) => {
            let validated = cluster::validate(cluster, node.as_deref(), &root.key("cluster"), findings);
            validated.map(|(cluster, membership)| (Some(cluster), membership))
        }
        None => Some((None, None)),
    };
    let (cluster, membership) = cluster.unzip();
    together::loose(cluster.as_ref(), conntrack.as_ref(), findings);
    let ports: Option<Vec<Port>> = ports.into_iter().collect();
    let vips = match (&mut network, &cluster) {
        (Some(Some(network)), Some(cluster)) => {
            vips::validate(&raw.vips, network, cluster.as_ref(), findings)
        }
        _ => Some(Vec::new()),
    };
    if let (Some(Some(network)), Some(ports)) = (&network, &ports) {
        together::router(network, ports, findings);
    }
    if let (Some(Some(membership)), Some(conntrack)) = (&membership, &conntrack) {
        together::cluster(membership, conntrack, findings);
    }
    if let (Some(Some(network)), Some(Some(cluster)), Some(membership)) = (&network, &cluster, &membership) {
        together::routed_cluster(network, cluster, membership.as_ref(), findings);
    }
    let metrics = metrics::validate(&raw.metrics, &root.key("metrics"), findings);
    let control_socket = control::validate(raw.control, &root.key("control"), findings);
    let config = GatewayConfig {
        node: node?,
        ports: ports?,
        workers: workers?,
        memory: memory?,
        dataplane: Config { bridge: bridge?, conntrack: conntrack?, cluster: cluster?, vips: vips? },
        metrics: metrics?,
        control_socket: control_socket?,
        network: network?,
        services: services?,
        membership: membership?,
    };
    together::services(&config, findings);
    Some(config)
}

fn node(name: String, path: &Path, findings: &mut Findings) -> Option<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letters)
    {
        return Some(name);
    }
    findings.error(
        Target::Value(path.clone()),
        format!("`{name}` cannot be the name of a node"),
        "up to 63 letters, digits, `.`, `_` and `-`, the first a letter or digit; for example `node: gw1`"
            .to_owned(),
    );
    None
}
