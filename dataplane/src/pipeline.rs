//! The packet path over one burst: parse, track, decide, emit, each one plain loop.
//!
//! A burst with fragments goes frame by frame where they stand (`pipeline/fragments.rs`); all others take no notice.
//!
//! Between the first byte read and the last frame handed on nothing allocates, locks, logs or calls the system. Each
//! frame ends in exactly one [`Verdict`]. A bridge changes no byte; what a router forwards is rewritten as it is emitted.

mod admit;
mod decide;
mod fragments;
mod handover;
mod observer;
mod outbox;
mod service;
mod set;
mod shadow;
mod tracer;
mod vips;

pub use observer::{Observer, Opening, Release, Scene, Sight};
pub use outbox::Outbox;
pub use tracer::Tracer;

use crate::counters::{DropReason, Verdict, WorkerCounters};
use crate::fragment::Reassembly;
use crate::parse::{Kind, Parsed, Rules, parse_into};
use crate::port::{Burst, Frame, FrameDefect};
use crate::snapshot::{HEARD_FORWARDED, HEARD_SENT, Snapshot};
use crate::steer::bridge;
use crate::steer::route::Found;
use crate::steer::service::memory::Memories;
use crate::track::news::{News, Peers, Post};
use crate::track::{Context, Lead, Lookup, Owners, Packet, Steering, Tracked, Tracker};
use crate::units::{BURST_MAX, PortId, Tick};
use decide::{decide, decide_slowly, hand_on, leads_nowhere};
use handover::Handover;
use service::{count, serve};
use set::Set;
use std::sync::Arc;

/// Records that one turn's housekeeping looks at, at most.
const EXPIRE_A_TURN: u32 = 64;

/// The sizes of one worker's tables.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Flows.
    pub flows_max: u32,
    /// Expectations.
    pub expectations_max: u32,
}

/// What one worker does to frames.
#[derive(Debug)]
pub struct Pipeline<F> {
    tracker: Tracker,
    reassembly: Reassembly<F>,
    memories: Memories,
    handover: Handover<F>,
    snapshot: Arc<Snapshot>,
    counters: Arc<WorkerCounters>,
    // One array a stage writes and the next reads.
    parsed: [Parsed; BURST_MAX],
    lookups: [Lookup; BURST_MAX],
    tracked: [Tracked; BURST_MAX],
    /// Of a router: whether each frame is this node's, and where it goes.
    outcomes: [(bool, Verdict); BURST_MAX],
    /// Bit i: frame i of the burst is what another router has forwarded.
    forwarded: u64,
    /// Bit i: frame i of the burst is plainly for this router, which has yet to say what becomes of it.
    pending: u64,
    /// Frames seen before this burst.
    seen: u64,
}

const _: () = assert!(BURST_MAX <= u64::BITS as usize);

impl<F: Frame> Pipeline<F> {
    /// The pipeline of the only worker, with empty tables. `secret` seeds their hashes: it should be random where
    /// traffic is not trusted.
    pub fn new(limits: Limits, secret: u64, snapshot: Arc<Snapshot>, counters: Arc<WorkerCounters>) -> Self {
        Self::among(Peers::ALONE, limits, secret, snapshot, counters)
    }

