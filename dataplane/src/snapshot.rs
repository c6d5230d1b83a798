//! What a worker works by: the configuration compiled, immutable, with its epoch.
//!
//! Control builds one, hands it to every worker, and takes the old one back. A worker holds exactly one and reads
//! it without asking anybody.

use crate::config::{Bridge, Cluster, Config, Conntrack, Share, Tracking, Transport};
use crate::gate::cluster_match::ClusterMatch;
use crate::gate::lease::Lease;
use crate::gate::owner::OwnerMap;
use crate::gate::vip::Vips;
use crate::parse::Rules;
use crate::steer::Router;
use crate::steer::service::Services;
use crate::track::{Origin, Owners};
use crate::units::{BucketId, Epoch, MemberId, PortId, ServerId, Tick};
use crate::wire::MacAddr;
use core::net::IpAddr;
use std::sync::Arc;

/// To the tracker a router has two ports, wherever its frames come in: one for what is sent to the router, and one for
/// what another node has forwarded.
pub const HEARD_SENT: PortId = PortId::FIRST;
/// See [`HEARD_SENT`].
pub const HEARD_FORWARDED: PortId = PortId::SECOND;

/// The tables of one epoch.
#[derive(Clone, Debug)]
pub struct Snapshot {
    epoch: Epoch,
    /// Of the first snapshot with this `cluster` and these routes, without a break since.
    ownership_epoch: Epoch,
    me: MemberId,
    rules: Rules,
    bridge: Bridge,
    router: Option<Router>,
    conntrack: Conntrack,
    cluster: Option<Gate>,
    vips: Vips,
    /// Without one, what is this node's stays so until another snapshot says otherwise.
    lease: Option<Arc<Lease>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Gate {
    matcher: ClusterMatch,
    owners: OwnerMap,
    tracking: Tracking,
    non_ip: Share,
    untracked: Share,
}

impl Snapshot {
    /// Compiles `config` for `epoch`.
    pub fn compile(epoch: Epoch, config: &Config) -> Self {
        let gate = |cluster: &Cluster| Gate {
            matcher: ClusterMatch::compile(cluster),
            owners: OwnerMap::compile(cluster),
            tracking: cluster.tracking,
            non_ip: cluster.non_ip,
            untracked: cluster.untracked,
        };
        let cluster = config.cluster.as_ref().map(gate);
        let helped = |over| config.conntrack.helpers.iter().any(|rule| rule.transport == over);
        Self {
            epoch,
            ownership_epoch: epoch,
            me: cluster.as_ref().map_or(MemberId::FIRST, |gate| gate.owners.me()),
            rules: Rules {
                checksum: config.conntrack.checksum,
                vlan_tags_max: config.conntrack.vlan_tags_max,
                forward_stp: config.bridge.forward_stp,
                tcp_helpers: helped(Transport::Tcp),
                udp_helpers: helped(Transport::Udp),
            },
            bridge: config.bridge.clone(),
            router: None,
            conntrack: config.conntrack.clone(),
            vips: Vips::compile(&config.vips),
            cluster,
            lease: None,
        }
    }

    /// The same for workers that go by `before` now: where both say the same of ownership, of who of the servers lives
    /// and of routes, all that flows have been told and remember holds, and none is decided anew.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        let same = self.cluster == before.cluster
            && self.vips == before.vips
            && self.dead().eq(before.dead())
            && match (&self.router, &before.router) {
                (Some(router), Some(before)) => router.has_routes_of(before),
                (router, before) => router.is_none() && before.is_none(),
            };
        Self { ownership_epoch: if same { before.ownership_epoch } else { self.epoch }, ..self }
    }

    /// The same for a gateway that routes.
    #[must_use]
    pub fn with_router(self, router: Router) -> Self {
        Self { router: Some(router), ..self }
    }

