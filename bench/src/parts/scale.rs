//! What a packet costs as flows grow in number: the whole pipeline, and beside it the look-up alone in Weir's table, in
//! DPDK's `rte_hash` and in hashbrown.
//!
//! All four have the same flows in the same random order, and take turns. A look-up makes its key from the flow's
//! number, finds the record and writes to it: both lines of Weir's and of hashbrown's, the one line that `rte_hash`'s
//! position stands for. Look-ups come in bursts of 32, prefetched burst-wide where the table can do it.

use super::on_huge_pages;
use crate::figure::{Figure, Outcome, Unavailable, Unit};
use crate::rounds::alternate;
use crate::{BURST, Bench, Kind, Wire, client, shuffled};
use hashbrown::HashMap;
use std::hint::black_box;
use std::time::Instant;
use weir_dataplane::counters::FlowClass;
use weir_dataplane::key::{Address, Endpoint, Family, FlowKey};
use weir_dataplane::prefetch::prefetch;
use weir_dataplane::track::record::{Cold, Hot};
use weir_dataplane::track::table::FlowTable;
use weir_dataplane::units::{Span, Tick};
use weir_dpdk::{Eal, Hash, KEY_LEN};
use weir_tests::conversation::Side;
use weir_tests::node::bridge;

/// Numbers of flows, and how keys and titles call them.
pub const SIZES: [(u32, &str, &str); 4] = [
    (1, "1", "1 flow"),
    (10_000, "10k", "10 k flows"),
    (100_000, "100k", "100 k flows"),
    (1_000_000, "1m", "1 M flows"),
];

/// Frames or look-ups that one sample has at least.
pub(super) const SAMPLE_MIN: usize = 1 << 17;

const SERVER: [u8; 4] = [192, 0, 2, 80];

/// Measures all sizes.
pub fn run(eal: &Eal, rounds: usize, sizes: &[(u32, &str, &str)]) -> Outcome {
    let mut figures = Vec::new();
    for (flows, key, title) in sizes {
        figures.extend(at(eal, rounds, *flows, (key, title))?);
    }
    Ok(figures)
}

fn at(eal: &Eal, rounds: usize, flows: u32, (key, title): (&str, &str)) -> Outcome {
    let all = shuffled(flows);
    let order: Vec<u32> = all.iter().copied().cycle().take(all.len().max(SAMPLE_MIN)).collect();
    let mut pipeline = established(&all);
    let mut table = weir_table(flows);
    let mut rte_hash = RteHash::new(eal, &format!("bench_{key}"), flows)?;
    let mut brown = on_huge_pages(|| hash_map(flows)).0;
    let wire = Wire::new(Kind::Ack);
    let [pipeline, table, rte_hash, brown] = alternate(
        rounds,
        [
            &mut || {
                let before = pipeline.forwarded();
                let ns = pipeline.time(&wire, Side::Lan, &order, |_| ());
                assert_eq!(pipeline.forwarded() - before, order.len() as u64, "all frames are forwarded");
                ns
            },
            &mut || timed(&order, |burst| look_up(&mut table, burst)),
            &mut || timed(&order, |burst| rte_hash.look_up(burst)),
            &mut || timed(&order, |burst| look_up_brown(&mut brown, burst)),
        ],
    );
    let figure = |name: &str, what: &str, samples| {
        Figure::new(format!("{name}_{key}"), format!("{what}, {title}"), Unit::Ns, samples)
    };
    Ok(vec![
        figure("established", "whole pipeline, established TCP", pipeline),
        figure("flow_table", "look-up and touch: Weir's table", table),
        figure("rte_hash", "look-up and touch: rte_hash_lookup_bulk", rte_hash),
        figure("hashbrown", "look-up and touch: hashbrown", brown),
    ])
}

/// Nanoseconds that `look` takes for each.
pub(super) fn timed<T>(order: &[T], mut look: impl FnMut(&[T; BURST])) -> f64 {
    let (bursts, _) = order.as_chunks::<BURST>();
    let start = Instant::now();
    bursts.iter().for_each(&mut look);
    start.elapsed().as_nanos() as f64 / (bursts.len() * BURST) as f64
}

