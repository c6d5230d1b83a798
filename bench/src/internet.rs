//! A router with routes like those of the Internet: the networks, their next hops, and addresses behind them.
//!
//! Prefixes are as long as those of the Internet, and one in twenty of IPv4 is longer than /24, as inside a network. A
//! route goes to one of 64 routers in the WAN, one in ten to two of them. The LAN has 10,000 hosts that are known; one
//! of them is the router to 10.0.0.0/8, where the [clients](crate::client) are.

use crate::{Kind, Wire};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::sync::Arc;
use weir_dataplane::config::Routing;
use weir_dataplane::config::route::{Interface, NextHop, ReversePath, Route, Target};
use weir_dataplane::key::Address;
use weir_dataplane::steer::Router;
use weir_dataplane::steer::route::{Adjacencies, Fib, Neighbour};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::InterfaceId;
use weir_dataplane::wire::MacAddr;
use weir_dpdk::memory::{Huge, tables};
use weir_tests::conversation::Side;
use weir_tests::node::port;
use weir_tests::packet::Mac;
use weir_tests::rng::Rng;

/// Lengths of prefixes, and of a hundred routes how many have them.
const IPV4_LENGTHS: &[(u8, u64)] =
    &[(16, 2), (18, 3), (19, 3), (20, 4), (21, 5), (22, 10), (23, 9), (24, 59), (28, 3), (32, 2)];
const IPV6_LENGTHS: &[(u8, u64)] = &[(32, 15), (36, 8), (40, 10), (44, 10), (48, 45), (64, 10), (128, 2)];

/// First bytes of networks that these routes are not for: those of the interfaces, and two with martians in them.
const NOT_ROUTED: [u8; 4] = [10, 127, 169, 192];

/// Networks of 32 bits that the IPv6 routes are in.
const IPV6_BLOCKS: u64 = 20_000;

const ROUTERS: u8 = 64;

/// Hosts that are known in the LAN.
pub const HOSTS: u32 = 10_000;

/// The MAC addresses of the gateway: those that it is sent to by, of its ports.
pub const GATEWAY: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 1]), Mac([2, 0, 0, 0, 1, 2])];

/// Another node of its cluster, and who is next to it.
const OTHER_NODE: Mac = Mac([2, 0, 0, 0, 2, 1]);
const NEXT: Mac = Mac([2, 0, 0, 0, 3, 1]);

/// A gateway with a way to the clients and a default route.
pub fn default_routing() -> Routing {
    let by = NextHop { interface: id(Side::Wan), gateway: Some(router_address(0)), weight: NonZeroU8::MIN };
    let default = Route { to: subnet(Ipv4Addr::UNSPECIFIED.into(), 0), target: Target::Via(vec![by]) };
    let Routing { interfaces, mut routes } = routing(0, 0, ReversePath::Off);
    routes.push(default);
    Routing { interfaces, routes }
}

/// A gateway in the middle of so many routes, with this way to look at sources.
pub fn routing(ipv4: u32, ipv6: u32, reverse_path: ReversePath) -> Routing {
    let mut rng = Rng::new(0x5eed);
    let mut routes: Vec<Route> = (0..ipv4).map(|_| route(&mut rng, ipv4_network)).collect();
    routes.extend((0..ipv6).map(|_| route(&mut rng, ipv6_network)));
    let clients = NextHop { interface: id(Side::Lan), gateway: Some(host(0)), weight: NonZeroU8::MIN };
    let clients =
        Route { to: subnet(Ipv4Addr::new(10, 0, 0, 0).into(), 8), target: Target::Via(vec![clients]) };
    routes.push(clients);
    let interfaces = [Side::Lan, Side::Wan].map(|side| interface(side, reverse_path));
    Routing { interfaces: interfaces.into(), routes }
}

/// What is known of the neighbours, all of them.
pub fn adjacencies(routing: &Routing, fib: &Fib) -> Adjacencies {
    let neighbour = |(n, interface, address): (u32, Side, IpAddr)| {
        let [_, _, a, b] = n.to_be_bytes();
        Neighbour { interface: id(interface), address, mac: MacAddr([2, 0, 0, interface as u8, a, b]) }
    };
    let routers = (0..ROUTERS).map(|n| (n.into(), Side::Wan, router_address(n)));
    let hosts = (0..HOSTS).map(|n| (n, Side::Lan, host(n)));
    Adjacencies::compile(routing, fib, |_| true, routers.chain(hosts).map(neighbour))
}

/// What a worker routes by, on such pages as the gateway gives it.
pub fn router(routing: &Routing) -> Router {
    let router = tables(Huge::Touched, || Router::compile(routing)).0;
    let adjacencies = Arc::new(adjacencies(routing, router.fib()));
    router.with_neighbours(adjacencies)
}

/// Host `n` in the LAN.
pub fn host(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xc0a8_0001 + n).into()
}

