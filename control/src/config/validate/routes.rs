//! Checks `routes` and `neighbours`: where a gateway that routes sends packets on to.

use crate::config::finding::{Findings, Target};
use crate::config::network::{Kernel, NamedInterface, Network, StaticNeighbour, interface_towards};
use crate::config::path::Path;
use crate::config::{gateway, raw, words};
use crate::network::addresses::is_link_local;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU8;
use weir_dataplane::config::route::{NextHop, Route, Target as Fate};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::InterfaceId;
use weir_dataplane::wire::MacAddr;

/// The whole network of a gateway that routes.
pub(super) fn validate(
    interfaces: Vec<NamedInterface>,
    raw_routes: &raw::Items<raw::Route>,
    raw_neighbours: &raw::Items<raw::Neighbour>,
    kernel: Kernel,
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
    let twice = twice(&neighbours, &root.key("neighbours"), findings);
    (!twice).then_some(())?;
    Some(Network {
        routes: routes.into_iter().collect::<Option<_>>()?,
        neighbours: neighbours.into_iter().collect::<Option<_>>()?,
        interfaces,
        kernel,
    })
}

/// Says that a bridge has nothing of what a router has; whether that is so. `others` are sections, and whether they say
/// anything.
pub(super) fn has_none(
    ports: &raw::Items<raw::Port>,
    routes: &raw::Items<raw::Route>,
    others: &[(bool, &str)],
    findings: &mut Findings,
) -> bool {
    let root = Path::root();
    let of_port = |(i, port): (usize, &Option<raw::Port>)| {
        let port = port.as_ref()?;
        let key = match port {
            _ if !port.addresses.is_empty() => "addresses",
            _ if !port.management.is_empty() => "management",
            _ if port.tap.is_some() => "tap",
            _ if !port.vlans.is_empty() => "vlans",
            _ if port.cluster_mac.is_some() => "cluster_mac",
            _ if port.reverse_path != raw::ReversePath::Off => "reverse_path",
            _ => return None,
        };
        Some(root.key("ports").item(i).key(key))
    };
    let key = ports.iter().enumerate().find_map(of_port);
    let key = key.or_else(|| (!routes.is_empty()).then(|| root.key("routes")));
    let other = others.iter().find(|(is_there, _)| *is_there);
    let Some(key) = key.or_else(|| other.map(|(_, key)| root.key(key))) else { return true };
    let message = format!("a bridge has no `{}`", key.last().unwrap_or_default());
    let hint = "to route, say `forwarding: {mode: route}`; else leave it out".to_owned();
    findings.error(Target::Key(key), message, hint);
    false
}

