//! Checks `forwarding`: pairs of ports.

use super::together::or_leave_it_out;
use crate::config::finding::{Findings, Target};
use crate::config::network::Kernel;
use crate::config::path::Path;
use crate::config::raw;
use crate::config::words;
use weir_dataplane::config::Bridge;
use weir_dataplane::config::bridge::BridgeError;
use weir_dataplane::units::PortId;

/// Whether the gateway is a router. What a misspelt `mode` was to be is told by its ports.
pub(super) fn routes(
    raw: Option<&raw::Forwarding>,
    ports: &raw::Items<raw::Port>,
    findings: &Findings,
) -> bool {
    let is_misspelt = findings.is_removed(&Path::root().key("forwarding").key("mode"));
    let has_addresses = ports.iter().flatten().any(|port| !port.addresses.is_empty());
    raw.is_some_and(|raw| raw.mode == raw::Mode::Route) || (is_misspelt && has_addresses)
}

/// The pairs as they are written, or the only possible pair of two ports.
/// `names` of the ports in their order; `None` where the name is missing.
pub(super) fn validate(
    raw: Option<raw::Forwarding>,
    names: &[Option<String>],
    path: &Path,
    findings: &mut Findings,
) -> Option<Bridge> {
    let target = Target::Key(if raw.is_some() { path.clone() } else { Path::root().key("ports") });
    let raw::Forwarding { mode, pairs, stp, .. } = raw.unwrap_or_default();
    if mode == raw::Mode::Route {
        let mut fine = true;
        for (key, _) in
            [("pairs", pairs.is_some()), ("stp", stp != raw::Stp::Drop)].iter().filter(|(_, is)| *is)
        {
            let message = format!("a router has no `{key}`");
            let hint = "leave it out; or, to bridge, say `mode: bridge`".to_owned();
            findings.error(Target::Key(path.key(key)), message, hint);
            fine = false;
        }
        return fine.then(Bridge::default);
    }
    let mut bridge = match pairs {
        Some(pairs) => {
            let bridge = join(&pairs, names, &path.key("pairs"), findings);
            bridge.inspect(|bridge| lonely(bridge, names, findings))
        }
        None => only_pair(names, target, findings),
    }?;
    bridge.forward_stp = stp == raw::Stp::Forward;
    Some(bridge)
}

/// What the kernel has to do with the gateway.
pub(super) fn kernel(
    raw: Option<&raw::Forwarding>,
    ports: &raw::Items<raw::Port>,
    findings: &mut Findings,
) -> Kernel {
    let default = raw::Forwarding::default();
    let raw = raw.unwrap_or(&default);
    let mut warn = |message: &str, hint: &str| {
        let key = Path::root().key("forwarding").key("kernel_routes");
        findings.warning(Target::Value(key), message.to_owned(), hint.to_owned());
    };
    if raw.kernel_routes && raw.mode == raw::Mode::Bridge {
        warn(
            "a bridge has no routes, the kernel's neither",
            "to route, say `mode: route`; else leave it out",
        );
    } else if raw.kernel_routes && ports.iter().flatten().all(|port| port.tap.is_none()) {
        warn(
            "the kernel has no tap, so none of its routes leads anywhere here",
            "for example `tap: weir-lan` below a port",
        );
    }
    Kernel { routes: raw.kernel_routes, packets_per_s: raw.kernel_packets_per_s }
}

fn only_pair(names: &[Option<String>], target: Target, findings: &mut Findings) -> Option<Bridge> {
    match names {
        [] | [_] => None,
        [_, _] => {
            let mut bridge = Bridge::default();
            bridge.join(PortId::new(0)?, PortId::new(1)?).ok()?;
            Some(bridge)
        }
        [_, _, ..] => {
            let count = names.len();
            let message =
                format!("`pairs` is missing in `forwarding`: {count} ports can be joined in many ways");
            let hint = "for example `pairs: [[lan, wan]]`, with the names of your ports".to_owned();
            findings.error(target, message, hint);
            None
        }
    }
}

fn join(
    pairs: &raw::Items<raw::Items<String>>,
    names: &[Option<String>],
    path: &Path,
    findings: &mut Findings,
) -> Option<Bridge> {
    let mut bridge = Bridge::default();
    let mut fine = true;
    for (i, pair) in pairs.iter().enumerate() {
        let path = path.item(i);
        let mut side = |side: usize| {
            let name = pair.as_ref()?.get(side)?.as_ref()?;
            port_id(name, names, &path.item(side), findings).map(|id| (id, name))
        };
        let (a, b) = (side(0), side(1));
        let Some(((a, _), (b, name))) = a.zip(b) else {
            fine = false;
            continue;
        };
        let (side, message) = match bridge.join(a, b) {
            Ok(()) => continue,
            Err(BridgeError::Itself(_)) => (1, format!("`{name}` is paired with itself")),
            Err(BridgeError::Taken(port)) => {
                (usize::from(port == b), "this port is in a pair already".to_owned())
            }
        };
        fine = false;
        let hint = "each port stands in one pair, with another port".to_owned();
        findings.error(Target::Value(path.item(side)), message, hint);
    }
    fine.then_some(bridge)
}

fn port_id(name: &str, names: &[Option<String>], path: &Path, findings: &mut Findings) -> Option<PortId> {
    let position = names.iter().position(|known| known.as_deref() == Some(name));
    // A port whose name is missing may be the one that is meant.
    if position.is_none() && names.iter().all(Option::is_some) {
        let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
        let hint = match words::closest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the ports are {}", known.join(", ")),
        };
        findings.error(Target::Value(path.clone()), format!("there is no port `{name}`"), hint);
    }
    PortId::new(position?)
}

/// A port without a partner drops everything: allowed, but hardly meant.
fn lonely(bridge: &Bridge, names: &[Option<String>], findings: &mut Findings) {
    for (i, name) in names.iter().enumerate().filter_map(|(i, name)| Some((i, name.as_ref()?))) {
        if PortId::new(i).is_some_and(|port| bridge.peer(port).is_none()) {
            findings.warning(
                Target::Value(Path::root().key("ports").item(i).key("name")),
                format!("`{name}` is in no pair: whatever it receives is dropped"),
                format!("add it to `forwarding.pairs`{}", or_leave_it_out(names.len())),
            );
        }
    }
}
