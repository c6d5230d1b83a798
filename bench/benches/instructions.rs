//! The main stages under callgrind: instructions, which are the same at each run, not time.
//!
//! A benchmark does its work on [`ITEMS`] packets or flows; what it needs is made before the count begins, and what it
//! did is checked after the count has ended. `make instructions` holds the counts against `bench/instructions.json`.
#![allow(
    missing_docs,
    unused_qualifications,
    clippy::boxed_local,
    clippy::expect_used,
    reason = "gungraun's macros; only a pointer moves while it counts; a benchmark stops at the first surprise"
)]

use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use weir_bench::{BURST, Bench, BenchFrame, Kind, Wire, client, internet, serving, shuffled};
use weir_dataplane::config::route::ReversePath;
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::counters::{FlowClass, Verdict};
use weir_dataplane::key::{Address, Endpoint, Family, FlowKey};
use weir_dataplane::parse::{Class, Offload, Parsed, Rules};
use weir_dataplane::port::{Burst, Checksum, Frame};
use weir_dataplane::spread::{self as spreading, Spread};
use weir_dataplane::steer::service::Services;
use weir_dataplane::track::record::{Cold, Hot};
use weir_dataplane::track::table::FlowTable;
use weir_dataplane::units::{PortId, Span, Tick};
use weir_tests::conversation::Side;
use weir_tests::instructions::ITEMS;
use weir_tests::node::{bridge, member};
use weir_tests::packet::{Link, Mac, eth};

/// Flows in the table: four times as many as are looked up.
const FLOWS: u32 = 4 * ITEMS;
const BURSTS: usize = ITEMS as usize / BURST;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 80);

fn link() -> Link {
    eth(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]))
}

fn seconds(s: u32) -> Span {
    Span::from_s(s).expect("below the maximum")
}

/// A burst of frames, how far to trust the device, and room for what is read in them.
struct Unread {
    frames: Vec<Vec<u8>>,
    rules: Rules,
    offload: Offload,
    parsed: [Parsed; BURST],
}

impl Unread {
    fn new(frame: Vec<u8>, checksum: Checksum) -> Box<Self> {
        let rules = Rules { checksum: true, vlan_tags_max: 1, ..Rules::default() };
        let offload = Offload { ip: checksum, l4: checksum };
        Box::new(Self { frames: vec![frame; BURST], rules, offload, parsed: [Parsed::default(); BURST] })
    }

    fn check(self: Box<Self>) {
        assert!(self.parsed.iter().all(|parsed| matches!(parsed.class, Class::Flow(_))));
    }
}

fn tcp4() -> Vec<u8> {
    link().ip(Ipv4Addr::new(10, 0, 0, 1), SERVER).tcp(1024, 80).seq(1).ack(1).payload(&[7; 10]).build()
}

fn tcp6() -> Vec<u8> {
    link().ip(Ipv6Addr::LOCALHOST, SERVER6).tcp(1024, 80).seq(1).ack(1).payload(&[7; 10]).build()
}

fn udp4() -> Vec<u8> {
    link().ip(Ipv4Addr::new(10, 0, 0, 1), SERVER).udp(1024, 53).payload(&[7; 22]).build()
}

#[library_benchmark(teardown = Unread::check)]
#[bench::tcp4(Unread::new(tcp4(), Checksum::Good))]
#[bench::tcp4_checksum(Unread::new(tcp4(), Checksum::Unchecked))]
#[bench::tcp6(Unread::new(tcp6(), Checksum::Good))]
#[bench::tcp6_checksum(Unread::new(tcp6(), Checksum::Unchecked))]
#[bench::udp4(Unread::new(udp4(), Checksum::Good))]
#[bench::udp4_checksum(Unread::new(udp4(), Checksum::Unchecked))]
fn parse(mut unread: Box<Unread>) -> Box<Unread> {
    for _ in 0..BURSTS {
        let Unread { frames, rules, offload, parsed } = black_box(&mut *unread);
        for (frame, parsed) in frames.iter().zip(parsed) {
            *parsed = weir_dataplane::parse::parse(frame, *rules, *offload);
        }
    }
    unread
}

/// Frames for [`spreading::home`], and what it said.
struct Homeless {
    frames: Vec<BenchFrame>,
    homes: [usize; 4],
}

impl Homeless {
    fn new() -> Box<Self> {
        let wire = Wire::new(Kind::Ack);
        Box::new(Self { frames: (0..ITEMS).map(|n| wire.frame(n)).collect(), homes: [0; 4] })
    }

