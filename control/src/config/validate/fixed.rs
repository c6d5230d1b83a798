//! Checks `cluster.static`.

use crate::cluster::{NodeName, Weight};
use crate::config::finding::{Findings, Target};
use crate::config::membership::{Fixed, FixedMember};
use crate::config::path::Path;
use crate::config::raw;
use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

/// The members, of whom `node` must be one, and the pins; and which member `node` is.
pub(super) fn validate(
    raw: &raw::Static,
    node: Option<&NodeName>,
    total_nodes: Option<u16>,
    path: &Path,
    findings: &mut Findings,
) -> Option<(Fixed, FixedMember)> {
    let listed = path.key("members");
    let members = raw.members.as_ref().and_then(|members| self::members(members, &listed, findings));
    let names = raw.members.as_ref().and_then(names);
    let pins = pins(&raw.pins, names.as_deref(), total_nodes, &path.key("pins"), findings);
    if let (Some(names), Some(node)) = (&names, node)
        && !names.contains(&node.as_str())
    {
        let message = format!("`{node}`, which is this node, is not among the members");
        let hint = "all nodes stand there, this one too, each with its `node`".to_owned();
        findings.error(Target::Key(listed.clone()), message, hint);
    }
    let (members, node, total_nodes) = (members?, node?, total_nodes?);
    if members.len() > usize::from(total_nodes) {
        let message = format!("{} members share {total_nodes} buckets: some get none", members.len());
        let hint = "a larger `total_nodes`, such as 64 for each member".to_owned();
        findings.warning(Target::Key(listed), message, hint);
    }
    let own = members.iter().find(|member| member.name == *node)?.clone();
    Some((Fixed { members, pins: pins?, waits: raw.start == raw::Start::Waits }, own))
}

/// What the members are called, if each is.
fn names(raw: &raw::Items<raw::StaticMember>) -> Option<Vec<&str>> {
    raw.iter().map(|member| member.as_ref()?.name.as_deref()).collect()
}

fn members(
    raw: &raw::Items<raw::StaticMember>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Vec<FixedMember>> {
    let mut members: Vec<FixedMember> = Vec::new();
    let mut fine = true;
    for (i, raw) in raw.iter().enumerate() {
        let path = path.item(i);
        let Some(member) = raw.as_ref().and_then(|raw| member(raw, &path, findings)) else {
            fine = false;
            continue;
        };
        if members.iter().any(|known| known.name == member.name) {
            let message = format!("node `{}` is here twice", member.name);
            findings.error(Target::Value(path.key("name")), message, "name each node once".to_owned());
            fine = false;
        }
        members.push(member);
    }
    fine.then_some(members)
}

fn member(raw: &raw::StaticMember, path: &Path, findings: &mut Findings) -> Option<FixedMember> {
    let name = raw.name.as_ref().map(|name| name.parse::<NodeName>());
    if let Some(Err(error)) = &name {
        findings.error(Target::Value(path.key("name")), error.to_string(), None);
    }
    let address = match &raw.address {
        None => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Some(text) => {
            let address = text.parse().ok();
            if address.is_none() {
                let message = format!("`{text}` is not an IP address");
                findings.error(
                    Target::Value(path.key("address")),
                    message,
                    "for example `192.0.2.11`".to_owned(),
                );
            }
            address
        }
    };
    Some(FixedMember { name: name?.ok()?, weight: Weight::new(raw.weight)?, address: address? })
}

/// Which node has each share that is pinned, by the share's number from 0.
fn pins(
    raw: &raw::Items<raw::StaticPin>,
    names: Option<&[&str]>,
    total_nodes: Option<u16>,
    path: &Path,
    findings: &mut Findings,
) -> Option<BTreeMap<u16, NodeName>> {
    let mut pins = BTreeMap::new();
    let mut fine = true;
    for (i, raw) in raw.iter().enumerate() {
        let Some(raw::StaticPin { bucket, node }) = raw else {
            fine = false;
            continue;
        };
        let path = path.item(i);
        let mut wrong = |key: &str, message: String, hint: &str| {
            findings.error(Target::Value(path.key(key)), message, hint.to_owned());
            fine = false;
        };
        if let (Some(node), Some(names)) = (node, names)
            && !names.contains(&node.as_str())
        {
            wrong("node", format!("`{node}` is not among the members"), "a name of `members`");
        }
        let Some(bucket) = *bucket else { continue };
        if let Some(total_nodes) = total_nodes.filter(|total| bucket > *total) {
            let message = format!("bucket {bucket} is not among the {total_nodes} of the cluster");
            wrong("bucket", message, "buckets count from 1 to `total_nodes`");
        }
        let node = node.as_ref().and_then(|node| node.parse().ok());
        if pins.insert(bucket - 1, node).is_some() {
            wrong("bucket", format!("bucket {bucket} is pinned twice"), "pin each once");
        }
    }
    let pins = pins.into_iter().map(|(bucket, node)| Some((bucket, node?)));
    pins.collect::<Option<_>>().filter(|_| fine)
}
