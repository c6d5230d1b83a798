//! The packet path over one burst: parse, track, decide, emit, each one plain loop.
//!
//! Between the first byte read and the last frame handed on nothing allocates, locks, logs or calls the system.
//! Each frame ends in exactly one [`Verdict`]. (The bridge changes no byte, so there is no rewrite loop here.)

use crate::config::Share;
use crate::counters::{DropReason, Verdict, WorkerCounters};
use crate::parse::{Class, Offload, Parsed, parse};
use crate::port::{Burst, Frame, FrameDefect};
use crate::snapshot::Snapshot;
use crate::steer::bridge;
use crate::track::news::{News, Peers, Post};
use crate::track::{ConnState, Context, Lookup, Packet, Tracked, Tracker};
use crate::units::{BURST_MAX, PORTS_MAX, PortId, Tick};
use crate::wire::Ethernet;
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

/// What became of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Its place in the burst.
    pub index: usize,
    /// Where it came from.
    pub port: PortId,
    /// What conntrack calls it; `None` when it was not tracked.
    pub state: Option<ConnState>,
    /// It goes in its flow's reply direction.
    pub reply: bool,
    /// This node owns it.
    pub owned: bool,
    /// Its outcome.
    pub verdict: Verdict,
}

/// Looks on while frames get their outcomes.
pub trait Observer {
    /// Called once a frame, in the order of the burst.
    fn observe(&mut self, sight: &Sight);
}

impl Observer for () {
    #[inline(always)]
    fn observe(&mut self, _: &Sight) {}
}

/// Frames that wait to be transmitted, port by port.
#[derive(Debug)]
pub struct Outbox<F> {
    ports: Vec<Burst<F>>,
}

impl<F: Frame> Outbox<F> {
    /// Empty, for `ports` ports.
    pub fn new(ports: usize) -> Self {
        Self { ports: (0..ports.min(PORTS_MAX)).map(|_| Burst::new()).collect() }
    }

    /// What is to leave by `port`.
    #[inline]
    pub fn take(&mut self, port: PortId) -> Option<&mut Burst<F>> {
        self.ports.get_mut(port.index())
    }
}

/// What one worker does to frames.
#[derive(Debug)]
pub struct Pipeline {
    tracker: Tracker,
    snapshot: Arc<Snapshot>,
    counters: Arc<WorkerCounters>,
    // One array a stage writes and the next reads.
    parsed: [Parsed; BURST_MAX],
    lookups: [Lookup; BURST_MAX],
    tracked: [Tracked; BURST_MAX],
}

