//! What `marks`, `services` and `pools` are checked against: the ports and networks of the gateway.

use super::interfaces::network_that_ends_with;
use super::routes::{interface, station};
use crate::config::finding::{Findings, Target};
use crate::config::network::{NamedInterface, Network, interface_towards};
use crate::config::path::Path;
use crate::config::{gateway, raw, words};
use crate::network::addresses::is_link_local;
use core::net::IpAddr;
use weir_dataplane::config::route::Target as Fate;
use weir_dataplane::config::service::{Method, Place};
use weir_dataplane::units::{InterfaceId, PortId};
use weir_dataplane::wire::MacAddr;

/// The gateway around them.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Surroundings<'a> {
    /// The names of its ports, in order.
    pub(in crate::config) ports: &'a [Option<String>],
    /// Its networks; `None` if something is wrong with them.
    pub(in crate::config) network: Option<&'a Network>,
}

impl Surroundings<'_> {
    /// Its interfaces, as far as they are known.
    pub(super) fn interfaces(&self) -> &[NamedInterface] {
        self.network.map_or(&[], Network::interfaces)
    }

    /// The port of this name.
    pub(super) fn port(&self, name: &str, path: &Path, findings: &mut Findings) -> Option<PortId> {
        let position = self.ports.iter().position(|known| known.as_deref() == Some(name));
        if position.is_none() {
            let known: Vec<&str> = self.ports.iter().flatten().map(String::as_str).collect();
            let hint = match words::closest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!(
                    "the ports are {}; the number of a TCP or UDP port is a `destination_port`",
                    known.join(", ")
                ),
            };
            findings.error(Target::Value(path.clone()), format!("there is no port `{name}`"), hint);
        }
        PortId::new(position?)
    }

    /// Name and address of a server or a node that no file has.
    pub(in crate::config) fn addition(
        &self,
        of: &str,
        text: &str,
        address: IpAddr,
        path: &Path,
        findings: &mut Findings,
    ) {
        name(text, of, path, findings);
        self.address(&address.to_string(), path, findings);
    }

    /// Where a server or a node is.
    pub(super) fn place(&self, raw: &raw::Place, path: &Path, findings: &mut Findings) -> Option<Place> {
        let excludes = [("mac", raw.mac.is_some()), ("dev", raw.dev.is_some() && raw.mac.is_none())];
        match (&raw.address, &raw.mac) {
            (Some(_), _) if excludes.iter().any(|(_, said)| *said) => {
                let key = if raw.mac.is_some() { "mac" } else { "dev" };
                let message = format!("`address` and `{key}` exclude each other");
                let hint = "an `address` is found as any next hop is; `mac` and `dev` are for what has none";
                findings.error(Target::Key(path.key(key)), message, hint.to_owned());
                None
            }
            (Some(text), None) => self.address(text, &path.key("address"), findings).map(Place::Address),
            (None, Some(text)) => self.mac(text, raw.dev.as_deref(), path, findings),
            (None, None) => {
                let message = "`address` is missing".to_owned();
                let hint = "for example `address: 10.0.0.2`; or `mac` and `dev`".to_owned();
                findings.error(Target::Value(path.clone()), message, hint);
                None
            }
            (Some(_), Some(_)) => None,
        }
    }

    fn address(&self, text: &str, path: &Path, findings: &mut Findings) -> Option<IpAddr> {
        let address = station(text, self.interfaces(), path, findings)?;
        if is_link_local(address) {
            let message = format!("`{address}` may be behind any interface");
            let hint = "give an address that is not link-local, or `mac` and `dev`".to_owned();
            findings.error(Target::Value(path.clone()), message, hint);
            return None;
        }
        self.warn_of_network_end(address, path, findings);
        Some(address)
    }

    /// Warns of an address that no host has, since it is the first or last of its network.
    pub(super) fn warn_of_network_end(&self, address: IpAddr, path: &Path, findings: &mut Findings) {
        if let Some(network) = network_that_ends_with(address, self.interfaces()) {
            let message =
                format!("`{address}` is the first or last address of {network}, which no host can have");
            findings.warning(Target::Value(path.clone()), message, "another address".to_owned());
        }
    }

    fn mac(&self, text: &str, dev: Option<&str>, path: &Path, findings: &mut Findings) -> Option<Place> {
        let mac = gateway::MacAddr::parse(text).filter(|mac| mac.octets() != [0; 6]);
        if mac.is_none() {
            let message = format!("`{text}` is not the MAC address of a station");
            let hint = "for example `02:00:00:00:00:02`".to_owned();
            findings.error(Target::Value(path.key("mac")), message, hint);
        }
        let interface = match dev {
            Some(name) if self.network.is_some() => {
                interface(name, self.interfaces(), &path.key("dev"), findings)
            }
            Some(_) => None,
            None => {
                let example = self.interfaces().first().map_or("lan", NamedInterface::name);
                let message = "`dev` is missing".to_owned();
                let hint = format!("the interface that the MAC address is at; for example `dev: {example}`");
                findings.error(Target::Value(path.clone()), message, hint);
                None
            }
        };
        Some(Place::Mac(interface?, MacAddr(mac?.octets())))
    }

    /// Warns of a place that packets will not get to; what the kernel's routes may add is not known.
    pub(super) fn reaches(&self, place: Place, method: Method, path: &Path, findings: &mut Findings) {
        let (Place::Address(address), Some(network)) = (place, self.network) else { return };
        if network.kernel().routes || self.beside(address).is_some() {
            return;
        }
        let is_routed = |is_beside: bool| {
            network.routes().iter().filter(|route| route.to.contains(address)).any(|route| {
                match &route.target {
                    Fate::Via(hops) => !is_beside || hops.iter().any(|hop| hop.gateway.is_none()),
                    Fate::Blackhole | Fate::Unreachable => false,
                }
            })
        };
        let (message, hint) = match method {
            Method::Direct if is_routed(true) => return,
            Method::Direct => (
                format!("`{address}` is in no network of a port: direct routing does not get there"),
                "give a port an address in its network, or say `method: ipip`",
            ),
            Method::Ipip if is_routed(false) => return,
            Method::Ipip => (format!("there is no route to `{address}`"), "add one to `routes`"),
        };
        findings.warning(Target::Value(path.key("address")), message, hint.to_owned());
    }

    /// The interface that has a network with this address.
    pub(super) fn beside(&self, address: IpAddr) -> Option<InterfaceId> {
        interface_towards(self.interfaces(), address)
    }
}

/// Whether a name is one; says so if not.
pub(super) fn name<'a>(text: &'a str, of: &str, path: &Path, findings: &mut Findings) -> Option<&'a str> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fine =
        text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(letters);
    if fine {
        return Some(text);
    }
    let message = format!("`{text}` cannot be the name of a {of}");
    let hint = "a letter, then letters, digits, `_`, `-` and `.`, 63 at most".to_owned();
    findings.error(Target::Value(path.clone()), message, hint);
    None
}
