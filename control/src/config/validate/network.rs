//! Checks what a gateway that routes needs: addresses on ports and VLANs, `routes`, `neighbours`.

use crate::config::finding::{Findings, Target};
use crate::config::network::{NamedInterface, Network, StaticNeighbour, interface_towards};
use crate::config::path::Path;
use crate::config::{gateway, raw, words};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU8;
use weir_dataplane::config::route::{Interface, NextHop, ReversePath, Route, Target as Fate};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{InterfaceId, PortId, VlanId};
use weir_dataplane::wire::MacAddr;

/// The interfaces of all ports, in their order; `None` when something about them is wrong.
pub(super) fn interfaces(
    ports: &raw::Items<raw::Port>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Vec<NamedInterface>> {
    let mut all = Vec::new();
    let mut fine = true;
    for (i, raw) in ports.iter().enumerate() {
        let (Some(raw), Some(port)) = (raw, PortId::new(i)) else {
            fine = false;
            continue;
        };
        match of_port(raw, port, &path.item(i), findings) {
            Some(interfaces) => all.extend(interfaces),
            None => fine = false,
        }
    }
    fine.then_some(all).filter(|all| !overlaps(all, path, findings))
}

fn of_port(
    raw: &raw::Port,
    port: PortId,
    path: &Path,
    findings: &mut Findings,
) -> Option<Vec<NamedInterface>> {
    let name = raw.name.clone()?;
    let mac = match &raw.cluster_mac {
        Some(text) => Some(cluster_mac(text, &path.key("cluster_mac"), findings)?),
        None => None,
    };
    let named = |name, vlan, mtu, addresses, reverse_path| NamedInterface {
        name,
        interface: Interface {
            port,
            vlan,
            mac: MacAddr([0; 6]),
            source_mac: MacAddr([0; 6]),
            mtu,
            addresses,
            reverse_path: reverse(reverse_path),
        },
        cluster_mac: mac,
    };
    let mut interfaces = Vec::new();
    let own = addresses(&raw.addresses, &path.key("addresses"), findings)?;
    if !own.is_empty() {
        interfaces.push(named(name.clone(), None, raw.mtu, own, raw.reverse_path));
    }
    for (i, vlan) in raw.vlans.iter().enumerate() {
        let (vlan, path) = (vlan.as_ref()?, path.key("vlans").item(i));
        let id = VlanId::new(vlan.id?)?;
        if interfaces.iter().any(|known| known.interface.vlan == Some(id)) {
            let message = format!("`{name}` has VLAN {} twice", id.number());
            findings.error(Target::Value(path.key("id")), message, "name each VLAN once".to_owned());
            return None;
        }
        let mtu = vlan.mtu.unwrap_or(raw.mtu);
        if mtu > raw.mtu {
            let message = format!("`mtu` is larger than that of `{name}`, which is {}", raw.mtu);
            findings.error(
                Target::Value(path.key("mtu")),
                message,
                "leave it out, or raise the port's".to_owned(),
            );
            return None;
        }
        let addresses = addresses(&vlan.addresses, &path.key("addresses"), findings)?;
        interfaces.push(named(
            format!("{name}.{}", id.number()),
            Some(id),
            mtu,
            addresses,
            vlan.reverse_path,
        ));
    }
    Some(interfaces)
}

const fn reverse(raw: raw::ReversePath) -> ReversePath {
    match raw {
        raw::ReversePath::Off => ReversePath::Off,
        raw::ReversePath::Loose => ReversePath::Loose,
        raw::ReversePath::Strict => ReversePath::Strict,
    }
}

fn cluster_mac(text: &str, path: &Path, findings: &mut Findings) -> Option<MacAddr> {
    let (message, hint) = match gateway::MacAddr::parse(text).map(|mac| MacAddr(mac.octets())) {
        Some(mac) if mac.0 != [0; 6] && mac.0 != [0xff; 6] && !mac.is_link_local() => return Some(mac),
        Some(_) => (
            format!("`{text}` cannot be the address of a cluster"),
            "a multicast address such as `01:00:5e:00:01:01`, or a unicast one that no station has",
        ),
        None => (
            format!("`{text}` is not a MAC address"),
            "six pairs of hexadecimal digits with colons: `01:00:5e:00:01:01`",
        ),
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}

fn addresses(raw: &raw::Items<String>, path: &Path, findings: &mut Findings) -> Option<Vec<Subnet>> {
    let all = raw.iter().enumerate().map(|(i, text)| address(text.as_ref()?, &path.item(i), findings));
    all.collect::<Vec<_>>().into_iter().collect()
}

/// An address of the gateway: one that a host can have, with its network's prefix length.
fn address(text: &str, path: &Path, findings: &mut Findings) -> Option<Subnet> {
    let (message, hint) = match text.parse::<Subnet>() {
        Ok(subnet) if !text.contains('/') => (
            format!("`{text}` has no prefix length"),
            format!("for example `{}/{}`", subnet.address, if subnet.address.is_ipv4() { 24 } else { 64 }),
        ),
        Ok(subnet) if is_host(subnet) => return Some(subnet),
        Ok(_) => (
            format!("`{text}` cannot be the address of a host"),
            "not the network's first or last address, a group, a loopback address or none".to_owned(),
        ),
        Err(_) => (
            format!("`{text}` is not an address with a prefix length"),
            "for example `192.0.2.1/24` or `2001:db8::1/64`".to_owned(),
        ),
    };
    findings.error(Target::Value(path.clone()), message, hint);
    None
}

fn is_host(subnet: Subnet) -> bool {
    match subnet.address {
        IpAddr::V4(address) => {
            let host = address.to_bits() & u32::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0);
            let last = u32::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0);
            let inside = subnet.prefix_len >= 31 || (host != 0 && host != last);
            inside
                && !(address.is_multicast() || address.is_loopback() || address.octets()[0] == 0)
                && address.octets()[0] < 240
        }
        IpAddr::V6(address) => !(address.is_multicast() || address.is_loopback() || address.is_unspecified()),
    }
}

