//! Traces frames: copies what the stages know of those that somebody wants to see.
//!
//! It looks on like any other [`Observer`], and changes nothing. Where nobody traces, a worker's pipeline runs without.

use super::{Observer, Opening, Release, Scene, Sight};
use crate::classify::Facts;
use crate::config::vip::Nodes;
use crate::counters::{DropReason, PuntReason, Verdict};
use crate::key::FlowKey;
use crate::parse::Class;
use crate::port::Frame;
use crate::snapshot::Snapshot;
use crate::steer::delivery::facts;
use crate::trace::{Arrival, Filter, FrameView, Head, Passage, Share, Told, Trace, Traces};
use crate::track::table::RecordId;
use crate::track::{Origin, Owners, Tracked};
use crate::units::{BURST_MAX, NodeNumber, PortId, Tick};
use crate::wire::IpProtocol;
use arrayvec::ArrayVec;
use std::sync::Arc;

/// Traced frames that may be held at once; more of them are told of, but not of their release.
const HELD_MAX: usize = 256;

/// The traces at one worker, and the traced frames that are under way.
#[derive(Debug, Default)]
pub struct Tracer {
    traces: Traces,
    now: Tick,
    /// Those of the burst under way, in order.
    entrants: ArrayVec<Entrant, BURST_MAX>,
    /// The first of them that has no outcome yet.
    next: usize,
    /// The numbers of those that are held.
    held: ArrayVec<u64, HELD_MAX>,
}

/// A traced frame that came in.
#[derive(Debug)]
struct Entrant {
    /// Its place in the burst.
    index: usize,
    /// Bit n: trace n means it.
    meant: u8,
    arrival: Arrival,
}

const _: () = assert!(crate::watch::WATCHES_MAX <= u8::BITS as usize);

impl Tracer {
    /// Whether nobody traces.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Tells `trace` of frames from now on; one too many is closed and told nothing.
    pub fn add(&mut self, trace: Arc<Trace>) {
        self.traces.add(trace);
    }

    /// Lets go of traces that are closed.
    #[inline]
    pub fn sweep(&mut self) {
        self.traces.sweep();
    }

    /// Tells of a frame that control sends by `port`.
    pub fn sent<F: Frame>(&mut self, frame: &F, port: PortId, snapshot: &Snapshot) {
        let view = FrameView::new(frame, port, snapshot.rules());
        for trace in self.traces.iter() {
            if trace.filter().matches(&view.parsed, view.head.as_ref()) {
                trace.tell(Told::Sent(view));
            }
        }
    }

    /// Which traces mean frame `index` of the burst and have room for it.
    fn meant<F: Frame>(&self, opening: &Opening<'_, F>, index: usize) -> u8 {
        let mut meant = 0;
        for (n, trace) in self.traces.iter().enumerate() {
            if !means(trace.filter(), opening, index) {
                continue;
            }
            if trace.has_room() {
                meant |= 1 << n;
            } else {
                trace.lose();
            }
        }
        meant
    }

    fn tell(&self, meant: u8, passage: Passage) {
        for (_, trace) in self.traces.iter().enumerate().filter(|(n, _)| meant >> n & 1 == 1) {
            trace.tell(Told::Frame(passage));
        }
    }
}

/// Whether a frame of the burst is meant. What has a name is known by that; what has none, because it is broken or a
/// router has a word about it, is read again if it may be meant by its addresses or by what it quotes.
fn means<F: Frame>(filter: &Filter, opening: &Opening<'_, F>, index: usize) -> bool {
    let (frame, parsed) = (&opening.frames[index], &opening.parsed[index]);
    if parsed.key != FlowKey::NONE && parsed.class != Class::IcmpError {
        return filter.matches(parsed, None);
    }
    let head = Head::read(frame.bytes());
    let carried = head.and_then(|head| head.ends?.protocol);
    let may_quote = matches!(carried, Some(IpProtocol::ICMP | IpProtocol::ICMPV6));
    (may_quote || filter.matches(parsed, head.as_ref())) && {
        let view = FrameView::new(frame, opening.origins[index], opening.snapshot.rules());
        filter.matches(&view.parsed, view.head.as_ref())
    }
}

fn arrival<F: Frame>(opening: &Opening<'_, F>, index: usize) -> Arrival {
    let Opening { snapshot, tracker, now, .. } = *opening;
    let (frame, port) = (&opening.frames[index], opening.origins[index]);
    let view = FrameView::new(frame, port, snapshot.rules());
    let known = tracker.table().find_key(&view.parsed.key).filter(|_| view.parsed.key != FlowKey::NONE);
    let router = snapshot.router();
    let is_shared = matches!(
        opening.parsed[index].class,
        Class::Punt(PuntReason::Vip) | Class::Drop(DropReason::VipNotOwner)
    );
    Arrival {
        number: opening.seen + index as u64,
        now,
        epoch: snapshot.epoch(),
        interface: router.and_then(|router| router.arrival(frame.bytes(), port)).map(|at| at.interface),
        vip_node: is_shared.then(|| vip_node(frame.bytes(), &view, known, opening)).flatten(),
        forwarded: opening.forwarded >> index & 1 == 1,
        before: known.and_then(|record| tracker.view(record, now)).map(|flow| flow.class),
        frame: view,
    }
}