    fn check(self: Box<Self>) {
        assert_eq!(self.homes.iter().sum::<usize>(), ITEMS as usize);
        assert!(self.homes.iter().all(|count| *count > 0), "the load is spread: {:?}", self.homes);
    }
}

#[library_benchmark(teardown = Homeless::check)]
#[bench::home(Homeless::new())]
fn spread(mut homeless: Box<Homeless>) -> Box<Homeless> {
    let Homeless { frames, homes } = &mut *homeless;
    for frame in frames {
        let home = spreading::home(frame.bytes(), Spread::All, black_box(4)).expect("it is spread");
        homes[home.index()] += 1;
    }
    homeless
}

/// A table, and the keys of some of its flows in random order.
struct Flows {
    table: FlowTable,
    bursts: Vec<[FlowKey; BURST]>,
    touched: u32,
}

fn key(n: u32) -> FlowKey {
    let (ip, port) = client(n);
    let server = Endpoint::new(Address::v4(SERVER.octets()), 80);
    FlowKey::sorted(Family::V4, 6, Endpoint::new(Address::v4(ip.octets()), port), server).0
}

impl Flows {
    fn new() -> Box<Self> {
        let mut table = FlowTable::new(FLOWS, 0x5eed, Tick::default());
        let deadline = Tick::default().after(seconds(1000));
        for n in 0..FLOWS {
            let hot = Hot { key: key(n), deadline, class: FlowClass::TcpEstablished, ..Hot::free() };
            table.insert(table.prepare(&key(n)), &hot, &Cold::default(), None).expect("there is room");
        }
        let keys: Vec<FlowKey> = shuffled(FLOWS).into_iter().take(ITEMS as usize).map(key).collect();
        let bursts = keys.chunks_exact(BURST).map(|keys| keys.try_into().expect("a burst")).collect();
        Box::new(Self { table, bursts, touched: 0 })
    }

    fn check(self: Box<Self>) {
        assert_eq!(self.touched, ITEMS);
    }
}

#[library_benchmark(teardown = Flows::check)]
#[bench::look_up(Flows::new())]
fn table(mut flows: Box<Flows>) -> Box<Flows> {
    let Flows { table, bursts, touched } = &mut *flows;
    for keys in bursts {
        let hashes = keys.each_ref().map(|key| table.prepare(key));
        let candidates = hashes.map(|hash| table.candidate(hash));
        for ((key, hash), candidate) in keys.iter().zip(hashes).zip(candidates) {
            // Now and then a tag fits that is another flow's.
            let record = candidate.filter(|record| table.is(*record, key));
            let record = record.or_else(|| table.find(key, hash)).expect("it is there");
            let (hot, cold) = table.lines_mut(record);
            hot.mark.0 += 1;
            black_box(&mut cold.detail);
            *touched += 1;
        }
    }
    flows
}

/// A router with some thousand routes, in which flows are open.
struct Routed {
    bench: Bench,
    wires: internet::Wires,
    flows: Vec<u32>,
}

impl Routed {
    fn new(config: &Config, reverse_path: ReversePath, verdict: Verdict) -> Self {
        let mut routed = Self::with(config, reverse_path, None);
        let wires = &routed.wires;
        routed.bench.open_as(|kind| wires.sent(kind), verdict, &routed.flows);
        routed
    }

    /// With no flow, and a service that takes them all, by the last of a thousand rules.
    fn serving() -> Self {
        Self::with(&bridge(), ReversePath::Off, Some(1000))
    }

    /// With no flow, and a service that takes them all, if it is behind so many `rules`.
    fn with(config: &Config, reverse_path: ReversePath, rules: Option<usize>) -> Self {
        let routing = internet::routing(5000, 1000, reverse_path);
        let routes = &routing.routes[..5000];
        let mut router = internet::router(&routing);
        if let Some(rules) = rules {
            let services = Services::compile(1, &serving::capturing(rules, routes));
            router = router.with_services(Arc::new(services));
        }
        let wires = internet::Wires::new(routes, FLOWS as usize);
        Self { bench: Bench::routed(config, router, FLOWS), wires, flows: shuffled(FLOWS) }
    }

    /// Of a node that owns none of them.
    fn shadows() -> Self {
        Self::new(&member(2, 0..0, Tracking::All), ReversePath::Off, Verdict::Shadow)
    }
}

/// A pipeline, and the bursts that are about to go through it.
struct Traffic {
    bench: Bench,
    side: Side,
    bursts: Vec<Burst<BenchFrame>>,
}

