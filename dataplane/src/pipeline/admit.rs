//! A router's word about a frame before it is tracked. Of most frames it is said where they are tracked, by what their
//! flow remembers; the rest of it is here.

use super::vips;
use crate::counters::PuntReason;
use crate::parse::{Class, Parsed};
use crate::snapshot::Snapshot;
use crate::track::{Lead, Lookup, Packet, Tracker};
use crate::units::{PortId, Tick};

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
    let lead = Lead::to(snapshot.router().and_then(|router| router.find_plain(port, parsed)));
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
