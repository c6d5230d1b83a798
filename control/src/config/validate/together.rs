//! Checks what sections want of each other: a router, a router in a cluster, and services.

use crate::config::device;
use crate::config::finding::{Findings, Target};
use crate::config::gateway::{GatewayConfig, Port};
use crate::config::membership::{Carrier, Membership};
use crate::config::network::{NamedInterface, Network, interface_towards};
use crate::config::path::Path;
use crate::config::services::Check;
use core::net::IpAddr;
use weir_dataplane::config::route::Target as Fate;
use weir_dataplane::config::service::{Place, Scheduler, Selector};
use weir_dataplane::config::{Cluster, Conntrack, Share, Tracking};
use weir_dataplane::steer::service::memory;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{BucketId, PortId};

/// Shortest MTU that IPv6 runs over (RFC 8200 5).
const IPV6_MTU_MIN: u16 = 1280;

/// What services may remember before that is worth a word.
const REMEMBERED_BYTES_MAX: u64 = 1 << 30;

/// Ports of a gateway, at least.
const PORTS_MIN: usize = 2;

/// A router among its ports.
pub(super) fn router(network: &Network, ports: &[Port], findings: &mut Findings) {
    let path = Path::root().key("ports");
    for (i, port) in ports.iter().enumerate() {
        if !network.interfaces().iter().any(|named| Some(named.interface().port) == PortId::new(i)) {
            findings.warning(
                Target::Value(path.item(i).key("name")),
                format!("`{}` has no `addresses`: whatever it receives is dropped", port.name()),
                format!("for example `addresses: [192.0.2.1/24]`{}", or_leave_it_out(ports.len())),
            );
        }
    }
    for named in network.interfaces() {
        let interface = named.interface();
        if interface.mtu < IPV6_MTU_MIN && has_ipv6(named) {
            findings.error(
                Target::Key(path.item(interface.port.index())),
                format!("`{}` has IPv6 addresses and an `mtu` of {}", named.name(), interface.mtu),
                format!("IPv6 needs an `mtu` of {IPV6_MTU_MIN}; or leave its IPv6 addresses out"),
            );
        }
    }
}

/// A port can be left out where enough are left.
pub(super) const fn or_leave_it_out(ports: usize) -> &'static str {
    if ports > PORTS_MIN { ", or leave the port out" } else { "" }
}

fn has_ipv6(named: &NamedInterface) -> bool {
    named.interface().addresses.iter().any(|own| own.address.is_ipv6())
}

/// A cluster whose nodes track loosely.
pub(super) fn loose(
    cluster: Option<&Option<Cluster>>,
    conntrack: Option<&Conntrack>,
    findings: &mut Findings,
) {
    if cluster.is_some_and(Option::is_some) && conntrack.is_some_and(|all| all.tcp.loose) {
        findings.warning(
            Target::Value(Path::root().key("conntrack").key("tcp").key("loose")),
            "in a cluster `loose` lets this node adopt flows in mid-stream that another node owns".to_owned(),
            "leave it out unless the other nodes are Linux with `nf_conntrack_tcp_loose=1`".to_owned(),
        );
    }
}

/// A cluster and what it tracks.
pub(super) fn cluster(membership: &Membership, conntrack: &Conntrack, findings: &mut Findings) {
    let silent_ms = conntrack.udp_timeout.max(conntrack.udp_timeout_stream).as_ms();
    if membership.settings.learning_ms < silent_ms {
        findings.warning(
            Target::Value(Path::root().key("cluster").key("learning_s")),
            "a UDP flow may be silent for longer: a node that joins then forwards it beside its owner"
                .to_owned(),
            format!("at least {} s, the longest of `conntrack.udp`", silent_ms.div_ceil(1000)),
        );
    }
}

/// Services and pools beside VIPs and checks, and what they remember.
pub(super) fn services(config: &GatewayConfig, findings: &mut Findings) {
    at_vips(config, findings);
    checks(config, findings);
    memory(config, findings);
    heirs(config, findings);
}