impl Pipeline {
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
        counters.epoch.set(u64::from(crate::track::Owners::epoch(&*snapshot).number()));
        Self {
            tracker: Tracker::new(
                limits.flows_max,
                limits.expectations_max,
                secret,
                peers,
                Arc::clone(&counters),
            ),
            snapshot,
            counters,
            parsed: [Parsed::default(); BURST_MAX],
            lookups: [Lookup::default(); BURST_MAX],
            tracked: [Tracked::default(); BURST_MAX],
        }
    }

    /// Goes on by another snapshot; returns the old one.
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        self.counters.epoch.set(u64::from(crate::track::Owners::epoch(&*snapshot).number()));
        core::mem::replace(&mut self.snapshot, snapshot)
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

    /// The next thing to tell other workers, before what was forwarded leaves.
    #[inline]
    pub fn post(&mut self) -> Option<Post> {
        self.tracker.post()
    }

    /// Takes in what another worker tells, before the next burst.
    pub fn hear(&mut self, news: &News) {
        self.tracker.hear(news);
    }

    /// Ends what has run out of time; a bounded amount of it.
    pub fn housekeep(&mut self, now: Tick) {
        self.tracker.expire(now, EXPIRE_A_TURN);
    }

    /// Takes `burst` through all stages and leaves it empty; what is forwarded waits in `outbox`. `origins[i]` is
    /// the port that frame `i` came from.
    pub fn process<F: Frame, O: Observer>(
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
        self.parse(burst);
        self.track(burst, origins, now);
        self.emit(burst, origins, outbox, observer);
        debug_assert_eq!(self.counters.frames() - before, count, "each frame has one outcome");
    }

    fn parse<F: Frame>(&mut self, burst: &Burst<F>) {
        let rules = self.snapshot.rules();
        for (frame, parsed) in burst.iter().zip(&mut self.parsed) {
            *parsed = match frame.defect() {
                None => {
                    let offload = Offload { ip: frame.ip_checksum(), l4: frame.l4_checksum() };
                    parse(frame.bytes(), rules, offload)
                }
                Some(FrameDefect::Segmented) => Parsed::drop(DropReason::Segmented),
                Some(FrameDefect::Oversize) => Parsed::drop(DropReason::Oversize),
            };
        }
        let count = burst.len();
        for (parsed, lookup) in self.parsed[..count].iter().zip(&mut self.lookups) {
            *lookup = self.tracker.prepare(parsed);
        }
        for (parsed, lookup) in self.parsed[..count].iter().zip(&mut self.lookups) {
            self.tracker.fetch(parsed, lookup);
        }
    }

    fn track<F: Frame>(&mut self, burst: &Burst<F>, origins: &[PortId], now: Tick) {
        let context = Context { now, config: self.snapshot.conntrack(), owners: &*self.snapshot };
        let changes = self.tracker.changes();
        for (i, frame) in burst.iter().enumerate() {
            let packet = Packet { bytes: frame.bytes(), parsed: &self.parsed[i], port: origins[i] };
            self.tracked[i] = self.tracker.track(&packet, &self.lookups[i], changes, &context);
        }
    }

    fn emit<F: Frame, O: Observer>(
        &mut self,
        burst: &mut Burst<F>,
        origins: &[PortId],
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        let mut spent = Burst::new();
        for (index, frame) in burst.drain(..).enumerate() {
            let (port, tracked) = (origins[index], self.tracked[index]);
            let (owned, mut verdict) = decide(&self.snapshot, &frame, port, &self.parsed[index], &tracked);
            let refused = match verdict {
                Verdict::Forward(out) => match outbox.take(out) {
                    Some(waiting) => waiting.try_push(frame).err().map(arrayvec::CapacityError::element),
                    None => Some(frame),
                },
                _ => {
                    spent.push(frame);
                    None
                }
            };
            if let Some(frame) = refused {
                verdict = Verdict::Drop(DropReason::TxFull);
                spent.push(frame);
            }
            self.counters.outcome(verdict);
            observer.observe(&Sight {
                index,
                port,
                state: tracked.state,
                reply: tracked.reply,
                owned,
                verdict,
            });
        }
        F::release(&mut spent);
    }
}

/// The gate, then the steer: whether the frame is this node's, and where it goes.
#[inline]
fn decide<F: Frame>(
    snapshot: &Snapshot,
    frame: &F,
    port: PortId,
    parsed: &Parsed,
    tracked: &Tracked,
) -> (bool, Verdict) {
    let (owned, of_others) = match tracked.bucket {
        Some(bucket) => (snapshot.owns(bucket), DropReason::NotOwner),
        None => match parsed.class {
            Class::NonIp => (shared(snapshot, snapshot.non_ip(), frame), DropReason::NonIp),
            Class::Untracked => (shared(snapshot, snapshot.untracked(), frame), DropReason::Untracked),
            _ => (false, DropReason::NotOwner),
        },
    };
    if let Some(reason) = tracked.drop {
        return (owned, Verdict::Drop(reason));
    }
    if owned {
        return (true, bridge::decide(snapshot.bridge(), port));
    }
    let by_rule = match parsed.class {
        Class::NonIp => snapshot.non_ip() == Share::Drop,
        Class::Untracked => snapshot.untracked() == Share::Drop,
        _ => !snapshot.shadows(),
    };
    (false, if by_rule { Verdict::Drop(of_others) } else { Verdict::Shadow })
}

/// Whether this node forwards a frame that belongs to no flow.
#[inline]
fn shared<F: Frame>(snapshot: &Snapshot, share: Share, frame: &F) -> bool {
    match share {
        Share::Owner => {
            Ethernet::new(frame.bytes()).is_some_and(|ethernet| snapshot.owns_mac(ethernet.source()))
        }
        Share::Forward => true,
        Share::Drop => false,
    }
}
