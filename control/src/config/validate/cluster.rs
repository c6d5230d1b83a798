//! Checks `cluster`.

use super::membership;
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::{self, raw};
use std::collections::BTreeMap;
use weir_dataplane::config::{BucketSet, Cluster, Members, Membership, NodeMask, Share, Tracking};
use weir_dataplane::units::{BucketId, MemberId, NodeNumber};

/// Nodes of a cluster that Linux can be part of, at most: the bits of its node mask.
const LINUX_NODES_MAX: u16 = 32;

/// What the packet path is told, and how the nodes know of each other if they agree by themselves.
pub(super) fn validate(
    raw: raw::Cluster,
    node: Option<&str>,
    path: &Path,
    findings: &mut Findings,
) -> Option<(Cluster, Option<config::Membership>)> {
    let alone = one_way(&raw, path, findings);
    let local_nodes = local_nodes(&raw, path, findings);
    let (membership, agreed) = if has_names(&raw) {
        let fits = fits_named(&raw, path, findings);
        let agreed = membership::validate(&raw, node, path, findings);
        let nobody =
            Members { me: MemberId::FIRST, map: Vec::new(), living: BTreeMap::new(), learning: true };
        fits?;
        (Membership::Members(nobody), Some(agreed?))
    } else {
        warn_of_named(&raw, path, findings);
        warn_of_linux(&raw, path, findings);
        let mask = NodeMask { local_nodes: local_nodes?, invert: raw.invert };
        warn_of_nothing(&mask, raw.total_nodes?, path, findings);
        (Membership::Mask(mask), None)
    };
    alone?;
    let cluster = Cluster {
        total_nodes: raw.total_nodes?,
        hash_seed: raw.hash_seed?,
        membership,
        tracking: match raw.tracking {
            raw::Tracking::Own => Tracking::Own,
            raw::Tracking::All => Tracking::All,
        },
        non_ip: share(raw.non_ip),
        untracked: share(raw.untracked),
    };
    Some((cluster, agreed))
}

/// Whether the nodes have names.
const fn has_names(raw: &raw::Cluster) -> bool {
    raw.gossip.is_some() || raw.etcd.is_some() || raw.fixed.is_some()
}

/// It is said in one way whose the shares are.
fn one_way(raw: &raw::Cluster, path: &Path, findings: &mut Findings) -> Option<()> {
    let ways = [
        ("local_nodes", raw.local_nodes.is_some()),
        ("node_mask", raw.node_mask.is_some()),
        ("gossip", raw.gossip.is_some()),
        ("etcd", raw.etcd.is_some()),
        ("static", raw.fixed.is_some()),
    ];
    let mut said = ways.into_iter().filter(|(_, said)| *said).map(|(key, _)| key);
    let Some(first) = said.next() else {
        // One that is wrong has been told of.
        if !ways.iter().any(|(key, _)| findings.is_removed(&path.key(key))) {
            let message = "`local_nodes` is missing in `cluster`".to_owned();
            let hint = "which shares are this node's, for example `local_nodes: [1]`; or `gossip`, `etcd` or `static`, \
                        by which nodes that have names share them out"
                .to_owned();
            findings.error(Target::Key(path.key("local_nodes")), message, hint);
        }
        return None;
    };
    let mut alone = Some(());
    for other in said {
        let message = format!("`{first}` and `{other}` exclude each other");
        findings.error(Target::Key(path.key(other)), message, "keep one of them".to_owned());
        alone = None;
    }
    alone
}

/// What nodes that have names have no choice of.
fn fits_named(raw: &raw::Cluster, path: &Path, findings: &mut Findings) -> Option<()> {
    let mut fits = Some(());
    let own = matches!(raw.tracking, raw::Tracking::Own);
    for (key, said, what) in [("invert", raw.invert, "`invert`"), ("tracking", own, "`tracking: own`")] {
        if said {
            let message = format!("{what} is for `local_nodes`");
            let hint = "leave it out: nodes that know of each other follow all flows".to_owned();
            findings.error(Target::Key(path.key(key)), message, hint);
            fits = None;
        }
    }
    if raw.fixed.is_some() && raw.weight != 1 {
        let message = "with `static` each member has a `weight` of its own".to_owned();
        let hint = "say it in `static.members`, on all nodes alike".to_owned();
        findings.error(Target::Key(path.key("weight")), message, hint);
        fits = None;
    }
    fits
}