/// A packet to a VIP is the gateway's own before any service or pool is asked.
fn at_vips(config: &GatewayConfig, findings: &mut Findings) {
    let services = config.services().services.iter().enumerate().filter_map(|(i, service)| {
        let Selector::Address { address, .. } = service.selector else { return None };
        Some((Path::root().key("services").item(i).key("address"), address))
    });
    let pools = config.services().pools.iter().enumerate().flat_map(|(i, pool)| {
        let path = Path::root().key("pools").item(i);
        let slices = pool.slices.as_ref().map(|slices| (path.key("slices").key("address"), slices.address));
        let rules = pool.rules.iter().enumerate().filter_map(move |(k, rule)| {
            let host = rule.rule.destination.filter(Subnet::is_host)?;
            Some((path.key("rules").item(k).key("destination"), host.address))
        });
        rules.chain(slices)
    });
    let is_vip = |address: IpAddr| config.dataplane().vips.iter().any(|vip| vip.address == address);
    for (path, address) in services.chain(pools).filter(|(_, address)| is_vip(*address)) {
        findings.error(
            Target::Value(path),
            format!("`{address}` is a VIP: what comes to it goes to this gateway's own system"),
            "take it out of `vips` and into the port's `addresses`: with `cluster_mac` and a `cluster` all gateways have \
             it, each its part of the clients"
                .to_owned(),
        );
    }
}

/// Warns of services that are to remember more than was probably meant.
fn memory(config: &GatewayConfig, findings: &mut Findings) {
    let services = &config.services().services;
    let each: u64 = services.iter().map(|of| memory::bytes(of.scheduler, of.persistence)).sum();
    let workers = config.workers().count() as u64;
    if each * workers > REMEMBERED_BYTES_MAX {
        findings.warning(
            Target::Key(Path::root().key("services")),
            format!("what services remember takes {} MiB, {} a worker", (each * workers) >> 20, each >> 20),
            "lower `persistence.clients_max`, or `entries_max` and `members_max` of `locality`".to_owned(),
        );
    }
}

/// Whether the nodes of a cluster can know which server each connection has: by the answers, which come from the MAC
/// address of a server that is beside them, or because all of them choose the same.
fn heirs(config: &GatewayConfig, findings: &mut Findings) {
    let shadows = config.dataplane().cluster.as_ref().is_some_and(|of| of.tracking == Tracking::All);
    let Some(network) = config.network().filter(|network| shadows && !network.kernel().routes) else {
        return;
    };
    let goes_by_hash = |scheduler| matches!(scheduler, Scheduler::Dh | Scheduler::Sh(_) | Scheduler::Mh(_));
    let services = config.services().services.iter().enumerate();
    for (i, service) in services.filter(|(_, of)| of.servers.len() > 1 && !goes_by_hash(of.scheduler)) {
        let addresses = service.servers.iter().filter_map(|server| match server.place {
            Place::Address(address) => Some(address),
            Place::Mac(..) => None,
        });
        if let Some(far) = addresses.into_iter().find(|address| !is_beside(network, *address)) {
            findings.warning(
                Target::Key(Path::root().key("services").item(i)),
                format!("when a node dies, the others do not know which connections `{far}` had"),
                "it is behind a router; with `scheduler: mh`, `sh` or `dh` all nodes choose the same"
                    .to_owned(),
            );
        }
    }
}

/// Whether a host is in a network of a port.
fn is_beside(network: &Network, address: IpAddr) -> bool {
    let is_by =
        |target: &Fate| matches!(target, Fate::Via(hops) if hops.iter().any(|hop| hop.gateway.is_none()));
    interface_towards(network.interfaces(), address).is_some()
        || network.routes().iter().any(|route| route.to.contains(address) && is_by(&route.target))
}

