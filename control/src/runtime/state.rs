//! The parts of a running gateway as the model shows them.

use super::ports::OpenPort;
use crate::observe::{
    BucketStatus, ClusterStatus, Counters, FlowRow, Occupancy, PortStatistics, PortStatus, WorkerCounts,
    WorkerStatus,
};
use core::net::SocketAddr;
use tracing::warn;
use weir_dataplane::config::{Cluster, Config};
use weir_dataplane::counters::FlowClass;
use weir_dataplane::key::{FlowKey, Side};
use weir_dataplane::mailbox::{FlowView, WorkerHandle};
use weir_dataplane::units::{BucketId, Epoch};
use weir_dataplane::wire::IpProtocol;

/// A port now. What its driver does not tell is shown as nothing.
pub(super) fn port(open: &OpenPort) -> PortStatus {
    let (port, facts) = (&open.port, open.port.facts());
    let link = told(port.link());
    let counted = told(port.stats());
    PortStatus {
        name: port.name().to_owned(),
        device: open.device.clone(),
        driver: facts.driver.clone(),
        mac: facts.mac.to_string(),
        link_up: link.up,
        speed_mbps: link.speed_mbps,
        queues: facts.rx_queues,
        statistics: PortStatistics {
            rx_frames: counted.rx_frames,
            rx_bytes: counted.rx_bytes,
            rx_errors: counted.rx_errors,
            rx_missed: counted.rx_missed,
            rx_no_buffer: counted.rx_no_buffer,
            tx_frames: counted.tx_frames,
            tx_bytes: counted.tx_bytes,
            tx_errors: counted.tx_errors,
        },
        driver_statistics: told(port.xstats()).into_iter().map(|stat| (stat.name, stat.value)).collect(),
    }
}

fn told<T: Default>(answer: Result<T, weir_dpdk::Error>) -> T {
    answer.unwrap_or_else(|error| {
        warn!("{error}");
        T::default()
    })
}

/// The workers now.
pub(super) fn workers(counters: &Counters, cpus: &[Option<usize>]) -> Vec<WorkerStatus> {
    let workers = counters.workers.iter().zip(cpus);
    workers
        .map(|(counts, cpu)| WorkerStatus {
            worker: counts.worker,
            cpu: *cpu,
            epoch: u32::try_from(counts.epoch).unwrap_or(u32::MAX),
            frames: counts.verdicts.values().sum(),
            busy: busy(counts),
            flows: counts.live(),
        })
        .collect()
}

fn busy(counts: &WorkerCounts) -> f64 {
    let all = counts.cycles_busy + counts.cycles_idle;
    if all == 0 { 0.0 } else { counts.cycles_busy as f64 / all as f64 }
}

/// Fill of the flow tables.
pub(super) fn flow_occupancy(counters: &Counters, workers: &[WorkerHandle]) -> Occupancy {
    Occupancy {
        live: counters.workers.iter().map(WorkerCounts::live).sum(),
        max: workers.iter().map(|worker| worker.flows_max() as u64).sum(),
    }
}

/// Fill of the expectation tables.
pub(super) fn expectation_occupancy(counters: &Counters, dataplane: &Config) -> Occupancy {
    Occupancy {
        live: counters.workers.iter().map(|worker| worker.expectations).sum(),
        max: dataplane.conntrack.expectations_max.into(),
    }
}

/// A node's part of its cluster.
pub(super) fn cluster(cluster: &Cluster, epoch: Epoch) -> ClusterStatus {
    let buckets = (0..usize::from(cluster.total_nodes)).filter_map(BucketId::new);
    ClusterStatus {
        total_nodes: cluster.total_nodes,
        tracking: cluster.tracking.name().to_owned(),
        hash_seed: cluster.hash_seed,
        invert: cluster.invert,
        buckets: buckets
            .map(|bucket| BucketStatus {
                node: bucket.number().number(),
                local: cluster.local_nodes.contains(bucket) != cluster.invert,
            })
            .collect(),
        epoch: epoch.number(),
    }
}

/// One flow. Without a cluster it is nobody's in particular.
pub(super) fn flow(flow: &FlowView, clustered: bool) -> FlowRow {
    let (source, destination) = ends(&flow.key, flow.origin);
    FlowRow {
        worker: flow.worker.index(),
        protocol: protocol(flow.class, &flow.key),
        state: flow.class.name().to_owned(),
        source,
        destination,
        node: clustered.then(|| flow.bucket.number().number()),
        shadow: !flow.owned,
        master: flow.master.map(|master| {
            let (source, destination) = ends(&master.key, master.side);
            format!("{source} > {destination}")
        }),
        replied: flow.seen_reply,
        timeout_s: flow.remaining.as_s(),
    }
}

fn protocol(class: FlowClass, key: &FlowKey) -> String {
    match class {
        FlowClass::Generic => format!("protocol {}", key.protocol()),
        class => class.protocol().to_owned(),
    }
}

/// Source and destination of the original direction, with ports where the protocol has them.
fn ends(key: &FlowKey, origin: Side) -> (String, String) {
    let with_ports = [IpProtocol::TCP, IpProtocol::UDP, IpProtocol::UDP_LITE, IpProtocol::SCTP];
    let has_ports = with_ports.contains(&IpProtocol(key.protocol()));
    let end = |side| {
        let end = key.endpoint(side);
        let ip = end.address.ip(key.family());
        if has_ports { SocketAddr::new(ip, end.port).to_string() } else { ip.to_string() }
    };
    (end(origin), end(origin.opposite()))
}
