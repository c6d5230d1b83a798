//! The whole pipeline, parse to emit, over 64-byte frames in bursts of 32. Checksums count as checked by the device.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macros; a benchmark stops at the first surprise"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;
use weir_bench::{BURST, Bench, Kind, Wire, shuffled};
use weir_dataplane::config::Tracking;
use weir_tests::conversation::Side;
use weir_tests::node::{bridge, member};

fn established(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("established TCP, windows tracked");
    group.throughput(Throughput::Elements(BURST as u64));
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1)).sample_size(30);
    for flows in [1u32, 10_000, 100_000, 1_000_000] {
        let mut bench = Bench::new(&bridge(), flows.max(64));
        let all = shuffled(flows);
        bench.open(&all);
        let order: Vec<u32> = all.iter().copied().cycle().take(all.len().max(4096)).collect();
        let wire = Wire::new(Kind::Ack);
        let before = bench.forwarded();
        group.bench_function(BenchmarkId::from_parameter(flows), |bencher| {
            let mut bursts = order.chunks_exact(BURST).cycle();
            bencher.iter(|| bench.send(&wire, Side::Lan, bursts.next().expect("a cycle")));
        });
        assert!(bench.forwarded() > before);
        assert_eq!(bench.forwarded(), bench.counters().frames(), "nothing is dropped");
    }
}

/// `tracking: own`, and nothing is this node's: seen, looked up, hashed, dropped.
fn of_others(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("UDP and TCP of others, tracking own");
    group.throughput(Throughput::Elements(BURST as u64));
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1)).sample_size(30);
    let mut bench = Bench::new(&member(2, 0..0, Tracking::Own), 1 << 20);
    let order = shuffled(1_000_000);
    for (name, kind) in [("SYN", Kind::Syn), ("ACK", Kind::Ack)] {
        let wire = Wire::new(kind);
        group.bench_function(name, |bencher| {
            let mut bursts = order.chunks_exact(BURST).cycle();
            bencher.iter(|| bench.send(&wire, Side::Lan, bursts.next().expect("a cycle")));
        });
    }
    assert_eq!(bench.forwarded(), 0);
}

/// SYNs of ever new flows into a table that is full of unanswered ones: each opens a flow and evicts another.
fn new_flows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("new flows, each evicting one");
    group.throughput(Throughput::Elements(BURST as u64));
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1)).sample_size(30);
    for flows_max in [10_000u32, 1_000_000] {
        let mut bench = Bench::new(&bridge(), flows_max);
        let order = shuffled(4_000_000);
        let wire = Wire::new(Kind::Syn);
        bench.send_all(&wire, Side::Lan, &order[..flows_max as usize]);
        group.bench_function(BenchmarkId::from_parameter(flows_max), |bencher| {
            let mut bursts = order[flows_max as usize..].chunks_exact(BURST).cycle();
            bencher.iter(|| bench.send(&wire, Side::Lan, bursts.next().expect("a cycle")));
        });
        assert!(bench.counters().flows_total(|cells| &cells.evicted) > 0);
    }
}

criterion_group!(benches, established, of_others, new_flows);
criterion_main!(benches);
