//! Checks `cluster.gossip`, `cluster.etcd` and `cluster.static`.

use super::conntrack::span;
use super::fixed;
use crate::cluster::engine::etcd::{EtcdConfig, EtcdError, EtcdTls, OnLoss};
use crate::cluster::engine::gossip::GossipConfig;
use crate::cluster::{Agreement, Minority, NodeName, Settings, Weight};
use crate::config::finding::{Findings, Target};
use crate::config::membership::{Carrier, Membership};
use crate::config::path::Path;
use crate::config::raw;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Who carries the news, where others reach this node, and how long what takes.
type Way = (Carrier, IpAddr, Settings);

/// A member of a cluster whose nodes have names.
pub(super) fn validate(
    raw: &raw::Cluster,
    node: Option<&str>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Membership> {
    let learning = span(raw.learning_s, &path.key("learning_s"), findings);
    let drain = span(raw.drain_s, &path.key("drain_s"), findings);
    let name: Option<NodeName> = node.and_then(|node| node.parse().ok());
    let gossip = raw.gossip.as_ref().map(|raw| gossip(raw, &path.key("gossip"), findings));
    let etcd = raw.etcd.as_ref().map(|raw| etcd(raw, &path.key("etcd"), findings));
    let fixed = raw
        .fixed
        .as_ref()
        .map(|fixed| by_hand(fixed, name.as_ref(), raw.total_nodes, &path.key("static"), findings));
    let (carrier, address, settings) = gossip.or(etcd).or(fixed)??;
    let name = name?;
    let weight = match &carrier {
        Carrier::Static(fixed) => fixed.members.iter().find(|member| member.name == name)?.weight,
        Carrier::Gossip { .. } | Carrier::Etcd(_) => Weight::new(raw.weight)?,
    };
    let settings = Settings { learning_ms: learning?.as_ms(), drain_ms: drain?.as_ms(), ..settings };
    Some(Membership { name, weight, address, carrier, settings })
}

fn by_hand(
    raw: &raw::Static,
    node: Option<&NodeName>,
    total_nodes: Option<u16>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Way> {
    let (fixed, own) = fixed::validate(raw, node, total_nodes, path, findings)?;
    let settings = Settings { agreement: Agreement::ByHand, ..Settings::default() };
    Some((Carrier::Static(fixed), own.address, settings))
}

fn gossip(raw: &raw::Gossip, path: &Path, findings: &mut Findings) -> Option<Way> {
    let listen = raw.listen.as_ref().and_then(|text| listen(text, &path.key("listen"), findings));
    let seeds = raw.seeds.as_ref().and_then(|texts| seeds(texts, &path.key("seeds"), findings));
    let (interval, detection) = times(raw, path, findings)?;
    let (listen, seeds) = (listen?, seeds?);
    let config = GossipConfig {
        interval: Duration::from_millis(interval),
        detection_time: Duration::from_millis(detection),
        phi_threshold: raw.phi_threshold,
        ..GossipConfig::new(raw.cluster_id.clone(), listen, seeds)
    };
    let settings = Settings {
        agreement: Agreement::Liveness,
        detection_ms: detection,
        minority: match raw.minority {
            raw::Minority::Serves => Minority::Serves,
            raw::Minority::Yields => Minority::Yields,
        },
        ..Settings::default()
    };
    Some((Carrier::Gossip { config, key_file: raw.key_file.as_ref()?.into() }, listen.ip(), settings))
}

/// How often a node speaks, and within what time a death is noticed, in milliseconds.
fn times(raw: &raw::Gossip, path: &Path, findings: &mut Findings) -> Option<(u64, u64)> {
    let interval = span(raw.interval_s, &path.key("interval_s"), findings);
    let detection = span(raw.detection_time_s, &path.key("detection_time_s"), findings);
    let (interval, detection) = (interval?.as_ms(), detection?.as_ms());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the schema has checked the range"
    )]
    let least = interval * (raw.phi_threshold.ceil() as u64 + 2);
    if detection < least {
        let message =
            format!("{} s is too short for an interval of {} s", raw.detection_time_s.0, raw.interval_s.0);
        let hint = format!("at least {} s: `phi_threshold` intervals and two", least as f64 / 1000.0);
        findings.error(Target::Value(path.key("detection_time_s")), message, hint);
        return None;
    }
    Some((interval, detection))
}

