//! Checks the scheduler of a service and what belongs to it.

use super::conntrack::span;
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use weir_dataplane::config::service::{Locality, MAGLEV_SIZES, MaglevHashing, Scheduler, SourceHashing};

pub(super) fn validate(raw: &raw::Service, path: &Path, findings: &mut Findings) -> Option<Scheduler> {
    use raw::Scheduler as Name;
    let has_no_use = has_no_use(raw, path, findings);
    let scheduler = match raw.scheduler {
        Name::Rr => Some(Scheduler::Rr),
        Name::Wrr => Some(Scheduler::Wrr),
        Name::Lc => Some(Scheduler::Lc),
        Name::Wlc => Some(Scheduler::Wlc),
        Name::Sed => Some(Scheduler::Sed),
        Name::Nq => Some(Scheduler::Nq),
        Name::Fo => Some(Scheduler::Fo),
        Name::Ovf => Some(Scheduler::Ovf),
        Name::Dh => Some(Scheduler::Dh),
        Name::Sh => Some(Scheduler::Sh(source_hashing(raw.sh.unwrap_or_default()))),
        Name::Mh => maglev(raw.mh.unwrap_or_default(), &path.key("mh"), findings).map(Scheduler::Mh),
        Name::Twos => Some(Scheduler::Twos),
        Name::Lblc => locality(raw, path, findings).map(Scheduler::Lblc),
        Name::Lblcr => locality(raw, path, findings).map(Scheduler::Lblcr),
    };
    if matches!(raw.scheduler, Name::Lblc | Name::Lblcr) {
        warn_of_weights(raw, path, findings);
    }
    scheduler.filter(|_| !has_no_use)
}

/// Whether there are keys that are for another scheduler; says so.
fn has_no_use(raw: &raw::Service, path: &Path, findings: &mut Findings) -> bool {
    use raw::Scheduler::{Lblc, Lblcr, Mh, Sh};
    let keys: [(&str, bool, &[raw::Scheduler], &str); 3] = [
        ("sh", raw.sh.is_some(), &[Sh], "`scheduler: sh`"),
        ("mh", raw.mh.is_some(), &[Mh], "`scheduler: mh`"),
        ("locality", raw.locality.is_some(), &[Lblc, Lblcr], "`scheduler: lblc` and `lblcr`"),
    ];
    let mut found = false;
    for (key, said, schedulers, names) in keys {
        if said && !schedulers.contains(&raw.scheduler) {
            let message = format!("`{key}` is for {names}");
            findings.error(
                Target::Key(path.key(key)),
                message,
                "leave it out, or change `scheduler`".to_owned(),
            );
            found = true;
        }
    }
    found
}

const fn source_hashing(raw: raw::Sh) -> SourceHashing {
    SourceHashing { bits: raw.bits, port: raw.port, fallback: raw.fallback }
}

fn maglev(raw: raw::Mh, path: &Path, findings: &mut Findings) -> Option<MaglevHashing> {
    if MAGLEV_SIZES.contains(&raw.size) {
        return Some(MaglevHashing { size: raw.size, port: raw.port, fallback: raw.fallback });
    }
    let sizes: Vec<String> = MAGLEV_SIZES.iter().map(u32::to_string).collect();
    let message = format!("{} is no size of a Maglev table", raw.size);
    findings.error(Target::Value(path.key("size")), message, format!("one of {}", sizes.join(", ")));
    None
}

fn locality(raw: &raw::Service, path: &Path, findings: &mut Findings) -> Option<Locality> {
    let (raw, path) = (raw.locality.unwrap_or_default(), path.key("locality"));
    let expiration = span(raw.expiration_s, &path.key("expiration_s"), findings);
    let idle = span(raw.idle_s, &path.key("idle_s"), findings);
    if raw.members_max < raw.entries_max {
        let message = format!("there is no room for a server of each of {} addresses", raw.entries_max);
        let hint = "at least as many as `entries_max`".to_owned();
        findings.error(Target::Value(path.key("members_max")), message, hint);
        return None;
    }
    Some(Locality {
        entries_max: raw.entries_max,
        members_max: raw.members_max,
        expiration: expiration?,
        idle: idle?,
    })
}

/// A server is overloaded when it has more connections than its weight, and another one fewer than half of its own:
/// with weight 1 that one would have none.
fn warn_of_weights(raw: &raw::Service, path: &Path, findings: &mut Findings) {
    let mut weights = raw.servers.iter().flatten().map(|server| server.weight).filter(|weight| *weight > 0);
    if raw.servers.len() > 1 && weights.all(|weight| weight == 1) {
        findings.warning(
            Target::Value(path.key("scheduler")),
            "with `weight: 1` an address moves to another server only while that one is idle".to_owned(),
            "give each server as `weight` the number of connections that it bears, for example 1000"
                .to_owned(),
        );
    }
}
