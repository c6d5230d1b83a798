//! The model as Prometheus text.
//!
//! Each scrape fills a recorder of its own from plain numbers, so what is gone from the gateway is gone from
//! the page, and nothing is kept between scrapes.

use super::catalogue::{self as c, Kind, METRICS, Metric};
use super::model::{Counters, PortStatus, Status, WorkerCounts};
use super::neighbour::StationStatus;
use super::pressure::Pressure;
use super::service::{Pools, ServiceRow};
use super::service_metrics;
use super::vip::VipRow;
use crate::cluster::Trouble;
use crate::network::neighbours::Alarm;
use metrics::{Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use std::collections::BTreeMap;
use weir_dataplane::counters::Verdict;

/// The text of the `/metrics` page.
pub fn render(
    status: &Status,
    counters: &Counters,
    station: Option<&StationStatus>,
    services: &[ServiceRow],
    pools: &Pools,
) -> String {
    let page = Page::new();
    gateway(&page, status);
    for port in &status.ports {
        port_metrics(&page, port);
    }
    for worker in &counters.workers {
        worker_metrics(&page, worker);
        flow_metrics(&page, worker);
    }
    if let Some(station) = station {
        neighbour_metrics(&page, station);
        station.vips.iter().for_each(|vip| vip_metrics(&page, vip));
    }
    service_metrics::services(&page, services);
    service_metrics::pools(&page, &pools.pools);
    page.recorder.handle().render()
}

pub(super) struct Page {
    recorder: PrometheusRecorder,
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

impl Page {
    fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for metric in METRICS {
            let name = KeyName::from_const_str(metric.name);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, metric.help.into()),
                Kind::Gauge => recorder.describe_gauge(name, None, metric.help.into()),
            }
        }
        Self { recorder }
    }

    /// Sets the sample of `metric` that has these label values.
    pub(super) fn set(&self, metric: Metric, labels: &[&str], value: u64) {
        let key = key(metric, labels);
        match metric.kind {
            Kind::Counter => self.recorder.register_counter(&key, &METADATA).absolute(value),
            // Gauges are floating point on the page; 2^53 is far beyond any gauge here.
            Kind::Gauge => self.recorder.register_gauge(&key, &METADATA).set(value as f64),
        }
    }

    /// The same for a gauge that is no whole number.
    fn set_real(&self, metric: Metric, labels: &[&str], value: f64) {
        self.recorder.register_gauge(&key(metric, labels), &METADATA).set(value);
    }
}

