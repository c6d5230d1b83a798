//! A worker's part of a planned hand-over: [`crate::gate::handover`] says what it is for.
//!
//! Frames that are held have been tracked when they came, and are not tracked again: when their owner has left, it is
//! asked anew whose they are. Each has the outcome [`Verdict::Hold`] until then.

use super::service::{Place, count, dispatch};
use super::{Observer, Outbox, Pipeline, Release, decide_slowly, disown, hand_on, leads_nowhere};
use crate::counters::{Verdict, WorkerCounters};
use crate::gate::handover::{DIGESTS_MAX, HELD_MAX, Notes, Passed, SETTLE_ROUNDS, Step, digest};
use crate::parse::{Class, Parsed};
use crate::port::{Burst, Frame};
use crate::snapshot::Snapshot;
use crate::track::{Owners, Tracked};
use crate::units::{BURST_MAX, MemberId, PortId, Tick};
use std::collections::VecDeque;
use std::sync::Arc;

/// Where a frame comes from, and which it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage {
    pub(super) number: u64,
    pub(super) port: PortId,
    /// Another router has forwarded it.
    pub(super) forwarded: bool,
}

/// A frame that waits for its owner to have left.
#[derive(Debug)]
struct Held<F> {
    frame: F,
    port: PortId,
    number: u64,
    digest: u64,
    parsed: Parsed,
    tracked: Tracked,
}

/// What a worker is at.
#[derive(Debug)]
enum Phase {
    Idle,
    /// This node is to leave.
    Noting(Arc<Notes>),
    /// Another one is.
    Holding {
        leaver: MemberId,
        frames_max: usize,
        rounds: u8,
        passed: Option<Arc<Passed>>,
    },
    /// It has left. Without a list what is held is nobody's.
    Inheriting(Option<Arc<Passed>>),
}

/// What a worker needs for hand-overs.
#[derive(Debug)]
pub(super) struct Handover<F> {
    phase: Phase,
    /// In order; of a fixed size.
    held: VecDeque<Held<F>>,
    /// Bit i: the frame at place i of the list has been met.
    met: [u64; DIGESTS_MAX.div_ceil(u64::BITS as usize)],
}

