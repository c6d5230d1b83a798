//! Which flows a client means. The same words on the command line and in the query of a request: those of Linux's
//! `conntrack`, where it has them.

use super::Refusal;
use super::words::{FamilyName, HelperName, State, Status, Statuses, text};
use crate::observe::protocol::Protocol;
use serde::{Deserialize, Serialize};
use weir_dataplane::config::{BucketSet, Cluster, Membership};
use weir_dataplane::key::Family;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::track::filter::{EndFilter, Filter, MarkFilter, OwnerFilter};
use weir_dataplane::units::{BUCKETS_MAX, BucketId, NodeNumber};

/// Which flows; all that is given must be true of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Of this protocol: tcp, udp, udplite, icmp, icmpv6, sctp, gre, or a number
    #[arg(short, long, aliases = ["proto", "protonum"], value_name = "PROTOCOL")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Of this IP version
    #[arg(short, long, value_enum, value_name = "FAMILY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyName>,
    /// From this address or prefix, in the original direction
    #[arg(short, long, alias = "orig-src", value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub src: Option<Subnet>,
    /// To this address or prefix, in the original direction
    #[arg(short, long, alias = "orig-dst", value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub dst: Option<Subnet>,
    /// From this port, in the original direction
    #[arg(long, alias = "orig-port-src", value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<u16>,
    /// To this port, in the original direction
    #[arg(long, alias = "orig-port-dst", value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dport: Option<u16>,
    /// From or to this address or prefix
    #[arg(long, value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub address: Option<Subnet>,
    /// From or to this port; with --address, of the same end
    #[arg(long, value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// In this state, such as ESTABLISHED
    #[arg(long, value_name = "STATE")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// With all of these: ASSURED, SEEN_REPLY, EXPECTED, UNREPLIED
    #[arg(short = 'u', long, value_name = "STATUS,…")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<Statuses>,
    /// With this mark, under this mask
    #[arg(short, long, value_name = "MARK[/MASK]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub mark: Option<MarkFilter>,
    /// With this helper, such as ftp
    #[arg(long, value_name = "HELPER")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub helper: Option<HelperName>,
    /// Announced by a flow from or to this address or prefix
    #[arg(long, value_name = "ADDRESS[/LENGTH]")]
    #[serde(with = "text", skip_serializing_if = "Option::is_none")]
    pub master: Option<Subnet>,
    /// Announced by another flow
    #[arg(long)]
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub related: bool,
    /// That this node forwards
    #[arg(long, conflicts_with_all = ["shadow", "node"])]
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub owned: bool,
    /// That another node forwards
    #[arg(long, conflicts_with = "node")]
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub shadow: bool,
    /// Of this node of the cluster
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u16>,
    /// List this many at most. The command line has its own word for it.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Delete all, though nothing else is given.
    #[arg(skip)]
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub all: bool,
}

impl Selection {
    /// Whether it means every flow.
    pub fn is_everything(&self) -> bool {
        *self == Self { limit: self.limit, all: self.all, ..Self::default() }
    }

    /// What it comes down to at a node of `cluster`.
    ///
    /// # Errors
    /// When it asks for an owner that cannot be.
    pub fn filter(&self, cluster: Option<&Cluster>) -> Result<Filter, Refusal> {
        let end = |address, port| EndFilter { address, port };
        let has = |status| self.status.as_ref().is_some_and(|statuses| statuses.contains(status));
        let wanted = |yes: bool, no: bool| if yes { Some(true) } else { no.then_some(false) };
        if has(Status::Unreplied) && has(Status::SeenReply) {
            return Err(Refusal::configuration("no flow is both UNREPLIED and SEEN_REPLY"));
        }
        Ok(Filter {
            family: self.family.map(Family::from),
            protocol: self.protocol.map(|protocol| protocol.0),
            classes: self.state.as_ref().map(State::classes),
            source: end(self.src, self.sport),
            destination: end(self.dst, self.dport),
            either: end(self.address, self.port),
            seen_reply: wanted(has(Status::SeenReply), has(Status::Unreplied)),
            assured: wanted(has(Status::Assured), false),
            mark: self.mark,
            buckets: self.buckets(cluster)?,
            owner: self.owner(cluster),
            helper: self.helper.map(HelperName::kind),
            related: wanted(self.related || has(Status::Expected), false),
            master: end(self.master, None),
            server: None,
        })
    }

    /// Whether this node is to forward them, where nodes have names.
    fn owner(&self, cluster: Option<&Cluster>) -> Option<OwnerFilter> {
        match &cluster?.membership {
            Membership::Members(members) if self.owned != self.shadow => {
                Some(OwnerFilter { member: members.me, forwards: self.owned })
            }
            _ => None,
        }
    }

