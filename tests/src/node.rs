//! One gateway of a simulated cluster: the real pipeline between a LAN and a WAN port, in memory.

use crate::conversation::{Passage, Side};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use weir_dataplane::config::{
    self, BucketSet, Cluster, Config, HelperKind, Membership, NodeMask, Share, Tracking,
};
use weir_dataplane::counters::{PuntReason, Verdict, WorkerCounters};
use weir_dataplane::gate::handover::Step;
use weir_dataplane::gate::lease::Lease;
use weir_dataplane::pipeline::{Limits, Observer, Opening, Outbox, Pipeline, Release, Scene, Sight, Tracer};
use weir_dataplane::port::mem::MemFrame;
use weir_dataplane::port::{Burst, Frame};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::steer::Router;
use weir_dataplane::steer::service::Services;
use weir_dataplane::trace::{Filter, Trace};
use weir_dataplane::track::record::{Flags, Hot, Sights};
use weir_dataplane::units::{BURST_MAX, BucketId, Epoch, PortId, Tick};

const LIMITS: Limits = Limits { flows_max: 1 << 15, expectations_max: 1 << 12 };

/// A gateway with one worker.
pub struct Node {
    pipeline: Pipeline<MemFrame>,
    outbox: Outbox<MemFrame>,
    counters: Arc<WorkerCounters>,
    epoch: Epoch,
    frames: u64,
    /// Frames that are held, by their numbers.
    waiting: BTreeMap<u64, Vec<u8>>,
    /// What a router has sent on since it was asked.
    departed: Vec<(Side, Vec<u8>)>,
    releases: Vec<Release>,
    tracer: Tracer,
    /// The last moment that it has heard of.
    now: Tick,
}

impl Node {
    /// A gateway of this configuration, whose ports 0 and 1 are [`Side::Lan`] and [`Side::Wan`].
    pub fn new(config: &Config) -> Self {
        Self::with_limits(config, LIMITS)
    }

    /// A gateway whose tables have this much room.
    pub fn with_limits(config: &Config, limits: Limits) -> Self {
        Self::of(Snapshot::compile(Epoch::FIRST, config), limits)
    }

    /// A gateway of this configuration that routes. What it sends on is kept for [`Node::departed`].
    pub fn routed(config: &Config, router: Router) -> Self {
        Self::routed_with_limits(config, router, LIMITS)
    }

    /// The same with services.
    pub fn serving(config: &Config, router: Router, services: &config::Services) -> Self {
        Self::routed(config, router.with_services(Arc::new(Services::compile(1, services))))
    }

    /// From the next frame on these services count.
    pub fn serve(&mut self, config: &Config, version: u64, services: &config::Services) {
        let services = Arc::new(Services::compile(version, services));
        if let Some(router) = self.router() {
            self.reroute(config, router.with_services(services));
        }
    }

    /// The same with tables that have this much room.
    pub fn routed_with_limits(config: &Config, router: Router, limits: Limits) -> Self {
        Self::of(Snapshot::compile(Epoch::FIRST, config).with_router(router), limits)
    }

    fn of(snapshot: Snapshot, limits: Limits) -> Self {
        let counters = Arc::new(WorkerCounters::default());
        let epoch = snapshot.epoch();
        let pipeline = Pipeline::new(limits, 0x5eed, Arc::new(snapshot), Arc::clone(&counters));
        Self {
            outbox: pipeline.outbox(2),
            pipeline,
            counters,
            epoch,
            frames: 0,
            waiting: BTreeMap::new(),
            departed: Vec::new(),
            releases: Vec::new(),
            tracer: Tracer::default(),
            now: Tick::default(),
        }
    }

    /// From the next frame on this configuration counts. A router keeps its routes and neighbours.
    pub fn reconfigure(&mut self, config: &Config) {
        let snapshot = Snapshot::compile(self.next_epoch(), config);
        let router = self.router();
        self.adopt(if let Some(router) = router { snapshot.with_router(router) } else { snapshot });
    }

