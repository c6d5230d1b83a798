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
    node: &NodeName,
    total_nodes: u16,
    path: &Path,
    findings: &mut Findings,
) -> Option<(Fixed, FixedMember)> {
    let listed = path.key("members");
    let members = members(raw.members.as_ref()?, &listed, findings)?;
    if members.len() > usize::from(total_nodes) {
        let message = format!("{} members share {total_nodes} buckets: some get none", members.len());
        let hint = "a larger `total_nodes`, such as 64 for each member".to_owned();
        findings.warning(Target::Key(listed.clone()), message, hint);
    }
    let pins = pins(raw, &members, total_nodes, &path.key("pins"), findings);
    let Some(own) = members.iter().find(|member| member.name == *node).cloned() else {
        let message = format!("`{node}`, which is this node, is not among the members");
        let hint = "all nodes stand there, this one too, each with its `node`".to_owned();
        findings.error(Target::Key(listed), message, hint);
        return None;
    };
    Some((Fixed { members, pins: pins?, waits: raw.start == raw::Start::Waits }, own))
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
    let name = raw.name.as_ref()?.parse::<NodeName>();
    if let Err(error) = &name {
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
    Some(FixedMember { name: name.ok()?, weight: Weight::new(raw.weight)?, address: address? })
}

fn pins(
    raw: &raw::Static,
    members: &[FixedMember],
    total_nodes: u16,
    path: &Path,
    findings: &mut Findings,
) -> Option<BTreeMap<u16, NodeName>> {
    let mut pins = BTreeMap::new();
    let mut fine = true;
    for (i, raw) in raw.pins.iter().enumerate() {
        let Some(raw::StaticPin { bucket: Some(bucket), node: Some(node) }) = raw else {
            fine = false;
            continue;
        };
        let path = path.item(i);
        let mut wrong = |key: &str, message: String, hint: String| {
            findings.error(Target::Value(path.key(key)), message, hint);
            fine = false;
        };
        let member = members.iter().find(|member| member.name.as_str() == node);
        if member.is_none() {
            wrong("node", format!("`{node}` is not among the members"), "a name of `members`".to_owned());
        }
        if *bucket > total_nodes {
            let message = format!("bucket {bucket} is not among the {total_nodes} of the cluster");
            wrong("bucket", message, "buckets count from 1 to `total_nodes`".to_owned());
        }
        let member = member.map(|member| member.name.clone());
        if member.is_some_and(|member| pins.insert(bucket - 1, member).is_some()) {
            wrong("bucket", format!("bucket {bucket} is pinned twice"), "pin each once".to_owned());
        }
    }
    fine.then_some(pins)
}
