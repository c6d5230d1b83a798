//! The metrics page says what the table of metrics promises, and Prometheus's own linter accepts it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is not as it must be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use weir_control::observe::{
    AgreedStatus, AlarmRow, BucketStatus, ClusterStatus, METRICS, MemberRow, NeighbourCounts, NeighbourRow,
    Neighbours, Occupancy, PoolRow, Pools, PortStatistics, PortStatus, SelectorRow, ServerRow, ServiceRow,
    SpreadBy, StationStatus, Status, TapStatus, TrafficCounts, TrafficRates, UnservedCounts, VipRow, collect,
    reference, render,
};
use weir_dataplane::counters::{DropReason, Verdict, WorkerCounters};

fn station() -> StationStatus {
    let neighbour = NeighbourRow {
        interface: "lan".to_owned(),
        address: [192, 0, 2, 7].into(),
        state: "reachable".to_owned(),
        mac: Some("02:00:00:00:00:07".to_owned()),
        age_s: 1,
        used_s: None,
        waiting: 0,
    };
    let counters =
        NeighbourCounts { ignored: [("hop_limit".to_owned(), 3)].into(), ..NeighbourCounts::default() };
    let neighbours = Neighbours { neighbours: vec![neighbour], counters, ..Neighbours::default() };
    let vip = VipRow {
        address: [192, 0, 2, 9].into(),
        interface: "lan".to_owned(),
        mac: "01:00:5e:00:00:20".to_owned(),
        hash_mode: "sourceip".to_owned(),
        total_nodes: 2,
        hash_init: 0,
        local_nodes: vec![1],
        by_cluster: false,
        taken: 5,
        left: 6,
    };
    StationStatus { neighbours, vips: vec![vip], ..StationStatus::default() }
}

fn server(name: &str) -> ServerRow {
    ServerRow {
        server: name.to_owned(),
        number: 0,
        address: [10, 0, 0, 2].into(),
        mac: None,
        port: 0,
        method: "direct".to_owned(),
        state: "draining".to_owned(),
        alive: true,
        health: None,
        weight: 100,
        upper_threshold: 0,
        lower_threshold: 0,
        cost: 2,
        reported_load: 5,
        drain: None,
        added: false,
        changed: false,
        persistent: 0,
        counts: TrafficCounts { active: 3, bytes: 77, ..TrafficCounts::default() },
        rates: TrafficRates::default(),
    }
}

fn services() -> Vec<ServiceRow> {
    vec![ServiceRow {
        service: "cache".to_owned(),
        selector: SelectorRow::Mark { mark: 1, ipv6: false },
        scheduler: "lblcr".to_owned(),
        scheduler_flags: Vec::new(),
        persistence: None,
        fallback: "bypass".to_owned(),
        panic: false,
        servers: vec![server("squid1")],
        retired: vec![server("squid0")],
        counts: TrafficCounts::default(),
        rates: TrafficRates::default(),
        unserved: UnservedCounts { bypassed: 4, ..UnservedCounts::default() },
    }]
}

fn pools() -> Pools {
    let pool = PoolRow {
        pool: "front".to_owned(),
        fallback: "drop".to_owned(),
        panic: false,
        slices: None,
        nodes: vec![server("a")],
        retired: Vec::new(),
        counts: TrafficCounts::default(),
        rates: TrafficRates::default(),
        unserved: UnservedCounts::default(),
    };
    Pools { pools: vec![pool] }
}

fn counted() -> WorkerCounters {
    let cells = WorkerCounters::default();
    cells.outcome(Verdict::Drop(DropReason::Runt));
    cells.outcome(Verdict::Hold);
    cells.bursts[3].add(7);
    cells
}

