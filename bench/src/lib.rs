//! What the benchmarks share: flows in random order, frames that are made before the clock runs.

#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark stops at the first surprise"
)]

pub mod figure;
pub mod internet;
pub mod machine;
pub mod parts;
pub mod picture;
pub mod queues;
pub mod report;
pub mod rounds;
pub mod serving;

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_dataplane::config::Config;
use weir_dataplane::counters::{Verdict, WorkerCounters};
use weir_dataplane::pipeline::{Limits, Outbox, Pipeline};
use weir_dataplane::port::{Burst, Checksum, Frame, FrameDefect, Offload};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::steer::Router;
use weir_dataplane::units::{Epoch, PortId, Span, Tick};
use weir_tests::conversation::Side;
use weir_tests::node::port;
use weir_tests::packet::{Mac, eth};

/// Frames in a burst.
pub const BURST: usize = 32;

/// Where a frame of [`Wire`] has its MAC addresses, which are six bytes each,
const DESTINATION_MAC: usize = 0;
const SOURCE_MAC: usize = 6;
/// its IPv4 source and, over TCP and UDP, its source port.
const SOURCE: usize = 26;
const SOURCE_PORT: usize = 34;
const DESTINATION: usize = 30;
const DESTINATION_PORT: usize = 36;

thread_local! {
    /// Buffers that wait to be used again, as in a device's pool.
    static POOL: RefCell<Vec<BenchFrame>> = const { RefCell::new(Vec::new()) };
}

/// A frame whose buffer comes from a pool, and whose checksums the "device" has found right.
#[derive(Debug)]
pub struct BenchFrame(Box<[u8; 64]>);

impl BenchFrame {
    /// Makes room for so many frames to wait in the pool, so that giving them back allocates nothing.
    pub fn reserve(count: usize) {
        POOL.with_borrow_mut(|pool| pool.reserve(count));
    }

    #[inline]
    fn take() -> Self {
        POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| Self(Box::new([0; 64])))
    }
}

impl Frame for BenchFrame {
    fn bytes(&self) -> &[u8] {
        &*self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut *self.0
    }

    /// The buffer is as long as the frame.
    fn grow_front(&mut self, _: usize) -> bool {
        false
    }

    /// As long as it is, it stays.
    fn shrink_front(&mut self, _: usize) -> bool {
        false
    }

    fn defect(&self) -> Option<FrameDefect> {
        None
    }

    fn offload(&self) -> Offload {
        Offload { ip: Checksum::Good, l4: Checksum::Good }
    }

    fn release(frames: &mut Burst<Self>) {
        POOL.with_borrow_mut(|pool| pool.extend(frames.drain(..)));
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The client's SYN.
    Syn,
    /// The server's answer.
    SynAck,
    /// The client's ACK, the same again and again.
    Ack,
    /// The client's datagram.
    Udp,
    /// The server's.
    UdpReply,
}

/// The client of flow `n`: an address and a port of its own.
pub fn client(n: u32) -> (Ipv4Addr, u16) {
    (Ipv4Addr::from(0x0a00_0000 | (n & 0x00ff_ffff)), 1024 + (n >> 4) as u16 % 60_000)
}

/// The frames of one kind, 64 bytes each, of which flow `n`'s is made by writing who talks to whom.
#[derive(Clone, Debug)]
pub struct Wire {
    kind: Kind,
    template: [u8; 64],
    servers: Arc<[Ipv4Addr]>,
}

impl Wire {
    /// Frames of `kind`, between the clients and one server.
    pub fn new(kind: Kind) -> Self {
        let server = Ipv4Addr::new(192, 0, 2, 80);
        let (a, b) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let (ip, _) = client(0);
        let frame = match kind {
            Kind::Syn => eth(a, b).ip(ip, server).tcp(1024, 80).seq(100).window(64_000).syn().build(),
            Kind::SynAck => {
                eth(b, a).ip(server, ip).tcp(80, 1024).seq(500).ack(101).window(64_000).syn().build()
            }
            Kind::Ack => eth(a, b).ip(ip, server).tcp(1024, 80).seq(101).ack(501).window(64_000).build(),
            Kind::Udp => eth(a, b).ip(ip, server).udp(1024, 4433).payload(&[0; 22]).build(),
            Kind::UdpReply => eth(b, a).ip(server, ip).udp(4433, 1024).payload(&[0; 22]).build(),
        };
        let mut template = [0; 64];
        template[..frame.len()].copy_from_slice(&frame);
        Self { kind, template, servers: Arc::new([server]) }
    }