/// The frames of flows whose servers are behind these routes.
#[derive(Clone, Debug)]
pub struct Wires {
    servers: Arc<[Ipv4Addr]>,
}

impl Wires {
    /// So many servers behind random ones of these routes, which are of IPv4.
    pub fn new(routes: &[Route], servers: usize) -> Self {
        let servers = destinations(routes, servers).into_iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        Self { servers: servers.collect() }
    }

    /// As hosts send them to each other.
    pub fn direct(&self, kind: Kind) -> Wire {
        Wire::new(kind).to_servers(&self.servers)
    }

    /// As they are sent to the gateway.
    pub fn sent(&self, kind: Kind) -> Wire {
        let side = match kind {
            Kind::SynAck | Kind::UdpReply => Side::Wan,
            _ => Side::Lan,
        };
        self.direct(kind).between(NEXT, GATEWAY[side as usize])
    }

    /// As another node of its cluster has forwarded them.
    pub fn forwarded(&self, kind: Kind) -> Wire {
        self.direct(kind).between(OTHER_NODE, NEXT)
    }
}

/// So many random addresses of random ones of these routes: no two in a row have anything in common, which is the worst
/// that traffic can be.
pub fn destinations(routes: &[Route], count: usize) -> Vec<IpAddr> {
    let mut rng = Rng::new(0xde57);
    (0..count).map(|_| address_in(rng.pick(routes).to, rng.next())).collect()
}

/// The same as look-ups take them.
pub fn keys(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Address> {
    addresses.into_iter().map(Address::from_ip).collect()
}

fn id(side: Side) -> InterfaceId {
    InterfaceId::new(side as usize).expect("two interfaces")
}

const fn subnet(address: IpAddr, prefix_len: u8) -> Subnet {
    Subnet { address, prefix_len }
}

fn interface(side: Side, reverse_path: ReversePath) -> Interface {
    let addresses = match side {
        Side::Lan => vec![subnet(Ipv4Addr::new(192, 168, 255, 254).into(), 16)],
        Side::Wan => vec![subnet(Ipv4Addr::new(192, 0, 2, 254).into(), 24)],
    };
    let mac = MacAddr(GATEWAY[side as usize].0);
    let (management, vips) = (Vec::new(), Vec::new());
    let (vlan, tapped) = (None, false);
    Interface {
        port: port(side),
        vlan,
        mac,
        source_mac: mac,
        mtu: 1500,
        addresses,
        vips,
        management,
        tapped,
        reverse_path,
    }
}

fn router_address(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, n + 1).into()
}

fn route(rng: &mut Rng, network: fn(&mut Rng) -> Subnet) -> Route {
    let by =
        |n| NextHop { interface: id(Side::Wan), gateway: Some(router_address(n)), weight: NonZeroU8::MIN };
    let n = rng.below(ROUTERS.into()) as u8;
    let next_hops = if rng.chance(10) { vec![by(n), by((n + 1) % ROUTERS)] } else { vec![by(n)] };
    Route { to: network(rng), target: Target::Via(next_hops) }
}

fn ipv4_network(rng: &mut Rng) -> Subnet {
    let prefix_len = length(rng, IPV4_LENGTHS);
    loop {
        let address = Ipv4Addr::from_bits(rng.next() as u32);
        let [first, ..] = address.octets();
        if (1..224).contains(&first) && !NOT_ROUTED.contains(&first) {
            return Subnet { address: address.into(), prefix_len };
        }
    }
}

fn ipv6_network(rng: &mut Rng) -> Subnet {
    // Each is in one of the blocks that registries give out, and these in some dozen of /16.
    let block = rng.below(IPV6_BLOCKS).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let head = 0x2000 + 0x200 * (block >> 29) + (block >> 16 & 15);
    let head = u128::from(head << 16 | block & 0xffff) << 96;
    let rest = u128::from(rng.next()) << 32 | u128::from(rng.next() & 0xffff_ffff);
    Subnet { address: Ipv6Addr::from_bits(head | rest).into(), prefix_len: length(rng, IPV6_LENGTHS) }
}

fn length(rng: &mut Rng, lengths: &[(u8, u64)]) -> u8 {
    let mut left = rng.below(100);
    let mut lengths = lengths.iter();
    loop {
        let (length, share) = lengths.next().expect("the shares make a hundred");
        match left.checked_sub(*share) {
            None => return *length,
            Some(rest) => left = rest,
        }
    }
}

/// An address of the network.
fn address_in(network: Subnet, noise: u64) -> IpAddr {
    let len = u32::from(network.prefix_len);
    match network.address {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(len).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & !hosts | noise as u32 & hosts).into()
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(len).unwrap_or(0);
            let noise = u128::from(noise) << 64 | u128::from(noise);
            Ipv6Addr::from_bits(ip.to_bits() & !hosts | noise & hosts).into()
        }
    }
}