/// Whether servers can be asked: that goes by the taps of the ports that they are behind.
fn checks(config: &GatewayConfig, findings: &mut Findings) {
    let services = config.services().services.iter().enumerate().map(|(i, service)| {
        let places = service.servers.iter().map(|server| server.place).collect::<Vec<_>>();
        (Path::root().key("services").item(i), service.health.as_ref(), places)
    });
    let pools = config.services().pools.iter().enumerate().map(|(i, pool)| {
        let places = pool.nodes.iter().map(|node| node.place).collect();
        (Path::root().key("pools").item(i), pool.health.as_ref(), places)
    });
    for (path, health, places) in services.chain(pools) {
        let check = health.and_then(|health| health.check.as_ref());
        if check.is_some_and(|check| !matches!(check, Check::Script { .. })) {
            can_be_asked(config, &places, &path.key("health"), "counts as alive", findings);
        }
    }
    for (i, pool) in config.services().pools.iter().enumerate().filter(|(_, pool)| pool.agent.is_some()) {
        let places: Vec<Place> = pool.nodes.iter().map(|node| node.place).collect();
        let path = Path::root().key("pools").item(i).key("agent");
        can_be_asked(config, &places, &path, "counts as idle", findings);
    }
}

fn can_be_asked(
    config: &GatewayConfig,
    places: &[Place],
    path: &Path,
    otherwise: &str,
    findings: &mut Findings,
) {
    let addresses = places.iter().filter(|place| matches!(place, Place::Address(_)));
    let mut addresses = addresses.map(|place| place.address());
    if let Some(address) = addresses.find(|address| device(config, *address).is_none()) {
        findings.warning(
            Target::Key(path.clone()),
            format!("`{address}` cannot be asked, and {otherwise}: its port has no `tap`"),
            "it is asked by the kernel's network interface of the port, for example `tap: weir-lan`"
                .to_owned(),
        );
    }
}

/// A router in a cluster.
pub(super) fn routed_cluster(
    network: &Network,
    cluster: &Cluster,
    membership: Option<&Membership>,
    findings: &mut Findings,
) {
    cluster_macs(network, cluster, membership, findings);
    let path = Path::root().key("cluster");
    if let Some(Carrier::Gossip { config, .. }) = membership.map(|membership| &membership.carrier)
        && let Some(is_management) = own(network, config.listen.ip())
    {
        let why =
            if is_management { ", and gossip does not go over those" } else { ", which all nodes have" };
        findings.error(
            Target::Value(path.key("gossip").key("listen")),
            format!("`{}` is an address of the gateway's ports{why}", config.listen.ip()),
            "an address of this node alone, on a network interface that is no port's".to_owned(),
        );
    }
    for (key, share) in [("non_ip", cluster.non_ip), ("untracked", cluster.untracked)] {
        if share != Share::Owner {
            findings.warning(
                Target::Key(path.key(key)),
                format!("`{key}` means nothing to a router"),
                "leave it out".to_owned(),
            );
        }
    }
}

/// Whether an address of the gateway's ports is this node's alone; `None`: it is none of them.
fn own(network: &Network, address: IpAddr) -> Option<bool> {
    let mut interfaces = network.interfaces().iter().map(NamedInterface::interface);
    let of = interfaces.find(|of| of.addresses.iter().any(|own| own.address == address))?;
    Some(of.management.contains(&address))
}

/// Stations send to the MAC address that they are told: unless all nodes have it, one node alone hears them.
fn cluster_macs(
    network: &Network,
    cluster: &Cluster,
    membership: Option<&Membership>,
    findings: &mut Findings,
) {
    let all = (0..usize::from(cluster.total_nodes)).filter_map(BucketId::new);
    if membership.is_none() && all.into_iter().all(|bucket| cluster.owns(bucket)) {
        return;
    }
    let mut told: Vec<PortId> = Vec::new();
    for named in network.interfaces().iter().filter(|named| named.cluster_mac().is_none()) {
        let port = named.interface().port;
        if told.contains(&port) {
            continue;
        }
        told.push(port);
        let target = Target::Key(Path::root().key("ports").item(port.index()));
        let message =
            format!("`{}` has no `cluster_mac`: what stations send here, one node alone hears", named.name());
        let example = "for example `cluster_mac: 01:00:5e:00:01:01`, the same on all nodes";
        if membership.is_some() {
            findings.error(target, message, example.to_owned());
        } else {
            let hint =
                format!("{example}; it is not needed if the devices of all nodes have one MAC address");
            findings.warning(target, message, hint);
        }
    }
}
