//! A router's word about a frame before it is tracked. Of most frames it is said where they are tracked, by what their
//! flow remembers; the rest of it is here.

use super::set::Set;
use super::{Pipeline, read, vips};
use crate::counters::PuntReason;
use crate::parse::{Class, Parsed};
use crate::port::{Burst, Frame};
use crate::snapshot::Snapshot;
use crate::track::{Lead, Lookup, Packet, Tracker};
use crate::units::{PortId, Tick};

impl<F: Frame> Pipeline<F> {
    /// Reads each frame, asks for the index line of its flow, and says at once what is to be said of all but the plain ones;
    /// whether one of them is a fragment.
    #[inline(never)]
    pub(super) fn parse_routed(&mut self, burst: &Burst<F>, origins: &[PortId], now: Tick) -> bool {
        let Some(router) = self.snapshot.router() else { return false };
        let (rules, shadows) = (self.snapshot.rules(), self.snapshot.shadows());
        let (mut pending, mut bit) = (0, 1);
        let read_into = self.parsed.iter_mut().zip(&mut self.lookups);
        for ((frame, origin), (parsed, lookup)) in burst.iter().zip(origins).zip(read_into) {
            let kind = read(frame, rules, parsed);
            *lookup = self.tracker.prepare(parsed);
            if router.is_plain(frame.bytes(), *origin, kind, parsed) {
                pending |= bit;
            } else {
                router.prefetch(parsed, shadows);
            }
            bit <<= 1;
        }
        (self.pending, self.forwarded) = (pending, 0);
        pending != bit.wrapping_sub(1) && self.admit_others(burst, origins, now)
    }

    /// A router's word about the frames that are not plain; whether a fragment is left.
    #[inline(never)]
    fn admit_others(&mut self, burst: &Burst<F>, origins: &[PortId], now: Tick) -> bool {
        let mut has_fragments = false;
        for i in Set::of(!self.pending).take_while(|i| *i < burst.len()) {
            let (passage, parsed) = ((burst[i].bytes(), origins[i], now), &mut self.parsed[i]);
            let forwarded = in_full(&mut self.tracker, &self.snapshot, passage, parsed);
            self.forwarded |= u64::from(forwarded) << i;
            has_fragments |= parsed.class == Class::Fragment;
        }
        has_fragments
    }

    /// The same about those that are, where it cannot wait.
    #[inline(never)]
    pub(super) fn admit_plain(&mut self, burst: &Burst<F>, origins: &[PortId], now: Tick) {
        for i in Set::of(self.pending) {
            let (passage, parsed) = ((burst[i].bytes(), origins[i], now), &mut self.parsed[i]);
            let lead = by_routes(&mut self.tracker, &self.snapshot, passage, parsed);
            if lead == Lead::NONE {
                self.pending &= !(1 << i);
            }
        }
    }

    /// Asks for the records of these many frames, and for what a router reads of those that have none.
    #[inline(always)]
    pub(super) fn fetch_routed(&mut self, count: usize, first: usize) {
        let Some(router) = self.snapshot.router() else { return };
        let shadows = self.snapshot.shadows();
        for (i, lookup) in self.lookups[..count].iter_mut().enumerate() {
            if !self.tracker.fetch(lookup) && self.pending >> (first + i) & 1 == 1 {
                router.prefetch(&self.parsed[i], shadows);
            }
        }
    }
}

/// What becomes of any frame that came in by `port`, which `parsed` says from here on; whether another router of the
/// cluster has forwarded it.
pub(super) fn in_full(
    tracker: &mut Tracker,
    snapshot: &Snapshot,
    (frame, port, now): (&[u8], PortId, Tick),
    parsed: &mut Parsed,
) -> bool {
    let Some(router) = snapshot.router() else { return false };
    if !router.has_vips() {
        return router.admit(frame, port, snapshot.shadows(), parsed);
    }
    let read = *parsed;
    let forwarded = router.admit(frame, port, snapshot.shadows(), parsed);
    if parsed.class == Class::Punt(PuntReason::Vip) {
        let packet = Packet { bytes: frame, parsed: &read, port };
        *parsed = vips::share(snapshot, tracker, &packet, now);
    }
    forwarded
}

/// What becomes of a frame that is plainly addressed to this router. It leads nowhere if there is more to say of it, or
/// if `parsed` says what becomes of it from here on.
pub(super) fn by_routes(
    tracker: &mut Tracker,
    snapshot: &Snapshot,
    (frame, port, now): (&[u8], PortId, Tick),
    parsed: &mut Parsed,
) -> Lead {
    let found = snapshot.router().and_then(|router| router.find_plain(port, parsed));
    let lead = found.map_or(Lead::NONE, |found| Lead::to(found.number()));
    if lead == Lead::NONE {
        in_full(tracker, snapshot, (frame, port, now), parsed);
    }
    lead
}

/// The same, unless its flow remembers; if not, it will, and the answer is true.
#[inline(never)]
pub(super) fn by_flow(
    tracker: &mut Tracker,
    snapshot: &Snapshot,
    (frame, port, now): (&[u8], PortId, Tick),
    lookup: &Lookup,
    parsed: &mut Parsed,
) -> (Lead, bool) {
    if let Some(lead) = tracker.recall(lookup, parsed, port, snapshot) {
        return (lead, false);
    }
    let lead = by_routes(tracker, snapshot, (frame, port, now), parsed);
    if lead != Lead::NONE {
        tracker.remember(lookup, parsed, (port, lead), snapshot);
    }
    (lead, true)
}
