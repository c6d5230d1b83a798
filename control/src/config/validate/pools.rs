//! Checks `pools`.

use super::health::{self, time};
use super::rule;
use super::services::{fallback, service_address};
use super::surroundings::{Surroundings, name};
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::services::{Agent, Node, Pool, PoolRule, Slices};
use crate::config::{raw, words};
use core::net::SocketAddr;
use weir_dataplane::config::service::{Method, Place};
use weir_dataplane::units::Mark;

/// The pools, in order; one that is wrong is `None`.
pub(super) fn validate(
    raw: &raw::Items<raw::Pool>,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Option<Pool>> {
    let mut pools: Vec<Option<Pool>> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let path = path.item(i);
        let found = raw.as_ref().and_then(|raw| pool(raw, &path, around, findings));
        let is_new = found.as_ref().is_none_or(|found| is_new(found, &pools, &path, findings));
        pools.push(found.filter(|_| is_new));
    }
    pools
}

fn pool(raw: &raw::Pool, path: &Path, around: Surroundings<'_>, findings: &mut Findings) -> Option<Pool> {
    let name = raw.name.as_ref().and_then(|text| name(text, "pool", &path.key("name"), findings));
    let nodes = nodes(&raw.nodes, &path.key("nodes"), around, findings);
    let names: Vec<Option<&str>> = raw.nodes.iter().map(|node| node.as_ref()?.name.as_deref()).collect();
    let rules = raw
        .rules
        .iter()
        .enumerate()
        .map(|(i, raw)| pool_rule(raw.as_ref()?, &names, &path.key("rules").item(i), around, findings));
    let rules: Vec<Option<PoolRule>> = rules.collect();
    let reports = match &raw.reports {
        Some(text) => reports(text, &path.key("reports"), findings).map(Some),
        None => Some(None),
    };
    let agent = match &raw.agent {
        Some(raw) => agent(raw, &path.key("agent"), findings).map(Some),
        None => Some(None),
    };
    let slices = match &raw.slices {
        Some(raw) => slices(raw, nodes.len(), &path.key("slices"), findings).map(Some),
        None => Some(None),
    };
    let health = match &raw.health {
        Some(raw) => health::validate(raw, None, &path.key("health"), findings).map(Some),
        None => Some(None),
    };
    let drain_timeout = match raw.drain_timeout_s {
        Some(seconds) => time(seconds, &path.key("drain_timeout_s"), findings).map(Some),
        None => Some(None),
    };
    if raw.rules.is_empty() && raw.slices.is_none() {
        findings.warning(
            Target::Key(path.clone()),
            "neither `rules` nor `slices` say which connections are the pool's: it gets none".to_owned(),
            "for example `rules: [{ destination: 192.0.2.1, destination_port: 80 }]`".to_owned(),
        );
    }
    let nodes = nodes.into_iter().collect::<Option<Vec<_>>>()?;
    let health = health?;
    if health.as_ref().is_some_and(|health| health.check.is_some()) {
        health::can_ask(nodes.iter().map(|node| node.place), &path.key("nodes"), findings)?;
    }
    Some(Pool {
        name: name?.to_owned(),
        nodes,
        rules: rules.into_iter().collect::<Option<_>>()?,
        fallback: fallback(raw.fallback),
        reports: reports?,
        agent: agent?,
        slices: slices?,
        health,
        drain_timeout: drain_timeout?,
    })
}

fn nodes(
    raw: &raw::Items<raw::Node>,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Option<Node>> {
    let mut nodes: Vec<Option<Node>> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let path = path.item(i);
        let found = raw.as_ref().and_then(|raw| node(raw, &path, around, findings));
        let is_new = found.as_ref().is_none_or(|found| is_new_node(found, &nodes, &path, findings));
        nodes.push(found.filter(|_| is_new));
    }
    if raw.is_empty() {
        findings.warning(
            Target::Key(path.parent()),
            "there are no nodes: every connection is left to `fallback`".to_owned(),
            "for example `nodes: [{ name: a, address: 10.0.1.1 }]`".to_owned(),
        );
    }
    nodes
}

fn node(raw: &raw::Node, path: &Path, around: Surroundings<'_>, findings: &mut Findings) -> Option<Node> {
    let name = raw.name.as_ref().and_then(|text| name(text, "node", &path.key("name"), findings));
    let place = around.place(&raw.place, path, findings);
    if let Some(place) = place {
        around.reaches(place, Method::Direct, path, findings);
    }
    Some(Node { name: name?.to_owned(), place: place?, up: raw.state == raw::NodeState::Up, cost: raw.cost })
}