impl Traffic {
    fn new(bench: Bench, kind: Kind, flows: &[u32]) -> Box<Self> {
        Self::of(bench, Side::Lan, &Wire::new(kind), flows)
    }

    fn of(bench: Bench, side: Side, wire: &Wire, flows: &[u32]) -> Box<Self> {
        let bursts = flows.chunks_exact(BURST).map(|flows| flows.iter().map(|n| wire.frame(*n)).collect());
        BenchFrame::reserve(flows.len());
        Box::new(Self { bench, side, bursts: bursts.collect() })
    }

    /// The next segment of open connections.
    fn established_tcp() -> Box<Self> {
        let mut bench = Bench::new(&bridge(), FLOWS);
        let flows = shuffled(FLOWS);
        bench.open(&flows);
        Self::new(bench, Kind::Ack, &flows[..ITEMS as usize])
    }

    /// The next datagram of streams: answered, and older than two seconds.
    fn established_udp() -> Box<Self> {
        let mut bench = Bench::new(&bridge(), FLOWS);
        let flows = shuffled(FLOWS);
        for _ in 0..2 {
            bench.send_all(&Wire::new(Kind::Udp), Side::Lan, &flows);
            bench.send_all(&Wire::new(Kind::UdpReply), Side::Wan, &flows);
            bench.wait(seconds(3));
        }
        Self::new(bench, Kind::Udp, &flows[..ITEMS as usize])
    }

    /// The next segment of open connections through a router, each to another network.
    fn routed_tcp(reverse_path: ReversePath) -> Box<Self> {
        let routed = Routed::new(&bridge(), reverse_path, Verdict::Forward(PortId::default()));
        Self::of(routed.bench, Side::Lan, &routed.wires.sent(Kind::Ack), &routed.flows[..ITEMS as usize])
    }

    /// The next segment of open connections to servers, whose answers do not pass.
    fn served_tcp() -> Box<Self> {
        let mut routed = Routed::serving();
        let wires = &routed.wires;
        routed.bench.open_one_sided(|kind| wires.sent(kind), &routed.flows);
        Self::of(routed.bench, Side::Lan, &wires.sent(Kind::Ack), &routed.flows[..ITEMS as usize])
    }

    /// SYNs that each open a flow through a router, each to another network.
    fn routed_new() -> Box<Self> {
        let routed = Routed::with(&bridge(), ReversePath::Off, None);
        Self::of(routed.bench, Side::Lan, &routed.wires.sent(Kind::Syn), &routed.flows[..ITEMS as usize])
    }

    /// SYNs that each open a flow to a server.
    fn served_new() -> Box<Self> {
        let routed = Routed::serving();
        Self::of(routed.bench, Side::Lan, &routed.wires.sent(Kind::Syn), &routed.flows[..ITEMS as usize])
    }

    /// Established TCP at a node that owns none of it, as the router's other node is sent them.
    fn shadow_sent() -> Box<Self> {
        let routed = Routed::shadows();
        Self::of(routed.bench, Side::Lan, &routed.wires.sent(Kind::Ack), &routed.flows[..ITEMS as usize])
    }

    /// And as that has forwarded them.
    fn shadow_forwarded() -> Box<Self> {
        let mut routed = Routed::shadows();
        routed.bench.send_all(&routed.wires.sent(Kind::Ack), Side::Lan, &routed.flows);
        let forwarded = routed.wires.forwarded(Kind::Ack);
        Self::of(routed.bench, Side::Wan, &forwarded, &routed.flows[..ITEMS as usize])
    }

    /// Frames at a node of `tracking: own` that owns nothing.
    fn of_others(kind: Kind) -> Box<Self> {
        let bench = Bench::new(&member(2, 0..0, Tracking::Own), FLOWS);
        Self::new(bench, kind, &shuffled(ITEMS))
    }

    /// SYNs that each open a flow.
    fn new_flows() -> Box<Self> {
        Self::new(Bench::new(&bridge(), FLOWS), Kind::Syn, &shuffled(ITEMS))
    }

    /// The same in a table that is full of unanswered ones.
    fn new_flows_evicting() -> Box<Self> {
        let mut bench = Bench::new(&bridge(), FLOWS);
        let flows = shuffled(FLOWS + ITEMS);
        let (new, old) = flows.split_at(ITEMS as usize);
        bench.send_all(&Wire::new(Kind::Syn), Side::Lan, old);
        assert_eq!(bench.flows(), FLOWS as usize, "the table is full");
        Self::new(bench, Kind::Syn, new)
    }