fn listen(text: &str, path: &Path, findings: &mut Findings) -> Option<SocketAddr> {
    let (message, hint) = match text.parse::<SocketAddr>() {
        Ok(address) if !address.ip().is_unspecified() && address.port() != 0 => return Some(address),
        Ok(_) => (format!("others cannot reach `{text}`"), "an address of this node and a port"),
        Err(_) => (format!("`{text}` is not an address with a port"), "for example `192.0.2.11:7946`"),
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}

fn seeds(raw: &raw::Items<String>, path: &Path, findings: &mut Findings) -> Option<Vec<String>> {
    let mut seed = |(i, text): (usize, &Option<String>)| {
        let text = text.as_ref()?;
        let (host, port) = text.rsplit_once(':').unwrap_or_default();
        if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) {
            return Some(text.clone());
        }
        let message = format!("`{text}` is not a host with a port");
        findings.error(Target::Value(path.item(i)), message, "for example `192.0.2.12:7946`".to_owned());
        None
    };
    let seeds: Vec<Option<String>> = raw.iter().enumerate().map(&mut seed).collect();
    seeds.into_iter().collect()
}

fn etcd(raw: &raw::Etcd, path: &Path, findings: &mut Findings) -> Option<Way> {
    let on_loss = if raw.on_loss == raw::OnLoss::Stop { OnLoss::Stop } else { OnLoss::Keep };
    let file = |written: &Option<String>| written.clone().unwrap_or_default().into();
    let config = EtcdConfig {
        prefix: raw.prefix.clone(),
        lease: Duration::from_secs(raw.lease_s.into()),
        on_loss,
        tls: raw.tls.as_ref().map(|tls| EtcdTls {
            ca: file(&tls.ca),
            certificate: file(&tls.certificate),
            key: file(&tls.key),
        }),
        ..EtcdConfig::new(raw.cluster_id.clone(), raw.endpoints.iter().flatten().flatten().cloned().collect())
    };
    let mut fine = true;
    for fault in config.faults() {
        // What is missing has been told of.
        if raw.endpoints.is_some() || !matches!(fault, EtcdError::NoEndpoint) {
            let (target, hint) = fault_of(&fault, raw, path);
            findings.error(target, fault.to_string(), hint);
        }
        fine = false;
    }
    let has_files =
        raw.tls.as_ref().is_none_or(|tls| tls.ca.is_some() && tls.certificate.is_some() && tls.key.is_some());
    let has_endpoints = raw.endpoints.as_ref().is_some_and(|all| all.iter().all(Option::is_some));
    let lease_ms = u64::from(raw.lease_s) * 1000;
    let agreement = match on_loss {
        OnLoss::Stop => Agreement::Leases { margin_ms: lease_ms / 10 },
        OnLoss::Keep => Agreement::Liveness,
    };
    let settings = Settings { agreement, detection_ms: lease_ms, ..Settings::default() };
    (fine && has_files && has_endpoints).then_some((
        Carrier::Etcd(config),
        Ipv4Addr::UNSPECIFIED.into(),
        settings,
    ))
}

/// Where a fault stands, and what to do about it.
fn fault_of(fault: &EtcdError, raw: &raw::Etcd, path: &Path) -> (Target, Option<String>) {
    match fault {
        EtcdError::Endpoint { endpoint, scheme } => {
            let mut endpoints = raw.endpoints.iter().flatten();
            let i = endpoints.position(|one| one.as_ref() == Some(endpoint)).unwrap_or_default();
            let hint = if *scheme == "http://" && endpoint.starts_with("https://") {
                "give `tls` with `ca`, `certificate` and `key`"
            } else {
                "for example `http://192.0.2.21:2379`; `https://` goes with `tls`, and only with it"
            };
            (Target::Value(path.key("endpoints").item(i)), Some(hint.to_owned()))
        }
        EtcdError::NoEndpoint => (Target::Value(path.key("endpoints")), None),
        EtcdError::ClusterId(_) => (Target::Value(path.key("cluster_id")), None),
        EtcdError::Lease(_) => (Target::Value(path.key("lease_s")), None),
        EtcdError::Tls { .. } => (Target::Key(path.key("tls")), None),
    }
}