fn route(
    raw: &raw::Route,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<Route> {
    let target = target(raw, interfaces, path, findings);
    let to = destination(raw.to.as_ref()?, target.as_ref(), &path.key("to"), findings);
    let (to, target) = (to?, target?);
    let Fate::Via(hops) = &target else { return Some(Route { to, target }) };
    for hop in hops.iter().filter(|hop| hop.gateway.is_none()) {
        may_ask(hop.interface, to.address.is_ipv4(), interfaces, &path.key("to"), findings);
    }
    for (i, hop) in hops.iter().enumerate() {
        let Some(via) = hop.gateway.filter(|via| via.is_ipv4() != to.address.is_ipv4()) else { continue };
        let message = format!("`{via}` is not of the same IP version as `{to}`");
        let hint = "route each version by routers of its own".to_owned();
        let hop = if raw.nexthops.is_empty() { path.clone() } else { path.key("nexthops").item(i) };
        findings.error(Target::Value(hop.key("via")), message, hint);
        return None;
    }
    Some(Route { to, target })
}

/// What becomes of packets of a route.
fn target(
    raw: &raw::Route,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<Fate> {
    let single = match raw {
        _ if raw.via.is_some() => Some("via"),
        _ if raw.dev.is_some() => Some("dev"),
        _ => None,
    };
    let several = (!raw.nexthops.is_empty()).then_some("nexthops");
    let mut exclude = |key: &str, other: &str| {
        let message = format!("`{key}` and `{other}` exclude each other");
        findings.error(Target::Key(path.key(key)), message, "leave one of them out".to_owned());
    };
    let fate = match raw.kind {
        raw::RouteKind::Unicast => None,
        raw::RouteKind::Blackhole => Some(Fate::Blackhole),
        raw::RouteKind::Unreachable => Some(Fate::Unreachable),
    };
    match (fate, single.or(several)) {
        (Some(_), Some(key)) => {
            exclude(key, "type");
            return None;
        }
        (Some(fate), None) => return Some(fate),
        (None, _) => {}
    }
    if let (Some(single), Some(several)) = (single, several) {
        exclude(several, single);
        return None;
    }
    if several.is_some() {
        return next_hops(&raw.nexthops, interfaces, &path.key("nexthops"), findings);
    }
    let hop = next_hop(raw.via.as_ref(), raw.dev.as_ref(), 1, interfaces, path, findings);
    Some(Fate::Via(vec![hop?]))
}

fn next_hops(
    raw: &raw::Items<raw::NextHop>,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<Fate> {
    let mut hops: Vec<Option<NextHop>> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let path = path.item(i);
        let hop = raw.as_ref().and_then(|raw| {
            next_hop(raw.via.as_ref(), raw.dev.as_ref(), raw.weight, interfaces, &path, findings)
        });
        let place = |hop: &NextHop| (hop.interface, hop.gateway);
        if hop.is_some_and(|hop| hops.iter().flatten().any(|known| place(known) == place(&hop))) {
            let message = "this next hop is there twice".to_owned();
            findings.error(Target::Key(path), message, "give it once, with more `weight`".to_owned());
            hops.push(None);
        } else {
            hops.push(hop);
        }
    }
    hops.into_iter().collect::<Option<_>>().map(Fate::Via)
}

/// `default` is of the version of the router behind it; without a `target`, that has been reported.
fn destination(text: &str, target: Option<&Fate>, path: &Path, findings: &mut Findings) -> Option<Subnet> {
    let (message, hint) = if text == "default" {
        let via = match target? {
            Fate::Via(hops) => hops.iter().find_map(|hop| hop.gateway),
            Fate::Blackhole | Fate::Unreachable => None,
        };
        let any = via.map(|via| match via {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        if let Some(address) = any {
            return Some(Subnet { address, prefix_len: 0 });
        }
        (
            "without `via`, `default` may be of either IP version".to_owned(),
            "write `0.0.0.0/0` or `::/0`".to_owned(),
        )
    } else {
        match text.parse::<Subnet>() {
            Ok(subnet) if subnet == subnet.network() => return Some(subnet),
            Ok(subnet) => (
                format!("`{text}` is an address in a network, not the network"),
                format!(
                    "did you mean `{}`, or `{}`?",
                    subnet.network(),
                    Subnet { prefix_len: if subnet.address.is_ipv4() { 32 } else { 128 }, ..subnet }
                ),
            ),
            Err(_) => (
                format!("`{text}` is not a network"),
                "for example `10.1.0.0/16`, `2001:db8::/32` or `default`".to_owned(),
            ),
        }
    };
    findings.error(Target::Value(path.clone()), message, hint);
    None
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
    let gateway = station(via, interfaces, &path, findings)?;
    let interface = dev.or_else(|| towards(gateway, interfaces, &path, findings))?;
    may_ask(interface, gateway.is_ipv4(), interfaces, &path, findings);
    Some(NextHop { interface, gateway: Some(gateway), weight })
}

fn neighbour(
    raw: &raw::Neighbour,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<StaticNeighbour> {
    let address = station(raw.address.as_ref()?, interfaces, &path.key("address"), findings)?;
    let text = raw.mac.as_ref()?;
    let mac = gateway::MacAddr::parse(text).filter(|mac| mac.octets() != [0; 6]);
    if mac.is_none() {
        let message = format!("`{text}` is not the MAC address of a station");
        let hint = "for example `02:00:00:00:00:fe`".to_owned();
        findings.error(Target::Value(path.key("mac")), message, hint);
    }
    let interface = match &raw.dev {
        Some(name) => interface(name, interfaces, &path.key("dev"), findings),
        None => towards(address, interfaces, &path.key("address"), findings),
    };
    Some(StaticNeighbour { interface: interface?, address, mac: MacAddr(mac?.octets()) })
}

/// The address of another station.
pub(super) fn station(
    text: &str,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<IpAddr> {
    let own = |address| {
        interfaces.iter().flat_map(|named| &named.interface.addresses).any(|own| own.address == address)
    };
    let (message, hint) = match text.parse::<IpAddr>() {
        Ok(address) if own(address) => {
            (format!("`{text}` is an address of this gateway"), "give the other station's address")
        }
        Ok(address) if !is_station(address) => {
            (format!("`{text}` is not the address of a station"), "neither a group's nor a loopback one")
        }
        Ok(address) => return Some(address),
        Err(_) => {
            (format!("`{text}` is not an IP address"), "for example `192.0.2.254`; names are not looked up")
        }
    };
    findings.error(Target::Value(path.clone()), message, hint.to_owned());
    None
}

fn is_station(address: IpAddr) -> bool {
    let v4 = match address {
        IpAddr::V4(address) => address.octets()[0] != 0 && address.octets()[0] < 240,
        IpAddr::V6(_) => true,
    };
    v4 && !address.is_multicast() && !address.is_loopback() && !address.is_unspecified()
}

/// Whether a station stands there twice; says so.
fn twice(all: &[Option<StaticNeighbour>], path: &Path, findings: &mut Findings) -> bool {
    let place = |known: &StaticNeighbour| (known.interface, known.address);
    for (i, known) in all.iter().enumerate().filter_map(|(i, known)| Some((i, known.as_ref()?))) {
        if all[..i].iter().flatten().any(|other| place(other) == place(known)) {
            let message = format!("`{}` is there twice", known.address);
            let target = Target::Value(path.item(i).key("address"));
            findings.error(target, message, "a station has one MAC address".to_owned());
            return true;
        }
    }
    false
}

/// Stations are asked for from an address of their IP version.
fn may_ask(
    interface: InterfaceId,
    is_ipv4: bool,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) {
    let Some(named) = interfaces.get(interface.index()) else { return };
    if named.interface.addresses.iter().all(|own| own.address.is_ipv4() != is_ipv4) {
        let version = if is_ipv4 { "IPv4" } else { "IPv6" };
        findings.warning(
            Target::Value(path.clone()),
            format!("`{}` has no {version} address to ask from", named.name),
            "give it one; else those in `neighbours` alone are reached there".to_owned(),
        );
    }
}

pub(super) fn interface(
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

/// The interface that the address is behind.
fn towards(
    address: IpAddr,
    interfaces: &[NamedInterface],
    path: &Path,
    findings: &mut Findings,
) -> Option<InterfaceId> {
    let found = if is_link_local(address) { None } else { interface_towards(interfaces, address) };
    if found.is_none() {
        let example = interfaces.first().map_or("lan", |first| first.name.as_str());
        let (message, hint) = if is_link_local(address) {
            (format!("`{address}` may be behind any interface"), format!("say which one: `dev: {example}`"))
        } else {
            (
                format!("no interface is in a network with `{address}`"),
                format!(
                    "give an address that is reached directly, or say by which interface: `dev: {example}`"
                ),
            )
        };
        findings.error(Target::Value(path.clone()), message, hint);
    }
    found
}
