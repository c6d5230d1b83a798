//! Checks the interfaces of a gateway that routes: addresses on ports and their VLANs.

use crate::config::finding::{Findings, Target};
use crate::config::network::NamedInterface;
use crate::config::path::Path;
use crate::config::{gateway, raw};
use crate::network::addresses::is_link_local;
use core::net::IpAddr;
use weir_dataplane::config::route::{Interface, ReversePath};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{PortId, VlanId};
use weir_dataplane::wire::MacAddr;

/// The interfaces of all ports, in their order.
pub(super) fn validate(
    ports: &raw::Items<raw::Port>,
    path: &Path,
    findings: &mut Findings,
) -> Option<Vec<NamedInterface>> {
    let of_ports = ports.iter().enumerate().map(|(i, raw)| {
        let (raw, port) = (raw.as_ref()?, PortId::new(i)?);
        of_port(raw, port, &path.item(i), findings)
    });
    let of_ports: Vec<Option<Vec<NamedInterface>>> = of_ports.collect();
    let all = of_ports.into_iter().collect::<Option<Vec<_>>>()?.concat();
    (!overlap(&all, path, findings)).then_some(all)
}

fn of_port(
    raw: &raw::Port,
    port: PortId,
    path: &Path,
    findings: &mut Findings,
) -> Option<Vec<NamedInterface>> {
    let cluster_mac = match &raw.cluster_mac {
        Some(text) => cluster_mac(text, &path.key("cluster_mac"), findings).map(Some),
        None => Some(None),
    };
    let own = own_addresses(&raw.addresses, &raw.management, path, findings);
    let of_vlans = raw.vlans.iter().enumerate().map(|(i, vlan)| {
        let path = path.key("vlans").item(i);
        let vlan = vlan.as_ref()?;
        let is_new = raw.vlans[..i].iter().flatten().all(|other| other.id != vlan.id);
        of_vlan(vlan, is_new, raw, port, &path, findings)
    });
    let of_vlans: Vec<Option<Interface>> = of_vlans.collect();
    let (name, cluster_mac, own) = (raw.name.as_ref()?, cluster_mac?, own?);
    let untagged = (!own.is_empty()).then(|| interface(raw, port, None, raw.mtu, own, raw.reverse_path));
    let interfaces = untagged.into_iter().map(Some).chain(of_vlans).map(|interface| {
        let interface = interface?;
        let name = match interface.vlan {
            Some(vlan) => format!("{name}.{}", vlan.number()),
            None => name.clone(),
        };
        Some(NamedInterface { name, interface, cluster_mac })
    });
    interfaces.collect()
}

fn of_vlan(
    raw: &raw::Vlan,
    is_new: bool,
    of: &raw::Port,
    port: PortId,
    path: &Path,
    findings: &mut Findings,
) -> Option<Interface> {
    let mut wrong = |key: &str, message: String, hint: &str| {
        findings.error(Target::Value(path.key(key)), message, hint.to_owned());
    };
    if !is_new {
        let message = format!("VLAN {} is there twice", raw.id.unwrap_or_default());
        wrong("id", message, "put all its addresses into one list");
    }
    let mtu = raw.mtu.unwrap_or(of.mtu);
    if mtu > of.mtu {
        wrong("mtu", format!("the port's `mtu` is {}", of.mtu), "leave it out, or raise the port's");
    }
    let addresses = own_addresses(&raw.addresses, &raw.management, path, findings)?;
    if addresses.is_empty() {
        let message = "a VLAN needs `addresses`, and this one has none".to_owned();
        let hint = "for example `addresses: [192.0.2.1/24]`".to_owned();
        findings.error(Target::Key(path.clone()), message, hint);
        return None;
    }
    let vlan = VlanId::new(raw.id?)?;
    (is_new && mtu <= of.mtu).then(|| interface(of, port, Some(vlan), mtu, addresses, raw.reverse_path))
}

/// An interface whose MAC addresses are not known yet.
fn interface(
    of: &raw::Port,
    port: PortId,
    vlan: Option<VlanId>,
    mtu: u16,
    own: OwnAddresses,
    reverse_path: raw::ReversePath,
) -> Interface {
    let nobody = MacAddr::default();
    Interface {
        port,
        vlan,
        mac: nobody,
        source_mac: nobody,
        mtu,
        management: own.management.iter().map(|own| own.address).collect(),
        vips: Vec::new(),
        addresses: [own.shared, own.management].concat(),
        tapped: of.tap.is_some(),
        reverse_path: reverse(reverse_path),
    }
}

