//! The validated addresses, routes and neighbours of a gateway that routes.

use core::net::IpAddr;
use weir_dataplane::config::route::{Interface, Route, Routing};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{InterfaceId, PortId};
use weir_dataplane::wire::MacAddr;

/// What a gateway that routes knows of the networks around it.
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) interfaces: Vec<NamedInterface>,
    pub(super) routes: Vec<Route>,
    pub(super) neighbours: Vec<StaticNeighbour>,
    pub(super) kernel: Kernel,
}

/// What the kernel of the machine has to do with the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Whether its routes are the gateway's.
    pub routes: bool,
    /// Packets a second that each tap gives it at most.
    pub packets_per_s: u32,
}

/// An interface as the configuration has it: MAC addresses that it does not give are the port's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedInterface {
    pub(super) name: String,
    pub(super) interface: Interface,
    pub(super) cluster_mac: Option<MacAddr>,
}

impl NamedInterface {
    /// Its name: the port's, and behind a dot its VLAN's number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its port, VLAN and addresses; its MAC addresses are not set.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The MAC address that the nodes of a cluster share here.
    pub fn cluster_mac(&self) -> Option<MacAddr> {
        self.cluster_mac
    }
}

/// A station whose MAC address is known for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticNeighbour {
    /// Where it is.
    pub interface: InterfaceId,
    /// Its IP address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddr,
}

impl Network {
    /// The interfaces; position is [`InterfaceId`].
    pub fn interfaces(&self) -> &[NamedInterface] {
        &self.interfaces
    }

    /// The ways to networks that no interface is in.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What the kernel has to do with it.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Stations whose MAC addresses are known for good.
    pub fn neighbours(&self) -> &[StaticNeighbour] {
        &self.neighbours
    }

    /// What the packet path routes by, when the ports have these MAC addresses of their own.
    pub fn routing(&self, mac_of: impl Fn(PortId) -> MacAddr) -> Routing {
        let interfaces = self.interfaces.iter().map(|named| {
            let source_mac = mac_of(named.interface.port);
            let mac = named.cluster_mac.unwrap_or(source_mac);
            Interface { mac, source_mac, ..named.interface.clone() }
        });
        Routing { interfaces: interfaces.collect(), routes: self.routes.clone() }
    }
}

/// The interface that has a network with `address` in it, of several the one with the longest prefix.
pub(super) fn interface_towards(interfaces: &[NamedInterface], address: IpAddr) -> Option<InterfaceId> {
    let networks = interfaces
        .iter()
        .enumerate()
        .flat_map(|(i, named)| named.interface.addresses.iter().map(move |network| (i, network)));
    let around = networks.filter(|(_, network): &(usize, &Subnet)| network.contains(address));
    InterfaceId::new(around.max_by_key(|(_, network)| network.prefix_len)?.0)
}
