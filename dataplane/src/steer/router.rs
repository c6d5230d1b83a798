//! The router: which frames are for it at all, and where those that this node owns go.
//!
//! [`Router::admit`] comes before tracking: what is addressed to another station, or comes from where it cannot, opens
//! no flow. [`Router::forward`] comes after it, for the frames of flows that are this node's. What a router has to say
//! of a packet is said by control: the frame is left to it as it came in.

use super::delivery::Deliveries;
use super::head::{Ends, Link};
use super::plain::mac_bits;
use super::route::reverse_path::{self, Doubt};
use super::route::{Adjacencies, Adjacency, Fib, Found, Way};
use super::service::Services;
use super::stations::Stations;
use crate::config::route::ReversePath;
use crate::config::{self, Routing};
use crate::counters::{DropReason, PuntReason, Verdict};
use crate::key::{Address, Family, FlowKey};
use crate::parse::{Class, Parsed};
use crate::port::Frame;
use crate::rewrite::mac::{self, Macs};
use crate::rewrite::options::{Refusal, Signature, Time};
use crate::rewrite::{options, ttl, vlan};
use crate::units::{InterfaceId, PORTS_MAX, PortId, TICK_MS, Tick, VlanId};
use crate::wire::{EtherType, MacAddr};
use core::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Any number, the same on all nodes of a cluster: whoever inherits a flow sends it the same way.
pub(super) const FLOW_SECRET: u64 = 0x2545_f491_4f6c_dd1d;

/// What a worker routes by: the routes, shared by all snapshots that they are in, and what is known of the neighbours.
#[derive(Clone, Debug)]
pub struct Router {
    /// By port.
    pub(super) doors: Arc<[Door]>,
    /// By port too: what most frames ask of a door.
    pub(super) plain: Arc<[Option<Plain>; PORTS_MAX]>,
    /// The same: [`mac_bits`] of whom they are addressed to; of a port without such, what no address has.
    pub(super) plain_macs: Arc<[u64; PORTS_MAX]>,
    /// By interface.
    interfaces: Arc<[Interface]>,
    /// The IPv4 addresses that options are signed with, by the interface that a packet leaves by.
    signers: Arc<[Ipv4Addr]>,
    /// The addresses that packets of the gateway's own have, by the interface that they leave by: of IPv4, of IPv6.
    sources: Arc<[[Option<IpAddr>; 2]]>,
    /// The VIPs, in order.
    vips: Arc<[IpAddr]>,
    /// All IPv4 addresses of the gateway.
    ours: Arc<[Ipv4Addr]>,
    pub(super) fib: Arc<Fib>,
    pub(super) adjacencies: Arc<Adjacencies>,
    /// Some interface believes those sources only that there is a route to.
    pub(super) looks_up_sources: bool,
    /// What is for the gateway itself is left to control before it is tracked: the kernel's answers pass no worker,
    /// and one direction alone tells the tracker nothing.
    pub(super) has_host: bool,
    pub(super) services: Option<Arc<Services>>,
    pub(super) deliveries: Deliveries,
    /// Where the servers of `services` are.
    pub(super) stations: Arc<Stations>,
}

/// What is to be known of an interface when a packet comes in.
#[derive(Clone, Copy, Debug)]
struct Interface {
    reverse_path: ReversePath,
    tapped: bool,
}

/// The interfaces of one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Door {
    untagged: Option<InterfaceId>,
    /// In order.
    tagged: Vec<(VlanId, InterfaceId)>,
    /// Whom frames for the gateway are addressed to.
    macs: Vec<MacAddr>,
    /// Whom frames for this node alone are addressed to, where that is another.
    node_mac: Option<MacAddr>,
    /// Whom frames for VIPs are addressed to.
    vip_macs: Vec<MacAddr>,
}

/// Whom frames without a tag are addressed to, and what is to be known of where they come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    pub(super) mac: MacAddr,
    pub(super) interface: InterfaceId,
    pub(super) reverse_path: ReversePath,
}

impl Door {
    #[inline]
    pub(super) fn interface(&self, vlan: Option<VlanId>) -> Option<InterfaceId> {
        let Some(vlan) = vlan else { return self.untagged };
        let found = self.tagged.binary_search_by_key(&vlan, |(id, _)| *id).ok()?;
        Some(self.tagged[found].1)
    }
}

/// What a frame that comes in is to the router.
enum Entry {
    /// Sent to it.
    Sent,
    /// Forwarded by another node of the cluster.
    Forwarded,
    /// Sent to a server by another node, perhaps: it may be told from whose flow it is, and no more.
    Overheard,
    /// For control.
    Punt(PuntReason),
    /// Nothing.
    Drop(DropReason),
}

