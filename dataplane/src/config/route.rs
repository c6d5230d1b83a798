//! Routing: the interfaces on which the gateway has addresses, and the way to everywhere else.

use crate::counters::named_enum;
use crate::subnet::Subnet;
use crate::units::{InterfaceId, PortId, VlanId};
use crate::wire::MacAddr;
use core::net::IpAddr;
use core::num::NonZeroU8;

/// What a router knows of the world.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// The interfaces; position is [`InterfaceId`].
    pub interfaces: Vec<Interface>,
    /// The ways to networks that no interface is in. Of two for the same network the last one holds.
    pub routes: Vec<Route>,
}

impl Routing {
    /// The interfaces with their ids, in order.
    pub fn interface_ids(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        self.interfaces
            .iter()
            .enumerate()
            .filter_map(|(i, interface)| Some((InterfaceId::new(i)?, interface)))
    }
}

/// An IP interface: a port, or one VLAN of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The port.
    pub port: PortId,
    /// The VLAN; `None`: frames without a tag.
    pub vlan: Option<VlanId>,
    /// What its addresses are answered with, and what frames for it are addressed to: the cluster's MAC address where
    /// there is one, and then it may be a group's.
    pub mac: MacAddr,
    /// What its frames come from: the port's own MAC address.
    pub source_mac: MacAddr,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// Its addresses, each with the length of the network that it is in.
    pub addresses: Vec<Subnet>,
    /// Those of its addresses that are this node's alone, whatever cluster it is in. They are answered with `source_mac`.
    pub management: Vec<IpAddr>,
    /// Those of its addresses that have a MAC address of their own, and that the gate of VIPs shares out.
    pub vips: Vec<VipAddress>,
    /// The kernel has a tap here: it takes what is for the gateway itself, and for groups of the link.
    pub tapped: bool,
    /// Which sources it believes.
    pub reverse_path: ReversePath,
}

impl Interface {
    /// Whether the kernel, or control, takes part in what is for the gateway itself.
    pub fn has_host(&self) -> bool {
        self.tapped || !self.management.is_empty() || !self.vips.is_empty()
    }

    /// What one of its addresses is announced with.
    pub fn mac_of(&self, address: IpAddr) -> MacAddr {
        let vip = self.vips.iter().find(|vip| vip.address == address);
        match vip {
            Some(vip) => vip.mac,
            None if self.management.contains(&address) => self.source_mac,
            None => self.mac,
        }
    }
}

/// An address that several nodes have, as the network sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipAddress {
    /// The address.
    pub address: IpAddr,
    /// What it is answered with, and what frames for it are addressed to, on all nodes alike.
    pub mac: MacAddr,
}

named_enum! {
    /// Which source addresses an interface believes (RFC 3704). Linux's `rp_filter`.
    pub enum ReversePath {
        /// Any that can be a source at all.
        Off = "off",
        /// Those that there is a route to.
        Loose = "loose",
        /// Those whose route leads back by the same interface.
        Strict = "strict",
    }
}

/// A way to a network.
#[derive(Clone, Debug)]
pub struct Route {
    /// The network.
    pub to: Subnet,
    /// What becomes of packets to it.
    pub target: Target,
}

/// What becomes of packets to a network.
#[derive(Clone, Debug)]
pub enum Target {
    /// They are sent on to one of these; each flow keeps to one. Never empty.
    Via(Vec<NextHop>),
    /// They end here.
    Blackhole,
    /// They end here, and the sender is told.
    Unreachable,
}

/// A way to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// By which interface.
    pub interface: InterfaceId,
    /// To which router; `None`: the destination itself is there.
    pub gateway: Option<IpAddr>,
    /// Its share of the flows, beside those of the others.
    pub weight: NonZeroU8,
}
