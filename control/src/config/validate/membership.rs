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

/// A member of a cluster whose nodes have names.
pub(super) fn validate(
    raw: &raw::Cluster,
    node: Option<&str>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Membership> {
    let learning = span(raw.learning_s, &path.key("learning_s"), findings);
    let drain = span(raw.drain_s, &path.key("drain_s"), findings);
    let name: NodeName = node?.parse().ok()?;
    let own_weight = Weight::new(raw.weight)?;
    let (carrier, weight, address, settings) = match (&raw.gossip, &raw.etcd, &raw.fixed) {
        (Some(gossip), _, _) => {
            let (carrier, address, settings) = self::gossip(gossip, &path.key("gossip"), findings)?;
            (carrier, own_weight, address, settings)
        }
        (None, Some(etcd), _) => {
            let (carrier, address, settings) = self::etcd(etcd, &path.key("etcd"), findings)?;
            (carrier, own_weight, address, settings)
        }
        (None, None, fixed) => {
            let path = path.key("static");
            let (fixed, own) = fixed::validate(fixed.as_ref()?, &name, raw.total_nodes?, &path, findings)?;
            let settings = Settings { agreement: Agreement::ByHand, ..Settings::default() };
            (Carrier::Static(fixed), own.weight, own.address, settings)
        }
    };
    let settings = Settings { learning_ms: learning?.as_ms(), drain_ms: drain?.as_ms(), ..settings };
    Some(Membership { name, weight, address, carrier, settings })
}

fn gossip(raw: &raw::Gossip, path: &Path, findings: &mut Findings) -> Option<(Carrier, IpAddr, Settings)> {
    let listen = listen(raw.listen.as_ref()?, &path.key("listen"), findings);
    let interval = span(raw.interval_s, &path.key("interval_s"), findings)?.as_ms();
    let detection = span(raw.detection_time_s, &path.key("detection_time_s"), findings)?.as_ms();
    let seeds = seeds(raw.seeds.as_ref()?, &path.key("seeds"), findings);
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

fn etcd(raw: &raw::Etcd, path: &Path, findings: &mut Findings) -> Option<(Carrier, IpAddr, Settings)> {
    let tls = match &raw.tls {
        Some(tls) => Some(EtcdTls {
            ca: tls.ca.as_ref()?.into(),
            certificate: tls.certificate.as_ref()?.into(),
            key: tls.key.as_ref()?.into(),
        }),
        None => None,
    };
    let endpoints: Vec<String> = raw.endpoints.as_ref()?.iter().cloned().collect::<Option<_>>()?;
    let lease = Duration::from_secs(raw.lease_s.into());
    let on_loss = if raw.on_loss == raw::OnLoss::Stop { OnLoss::Stop } else { OnLoss::Keep };
    let prefix = raw.prefix.clone();
    let config =
        EtcdConfig { prefix, lease, on_loss, tls, ..EtcdConfig::new(raw.cluster_id.clone(), endpoints) };
    if let Err(error) = config.check() {
        let (target, hint) = match &error {
            EtcdError::Endpoint { endpoint, scheme } => {
                let i = config.endpoints.iter().position(|one| one == endpoint).unwrap_or_default();
                let hint = if *scheme == "http://" && endpoint.starts_with("https://") {
                    "give `tls` with `ca`, `certificate` and `key`"
                } else {
                    "for example `http://192.0.2.21:2379`; `https://` goes with `tls`, and only with it"
                };
                (Target::Value(path.key("endpoints").item(i)), Some(hint.to_owned()))
            }
            _ => (Target::Key(path.clone()), None),
        };
        findings.error(target, error.to_string(), hint);
        return None;
    }
    let lease_ms = u64::from(raw.lease_s) * 1000;
    let agreement = match on_loss {
        OnLoss::Stop => Agreement::Leases { margin_ms: lease_ms / 10 },
        OnLoss::Keep => Agreement::Liveness,
    };
    let settings = Settings { agreement, detection_ms: lease_ms, ..Settings::default() };
    Some((Carrier::Etcd(config), Ipv4Addr::UNSPECIFIED.into(), settings))
}
