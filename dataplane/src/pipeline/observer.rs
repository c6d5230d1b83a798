//! Looking on while frames go through the stages. An observer changes nothing, and one that does nothing costs nothing.

use crate::counters::Verdict;
use crate::parse::Parsed;
use crate::port::Frame;
use crate::snapshot::Snapshot;
use crate::track::{ConnState, Tracked, Tracker};
use crate::units::{PortId, Tick};

/// What became of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Its place in the burst.
    pub index: usize,
    /// Its number among all frames that the pipeline has seen, from 0.
    pub number: u64,
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

/// What became of a frame that was held.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// The frame's [`Sight::number`].
    pub number: u64,
    /// That of the frame with which it was released; `None` when its time ran out, or another node has left.
    pub with: Option<u64>,
    /// Where it came from.
    pub port: PortId,
    /// Its outcome.
    pub verdict: Verdict,
}

/// A burst whose frames have been read and not yet tracked.
#[derive(Debug)]
pub struct Opening<'a, F> {
    /// The frames.
    pub frames: &'a [F],
    /// The port that each came from; there may be more.
    pub origins: &'a [PortId],
    /// What was read in each; there is more.
    pub parsed: &'a [Parsed],
    /// Bit i: another node of the cluster has forwarded frame i.
    pub forwarded: u64,
    /// Frames seen before this burst.
    pub seen: u64,
    /// The time.
    pub now: Tick,
    /// The flows.
    pub tracker: &'a Tracker,
    /// The snapshot in force.
    pub snapshot: &'a Snapshot,
}

/// What a frame's outcome was made from.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What was tracked: the frame, or the datagram that it completed.
    pub parsed: &'a Parsed,
    /// What the tracker said of it.
    pub tracked: &'a Tracked,
    /// The flows, after all of the burst up to a fragment has been tracked.
    pub tracker: &'a Tracker,
    /// The snapshot in force.
    pub snapshot: &'a Snapshot,
}

/// Looks on while frames get their outcomes.
pub trait Observer {
    /// Whether it is to be called at [`Observer::begin`], and a router has to say all it says by then.
    const BEGINS: bool = false;

    /// Called once a burst.
    #[inline(always)]
    fn begin<F: Frame>(&mut self, _: &Opening<'_, F>) {}

    /// Called once a frame, in the order of the burst.
    fn observe(&mut self, sight: &Sight, scene: &Scene<'_>);

    /// Called once for each frame that was held, when it waits no longer.
    fn release(&mut self, _: &Release) {}
}

impl Observer for () {
    #[inline(always)]
    fn observe(&mut self, _: &Sight, _: &Scene<'_>) {}
}
