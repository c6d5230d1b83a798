//! The parts of a running gateway as the model shows them.

use super::ports::OpenPort;
use super::{launch, links};
use crate::cluster::{self, Liveness};
use crate::observe::{
    AgreedStatus, AlarmRow, BucketStatus, ClusterStatus, Counters, HistoryRow, MemberRow, Occupancy,
    PortStatistics, PortStatus, PublishedRow, RssStatus, SpreadBy, WorkerCounts, WorkerStatus,
};
use std::collections::BTreeMap;
use tracing::warn;
use weir_dataplane::config::{Cluster, Config};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::spread::Spread;
use weir_dataplane::units::{BucketId, Epoch};
use weir_dpdk::{Rss, RssFields};

/// A port of a gateway with so many workers, now. What its driver does not tell is shown as nothing.
pub(super) fn port(open: &OpenPort, workers: usize) -> PortStatus {
    let (port, facts) = (&open.port, open.port.facts());
    let link = told(links::link(open));
    let counted = told(port.stats());
    PortStatus {
        name: port.name().to_owned(),
        device: open.device.clone(),
        driver: facts.driver.clone(),
        mac: facts.mac.to_string(),
        link_up: link.up,
        speed_mbps: link.speed_mbps,
        queues: facts.rx_queues,
        numa_node: facts.numa_node,
        spread: match launch::spread(facts, workers) {
            Spread::None => SpreadBy::Nobody,
            Spread::IcmpErrors => SpreadBy::Device,
            Spread::All => SpreadBy::Software,
        },
        rss: facts.rss.as_ref().map(rss),
        tap: None,
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

fn rss(rss: &Rss) -> RssStatus {
    let fields = match rss.fields {
        RssFields::Addresses => "ip",
        RssFields::AddressesAndPorts => "ip_ports",
    };
    let key = rss.key.iter().map(|byte| format!("{byte:02x}")).collect();
    RssStatus { fields: fields.to_owned(), key, table: rss.table.clone() }
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
            handed_over: counts.handed_over,
            turn_max_us: counts.turn_max_ns as f64 / 1000.0,
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
        invert: cluster.mask().is_some_and(|mask| mask.invert),
        buckets: buckets
            .map(|bucket| BucketStatus { node: bucket.number().number(), local: cluster.owns(bucket) })
            .collect(),
        epoch: epoch.number(),
        engine: BTreeMap::new(),
        agreed: None,
    }
}

/// A cluster whose nodes have names; `flows` are those of each node that are known here, `shadows` all but this one's.
pub(super) fn agreed(status: &cluster::Status, flows: &BTreeMap<String, u64>, shadows: u64) -> AgreedStatus {
    let ago_s = |at_ms: u64| status.now_ms.saturating_sub(at_ms) / 1000;
    let member = |member: &cluster::MemberStatus| {
        let inherits = member.inherits.iter();
        MemberRow {
            node: member.name.to_string(),
            state: member.state.to_string(),
            liveness: liveness(member.liveness).to_owned(),
            weight: member.weight,
            address: (!member.address.is_unspecified()).then(|| member.address.to_string()),
            published: member.published.as_ref().map(published),
            buckets: member.buckets,
            flows: flows.get(member.name.as_str()).copied().unwrap_or(0),
            flows_left: member.flows_left,
            inherits: inherits.map(|(dead, buckets)| (dead.to_string(), *buckets)).collect(),
        }
    };
    let alarms = status.alarms.iter().map(|alarm| AlarmRow {
        alarm: alarm.trouble.name().to_owned(),
        for_s: ago_s(alarm.since_ms),
        text: alarm.to_string(),
    });
    let history = status
        .history
        .iter()
        .map(|event| HistoryRow { ago_s: ago_s(event.at_ms), what: event.change.to_string() });
    AgreedStatus {
        node: status.node.to_string(),
        map: status.map.as_ref().map(ToString::to_string),
        next_map: status.next_map.as_ref().map(|(map, _)| map.to_string()),
        orders: status.orders.clone(),
        shadows,
        members: status.members.iter().map(member).collect(),
        owners: status.owners.iter().map(|owner| owner.as_ref().map(ToString::to_string)).collect(),
        alarms: alarms.collect(),
        history: history.collect(),
    }
}

fn published(told: &cluster::Published) -> PublishedRow {
    PublishedRow {
        version: told.version.clone(),
        config_digest: told.config_digest.to_string(),
        hash_seed: told.hash_seed,
        total_nodes: told.total_nodes,
        map: told.map.as_ref().map(ToString::to_string),
    }
}

const fn liveness(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Alive => "alive",
        Liveness::Suspected { .. } => "suspected",
        Liveness::Dead { .. } => "dead",
    }
}
