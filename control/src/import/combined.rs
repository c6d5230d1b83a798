//! One `health` of a service from the checkers of its servers.

use super::checkers::{Health, is_checker};
use super::script::{self, Template};
use super::services::Service;
use core::net::IpAddr;

/// What checks a server.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// `None`: nothing, or nothing that there is here.
    pub(super) health: Option<Health>,
}

/// What a service's `health` is to ask.
type Keys = Vec<(&'static str, String)>;

/// Gives the service what checks its servers, if that is one and the same for all that are checked.
pub(super) fn combine(servers: &[Checked], service: &mut Service) {
    let checked: Vec<(&Checked, &Health)> =
        servers.iter().filter_map(|server| Some((server, server.health.as_ref()?))).collect();
    let Some((first, chosen)) = checked.first().copied() else { return };
    let Some(keys) = asked(&checked, servers.len()) else {
        service.notes.push(
            "LEFT OUT: the checkers. Those of the servers differ, and here a service has one `health`: without it all count as alive."
                .to_owned(),
        );
        for (server, health) in checked {
            let keys = health.script.as_deref().map_or_else(|| health.asked.clone(), script::keys);
            let said: Vec<String> = keys.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            service.notes.push(format!("  {}: {}", server.address, said.join(", ")));
        }
        return;
    };
    let mut notes = chosen.notes.clone();
    if keys.iter().any(|(_, value)| value == "'/bin/sh'") {
        notes
            .push("The servers' own addresses stood in the command: here the shell puts them in.".to_owned());
    } else if chosen.script.is_some() {
        notes.push(
            "The program gets the server's name, address and port behind its own arguments.".to_owned(),
        );
    }
    if checked.len() < servers.len() {
        notes.push("Not all real servers had this checker: here one holds for all.".to_owned());
    }
    if checked.iter().any(|(_, health)| health.times != chosen.times) {
        notes.push(format!(
            "The checkers had times and counts of their own: here those of {} hold.",
            first.address
        ));
    }
    notes.push(
        "Between tries of a failed check is `interval_s` as always: see that it is short enough.".to_owned(),
    );
    service.health = keys.into_iter().chain(chosen.times.iter().cloned()).collect();
    service.notes.extend(notes);
}

/// What all are asked; `None`: one is asked this, another that.
fn asked(checked: &[(&Checked, &Health)], servers: usize) -> Option<Keys> {
    let (_, chosen) = checked.first()?;
    if checked.iter().any(|(_, health)| health.asked != chosen.asked) {
        return None;
    }
    let Some(command) = &chosen.script else { return Some(chosen.asked.clone()) };
    let all_say =
        |wanted: &[String]| checked.iter().all(|(_, health)| health.script.as_deref() == Some(wanted));
    let template = |(server, health): &(&Checked, &Health)| {
        Some(Template::new(health.script.as_deref()?, server.address, server.port))
    };
    let templates: Vec<Template> = checked.iter().map(template).collect::<Option<_>>()?;
    let first = templates.first()?;
    // One command for several servers is one, whatever it names; what names one server only is not for others.
    if all_say(command) && (checked.len() > 1 || servers == 1 || first.is_plain()) {
        return Some(script::keys(command));
    }
    templates.iter().all(|template| template == first).then(|| first.keys())
}

/// What a thing that is left out was for, where that is worth a word; `None`: it is taken otherwise.
pub(super) fn left_out(name: &str) -> Option<String> {
    let why = match name {
        "delay_before_retry" => "`interval_s` is between all tries",
        "warmup" => "servers are not asked at random times first",
        "smtp_alert" => "nobody is sent mail; `weir_service_…` in Prometheus shows what dies",
        "nat_mask" => "it has meant nothing for long",
        "tls_compliant" | "fast_recovery" => "",
        "http_protocol" => "pages are asked for with HTTP/1.1",
        "enable_sni" | "sni_name" => "`host` is the name that TLS is told",
        "hashed" | "flag-3" => "no scheduler here has such a flag",
        "host" => "a checker asks the server itself",
        _ => return None,
    };
    let colon = if why.is_empty() { "" } else { ": " };
    debug_assert!(!is_checker(name));
    Some(format!("`{name}` is not carried over{colon}{why}."))
}
