//! What control has learned about neighbours: the frame that takes a packet to each of them.
//!
//! It belongs to the [`Fib`] that it was compiled with, whose next hops it has by their ids, and is made anew when a
//! neighbour or an interface changes. It resolves nothing: who is not known is for control to find.
//!
//! Nothing in it changes but one mark a neighbour: that packets went to it since control last asked. All workers share
//! the mark and look at it for each packet, beside the MAC address that they read anyway; only the first of them writes.
//! Routers that are next hops have none: control keeps asking for them, used or not.

use super::{Choice, Fib, Found, Hop, HopId, Way};
use crate::config::Routing;
use crate::config::route::Interface;
use crate::key::{Address, Family};
use crate::rewrite::mac::Macs;
use crate::units::{InterfaceId, PortId, VlanId};
use crate::wire::{MacAddr, ethernet};
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, Ordering};
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

/// What of an [`Adjacency`] without a tag is in the frames that leave by it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(16))]
pub(in crate::steer) struct Rewrite {
    pub(in crate::steer) macs: Macs,
    /// Largest IP packet in bytes; 0 if none leaves.
    mtu: u16,
    pub(in crate::steer) port: PortId,
}

impl Rewrite {
    /// `None` if it has a tag.
    pub(in crate::steer) fn of(adjacency: Adjacency) -> Option<Self> {
        let Adjacency { interface: _, port, vlan, source, destination, mtu } = adjacency;
        vlan.is_none().then_some(Self { macs: Macs::new(destination, source), mtu, port })
    }

    /// Whether an IP packet that ends so many bytes from the frame's first leaves.
    #[inline(always)]
    pub(in crate::steer) fn takes(&self, end: usize) -> bool {
        end <= ethernet::HEADER_LEN + usize::from(self.mtu)
    }
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

/// A neighbour's MAC address, and whether packets went there since control last asked.
#[derive(Debug)]
struct Known {
    mac: MacAddr,
    used: AtomicBool,
}

impl Known {
    /// Marks it, and writes only where it is not marked yet: a line that nobody writes stays in all caches.
    #[inline]
    fn mark(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

/// All neighbours that are known.
#[derive(Debug, Default)]
pub struct Adjacencies {
    /// By [`InterfaceId`]: how packets leave there, but for their destination; `None` while it is down.
    interfaces: Vec<Option<Adjacency>>,
    /// By [`HopId`].
    hops: Vec<Option<Adjacency>>,
    /// By [`Found`]: how all packets leave, where one router takes them; otherwise none does.
    rewrites: Vec<Rewrite>,
    neighbours: HashMap<Place, Known>,
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
        let neighbours = neighbours.into_iter().map(|Neighbour { interface, address, mac }| {
            (place(interface, address), Known { mac, used: AtomicBool::new(false) })
        });
        let mut adjacencies = Self {
            interfaces: routing.interface_ids().map(leaving).collect(),
            hops: Vec::new(),
            rewrites: Vec::new(),
            neighbours: neighbours.collect(),
        };
        let hop = |hop: &Hop| Some(adjacencies.neighbour(&place(hop.interface, hop.gateway))?.0);
        let hops = fib.hops().iter().map(hop);
        adjacencies.hops = hops.collect();
        let rewrite = |choice: &Choice| match *choice {
            Choice::One(Way::Gateway(hop)) => Rewrite::of(adjacencies.hop(hop)?),
            _ => None,
        };
        let of_choices = fib.choices.iter().map(|choice| rewrite(choice).unwrap_or_default());
        let of_hops = adjacencies.hops.iter().map(|hop| hop.and_then(Rewrite::of).unwrap_or_default());
        adjacencies.rewrites = of_choices.chain(of_hops).collect();
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

    /// How packets to this host leave; it counts as used.
    #[inline]
    pub fn on_link(&self, interface: InterfaceId, family: Family, destination: Address) -> Option<Adjacency> {
        let (adjacency, known) = self.neighbour(&(interface, family, destination))?;
        known.mark();
        Some(adjacency)
    }

    /// The MAC address of a host. It does not count as used.
    pub fn mac_of(&self, interface: InterfaceId, address: IpAddr) -> Option<MacAddr> {
        self.neighbour(&place(interface, address)).map(|(adjacency, _)| adjacency.destination)
    }

    /// How packets to a station that has no address leave.
    #[inline]
    pub fn beside(&self, interface: InterfaceId, mac: MacAddr) -> Option<Adjacency> {
        let leaving = (*self.interfaces.get(interface.index())?)?;
        Some(Adjacency { destination: mac, ..leaving })
    }

    /// How packets to what was found leave, if one router takes all of them.
    #[inline(always)]
    pub(in crate::steer) fn rewrite(&self, found: Found) -> &Rewrite {
        &self.rewrites[found.0 as usize]
    }

    /// The hosts that packets went to since this was last asked. Routers that are next hops are not among them, unless
    /// packets went to them as hosts.
    pub fn take_used(&self) -> impl Iterator<Item = (InterfaceId, IpAddr)> {
        let used = self.neighbours.iter().filter(|(_, known)| {
            known.used.load(Ordering::Relaxed) && known.used.swap(false, Ordering::Relaxed)
        });
        used.map(|((interface, family, address), _)| (*interface, address.ip(*family)))
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
    fn neighbour(&self, place: &Place) -> Option<(Adjacency, &Known)> {
        let leaving = (*self.interfaces.get(place.0.index())?)?;
        let known = self.neighbours.get(place)?;
        Some((Adjacency { destination: known.mac, ..leaving }, known))
    }
}

fn place(interface: InterfaceId, address: IpAddr) -> Place {
    (interface, Family::of(address), Address::from_ip(address))
}
