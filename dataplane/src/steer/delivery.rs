//! What a router has to do with services: which packets to its own addresses are theirs, and how packets get to a server.

use super::Router;
use super::head::{Ends, Link};
use super::route::{Adjacency, Rewrite};
use super::service::{Services, Target};
use crate::classify::Facts;
use crate::config::service::{Method, Place};
use crate::counters::{DropReason, PuntReason, Verdict};
use crate::key::{Address, Family, FlowKey};
use crate::parse::{Class, Parsed, Transport};
use crate::port::Frame;
use crate::rewrite::mac::Macs;
use crate::rewrite::tunnel::{self, Tunnel};
use crate::rewrite::{mac, ttl, vlan};
use crate::units::{Mark, PortId, ServerId, Tick, VlanId};
use crate::wire::{IpProtocol, ipv4, ipv6};
use core::net::IpAddr;
use std::sync::Arc;

/// By server: how packets to it leave, where that depends on nothing else.
#[derive(Clone, Debug, Default)]
pub(super) struct Deliveries(Arc<[Rewrite]>);

impl Deliveries {
    fn compile(router: &Router) -> Self {
        let targets = router.services().map(Services::targets).unwrap_or_default().iter();
        let rewrite = |target: &Option<Target>| target.as_ref().and_then(|target| router.delivery(target));
        Self(targets.map(|target| rewrite(target).unwrap_or_default()).collect())
    }

    /// It takes no packet where nothing is known.
    #[inline(always)]
    pub(super) fn of(&self, server: ServerId) -> Option<&Rewrite> {
        self.0.get(server.index())
    }
}

impl Router {
    /// The same with services.
    #[must_use]
    pub fn with_services(mut self, services: Arc<Services>) -> Self {
        self.services = Some(services);
        self.with_servers()
    }

    /// The same with what is known of where servers are, and how packets to them leave.
    #[must_use]
    pub(super) fn with_servers(mut self) -> Self {
        self.deliveries = Deliveries::compile(&self);
        self.with_stations()
    }

    /// How all packets to a server leave; `None`: as [`Router::forward_to`] says of each.
    fn delivery(&self, target: &Target) -> Option<Rewrite> {
        let adjacency = match (target.method, target.place) {
            (Method::Direct, Place::Mac(interface, mac)) => self.adjacencies.beside(interface, mac)?,
            (Method::Direct, Place::Address(address)) => {
                let (family, address) = (Family::of(address), Address::from_ip(address));
                let &[way] = self.fib.ways(family, address) else { return None };
                self.adjacencies.find(way, family, address)?
            }
            (Method::Ipip, _) => return None,
        };
        Rewrite::of(adjacency)
    }

    /// Has these services from now on, or none.
    pub fn serve(&mut self, services: Option<Arc<Services>>) {
        self.services = services;
        self.deliveries = Deliveries::compile(self);
    }

    /// Its services, if it has any.
    #[inline]
    pub fn services(&self) -> Option<&Services> {
        self.services.as_deref()
    }

    /// Whether servers have this address as well.
    #[inline]
    pub(super) fn is_shared(&self, address: Address, family: Family) -> bool {
        self.services.as_ref().is_some_and(|services| services.shares(family, address))
    }

    /// Whether a packet to the gateway itself may be a service's: only the flow that it belongs to tells. What is none's is
    /// left to control after it has been tracked ([`Router::is_own`]).
    pub(super) fn is_served(&self, ends: Ends, parsed: &Parsed) -> bool {
        let with_ports = |transport| matches!(transport, Transport::Tcp | Transport::Udp | Transport::Sctp);
        let may_be = match parsed.class {
            Class::Fragment | Class::IcmpError => true,
            Class::Flow(transport) => with_ports(transport),
            _ => false,
        };
        may_be && self.is_shared(ends.destination, ends.family)
    }

    /// Whether a frame is to the gateway itself, by an address that servers have as well.
    pub fn is_own(&self, frame: &[u8]) -> bool {
        let ends = Link::read(frame).and_then(|(_, link)| Ends::read(frame, link));
        ends.is_some_and(|ends| self.is_shared(ends.destination, ends.family) && self.is_local(ends))
    }