impl<F: Frame> Handover<F> {
    /// None is under way.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Idle,
            held: VecDeque::with_capacity(HELD_MAX),
            met: [0; DIGESTS_MAX.div_ceil(u64::BITS as usize)],
        }
    }

    /// Whether frames need no other look than usual.
    #[inline(always)]
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Takes a step; what is to be freed.
    fn step(&mut self, step: Step) -> Option<Step> {
        match (step, &mut self.phase) {
            (Step::Note(notes), Phase::Idle) => {
                notes.begin();
                self.phase = Phase::Noting(notes);
                None
            }
            (Step::Hold { leaver, frames_max }, Phase::Idle) => {
                let frames_max = frames_max.min(HELD_MAX);
                self.phase = Phase::Holding { leaver, frames_max, rounds: 0, passed: None };
                None
            }
            // Who has not settled cannot tell what the leaver had forwarded before.
            (Step::Inherit(list), Phase::Holding { rounds: SETTLE_ROUNDS.., passed, .. }) => {
                self.met.fill(0);
                passed.replace(list).map(Step::Inherit)
            }
            (Step::Settle, Phase::Holding { rounds, .. }) => {
                *rounds = rounds.saturating_add(1);
                None
            }
            (Step::End, _) => self.end(),
            (unfit, _) => Some(unfit),
        }
    }

    fn end(&mut self) -> Option<Step> {
        let after = if self.held.is_empty() { Phase::Idle } else { Phase::Inheriting(None) };
        match core::mem::replace(&mut self.phase, after) {
            Phase::Noting(notes) => Some(Step::Note(notes)),
            Phase::Holding { passed, .. } | Phase::Inheriting(passed) => passed.map(Step::Inherit),
            Phase::Idle => None,
        }
    }

    /// Goes on by a snapshot.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) {
        if let Phase::Holding { leaver, passed, .. } = &mut self.phase
            && !snapshot.owners().is_some_and(|owners| owners.lives(*leaver))
        {
            self.phase = match passed.take() {
                None if self.held.is_empty() => Phase::Idle,
                passed => Phase::Inheriting(passed),
            };
        }
    }

    /// Whether frames that were held are to be looked at before others.
    #[inline(always)]
    pub(super) fn is_behind(&self) -> bool {
        matches!(self.phase, Phase::Inheriting(_)) && !self.held.is_empty()
    }

    /// The next of them.
    fn next(&mut self) -> Option<Held<F>> {
        let next = self.held.pop_front();
        if self.held.is_empty() && matches!(self.phase, Phase::Inheriting(None)) {
            self.phase = Phase::Idle;
        }
        next
    }

    /// Whether a frame of `owner`'s flows is to be held.
    fn holds(&self, owner: Option<MemberId>) -> bool {
        matches!(self.phase, Phase::Holding { leaver, rounds: SETTLE_ROUNDS.., .. } if owner == Some(leaver))
    }

    /// Holds a frame; the oldest if that has to go for it.
    fn hold(&mut self, held: Held<F>) -> Option<Held<F>> {
        let room = if let Phase::Holding { frames_max, .. } = self.phase { frames_max } else { 0 };
        if room == 0 {
            return Some(held);
        }
        let oldest = if self.held.len() < room { None } else { self.held.pop_front() };
        self.held.push_back(held);
        oldest
    }

    /// Notes a frame that is this node's, or knows it for one that the leaver has forwarded: then it is not.
    fn meet(&mut self, frame: &F, me: MemberId, tracked: &mut Tracked, counters: &WorkerCounters) {
        if tracked.owner != Some(me) {
            return;
        }
        if let Phase::Noting(notes) = &self.phase {
            notes.note(digest(frame.bytes()));
            counters.handover.noted.add(1);
        } else if matches!(self.phase, Phase::Inheriting(Some(_))) && self.knows(digest(frame.bytes())) {
            tracked.owner = None;
            counters.handover.known.add(1);
        }
    }

    /// Whether the leaver has forwarded a frame; each that it has counts once.
    fn knows(&mut self, digest: u64) -> bool {
        let Phase::Inheriting(Some(passed)) = &self.phase else { return false };
        let bit = |place: usize| (place / u64::BITS as usize, 1_u64 << (place % u64::BITS as usize));
        let met = &mut self.met;
        let fresh = passed.places(digest).map(bit).find(|(word, bit)| met[*word] & bit == 0);
        fresh.map(|(word, bit)| met[word] |= bit).is_some()
    }
}

impl<F: Frame> Pipeline<F> {
    /// Takes a step of a hand-over; what is left of one before, to be freed.
    pub fn take_step(&mut self, step: Step) -> Option<Step> {
        self.handover.step(step)
    }

    /// Whether frames that were held are to be looked at first: [`Pipeline::catch_up`].
    #[inline]
    pub fn is_behind(&self) -> bool {
        self.handover.is_behind()
    }

    /// Looks at a burst of the frames that were held; answers how many. The outbox has room for a burst.
    #[cold]
    pub fn catch_up<O: Observer>(&mut self, now: Tick, outbox: &mut Outbox<F>, observer: &mut O) -> usize {
        let mut spent = Burst::new();
        let mut done = 0;
        while done < BURST_MAX
            && let Some(held) = self.handover.next()
        {
            let (number, port) = (held.number, held.port);
            let verdict = self.inherit(held, now, outbox, &mut spent);
            self.counters.release(verdict);
            observer.release(&Release { number, with: None, port, verdict });
            done += 1;
        }
        F::release(&mut spent);
        done
    }

    /// The stages behind tracking while a hand-over is under way.
    #[cold]
    #[inline(never)]
    pub(super) fn emit_watched<O: Observer>(
        &mut self,
        frames: &mut Burst<F>,
        first: usize,
        origins: &[PortId],
        now: Tick,
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        let mut spent = Burst::new();
        for (i, frame) in frames.drain(..).enumerate() {
            let (index, port, parsed) = (first + i, origins[first + i], self.parsed[i]);
            let forwarded = self.forwarded >> index & 1 == 1;
            let passage = Passage { number: self.seen + index as u64, port, forwarded };
            let mut tracked = self.tracked[i];
            let kept = self.hold_back(frame, passage, &parsed, &mut tracked, observer);
            self.tracked[i] = tracked;
            let outcome = match kept {
                None => (false, Verdict::Hold),
                Some(mut frame) => {
                    let of = (port, forwarded, now);
                    let (owned, verdict) = decide_slowly(&self.snapshot, &mut frame, of, &parsed, &tracked);
                    (owned, self.put(frame, port, verdict, (&parsed, &tracked), now, outbox, &mut spent))
                }
            };
            self.counters.outcome(outcome.1);
            self.show(index, i, origins, outcome, observer);
        }
        F::release(&mut spent);
    }

