//! Checks `ports`.

use crate::config::finding::{Findings, Target};
use crate::config::gateway::{Descriptors, Device, MacAddr, Port, Promiscuous, Queues, Rss};
use crate::config::path::Path;
use crate::config::raw;
use core::num::NonZeroU16;

/// Longest name of a network interface (Linux's `IFNAMSIZ`, less the end).
const KERNEL_NAME_LEN_MAX: usize = 15;

/// One entry for each port; `None` where it is wrong.
pub(super) fn validate(
    raw: raw::Items<raw::Port>,
    path: &Path,
    findings: &mut Findings,
) -> Vec<Option<Port>> {
    unique(raw.iter().map(|port| port.as_ref()?.name.clone()), "name", path, findings);
    let device =
        |port: &Option<raw::Port>| Some(Device::new(port.as_ref()?.device.as_ref()?)?.name().to_owned());
    unique(raw.iter().map(device), "device", path, findings);
    unique(raw.iter().map(|port| port.as_ref()?.tap.clone()), "tap", path, findings);
    raw.into_iter().enumerate().map(|(i, raw)| port(raw?, &path.item(i), findings)).collect()
}

/// Reports each value that was there before.
fn unique(values: impl Iterator<Item = Option<String>>, key: &str, path: &Path, findings: &mut Findings) {
    let mut seen: Vec<String> = Vec::new();
    for (i, value) in values.enumerate() {
        let Some(value) = value else { continue };
        if seen.contains(&value) {
            findings.error(
                Target::Value(path.item(i).key(key)),
                format!("two ports have the {key} `{value}`"),
                format!("each port needs a {key} of its own"),
            );
        }
        seen.push(value);
    }
}

fn port(raw: raw::Port, path: &Path, findings: &mut Findings) -> Option<Port> {
    let name = raw.name.and_then(|name| port_name(name, &path.key("name"), findings));
    let device = raw.device.and_then(|text| device(&text, &path.key("device"), findings));
    let tap = match raw.tap {
        Some(name) => tap(name, &raw.vlans, &path.key("tap"), findings).map(Some),
        None => Some(None),
    };
    let multicast_macs = raw
        .multicast_macs
        .iter()
        .enumerate()
        .map(|(i, text)| multicast_mac(text.as_ref()?, &path.key("multicast_macs").item(i), findings))
        .collect::<Vec<_>>();
    Some(Port {
        name: name?,
        device: device?,
        mtu: raw.mtu,
        queues: match raw.queues {
            raw::Queues::Word(raw::Auto::Auto) => Queues::Auto,
            raw::Queues::Count(count) => Queues::Count(NonZeroU16::new(count)?),
        },
        rss: match raw.rss {
            raw::Rss::Ip => Rss::Ip,
            raw::Rss::IpPorts => Rss::IpPorts,
        },
        multicast_macs: multicast_macs.into_iter().collect::<Option<_>>()?,
        promiscuous: match raw.promiscuous {
            raw::Promiscuous::Auto => Promiscuous::Auto,
            raw::Promiscuous::On => Promiscuous::On,
            raw::Promiscuous::Off => Promiscuous::Off,
        },
        checksum_offload: raw.checksum_offload,
        descriptors: Descriptors { rx: raw.descriptors.rx, tx: raw.descriptors.tx },
        tap: tap?,
    })
}

/// A name that the kernel takes, for the port's VLANs as well.
fn tap(name: String, vlans: &raw::Items<raw::Vlan>, path: &Path, findings: &mut Findings) -> Option<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let ids = vlans.iter().flatten().filter_map(|vlan| vlan.id);
    let longest = ids.map(|id| id.to_string().len() + 1).max().unwrap_or(0);
    let fits = name.len() + longest <= KERNEL_NAME_LEN_MAX;
    if fits && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(letters) {
        return Some(name);
    }
    findings.error(
        Target::Value(path.clone()),
        format!("`{name}` cannot be the name of a network interface"),
        format!(
            "a letter, then letters, digits, `_` and `-`, {} at most here; for example `tap: weir-lan`",
            KERNEL_NAME_LEN_MAX - longest
        ),
    );
    None
}

fn port_name(name: String, path: &Path, findings: &mut Findings) -> Option<String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.len() <= 32 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(letters) {
        return Some(name);
    }
    findings.error(
        Target::Value(path.clone()),
        format!("`{name}` cannot be the name of a port"),
        "a letter, then letters, digits, `_` and `-`, 32 at most; for example `name: lan`".to_owned(),
    );
    None
}

fn device(text: &str, path: &Path, findings: &mut Findings) -> Option<Device> {
    let device = Device::new(text);
    if let Some(device) = &device {
        is_driver(device, path, findings)?;
    } else {
        findings.error(
            Target::Value(path.clone()),
            format!("`{text}` cannot be a DPDK device"),
            "a name below 64 characters, then arguments after commas, without spaces: `0000:03:00.0` or \
             `net_af_packet0,iface=eth1`"
                .to_owned(),
        );
    }
    device
}

/// Whether DPDK can have a driver for a virtual device of this name, and what that needs; says so if not.
fn is_driver(device: &Device, path: &Path, findings: &mut Findings) -> Option<()> {
    let name = device.name();
    let is_linux = device.is_virtual()
        && !name.contains('_')
        && ["eth", "en", "wl", "br", "bond", "veth"].iter().any(|kind| name.starts_with(kind));
    let (message, hint) = if is_linux {
        let message = format!("`{name}` is the name of a network interface, and DPDK wants a driver's");
        (message, format!("for example `net_af_packet0,iface={name}`; or the PCI address of the card"))
    } else if name.starts_with("net_af_packet") && device.argument("iface").is_none_or(str::is_empty) {
        let message = format!("`{name}` does not say which network interface");
        (message, format!("for example `{name},iface=eth1`"))
    } else {
        return Some(());
    };
    findings.error(Target::Value(path.clone()), message, hint);
    None
}

fn multicast_mac(text: &str, path: &Path, findings: &mut Findings) -> Option<MacAddr> {
    let (message, hint) = match MacAddr::parse(text) {
        Some(mac) if mac.is_multicast() => return Some(mac),
        Some(_) => (
            format!("`{text}` is not a multicast address"),
            "the first octet of a multicast address is odd: `01:00:5e:00:01:01`",
        ),
        None => (
            format!("`{text}` is not a MAC address"),
            "six pairs of hexadecimal digits with colons: `01:00:5e:00:01:01`",
        ),
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}