/// The node of a packet to a VIP: that of its flow, else the one that its hash names.
fn vip_node<F: Frame>(
    frame: &[u8],
    view: &FrameView,
    known: Option<RecordId>,
    opening: &Opening<'_, F>,
) -> Option<NodeNumber> {
    let parsed = Some(&view.parsed).filter(|parsed| matches!(parsed.class, Class::Flow(_)))?;
    let tracker = opening.tracker;
    if let Some(record) = known.filter(|record| tracker.is_shared(*record)) {
        return Some(tracker.table().hot(record).bucket.number());
    }
    let ends = view.head?.ends?;
    let vip = opening.snapshot.vips().find(ends.destination.ip(ends.family))?;
    Some(vip.bucket(frame, parsed).number())
}

/// A frame and all that the stages knew when it had its outcome.
fn passage(arrival: Arrival, sight: &Sight, scene: &Scene<'_>, now: Tick) -> Passage {
    let Scene { parsed, tracked, tracker, snapshot } = *scene;
    let has_name = parsed.key != FlowKey::NONE;
    let record = tracker.table().find_key(&parsed.key).filter(|_| has_name);
    let origin = match record {
        Some(record) => tracker.origin(record),
        None => Origin { key: parsed.key, side: parsed.side },
    };
    let ends = arrival.frame.head.and_then(|head| head.ends);
    let router = snapshot.router().filter(|_| sight.owned);
    let flow = record.and_then(|record| tracker.view(record, now));
    let server = tracked.steering.target(tracked.reply);
    let place = server.and_then(|id| Some(snapshot.services()?.target(id)?.place));
    let is_unserved =
        matches!(sight.verdict, Verdict::Drop(DropReason::NoServer) | Verdict::Punt(PuntReason::NoServer));
    let unserved = snapshot.services().filter(|_| is_unserved).and_then(|services| {
        let vlan = arrival.frame.head.and_then(|head| head.vlan);
        let facts = facts(parsed, arrival.frame.port, vlan);
        services.service_of(&Facts { mark: flow.map_or(facts.mark, |flow| flow.mark), ..facts })
    });
    let of_vip = record.filter(|record| tracker.is_shared(*record)).zip(flow);
    // What is of no flow and may open none is nobody's, and to a VIP its hash alone says it.
    let opens = tracked.drop.is_none() && !matches!(parsed.class, Class::Punt(_));
    let is_shared = has_name && snapshot.owners().is_some() && (record.is_some() || opens);
    Passage {
        arrival,
        parsed: *parsed,
        // What is to a VIP has been tracked ahead of the others.
        tracked: match of_vip {
            Some((_, flow)) => Tracked { state: Some(flow.conn_state()), owner: flow.owner, ..*tracked },
            None => *tracked,
        },
        flow,
        share: is_shared.then(|| share(&origin, of_vip.is_some(), snapshot)).flatten(),
        owned: sight.owned,
        server,
        unserved,
        course: router.zip(ends).filter(|_| !is_unserved).map(|(router, ends)| match place {
            Some(place) => router.course_to(place, &parsed.key),
            None => router.course(ends.family, ends.destination, &parsed.key),
        }),
        verdict: sight.verdict,
    }
}

/// `None`: the nodes that share it are not the cluster's.
fn share(origin: &Origin, of_vip: bool, snapshot: &Snapshot) -> Option<Share> {
    let [source, destination] = [origin.side, origin.side.opposite()]
        .map(|side| origin.key.endpoint(side).address.ip(origin.key.family()));
    let (hash, bucket) = match snapshot.vips().find(destination).filter(|_| of_vip) {
        Some(vip) if *vip.nodes() != Nodes::Cluster => return None,
        Some(vip) => {
            (vip.hash_of_flow(&origin.key, origin.side), vip.bucket_of_flow(&origin.key, origin.side))
        }
        None => (snapshot.hash(source)?, snapshot.bucket(origin)),
    };
    Some(Share { source, hash, bucket, map_owner: snapshot.owner(bucket) })
}

impl Observer for Tracer {
    const BEGINS: bool = true;

    #[inline(never)]
    fn begin<F: Frame>(&mut self, opening: &Opening<'_, F>) {
        self.now = opening.now;
        self.entrants.clear();
        self.next = 0;
        for index in 0..opening.frames.len() {
            let meant = self.meant(opening, index);
            if meant != 0 {
                self.entrants.push(Entrant { index, meant, arrival: arrival(opening, index) });
            }
        }
    }

    #[inline(never)]
    fn observe(&mut self, sight: &Sight, scene: &Scene<'_>) {
        let Some(entrant) = self.entrants.get(self.next).filter(|frame| frame.index == sight.index) else {
            return;
        };
        self.next += 1;
        self.tell(entrant.meant, passage(entrant.arrival, sight, scene, self.now));
        if sight.verdict == Verdict::Hold {
            // Of one too many nobody hears again; its verdict says that it waits.
            let _ = self.held.try_push(sight.number);
        }
    }

    #[inline(never)]
    fn release(&mut self, release: &Release) {
        let Some(at) = self.held.iter().position(|number| *number == release.number) else { return };
        self.held.swap_remove(at);
        for trace in self.traces.iter() {
            trace.tell(Told::Released { number: release.number, verdict: release.verdict });
        }
    }
}
