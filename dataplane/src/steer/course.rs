//! What control and traces ask of a router: where frames came in, and where they go. Nothing here touches a frame.

use super::Router;
use super::head::{Ends, Link};
use super::route::{Adjacency, Hop, Way};
use super::router::FLOW_SECRET;
use crate::config::service::Place;
use crate::key::{Address, Family, FlowKey};
use crate::units::{InterfaceId, PortId};
use crate::wire::EtherType;
use core::net::IpAddr;

/// Where a frame came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The interface.
    pub interface: InterfaceId,
    /// Where IP begins in the frame.
    pub ip_at: usize,
}

/// Where the tables send a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// What becomes of it.
    pub way: Way,
    /// The router that takes it from here, if one does.
    pub hop: Option<Hop>,
    /// How it leaves; `None`: it does not, or the MAC address of who is next is not known.
    pub adjacency: Option<Adjacency>,
}

impl Router {
    /// Where a frame came in.
    pub fn arrival(&self, frame: &[u8], port: PortId) -> Option<Arrival> {
        let (_, link) = Link::read(frame)?;
        let interface = self.doors[port.index()].interface(link.vlan)?;
        Some(Arrival { interface, ip_at: link.at })
    }

    /// To whom a frame goes next, of the flow `key`, if anywhere but to the gateway.
    pub fn next_hop_of(&self, frame: &[u8], key: &FlowKey) -> Option<(InterfaceId, IpAddr)> {
        let (_, link) = Link::read(frame)?;
        self.hop(Ends::read(frame, link)?, key)
    }

    /// To whom an IP packet of the gateway's own goes next.
    pub fn next_hop(&self, packet: &[u8]) -> Option<(InterfaceId, IpAddr)> {
        let ethertype = match packet.first()? >> 4 {
            4 => EtherType::IPV4,
            _ => EtherType::IPV6,
        };
        let link = Link { vlan: None, tagged: false, ethertype, at: 0 };
        self.hop(Ends::read(packet, link)?, &FlowKey::NONE)
    }

    /// Where a packet of the flow `key` to `destination` is sent.
    pub fn course(&self, family: Family, destination: Address, key: &FlowKey) -> Course {
        let way = self.fib.lookup(family, destination, || key.hash(FLOW_SECRET), &self.adjacencies);
        let hop = match way {
            Way::Gateway(hop) => self.fib.hops().get(hop.index()).copied(),
            _ => None,
        };
        Course { way, hop, adjacency: self.adjacencies.find(way, family, destination) }
    }

    /// Where a packet of the flow `key` to a server is sent.
    pub fn course_to(&self, place: Place, key: &FlowKey) -> Course {
        match place {
            Place::Address(server) => self.course(Family::of(server), Address::from_ip(server), key),
            Place::Mac(at, mac) => {
                Course { way: Way::OnLink(at), hop: None, adjacency: self.adjacencies.beside(at, mac) }
            }
        }
    }

    /// Bytes of an IP packet that fit where a frame goes, as long as its next hop is known.
    pub fn mtu_towards(&self, frame: &[u8], key: &FlowKey) -> Option<u16> {
        let (_, link) = Link::read(frame)?;
        let ends = Ends::read(frame, link)?;
        let way = self.way(self.fib.find(ends.family, ends.destination), key);
        self.adjacencies.find(way, ends.family, ends.destination).map(|adjacency| adjacency.mtu)
    }

    fn hop(&self, ends: Ends, key: &FlowKey) -> Option<(InterfaceId, IpAddr)> {
        match self.way(self.fib.find(ends.family, ends.destination), key) {
            Way::Gateway(hop) => self.fib.hops().get(hop.index()).map(|hop| (hop.interface, hop.gateway)),
            Way::OnLink(interface) => Some((interface, ends.destination.ip(ends.family))),
            _ => None,
        }
    }
}
