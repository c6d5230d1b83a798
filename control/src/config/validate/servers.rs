//! Checks the `servers` of a service.

use super::surroundings::{Surroundings, name};
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::services::Server;
use weir_dataplane::config::service::{Method, Place, Selector};

/// The servers of a service that is selected so; one that is wrong is `None`.
pub(super) fn validate(
    raw: &raw::Items<raw::Server>,
    selector: Option<Selector>,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Option<Server>> {
    let mut servers: Vec<Option<Server>> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let path = path.item(i);
        let found = raw.as_ref().and_then(|raw| server(raw, selector, &path, around, findings));
        let is_new = found.as_ref().is_none_or(|found| is_new(found, &servers, &path, findings));
        servers.push(found.filter(|_| is_new));
    }
    if raw.is_empty() {
        findings.warning(
            Target::Key(path.parent()),
            "there are no servers: every connection is left to `fallback`".to_owned(),
            "for example `servers: [{ name: web1, address: 10.0.0.2 }]`".to_owned(),
        );
    }
    servers
}

fn server(
    raw: &raw::Server,
    selector: Option<Selector>,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Server> {
    let name = raw.name.as_ref().and_then(|text| name(text, "server", &path.key("name"), findings));
    let place = around.place(&raw.place, path, findings);
    let method = match raw.method {
        raw::Method::Direct => Method::Direct,
        raw::Method::Ipip => Method::Ipip,
    };
    let thresholds = thresholds(raw, path, findings);
    if let Some(place) = place {
        around.reaches(place, method, path, findings);
        fits(place, method, selector, path, findings)?;
    }
    warn_of_port(raw, selector, path, findings);
    warn_of_itself(place, selector, path, findings);
    let (upper_threshold, lower_threshold) = thresholds?;
    Some(Server {
        name: name?.to_owned(),
        place: place?,
        port: raw.port,
        method,
        weight: raw.weight,
        upper_threshold,
        lower_threshold,
        cost: 1,
        drain: raw.drain,
    })
}

/// Upper and lower. As in IPVS a lower one needs an upper one that is not below it.
fn thresholds(raw: &raw::Server, path: &Path, findings: &mut Findings) -> Option<(u32, u32)> {
    let (upper, lower) = (raw.upper_threshold, raw.lower_threshold);
    if lower <= upper {
        return Some((upper, lower));
    }
    let message = format!("`lower_threshold` is {lower} and `upper_threshold` {upper}");
    let hint = "a server that is full at the upper one is used again below the lower one: exchange them";
    findings.error(Target::Value(path.key("lower_threshold")), message, hint.to_owned());
    None
}

/// Whether packets of the service can get to the place by the method; says so if not.
fn fits(
    place: Place,
    method: Method,
    selector: Option<Selector>,
    path: &Path,
    findings: &mut Findings,
) -> Option<()> {
    let (target, message, hint) = match (place, method, selector) {
        (Place::Mac(..), Method::Ipip, _) => (
            Target::Key(path.key("method")),
            "a tunnel needs an address to lead to".to_owned(),
            "give the server's `address`, or leave `method` out",
        ),
        (Place::Address(server), Method::Direct, Some(Selector::Address { address, .. }))
            if server.is_ipv4() != address.is_ipv4() =>
        {
            (
                Target::Value(path.key("address")),
                format!("`{server}` is not of the same IP version as the service's `{address}`"),
                "direct routing leaves addresses alone: give one of the same version, or say `method: ipip`",
            )
        }
        _ => return Some(()),
    };
    findings.error(target, message, hint.to_owned());
    None
}

fn warn_of_port(raw: &raw::Server, selector: Option<Selector>, path: &Path, findings: &mut Findings) {
    let Some(Selector::Address { port, .. }) = selector else { return };
    if raw.port != 0 && port != 0 && raw.port != port {
        findings.warning(
            Target::Value(path.key("port")),
            format!("packets keep the service's port, {port}"),
            format!("leave it out: the server must listen on {port}"),
        );
    }
}

fn warn_of_itself(place: Option<Place>, selector: Option<Selector>, path: &Path, findings: &mut Findings) {
    let (Some(Place::Address(server)), Some(Selector::Address { address, .. })) = (place, selector) else {
        return;
    };
    if server == address {
        findings.warning(
            Target::Value(path.key("address")),
            format!("`{server}` is the service's own address"),
            "give an address that the server alone has; it has the service's beside that".to_owned(),
        );
    }
}

/// Whether the server is not among the others already; says so if it is.
fn is_new(server: &Server, others: &[Option<Server>], path: &Path, findings: &mut Findings) -> bool {
    let of = |is_same: &dyn Fn(&Server) -> bool| others.iter().flatten().any(is_same);
    if of(&|other| other.name == server.name) {
        let message = format!("the name `{}` is there twice", server.name);
        findings.error(Target::Value(path.key("name")), message, "name each server once".to_owned());
        return false;
    }
    if of(&|other| (other.place, other.port) == (server.place, server.port)) {
        let key = if matches!(server.place, Place::Mac(..)) { "mac" } else { "address" };
        let message = "this server is there twice".to_owned();
        let hint = "give it once, with more `weight`".to_owned();
        findings.error(Target::Value(path.key(key)), message, hint);
        return false;
    }
    true
}