fn page() -> String {
    let cells = counted();
    let port = PortStatus {
        name: "lan".to_owned(),
        device: "net_null0".to_owned(),
        driver: "net_null".to_owned(),
        mac: "02:00:00:00:00:01".to_owned(),
        link_up: true,
        speed_mbps: Some(10_000),
        queues: 1,
        numa_node: None,
        spread: SpreadBy::Nobody,
        rss: None,
        tap: Some(TapStatus { name: "weir-lan".to_owned(), to_kernel: 3, ..TapStatus::default() }),
        statistics: PortStatistics { rx_frames: 9, ..PortStatistics::default() },
        driver_statistics: [("rx_good_packets".to_owned(), 9)].into(),
    };
    let status = Status {
        node: "n1".to_owned(),
        version: "1".to_owned(),
        dpdk_version: "DPDK 22.11".to_owned(),
        uptime_s: 5,
        epoch: 2,
        cluster: Some(ClusterStatus {
            agreed: Some(AgreedStatus {
                node: "gw1".to_owned(),
                map: None,
                next_map: None,
                members: vec![MemberRow {
                    node: "gw1".to_owned(),
                    state: "active".to_owned(),
                    liveness: "alive".to_owned(),
                    weight: 1,
                    address: None,
                    published: None,
                    buckets: 2,
                    flows: 7,
                    flows_left: None,
                    inherits: BTreeMap::new(),
                }],
                owners: Vec::new(),
                alarms: vec![AlarmRow { alarm: "hole".to_owned(), for_s: 1, text: "a hole".to_owned() }],
                orders: Vec::new(),
                shadows: 9,
                history: Vec::new(),
            }),
            total_nodes: 2,
            tracking: "all".to_owned(),
            hash_seed: 1,
            invert: false,
            buckets: vec![BucketStatus { node: 1, local: true }, BucketStatus { node: 2, local: false }],
            epoch: 2,
            engine: BTreeMap::from([("refused_key".to_owned(), 3)]),
        }),
        ports: vec![port],
        workers: Vec::new(),
        flows: Occupancy { live: 0, max: 1024 },
        expectations: Occupancy { live: 0, max: 64 },
        warnings: Vec::new(),
    };
    render(
        &status,
        &collect::counters([&cells], &["lan".to_owned()]),
        Some(&station()),
        &services(),
        &pools(),
    )
}

#[test]
fn the_page_has_every_metric_of_the_table_and_no_other() {
    let page = page();
    let named = |prefix: &str| -> BTreeSet<String> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(prefix));
        lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    };
    let table: BTreeSet<_> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(named("# HELP "), table);
    assert_eq!(named("# TYPE "), table);
}

#[test]
fn every_drop_reason_is_there_from_the_start() {
    let page = page();
    for reason in DropReason::ALL {
        let value = u64::from(*reason == DropReason::Runt);
        let sample = format!("weir_worker_drops_total{{worker=\"0\",reason=\"{reason}\"}} {value}\n");
        assert!(page.contains(&sample), "{sample} is missing in\n{page}");
    }
    assert!(page.contains("weir_worker_bursts_total{worker=\"0\",frames=\"2-3\"} 7\n"), "{page}");
    assert!(page.contains("weir_port_rx_frames_total{port=\"lan\"} 9\n"), "{page}");
    assert!(page.contains("weir_cluster_buckets_owned 1\n"), "{page}");
    assert!(page.contains("weir_cluster_shadows 9\n"), "{page}");
    assert!(page.contains("weir_cluster_alarms{alarm=\"hole\"} 1\n"), "{page}");
    assert!(page.contains("weir_cluster_alarms{alarm=\"overlap\"} 0\n"), "{page}");
    assert!(page.contains("weir_worker_fragments_held{worker=\"0\"} 1\n"), "{page}");
    assert!(!page.contains("verdict=\"hold\""), "{page}");
    assert!(page.contains("weir_cluster_engine_total{event=\"refused_key\"} 3\n"), "{page}");
}

#[test]
fn servers_are_told_apart_by_service_and_name() {
    let page = page();
    for sample in [
        "weir_service_active_connections{service=\"cache\",server=\"squid1\"} 3",
        "weir_service_bytes_total{service=\"cache\",server=\"squid1\"} 77",
        "weir_service_server_up{service=\"cache\",server=\"squid1\"} 0",
        "weir_service_server_weight{service=\"cache\",server=\"squid1\"} 100",
        "weir_service_retired_connections{service=\"cache\"} 3",
        "weir_service_unserved_total{service=\"cache\",outcome=\"bypassed\"} 4",
        "weir_pool_node_load{pool=\"front\",node=\"a\"} 11",
        "weir_pool_unserved_total{pool=\"front\",outcome=\"refused\"} 0",
    ] {
        assert!(page.lines().any(|line| line == sample), "{sample} is missing in\n{page}");
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("promtool must be installed: it comes with Debian's package prometheus");
    promtool.stdin.take().unwrap().write_all(page().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_reference_page_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert_eq!(page, reference(), "write it anew: weir reference metrics > docs/metrics.md");
}
