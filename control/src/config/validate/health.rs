//! Checks `health` of services and pools.

use super::conntrack::span;
use super::rule::numbers;
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use crate::config::services::{Check, Health};
use core::time::Duration;
use weir_dataplane::config::service::Place;

/// How servers are known to live; `port`: that of the service, if it has one.
pub(super) fn validate(
    raw: &raw::Health,
    port: Option<u16>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Health> {
    let has_no_use = has_no_use(raw, path, findings);
    let check = match raw.check {
        Some(kind) => check(raw, kind, port, path, findings).map(Some),
        None => Some(None),
    };
    if raw.check.is_none() && raw.passive_fall.is_none() {
        let message = "neither a check nor connections say who lives".to_owned();
        let hint = "give `check`, for example `check: tcp`, or `passive_fall`".to_owned();
        findings.error(Target::Key(path.clone()), message, hint);
        return None;
    }
    let interval = time(raw.interval_s, &path.key("interval_s"), findings);
    let timeout = time(raw.timeout_s, &path.key("timeout_s"), findings);
    let (interval, timeout) = (interval?, timeout?);
    if timeout > interval {
        let message =
            format!("an answer is waited for longer than `interval_s`, which is {}", raw.interval_s.0);
        let hint =
            "a check ends before the next one begins: lower `timeout_s` or raise `interval_s`".to_owned();
        findings.error(Target::Value(path.key("timeout_s")), message, hint);
        return None;
    }
    (!has_no_use).then_some(Health {
        check: check?,
        interval,
        timeout,
        rise: raw.rise,
        fall: raw.fall,
        passive_fall: raw.passive_fall,
        panic_threshold_percent: raw.panic_threshold_percent,
    })
}

/// A time as the whole of control counts it.
pub(super) fn time(raw: raw::Seconds, path: &Path, findings: &mut Findings) -> Option<Duration> {
    span(raw, path, findings).map(|span| Duration::from_millis(span.as_ms()))
}

/// Whether there are keys that are for another check; says so.
fn has_no_use(raw: &raw::Health, path: &Path, findings: &mut Findings) -> bool {
    use raw::Check::{Dns, Http, Https, Icmp, Script, Tcp};
    let http: &[raw::Check] = &[Http, Https];
    let keys: [(&str, bool, &[raw::Check]); 8] = [
        ("port", raw.port.is_some(), &[Tcp, Http, Https, Dns, Script]),
        ("path", raw.path.is_some(), http),
        ("host", raw.host.is_some(), http),
        ("status", raw.status.is_some(), http),
        ("body", raw.body.is_some(), http),
        ("name", raw.name.is_some(), &[Dns]),
        ("program", raw.program.is_some(), &[Script]),
        ("arguments", !raw.arguments.is_empty(), &[Script]),
    ];
    let mut found = false;
    for (key, said, checks) in keys {
        let fits = match raw.check {
            Some(Icmp) | None => false,
            Some(check) => checks.contains(&check),
        };
        if said && !fits {
            let are: Vec<String> = checks.iter().map(|check| format!("`check: {}`", check.name())).collect();
            let message = format!("`{key}` is for {}", are.join(", "));
            findings.error(Target::Key(path.key(key)), message, "leave it out, or change `check`".to_owned());
            found = true;
        }
    }
    found
}

fn check(
    raw: &raw::Health,
    kind: raw::Check,
    port: Option<u16>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Check> {
    let port = raw.port.or(port);
    match kind {
        raw::Check::Icmp => Some(Check::Icmp),
        raw::Check::Tcp => {
            if port.is_none() {
                missing("port", "for example `port: 80`", path, findings);
            }
            Some(Check::Tcp { port: port? })
        }
        raw::Check::Http => http(raw, false, port.unwrap_or(80), path, findings),
        raw::Check::Https => http(raw, true, port.unwrap_or(443), path, findings),
        raw::Check::Dns => {
            let Some(name) = &raw.name else {
                missing("name", "for example `name: www.example.com`", path, findings);
                return None;
            };
            if !is_domain_name(name) {
                let message = format!("`{name}` is not a name in the DNS");
                let hint = "for example `www.example.com`".to_owned();
                findings.error(Target::Value(path.key("name")), message, hint);
                return None;
            }
            Some(Check::Dns { port: port.unwrap_or(53), name: name.clone() })
        }
        raw::Check::Script => {
            let Some(program) = &raw.program else {
                missing("program", "for example `program: /usr/local/lib/weir/check`", path, findings);
                return None;
            };
            if !program.starts_with('/') || program.contains('\0') {
                let message = format!("`{program}` is not the full path of a program");
                let hint = "for example `/usr/local/lib/weir/check`".to_owned();
                findings.error(Target::Value(path.key("program")), message, hint);
                return None;
            }
            let arguments = raw.arguments.iter().cloned().collect::<Option<_>>()?;
            Some(Check::Script { program: program.into(), arguments, port: raw.port })
        }
    }
}

fn missing(key: &str, hint: &str, path: &Path, findings: &mut Findings) {
    findings.error(Target::Key(path.clone()), format!("`{key}` is missing in `{path}`"), hint.to_owned());
}

fn http(raw: &raw::Health, tls: bool, port: u16, path: &Path, findings: &mut Findings) -> Option<Check> {
    let page = page(raw.path.as_deref().unwrap_or("/"), &path.key("path"), findings);
    let mut fine = true;
    if let Some(host) = raw.host.as_ref().filter(|host| host.is_empty() || !is_word(host)) {
        let message = format!("`{host}` is not a host");
        let hint = "for example `host: www.example.com`".to_owned();
        findings.error(Target::Value(path.key("host")), message, hint);
        fine = false;
    }
    let status = match &raw.status {
        Some(status) => numbers(status, "for example `200` or `200-399`", &path.key("status"), findings)?,
        None => 200..=399,
    };
    if *status.start() < 100 || *status.end() > 599 {
        let message = "a status is a number from 100 to 599".to_owned();
        findings.error(Target::Value(path.key("status")), message, "for example `200-399`".to_owned());
        fine = false;
    }
    page.filter(|_| fine).map(|path| Check::Http {
        tls,
        port,
        path,
        host: raw.host.clone(),
        status,
        body: raw.body.clone(),
    })
}

/// The path of a page.
pub(super) fn page(text: &str, path: &Path, findings: &mut Findings) -> Option<String> {
    let is_path = text.starts_with('/') && is_word(text);
    if !is_path {
        let message = format!("`{text}` is not the path of a page");
        findings.error(Target::Value(path.clone()), message, "for example `path: /health`".to_owned());
    }
    is_path.then(|| text.to_owned())
}

/// Nothing that would end it in a line of a request.
fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_graphic())
}

/// RFC 1035 2.3.4: labels of 63 letters, 253 in all.
fn is_domain_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| (1..=63).contains(&label.len()) && is_word(label);
    name.len() <= 253 && name.split('.').all(label)
}

/// Whether all of the places can be asked; says so of the first that cannot.
pub(super) fn can_ask(
    places: impl IntoIterator<Item = Place>,
    path: &Path,
    findings: &mut Findings,
) -> Option<()> {
    let Some(i) = places.into_iter().position(|place| matches!(place, Place::Mac(..))) else {
        return Some(());
    };
    let message = "what has no `address` cannot be asked whether it lives".to_owned();
    let hint = "give its `address`, or of `health` only `passive_fall`".to_owned();
    findings.error(Target::Key(path.item(i).key("mac")), message, hint);
    None
}