fn key(metric: Metric, labels: &[&str]) -> Key {
    debug_assert_eq!(labels.len(), metric.labels.len(), "{}: one value a label", metric.name);
    let labels = metric.labels.iter().zip(labels).map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

fn gateway(page: &Page, status: &Status) {
    page.set(c::BUILD, &[&status.node, &status.version, &status.dpdk_version], 1);
    page.set(c::UPTIME, &[], status.uptime_s);
    page.set(c::EPOCH, &[], status.epoch.into());
    let cluster = status.cluster.as_ref();
    page.set(c::BUCKETS, &[], cluster.map_or(0, |cluster| cluster.total_nodes.into()));
    page.set(c::BUCKETS_OWNED, &[], cluster.map_or(0, |cluster| cluster.owned() as u64));
    for (event, count) in cluster.iter().flat_map(|cluster| &cluster.engine) {
        page.set(c::ENGINE, &[event], *count);
    }
    if let Some(agreed) = cluster.and_then(|cluster| cluster.agreed.as_ref()) {
        for member in &agreed.members {
            page.set(c::MEMBER, &[&member.node, &member.state, &member.liveness], 1);
            page.set(c::MEMBER_BUCKETS, &[&member.node], member.buckets as u64);
            page.set(c::MEMBER_FLOWS, &[&member.node], member.flows);
        }
        page.set(c::SHADOWS, &[], agreed.shadows);
        for alarm in Trouble::NAMES {
            let raised = agreed.alarms.iter().filter(|row| row.alarm == alarm).count();
            page.set(c::ALARMS, &[alarm], raised as u64);
        }
    }
    page.set(c::FLOWS_MAX, &[], status.flows.max);
    page.set(c::EXPECTATIONS_MAX, &[], status.expectations.max);
}

fn port_metrics(page: &Page, port: &PortStatus) {
    let counted = &port.statistics;
    let samples = [
        (c::PORT_UP, port.link_up.into()),
        (c::PORT_SPEED, u64::from(port.speed_mbps.unwrap_or(0)) * 125_000),
        (c::PORT_RX_FRAMES, counted.rx_frames),
        (c::PORT_RX_BYTES, counted.rx_bytes),
        (c::PORT_RX_ERRORS, counted.rx_errors),
        (c::PORT_RX_MISSED, counted.rx_missed),
        (c::PORT_RX_NO_BUFFER, counted.rx_no_buffer),
        (c::PORT_TX_FRAMES, counted.tx_frames),
        (c::PORT_TX_BYTES, counted.tx_bytes),
        (c::PORT_TX_ERRORS, counted.tx_errors),
    ];
    for (metric, value) in samples {
        page.set(metric, &[&port.name], value);
    }
    if let Some(tap) = &port.tap {
        page.set(c::TAP_TO_KERNEL, &[&port.name], tap.to_kernel);
        page.set(c::TAP_FROM_KERNEL, &[&port.name], tap.from_kernel);
        page.set(c::TAP_LIMITED, &[&port.name], tap.limited);
        page.set(c::TAP_REFUSED, &[&port.name], tap.refused);
    }
    for (statistic, value) in &port.driver_statistics {
        page.set(c::PORT_DRIVER, &[&port.name, statistic], *value);
    }
}

fn worker_metrics(page: &Page, worker: &WorkerCounts) {
    let id = &*worker.worker.to_string();
    for (port, counts) in &worker.ports {
        page.set(c::WORKER_RX_FRAMES, &[id, port], counts.rx_frames);
        page.set(c::WORKER_RX_BYTES, &[id, port], counts.rx_bytes);
        page.set(c::WORKER_TX_FRAMES, &[id, port], counts.tx_frames);
        page.set(c::WORKER_TX_BYTES, &[id, port], counts.tx_bytes);
    }
    for (verdict, frames) in &worker.verdicts {
        // Of those held, only how many there are now is known.
        if verdict == Verdict::Hold.name() {
            page.set(c::FRAGMENTS_HELD, &[id], *frames);
        } else {
            page.set(c::VERDICTS, &[id, verdict], *frames);
        }
    }
    for (reason, frames) in &worker.drops {
        page.set(c::DROPS, &[id, reason], *frames);
    }
    for (reason, frames) in &worker.punts {
        page.set(c::PUNTS, &[id, reason], *frames);
    }
    page.set(c::FROM_CONTROL, &[id], worker.from_control);
    for (class, turns) in burst_classes(&worker.bursts) {
        page.set(c::BURSTS, &[id, &class], turns);
    }
    for (event, frames) in &worker.handover {
        page.set(c::HANDOVER, &[id, event], *frames);
    }
    page.set(c::HANDED_OVER, &[id], worker.handed_over);
    page.set(c::CYCLES_BUSY, &[id], worker.cycles_busy);
    page.set(c::CYCLES_IDLE, &[id], worker.cycles_idle);
    page.set_real(c::TURN_MAX, &[id], worker.turn_max_ns as f64 / 1e9);
    page.set(c::WORKER_EPOCH, &[id], worker.epoch);
}

fn flow_metrics(page: &Page, worker: &WorkerCounts) {
    let id = &*worker.worker.to_string();
    for class in &worker.flows {
        page.set(c::FLOWS, &[id, &class.protocol, &class.state], class.live);
    }
    let used = worker.used();
    page.set_real(c::FLOW_TABLE_USED, &[id], used);
    for level in Pressure::ALL {
        page.set(c::FLOW_TABLE_PRESSURE, &[id, level.name()], (used >= level.threshold()).into());
    }
    for (protocol, flows) in &worker.protocols {
        page.set(c::FLOWS_CREATED, &[id, protocol], flows.created);
        page.set(c::FLOWS_RELATED, &[id, protocol], flows.related);
        page.set(c::FLOWS_EXPIRED, &[id, protocol], flows.expired);
        page.set(c::FLOWS_EVICTED, &[id, protocol], flows.evicted);
        page.set(c::FLOWS_DELETED, &[id, protocol], flows.deleted);
        page.set(c::FLOWS_REFUSED, &[id, protocol], flows.refused);
    }
    page.set(c::EXPECTATIONS, &[id], worker.expectations);
    page.set(c::EXPECTATIONS_CREATED, &[id], worker.expectations_created);
    page.set(c::NEWS_LOST, &[id], worker.news_lost);
}

fn neighbour_metrics(page: &Page, station: &StationStatus) {
    let StationStatus { neighbours, counts, .. } = station;
    let mut live: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for row in &neighbours.neighbours {
        *live.entry((&row.interface, &row.state)).or_default() += 1;
    }
    for ((interface, state), neighbours) in live {
        page.set(c::NEIGHBOURS, &[interface, state], neighbours);
    }
    page.set(c::NEIGHBOURS_MAX, &[], neighbours.neighbours_max as u64);
    for kind in Alarm::KINDS {
        let alarms = neighbours.alarms.iter().filter(|alarm| alarm.kind == kind).count();
        page.set(c::NEIGHBOUR_ALARMS, &[kind], alarms as u64);
    }
    let waiting: usize = neighbours.neighbours.iter().map(|row| row.waiting).sum();
    page.set(c::NEIGHBOURS_WAITING, &[], waiting as u64);
    let counted = &neighbours.counters;
    page.set(c::NEIGHBOURS_ACCEPTED, &[], counted.accepted);
    for (reason, messages) in &counted.ignored {
        page.set(c::NEIGHBOURS_IGNORED, &[reason], *messages);
    }
    for (kind, messages) in
        [("request", counted.requests), ("answer", counted.answers), ("announcement", counted.announcements)]
    {
        page.set(c::NEIGHBOURS_SENT, &[kind], messages);
    }
    for (outcome, packets) in
        [("released", counted.released), ("given_up", counted.given_up), ("dropped", counted.dropped)]
    {
        page.set(c::NEIGHBOURS_PACKETS, &[outcome], packets);
    }
    page.set(c::NEIGHBOURS_LIMITED, &[], counted.requests_limited);
    page.set(c::NEIGHBOURS_FULL, &[], counted.table_full);
    page.set(c::NEIGHBOURS_FORGOTTEN, &[], counted.forgotten);
    page.set(c::STATION_SENT, &[], counts.sent);
    page.set(c::STATION_REFUSED, &[], counts.refused);
    page.set(c::STATION_UNCLAIMED, &[], counts.unclaimed);
    page.set(c::STATION_LIMITED, &[], counts.limited);
}

fn vip_metrics(page: &Page, vip: &VipRow) {
    let address = &*vip.address.to_string();
    page.set(c::VIP_NODES, &[address], vip.total_nodes.into());
    page.set(c::VIP_NODES_LOCAL, &[address], vip.local_nodes.len() as u64);
    page.set(c::VIP_TAKEN, &[address], vip.taken);
    page.set(c::VIP_LEFT, &[address], vip.left);
}

/// Turns by size class: 0, then powers of two. `bursts[n]` are the turns that found `n` frames.
fn burst_classes(bursts: &[u64]) -> Vec<(String, u64)> {
    let mut classes = vec![("0".to_owned(), bursts.first().copied().unwrap_or(0))];
    let mut first = 1;
    while first < bursts.len() {
        let end = (first * 2).min(bursts.len());
        let name = if end - first == 1 { first.to_string() } else { format!("{first}-{}", end - 1) };
        classes.push((name, bursts[first..end].iter().sum()));
        first = end;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_dataplane::units::BURST_MAX;

    #[test]
    fn burst_classes_hold_every_turn_once() {
        let bursts: Vec<u64> = (0..=BURST_MAX as u64).collect();
        let classes = burst_classes(&bursts);
        let names: Vec<_> = classes.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["0", "1", "2-3", "4-7", "8-15", "16-31", "32-63", "64"]);
        assert_eq!(classes.iter().map(|(_, turns)| turns).sum::<u64>(), bursts.iter().sum::<u64>());
    }
}
