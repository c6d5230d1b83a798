//! What a worker works by: the configuration compiled, immutable, with its epoch.
//!
//! Control builds one, hands it to every worker, and takes the old one back. A worker holds exactly one and reads
//! it without asking anybody.

use crate::config::{Bridge, Cluster, Config, Conntrack, Share, Tracking, Transport};
use crate::gate::cluster_match::ClusterMatch;
use crate::parse::Rules;
use crate::steer::Router;
use crate::track::{Origin, Owners};
use crate::units::{BucketId, Epoch, PortId};
use crate::wire::MacAddr;

/// The tables of one epoch.
#[derive(Clone, Debug)]
pub struct Snapshot {
    epoch: Epoch,
    rules: Rules,
    bridge: Bridge,
    router: Option<Router>,
    conntrack: Conntrack,
    cluster: Option<Gate>,
}

#[derive(Clone, Debug)]
struct Gate {
    matcher: ClusterMatch,
    tracking: Tracking,
    non_ip: Share,
    untracked: Share,
}

impl Snapshot {
    /// Compiles `config` for `epoch`.
    pub fn compile(epoch: Epoch, config: &Config) -> Self {
        let gate = |cluster: &Cluster| Gate {
            matcher: ClusterMatch::compile(cluster),
            tracking: cluster.tracking,
            non_ip: cluster.non_ip,
            untracked: cluster.untracked,
        };
        let helped = |over| config.conntrack.helpers.iter().any(|rule| rule.transport == over);
        Self {
            epoch,
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
            cluster: config.cluster.as_ref().map(gate),
        }
    }

    /// The same for a gateway that routes.
    #[must_use]
    pub fn with_router(self, router: Router) -> Self {
        Self { router: Some(router), ..self }
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

    /// Whether the flows of `bucket` are this node's.
    #[inline]
    pub fn owns(&self, bucket: BucketId) -> bool {
        self.cluster.as_ref().is_none_or(|gate| gate.matcher.owns(bucket))
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

    /// Whether this node is the one owner of what comes from `source` and belongs to no flow.
    #[inline]
    pub fn owns_mac(&self, source: MacAddr) -> bool {
        self.cluster.as_ref().is_none_or(|gate| gate.matcher.owns(gate.matcher.bucket_of_mac(source)))
    }

    /// Whether a valid frame that is not forwarded here is another node's, which is known as well.
    #[inline]
    pub fn shadows(&self) -> bool {
        self.cluster.as_ref().is_some_and(|gate| gate.tracking == Tracking::All)
    }
}

impl Owners for Snapshot {
    #[inline]
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    #[inline]
    fn bucket(&self, origin: &Origin) -> BucketId {
        let Some(gate) = &self.cluster else { return BucketId::default() };
        gate.matcher.bucket_of_head(origin.key.head(origin.side))
    }

    #[inline]
    fn tracks(&self, bucket: BucketId) -> bool {
        self.cluster.as_ref().is_none_or(|gate| gate.tracking == Tracking::All || gate.matcher.owns(bucket))
    }

    #[inline]
    fn other_side(&self, bucket: BucketId, port: PortId) -> Option<PortId> {
        if self.owns(bucket) { None } else { self.bridge.peer(port) }
    }

    #[inline]
    fn hears_both_sides(&self) -> bool {
        // What another router has forwarded is addressed to somebody else.
        self.shadows() && self.router.is_none()
    }
}
