//! Checks `services`.

use super::health::{self, time};
use super::surroundings::{Surroundings, name};
use super::{scheduler, servers};
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::services::{Order, Service};
use core::net::IpAddr;
use weir_dataplane::config::service::{Fallback, Persistence, Selector};
use weir_dataplane::units::Mark;
use weir_dataplane::wire::IpProtocol;

/// The services, in order; one that is wrong is `None`.
pub(super) fn validate(
    raw: &raw::Items<raw::Service>,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Option<Service>> {
    let mut services: Vec<Option<Service>> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let path = path.item(i);
        let found = raw.as_ref().and_then(|raw| service(raw, &path, around, findings));
        let is_new = found.as_ref().is_none_or(|found| is_new(found, &services, &path, findings));
        services.push(found.filter(|_| is_new));
    }
    services
}

fn service(
    raw: &raw::Service,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Service> {
    let name = raw.name.as_ref().and_then(|text| name(text, "service", &path.key("name"), findings));
    let selector = selector(raw, path, findings);
    let scheduler = scheduler::validate(raw, path, findings);
    let persistence = match &raw.persistence {
        Some(raw) => persistence(raw, &path.key("persistence"), findings).map(Some),
        None => Some(None),
    };
    let servers = servers::validate(&raw.servers, selector, &path.key("servers"), around, findings);
    let port = match selector {
        Some(Selector::Address { port, .. }) if port != 0 => Some(port),
        _ => None,
    };
    let health = match &raw.health {
        Some(raw) => health::validate(raw, port, &path.key("health"), findings).map(Some),
        None => Some(None),
    };
    let drain_timeout = match raw.drain_timeout_s {
        Some(seconds) => time(seconds, &path.key("drain_timeout_s"), findings).map(Some),
        None => Some(None),
    };
    if let Some(Selector::Address { address, .. }) = selector {
        around.warn_of_network_end(address, &path.key("address"), findings);
    }
    let servers = servers.into_iter().collect::<Option<Vec<_>>>()?;
    let health = health?;
    if health.as_ref().is_some_and(|health| health.check.is_some()) {
        let places = servers.iter().map(|server| server.place);
        health::can_ask(places, &path.key("servers"), findings)?;
    }
    Some(Service {
        name: name?.to_owned(),
        selector: selector?,
        scheduler: scheduler?,
        order: match raw.order {
            raw::Order::NewestFirst => Order::NewestFirst,
            raw::Order::Address => Order::Address,
        },
        persistence: persistence?,
        fallback: fallback(raw.fallback),
        servers,
        health,
        drain_timeout: drain_timeout?,
    })
}

/// Which connections are the service's.
fn selector(raw: &raw::Service, path: &Path, findings: &mut Findings) -> Option<Selector> {
    let keys = [
        ("protocol", raw.protocol.is_some()),
        ("address", raw.address.is_some()),
        ("port", raw.port.is_some()),
    ];
    if let Some(mark) = raw.mark {
        let Some((key, _)) = keys.into_iter().find(|(_, said)| *said) else {
            return Some(Selector::Mark(Mark(mark)));
        };
        let message = format!("`mark` and `{key}` exclude each other");
        let hint = "leave one of them out; `marks` can give a mark by address and port".to_owned();
        findings.error(Target::Key(path.key(key)), message, hint);
        return None;
    }
    if let Some((key, _)) = keys.into_iter().find(|(_, said)| !*said) {
        let none = keys.iter().all(|(_, said)| !*said);
        let (message, hint) = if none {
            (
                "nothing says which connections are this service's",
                "`mark`, or `protocol`, `address` and `port`",
            )
        } else {
            match key {
                "protocol" => ("`protocol` is missing", "for example `protocol: tcp`"),
                "address" => ("`address` is missing", "the one that clients connect to"),
                _ => ("`port` is missing", "for example `port: 80`; 0 is any, and needs `persistence`"),
            }
        };
        findings.error(Target::Key(path.clone()), message.to_owned(), hint.to_owned());
        return None;
    }
    let (text, port) = (raw.address.as_ref()?, raw.port?);
    let address = service_address(text, &path.key("address"), findings)?;
    if port == 0 && raw.persistence.is_none() {
        let message = "a service of any port needs `persistence`, as in IPVS".to_owned();
        let hint = "for example `persistence: { timeout_s: 300 }`; or give its port".to_owned();
        findings.error(Target::Value(path.key("port")), message, hint);
        return None;
    }
    let protocol = match raw.protocol? {
        raw::Transport::Tcp => IpProtocol::TCP,
        raw::Transport::Udp => IpProtocol::UDP,
        raw::Transport::Sctp => IpProtocol::SCTP,
    };
    Some(Selector::Address { protocol, address, port })
}

/// An address that clients can connect to.
pub(super) fn service_address(text: &str, path: &Path, findings: &mut Findings) -> Option<IpAddr> {
    let (message, hint) = match text.parse::<IpAddr>() {
        Ok(address) if address.is_multicast() || address.is_unspecified() || address.is_loopback() => (
            format!("nobody can connect to `{text}` through a gateway"),
            "give the address that clients connect to; for any address use `marks` and `mark`",
        ),
        Ok(address) => return Some(address),
        Err(_) => {
            (format!("`{text}` is not an IP address"), "for example `192.0.2.80`; names are not looked up")
        }
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}

fn persistence(raw: &raw::Persistence, path: &Path, findings: &mut Findings) -> Option<Persistence> {
    Some(Persistence {
        timeout: super::conntrack::span(raw.timeout_s, &path.key("timeout_s"), findings)?,
        ipv4_prefix_len: raw.ipv4_prefix_len,
        ipv6_prefix_len: raw.ipv6_prefix_len,
        clients_max: raw.clients_max,
    })
}

pub(super) const fn fallback(raw: raw::Fallback) -> Fallback {
    match raw {
        raw::Fallback::Reject => Fallback::Reject,
        raw::Fallback::Bypass => Fallback::Bypass,
        raw::Fallback::Drop => Fallback::Drop,
    }
}

/// Whether no other service has its name or selector; says so if one has.
fn is_new(service: &Service, others: &[Option<Service>], path: &Path, findings: &mut Findings) -> bool {
    if others.iter().flatten().any(|other| other.name == service.name) {
        let message = format!("the name `{}` is there twice", service.name);
        findings.error(Target::Value(path.key("name")), message, "name each service once".to_owned());
        return false;
    }
    let Some(other) = others.iter().flatten().find(|other| other.selector == service.selector) else {
        return true;
    };
    let key = if matches!(service.selector, Selector::Mark(_)) { "mark" } else { "address" };
    let message = format!("these connections are those of `{}` already", other.name);
    let hint = "put the servers of both into one service".to_owned();
    findings.error(Target::Value(path.key(key)), message, hint);
    false
}