impl Router {
    /// The routes of `routing`, with no neighbour known yet.
    pub fn compile(routing: &Routing) -> Self {
        let mut doors = vec![Door::default(); PORTS_MAX];
        let mut plain = [None; PORTS_MAX];
        for (id, interface) in routing.interface_ids() {
            let door = &mut doors[interface.port.index()];
            match interface.vlan {
                None => {
                    door.untagged = Some(id);
                    let &config::route::Interface { mac, reverse_path, .. } = interface;
                    plain[interface.port.index()] = Some(Plain { mac, interface: id, reverse_path });
                }
                Some(vlan) => door.tagged.push((vlan, id)),
            }
            if !door.macs.contains(&interface.mac) {
                door.macs.push(interface.mac);
            }
            if !interface.management.is_empty() && interface.source_mac != interface.mac {
                door.node_mac = Some(interface.source_mac);
            }
            door.vip_macs.extend(interface.vips.iter().map(|vip| vip.mac));
        }
        doors.iter_mut().for_each(|door| door.tagged.sort_unstable());
        let plain_macs =
            plain.map(|plain: Option<Plain>| plain.map_or(u64::MAX, |plain| mac_bits(plain.mac)));
        let ours: Arc<[Ipv4Addr]> = routing.interfaces.iter().flat_map(ipv4_addresses).collect();
        let any = ours.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let signer = |interface| ipv4_addresses(interface).next().unwrap_or(any);
        let signers = routing.interfaces.iter().map(signer).collect();
        let source = |of: &config::route::Interface| {
            let first = |is_v4: bool| {
                let mut all = of.addresses.iter().map(|own| own.address);
                all.find(|address| address.is_ipv4() == is_v4)
            };
            [first(true), first(false)]
        };
        let sources = routing.interfaces.iter().map(source).collect();
        let interfaces = routing.interfaces.iter();
        let interfaces = interfaces.map(|of| Interface { reverse_path: of.reverse_path, tapped: of.tapped });
        let interfaces = interfaces.collect();
        let has_host = routing.interfaces.iter().any(config::route::Interface::has_host);
        let vips = routing.interfaces.iter().flat_map(|of| &of.vips);
        let mut vips: Vec<IpAddr> = vips.map(|vip| vip.address).collect();
        vips.sort_unstable();
        let fib = Fib::compile(routing);
        let adjacencies = Arc::new(Adjacencies::compile(routing, &fib, |_| true, core::iter::empty()));
        let looks_up_sources = routing.interfaces.iter().any(|of| of.reverse_path != ReversePath::Off);
        let fib = Arc::new(fib);
        Self {
            doors: doors.into(),
            plain: Arc::new(plain),
            plain_macs: Arc::new(plain_macs),
            interfaces,
            signers,
            sources,
            vips: vips.into(),
            ours,
            fib,
            adjacencies,
            looks_up_sources,
            has_host,
            services: None,
            deliveries: Deliveries::default(),
            stations: Arc::default(),
        }
    }

    /// The same with other neighbours.
    #[must_use]
    pub fn with_neighbours(&self, adjacencies: Arc<Adjacencies>) -> Self {
        Self { adjacencies, ..self.clone() }.with_servers()
    }