    /// The same for a worker that has [`Peers`]: what they must know is to be taken from [`Pipeline::post`].
    pub fn among(
        peers: Peers,
        limits: Limits,
        secret: u64,
        snapshot: Arc<Snapshot>,
        counters: Arc<WorkerCounters>,
    ) -> Self {
        let Limits { flows_max, expectations_max } = limits;
        counters.epoch.set(u64::from(snapshot.epoch().number()));
        let workers = u32::try_from(peers.workers).unwrap_or(u32::MAX);
        let memories = snapshot.services().map(|services| services.memories(None)).unwrap_or_default();
        counters.services_version.set(memories.version());
        let mut pipeline = Self {
            memories,
            handover: Handover::new(),
            reassembly: Reassembly::new(snapshot.conntrack().fragments.frames_max, workers, secret),
            tracker: Tracker::new(flows_max, expectations_max, secret, peers, Arc::clone(&counters)),
            snapshot,
            counters,
            parsed: [Parsed::default(); BURST_MAX],
            lookups: [Lookup::default(); BURST_MAX],
            tracked: [Tracked::default(); BURST_MAX],
            outcomes: [(false, Verdict::Shadow); BURST_MAX],
            forwarded: 0,
            pending: 0,
            seen: 0,
        };
        pipeline.know_servers();
        pipeline
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The flows, to look at.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The flows, for what control asks of them.
    pub(crate) fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    /// The flows, and what is known of services, for the same.
    pub(crate) fn tables_mut(&mut self) -> (&mut Tracker, &mut Memories) {
        (&mut self.tracker, &mut self.memories)
    }

    /// The next thing to tell other workers, before what was forwarded leaves.
    #[inline]
    pub fn post(&mut self) -> Option<Post> {
        self.tracker.post().or_else(|| self.memories.post())
    }

    /// Takes in what another worker tells, before the next burst.
    pub fn hear(&mut self, news: &News) {
        match news {
            News::Learned { service, lesson } => self.memories.hear(*service, lesson),
            News::Visited { service, visit } => self.memories.hear_visit(*service, visit),
            of_flows => self.tracker.hear(of_flows),
        }
    }

    /// An outbox for `ports` ports that takes all that this pipeline can release at once.
    pub fn outbox(&self, ports: usize) -> Outbox<F> {
        Outbox::new(ports, self.reassembly.capacity() + BURST_MAX)
    }

    /// Ends what has run out of time; a bounded amount of it.
    pub fn housekeep<O: Observer>(&mut self, now: Tick, observer: &mut O) {
        self.tracker.expire(now, EXPIRE_A_TURN);
        self.memories.sweep(now);
        self.expire_fragments(now, observer);
    }

    /// Takes `burst` through all stages and leaves it empty; what is forwarded waits in `outbox`. `origins[i]` is
    /// the port that frame `i` came from.
    pub fn process<O: Observer>(
        &mut self,
        burst: &mut Burst<F>,
        origins: &[PortId],
        now: Tick,
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        debug_assert!(origins.len() >= burst.len(), "each frame comes from a port");
        let before = self.counters.frames();
        let count = burst.len() as u64;
        let has_fragments = match self.snapshot.router() {
            None => self.parse(burst),
            Some(_) => self.parse_routed(burst, origins, now),
        };
        if O::BEGINS || has_fragments {
            self.admit_plain(burst, origins, now);
        }
        if O::BEGINS {
            observer.begin(&Opening {
                frames: burst,
                origins,
                parsed: &self.parsed,
                forwarded: self.forwarded,
                seen: self.seen,
                now,
                tracker: &self.tracker,
                snapshot: &self.snapshot,
            });
        }
        if has_fragments {
            self.process_with_fragments(burst, origins, now, outbox, observer);
        } else {
            self.process_whole(burst, 0, origins, now, outbox, observer);
        }
        self.seen += count;
        debug_assert_eq!(self.counters.frames() - before, count, "each frame has one outcome");
    }

    /// Reads each frame and asks for the index line of its flow; whether one of them is a fragment.
    fn parse(&mut self, burst: &Burst<F>) -> bool {
        let rules = self.snapshot.rules();
        let mut has_fragments = false;
        for ((frame, parsed), lookup) in burst.iter().zip(&mut self.parsed).zip(&mut self.lookups) {
            has_fragments |= read(frame, rules, parsed) == Kind::Fragment;
            *lookup = self.tracker.prepare(parsed);
        }
        has_fragments
    }

    /// The stages behind parse, for frames of which none is a fragment. `first` is the place of the first of them
    /// in the burst that `origins` is about.
    fn process_whole<O: Observer>(
        &mut self,
        frames: &mut Burst<F>,
        first: usize,
        origins: &[PortId],
        now: Tick,
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        if frames.is_empty() {
            return;
        }
        if self.snapshot.router().is_none() {
            for lookup in &mut self.lookups[..frames.len()] {
                self.tracker.fetch(lookup);
            }
            self.track::<false, false>(frames, first, origins, now);
            let out = self.one_way(frames.len(), &origins[first..]);
            if !self.emit_one_way(out, frames, first, origins, outbox, observer) {
                self.emit::<O, false>(frames, first, origins, now, outbox, observer);
            }
        } else {
            self.fetch_routed(frames.len(), first);
            match self.forwarded {
                0 => self.track::<true, false>(frames, first, origins, now),
                _ => self.track::<true, true>(frames, first, origins, now),
            }
            if !self.handover.is_idle() {
                return self.emit_watched(frames, first, origins, now, outbox, observer);
            }
            let out = self.route(frames, first, origins, now);
            if !self.emit_one_way(out, frames, first, origins, outbox, observer) {
                self.emit::<O, true>(frames, first, origins, now, outbox, observer);
            }
        }
    }

    /// `first` is the place of the first of `frames` in the burst. `FORWARDED`: another router may have forwarded some.
    /// Kept apart: a bridge's and a router's in one function would share its registers.
    #[inline(never)]
    fn track<const ROUTES: bool, const FORWARDED: bool>(
        &mut self,
        frames: &Burst<F>,
        first: usize,
        origins: &[PortId],
        now: Tick,
    ) {
        let count = frames.len();
        let Self { tracker, memories, snapshot, parsed, lookups, tracked, .. } = self;
        let context = Context { now, config: snapshot.conntrack(), owners: &**snapshot };
        let (changes, serves) = (tracker.changes(), ROUTES && snapshot.services().is_some());
        let results = parsed.iter_mut().zip(lookups).zip(tracked);
        let frames = frames.iter().zip(&origins[first..]).zip(results);
        let (mut forwarded, mut pending) = (self.forwarded >> first, self.pending >> first);
        for ((frame, origin), ((parsed, lookup), tracked)) in frames {
            let bytes = frame.bytes();
            let again = FORWARDED && forwarded & 1 == 1;
            let waits = (ROUTES && pending & 1 == 1).then_some(*origin);
            (forwarded, pending) = (forwarded >> 1, pending >> 1);
            let port = if ROUTES { heard(again) } else { *origin };
            let packet = Packet { bytes, parsed, port };
            let told = if again {
                tracker.glance_again(packet, lookup, &context, tracked)
            } else {
                tracker.glance(packet, lookup, changes, &context, waits, tracked)
            };
            let told = match told {
                None if serves && !again => tracker.glance_half(packet, lookup, &context, waits, tracked),
                told => told,
            };
            if told.is_some() {
                continue;
            }
            if !ROUTES {
                *tracked =
                    track_slowly(tracker, &Packet { bytes, parsed, port }, lookup, changes, now, snapshot);
                continue;
            }
            let (mut lead, mut fresh) = (Lead::NONE, false);
            if waits.is_some() {
                (lead, fresh) = admit::by_flow(tracker, snapshot, (bytes, *origin, now), lookup, parsed);
            }
            let packet = &Packet { bytes, parsed, port };
            if !fresh || glance_late(tracker, packet, lookup, changes, now, snapshot, tracked).is_none() {
                *tracked = track_slowly(tracker, packet, lookup, changes, now, snapshot);
                serve(tracker, memories, snapshot, parsed, (bytes, *origin, again, now), tracked);
            }
            if tracked.drop.is_none() && tracked.steering == Steering::ROUTE {
                tracked.lead = lead;
            }
        }
        if snapshot.has_lapsed(now) {
            self.tracked[..count].iter_mut().for_each(disown);
        }
    }

    /// A router's decision on each frame, and what it rewrites; where all of them go, if it is the same way. Kept apart:
    /// what it needs in registers is much.
    #[inline(never)]
    fn route(
        &mut self,
        frames: &mut Burst<F>,
        first: usize,
        origins: &[PortId],
        now: Tick,
    ) -> Option<PortId> {
        let router = self.snapshot.router()?;
        let me = Some(self.snapshot.me());
        let of_others =
            if self.snapshot.shadows() { Verdict::Shadow } else { Verdict::Drop(DropReason::NotOwner) };
        let (mut ways, mut others, mut all_ours) = (Set::default(), Set::default(), true);
        let read = self.parsed.iter().zip(&self.tracked).zip(&mut self.outcomes);
        for (i, (frame, ((parsed, tracked), outcome))) in frames.iter_mut().zip(read).enumerate() {
            let ours = tracked.owner == me;
            let plain = tracked.lead.number().map(Found::of);
            all_ours &= ours;
            if !ours && plain.is_some() {
                *outcome = (false, of_others);
            } else if let Some(found) = plain
                && let Some(out) = router.forward_plain(frame.bytes_mut(), parsed, found)
            {
                *outcome = (true, Verdict::Forward(out));
                ways.insert(out.index());
            } else {
                others.insert(i);
            }
        }
        if all_ours && others.is_empty() {
            return ways.only().and_then(PortId::new);
        }
        let others = self.deliver(others, frames, first, &mut ways);
        if all_ours && others.is_empty() {
            return ways.only().and_then(PortId::new);
        }
        for i in others {
            let passage = (origins[first + i], self.forwarded >> (first + i) & 1 == 1, now);
            let (frame, parsed, tracked) = (&mut frames[i], &self.parsed[i], &self.tracked[i]);
            let (owned, verdict) = decide_slowly(&self.snapshot, frame, passage, parsed, tracked);
            count(&self.counters, tracked, parsed, verdict);
            if leads_nowhere(parsed, tracked, verdict) {
                self.tracker.give_up(&parsed.key, now);
            }
            self.outcomes[i] = (owned, verdict);
        }
        None
    }

    /// Hands all of the frames on at once, if they all go the same way, by `out`; whether they do.
    #[inline(always)]
    fn emit_one_way<O: Observer>(
        &mut self,
        out: Option<PortId>,
        frames: &mut Burst<F>,
        first: usize,
        origins: &[PortId],
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) -> bool {
        let count = frames.len();
        let Some(out) = out.filter(|out| outbox.put_all(*out, frames)) else { return false };
        let verdict = Verdict::Forward(out);
        self.counters.outcomes(verdict, count as u64);
        for i in 0..count {
            self.show(first + i, i, origins, (true, verdict), observer);
        }
        true
    }

    #[inline(never)]
    fn emit<O: Observer, const ROUTES: bool>(
        &mut self,
        frames: &mut Burst<F>,
        first: usize,
        origins: &[PortId],
        now: Tick,
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        let mut spent = Burst::new();
        for (i, mut frame) in frames.drain(..).enumerate() {
            let port = origins[first + i];
            let (owned, verdict) = if ROUTES {
                self.outcomes[i]
            } else {
                let (parsed, tracked) = (&self.parsed[i], &self.tracked[i]);
                decide::<F, false>(&self.snapshot, &mut frame, (port, false, now), parsed, tracked)
            };
            let verdict = hand_on::<F, ROUTES>(frame, port, verdict, outbox, &mut spent);
            self.counters.outcome(verdict);
            self.show(first + i, i, origins, (owned, verdict), observer);
        }
        F::release(&mut spent);
    }

    /// Where a bridge sends all of the first `count` frames, if it is the same way: they came from one port, and are this
    /// node's.
    #[inline(always)]
    fn one_way(&self, count: usize, origins: &[PortId]) -> Option<PortId> {
        let port = *origins.first()?;
        let me = Some(self.snapshot.me());
        let mine = |tracked: &Tracked| tracked.drop.is_none() && tracked.owner == me;
        let mut frames = self.tracked[..count].iter().zip(origins);
        if !frames.all(|(tracked, origin)| *origin == port && mine(tracked)) {
            return None;
        }
        match bridge::decide(self.snapshot.bridge(), port) {
            Verdict::Forward(out) => Some(out),
            _ => None,
        }
    }

    /// Tells `observer` of the frame at `index` of the burst, which is number `i` of those under way.
    #[inline(always)]
    fn show<O: Observer>(
        &self,
        index: usize,
        i: usize,
        origins: &[PortId],
        (owned, verdict): (bool, Verdict),
        observer: &mut O,
    ) {
        let (number, port) = (self.seen + index as u64, origins[index]);
        let (parsed, tracked) = (&self.parsed[i], &self.tracked[i]);
        let Tracked { state, reply, .. } = *tracked;
        let scene = Scene { parsed, tracked, tracker: &self.tracker, snapshot: &self.snapshot };
        observer.observe(&Sight { index, number, port, state, reply, owned, verdict }, &scene);
    }
}

/// Reads a frame into `parsed`.
#[inline(always)]
fn read<F: Frame>(frame: &F, rules: Rules, parsed: &mut Parsed) -> Kind {
    match frame.defect() {
        None => return parse_into(frame.bytes(), rules, frame.offload(), parsed),
        Some(FrameDefect::Segmented) => *parsed = Parsed::drop(DropReason::Segmented),
        Some(FrameDefect::Oversize) => *parsed = Parsed::drop(DropReason::Oversize),
    }
    Kind::Other
}

/// The port that a router's frame is heard by, to the tracker.
#[inline(always)]
const fn heard(forwarded: bool) -> PortId {
    if forwarded { HEARD_FORWARDED } else { HEARD_SENT }
}

/// Without a lease no packet is this node's, whatever is known of its flow.
fn disown(tracked: &mut Tracked) {
    tracked.owner = None;
}

/// [`Tracker::glance`] at a packet that has been admitted without the help of its flow, kept apart as that is rare.
#[inline(never)]
fn glance_late(
    tracker: &mut Tracker,
    packet: &Packet<'_>,
    lookup: &Lookup,
    changes: u64,
    now: Tick,
    snapshot: &Snapshot,
    tracked: &mut Tracked,
) -> Option<()> {
    let context = Context { now, config: snapshot.conntrack(), owners: snapshot };
    tracker.glance(*packet, lookup, changes, &context, None, tracked)
}

/// [`Tracker::track`], kept apart: what it needs in memory the short way need not write there.
#[inline(never)]
fn track_slowly(
    tracker: &mut Tracker,
    packet: &Packet<'_>,
    lookup: &Lookup,
    changes: u64,
    now: Tick,
    snapshot: &Snapshot,
) -> Tracked {
    let context = Context { now, config: snapshot.conntrack(), owners: snapshot };
    tracker.track(packet, lookup, changes, &context)
}