/// A pipeline in which these flows are open.
pub(super) fn established(flows: &[u32]) -> Bench {
    let flows_max = u32::try_from(flows.len()).expect("few enough").max(64);
    let mut bench = on_huge_pages(|| Bench::new(&bridge(), flows_max)).0;
    bench.open(flows);
    bench
}

fn flow_key(n: u32) -> FlowKey {
    let (ip, port) = client(n);
    let server = Endpoint::new(Address::v4(SERVER), 80);
    FlowKey::sorted(Family::V4, 6, Endpoint::new(Address::v4(ip.octets()), port), server).0
}

/// Weir's table with so many flows in it.
pub(super) fn weir_table(flows: u32) -> FlowTable {
    let mut table = on_huge_pages(|| FlowTable::new(flows.max(64), 0x5eed, Tick::default())).0;
    let deadline = Tick::default().after(Span::from_s(1000).expect("below the maximum"));
    for n in 0..flows {
        let key = flow_key(n);
        let hot = Hot { key, deadline, class: FlowClass::TcpEstablished, ..Hot::free() };
        table.insert(table.prepare(&key), &hot, &Cold::default(), None).expect("there is room");
    }
    table
}

/// Finds the flows of a burst in the table's three steps, and writes to both of their lines.
pub(super) fn look_up(table: &mut FlowTable, burst: &[u32; BURST]) {
    let keys = burst.map(flow_key);
    let hashes = keys.each_ref().map(|key| table.prepare(key));
    let records = hashes.map(|hash| table.candidate(hash));
    for ((key, hash), record) in keys.iter().zip(hashes).zip(records) {
        // Now and then a tag fits that is another flow's.
        let record = record.filter(|record| table.is(*record, key));
        let record = record.or_else(|| table.find(key, hash)).expect("it is there");
        let (hot, cold) = table.lines_mut(record);
        hot.mark.0 = hot.mark.0.wrapping_add(1);
        black_box(cold);
    }
}

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line(u64);

struct RteHash {
    hash: Hash,
    /// A line for each position.
    records: Vec<Line>,
}

impl RteHash {
    fn new(eal: &Eal, name: &str, flows: u32) -> Result<Self, Unavailable> {
        // Half full, as it is meant to be used.
        let entries = (flows * 2).max(64);
        let mut hash = Hash::new(eal, name, entries).map_err(|error| Unavailable(error.to_string()))?;
        let records = on_huge_pages(|| vec![Line::default(); entries as usize + 1]).0;
        for n in 0..flows {
            let position = hash.add(&plain_key(n)).expect("there is room");
            assert!((position as usize) < records.len(), "a position is an entry's");
        }
        Ok(Self { hash, records })
    }

    fn look_up(&mut self, burst: &[u32; BURST]) {
        let positions = self.hash.look_up(&burst.map(plain_key));
        let records = positions.map(|position| usize::try_from(position).expect("it is there"));
        records.iter().for_each(|record| prefetch(&self.records[*record]));
        for record in records {
            self.records[record].0 += 1;
        }
    }
}

/// The same five-tuple in 16 bytes.
fn plain_key(n: u32) -> [u8; KEY_LEN] {
    let (ip, port) = client(n);
    let [a, b, c, d] = ip.octets();
    let [e, f, g, h] = SERVER;
    let [p, q] = port.to_be_bytes();
    [a, b, c, d, e, f, g, h, p, q, 0, 80, 6, 0, 0, 0]
}

fn hash_map(flows: u32) -> HashMap<[u8; KEY_LEN], [Line; 2]> {
    (0..flows).map(|n| (plain_key(n), [Line::default(); 2])).collect()
}

fn look_up_brown(map: &mut HashMap<[u8; KEY_LEN], [Line; 2]>, burst: &[u32; BURST]) {
    for n in burst {
        let [hot, cold] = map.get_mut(&plain_key(*n)).expect("it is there");
        hot.0 += 1;
        black_box(cold).0 += 1;
    }
}
