//! Checks the rules of `marks` and `pools`: which packets they are for.

use super::surroundings::Surroundings;
use crate::config::finding::{Findings, Target};
use crate::config::path::Path;
use crate::config::raw;
use crate::observe::protocol::Protocol;
use core::ops::RangeInclusive;
use weir_dataplane::config::Rule;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::VlanId;
use weir_dataplane::wire::IpProtocol;

/// A rule that has no mark.
pub(super) fn validate(
    raw: &raw::Rule,
    path: &Path,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Rule> {
    let source = ok(&raw.source, |text| prefix(text, &path.key("source"), findings));
    let destination = ok(&raw.destination, |text| prefix(text, &path.key("destination"), findings));
    let protocol = ok(&raw.protocol, |raw| protocol(raw, &path.key("protocol"), findings));
    let source_port = ok(&raw.source_port, |raw| numbers(raw, PORTS, &path.key("source_port"), findings));
    let destination_port =
        ok(&raw.destination_port, |raw| numbers(raw, PORTS, &path.key("destination_port"), findings));
    let port = ok(&raw.port, |name| around.port(name, &path.key("port"), findings));
    let rule = Rule {
        source: source?,
        destination: destination?,
        protocol: protocol?,
        source_port: source_port?,
        destination_port: destination_port?,
        port: port?,
        vlan: raw.vlan.and_then(VlanId::new),
        mark: None,
    };
    can_match(&rule, path, findings)?;
    has_interface(&rule, path, around, findings);
    Some(rule)
}

/// What is absent is right; what is there is right if `check` says so.
fn ok<T, U>(raw: &Option<T>, check: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
    match raw {
        Some(raw) => check(raw).map(Some),
        None => Some(None),
    }
}

/// A prefix, or the one of a single address.
fn prefix(text: &str, path: &Path, findings: &mut Findings) -> Option<Subnet> {
    let (message, hint) = match text.parse::<Subnet>() {
        Ok(subnet) if subnet == subnet.network() => return Some(subnet),
        Ok(subnet) => (
            format!("`{text}` is an address in a network, not the network"),
            format!("did you mean `{}`, or `{}`?", subnet.network(), subnet.address),
        ),
        Err(_) => (
            format!("`{text}` is neither an address nor a network"),
            "for example `192.0.2.80`, `10.1.0.0/16` or `2001:db8::/32`; names are not looked up".to_owned(),
        ),
    };
    findings.error(Target::Value(path.clone()), message, hint);
    None
}

fn protocol(raw: &raw::Protocol, path: &Path, findings: &mut Findings) -> Option<IpProtocol> {
    let name = match raw {
        raw::Protocol::Number(number) => return Some(IpProtocol(*number)),
        raw::Protocol::Name(name) => name,
    };
    let known = name.parse::<Protocol>();
    if let Err(wanted) = known {
        findings.error(
            Target::Value(path.clone()),
            format!("`{name}` is not a protocol"),
            wanted.to_string(),
        );
    }
    known.ok().map(|Protocol(protocol)| protocol)
}

/// What ports are written like.
const PORTS: &str = "for example `80` or `8000-8080`; 65535 is the highest";

/// One number, or a range of them as `a-b`; `example` says what they are written like.
pub(super) fn numbers(
    raw: &raw::Numbers,
    example: &str,
    path: &Path,
    findings: &mut Findings,
) -> Option<RangeInclusive<u16>> {
    let text = match raw {
        raw::Numbers::One(number) => return Some(*number..=*number),
        raw::Numbers::Range(text) => text,
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.trim().parse::<u16>().ok().zip(last.trim().parse::<u16>().ok());
    let (message, hint) = match range {
        Some((first, last)) if first <= last => return Some(first..=last),
        Some((first, last)) => {
            (format!("`{text}` ends before it begins"), format!("did you mean `{last}-{first}`?"))
        }
        None => (format!("`{text}` is neither a number nor a range"), example.to_owned()),
    };
    findings.error(Target::Value(path.clone()), message, hint);
    None
}

/// Whether there are packets that the rule is for; says so if not.
fn can_match(rule: &Rule, path: &Path, findings: &mut Findings) -> Option<()> {
    let version = |subnet: Option<Subnet>| subnet.map(|subnet| subnet.address.is_ipv4());
    if let (Some(source), Some(destination)) = (version(rule.source), version(rule.destination))
        && source != destination
    {
        let message = "`source` and `destination` are not of the same IP version".to_owned();
        let hint = "no packet has both: write a rule for each version".to_owned();
        findings.error(Target::Value(path.key("destination")), message, hint);
        return None;
    }
    let ported = [("destination_port", &rule.destination_port), ("source_port", &rule.source_port)];
    let said = ported.into_iter().find(|(_, range)| range.as_ref().is_some_and(|range| !range.contains(&0)));
    match (said, rule.protocol) {
        (Some((key, _)), Some(protocol)) if !protocol.has_ports() => {
            let message = "this protocol has no ports".to_owned();
            let hint = format!("leave `{key}` out, or say `protocol: tcp` or another one that has them");
            findings.error(Target::Key(path.key(key)), message, hint);
            None
        }
        _ => Some(()),
    }
}

/// Warns of a rule for packets that come in nowhere.
fn has_interface(rule: &Rule, path: &Path, around: Surroundings<'_>, findings: &mut Findings) {
    let meets = |(port, vlan)| {
        rule.port.is_none_or(|said| said == port) && { rule.vlan.is_none() || rule.vlan == vlan }
    };
    let interfaces = around.interfaces().iter().map(|named| (named.interface().port, named.interface().vlan));
    if around.network.is_none() || interfaces.into_iter().any(meets) {
        return;
    }
    let key = if rule.vlan.is_some() { "vlan" } else { "port" };
    findings.warning(
        Target::Value(path.key(key)),
        "the gateway has no address there: no packet is for this rule".to_owned(),
        "give the port or its VLAN `addresses`, or leave the rule out".to_owned(),
    );
}

/// Whether `a` holds for all packets that `b` holds for.
pub(super) fn covers(a: &Rule, b: &Rule) -> bool {
    fn within<T>(a: Option<&T>, b: Option<&T>, contains: impl Fn(&T, &T) -> bool) -> bool {
        match (a, b) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(a), Some(b)) => contains(a, b),
        }
    }
    let subnet = |a: &Subnet, b: &Subnet| a.prefix_len <= b.prefix_len && a.contains(b.address);
    let range =
        |a: &RangeInclusive<u16>, b: &RangeInclusive<u16>| a.contains(b.start()) && a.contains(b.end());
    within(a.source.as_ref(), b.source.as_ref(), subnet)
        && within(a.destination.as_ref(), b.destination.as_ref(), subnet)
        && within(a.protocol.as_ref(), b.protocol.as_ref(), PartialEq::eq)
        && within(a.source_port.as_ref(), b.source_port.as_ref(), range)
        && within(a.destination_port.as_ref(), b.destination_port.as_ref(), range)
        && within(a.port.as_ref(), b.port.as_ref(), PartialEq::eq)
        && within(a.vlan.as_ref(), b.vlan.as_ref(), PartialEq::eq)
        && within(a.mark.as_ref(), b.mark.as_ref(), PartialEq::eq)
}