    /// The same for a router that owns nothing once `lease` is over.
    pub fn lease(&mut self, config: &Config, lease: Arc<Lease>) {
        if let Some(router) = self.router() {
            let snapshot = Snapshot::compile(self.next_epoch(), config);
            self.adopt(snapshot.with_router(router).with_lease(lease));
        }
    }

    /// The same for a gateway that routes otherwise from then on.
    pub fn reroute(&mut self, config: &Config, router: Router) {
        self.adopt(Snapshot::compile(self.next_epoch(), config).with_router(router));
    }

    /// What it routes by.
    pub fn router(&self) -> Option<Router> {
        self.pipeline.snapshot().router().cloned()
    }

    /// From the next frame on this node owns nothing: its lease is over.
    pub fn lapse(&mut self) {
        let snapshot = self.pipeline.snapshot().clone();
        self.adopt(snapshot.with_lease(Arc::default()));
    }

    fn adopt(&mut self, snapshot: Snapshot) {
        self.epoch = snapshot.epoch();
        let snapshot = snapshot.following(self.pipeline.snapshot());
        if let Some(services) = snapshot.services() {
            self.pipeline.remember(services.memories(None));
        }
        self.pipeline.adopt(Arc::new(snapshot));
        self.catch_up();
    }

    /// The epoch of the configuration that [`Node::reconfigure`] is given next.
    pub fn next_epoch(&self) -> Epoch {
        self.epoch.next()
    }

    /// Traces what `filter` means from now on, `room` frames ahead.
    pub fn trace(&mut self, room: usize, filter: Filter) -> Arc<Trace> {
        let trace = Trace::new(room, filter);
        self.tracer.add(Arc::clone(&trace));
        trace
    }

    /// What it has counted.
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// The flows in its table, in no order.
    pub fn flows(&self) -> Vec<Hot> {
        let table = self.pipeline.tracker().table();
        let records = (0..table.capacity()).filter_map(|record| u32::try_from(record).ok());
        let flows = records.map(|record| table.hot(record)).filter(|hot| hot.flags.has(Flags::LIVE));
        // Which side its packets came in by is not a matter of the flow.
        flows
            .map(|hot| Hot { sights: Sights::first(PortId::default()), extra: Hot::NO_EXTRA, ..*hot })
            .collect()
    }

