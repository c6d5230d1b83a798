//! Checks `marks`, `services` and `pools`, and what they want of each other.

use super::surroundings::Surroundings;
use super::{marks, pools, rule, services};
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::services::{Pool, Service, Services, sparing};
use weir_dataplane::classify::RULES_MAX;
use weir_dataplane::config::service::Selector;
use weir_dataplane::units::{Mark, SERVERS_MAX, SERVICES_MAX};

/// As they are written.
pub(super) struct Raw<'a> {
    pub(super) marks: &'a raw::Items<raw::MarkRule>,
    pub(super) services: &'a raw::Items<raw::Service>,
    pub(super) pools: &'a raw::Items<raw::Pool>,
}

/// All three; without surroundings, which a bridge has none of, there may not be any.
pub(super) fn validate(
    raw: &Raw<'_>,
    around: Option<Surroundings<'_>>,
    findings: &mut Findings,
) -> Option<Services> {
    match around {
        Some(around) => of_router(raw, around, findings),
        None => has_none(raw, findings).then(Services::default),
    }
}

fn of_router(raw: &Raw<'_>, around: Surroundings<'_>, findings: &mut Findings) -> Option<Services> {
    let root = Path::root();
    let fits = fits(raw, findings);
    let marks = marks::validate(raw.marks, &root.key("marks"), around, findings);
    let services = services::validate(raw.services, &root.key("services"), around, findings);
    let pools = pools::validate(raw.pools, &root.key("pools"), around, findings);
    let marks = marks.into_iter().collect::<Option<Vec<_>>>();
    let services = services.into_iter().collect::<Option<Vec<_>>>();
    let pools = pools.into_iter().collect::<Option<Vec<_>>>();
    let all = Services { marks: marks?, services: services?, pools: pools? };
    let fits = fits && marks_fit(&all, findings);
    let named_apart = named_apart(&all, findings);
    warn_of_shadowed(&all, findings);
    warn_of_marks(&all, findings);
    warn_of_unused_marks(&all, findings);
    warn_of_slices(&all, findings);
    (fits && named_apart).then_some(all)
}

/// Says that a bridge has none of them; whether that is so.
fn has_none(raw: &Raw<'_>, findings: &mut Findings) -> bool {
    let said = [
        ("marks", !raw.marks.is_empty()),
        ("services", !raw.services.is_empty()),
        ("pools", !raw.pools.is_empty()),
    ];
    let mut none = true;
    for (key, _) in said.into_iter().filter(|(_, said)| *said) {
        let message = format!("a bridge has no `{key}`");
        let hint = "to route, say `forwarding: {mode: route}`; else leave it out".to_owned();
        findings.error(Target::Key(Path::root().key(key)), message, hint);
        none = false;
    }
    none
}

/// Whether there are not more of them than the packet path takes; says so if there are.
fn fits(raw: &Raw<'_>, findings: &mut Findings) -> bool {
    let pools = || raw.pools.iter().flatten();
    let servers: usize = raw.services.iter().flatten().map(|service| service.servers.len()).sum();
    let nodes: usize = pools().map(|pool| pool.nodes.len()).sum();
    let slices: usize = pools().filter(|pool| pool.slices.is_some()).map(|pool| pool.nodes.len()).sum();
    let rules: usize = pools().map(|pool| pool.rules.len()).sum();
    let counts = [
        ("marks", raw.marks.len(), RULES_MAX, "entries of `marks`"),
        ("services", raw.services.len() + raw.pools.len(), SERVICES_MAX, "services and pools"),
        ("services", servers + nodes, SERVERS_MAX, "servers and nodes"),
        ("pools", rules + slices, RULES_MAX, "rules of pools and slices of nodes"),
    ];
    let mut fine = true;
    for (key, count, most, what) in counts.into_iter().filter(|(_, count, most, _)| count > most) {
        let message = format!("there are {count} {what}, and {most} are possible");
        let hint = "join those that are alike, or spread them over more gateways".to_owned();
        findings.error(Target::Key(Path::root().key(key)), message, hint);
        fine = false;
    }
    fine
}