/// Whether the node is not among the others already; says so if it is.
fn is_new_node(node: &Node, others: &[Option<Node>], path: &Path, findings: &mut Findings) -> bool {
    let (key, message) = if others.iter().flatten().any(|other| other.name == node.name) {
        ("name", format!("the name `{}` is there twice", node.name))
    } else if others.iter().flatten().any(|other| other.place == node.place) {
        let key = if matches!(node.place, Place::Mac(..)) { "mac" } else { "address" };
        (key, "this node is there twice".to_owned())
    } else {
        return true;
    };
    findings.error(Target::Value(path.key(key)), message, "give each node once".to_owned());
    false
}

fn pool_rule(
    raw: &raw::PoolRule,
    nodes: &[Option<&str>],
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Option<PoolRule> {
    let rule = rule::validate(&raw.rule, path, around, findings);
    let node = match &raw.node {
        Some(name) => {
            let position = nodes.iter().position(|known| *known == Some(name.as_str()));
            if position.is_none() {
                let known: Vec<&str> = nodes.iter().flatten().copied().collect();
                let hint = match words::closest(name, known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("those of the pool are {}", known.join(", ")),
                };
                let message = format!("there is no node `{name}`");
                findings.error(Target::Value(path.key("node")), message, hint);
            }
            position.map(Some)
        }
        None => Some(None),
    };
    let rule = weir_dataplane::config::Rule { mark: raw.mark.map(Mark), ..rule? };
    if rule::is_for_all(&rule) {
        findings.warning(
            Target::Key(path.clone()),
            "this takes every connection that passes".to_owned(),
            "say which, for example `destination: 192.0.2.1`".to_owned(),
        );
    }
    Some(PoolRule { rule, node: node? })
}

fn reports(text: &str, path: &Path, findings: &mut Findings) -> Option<SocketAddr> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    if address.is_none() {
        let message = format!("`{text}` is not an IP address with a port");
        let hint = "for example `10.0.1.254:9476` or `[2001:db8::1]:9476`".to_owned();
        findings.error(Target::Value(path.clone()), message, hint);
    }
    address
}

fn agent(raw: &raw::Agent, path: &Path, findings: &mut Findings) -> Option<Agent> {
    let page = health::page(&raw.path, &path.key("path"), findings);
    let interval = time(raw.interval_s, &path.key("interval_s"), findings);
    Some(Agent { port: raw.port?, path: page?, interval: interval? })
}

fn slices(raw: &raw::Slices, nodes: usize, path: &Path, findings: &mut Findings) -> Option<Slices> {
    let address = service_address(raw.address.as_ref()?, &path.key("address"), findings);
    let (first_port, ports_a_node) = (raw.first_port?, raw.ports_a_node?);
    let room = usize::from(u16::MAX - first_port) + 1;
    if nodes * usize::from(ports_a_node) > room {
        let message = format!(
            "{nodes} nodes with {ports_a_node} ports each do not fit: from {first_port} on there are {room}"
        );
        let hint = format!("at most {} for each node", room / nodes.max(1));
        findings.error(Target::Value(path.key("ports_a_node")), message, hint);
        return None;
    }
    Some(Slices { address: address?, first_port, ports_a_node })
}

/// Whether no other pool has its name or ports; says so if one has.
fn is_new(pool: &Pool, others: &[Option<Pool>], path: &Path, findings: &mut Findings) -> bool {
    if others.iter().flatten().any(|other| other.name == pool.name) {
        let message = format!("the name `{}` is there twice", pool.name);
        findings.error(Target::Value(path.key("name")), message, "name each pool once".to_owned());
        return false;
    }
    let Some((own, ports)) = pool.slices.as_ref().zip(pool.slice_ports()) else { return true };
    let meets = |other: &&Pool| {
        let theirs = other.slices.as_ref().zip(other.slice_ports());
        theirs.is_some_and(|(slices, theirs)| {
            slices.address == own.address && theirs.start() <= ports.end() && ports.start() <= theirs.end()
        })
    };
    let Some(other) = others.iter().flatten().find(meets) else { return true };
    let message = format!("some of these ports are those of nodes of `{}`", other.name);
    let hint = "give each pool ports of its own".to_owned();
    findings.error(Target::Value(path.key("slices").key("first_port")), message, hint);
    false
}