    /// Unanswered flows that are due at the next tick.
    fn due_flows() -> Box<Self> {
        let mut config = bridge();
        config.conntrack.tcp.timeouts.syn_sent = seconds(1);
        let mut bench = Bench::new(&config, FLOWS);
        bench.send_all(&Wire::new(Kind::Syn), Side::Lan, &shuffled(ITEMS));
        let tick = Span::from_ms(1).expect("a tick");
        bench.wait(Span::from_ms(1000 - tick.as_ms()).expect("below the maximum"));
        (0..ITEMS).for_each(|_| bench.housekeep());
        assert_eq!(bench.flows(), ITEMS as usize, "none is due yet");
        bench.wait(tick);
        Self::new(bench, Kind::Syn, &[])
    }

    fn check_forwarded(self: Box<Self>) {
        assert_eq!(self.bench.forwarded(), self.bench.counters().frames(), "nothing is dropped");
    }

    fn check_dropped(self: Box<Self>) {
        assert_eq!((self.bench.forwarded(), self.bench.counters().frames()), (0, u64::from(ITEMS)));
    }

    fn check_served(self: Box<Self>) {
        assert_eq!(self.bench.served(), self.bench.counters().frames(), "servers get all");
        self.check_forwarded();
    }

    fn check_shadows(self: Box<Self>) {
        assert_eq!(self.bench.outcomes(Verdict::Shadow), self.bench.counters().frames(), "all are heard");
    }

    fn check_created(self: Box<Self>) {
        assert_eq!(self.bench.counters().flows_total(|cells| &cells.created), u64::from(ITEMS));
        self.check_forwarded();
    }

    fn check_evicted(self: Box<Self>) {
        assert_eq!(self.bench.counters().flows_total(|cells| &cells.evicted), u64::from(ITEMS));
        self.check_forwarded();
    }

    fn check_expired(self: Box<Self>) {
        assert_eq!(self.bench.counters().flows_total(|cells| &cells.expired), u64::from(ITEMS));
        assert_eq!(self.bench.flows(), 0);
    }
}

#[library_benchmark]
#[bench::established_tcp(args = (Traffic::established_tcp()), teardown = Traffic::check_forwarded)]
#[bench::established_udp(args = (Traffic::established_udp()), teardown = Traffic::check_forwarded)]
#[bench::routed_tcp(args = (Traffic::routed_tcp(ReversePath::Off)), teardown = Traffic::check_forwarded)]
#[bench::routed_tcp_strict(args = (Traffic::routed_tcp(ReversePath::Strict)), teardown = Traffic::check_forwarded)]
#[bench::routed_new(args = (Traffic::routed_new()), teardown = Traffic::check_created)]
#[bench::served_tcp(args = (Traffic::served_tcp()), teardown = Traffic::check_served)]
#[bench::served_new(args = (Traffic::served_new()), teardown = Traffic::check_served)]
#[bench::shadow_sent(args = (Traffic::shadow_sent()), teardown = Traffic::check_shadows)]
#[bench::shadow_forwarded(args = (Traffic::shadow_forwarded()), teardown = Traffic::check_shadows)]
#[bench::syn_of_others(args = (Traffic::of_others(Kind::Syn)), teardown = Traffic::check_dropped)]
#[bench::ack_of_others(args = (Traffic::of_others(Kind::Ack)), teardown = Traffic::check_dropped)]
#[bench::new_flow(args = (Traffic::new_flows()), teardown = Traffic::check_created)]
#[bench::new_flow_evicting(args = (Traffic::new_flows_evicting()), teardown = Traffic::check_evicted)]
fn pipeline(mut traffic: Box<Traffic>) -> Box<Traffic> {
    let Traffic { bench, side, bursts } = &mut *traffic;
    for burst in bursts {
        bench.process(burst, *side);
    }
    traffic
}

#[library_benchmark(teardown = Traffic::check_expired)]
#[bench::expire(Traffic::due_flows())]
fn housekeeping(mut traffic: Box<Traffic>) -> Box<Traffic> {
    // Turn by turn until none of the due flows is left; each ends one at least.
    for _ in 0..ITEMS {
        if traffic.bench.flows() == 0 {
            break;
        }
        traffic.bench.housekeep();
    }
    traffic
}

library_benchmark_group!(name = stages, benchmarks = [parse, spread, table, pipeline, housekeeping]);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = stages
);