/// The shares that numbers say are this node's, if they do.
fn local_nodes(raw: &raw::Cluster, path: &Path, findings: &mut Findings) -> Option<BucketSet> {
    let total = raw.total_nodes?;
    let numbers = raw.local_nodes.as_ref();
    let numbers = numbers.and_then(|nodes| from_numbers(nodes, total, &path.key("local_nodes"), findings));
    let mask = raw.node_mask.and_then(|mask| from_mask(mask, total, &path.key("node_mask"), findings));
    numbers.or(mask)
}

const fn share(raw: raw::Share) -> Share {
    match raw {
        raw::Share::Owner => Share::Owner,
        raw::Share::Forward => Share::Forward,
        raw::Share::Drop => Share::Drop,
    }
}

pub(super) fn from_numbers(
    numbers: &raw::Items<u16>,
    total: u16,
    path: &Path,
    findings: &mut Findings,
) -> Option<BucketSet> {
    let mut nodes = BucketSet::default();
    let mut fine = true;
    for (i, number) in numbers.iter().enumerate() {
        let Some(number) = *number else { continue };
        let (message, hint) = match NodeNumber::new(usize::from(number)) {
            Some(node) if number <= total => {
                if nodes.insert(node.bucket()) {
                    continue;
                }
                (format!("node {number} is here twice"), "name each node once".to_owned())
            }
            _ => (
                format!("node {number} is not among the {total} of the cluster"),
                format!("nodes count from 1 to `total_nodes`, which is {total}"),
            ),
        };
        fine = false;
        findings.error(Target::Value(path.item(i)), message, hint);
    }
    fine.then_some(nodes)
}

fn from_mask(mask: u32, total: u16, path: &Path, findings: &mut Findings) -> Option<BucketSet> {
    let all = 1_u64.checked_shl(u32::from(total)).map_or(u64::MAX, |limit| limit - 1);
    let (message, hint) = if total > LINUX_NODES_MAX {
        (
            format!("a mask has {LINUX_NODES_MAX} bits, but the cluster has {total} nodes"),
            "name the nodes with `local_nodes`".to_owned(),
        )
    } else if u64::from(mask) > all {
        (
            format!("{mask:#x} has bits for more nodes than the {total} of the cluster"),
            format!("the lowest bit is node 1; at most {all:#x}"),
        )
    } else {
        let bits = (0..32).filter(|bit| mask >> bit & 1 == 1);
        return Some(bits.filter_map(BucketId::new).collect());
    };
    findings.error(Target::Value(path.clone()), message, hint);
    None
}

/// What is for nodes that have names has no effect without them.
fn warn_of_named(raw: &raw::Cluster, path: &Path, findings: &mut Findings) {
    let differs = |said: raw::Seconds, default: raw::Seconds| said.0.to_bits() != default.0.to_bits();
    let said = [
        ("weight", raw.weight != 1),
        ("learning_s", differs(raw.learning_s, raw::learning())),
        ("drain_s", differs(raw.drain_s, raw::drain())),
    ];
    for (key, _) in said.into_iter().filter(|(_, said)| *said) {
        let message = format!("`{key}` has no effect with `local_nodes`");
        let hint = "leave it out, or let the nodes know of each other by `gossip` or `etcd`".to_owned();
        findings.warning(Target::Key(path.key(key)), message, hint);
    }
}

/// A node of Linux's counts in a mask.
fn warn_of_linux(raw: &raw::Cluster, path: &Path, findings: &mut Findings) {
    if raw.total_nodes.is_some_and(|total| total > LINUX_NODES_MAX) {
        findings.warning(
            Target::Value(path.key("total_nodes")),
            format!("no Linux node can take part: Linux counts {LINUX_NODES_MAX} nodes at most"),
            None,
        );
    }
}

/// A node that owns nothing is what a standby starts as, or a mistake.
fn warn_of_nothing(mask: &NodeMask, total_nodes: u16, path: &Path, findings: &mut Findings) {
    let all = mask.local_nodes.len() == usize::from(total_nodes);
    let (message, hint) = if mask.invert && all {
        ("with `invert` and all nodes local this node owns nothing", "leave `invert` out")
    } else if !mask.invert && mask.local_nodes.is_empty() {
        ("this node owns nothing", "it waits for `weir cluster add N`")
    } else {
        return;
    };
    findings.warning(Target::Key(path.clone()), message.to_owned(), hint.to_owned());
}
