//! Bursts with fragments: what is whole goes through the stages as always, in order, and each fragment alone.
//!
//! A frame that is held has the outcome [`Verdict::Hold`] until it is released: then that is taken back and its
//! final outcome booked, so that each frame has exactly one at any moment.

use super::handover;
use super::service::{Place, count, dispatch};
use super::{
    Observer, Outbox, Pipeline, Release, Scene, Sight, decide, disown, hand_on, heard, leads_nowhere, vips,
};
use crate::counters::{DropReason, Verdict};
use crate::fragment::{Arrival, Fate};
use crate::parse::{Class, Offload, Parsed, parse_datagram};
use crate::port::{Burst, Checksum, Frame};
use crate::snapshot::Snapshot;
use crate::track::{Context, Packet, Tracked, Tracker};
use crate::units::{PortId, Tick};

/// Datagrams that one turn gives up, at most.
const EXPIRE_A_TURN: usize = 4;

/// One fragment of a burst on its way.
struct Passage {
    index: usize,
    /// The port, to the tracker.
    heard: PortId,
    /// Another router has forwarded it.
    forwarded: bool,
    number: u64,
    port: PortId,
    /// For what has services.
    place: Option<Place>,
    now: Tick,
}

impl<F: Frame> Pipeline<F> {
    /// Behind parse. `burst` is empty afterwards.
    pub(super) fn process_with_fragments<O: Observer>(
        &mut self,
        burst: &mut Burst<F>,
        origins: &[PortId],
        now: Tick,
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        let mut whole = Burst::new();
        let mut first = 0;
        for (index, frame) in burst.drain(..).enumerate() {
            let parsed = self.parsed[index];
            if parsed.class != Class::Fragment {
                // The stages read from the front; what stood there has been through them.
                self.parsed[whole.len()] = parsed;
                self.lookups[whole.len()] = self.lookups[index];
                whole.push(frame);
                continue;
            }
            self.process_whole(&mut whole, first, origins, now, outbox, observer);
            first = index + 1;
            let number = self.seen + index as u64;
            let port = origins[index];
            let routes = self.snapshot.router().is_some();
            let forwarded = self.forwarded >> index & 1 == 1;
            let heard = if routes { heard(forwarded) } else { port };
            let place = self.snapshot.services().map(|_| Place::of(frame.bytes(), port, now));
            let passage = Passage { index, heard, forwarded, number, port, place, now };
            self.fragment(frame, &parsed, &passage, outbox, observer);
        }
        self.process_whole(&mut whole, first, origins, now, outbox, observer);
    }

    /// Gives up datagrams whose time has run out.
    pub(super) fn expire_fragments<O: Observer>(&mut self, now: Tick, observer: &mut O) {
        for _ in 0..EXPIRE_A_TURN {
            if !self.reassembly.expire(now) {
                return;
            }
            self.drop_released(None, observer);
        }
    }

    fn fragment<O: Observer>(
        &mut self,
        frame: F,
        parsed: &Parsed,
        passage: &Passage,
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        let &Passage { number, port, now, .. } = passage;
        let by_port = self.snapshot.shadows();
        let arrival = Arrival { port, number, at: parsed.at, len: parsed.len, by_port, now };
        let fate = self.reassembly.accept(frame, &arrival, &self.snapshot.conntrack().fragments);
        let (frame, parsed, mut tracked) = match fate {
            Fate::Complete(frame) => {
                let (parsed, tracked) = self.track_datagram(passage);
                self.release(&parsed, &tracked, passage, outbox, observer);
                (Some(frame), parsed, tracked)
            }
            Fate::Pass(frame) => {
                let (parsed, tracked) = self.track_frame(&frame, parsed, passage);
                (Some(frame), parsed, tracked)
            }
            Fate::Drop(frame, reason) => (Some(frame), *parsed, Tracked::dropped(reason)),
            Fate::Hold => (None, *parsed, Tracked::default()),
        };
        // What is left was given up on account of this fragment.
        self.drop_released(Some(number), observer);
        let mut spent = Burst::new();
        let from = handover::Passage { number, port, forwarded: passage.forwarded };
        let frame = frame.and_then(|frame| self.hold_back(frame, from, &parsed, &mut tracked, observer));
        let (owned, verdict) = match frame {
            Some(mut frame) => {
                let (owned, verdict) = decide::<F, true>(
                    &self.snapshot,
                    &mut frame,
                    (port, passage.forwarded, now),
                    &parsed,
                    &tracked,
                );
                let verdict = hand_on::<F, true>(frame, port, verdict, outbox, &mut spent);
                count(&self.counters, &tracked, &parsed, verdict);
                if leads_nowhere(&parsed, &tracked, verdict) {
                    self.tracker.give_up(&parsed.key, now);
                }
                (owned, verdict)
            }
            None => (false, Verdict::Hold),
        };
        F::release(&mut spent);
        self.counters.outcome(verdict);
        let Tracked { state, reply, .. } = tracked;
        let sight = Sight { index: passage.index, number, port, state, reply, owned, verdict };
        let (tracker, snapshot) = (&self.tracker, &*self.snapshot);
        observer.observe(&sight, &Scene { parsed: &parsed, tracked: &tracked, tracker, snapshot });
    }

