//! Flows that begin: their mark, and the server that takes them if they are a service's; and what a worker knows of
//! services, by the snapshots that it adopts.

use super::Pipeline;
use super::set::Set;
use super::shadow::{hear_answer, overhear, sent_at, wonder};
use crate::config::service::Fallback;
use crate::counters::{DropReason, Verdict, WorkerCounters};
use crate::parse::{Class, Parsed};
use crate::port::{Burst, Frame};
use crate::snapshot::Snapshot;
use crate::steer::delivery::{facts, vlan_of};
use crate::steer::service::memory::Memories;
use crate::steer::service::{Dispatch, Services};
use crate::track::table::RecordId;
use crate::track::{Owners, Steering, Tracked, Tracker};
use crate::units::{PortId, ServerId, ServiceId, Tick, VlanId};
use crate::wire::MacAddr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

const MAC_LEN: usize = size_of::<MacAddr>();

/// The MAC addresses of a frame as they stand in it.
type Macs = [u8; 2 * MAC_LEN];

/// Where a packet came in, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) port: PortId,
    pub(super) vlan: Option<VlanId>,
    macs: Macs,
    pub(super) now: Tick,
}

impl Place {
    pub(super) fn of(frame: &[u8], port: PortId, now: Tick) -> Self {
        let macs = frame.first_chunk().copied().unwrap_or_default();
        Self { port, vlan: vlan_of(frame), macs, now }
    }

    /// The MAC address that it came from.
    pub(super) fn source(&self) -> MacAddr {
        self.mac(MAC_LEN)
    }

    /// The MAC address that it was sent to.
    pub(super) fn destination(&self) -> MacAddr {
        self.mac(0)
    }

    fn mac(&self, at: usize) -> MacAddr {
        self.macs[at..].first_chunk().copied().map(MacAddr).unwrap_or_default()
    }
}

impl<F: Frame> Pipeline<F> {
    /// Goes on by another snapshot; returns the old one.
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        // Who sees this sees what was done by the last one.
        fence(Ordering::Release);
        self.counters.epoch.set(u64::from(snapshot.epoch().number()));
        let old = core::mem::replace(&mut self.snapshot, snapshot);
        self.handover.follow(&self.snapshot);
        // A threshold may be another one where nothing else of the services is.
        let services = |snapshot: &Snapshot| snapshot.services().map(core::ptr::from_ref::<Services>);
        if services(&old) != services(&self.snapshot) {
            self.know_servers();
        }
        old
    }

    /// Goes on with the memory of other services; what it knows of those that are as they were it takes over. Returns
    /// what is left of the old one.
    pub fn remember(&mut self, mut memories: Memories) -> Memories {
        memories.inherit(&mut self.memories);
        self.counters.services_version.set(memories.version());
        core::mem::replace(&mut self.memories, memories)
    }

    /// Sends those of `others` on that are plainly for servers, and adds the ports by which they leave to `ways`. Answers
    /// the rest. `first` is the place of the first of `frames` in the burst.
    #[inline(never)]
    pub(super) fn deliver(
        &mut self,
        others: Set,
        frames: &mut Burst<F>,
        first: usize,
        ways: &mut Set,
    ) -> Set {
        let Some(router) = self.snapshot.router().filter(|router| router.services().is_some()) else {
            return others;
        };
        let (me, sent) = (Some(self.snapshot.me()), !(self.forwarded >> first));
        let mut left = Set::default();
        for i in others {
            let (parsed, tracked) = (&self.parsed[i], &self.tracked[i]);
            let is_ours = tracked.owner == me && tracked.drop.is_none() && sent >> i & 1 == 1;
            let server = tracked.steering.target(tracked.reply).filter(|_| is_ours);
            let out = server.and_then(|id| router.deliver_plain(frames[i].bytes_mut(), parsed, id));
            match out.map(Verdict::Forward) {
                None => left.insert(i),
                Some(verdict) => {
                    self.outcomes[i] = (true, verdict);
                    count(&self.counters, tracked, parsed, verdict);
                }
            }
            if let Some(out) = out {
                ways.insert(out.index());
            }
        }
        left
    }

    pub(super) fn know_servers(&mut self) {
        if let Some(services) = self.snapshot.services() {
            self.tracker.know_servers(services.servers());
        }
    }
}

/// What there is to say of services about a packet that has just been tracked at length; `again`: another node has
/// forwarded it.
#[inline(never)]
pub(super) fn serve(
    tracker: &mut Tracker,
    memories: &mut Memories,
    snapshot: &Snapshot,
    parsed: &Parsed,
    (frame, port, again, now): (&[u8], PortId, bool, Tick),
    tracked: &mut Tracked,
) {
    let Some(services) = snapshot.services() else { return };
    let pending = tracker.take_pending();
    let overheard = again || parsed.class == Class::Drop(DropReason::OtherHost);
    if pending.is_none() && !overheard {
        return;
    }
    let mut place = Place::of(frame, port, now);
    if again {
        sent_at(snapshot, parsed, &mut place);
    }
    if let Some(record) = pending {
        dispatch(tracker, memories, (snapshot, services), parsed, (record, &place), tracked);
    }
    if overheard {
        overhear(tracker, memories, snapshot, parsed, place);
    }
}

