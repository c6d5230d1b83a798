//! What a router has to do with services: which packets to its own addresses are theirs, and how packets get to a server.

use super::Router;
use super::router::{Ends, Link};
use super::service::Services;
use crate::classify::Facts;
use crate::config::service::Place;
use crate::counters::{DropReason, PuntReason, Verdict};
use crate::key::{Address, Family, FlowKey};
use crate::parse::{Class, Parsed};
use crate::port::Frame;
use crate::units::{Mark, PortId, Tick, VlanId};
use crate::wire::IpProtocol;
use std::sync::Arc;

impl Router {
    /// The same with services.
    #[must_use]
    pub fn with_services(mut self, services: Arc<Services>) -> Self {
        self.services = Some(services);
        self
    }

    /// Its services, if it has any.
    #[inline]
    pub fn services(&self) -> Option<&Services> {
        self.services.as_deref()
    }

    /// Whether servers have this address as well.
    #[inline]
    pub(super) fn is_shared(&self, address: Address, family: Family) -> bool {
        self.services.as_ref().is_some_and(|services| services.shares(address.ip(family)))
    }

    /// Whether a packet to the gateway itself is a service's. Of what cannot be told before it is tracked, all is: of
    /// fragments, and of errors about packets that servers have sent.
    pub(super) fn is_served(&self, ends: Ends, parsed: &Parsed, port: PortId, vlan: Option<VlanId>) -> bool {
        let Some(services) = &self.services else { return false };
        if !services.shares(ends.destination.ip(ends.family)) {
            return false;
        }
        match parsed.class {
            Class::Fragment | Class::IcmpError => true,
            Class::Flow(_) => services.claims(&facts(parsed, port, vlan)).1,
            _ => false,
        }
    }

    /// Sends a packet of the flow `key` to a server that has the packet's address as well.
    #[inline(never)]
    pub fn forward_to<F: Frame>(&self, place: Place, frame: &mut F, key: &FlowKey, now: Tick) -> Verdict {
        let Some((_, link)) = Link::read(frame.bytes()) else { return Verdict::Drop(DropReason::Runt) };
        let Some(ends) = Ends::read(frame.bytes(), link) else { return Verdict::Drop(DropReason::NonIp) };
        let adjacency = match place {
            Place::Address(address) => {
                let (family, address) = (Family::of(address), Address::from_ip(address));
                let way = self.way(self.fib.find(family, address), key);
                self.adjacencies.find(way, family, address)
            }
            Place::Mac(interface, mac) => self.adjacencies.beside(interface, mac),
        };
        if ends.hops_left <= 1 {
            return Verdict::Punt(PuntReason::TimeExceeded);
        }
        let Some(adjacency) = adjacency else { return Verdict::Drop(DropReason::ServerUnresolved) };
        self.leave(frame, link, ends, &adjacency, now)
    }
}

/// The VLAN of a frame.
pub fn vlan_of(frame: &[u8]) -> Option<VlanId> {
    Link::read(frame)?.1.vlan
}

/// What rules look at in a packet that opens a flow, before it has a mark.
pub fn facts(parsed: &Parsed, port: PortId, vlan: Option<VlanId>) -> Facts {
    let (key, side) = (&parsed.key, parsed.side);
    let (from, to) = (key.endpoint(side), key.endpoint(side.opposite()));
    Facts {
        family: key.family(),
        source: from.address,
        destination: to.address,
        protocol: IpProtocol(key.protocol()),
        ports: (from.port, to.port),
        port,
        vlan,
        mark: Mark::default(),
    }
}