    /// The same for a node that owns nothing once `lease` is over.
    #[must_use]
    pub fn with_lease(self, lease: Arc<Lease>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Its services; `None`: it has none.
    #[inline]
    pub fn services(&self) -> Option<&Services> {
        self.router.as_ref()?.services()
    }

    fn dead(&self) -> impl Iterator<Item = ServerId> {
        self.services().into_iter().flat_map(Services::dead)
    }

    /// Its version.
    #[inline]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What it routes by; `None`: it is a bridge.
    #[inline]
    pub fn router(&self) -> Option<&Router> {
        self.router.as_ref()
    }

    /// Where frames from which port go.
    #[inline]
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// How flows are tracked.
    #[inline]
    pub fn conntrack(&self) -> &Conntrack {
        &self.conntrack
    }

    /// What to look at in a frame.
    #[inline]
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Who forwards which flows; `None`: this node all of them.
    pub fn owners(&self) -> Option<&OwnerMap> {
        self.cluster.as_ref().map(|gate| &gate.owners)
    }

    /// Whose packets to VIPs are.
    #[inline]
    pub fn vips(&self) -> &Vips {
        &self.vips
    }

    /// What the cluster hashes flows from `source` to; `None`: it is in none.
    pub fn hash(&self, source: IpAddr) -> Option<u32> {
        self.cluster.as_ref().map(|gate| gate.matcher.hash(source))
    }

    /// What becomes of a frame that is not IP.
    #[inline]
    pub fn non_ip(&self) -> Share {
        self.cluster.as_ref().map_or(Share::Forward, |gate| gate.non_ip)
    }

    /// What becomes of a packet that is never tracked.
    #[inline]
    pub fn untracked(&self) -> Share {
        self.cluster.as_ref().map_or(Share::Forward, |gate| gate.untracked)
    }

    /// Until when this node may own anything; `None`: for as long as this snapshot is in force.
    #[inline]
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_deref()
    }

    /// Whether its lease, if it needs one, is over.
    #[inline]
    pub fn has_lapsed(&self, now: Tick) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_over(now))
    }

    /// Whether this node is the one owner of what comes from `source` and belongs to no flow.
    #[inline]
    pub fn owns_mac(&self, source: MacAddr) -> bool {
        self.cluster
            .as_ref()
            .is_none_or(|gate| self.is_me(gate.owners.owner(gate.matcher.bucket_of_mac(source))))
    }

    /// Whether a valid frame that is not forwarded here is another node's, which is known as well.
    #[inline]
    pub fn shadows(&self) -> bool {
        self.cluster.as_ref().is_some_and(|gate| gate.tracking == Tracking::All)
    }
}

impl Owners for Snapshot {
    #[inline]
    fn ownership_epoch(&self) -> Epoch {
        self.ownership_epoch
    }

    #[inline]
    fn me(&self) -> MemberId {
        self.me
    }

    #[inline]
    fn bucket(&self, origin: &Origin) -> BucketId {
        let Some(gate) = &self.cluster else { return BucketId::default() };
        gate.matcher.bucket_of_head(origin.key.head(origin.side))
    }

    #[inline]
    fn owner(&self, bucket: BucketId) -> Option<MemberId> {
        self.cluster.as_ref().map_or(Some(self.me), |gate| gate.owners.owner(bucket))
    }

    #[inline]
    fn keeps(&self, owner: MemberId, then: Epoch) -> bool {
        self.cluster.as_ref().is_some_and(|gate| gate.owners.keeps(owner, then))
    }

    #[inline]
    fn names_owners(&self) -> bool {
        self.cluster.as_ref().is_some_and(|gate| gate.owners.names_owners())
    }

    #[inline]
    fn is_learning(&self) -> bool {
        self.cluster.as_ref().is_some_and(|gate| gate.owners.is_learning())
    }

    #[inline]
    fn tracks(&self, owner: Option<MemberId>) -> bool {
        self.cluster.as_ref().is_none_or(|gate| gate.tracking == Tracking::All) || self.is_me(owner)
    }

    #[inline]
    fn other_side(&self, owner: Option<MemberId>, port: PortId) -> Option<PortId> {
        if self.is_me(owner) {
            None
        } else if self.router.is_some() {
            Some(if port == HEARD_FORWARDED { HEARD_SENT } else { HEARD_FORWARDED })
        } else {
            self.bridge.peer(port)
        }
    }

    #[inline]
    fn is_stray(&self, owner: Option<MemberId>, port: PortId) -> bool {
        port == HEARD_FORWARDED && self.router.is_some() && self.is_me(owner)
    }

    #[inline]
    fn hears_both_sides(&self) -> bool {
        self.shadows()
    }

    #[inline]
    fn is_dead(&self, server: ServerId) -> bool {
        self.services().is_none_or(|services| services.is_dead(server))
    }
}