    /// The same of flows that each have another one of these servers.
    #[must_use]
    pub fn to_servers(self, servers: &Arc<[Ipv4Addr]>) -> Self {
        Self { servers: Arc::clone(servers), ..self }
    }

    /// The same from one station to another.
    #[must_use]
    pub fn between(mut self, source: Mac, destination: Mac) -> Self {
        for (at, mac) in [(SOURCE_MAC, source), (DESTINATION_MAC, destination)] {
            self.template[at..at + 6].copy_from_slice(&mac.0);
        }
        self
    }

    /// The frame of flow `n`.
    #[inline]
    pub fn frame(&self, n: u32) -> BenchFrame {
        let mut frame = BenchFrame::take();
        *frame.0 = self.template;
        let (ip, port) = client(n);
        let (client, at, server) = match self.kind {
            Kind::SynAck | Kind::UdpReply => (DESTINATION, DESTINATION_PORT, SOURCE),
            _ => (SOURCE, SOURCE_PORT, DESTINATION),
        };
        let server_ip = self.servers[n as usize % self.servers.len()];
        frame.0[client..client + 4].copy_from_slice(&ip.octets());
        frame.0[server..server + 4].copy_from_slice(&server_ip.octets());
        frame.0[at..at + 2].copy_from_slice(&port.to_be_bytes());
        frame
    }
}

/// The numbers below `count` in an order without a pattern, the same each time.
pub fn shuffled(count: u32) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for i in (1..numbers.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers.swap(i, (state >> 33) as usize % (i + 1));
    }
    numbers
}

/// Bursts that are timed together: their frames fit the second cache, as those of a device's ring do.
pub const BLOCK: usize = 32;

/// One pipeline, and the frames that go round through it.
pub struct Bench {
    pipeline: Pipeline<BenchFrame>,
    counters: Arc<WorkerCounters>,
    outbox: Outbox<BenchFrame>,
    now: Tick,
    /// Frames on their way in and, when they have been processed, out: made and given back while no clock runs.
    block: Vec<Burst<BenchFrame>>,
}

impl Bench {
    /// A gateway of this configuration with room for `flows_max` flows.
    pub fn new(config: &Config, flows_max: u32) -> Self {
        Self::of(Snapshot::compile(Epoch::FIRST, config), flows_max)
    }

    /// The same of one that routes.
    pub fn routed(config: &Config, router: Router, flows_max: u32) -> Self {
        Self::of(Snapshot::compile(Epoch::FIRST, config).with_router(router), flows_max)
    }

    fn of(snapshot: Snapshot, flows_max: u32) -> Self {
        let counters = Arc::new(WorkerCounters::default());
        let limits = Limits { flows_max, expectations_max: 64 };
        let pipeline = Pipeline::new(limits, 0x5eed, Arc::new(snapshot), Arc::clone(&counters));
        let outbox = pipeline.outbox(2);
        let block = (0..BLOCK).map(|_| Burst::new()).collect();
        Self { pipeline, counters, outbox, now: Tick::default(), block }
    }

    /// The time that the frames of these flows take in the pipeline, in nanoseconds a frame. After each burst
    /// `between` has its turn, and its time is in it.
    pub fn time(&mut self, wire: &Wire, side: Side, flows: &[u32], between: impl FnMut(&mut Self)) -> f64 {
        self.time_all(&[(wire, side)], flows, between)
    }

    /// The same where each burst is heard several times: as these frames, by these sides.
    pub fn time_all(
        &mut self,
        heard: &[(&Wire, Side)],
        flows: &[u32],
        mut between: impl FnMut(&mut Self),
    ) -> f64 {
        let mut spent = Duration::ZERO;
        for flows in flows.chunks(BLOCK / heard.len() * BURST) {
            let mut block = core::mem::take(&mut self.block);
            let bursts = flows
                .chunks(BURST)
                .flat_map(|flows| heard.iter().map(move |(wire, side)| (flows, wire, *side)));
            let mut sides = [Side::Lan; BLOCK];
            let mut count = 0;
            for ((burst, at), (flows, wire, side)) in block.iter_mut().zip(&mut sides).zip(bursts) {
                burst.extend(flows.iter().map(|n| wire.frame(*n)));
                *at = side;
                count += 1;
            }
            let start = Instant::now();
            for (burst, side) in block[..count].iter_mut().zip(sides) {
                self.pipeline.process(burst, &[port(side); BURST], self.now, &mut self.outbox, &mut ());
                for side in [Side::Lan, Side::Wan] {
                    if let Some(left) = self.outbox.take(port(side)).filter(|left| !left.is_empty()) {
                        core::mem::swap(burst, left);
                    }
                }
                between(self);
            }
            spent += start.elapsed();
            block.iter_mut().for_each(BenchFrame::release);
            self.block = block;
        }
        spent.as_nanos() as f64 / (heard.len() * flows.len()) as f64
    }