    /// Whether both were made of one [`Router::compile`]: what came in and where it went holds, whoever the neighbours are.
    pub fn has_routes_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fib, &other.fib)
    }

    /// What is known of the neighbours.
    pub fn adjacencies(&self) -> &Adjacencies {
        &self.adjacencies
    }

    /// The routes.
    pub fn fib(&self) -> &Fib {
        &self.fib
    }

    #[inline]
    pub(super) fn way(&self, found: Found, key: &FlowKey) -> Way {
        self.fib.way(found, || key.hash(FLOW_SECRET), &self.adjacencies)
    }

    /// Says of a frame that was read as `parsed` whether it is for this router; if not, `parsed` says what becomes of it.
    /// With `shadows`, what another router may have forwarded is let pass too: for that the answer is true.
    #[inline(never)]
    pub fn admit(&self, frame: &[u8], port: PortId, shadows: bool, parsed: &mut Parsed) -> bool {
        if matches!(parsed.class, Class::Drop(_)) {
            return false;
        }
        match self.look(frame, port, shadows, parsed) {
            Entry::Sent => return false,
            Entry::Forwarded => return true,
            Entry::Overheard => parsed.class = Class::Drop(DropReason::OtherHost),
            Entry::Punt(reason) => *parsed = Parsed::punt(reason),
            Entry::Drop(reason) => *parsed = Parsed::drop(reason),
        }
        false
    }

    #[inline]
    fn look(&self, frame: &[u8], port: PortId, shadows: bool, parsed: &Parsed) -> Entry {
        let Some((ethernet, link)) = Link::read(frame) else { return Entry::Drop(DropReason::Runt) };
        let door = &self.doors[port.index()];
        let Some(interface) = door.interface(link.vlan) else { return Entry::Drop(DropReason::NoInterface) };
        let destination = ethernet.destination();
        let ours = door.macs.contains(&destination);
        let neighbours = match parsed.class {
            Class::NonIp if link.ethertype == EtherType::ARP => Some(PuntReason::Arp),
            Class::NonIp => return Entry::Drop(DropReason::NonIp),
            Class::Untracked => Some(PuntReason::NeighbourDiscovery),
            _ => None,
        };
        if let Some(reason) = neighbours {
            let is_for_vips = door.vip_macs.contains(&destination);
            let heard = ours || is_for_vips || destination.is_group() || door.node_mac == Some(destination);
            return if heard { Entry::Punt(reason) } else { Entry::Drop(DropReason::OtherHost) };
        }
        let Some(ends) = Ends::read(frame, link) else { return Entry::Drop(DropReason::NonIp) };
        let is_vip = self.is_vip(ends);
        let is_reached = ours
            || is_vip && door.vip_macs.contains(&destination)
            || door.node_mac == Some(destination) && self.is_local(ends);
        if !is_reached {
            return match self.overhear(destination, interface, shadows, ends) {
                Entry::Overheard if !matches!(parsed.class, Class::Flow(_)) => {
                    Entry::Drop(DropReason::OtherHost)
                }
                entry => entry,
            };
        }
        let mode = self.interfaces[interface.index()].reverse_path;
        match reverse_path::check(&self.fib, mode, interface, ends.family, ends.source) {
            Ok(()) => {}
            Err(Doubt::Martian) if self.is_from_beside(ends) || self.is_shared(ends.source, ends.family) => {}
            Err(Doubt::Martian) => return Entry::Drop(DropReason::Martian),
            Err(Doubt::ReversePath) => return Entry::Drop(DropReason::ReversePath),
        }
        if is_vip {
            return Entry::Punt(PuntReason::Vip);
        }
        if self.has_host && self.is_local(ends) && !self.is_served(ends, parsed) {
            return Entry::Punt(PuntReason::Local);
        }
        Entry::Sent
    }

    /// Whether other nodes have some address of it too.
    pub fn has_vips(&self) -> bool {
        !self.vips.is_empty()
    }

    /// Whether it is for an address that other nodes have too. Which of them takes it is the gate's word.
    #[inline]
    fn is_vip(&self, ends: Ends) -> bool {
        self.has_vip(ends.destination, ends.family)
    }

    #[inline]
    fn has_vip(&self, address: Address, family: Family) -> bool {
        !self.vips.is_empty() && self.vips.binary_search(&address.ip(family)).is_ok()
    }

    /// Whether it is for the gateway itself.
    #[inline]
    pub(super) fn is_local(&self, ends: Ends) -> bool {
        matches!(self.fib.ways(ends.family, ends.destination), [Way::Local])
    }

    /// Whether it is a neighbour's to the gateway itself, by an address that counts on their link only
    /// (RFC 4291 2.5.6).
    #[cold]
    fn is_from_beside(&self, ends: Ends) -> bool {
        let is_link_local = match ends.source.ip(ends.family) {
            IpAddr::V4(_) => false,
            IpAddr::V6(source) => source.is_unicast_link_local(),
        };
        is_link_local && self.is_local(ends)
    }

    /// A packet that is addressed to another station. Another node of the cluster may have forwarded it: then it goes
    /// where this one would send it, and does not come from there.
    fn overhear(&self, destination: MacAddr, interface: InterfaceId, shadows: bool, ends: Ends) -> Entry {
        if destination.is_group() {
            // To a group of hosts; or on the link to everybody and in IP to one of them (RFC 1122 3.3.6).
            let told = self.interfaces[interface.index()].tapped && is_for_all_of_link(ends);
            return if told { Entry::Punt(PuntReason::Group) } else { Entry::Drop(DropReason::Multicast) };
        }
        let leads =
            |address| self.fib.ways(ends.family, address).iter().any(|way| self.is_by(*way, interface));
        // What another node answers from a VIP it says itself: nobody has forwarded it.
        if shadows
            && leads(ends.destination)
            && !leads(ends.source)
            && !self.has_vip(ends.source, ends.family)
        {
            Entry::Forwarded
        } else if shadows && self.server_at(destination).is_some() {
            Entry::Overheard
        } else {
            Entry::Drop(DropReason::OtherHost)
        }
    }

    /// Whether this way leaves by that interface.
    fn is_by(&self, way: Way, interface: InterfaceId) -> bool {
        match way {
            Way::OnLink(at) => at == interface,
            Way::Gateway(hop) => {
                self.fib.hops().get(hop.index()).is_some_and(|hop| hop.interface == interface)
            }
            _ => false,
        }
    }

    /// Sends a packet of the flow `key` on its way: rewrites the frame and says by which port it leaves, or says what
    /// becomes of it and leaves it as it is.
    #[inline]
    pub fn forward<F: Frame>(&self, frame: &mut F, key: &FlowKey, now: Tick) -> Verdict {
        let Some((_, link)) = Link::read(frame.bytes()) else { return Verdict::Drop(DropReason::Runt) };
        let Some(ends) = Ends::read(frame.bytes(), link) else { return Verdict::Drop(DropReason::NonIp) };
        let adjacency = match self.way(self.fib.find(ends.family, ends.destination), key) {
            Way::Gateway(hop) => self.adjacencies.hop(hop),
            Way::OnLink(interface) => self.adjacencies.on_link(interface, ends.family, ends.destination),
            Way::Local => return Verdict::Punt(PuntReason::Local),
            Way::Unreachable | Way::NoRoute => return Verdict::Punt(PuntReason::Unreachable),
            Way::Blackhole => return Verdict::Drop(DropReason::Blackhole),
            Way::Martian => return Verdict::Drop(DropReason::Martian),
            Way::Broadcast | Way::Multicast => return Verdict::Drop(DropReason::Multicast),
        };
        if ends.hops_left <= 1 {
            return Verdict::Punt(PuntReason::TimeExceeded);
        }
        let Some(adjacency) = adjacency else { return Verdict::Punt(PuntReason::Unresolved) };
        self.leave(frame, link, ends, &adjacency, now)
    }

    /// Makes the frame what leaves by `adjacency`, if it fits.
    #[inline]
    pub(super) fn leave<F: Frame>(
        &self,
        frame: &mut F,
        link: Link,
        ends: Ends,
        adjacency: &Adjacency,
        now: Tick,
    ) -> Verdict {
        if ends.len > usize::from(adjacency.mtu) {
            return Verdict::Punt(PuntReason::TooBig);
        }
        match self.rewrite(frame, link, ends.family, adjacency, now) {
            None => Verdict::Forward(adjacency.port),
            Some(refused) => refused,
        }
    }

    /// Makes the frame what leaves by `adjacency`, or says what becomes of it.
    #[inline]
    fn rewrite<F: Frame>(
        &self,
        frame: &mut F,
        link: Link,
        family: Family,
        adjacency: &Adjacency,
        now: Tick,
    ) -> Option<Verdict> {
        let hop = match family {
            Family::V4 => {
                if let Some(refused) = self.sign(frame, link.at, adjacency, now) {
                    return Some(refused);
                }
                ttl::decrement_ipv4(frame.bytes_mut(), link.at)
            }
            Family::V6 => ttl::decrement_ipv6(frame.bytes_mut(), link.at),
        };
        if hop.is_err() {
            return Some(Verdict::Punt(PuntReason::TimeExceeded));
        }
        if (link.tagged || adjacency.vlan.is_some()) && vlan::retag(frame, link.at, adjacency.vlan).is_err() {
            return Some(Verdict::Drop(DropReason::TxFull));
        }
        mac::write(frame.bytes_mut(), Macs::new(adjacency.destination, adjacency.source));
        None
    }

    /// The address of the gateway's own packets of this family that leave by an interface.
    pub(super) fn source_of(&self, interface: InterfaceId, family: Family) -> Option<IpAddr> {
        self.sources[interface.index()][usize::from(family == Family::V6)]
    }

    /// A router's part in IPv4 options.
    #[inline]
    fn sign<F: Frame>(&self, frame: &mut F, at: usize, adjacency: &Adjacency, now: Tick) -> Option<Verdict> {
        let address = self.signers[adjacency.interface.index()];
        let time = Time::of_uptime_ms(now.count().wrapping_mul(TICK_MS));
        match options::sign(frame.bytes_mut(), at, Signature { address, time, ours: &self.ours }) {
            Ok(()) => None,
            Err(Refusal::SourceRoute) => Some(Verdict::Drop(DropReason::SourceRoute)),
            Err(Refusal::Malformed { .. }) => Some(Verdict::Punt(PuntReason::OptionInvalid)),
        }
    }
}

/// Whether it is for a group that no router passes on (RFC 5771 4, RFC 4291 2.7), or for all stations: what routing
/// daemons and DHCP servers listen to.
fn is_for_all_of_link(ends: Ends) -> bool {
    match ends.destination.ip(ends.family) {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(ip) => ip.octets()[0] == 0xff && ip.octets()[1] & 0xf == 2,
    }
}

fn ipv4_addresses(interface: &config::route::Interface) -> impl Iterator<Item = Ipv4Addr> + '_ {
    interface.addresses.iter().filter_map(|own| match own.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}
