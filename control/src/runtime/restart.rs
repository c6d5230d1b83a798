//! What a running gateway cannot change: the keys of the configuration that are used once, at the start.

use super::ports;
use crate::config::{GatewayConfig, Port, Promiscuous};

/// The keys that differ and would need a restart, in the order of the file.
pub(super) fn keys_needing_restart(old: &GatewayConfig, new: &GatewayConfig) -> Vec<String> {
    let mut keys = Vec::new();
    let mut compare = |same: bool, key: &str| {
        if !same {
            keys.push(key.to_owned());
        }
    };
    compare(old.node() == new.node(), "node");
    let names =
        |config: &GatewayConfig| config.ports().iter().map(|port| port.name().to_owned()).collect::<Vec<_>>();
    compare(names(old) == names(new), "ports");
    for (old, new) in old.ports().iter().zip(new.ports()).filter(|(old, new)| old.name() == new.name()) {
        for (same, key) in port(old, new) {
            compare(same, &format!("ports[{}].{key}", old.name()));
        }
    }
    for (id, port) in old.port_ids().filter(|(_, port)| port.promiscuous() == Promiscuous::Off) {
        let key = format!("ports[{}].cluster_mac or addresses, while it is not promiscuous", port.name());
        compare(ports::reception(old, id, port) == ports::reception(new, id, port), &key);
    }
    compare(old.network().is_some() == new.network().is_some(), "forwarding.mode");
    let (old_workers, new_workers) = (old.workers(), new.workers());
    compare(old_workers.placement() == new_workers.placement(), "workers.count or workers.cores");
    compare(old_workers.idle() == new_workers.idle(), "workers.idle");
    let (old_memory, new_memory) = (old.memory(), new.memory());
    compare(old_memory.huge_pages() == new_memory.huge_pages(), "memory.huge_pages");
    compare(old_memory.size_mib() == new_memory.size_mib(), "memory.size_mib");
    compare(old_memory.buffers() == new_memory.buffers(), "memory.buffers");
    compare(old_memory.buffer_size() == new_memory.buffer_size(), "memory.buffer_size");
    let (old_tables, new_tables) = (&old.dataplane().conntrack, &new.dataplane().conntrack);
    compare(old_tables.flows_max == new_tables.flows_max, "conntrack.flows_max");
    compare(old_tables.expectations_max == new_tables.expectations_max, "conntrack.expectations_max");
    compare(
        old_tables.fragments.frames_max == new_tables.fragments.frames_max,
        "conntrack.fragments.frames_max",
    );
    compare(seat(old) == seat(new), "cluster");
    compare(old.metrics() == new.metrics(), "metrics.listen");
    compare(old.control_socket() == new.control_socket(), "control.socket");
    keys
}

/// What a node has told the others of itself when it took its seat, and how it tells them.
fn seat(config: &GatewayConfig) -> Option<(String, u16, u32)> {
    let (membership, cluster) = (config.membership()?, config.dataplane().cluster.as_ref()?);
    Some((format!("{membership:?}"), cluster.total_nodes, cluster.hash_seed))
}

fn port(old: &Port, new: &Port) -> [(bool, &'static str); 8] {
    [
        (old.device() == new.device(), "device"),
        (old.mtu() == new.mtu(), "mtu"),
        (old.queues() == new.queues(), "queues"),
        (old.rss() == new.rss(), "rss"),
        (old.multicast_macs() == new.multicast_macs(), "multicast_macs"),
        (old.promiscuous() == new.promiscuous(), "promiscuous"),
        (old.checksum_offload() == new.checksum_offload(), "checksum_offload"),
        (old.descriptors() == new.descriptors(), "descriptors"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const BASE: &str =
        "node: gw1\nports:\n  - {name: lan, device: net_null0}\n  - {name: wan, device: net_null1}\n";

    fn parsed(text: &str) -> GatewayConfig {
        config::parse("test.yaml", text).unwrap().config
    }

    #[test]
    fn what_a_snapshot_holds_may_change() {
        let new = format!(
            "{BASE}cluster: {{total_nodes: 2, local_nodes: [1], hash_seed: 1}}\nconntrack: {{helpers: {{ftp: [21]}}}}\n"
        );
        assert_eq!(keys_needing_restart(&parsed(BASE), &parsed(&new)), Vec::<String>::new());
    }

    #[test]
    fn every_key_used_at_the_start_is_named() {
        let new = "node: gw2\nports:\n  - {name: lan, device: net_null2, mtu: 1400}\n  - {name: wan, device: net_null1}\n\
                   workers: {count: 2}\nconntrack: {flows_max: 1024}\ncontrol: {socket: /tmp/other.sock}\n";
        let keys = keys_needing_restart(&parsed(BASE), &parsed(new));
        let expected = [
            "node",
            "ports[lan].device",
            "ports[lan].mtu",
            "workers.count or workers.cores",
            "conntrack.flows_max",
            "control.socket",
        ];
        assert_eq!(keys, expected);
        let renamed = BASE.replace("wan", "out");
        assert_eq!(keys_needing_restart(&parsed(BASE), &parsed(&renamed)), ["ports"]);
    }
}