/// Whether there is room for the entries of `marks` and for those that spare servers; says so if there is not.
fn marks_fit(all: &Services, findings: &mut Findings) -> bool {
    let servers: Vec<_> = all.marked_servers().collect();
    let count = sparing(&all.marks, &servers).count();
    if count > RULES_MAX {
        let message = format!(
            "with one for each server that an entry would capture the requests of, `marks` has {count} entries, and \
             {RULES_MAX} are possible"
        );
        let hint = "name the `port` or the `source` of clients, without the servers".to_owned();
        findings.error(Target::Key(Path::root().key("marks")), message, hint);
    }
    count <= RULES_MAX
}

/// Whether no pool has the name of a service; says so if one has.
fn named_apart(all: &Services, findings: &mut Findings) -> bool {
    let is_service = |pool: &Pool| all.services.iter().any(|service| service.name == pool.name);
    let Some(i) = all.pools.iter().position(is_service) else { return true };
    let message = format!("`{}` is the name of a service too", all.pools[i].name);
    let hint = "name each pool and service once".to_owned();
    findings.error(Target::Value(Path::root().key("pools").item(i).key("name")), message, hint);
    false
}

fn warn_of_shadowed(all: &Services, findings: &mut Findings) {
    let root = Path::root();
    let of_marks = all.marks.iter().enumerate().map(|(i, (rule, _))| (root.key("marks").item(i), rule));
    rule::warn_of_shadowed(of_marks, findings);
    let of_pools = all.pools.iter().enumerate().flat_map(|(i, pool)| {
        let path = Path::root().key("pools").item(i).key("rules");
        pool.rules.iter().enumerate().map(move |(k, rule)| (path.item(k), &rule.rule))
    });
    rule::warn_of_shadowed(of_pools, findings);
}

/// Warns of marks that are given and that nobody asks for.
fn warn_of_unused_marks(all: &Services, findings: &mut Findings) {
    let of_services = all.services.iter().filter_map(|service| match service.selector {
        Selector::Mark(mark) => Some(mark),
        Selector::Address { .. } => None,
    });
    let of_pools = all.pools.iter().flat_map(|pool| &pool.rules).filter_map(|rule| rule.rule.mark);
    let asked: Vec<Mark> = of_services.chain(of_pools).collect();
    let given = all.marks.iter().enumerate().filter_map(|(i, (_, mark))| Some((i, (*mark)?)));
    for (i, mark) in given.filter(|(_, mark)| !asked.contains(mark)) {
        findings.warning(
            Target::Value(Path::root().key("marks").item(i).key("mark")),
            format!("no service and no rule of a pool is for mark {}", mark.0),
            "give a service this `mark`, or leave the entry out".to_owned(),
        );
    }
}

/// Warns of marks that are asked for and never given.
fn warn_of_marks(all: &Services, findings: &mut Findings) {
    let root = Path::root();
    let of_services = all.services.iter().enumerate().filter_map(|(i, service)| match service.selector {
        Selector::Mark(mark) => Some((root.key("services").item(i), mark)),
        Selector::Address { .. } => None,
    });
    let of_pools = all.pools.iter().enumerate().flat_map(|(i, pool)| {
        let path = Path::root().key("pools").item(i).key("rules");
        pool.rules.iter().enumerate().filter_map(move |(k, rule)| Some((path.item(k), rule.rule.mark?)))
    });
    for (path, mark) in of_services.chain(of_pools) {
        if !all.marks.iter().any(|(_, given)| *given == Some(mark)) {
            findings.warning(
                Target::Value(path.key("mark")),
                format!("no entry of `marks` gives mark {}: no connection comes here", mark.0),
                format!("for example `marks: [{{ port: lan, destination_port: 80, mark: {} }}]`", mark.0),
            );
        }
    }
}

/// Warns of services at ports that are a node's own.
fn warn_of_slices(all: &Services, findings: &mut Findings) {
    for (i, Service { selector, .. }) in all.services.iter().enumerate() {
        let Selector::Address { address, port, .. } = *selector else { continue };
        let has = |pool: &&Pool| {
            pool.slices.as_ref().is_some_and(|slices| slices.address == address)
                && pool.slice_ports().is_some_and(|ports| ports.contains(&port))
        };
        if let Some(pool) = all.pools.iter().find(has) {
            findings.warning(
                Target::Value(Path::root().key("services").item(i).key("port")),
                format!("this port is one of `slices` of the pool `{}`: the service gets nothing", pool.name),
                "leave it out of the slices, or choose another port".to_owned(),
            );
        }
    }
}
