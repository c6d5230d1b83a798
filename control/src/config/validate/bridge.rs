//! `forwarding`: pairs of ports.

use crate::config::finding::{Findings, Target};
use crate::config::gateway::Port;
use crate::config::path::Path;
use crate::config::raw;
use crate::config::words;
use weir_dataplane::config::Bridge;
use weir_dataplane::config::bridge::BridgeError;
use weir_dataplane::units::PortId;

/// The pairs as they are written, or the only possible pair of two ports.
pub(super) fn validate(
    raw: raw::Forwarding,
    ports: &[Option<Port>],
    path: &Path,
    findings: &mut Findings,
) -> Option<Bridge> {
    let raw::Forwarding { mode: raw::Mode::Bridge, pairs } = raw;
    // Names can be looked up only when each port has one.
    let names: Vec<&str> =
        ports.iter().map(|port| port.as_ref().map(|port| port.name.as_str())).collect::<Option<_>>()?;
    match pairs {
        Some(pairs) => {
            let bridge = join(&pairs, &names, &path.key("pairs"), findings);
            bridge.inspect(|bridge| lonely(bridge, &names, findings))
        }
        None => only_pair(&names, path, findings),
    }
}

fn only_pair(names: &[&str], path: &Path, findings: &mut Findings) -> Option<Bridge> {
    let (message, hint) = match names {
        [] | [_] => return None,
        [_, _] => {
            let mut bridge = Bridge::default();
            bridge.join(PortId::new(0)?, PortId::new(1)?).ok()?;
            return Some(bridge);
        }
        [first, second, ..] => (
            format!(
                "`forwarding.pairs` is missing: with {} ports it must say which belong together",
                names.len()
            ),
            format!("for example `pairs: [[{first}, {second}]]`"),
        ),
    };
    findings.error(Target::Key(path.clone()), message, hint);
    None
}

fn join(pairs: &[Vec<String>], names: &[&str], path: &Path, findings: &mut Findings) -> Option<Bridge> {
    let mut bridge = Bridge::default();
    let mut fine = true;
    for (i, pair) in pairs.iter().enumerate() {
        let ids: Vec<Option<PortId>> = pair
            .iter()
            .enumerate()
            .map(|(side, name)| port_id(name, names, &path.item(i).item(side), findings))
            .collect();
        let [Some(a), Some(b)] = ids.as_slice() else {
            fine = false;
            continue;
        };
        let (target, message) = match bridge.join(*a, *b) {
            Ok(()) => continue,
            Err(BridgeError::Itself(port)) => {
                (path.item(i).item(1), format!("`{}` is paired with itself", names[port.index()]))
            }
            Err(BridgeError::Taken(port)) => {
                let side = usize::from(port == *b);
                (path.item(i).item(side), format!("`{}` is in a pair already", names[port.index()]))
            }
        };
        fine = false;
        findings.error(
            Target::Value(target),
            message,
            "each port stands in one pair, with another port".to_owned(),
        );
    }
    fine.then_some(bridge)
}

fn port_id(name: &str, names: &[&str], path: &Path, findings: &mut Findings) -> Option<PortId> {
    let position = names.iter().position(|known| *known == name);
    if position.is_none() {
        let hint = match words::closest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the ports are {}", names.join(", ")),
        };
        findings.error(Target::Value(path.clone()), format!("there is no port `{name}`"), hint);
    }
    PortId::new(position?)
}

/// A port without a partner drops everything: allowed, but hardly meant.
fn lonely(bridge: &Bridge, names: &[&str], findings: &mut Findings) {
    for (i, name) in names.iter().enumerate() {
        if PortId::new(i).is_some_and(|port| bridge.peer(port).is_none()) {
            findings.warning(
                Target::Value(Path::root().key("ports").item(i).key("name")),
                format!("`{name}` is in no pair: whatever it receives is dropped"),
                "add it to `forwarding.pairs`, or leave the port out".to_owned(),
            );
        }
    }
}