/// Whether `rule` holds for all packets.
pub(super) fn is_for_all(rule: &Rule) -> bool {
    covers(rule, &Rule::default())
}

/// Warns of rules that never hold since an earlier one holds for all that they do; `place` says where each stands.
pub(super) fn warn_of_shadowed<'a>(rules: impl Iterator<Item = (Path, &'a Rule)>, findings: &mut Findings) {
    let mut earlier: Vec<(Path, &Rule)> = Vec::new();
    for (path, rule) in rules {
        if let Some((holds, _)) = earlier.iter().find(|(_, known)| covers(known, rule)) {
            findings.warning(
                Target::Key(path),
                format!("this rule never holds: `{holds}` holds for all that it does"),
                "put it before that one, or leave it out".to_owned(),
            );
        } else {
            earlier.push((path, rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_dataplane::units::Mark;

    #[test]
    fn a_rule_covers_what_says_more() {
        let http = Rule {
            protocol: Some(IpProtocol::TCP),
            destination_port: Some(80..=90),
            destination: "10.0.0.0/8".parse().ok(),
            ..Rule::default()
        };
        let more = Rule { destination: "10.1.0.0/16".parse().ok(), mark: Some(Mark(1)), ..http.clone() };
        assert!(covers(&Rule::default(), &http) && covers(&http, &http) && covers(&http, &more));
        assert!(!covers(&http, &Rule::default()) && !covers(&more, &http));
        let other = [
            Rule { destination_port: Some(79..=80), ..http.clone() },
            Rule { destination: "0.0.0.0/0".parse().ok(), ..http.clone() },
            Rule { destination: "2001:db8::/32".parse().ok(), ..http.clone() },
            Rule { protocol: Some(IpProtocol::UDP), ..http.clone() },
        ];
        assert!(other.iter().all(|other| !covers(&http, other)));
        assert!(is_for_all(&Rule::default()) && !is_for_all(&http));
    }
}
