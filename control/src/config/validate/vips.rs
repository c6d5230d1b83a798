//! Checks `vips`: addresses of a gateway that routes, which other nodes have too.

use super::{cluster, interfaces, routes};
use crate::config::finding::{Findings, Target};
use crate::config::network::{NamedInterface, Network};
use crate::config::path::Path;
use crate::config::raw;
use core::net::IpAddr;
use weir_dataplane::config::route::VipAddress;
use weir_dataplane::config::vip::{HashMode, Nodes};
use weir_dataplane::config::{Cluster, Vip};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{VIPS_MAX, VipId};

/// What the packet path is told of the VIPs; their interfaces get the addresses.
pub(super) fn validate(
    raw: &raw::Items<raw::Vip>,
    network: &mut Network,
    cluster: Option<&Cluster>,
    findings: &mut Findings,
) -> Option<Vec<Vip>> {
    let path = Path::root().key("vips");
    let mut vips = Vec::with_capacity(raw.len());
    for (i, raw) in raw.iter().enumerate() {
        let vip = raw.as_ref().and_then(|raw| {
            let path = path.item(i);
            let Some(id) = VipId::new(i) else {
                let message = format!("this is one VIP too many: a gateway has {VIPS_MAX} at most");
                findings.error(Target::Value(path), message, None);
                return None;
            };
            vip(raw, id, &path, network, cluster, findings)
        });
        vips.push(vip);
    }
    vips.into_iter().collect()
}

fn vip(
    raw: &raw::Vip,
    id: VipId,
    path: &Path,
    network: &mut Network,
    cluster: Option<&Cluster>,
    findings: &mut Findings,
) -> Option<Vip> {
    let named = raw
        .port
        .as_ref()
        .and_then(|name| routes::interface(name, &network.interfaces, &path.key("port"), findings));
    let address = raw.address.as_ref().and_then(|text| {
        let address = address(text, &path.key("address"), findings)?;
        let path = path.key("address");
        is_hosts(address, &network.interfaces, &path, findings)?;
        is_free(address, &network.interfaces, &path, findings).then_some(address)
    });
    let mac = raw.mac.as_ref().and_then(|text| interfaces::cluster_mac(text, &path.key("mac"), findings));
    let shared = nodes(raw, path, cluster, findings);
    let (named, address, mac, (total_nodes, nodes)) = (named?, address?, mac?, shared?);
    let named = network.interfaces.get_mut(named.index())?;
    warn(named, address, path, findings);
    let prefix_len = if address.is_ipv4() { 32 } else { 128 };
    named.interface.addresses.push(Subnet { address, prefix_len });
    named.interface.vips.push(VipAddress { address, mac });
    let hash_mode = match raw.hash_mode? {
        raw::HashMode::Sourceip => HashMode::Source,
        raw::HashMode::SourceipSourceport => HashMode::SourcePort,
        raw::HashMode::SourceipSourceportDestport => HashMode::SourceDestinationPort,
    };
    Some(Vip { id, address, hash_mode, total_nodes, hash_init: raw.hash_init, nodes })
}

fn address(text: &str, path: &Path, findings: &mut Findings) -> Option<IpAddr> {
    let (message, hint) = match text.parse::<IpAddr>() {
        Ok(address) if interfaces::is_host(Subnet { address, prefix_len: 32 }) => return Some(address),
        Ok(_) => (format!("`{text}` cannot be the address of a host"), "for example `192.0.2.9`"),
        Err(_) => (
            format!("`{text}` is not an address"),
            "for example `192.0.2.9` or `2001:db8::9`, without a prefix length",
        ),
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}

/// Whether the address is not the first or last of a network of the gateway's; says so if it is.
fn is_hosts(address: IpAddr, all: &[NamedInterface], path: &Path, findings: &mut Findings) -> Option<()> {
    let Some(network) = interfaces::network_that_ends_with(address, all) else { return Some(()) };
    let message = format!("`{address}` is the first or last address of {network}, which no host can have");
    findings.error(Target::Value(path.clone()), message, "another address of that network".to_owned());
    None
}

/// Whether the gateway has the address nowhere else; says so if it has.
fn is_free(address: IpAddr, all: &[NamedInterface], path: &Path, findings: &mut Findings) -> bool {
    let has = |named: &&NamedInterface| named.interface.addresses.iter().any(|own| own.address == address);
    let Some(other) = all.iter().find(has) else { return true };
    let (message, hint) = if other.interface.vips.iter().any(|vip| vip.address == address) {
        (format!("`{address}` is there twice"), "one entry for each VIP")
    } else {
        (
            format!("`{address}` is an address of `{}` already", other.name),
            "leave it out there: a VIP is an address of its port by itself",
        )
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    false
}

/// How many nodes the address has, and which are here.
fn nodes(
    raw: &raw::Vip,
    path: &Path,
    cluster: Option<&Cluster>,
    findings: &mut Findings,
) -> Option<(u16, Nodes)> {
    let (target, message, hint) = match (&raw.local_nodes, raw.total_nodes, cluster) {
        (Some(numbers), Some(total), _) => {
            let nodes = cluster::from_numbers(numbers, total, &path.key("local_nodes"), findings)?;
            if nodes.is_empty() {
                let message = "this gateway stands for none of its nodes".to_owned();
                let hint = "it waits for `weir vip add ADDRESS N`".to_owned();
                findings.warning(Target::Value(path.key("local_nodes")), message, hint);
            }
            return Some((total, Nodes::Local(nodes)));
        }
        (None, Some(total), Some(cluster)) if total != cluster.total_nodes => (
            Target::Value(path.key("total_nodes")),
            format!("the cluster's `total_nodes` is {}", cluster.total_nodes),
            "leave it out, or name this gateway's own with `local_nodes`",
        ),
        (None, _, Some(cluster)) => return Some((cluster.total_nodes, Nodes::Cluster)),
        (Some(_), None, _) => (
            Target::Key(path.clone()),
            "`total_nodes` is missing in a VIP".to_owned(),
            "how many nodes have the address; for example `total_nodes: 2`",
        ),
        (None, _, None) => (
            Target::Key(path.clone()),
            "`local_nodes` is missing in a VIP, and there is no `cluster`".to_owned(),
            "which of its nodes are here; for example `local_nodes: [1]`",
        ),
    };
    findings.error(target, message, hint.to_owned());
    None
}

fn warn(named: &NamedInterface, address: IpAddr, path: &Path, findings: &mut Findings) {
    if !named.interface.addresses.iter().any(|own| own.contains(address)) {
        findings.warning(
            Target::Value(path.key("address")),
            format!("`{address}` is in no network of `{}`: hosts there do not ask for it", named.name),
            "they need a route to it".to_owned(),
        );
    }
    if !named.interface.tapped {
        findings.warning(
            Target::Value(path.key("port")),
            format!("`{}` has no tap, so nothing but ping is answered at `{address}`", named.name),
            "for example `tap: weir-lan` below the port".to_owned(),
        );
    }
}