/// Whether two interfaces have an address, or the same network, in common; says so.
fn overlaps(all: &[NamedInterface], path: &Path, findings: &mut Findings) -> bool {
    for (i, one) in all.iter().enumerate() {
        for other in &all[..i] {
            let both = one.interface.addresses.iter().find(|a| {
                let same = |b: &&Subnet| a.contains(b.address) || b.contains(a.address);
                !is_link_local(a.address) && other.interface.addresses.iter().any(|b| same(&b))
            });
            if let Some(both) = both {
                let message =
                    format!("`{}` is in the networks of `{}` and `{}`", both.address, other.name, one.name);
                let hint = "each network is behind one interface".to_owned();
                findings.error(Target::Value(path.item(one.interface.port.index())), message, hint);
                return true;
            }
        }
    }
    false
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The whole network of a gateway that routes.
pub(super) fn validate(
    interfaces: Vec<NamedInterface>,
    raw_routes: &raw::Items<raw::Route>,
    raw_neighbours: &raw::Items<raw::Neighbour>,
    findings: &mut Findings,
) -> Option<Network> {
    let root = Path::root();
    if interfaces.is_empty() {
        let message = "a gateway that routes needs `addresses`, and no port has any".to_owned();
        let hint = "for example `addresses: [192.0.2.1/24]` below a port".to_owned();
        findings.error(Target::Key(root.key("ports")), message, hint);
        return None;
    }
    let routes = raw_routes
        .iter()
        .enumerate()
        .map(|(i, raw)| route(raw.as_ref()?, &interfaces, &root.key("routes").item(i), findings));
    let routes: Vec<Option<Route>> = routes.collect();
    let neighbours = raw_neighbours
        .iter()
        .enumerate()
        .map(|(i, raw)| neighbour(raw.as_ref()?, &interfaces, &root.key("neighbours").item(i), findings));
    let neighbours: Vec<Option<StaticNeighbour>> = neighbours.collect();
    Some(Network {
        routes: routes.into_iter().collect::<Option<_>>()?,
        neighbours: neighbours.into_iter().collect::<Option<_>>()?,
        interfaces,
    })
}

fn route(
    raw: &raw::Route,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<Route> {
    let hops: Vec<(Option<&String>, Option<&String>, u8, Path)> = if raw.nexthops.is_empty() {
        vec![(raw.via.as_ref(), raw.dev.as_ref(), 1, path.clone())]
    } else {
        let several = raw.nexthops.iter().enumerate().map(|(i, hop)| {
            let hop = hop.as_ref()?;
            Some((hop.via.as_ref(), hop.dev.as_ref(), hop.weight, path.key("nexthops").item(i)))
        });
        several.collect::<Option<_>>()?
    };
    let target = match raw.kind {
        raw::RouteKind::Blackhole => Fate::Blackhole,
        raw::RouteKind::Unreachable => Fate::Unreachable,
        raw::RouteKind::Unicast => {
            let hops = hops
                .into_iter()
                .map(|(via, dev, weight, path)| next_hop(via, dev, weight, interfaces, &path, findings));
            let hops: Vec<Option<NextHop>> = hops.collect();
            Fate::Via(hops.into_iter().collect::<Option<_>>()?)
        }
    };
    let to = destination(raw.to.as_ref()?, &target, &path.key("to"), findings)?;
    let Fate::Via(hops) = &target else { return Some(Route { to, target }) };
    if let Some(via) =
        hops.iter().filter_map(|hop| hop.gateway).find(|via| via.is_ipv4() != to.address.is_ipv4())
    {
        let message = format!("`{via}` is not of the same IP version as `{}`", to.address);
        findings.error(
            Target::Key(path.clone()),
            message,
            "route each version by routers of its own".to_owned(),
        );
        return None;
    }
    Some(Route { to, target })
}

/// `default` is of the version of the router behind it.
fn destination(text: &str, target: &Fate, path: &Path, findings: &mut Findings) -> Option<Subnet> {
    let (message, hint) = if text == "default" {
        let via = match target {
            Fate::Via(hops) => hops.iter().find_map(|hop| hop.gateway),
            Fate::Blackhole | Fate::Unreachable => None,
        };
        match via {
            Some(IpAddr::V4(_)) => {
                return Some(Subnet { address: Ipv4Addr::UNSPECIFIED.into(), prefix_len: 0 });
            }
            Some(IpAddr::V6(_)) => {
                return Some(Subnet { address: Ipv6Addr::UNSPECIFIED.into(), prefix_len: 0 });
            }
            None => (
                "without `via`, `default` may be of either IP version".to_owned(),
                "write `0.0.0.0/0` or `::/0`",
            ),
        }
    } else {
        match text.parse::<Subnet>() {
            Ok(subnet) if is_network(subnet) => return Some(subnet),
            Ok(_) => (format!("`{text}` has bits behind its prefix"), "write the network's first address"),
            Err(_) => (
                format!("`{text}` is not a network"),
                "for example `10.1.0.0/16`, `2001:db8::/32` or `default`",
            ),
        }
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}

fn is_network(subnet: Subnet) -> bool {
    match subnet.address {
        IpAddr::V4(address) => {
            address.to_bits() & u32::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0) == 0
        }
        IpAddr::V6(address) => {
            address.to_bits() & u128::MAX.checked_shr(subnet.prefix_len.into()).unwrap_or(0) == 0
        }
    }
}

fn next_hop(
    via: Option<&String>,
    dev: Option<&String>,
    weight: u8,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<NextHop> {
    let weight = NonZeroU8::new(weight)?;
    let dev = match dev {
        Some(name) => Some(interface(name, interfaces, &path.key("dev"), findings)?),
        None => None,
    };
    let Some(via) = via else {
        if dev.is_none() {
            let message = "`via` is missing".to_owned();
            let hint = "for example `via: 192.0.2.254`; or `type: blackhole`".to_owned();
            findings.error(Target::Key(path.clone()), message, hint);
        }
        return Some(NextHop { interface: dev?, gateway: None, weight });
    };
    let path = path.key("via");
    let gateway = plain_address(via, &path, findings)?;
    let own =
        interfaces.iter().flat_map(|named| &named.interface.addresses).any(|own| own.address == gateway);
    if own {
        let message = format!("`{via}` is an address of this gateway");
        findings.error(Target::Value(path), message, "give the other router's address".to_owned());
        return None;
    }
    let interface = dev.or_else(|| towards(gateway, interfaces, &path, findings))?;
    Some(NextHop { interface, gateway: Some(gateway), weight })
}

fn neighbour(
    raw: &raw::Neighbour,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<StaticNeighbour> {
    let address = plain_address(raw.address.as_ref()?, &path.key("address"), findings)?;
    let text = raw.mac.as_ref()?;
    let mac = gateway::MacAddr::parse(text).filter(|mac| mac.octets() != [0; 6]);
    if mac.is_none() {
        let message = format!("`{text}` is not the MAC address of a station");
        let hint = "six pairs of hexadecimal digits with colons: `02:00:00:00:00:fe`".to_owned();
        findings.error(Target::Value(path.key("mac")), message, hint);
    }
    let interface = match &raw.dev {
        Some(name) => interface(name, interfaces, &path.key("dev"), findings),
        None => towards(address, interfaces, &path.key("address"), findings),
    };
    Some(StaticNeighbour { interface: interface?, address, mac: MacAddr(mac?.octets()) })
}

fn plain_address(text: &str, path: &Path, findings: &mut Findings) -> Option<IpAddr> {
    let address = text.parse();
    if address.is_err() {
        let message = format!("`{text}` is not an IP address");
        findings.error(Target::Value(path.clone()), message, "for example `192.0.2.254`".to_owned());
    }
    address.ok()
}

fn interface(
    name: &str,
    all: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<InterfaceId> {
    let position = all.iter().position(|known| known.name == name);
    if position.is_none() {
        let known: Vec<&str> = all.iter().map(|known| known.name.as_str()).collect();
        let hint = match words::closest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("those with addresses are {}", known.join(", ")),
        };
        findings.error(Target::Value(path.clone()), format!("there is no interface `{name}`"), hint);
    }
    InterfaceId::new(position?)
}

fn towards(
    address: IpAddr,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<InterfaceId> {
    let (message, hint) = if is_link_local(address) {
        (format!("`{address}` may be behind any interface"), "say which one: `dev: wan`")
    } else {
        match interface_towards(interfaces, address) {
            Some(interface) => return Some(interface),
            None => (
                format!("no interface is in a network with `{address}`"),
                "a router must be reached directly; or say by which interface: `dev: wan`",
            ),
        }
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}
