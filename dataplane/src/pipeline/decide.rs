//! What becomes of a frame that has been tracked: the gate, then the steer, then where it is put.

use super::Outbox;
use super::service::target;
use crate::config::Share;
use crate::counters::{DropReason, PuntReason, Verdict};
use crate::parse::{Class, Parsed};
use crate::port::{Burst, Frame};
use crate::punt::Punted;
use crate::snapshot::Snapshot;
use crate::steer::bridge;
use crate::steer::delivery::{facts, vlan_of};
use crate::track::{ConnState, Origin, Owners, Steering, Tracked};
use crate::units::{PortId, Tick};
use crate::wire::Ethernet;

/// Puts what is forwarded, or left to control, into the outbox, and what is not into `spent`, which has room. Answers
/// the outcome.
#[inline(always)]
pub(super) fn hand_on<F: Frame, const ROUTES: bool>(
    frame: F,
    port: PortId,
    verdict: Verdict,
    outbox: &mut Outbox<F>,
    spent: &mut Burst<F>,
) -> Verdict {
    let (refused, reason) = match verdict {
        Verdict::Forward(out) => (outbox.put(out, frame).err(), DropReason::TxFull),
        Verdict::Punt(reason) if ROUTES => {
            (outbox.punt(Punted { frame, port, reason }).err(), DropReason::PuntFull)
        }
        _ => {
            spent.push(frame);
            return verdict;
        }
    };
    match refused {
        None => verdict,
        Some(frame) => {
            spent.push(frame);
            Verdict::Drop(reason)
        }
    }
}

/// The gate, then the steer: whether the frame is this node's, and where it goes. What a router forwards is rewritten.
#[inline(always)]
pub(super) fn decide<F: Frame, const ROUTES: bool>(
    snapshot: &Snapshot,
    frame: &mut F,
    (port, forwarded, now): (PortId, bool, Tick),
    parsed: &Parsed,
    tracked: &Tracked,
) -> (bool, Verdict) {
    if ROUTES && let Class::Punt(reason) = parsed.class {
        return (false, Verdict::Punt(reason));
    }
    let ours = snapshot.is_me(tracked.owner);
    if let Some(reason) = tracked.drop {
        if ROUTES
            && reason == DropReason::InvalidNoFlow
            && let Some(decided) = decide_without_flow(snapshot, frame, (port, now), parsed)
        {
            return decided;
        }
        return (ours, Verdict::Drop(reason));
    }
    let (owned, of_others) = match parsed.class {
        _ if ours => (true, DropReason::NotOwner),
        Class::NonIp => (shared(snapshot, snapshot.non_ip(), frame, now), DropReason::NonIp),
        Class::Untracked => (shared(snapshot, snapshot.untracked(), frame, now), DropReason::Untracked),
        _ => (false, DropReason::NotOwner),
    };
    if ROUTES && owned && forwarded {
        return (true, Verdict::Drop(DropReason::OtherHost));
    }
    if owned {
        return (
            true,
            match snapshot.router().filter(|_| ROUTES) {
                None => bridge::decide(snapshot.bridge(), port),
                Some(_) if tracked.steering == Steering::REFUSED => Verdict::Punt(PuntReason::NoServer),
                Some(router) => match target(snapshot.services(), tracked) {
                    None => router.forward(frame, &parsed.key, now),
                    Some(target) => router.forward_to(target, frame, &parsed.key, now),
                },
            },
        );
    }
    let by_rule = match parsed.class {
        Class::NonIp => snapshot.non_ip() == Share::Drop,
        Class::Untracked => snapshot.untracked() == Share::Drop,
        _ => !snapshot.shadows(),
    };
    (false, if by_rule { Verdict::Drop(of_others) } else { Verdict::Shadow })
}

/// Whether a packet opens a flow that leads nowhere.
#[inline]
pub(super) fn leads_nowhere(parsed: &Parsed, tracked: &Tracked, verdict: Verdict) -> bool {
    verdict == Verdict::Punt(PuntReason::Unreachable)
        && tracked.state == Some(ConnState::New)
        && matches!(parsed.class, Class::Flow(_))
}

/// A router's [`decide`], kept apart: what it needs in memory the short way need not write there.
#[inline(never)]
pub(super) fn decide_slowly<F: Frame>(
    snapshot: &Snapshot,
    frame: &mut F,
    passage: (PortId, bool, Tick),
    parsed: &Parsed,
    tracked: &Tracked,
) -> (bool, Verdict) {
    decide::<F, true>(snapshot, frame, passage, parsed, tracked)
}

/// What becomes of a packet to an address that servers have too, of a connection of which the tracker has not seen the
/// beginning. A rule may name a server for it, whoever opened it: ports that are one server's own. The rest is the
/// gateway's own, if it has the address: the kernel's answers pass no worker.
#[cold]
fn decide_without_flow<F: Frame>(
    snapshot: &Snapshot,
    frame: &mut F,
    (port, now): (PortId, Tick),
    parsed: &Parsed,
) -> Option<(bool, Verdict)> {
    let (router, services) = (snapshot.router()?, snapshot.services()?);
    let facts = facts(parsed, port, vlan_of(frame.bytes()));
    if !services.shares(facts.family, facts.destination) {
        return None;
    }
    let Some(target) = services.fixed(&facts).and_then(|server| services.target(server)) else {
        return router.is_own(frame.bytes()).then_some((false, Verdict::Punt(PuntReason::Local)));
    };
    let bucket = snapshot.bucket(&Origin { key: parsed.key, side: parsed.side });
    if snapshot.has_lapsed(now) || !snapshot.is_me(snapshot.owner(bucket)) {
        return Some((false, Verdict::Drop(DropReason::NotOwner)));
    }
    Some((true, router.forward_to(target, frame, &parsed.key, now)))
}

/// Whether this node forwards a frame that belongs to no flow.
#[inline]
pub(super) fn shared<F: Frame>(snapshot: &Snapshot, share: Share, frame: &F, now: Tick) -> bool {
    match share {
        Share::Owner if snapshot.has_lapsed(now) => false,
        Share::Owner => {
            Ethernet::new(frame.bytes()).is_some_and(|ethernet| snapshot.owns_mac(ethernet.source()))
        }
        Share::Forward => true,
        Share::Drop => false,
    }
}
