//! Finds what is wrong with the cluster at one moment.

use super::alarm::Trouble;
use super::change::Change;
use super::company::Company;
use super::electorate::Electorate;
use super::member::{NodeName, State};
use super::ownership::Ownership;
use super::settings::Agreement;
use super::view::View;

/// What there is to look at.
pub(super) struct Sight<'a> {
    pub(super) view: &'a View,
    pub(super) company: &'a Company<'a>,
    pub(super) change: &'a Change,
    pub(super) ownership: &'a Ownership,
    pub(super) agreement: Agreement,
    /// This node has the lease, or the majority, that it needs.
    pub(super) may_own: bool,
    /// How many nodes served when they died and have not come back.
    pub(super) given_up: usize,
    /// Nodes that served already when they were heard.
    pub(super) strangers: &'a [NodeName],
}

/// All that is wrong.
pub(super) fn troubles(sight: &Sight<'_>) -> Vec<Trouble> {
    let mut found = Vec::new();
    if sight.agreement == Agreement::ByHand {
        // Nothing is heard of the others, and a bucket that was given up here may be another's by now.
        found.extend(sight.company.servers().next().is_none().then_some(Trouble::Hole));
        return found;
    }
    mismatches(sight, &mut found);
    if !sight.may_own {
        let leases = matches!(sight.agreement, Agreement::Leases { .. });
        found.push(if leases { Trouble::NoLease } else { Trouble::NoMajority { missing: missing(sight) } });
    }
    if sight.ownership.owners.contains(&None) && sight.company.me().state != State::Joining {
        found.push(Trouble::Hole);
    }
    let others = sight.company.other_servers();
    let apart =
        others.filter(|other| sight.company.serving() && other.active.as_ref() != sight.change.active());
    found.extend(apart.map(|other| Trouble::Overlap { node: other.name.clone() }));
    found.extend(sight.change.wanting(sight.company).map(|node| Trouble::Silent { node: node.clone() }));
    let alive = sight.company.servers().count();
    if sight.given_up > 0 && sight.given_up >= alive && sight.agreement == Agreement::Liveness {
        found.push(Trouble::Isolated);
    }
    found.extend(sight.strangers.iter().map(|node| Trouble::SplitBrain { node: node.clone() }));
    found
}

/// Those who vote and are not heard.
fn missing(sight: &Sight<'_>) -> Vec<NodeName> {
    let heard = |name: &NodeName| {
        let peer = sight.view.peers.get(name);
        *name == sight.company.me().name || peer.is_some_and(|peer| peer.liveness.lives())
    };
    let voters = sight.change.electorate().map(Electorate::voters).unwrap_or_default();
    voters.iter().filter(|name| !heard(name)).cloned().collect()
}

/// What other nodes hold that they should not.
fn mismatches(sight: &Sight<'_>, found: &mut Vec<Trouble>) {
    let me = sight.company.me();
    for (name, peer) in sight.view.peers.iter().filter(|(_, peer)| peer.liveness.lives()) {
        let (other, node) = (&peer.member, || name.clone());
        if other.name == me.name {
            if other.incarnation != me.incarnation {
                found.push(Trouble::Twin);
            }
            continue;
        }
        if peer.deaf {
            found.push(Trouble::Deaf { node: node() });
        }
        if other.hash_seed != me.hash_seed {
            found.push(Trouble::HashSeed { node: node() });
        }
        if other.total_nodes != me.total_nodes {
            found.push(Trouble::TotalNodes { node: node() });
        }
        if other.config_digest != me.config_digest {
            found.push(Trouble::ConfigDigest { node: node() });
        }
        if other.version != me.version {
            found.push(Trouble::Version { node: node() });
        }
    }
}
