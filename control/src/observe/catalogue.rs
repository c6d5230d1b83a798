//! The one table of metrics: name, kind, labels and help. HELP lines, the exporter and `docs/metrics.md` come from it.

use std::fmt::Write;
use weir_dataplane::counters::{DropReason, PuntReason};

/// How a metric's values are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// Prometheus's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with the unit.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels, in the order in which the exporter gives their values.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

/// Declares each metric as a constant and all of them as [`METRICS`].
macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $id: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+

        /// All metrics, in the order of the reference.
        pub const METRICS: &[Metric] = &[$($id),+];
    };
}

metrics! {
    BUILD = Gauge "weir_build_info" ["node", "version", "dpdk"] "Always 1; the labels say what runs.";
    UPTIME = Gauge "weir_uptime_seconds" [] "Time since the workers started.";
    EPOCH = Gauge "weir_config_epoch" [] "Epoch of the configuration that control published last.";
    BUCKETS = Gauge "weir_cluster_buckets" [] "Buckets the cluster's hash space is cut into; 0 without a cluster.";
    BUCKETS_OWNED = Gauge "weir_cluster_buckets_owned" [] "Buckets that are this node's.";

    MEMBER = Gauge "weir_cluster_member" ["node", "state", "liveness"] "1 for each node of a cluster whose nodes have names, as this one sees it.";
    MEMBER_BUCKETS = Gauge "weir_cluster_member_buckets" ["node"] "Buckets that are this node's, as this one sees it.";
    MEMBER_FLOWS = Gauge "weir_cluster_member_flows" ["node"] "Live flows of this node that are known here: those that would move if it died.";
    SHADOWS = Gauge "weir_cluster_shadows" [] "Live flows that are followed here and are not this node's.";
    ALARMS = Gauge "weir_cluster_alarms" ["alarm"] "How often this is wrong in a cluster whose nodes have names; `weir cluster show` says where, and what to do.";

    ENGINE = Counter "weir_cluster_engine_total" ["event"]
        "What happened in speaking with the other nodes, or with etcd: datagrams `sent`, `received`, refused for their `refused_format`, `refused_key`…; `connections`, `renewals`, `leases_lost`…";

    PORT_UP = Gauge "weir_port_link_up" ["port"] "1 while the link is up.";
    PORT_SPEED = Gauge "weir_port_speed_bytes_per_second" ["port"] "Link speed, as node_exporter gives it; 0 where the device does not know.";
    PORT_RX_FRAMES = Counter "weir_port_rx_frames_total" ["port"] "Frames that the device received.";
    PORT_RX_BYTES = Counter "weir_port_rx_bytes_total" ["port"] "Bytes that the device received.";
    PORT_RX_ERRORS = Counter "weir_port_rx_errors_total" ["port"] "Frames that came in broken.";
    PORT_RX_MISSED = Counter "weir_port_rx_missed_total" ["port"] "Frames lost because the receive queue was full.";
    PORT_RX_NO_BUFFER = Counter "weir_port_rx_no_buffer_total" ["port"] "Frames lost because the pool had no buffer.";
    PORT_TX_FRAMES = Counter "weir_port_tx_frames_total" ["port"] "Frames that the device sent.";
    PORT_TX_BYTES = Counter "weir_port_tx_bytes_total" ["port"] "Bytes that the device sent.";
    PORT_TX_ERRORS = Counter "weir_port_tx_errors_total" ["port"] "Frames that the device could not send.";
    PORT_DRIVER = Gauge "weir_port_driver_statistic" ["port", "statistic"]
        "The driver's own statistics (DPDK xstats), under the driver's names.";

    TAP_TO_KERNEL = Counter "weir_tap_to_kernel_frames_total" ["port"] "Frames given to the kernel by the port's tap.";
    TAP_FROM_KERNEL = Counter "weir_tap_from_kernel_frames_total" ["port"] "Frames that the kernel sent by the port's tap and that left.";
    TAP_LIMITED = Counter "weir_tap_limited_frames_total" ["port"]
        "Frames for the kernel above `forwarding.kernel_packets_per_s`, or that its queue had no room for.";
    TAP_REFUSED = Counter "weir_tap_refused_frames_total" ["port"]
        "Frames of the kernel that it may not send: from an address that is not the gateway's, or, in a cluster, to another node's station.";

    WORKER_RX_FRAMES = Counter "weir_worker_rx_frames_total" ["worker", "port"] "Frames taken from the worker's receive queue.";
    WORKER_RX_BYTES = Counter "weir_worker_rx_bytes_total" ["worker", "port"] "Bytes taken from the worker's receive queue.";
    WORKER_TX_FRAMES = Counter "weir_worker_tx_frames_total" ["worker", "port"] "Frames that the worker's transmit queue took.";
    WORKER_TX_BYTES = Counter "weir_worker_tx_bytes_total" ["worker", "port"] "Bytes that the worker's transmit queue took.";
    VERDICTS = Counter "weir_worker_verdicts_total" ["worker", "verdict"] "Frames by outcome; each frame has exactly one, unless it is held.";
    DROPS = Counter "weir_worker_drops_total" ["worker", "reason"] "Dropped frames by reason; each drop has exactly one.";
    PUNTS = Counter "weir_worker_punts_total" ["worker", "reason"] "Frames left to control by reason; each punt has exactly one.";
    FROM_CONTROL = Counter "weir_worker_control_frames_total" ["worker"] "Frames that control made and the worker sent; their outcome is `forward`.";
    FRAGMENTS_HELD = Gauge "weir_worker_fragments_held" ["worker"] "Frames that wait for the rest of their datagram, or for a node to have left.";
    HANDOVER = Counter "weir_worker_handover_frames_total" ["worker", "event"]
        "Frames of nodes that leave as planned: `noted` by the one that is to leave, `held` by the others, of those `taken_over` when it had left, `known` as forwarded by it already, `crowded_out` for want of room.";
    HANDED_OVER = Counter "weir_worker_handed_over_frames_total" ["worker"] "Frames handed to the worker that owns their flow.";
    BURSTS = Counter "weir_worker_bursts_total" ["worker", "frames"]
        "Looks into a receive queue by how many frames they found: 0, 1, 2-3, 4-7, 8-15, 16-31, 32-63, 64.";
    CYCLES_BUSY = Counter "weir_worker_busy_cycles_total" ["worker"] "Processor cycles of turns that moved frames.";
    CYCLES_IDLE = Counter "weir_worker_idle_cycles_total" ["worker"] "Processor cycles of turns that found nothing, sleep included.";
    TURN_MAX = Gauge "weir_worker_turn_max_seconds" ["worker"]
        "The longest turn since the start, rest not included. A core that the worker does not have to itself makes turns longer.";
    WORKER_EPOCH = Gauge "weir_worker_config_epoch" ["worker"] "Epoch of the configuration that the worker works with.";

    FLOWS = Gauge "weir_flows" ["worker", "protocol", "state"] "Live flows.";
    FLOWS_MAX = Gauge "weir_flows_max" [] "Flows there is room for, over all workers.";
    FLOW_TABLE_USED = Gauge "weir_flow_table_used_ratio" ["worker"] "Used share of the worker's flow table, from 0 to 1.";
    FLOW_TABLE_PRESSURE = Gauge "weir_flow_table_pressure" ["worker", "level"]
        "1 while the worker's flow table is filled to this level: `warning` from 80 % on, `critical` from 95 % on, where closing flows end early.";
    FLOWS_CREATED = Counter "weir_flows_created_total" ["worker", "protocol"] "Flows opened.";
    FLOWS_RELATED = Counter "weir_flows_related_total" ["worker", "protocol"] "Flows opened that an expectation or a master announced.";
    FLOWS_EXPIRED = Counter "weir_flows_expired_total" ["worker", "protocol"] "Flows whose time ran out.";
    FLOWS_EVICTED = Counter "weir_flows_evicted_total" ["worker", "protocol"] "Flows given up early to make room.";
    FLOWS_DELETED = Counter "weir_flows_deleted_total" ["worker", "protocol"] "Flows that an operator deleted.";
    FLOWS_REFUSED = Counter "weir_flows_refused_total" ["worker", "protocol"] "Flows that there was no room for; each packet that came to open one was dropped as `table_full`.";
    EXPECTATIONS = Gauge "weir_expectations" ["worker"] "Live expectations, with those that other workers told of.";
    EXPECTATIONS_MAX = Gauge "weir_expectations_max" [] "Expectations there is room for, over all workers.";
    EXPECTATIONS_CREATED = Counter "weir_expectations_created_total" ["worker"] "Expectations made.";
    NEWS_LOST = Counter "weir_worker_news_lost_total" ["worker"]
        "Expectations, or ends of them, that another worker had no room to hear of.";

    NEIGHBOURS = Gauge "weir_neighbours" ["interface", "state"] "Neighbours of a gateway that routes; states are those of `ip neigh`.";
    NEIGHBOURS_MAX = Gauge "weir_neighbours_max" [] "Neighbours there is room for, without those of the configuration.";
    NEIGHBOUR_ALARMS = Gauge "weir_neighbour_alarms" ["kind"]
        "Things that were wrong with neighbours in the last quarter of an hour; `weir neighbours` says which.";
    NEIGHBOURS_WAITING = Gauge "weir_neighbour_packets_waiting" [] "Packets that wait for a neighbour's MAC address.";
    NEIGHBOURS_PACKETS = Counter "weir_neighbour_packets_total" ["outcome"]
        "Packets that had no MAC address to go to: `released` when it was known, `given_up` when nobody answered, `dropped` for want of room.";
    NEIGHBOURS_ACCEPTED = Counter "weir_neighbour_messages_accepted_total" [] "ARP and neighbour discovery messages that were understood and believed.";
    NEIGHBOURS_IGNORED = Counter "weir_neighbour_messages_ignored_total" ["reason"] "ARP and neighbour discovery messages that changed nothing, by reason.";
    NEIGHBOURS_SENT = Counter "weir_neighbour_messages_sent_total" ["kind"] "ARP and neighbour discovery messages sent: `request`, `answer`, `announcement`.";
    NEIGHBOURS_LIMITED = Counter "weir_neighbour_requests_limited_total" [] "Requests put off because too many were sent in a second.";
    NEIGHBOURS_FULL = Counter "weir_neighbours_refused_total" [] "Times that there was no room for a neighbour.";
    NEIGHBOURS_FORGOTTEN = Counter "weir_neighbours_forgotten_total" [] "Neighbours forgotten, for their age, for want of room, with their link, or flushed.";
    STATION_SENT = Counter "weir_station_frames_sent_total" [] "Frames of a gateway's own that it gave to a worker to send.";
    STATION_REFUSED = Counter "weir_station_frames_refused_total" [] "Frames of a gateway's own that no worker, or no packet memory, had room for.";
    STATION_UNCLAIMED = Counter "weir_station_unclaimed_total" [] "Packets to a gateway's own addresses that nobody there takes.";
    STATION_LIMITED = Counter "weir_station_errors_limited_total" [] "ICMP errors and resets of TCP that were not sent, since there were too many.";

    SERVICE_UP = Gauge "weir_service_server_up" ["service", "server"] "1 while the server may have connections: its checks find it alive, and it is not being drained.";
    SERVICE_ACTIVE = Gauge "weir_service_active_connections" ["service", "server"] "Connections of the server that are established, or about to be.";
    SERVICE_INACTIVE = Gauge "weir_service_inactive_connections" ["service", "server"] "Connections of the server that are over and not yet forgotten, and all of what has no connections.";
    SERVICE_RETIRED = Gauge "weir_service_retired_connections" ["service"] "Connections of servers that the service has no more: they live on until they end, or until the drain's deadline.";
    SERVICE_CONNECTIONS = Counter "weir_service_connections_total" ["service", "server"] "Connections that the server was given.";
    SERVICE_PACKETS = Counter "weir_service_packets_total" ["service", "server"] "Packets to the server.";
    SERVICE_BYTES = Counter "weir_service_bytes_total" ["service", "server"] "Their bytes, from the IP header on.";
    SERVICE_REPLY_PACKETS = Counter "weir_service_reply_packets_total" ["service", "server"] "Packets from the server, as far as they pass the gateway.";
    SERVICE_REPLY_BYTES = Counter "weir_service_reply_bytes_total" ["service", "server"] "Their bytes, from the IP header on.";
    SERVICE_UNSERVED = Counter "weir_service_unserved_total" ["service", "outcome"] "New connections that no server could take: `refused` (the sender was told), `bypassed` (they went on without the service), `dropped`.";
    SERVICE_WEIGHT = Gauge "weir_service_server_weight" ["service", "server"] "The server's share of new connections beside the others'; 0: none.";

    POOL_UP = Gauge "weir_pool_node_up" ["pool", "node"] "1 while the node may have connections: its checks find it alive, and it is not being drained.";
    POOL_ACTIVE = Gauge "weir_pool_active_connections" ["pool", "node"] "Connections of the node that are established, or about to be.";
    POOL_INACTIVE = Gauge "weir_pool_inactive_connections" ["pool", "node"] "Connections of the node that are over and not yet forgotten, and all of what has no connections.";
    POOL_RETIRED = Gauge "weir_pool_retired_connections" ["pool"] "Connections of nodes that the pool has no more: they live on until they end, or until the drain's deadline.";
    POOL_CONNECTIONS = Counter "weir_pool_connections_total" ["pool", "node"] "Connections that the node was given.";
    POOL_PACKETS = Counter "weir_pool_packets_total" ["pool", "node"] "Packets to the node.";
    POOL_BYTES = Counter "weir_pool_bytes_total" ["pool", "node"] "Their bytes, from the IP header on.";
    POOL_REPLY_PACKETS = Counter "weir_pool_reply_packets_total" ["pool", "node"] "Packets from the node, as far as they pass the gateway.";
    POOL_REPLY_BYTES = Counter "weir_pool_reply_bytes_total" ["pool", "node"] "Their bytes, from the IP header on.";
    POOL_UNSERVED = Counter "weir_pool_unserved_total" ["pool", "outcome"] "New connections that no node could take: `refused` (the sender was told), `bypassed` (they went on without the pool), `dropped`.";
    POOL_COST = Gauge "weir_pool_node_cost" ["pool", "node"] "What a connection adds to the node's load.";
    POOL_LOAD = Gauge "weir_pool_node_load" ["pool", "node"] "What the node has reported and its connections' cost together; new connections go to the least.";
    VIP_NODES = Gauge "weir_vip_nodes" ["vip"] "Nodes that have the address.";
    VIP_NODES_LOCAL = Gauge "weir_vip_nodes_local" ["vip"] "Nodes of the address that this gateway stands for.";
    VIP_TAKEN = Counter "weir_vip_taken_packets_total" ["vip"] "Packets to the address that this gateway took, ICMP errors among them.";
    VIP_LEFT = Counter "weir_vip_left_packets_total" ["vip"] "Packets to the address that this gateway left to other nodes.";
}