    /// The datagram that has been completed.
    fn track_datagram(&mut self, passage: &Passage) -> (Parsed, Tracked) {
        let bytes = self.reassembly.datagram();
        // No device has seen the datagram, and its header is our own.
        let offload = Offload { ip: Checksum::Good, l4: Checksum::Unchecked };
        let parsed = parse_datagram(bytes, 0, self.snapshot.rules(), offload);
        let packet = Packet { bytes, parsed: &parsed, port: passage.heard };
        if let Some(shared) =
            vips::share_packet(&self.snapshot, &mut self.tracker, bytes, &packet, passage.now)
        {
            return of_vip(shared);
        }
        let mut tracked = track_alone(&mut self.tracker, &self.snapshot, &packet, passage.now);
        self.dispatch(&parsed, passage, &mut tracked);
        (parsed, tracked)
    }

    fn dispatch(&mut self, parsed: &Parsed, passage: &Passage, tracked: &mut Tracked) {
        let Self { tracker, memories, snapshot, .. } = self;
        if let (Some(services), Some(place)) = (snapshot.services(), &passage.place)
            && let Some(record) = tracker.take_pending()
        {
            dispatch(tracker, memories, (snapshot, services), parsed, (record, place), tracked);
        }
    }

    /// A fragment that goes as if it were none.
    fn track_frame(&mut self, frame: &F, parsed: &Parsed, passage: &Passage) -> (Parsed, Tracked) {
        let at = usize::from(parsed.at);
        let offload = Offload { ip: Checksum::Good, l4: Checksum::Unchecked };
        let ip = parsed.transport(frame.bytes());
        let parsed = parse_datagram(ip, at, self.snapshot.rules(), offload);
        let packet = Packet { bytes: frame.bytes(), parsed: &parsed, port: passage.heard };
        if let Some(shared) = vips::share_packet(&self.snapshot, &mut self.tracker, ip, &packet, passage.now)
        {
            return of_vip(shared);
        }
        let mut tracked = track_alone(&mut self.tracker, &self.snapshot, &packet, passage.now);
        self.dispatch(&parsed, passage, &mut tracked);
        (parsed, tracked)
    }

    /// The frames of a complete datagram share its fate, each by the partner of its own port.
    fn release<O: Observer>(
        &mut self,
        parsed: &Parsed,
        tracked: &Tracked,
        passage: &Passage,
        outbox: &mut Outbox<F>,
        observer: &mut O,
    ) {
        let mut spent = Burst::new();
        while let Some(held) = self.reassembly.released() {
            let (number, port, with) = (held.number, held.port, Some(passage.number));
            let (mut frame, mut tracked) = (held.frame, *tracked);
            let verdict = match held.reason {
                Some(reason) => Verdict::Drop(reason),
                None => {
                    let from = handover::Passage { number, port, forwarded: passage.forwarded };
                    let Some(free) = self.hold_back(frame, from, parsed, &mut tracked, observer) else {
                        continue;
                    };
                    frame = free;
                    let of = (port, passage.forwarded, passage.now);
                    decide::<F, true>(&self.snapshot, &mut frame, of, parsed, &tracked).1
                }
            };
            if spent.is_full() {
                F::release(&mut spent);
            }
            let verdict = hand_on::<F, true>(frame, port, verdict, outbox, &mut spent);
            self.counters.release(verdict);
            observer.release(&Release { number, with, port, verdict });
        }
        F::release(&mut spent);
    }

    fn drop_released<O: Observer>(&mut self, with: Option<u64>, observer: &mut O) {
        let mut spent = Burst::new();
        while let Some(held) = self.reassembly.released() {
            let verdict = Verdict::Drop(held.reason.unwrap_or(DropReason::FragmentInvalid));
            self.counters.release(verdict);
            observer.release(&Release { number: held.number, with, port: held.port, verdict });
            if spent.is_full() {
                F::release(&mut spent);
            }
            spent.push(held.frame);
        }
        F::release(&mut spent);
    }
}

/// What is to a VIP is not tracked.
fn of_vip(shared: Parsed) -> (Parsed, Tracked) {
    let tracked = match shared.class {
        Class::Drop(reason) => Tracked::dropped(reason),
        _ => Tracked::default(),
    };
    (shared, tracked)
}

fn track_alone(tracker: &mut Tracker, snapshot: &Snapshot, packet: &Packet<'_>, now: Tick) -> Tracked {
    let context = Context { now, config: snapshot.conntrack(), owners: snapshot };
    let mut tracked = tracker.track_one(packet, &context);
    if snapshot.has_lapsed(now) {
        disown(&mut tracked);
    }
    tracked
}