    /// Lets time pass. The flows that are due then are still there.
    pub fn wait(&mut self, span: Span) {
        self.now = self.now.after(span);
    }

    /// Takes a burst of at most [`BURST`] frames in, and gives their buffers back.
    #[inline]
    pub fn process(&mut self, burst: &mut Burst<BenchFrame>, side: Side) {
        self.pipeline.process(burst, &[port(side); BURST], self.now, &mut self.outbox, &mut ());
        for side in [Side::Lan, Side::Wan] {
            if let Some(left) = self.outbox.take(port(side)) {
                BenchFrame::release(left);
            }
        }
    }

    /// Ends what is due, as one turn of a worker does.
    #[inline]
    pub fn housekeep(&mut self) {
        self.pipeline.housekeep(self.now, &mut ());
    }

    /// Sends the frames of these flows, a burst at most.
    #[inline]
    pub fn send(&mut self, wire: &Wire, side: Side, flows: &[u32]) {
        let mut burst = flows.iter().map(|n| wire.frame(*n)).collect();
        self.process(&mut burst, side);
    }

    /// Sends the frames of any number of flows.
    pub fn send_all(&mut self, wire: &Wire, side: Side, flows: &[u32]) {
        for burst in flows.chunks(BURST) {
            self.send(wire, side, burst);
        }
    }

    /// Opens these flows with a whole handshake each.
    ///
    /// # Panics
    ///
    /// When one of them is not open then.
    pub fn open(&mut self, flows: &[u32]) {
        self.open_as(Wire::new, Verdict::Forward(PortId::default()), flows);
    }

    /// The same by these frames, with which this becomes of each of them.
    ///
    /// # Panics
    ///
    /// See [`Bench::open`].
    pub fn open_as(&mut self, wire: impl Fn(Kind) -> Wire, verdict: Verdict, flows: &[u32]) {
        let handshake = [(Kind::Syn, Side::Lan), (Kind::SynAck, Side::Wan), (Kind::Ack, Side::Lan)];
        self.say(&handshake, wire, verdict, flows);
    }

    /// The same where the servers' answers do not pass here.
    ///
    /// # Panics
    ///
    /// See [`Bench::open`].
    pub fn open_one_sided(&mut self, wire: impl Fn(Kind) -> Wire, flows: &[u32]) {
        let half = [(Kind::Syn, Side::Lan), (Kind::Ack, Side::Lan)];
        self.say(&half, wire, Verdict::Forward(PortId::default()), flows);
    }

    fn say(
        &mut self,
        segments: &[(Kind, Side)],
        wire: impl Fn(Kind) -> Wire,
        verdict: Verdict,
        flows: &[u32],
    ) {
        let before = self.outcomes(verdict);
        for (kind, side) in segments {
            self.send_all(&wire(*kind), *side, flows);
        }
        let count = segments.len() * flows.len();
        assert_eq!(self.outcomes(verdict) - before, count as u64, "of each segment becomes this");
    }

    /// Flows in the table.
    pub fn flows(&self) -> usize {
        self.pipeline.tracker().table().len()
    }

    /// Frames forwarded so far.
    pub fn forwarded(&self) -> u64 {
        self.outcomes(Verdict::Forward(PortId::default()))
    }

    /// Frames of which this became so far.
    pub fn outcomes(&self, verdict: Verdict) -> u64 {
        self.counters.verdicts[verdict.index()].read()
    }

    /// Frames sent to servers of a service so far.
    pub fn served(&self) -> u64 {
        serving::server_ids().map(|server| self.counters.server(server).packets.read()).sum()
    }

    /// What it has counted.
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }
}