    /// Takes frames in; one sight a frame, in order.
    ///
    /// # Panics
    ///
    /// When a frame has not exactly one outcome, or leaves otherwise than its verdict says.
    pub fn take<'a>(&mut self, passages: impl IntoIterator<Item = &'a Passage>) -> Vec<Sight> {
        let passages: Vec<&Passage> = passages.into_iter().collect();
        passages.chunks(BURST_MAX).flat_map(|burst| self.take_burst(burst)).collect()
    }

    /// Takes a single frame in at its moment.
    pub fn take_one(&mut self, side: Side, bytes: &[u8], at_us: u64) -> Sight {
        self.process(vec![(side, MemFrame::new(bytes))], Tick::from_ms(at_us / 1000))[0]
    }

    fn take_burst(&mut self, passages: &[&Passage]) -> Vec<Sight> {
        let now = Tick::from_ms(passages.last().map_or(0, |passage| passage.at_us) / 1000);
        let frames = passages.iter().map(|passage| (passage.side, MemFrame::new(passage.bytes.as_slice())));
        self.process(frames.collect(), now)
    }

    /// What a router has sent on since this was asked last, by the side that it left by.
    pub fn departed(&mut self) -> Vec<(Side, Vec<u8>)> {
        std::mem::take(&mut self.departed)
    }

    /// What has become of held frames since this was asked last.
    pub fn released(&mut self) -> Vec<Release> {
        std::mem::take(&mut self.releases)
    }

    /// Takes a step of a hand-over, and then all that it has held and is to look at, as a worker does.
    pub fn take_step(&mut self, step: Step) {
        drop(self.pipeline.take_step(step));
        self.catch_up();
    }

    fn catch_up(&mut self) {
        let mut seen = Seen::default();
        while self.pipeline.is_behind() {
            self.pipeline.catch_up(self.now, &mut self.outbox, &mut seen);
            self.check_departures(&seen, &[]);
            self.releases.append(&mut seen.releases);
            seen.outcomes.clear();
        }
    }

    /// Takes nothing in for some turns, at this moment.
    pub fn idle(&mut self, turns: usize, now: Tick) {
        (0..turns).for_each(|_| drop(self.process(Vec::new(), now)));
    }

    /// Takes one burst in, and lets what it forwards leave.
    fn process(&mut self, frames: Vec<(Side, MemFrame)>, now: Tick) -> Vec<Sight> {
        let (sides, frames): (Vec<Side>, Vec<MemFrame>) = frames.into_iter().unzip();
        let bytes: Vec<Vec<u8>> = frames.iter().map(|frame| frame.clone().into_bytes()).collect();
        let mut burst: Burst<MemFrame> = frames.into_iter().collect();
        let origins: Vec<PortId> = sides.into_iter().map(port).collect();
        self.now = now;
        let mut seen = Seen::default();
        if self.tracer.is_empty() {
            self.pipeline.process(&mut burst, &origins, now, &mut self.outbox, &mut seen);
            self.pipeline.housekeep(now, &mut seen);
        } else {
            let mut both = Traced { seen: &mut seen, tracer: &mut self.tracer };
            self.pipeline.process(&mut burst, &origins, now, &mut self.outbox, &mut both);
            self.pipeline.housekeep(now, &mut both);
            self.tracer.sweep();
        }
        assert!(burst.is_empty(), "the pipeline takes the whole burst");
        let indices = seen.sights.iter().map(|sight| sight.index);
        assert!(indices.eq(0..origins.len()), "each frame is observed once, in order");
        self.frames += origins.len() as u64;
        assert_eq!(self.counters.frames(), self.frames, "each frame has one outcome");
        self.check_departures(&seen, &bytes);
        self.releases.extend(&seen.releases);
        seen.sights
    }

    /// Takes frames in by [`Side::Lan`], all at the start of time; one sight a frame, in order.
    pub fn see(&mut self, frames: &[Vec<u8>]) -> Vec<Sight> {
        let mut sights = Vec::with_capacity(frames.len());
        for burst in frames.chunks(BURST_MAX) {
            let burst = burst.iter().map(|frame| (Side::Lan, MemFrame::new(frame.as_slice())));
            sights.extend(self.process(burst.collect(), Tick::default()));
        }
        sights
    }

    /// Takes a single frame in at the start of time.
    pub fn verdict(&mut self, side: Side, frame: MemFrame) -> Verdict {
        self.process(vec![(side, frame)], Tick::default())[0].verdict
    }

    /// Empties the outbox; what leaves by each port.
    fn departing(&mut self) -> [Vec<Vec<u8>>; 2] {
        let mut left = [Vec::new(), Vec::new()];
        loop {
            for (side, left) in [Side::Lan, Side::Wan].into_iter().zip(&mut left) {
                let waiting = self.outbox.take(port(side)).expect("the outbox has both ports");
                left.extend(waiting.drain(..).map(MemFrame::into_bytes));
            }
            if !self.outbox.refill() {
                return left;
            }
        }
    }

    /// The frames, as they came in, that had such an outcome.
    fn outcomes<'a>(
        &'a self,
        seen: &'a Seen,
        bytes: &'a [Vec<u8>],
        is_meant: impl Fn(Verdict) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Vec<u8>> {
        let meant = seen.outcomes.iter().filter(move |(_, verdict)| is_meant(*verdict));
        meant.map(|(frame, _)| match frame {
            Departing::New(index) => &bytes[*index],
            Departing::Held(number) => self.waiting.get(number).expect("it was held"),
        })
    }

    /// What leaves by a port is what the verdicts say, in order; unchanged, but by a router. What is left to control
    /// is as it came in.
    fn check_departures(&mut self, seen: &Seen, bytes: &[Vec<u8>]) {
        let held = seen.sights.iter().filter(|sight| sight.verdict == Verdict::Hold);
        self.waiting.extend(held.map(|sight| (sight.number, bytes[sight.index].clone())));
        let mut left = self.departing();
        for (side, left) in [Side::Lan, Side::Wan].into_iter().zip(&mut left) {
            let forwarded =
                self.outcomes(seen, bytes, move |verdict| verdict == Verdict::Forward(port(side)));
            if self.pipeline.snapshot().router().is_some() {
                assert_eq!(left.len(), forwarded.count(), "{side:?}");
                self.departed.extend(left.drain(..).map(|frame| (side, frame)));
            } else {
                assert!(left.iter().eq(forwarded), "{side:?}");
            }
        }
        // What is too long for a tunnel is left to control inside the packet that would go there.
        let as_it_came = |reason| reason != PuntReason::TunnelTooBig;
        let punts = self.outbox.punts().drain(..).filter(|punted| as_it_came(punted.reason));
        let punts: Vec<Vec<u8>> = punts.map(|punted| punted.frame.into_bytes()).collect();
        let punted = |verdict| matches!(verdict, Verdict::Punt(reason) if as_it_came(reason));
        assert!(punts.iter().eq(self.outcomes(seen, bytes, punted)), "what is left to control");
        for release in &seen.releases {
            assert!(self.waiting.remove(&release.number).is_some(), "a frame is released once: {release:?}");
        }
        let held = self.counters.verdicts[Verdict::Hold.index()].read();
        assert_eq!(held, self.waiting.len() as u64, "what is held is counted");
    }
}