    /// Notes a frame that is this node's, if it is to leave, or holds one that is a leaver's: then there is none left. What
    /// a leaver has forwarded is not this node's.
    pub(super) fn hold_back<O: Observer>(
        &mut self,
        frame: F,
        passage: Passage,
        parsed: &Parsed,
        tracked: &mut Tracked,
        observer: &mut O,
    ) -> Option<F> {
        let is_of_flow = matches!(parsed.class, Class::Flow(_) | Class::IcmpError);
        if self.handover.is_idle() || !is_of_flow || passage.forwarded || tracked.drop.is_some() {
            return Some(frame);
        }
        self.handover.meet(&frame, self.snapshot.me(), tracked, &self.counters);
        if !self.handover.holds(tracked.owner) {
            return Some(frame);
        }
        let Passage { number, port, .. } = passage;
        let digest = digest(frame.bytes());
        self.hold(Held { frame, port, number, digest, parsed: *parsed, tracked: *tracked }, observer);
        None
    }

    /// Puts a frame of which it has been decided what becomes of it; its outcome.
    #[expect(clippy::too_many_arguments, reason = "what the stages hand each other, for one frame")]
    fn put(
        &mut self,
        frame: F,
        port: PortId,
        verdict: Verdict,
        (parsed, tracked): (&Parsed, &Tracked),
        now: Tick,
        outbox: &mut Outbox<F>,
        spent: &mut Burst<F>,
    ) -> Verdict {
        let verdict = hand_on::<F, true>(frame, port, verdict, outbox, spent);
        count(&self.counters, tracked, parsed, verdict);
        if leads_nowhere(parsed, tracked, verdict) {
            self.tracker.give_up(&parsed.key, now);
        }
        verdict
    }

    /// Holds a frame. Where there is no room the oldest is another node's, as all were without a hand-over.
    fn hold<O: Observer>(&mut self, held: Held<F>, observer: &mut O) {
        self.counters.handover.held.add(1);
        if let Some(Held { number, port, .. }) = self.handover.hold(held) {
            self.counters.handover.crowded_out.add(1);
            self.counters.release(Verdict::Shadow);
            observer.release(&Release { number, with: None, port, verdict: Verdict::Shadow });
        }
    }

    /// What becomes of a frame that was held: its flow's owner has left.
    fn inherit(&mut self, held: Held<F>, now: Tick, outbox: &mut Outbox<F>, spent: &mut Burst<F>) -> Verdict {
        let Held { mut frame, port, digest, parsed, mut tracked, .. } = held;
        let has_list = matches!(self.handover.phase, Phase::Inheriting(Some(_)));
        let known = self.handover.knows(digest);
        if known || !has_list {
            self.counters.handover.known.add(u64::from(known));
            return hand_on::<F, true>(frame, port, Verdict::Shadow, outbox, spent);
        }
        let snapshot = &*self.snapshot;
        self.tracker.ask_again(&parsed, &mut tracked, snapshot);
        if snapshot.is_me(tracked.owner)
            && let Some(services) = snapshot.services()
            && let Some(record) = self.tracker.take_pending()
        {
            let (memories, place) = (&mut self.memories, Place::of(frame.bytes(), port, now));
            let flow = (record, &place);
            dispatch(&mut self.tracker, memories, (snapshot, services), &parsed, flow, &mut tracked);
        }
        if snapshot.has_lapsed(now) {
            disown(&mut tracked);
        }
        let (owned, verdict) = decide_slowly(snapshot, &mut frame, (port, false, now), &parsed, &tracked);
        self.counters.handover.taken_over.add(u64::from(owned));
        self.put(frame, port, verdict, (&parsed, &tracked), now, outbox, spent)
    }
}
