//! What control has learned about neighbours: the frame that takes a packet to each of them.
//!
//! Immutable. It belongs to the [`Fib`] that it was compiled with, whose next hops it has by their ids, and is made anew
//! when a neighbour or an interface changes. It resolves nothing: who is not known is for control to find.

use super::{Fib, HopId, Way};
use crate::config::Routing;
use crate::config::route::Interface;
use crate::key::{Address, Family};
use crate::units::{InterfaceId, PortId, VlanId};
use crate::wire::MacAddr;
use core::net::IpAddr;
use hashbrown::HashMap;

/// How a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adjacency {
    /// By which interface,
    pub interface: InterfaceId,
    /// which is on this port,
    pub port: PortId,
    /// with this tag.
    pub vlan: Option<VlanId>,
    /// From which MAC address.
    pub source: MacAddr,
    /// To which.
    pub destination: MacAddr,
    /// Largest IP packet in bytes.
    pub mtu: u16,
}

/// A host or router whose MAC address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The interface that it is at.
    pub interface: InterfaceId,
    /// Its address there.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddr,
}

type Place = (InterfaceId, Family, Address);

/// All neighbours that are known.
#[derive(Clone, Debug, Default)]
pub struct Adjacencies {
    /// By [`InterfaceId`]: how packets leave there, but for their destination; `None` while it is down.
    interfaces: Vec<Option<Adjacency>>,
    /// By [`HopId`].
    hops: Vec<Option<Adjacency>>,
    neighbours: HashMap<Place, MacAddr>,
}

impl Adjacencies {
    /// What is known to these tables. Interfaces that are not up lead nowhere, whoever is known there.
    pub fn compile(
        routing: &Routing,
        fib: &Fib,
        is_up: impl Fn(InterfaceId) -> bool,
        neighbours: impl IntoIterator<Item = Neighbour>,
    ) -> Self {
        let leaving = |(interface, of): (InterfaceId, &Interface)| {
            is_up(interface).then_some(Adjacency {
                interface,
                port: of.port,
                vlan: of.vlan,
                source: of.source_mac,
                destination: MacAddr::default(),
                mtu: of.mtu,
            })
        };
        let neighbours =
            neighbours.into_iter().map(|known| (place(known.interface, known.address), known.mac));
        let mut adjacencies = Self {
            interfaces: routing.interface_ids().map(leaving).collect(),
            hops: Vec::new(),
            neighbours: neighbours.collect(),
        };
        let hops = fib.hops().iter().map(|hop| adjacencies.neighbour(place(hop.interface, hop.gateway)));
        adjacencies.hops = hops.collect();
        adjacencies
    }

    /// How a packet to `destination` leaves by this way. `None` if it is not forwarded, and if who is next must be
    /// resolved first.
    #[inline]
    pub fn find(&self, way: Way, family: Family, destination: Address) -> Option<Adjacency> {
        match way {
            Way::Gateway(hop) => self.hop(hop),
            Way::OnLink(interface) => self.on_link(interface, family, destination),
            _ => None,
        }
    }

    /// How packets to this router leave.
    #[inline]
    pub fn hop(&self, hop: HopId) -> Option<Adjacency> {
        *self.hops.get(hop.index())?
    }

    /// How packets to this host leave.
    #[inline]
    pub fn on_link(&self, interface: InterfaceId, family: Family, destination: Address) -> Option<Adjacency> {
        self.neighbour((interface, family, destination))
    }

    /// Whether packets may go this way: to a router whose MAC address is known, by an interface that is up.
    #[inline]
    pub fn is_alive(&self, way: Way) -> bool {
        match way {
            Way::Gateway(hop) => self.hops.get(hop.index()).is_some_and(Option::is_some),
            Way::OnLink(interface) => self.interfaces.get(interface.index()).is_some_and(Option::is_some),
            _ => false,
        }
    }

    #[inline]
    fn neighbour(&self, place: Place) -> Option<Adjacency> {
        let leaving = (*self.interfaces.get(place.0.index())?)?;
        let destination = *self.neighbours.get(&place)?;
        Some(Adjacency { destination, ..leaving })
    }
}

fn place(interface: InterfaceId, address: IpAddr) -> Place {
    (interface, Family::of(address), Address::from_ip(address))
}
