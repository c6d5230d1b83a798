//! The flow table beside hashbrown, in one run: look-ups in random order, bursts of 32.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macros; a benchmark stops at the first surprise"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;
use std::hint::black_box;
use std::time::Duration;
use weir_bench::{BURST, client, shuffled};
use weir_dataplane::counters::FlowClass;
use weir_dataplane::key::{Address, Endpoint, Family, FlowKey};
use weir_dataplane::track::record::{Cold, Hot};
use weir_dataplane::track::table::FlowTable;
use weir_dataplane::units::{Span, Tick};

const SIZES: [u32; 3] = [1, 10_000, 1_000_000];

fn key(n: u32) -> FlowKey {
    let (ip, port) = client(n);
    let server = Endpoint::new(Address::v4([192, 0, 2, 80]), 80);
    FlowKey::sorted(Family::V4, 6, Endpoint::new(Address::v4(ip.octets()), port), server).0
}

fn hot(n: u32) -> Hot {
    let deadline = Tick::default().after(Span::from_s(1000).expect("below the maximum"));
    Hot { key: key(n), deadline, class: FlowClass::TcpEstablished, ..Hot::free() }
}

/// The same 40 bytes as a key of hashbrown's.
type PlainKey = [u64; 5];

fn plain_key(n: u32) -> PlainKey {
    let (ip, port) = client(n);
    [u64::from(ip.to_bits()), 0, 0xc000_0250, 0, u64::from(port) | 80 << 16 | 6 << 32 | 4 << 40]
}

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look-up and touch, random order");
    group.throughput(Throughput::Elements(BURST as u64));
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1)).sample_size(30);
    for size in SIZES {
        let order = shuffled(size.max(4096));
        let order: Vec<u32> = order.iter().map(|n| n % size).collect();
        let mut table = FlowTable::new(size.max(64), 0x5eed, Tick::default());
        for n in 0..size {
            table.insert(table.prepare(&key(n)), hot(n), Cold::default(), None).expect("there is room");
        }
        group.bench_function(BenchmarkId::new("FlowTable, three steps", size), |bencher| {
            let mut bursts = order.chunks_exact(BURST).cycle();
            bencher.iter(|| {
                let burst: [FlowKey; BURST] = std::array::from_fn({
                    let flows = bursts.next().expect("a cycle");
                    move |i| key(flows[i])
                });
                let hashes = burst.each_ref().map(|key| table.prepare(key));
                let records = hashes.map(|hash| table.candidate(hash));
                for ((key, hash), record) in burst.iter().zip(hashes).zip(records) {
                    // Now and then a tag fits that is another flow's.
                    let record = record.filter(|record| table.is(*record, key));
                    let record = record.or_else(|| table.find(key, hash)).expect("it is there");
                    let (hot, cold) = table.lines_mut(record);
                    hot.mark.0 += 1;
                    black_box(&mut cold.detail);
                }
            });
        });
        let mut map: HashMap<PlainKey, u32> = HashMap::with_capacity(size as usize);
        map.extend((0..size).map(|n| (plain_key(n), n)));
        let mut records = vec![[0u64; 16]; size as usize];
        group.bench_function(BenchmarkId::new("hashbrown, one by one", size), |bencher| {
            let mut bursts = order.chunks_exact(BURST).cycle();
            bencher.iter(|| {
                for n in bursts.next().expect("a cycle") {
                    let record = *map.get(&plain_key(*n)).expect("it is there");
                    let record = &mut records[record as usize];
                    record[0] += 1;
                    black_box(&mut record[8]);
                }
            });
        });
    }
}

fn come_and_go(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("insert and remove, oldest first");
    group.throughput(Throughput::Elements(1));
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_secs(1)).sample_size(30);
    for size in [10_000u32, 1_000_000] {
        let mut table = FlowTable::new(size, 0x5eed, Tick::default());
        let mut live: std::collections::VecDeque<u32> = (0..size / 2)
            .filter_map(|n| table.insert(table.prepare(&key(n)), hot(n), Cold::default(), None).ok())
            .collect();
        let mut next = size / 2;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                table.remove(live.pop_front().expect("half of the table is live"));
                let hash = table.prepare(&key(next % 0x00ff_ffff));
                live.extend(table.insert(hash, hot(next % 0x00ff_ffff), Cold::default(), None));
                next += 1;
            });
        });
    }
}

criterion_group!(benches, look_up, come_and_go);
criterion_main!(benches);
