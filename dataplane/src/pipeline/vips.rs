//! What is for a VIP, before anything else is tracked: whose it is. What this node takes goes to control as it came.
//!
//! With nodes by numbers each packet is its hash's, as CLUSTERIP had it; only what a helper has to see or has announced
//! is followed, and goes where its master goes. With the cluster's nodes each flow is followed and keeps its owner.

use crate::config::vip::Nodes;
use crate::counters::{DropReason, PuntReason};
use crate::gate::vip::Vip;
use crate::parse::{Class, Parsed};
use crate::snapshot::Snapshot;
use crate::track::shared::Terms;
use crate::track::{Context, Origin, Owners, Packet, Tracker};
use crate::units::{BucketId, Epoch, MemberId, PortId, ServerId, Tick};
use crate::wire::{Ipv4, Ipv6};
use core::net::IpAddr;

/// The nodes of a VIP, to the tracker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharers<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) vip: &'a Vip,
}

impl Sharers<'_> {
    fn are_clusters(&self) -> bool {
        *self.vip.nodes() == Nodes::Cluster
    }

    /// Whether no other node has a flow that this one has not heard of, as far as the nodes tell.
    fn know_no_more(&self) -> bool {
        let named = self.snapshot.owners().filter(|owners| self.are_clusters() && owners.names_owners());
        named.is_none_or(|owners| owners.is_learning() || owners.is_alone())
    }
}

impl Owners for Sharers<'_> {
    fn ownership_epoch(&self) -> Epoch {
        self.snapshot.ownership_epoch()
    }

    fn me(&self) -> MemberId {
        self.snapshot.me()
    }

    fn bucket(&self, origin: &Origin) -> BucketId {
        self.vip.bucket_of_flow(&origin.key, origin.side)
    }

    fn owner(&self, bucket: BucketId) -> Option<MemberId> {
        match self.vip.nodes() {
            Nodes::Local(nodes) => nodes.contains(bucket).then_some(self.me()),
            Nodes::Cluster => self.snapshot.owner(bucket),
        }
    }

    fn keeps(&self, owner: MemberId, then: Epoch) -> bool {
        self.are_clusters() && self.snapshot.keeps(owner, then)
    }

    fn names_owners(&self) -> bool {
        self.are_clusters() && self.snapshot.names_owners()
    }

    fn is_learning(&self) -> bool {
        self.snapshot.is_learning()
    }

    fn tracks(&self, _: Option<MemberId>) -> bool {
        true
    }

    fn other_side(&self, _: Option<MemberId>, _: PortId) -> Option<PortId> {
        None
    }

    fn is_stray(&self, _: Option<MemberId>, _: PortId) -> bool {
        false
    }

    fn hears_both_sides(&self) -> bool {
        false
    }

    fn is_dead(&self, _: ServerId) -> bool {
        false
    }
}

/// What becomes of a frame to a VIP that came in by `packet.port`.
#[inline(never)]
pub(super) fn share(snapshot: &Snapshot, tracker: &mut Tracker, packet: &Packet<'_>, now: Tick) -> Parsed {
    let arrival = snapshot.router().and_then(|router| router.arrival(packet.bytes, packet.port));
    let ip = arrival.and_then(|arrival| packet.bytes.get(arrival.ip_at..)).unwrap_or_default();
    share_packet(snapshot, tracker, ip, packet, now).unwrap_or(Parsed::drop(DropReason::VipNotOwner))
}

/// What becomes of `packet`, whose IP packet is `ip`; `None`: it is not to a VIP. Of a flow it keeps the name.
pub(super) fn share_packet(
    snapshot: &Snapshot,
    tracker: &mut Tracker,
    ip: &[u8],
    packet: &Packet<'_>,
    now: Tick,
) -> Option<Parsed> {
    let sharers = Sharers { snapshot, vip: snapshot.vips().find(destination(ip)?)? };
    let parsed = packet.parsed;
    let (taken, named) = match parsed.class {
        Class::Flow(_) => match is_taken(sharers, tracker, packet, now) {
            Ok(taken) => (taken, *parsed),
            Err(reason) => return Some(Parsed { class: Class::Drop(reason), ..*parsed }),
        },
        // No hash leads to the connection that it is about.
        Class::IcmpError => (true, Parsed::default()),
        // The whole datagram alone tells its ports.
        Class::Fragment => return Some(*parsed),
        Class::Invalid(reason) => return Some(Parsed::drop(reason)),
        Class::NonIp | Class::Drop(_) | Class::Punt(_) | Class::Untracked => return None,
    };
    let cells = tracker.counters().vip(sharers.vip.id());
    let class = if taken {
        cells.taken.add(1);
        Class::Punt(PuntReason::Vip)
    } else {
        cells.left.add(1);
        Class::Drop(DropReason::VipNotOwner)
    };
    Some(Parsed { class, ..named })
}

/// Whether this node takes a packet, or why nobody does.
fn is_taken(
    sharers: Sharers<'_>,
    tracker: &mut Tracker,
    packet: &Packet<'_>,
    now: Tick,
) -> Result<bool, DropReason> {
    let Sharers { snapshot, vip } = sharers;
    let of_cluster = sharers.are_clusters();
    if of_cluster && snapshot.has_lapsed(now) {
        // It hears on, so that it knows its flows when it has a lease again.
        let _ = track(sharers, tracker, packet, now);
        return Ok(false);
    }
    // Where a client has one node for good, so has what it announces.
    let tracked = (of_cluster || !vip.hash().is_by_source()).then(|| track(sharers, tracker, packet, now));
    let (owner, drop) = match tracked.flatten() {
        Some(tracked) => (tracked.owner, tracked.drop),
        None => (sharers.owner(vip.bucket(packet.bytes, packet.parsed)), None),
    };
    let mine = sharers.is_me(owner);
    match drop {
        Some(DropReason::Helper) if !mine => Ok(false),
        Some(reason) => Err(reason),
        None => Ok(mine),
    }
}

fn track(
    sharers: Sharers<'_>,
    tracker: &mut Tracker,
    packet: &Packet<'_>,
    now: Tick,
) -> Option<crate::track::Tracked> {
    let loose = sharers.know_no_more() || tracker.has_heard_all(now);
    let terms = Terms { all: sharers.are_clusters(), loose };
    tracker.track_shared(
        packet,
        terms,
        &Context { now, config: sharers.snapshot.conntrack(), owners: &sharers },
    )
}

/// Where an IP packet goes.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(Ipv4::new(packet)?.destination().into()),
        _ => Some(Ipv6::new(packet)?.destination().into()),
    }
}