    /// The buckets of the owner that is asked for. Without a cluster every flow is this node's.
    fn buckets(&self, cluster: Option<&Cluster>) -> Result<Option<BucketSet>, Refusal> {
        let all = || (0..BUCKETS_MAX).filter_map(BucketId::new);
        let owned = |bucket: &BucketId| cluster.is_none_or(|cluster| cluster.owns(*bucket));
        let named = cluster.is_some_and(|cluster| matches!(cluster.membership, Membership::Members(_)));
        let Some(node) = self.node else {
            return Ok(match (self.owned, self.shadow) {
                (false, false) => None,
                // There a flow need not be its bucket's owner's.
                (owned, shadow) if named && owned != shadow => None,
                (true, true) => Some(BucketSet::default()),
                (owned_ones, _) => Some(all().filter(|bucket| owned(bucket) == owned_ones).collect()),
            });
        };
        let total = cluster.map(|cluster| cluster.total_nodes).ok_or_else(|| {
            Refusal::conflict("this gateway is in no cluster: its flows are no node's in particular")
        })?;
        match NodeNumber::new(node.into()).filter(|node| node.number() <= total) {
            Some(node) => Ok(Some([node.bucket()].into_iter().collect())),
            None => Err(Refusal::configuration(format!(
                "node {node} is out of range: the cluster has nodes 1 to {total}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use weir_dataplane::config::{Members, NodeMask, Share, Tracking};
    use weir_dataplane::units::MemberId;
    use weir_dataplane::wire::IpProtocol;

    fn queried(query: &str) -> Result<Selection, String> {
        serde_urlencoded::from_str(query).map_err(|error| error.to_string())
    }

    #[test]
    fn a_selection_survives_the_way_through_a_query() {
        let query = "protocol=132&family=ipv6&src=2001%3Adb8%3A%3A%2F32&dport=80&state=ESTABLISHED\
                     &status=ASSURED%2CEXPECTED&mark=0x10%2F0xf0&helper=Q.931&related=true&limit=5";
        let selection = queried(query).unwrap();
        assert_eq!(serde_urlencoded::to_string(&selection).unwrap(), query);
        let filter = selection.filter(None).unwrap();
        assert_eq!(filter.protocol, Some(IpProtocol::SCTP));
        assert_eq!(filter.family, Some(Family::V6));
        assert_eq!((filter.related, filter.assured, filter.seen_reply), (Some(true), Some(true), None));
        assert!(!selection.is_everything());
        assert!(queried("limit=5").unwrap().is_everything());
    }

    #[test]
    fn what_is_misspelt_is_no_selection() {
        for query in ["protocl=tcp", "src=10.0.0", "state=OPEN", "status=GOOD", "helper=http", "sport=70000"]
        {
            assert!(queried(query).is_err(), "{query}");
        }
    }

    fn cluster(membership: Membership) -> Cluster {
        Cluster {
            total_nodes: 3,
            hash_seed: 0,
            membership,
            tracking: Tracking::All,
            non_ip: Share::Owner,
            untracked: Share::Owner,
        }
    }

    #[test]
    fn where_nodes_have_names_the_owner_counts_and_not_the_bucket() {
        let me = MemberId::new(7).unwrap();
        let members = Members { me, map: Vec::new(), living: BTreeMap::new(), learning: false };
        let cluster = cluster(Membership::Members(members));
        let asked = |query: &str| {
            let filter = queried(query).unwrap().filter(Some(&cluster)).unwrap();
            (filter.buckets, filter.owner.map(|owner| (owner.member, owner.forwards)))
        };
        assert_eq!(asked("owned=true"), (None, Some((me, true))));
        assert_eq!(asked("shadow=true"), (None, Some((me, false))));
        assert_eq!(asked("owned=true&shadow=true"), (Some(BucketSet::default()), None));
        assert_eq!(asked("protocol=tcp"), (None, None));
    }

    #[test]
    fn owners_are_the_buckets_that_are_theirs() {
        let local_nodes = BucketId::new(1).into_iter().collect();
        let cluster = cluster(Membership::Mask(NodeMask { local_nodes, invert: false }));
        let owns = |query: &str, node: usize| {
            let filter = queried(query).unwrap().filter(Some(&cluster)).unwrap();
            filter.buckets.unwrap().contains(BucketId::new(node - 1).unwrap())
        };
        assert_eq!([1, 2, 3].map(|node| owns("owned=true", node)), [false, true, false]);
        assert_eq!([1, 2, 3].map(|node| owns("shadow=true", node)), [true, false, true]);
        assert_eq!([1, 2, 3].map(|node| owns("node=3", node)), [false, false, true]);
        assert!(queried("node=4").unwrap().filter(Some(&cluster)).is_err());
        assert!(queried("node=1").unwrap().filter(None).is_err());
        let alone = queried("shadow=true").unwrap().filter(None).unwrap();
        assert!(alone.buckets.unwrap().is_empty(), "alone a node owns every flow");
    }
}