/// The addresses of an interface.
struct OwnAddresses {
    /// Those that all nodes of a cluster have.
    shared: Vec<Subnet>,
    /// Those that only this one has.
    management: Vec<Subnet>,
}

impl OwnAddresses {
    const fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.management.is_empty()
    }
}

fn own_addresses(
    shared: &raw::Items<String>,
    management: &raw::Items<String>,
    path: &Path,
    findings: &mut Findings,
) -> Option<OwnAddresses> {
    let (shared_path, path) = (path.key("addresses"), path.key("management"));
    let shared = addresses(shared, &shared_path, findings);
    let management = addresses(management, &path, findings);
    let (shared, management) = (shared?, management?);
    let twice = |own: &Subnet| shared.iter().any(|shared| shared.address == own.address);
    if let Some(k) = management.iter().position(twice) {
        let message = format!("`{}` is among `addresses` too", management[k].address);
        let hint = "those of `addresses` are the same on all nodes, those of `management` are not".to_owned();
        findings.error(Target::Value(path.item(k)), message, hint);
        return None;
    }
    Some(OwnAddresses { shared, management })
}

const fn reverse(raw: raw::ReversePath) -> ReversePath {
    match raw {
        raw::ReversePath::Off => ReversePath::Off,
        raw::ReversePath::Loose => ReversePath::Loose,
        raw::ReversePath::Strict => ReversePath::Strict,
    }
}

pub(super) fn cluster_mac(text: &str, path: &Path, findings: &mut Findings) -> Option<MacAddr> {
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
            "a host has neither the network's first address nor its last, nor a group's or a loopback one"
                .to_owned(),
        ),
        Err(_) => (
            format!("`{text}` is not an address with a prefix length"),
            "for example `192.0.2.1/24` or `2001:db8::1/64`".to_owned(),
        ),
    };
    findings.error(Target::Value(path.clone()), message, hint);
    None
}

pub(super) fn is_host(subnet: Subnet) -> bool {
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

/// The network of an interface whose first or last address this is: its own, or that for all its hosts.
pub(super) fn network_that_ends_with(address: IpAddr, all: &[NamedInterface]) -> Option<Subnet> {
    let networks = all.iter().flat_map(|named| &named.interface.addresses);
    let mut beside = networks.filter(|own| own.contains(address) && address.is_ipv4());
    beside.find(|own| !is_host(Subnet { address, prefix_len: own.prefix_len })).map(|own| own.network())
}

/// Whether two interfaces have an address, or the same network, in common; says so.
fn overlap(all: &[NamedInterface], path: &Path, findings: &mut Findings) -> bool {
    for (i, one) in all.iter().enumerate() {
        for (k, a) in one.interface.addresses.iter().enumerate().filter(|(_, a)| !is_link_local(a.address)) {
            let meets = |b: &Subnet| a.contains(b.address) || b.contains(a.address);
            let Some(other) = all[..i].iter().find(|other| other.interface.addresses.iter().any(meets))
            else {
                continue;
            };
            let port = path.item(one.interface.port.index());
            let interface = match one.interface.vlan {
                None => port,
                Some(_) => port.key("vlans").item(vlans_before(all, i)),
            };
            let message = format!("`{}` is in a network of `{}` too", a.address, other.name);
            let hint = "each network is behind one interface".to_owned();
            let shared = one.interface.addresses.len() - one.interface.management.len();
            let place = match k.checked_sub(shared) {
                None => interface.key("addresses").item(k),
                Some(k) => interface.key("management").item(k),
            };
            findings.error(Target::Value(place), message, hint);
            return true;
        }
    }
    false
}

/// How many VLANs the port of interface `i` has before it.
fn vlans_before(all: &[NamedInterface], i: usize) -> usize {
    let port = all[i].interface.port;
    let before = all[..i].iter().map(|other| &other.interface);
    before.filter(|other| other.port == port && other.vlan.is_some()).count()
}