/// The reference page of all metrics, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\nMade from the table in `control/src/observe/catalogue.rs`; `weir reference metrics` prints it.\n\n\
         | Metric | Type | Labels | Meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.name(),
            labels.join(", "),
            metric.help
        );
    }
    page + &reasons()
}

/// What the label `reason` says of drops and punts.
fn reasons() -> String {
    let drops = DropReason::ALL.iter().map(|reason| (reason.name(), reason.sentence()));
    let punts = PuntReason::ALL.iter().map(|reason| (reason.name(), reason.sentence()));
    let list = |of: &mut dyn Iterator<Item = (&str, &str)>| {
        of.fold(
            String::from("| `reason` | What it says of the frame |\n|---|---|\n"),
            |page, (name, sentence)| page + &format!("| `{name}` | {} |\n", sentence.trim_start()),
        )
    };
    let (drops, punts) = (list(&mut drops.into_iter()), list(&mut punts.into_iter()));
    format!(
        "\n## Reasons for drops\n\n`reason` of `weir_worker_drops_total`, and what `weir counters` and `weir replay` show. \
         [routing.md](routing.md) says what to do about those of a router.\n\n{drops}\n\
         ## Reasons for punts\n\n`reason` of `weir_worker_punts_total`: why a worker leaves a frame to control.\n\n{punts}"
    )
}