#[derive(Default)]
struct Seen {
    sights: Vec<Sight>,
    releases: Vec<Release>,
    outcomes: Vec<(Departing, Verdict)>,
}

/// A frame of this burst, or of an earlier one.
enum Departing {
    New(usize),
    Held(u64),
}

impl Observer for Seen {
    fn observe(&mut self, sight: &Sight, _: &Scene<'_>) {
        self.sights.push(*sight);
        self.outcomes.push((Departing::New(sight.index), sight.verdict));
    }

    fn release(&mut self, release: &Release) {
        self.releases.push(*release);
        self.outcomes.push((Departing::Held(release.number), release.verdict));
    }
}

/// Looks on beside a tracer.
struct Traced<'a> {
    seen: &'a mut Seen,
    tracer: &'a mut Tracer,
}

impl Observer for Traced<'_> {
    const BEGINS: bool = true;

    fn begin<F: Frame>(&mut self, opening: &Opening<'_, F>) {
        self.tracer.begin(opening);
    }

    fn observe(&mut self, sight: &Sight, scene: &Scene<'_>) {
        self.seen.observe(sight, scene);
        self.tracer.observe(sight, scene);
    }

    fn release(&mut self, release: &Release) {
        self.seen.release(release);
        self.tracer.release(release);
    }
}

/// The port that a side is plugged into.
pub fn port(side: Side) -> PortId {
    PortId::new(side as usize).expect("two ports")
}

/// A bridge between the two ports with every helper at its usual port, in no cluster.
pub fn bridge() -> Config {
    let mut config = Config::default();
    config.bridge.join(port(Side::Lan), port(Side::Wan)).expect("two ports");
    config.conntrack.helpers = HelperKind::ALL.iter().flat_map(|kind| kind.rules(kind.listens().1)).collect();
    config
}

/// The same in a cluster of `total_nodes`, being the nodes `local`, counted from 0.
pub fn member(total_nodes: u16, local: Range<usize>, tracking: Tracking) -> Config {
    let buckets = local.filter_map(BucketId::new);
    let mask = NodeMask { local_nodes: buckets.collect::<BucketSet>(), invert: false };
    clustered(total_nodes, Membership::Mask(mask), tracking)
}

/// The same in a cluster of `total_nodes` buckets that are shared out like this.
pub fn clustered(total_nodes: u16, membership: Membership, tracking: Tracking) -> Config {
    let cluster = Cluster {
        total_nodes,
        hash_seed: HASH_SEED,
        membership,
        tracking,
        non_ip: Share::Owner,
        untracked: Share::Owner,
    };
    Config { cluster: Some(cluster), ..bridge() }
}

/// The hash seed of [`member`].
pub const HASH_SEED: u32 = 0xdead_beef;