    /// Sends a packet of the flow `key` to a server.
    #[inline(never)]
    pub fn forward_to<F: Frame>(&self, target: &Target, frame: &mut F, key: &FlowKey, now: Tick) -> Verdict {
        let Some((_, link)) = Link::read(frame.bytes()) else { return Verdict::Drop(DropReason::Runt) };
        let Some(ends) = Ends::read(frame.bytes(), link) else { return Verdict::Drop(DropReason::NonIp) };
        if ends.hops_left <= 1 {
            return Verdict::Punt(PuntReason::TimeExceeded);
        }
        let Some(adjacency) = self.adjacency_of(target, key) else {
            return Verdict::Drop(DropReason::ServerUnresolved);
        };
        match target.method {
            Method::Direct => self.leave(frame, link, ends, &adjacency, now),
            Method::Ipip => self.tunnel(target, frame, (link, ends), &adjacency),
        }
    }

    /// Sends a packet inside another one, if it fits. One that does not, and may be fragmented, is left to control as it
    /// is inside the other one, which the parts are of (RFC 2003 5.1).
    fn tunnel<F: Frame>(
        &self,
        target: &Target,
        frame: &mut F,
        (link, ends): (Link, Ends),
        adjacency: &Adjacency,
    ) -> Verdict {
        let to = target.place.address();
        let source = self.source_of(adjacency.interface, Family::of(to));
        let Some(tunnel) = source.and_then(|source| Tunnel::new(source, to)) else {
            return Verdict::Drop(DropReason::ServerUnresolved);
        };
        let fits = ends.len + tunnel.overhead() <= usize::from(adjacency.mtu);
        if !fits && !tunnel.lets_fragment(&frame.bytes()[link.at..]) {
            return Verdict::Punt(PuntReason::TooBig);
        }
        let hop = match ends.family {
            Family::V4 => ttl::decrement_ipv4(frame.bytes_mut(), link.at),
            Family::V6 => ttl::decrement_ipv6(frame.bytes_mut(), link.at),
        };
        if hop.is_err() {
            return Verdict::Punt(PuntReason::TimeExceeded);
        }
        if tunnel::encapsulate(frame, link.at, tunnel).is_err() {
            return Verdict::Drop(DropReason::TxFull);
        }
        if !fits {
            return Verdict::Punt(PuntReason::TunnelTooBig);
        }
        if vlan::retag(frame, link.at, adjacency.vlan).is_err() {
            return Verdict::Drop(DropReason::TxFull);
        }
        mac::write(frame.bytes_mut(), Macs::new(adjacency.destination, adjacency.source));
        Verdict::Forward(adjacency.port)
    }

    /// How packets to a server leave, if its MAC address is known.
    fn adjacency_of(&self, target: &Target, key: &FlowKey) -> Option<Adjacency> {
        match target.place {
            Place::Address(address) => {
                let (family, address) = (Family::of(address), Address::from_ip(address));
                let way = self.way(self.fib.find(family, address), key);
                self.adjacencies.find(way, family, address)
            }
            Place::Mac(interface, mac) => self.adjacencies.beside(interface, mac),
        }
    }

    /// Bytes of an IP packet that fit on the way to whichever server of its service gets it; `None`: no service's.
    pub fn served_mtu(&self, frame: &[u8], parsed: &Parsed, port: PortId) -> Option<u16> {
        let (services, vlan) = (self.services()?, vlan_of(frame));
        let room = |id: ServerId| {
            let target = services.target(id)?;
            let overhead = match (target.method, target.place.address()) {
                (Method::Direct, _) => 0,
                (Method::Ipip, IpAddr::V4(_)) => ipv4::HEADER_LEN,
                (Method::Ipip, IpAddr::V6(_)) => ipv6::HEADER_LEN,
            };
            let mtu = self.adjacency_of(target, &parsed.key)?.mtu;
            mtu.checked_sub(u16::try_from(overhead).ok()?)
        };
        services.candidates(&facts(parsed, port, vlan)).filter_map(room).min()
    }
}

/// The VLAN of a frame.
pub fn vlan_of(frame: &[u8]) -> Option<VlanId> {
    Link::read(frame)?.1.vlan
}

/// What rules look at in a packet that opens a flow, before it has a mark.
#[inline]
pub fn facts(parsed: &Parsed, port: PortId, vlan: Option<VlanId>) -> Facts {
    let (key, from, to) = (&parsed.key, parsed.side, parsed.side.opposite());
    Facts {
        family: key.family(),
        source: key.address(from),
        destination: key.address(to),
        protocol: IpProtocol(key.protocol()),
        ports: key.ports(from),
        port,
        vlan,
        mark: Mark::default(),
    }
}