/// Says who takes the flow of a packet that has just been tracked, of which nobody has said it yet; `tracked` tells what
/// becomes of the packet.
#[inline(always)]
pub(super) fn dispatch(
    tracker: &mut Tracker,
    memories: &mut Memories,
    (snapshot, services): (&Snapshot, &Services),
    parsed: &Parsed,
    (record, place): (RecordId, &Place),
    tracked: &mut Tracked,
) {
    let ours = snapshot.is_me(tracked.owner);
    if tracked.reply {
        return hear_answer(tracker, memories, snapshot, (record, ours), parsed, *place);
    }
    if !ours && tracked.steering.service().is_some() {
        return;
    }
    let mut facts = facts(parsed, place.port, place.vlan);
    facts.mark = tracker.table().hot(record).mark;
    let master = tracker.server_of_master(record);
    if services.shares(facts.family, facts.source) {
        return open_from_shared(tracker, (snapshot, services), (record, master, ours), place, tracked);
    }
    // What a flow announces goes where that flow goes.
    let master = master.filter(|server| !services.is_dead(*server));
    if !ours {
        return wonder(tracker, snapshot, record, &facts, master, *place);
    }
    let (mark, dispatch) = match master {
        Some(server) => (facts.mark, Dispatch::Serve(server)),
        None => {
            let random = || parsed.key.hash(RANDOM);
            services.dispatch(&facts, random, memories, tracker.tallies(), place.now)
        }
    };
    tracker.mark(record, mark);
    tracked.steering = match dispatch {
        Dispatch::Route => {
            tracker.route(record, place.now);
            Steering::ROUTE
        }
        Dispatch::Serve(server) => {
            tracker.bind(record, server, place.now);
            Steering::to(server)
        }
        Dispatch::Fail(service, fallback) => fail(tracker, (record, place.now), service, fallback, tracked),
    };
}

/// A flow begins from an address that servers have too: its opener is one of them.
#[inline(never)]
fn open_from_shared(
    tracker: &mut Tracker,
    (snapshot, services): (&Snapshot, &Services),
    (record, master, ours): (RecordId, Option<ServerId>, bool),
    place: &Place,
    tracked: &mut Tracked,
) {
    // Whom else could the answers go to? All servers have this address.
    let master = master.filter(|server| !services.is_drained(*server));
    let opener = master.or_else(|| snapshot.router()?.server_at(place.source()));
    tracked.steering = match opener {
        Some(server) => tracker.bind_opener(record, server, ours),
        None => tracker.seek_opener(record),
    };
}

/// Bytes of a link header without a tag.
const HEADER_LEN: u64 = crate::wire::ethernet::HEADER_LEN as u64;

/// Any number: it makes of a flow's key what looks like chance.
const RANDOM: u64 = 0x8ebc_6af0_9c88_c6e3;

/// No server can take a flow.
#[inline(never)]
fn fail(
    tracker: &mut Tracker,
    (record, now): (RecordId, Tick),
    service: ServiceId,
    fallback: Fallback,
    tracked: &mut Tracked,
) -> Steering {
    match fallback {
        Fallback::Bypass => tracker.route(record, now),
        Fallback::Reject | Fallback::Drop => tracker.refuse(record, now),
    }
    let cells = tracker.counters().service(service);
    match fallback {
        Fallback::Bypass => {
            cells.bypassed.add(1);
            Steering::ROUTE
        }
        Fallback::Reject => {
            cells.refused.add(1);
            Steering::REFUSED
        }
        Fallback::Drop => {
            cells.dropped.add(1);
            tracked.drop = Some(DropReason::NoServer);
            Steering::ROUTE
        }
    }
}

/// Counts a packet of a flow that a server has.
#[inline]
pub(super) fn count(counters: &WorkerCounters, tracked: &Tracked, parsed: &Parsed, verdict: Verdict) {
    if let (Some(server), Verdict::Forward(_)) = (tracked.steering.server(), verdict) {
        let cells = counters.server(server);
        let (packets, total) = match tracked.reply {
            false => (&cells.packets, &cells.bytes),
            true => (&cells.reply_packets, &cells.reply_bytes),
        };
        packets.add(1);
        total.add((u64::from(parsed.at) + u64::from(parsed.len)).saturating_sub(HEADER_LEN));
    }
}

/// How packets of a flow get to the server that has it; `None`: they go where their routes lead.
#[inline]
pub(super) fn target<'a>(
    services: Option<&'a Services>,
    tracked: &Tracked,
) -> Option<&'a crate::steer::service::Target> {
    services?.target(tracked.steering.target(tracked.reply)?)
}
