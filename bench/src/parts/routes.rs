//! What routing a packet costs: from its destination to the frame that takes it on.
//!
//! Prefixes are as long as those of the Internet, and one in twenty of IPv4 is longer than /24, as inside a network. A
//! route goes to one of 64 routers, one in ten to two of them. Destinations are random addresses of random routes: no two
//! in a row have anything in common, which is the worst that traffic can be. They come in bursts of 32, and each burst is
//! asked for as a whole first.

use super::on_huge_pages;
use super::scale::timed;
use crate::figure::{Figure, Outcome, Unit};
use crate::rounds::alternate;
use crate::{BURST, shuffled};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::time::Instant;
use weir_dataplane::config::Routing;
use weir_dataplane::config::route::{Interface, NextHop, ReversePath, Route, Target};
use weir_dataplane::key::{Address, Family};
use weir_dataplane::steer::route::{Adjacencies, Fib, Neighbour};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{InterfaceId, PortId};
use weir_dataplane::wire::MacAddr;
use weir_tests::rng::Rng;

/// Destinations of one sample.
const SAMPLE: usize = 1 << 20;

/// Lengths of prefixes, and of a hundred routes how many have them.
const IPV4_LENGTHS: &[(u8, u64)] =
    &[(16, 2), (18, 3), (19, 3), (20, 4), (21, 5), (22, 10), (23, 9), (24, 59), (28, 3), (32, 2)];
const IPV6_LENGTHS: &[(u8, u64)] = &[(32, 15), (36, 8), (40, 10), (44, 10), (48, 45), (64, 10), (128, 2)];

/// First bytes of networks that routes of this part are not for: those of the interfaces, and two with martians in them.
const NOT_ROUTED: [u8; 4] = [10, 127, 169, 192];

/// Networks of 32 bits that the IPv6 routes are in.
const IPV6_BLOCKS: u64 = 20_000;

const ROUTERS: u8 = 64;

/// The LAN 10.0.0.0/16, and so many hosts that are known in it.
const HOSTS: u32 = 10_000;

/// Measures tables of `ipv4` and `ipv6` routes.
pub fn run(rounds: usize, ipv4: u32, ipv6: u32) -> Outcome {
    let mut rng = Rng::new(0x5eed);
    let mut routes: Vec<Route> = (0..ipv4).map(|_| route(&mut rng, ipv4_network)).collect();
    routes.extend((0..ipv6).map(|_| route(&mut rng, ipv6_network)));
    let routing = Routing { interfaces: interfaces(), routes };
    let (ipv4_routes, ipv6_routes) = routing.routes.split_at(ipv4 as usize);
    let mut sample = |routes: &[Route]| -> Vec<Address> {
        (0..SAMPLE).map(|_| address_in(rng.pick(routes).to, rng.next())).collect()
    };
    let (to_ipv4, to_ipv6) = (sample(ipv4_routes), sample(ipv6_routes));
    let to_hosts: Vec<Address> = shuffled(HOSTS).into_iter().map(|n| Address::from_ip(lan(n))).collect();
    let to_hosts: Vec<Address> = to_hosts.iter().copied().cycle().take(SAMPLE).collect();

    let tables = || on_huge_pages(|| Tables::new(&routing)).0;
    let gateway = tables();
    let [compile, ipv4, ipv6, hosts] = alternate(
        rounds,
        [
            &mut || {
                let start = Instant::now();
                black_box(tables());
                start.elapsed().as_micros() as f64
            },
            &mut || timed(&to_ipv4, |burst| gateway.look_up(Family::V4, burst)),
            &mut || timed(&to_ipv6, |burst| gateway.look_up(Family::V6, burst)),
            &mut || timed(&to_hosts, |burst| gateway.look_up(Family::V4, burst)),
        ],
    );
    Ok(vec![
        Figure::new("route_ipv4_1m", "route and adjacency, 1 M IPv4 routes", Unit::Ns, ipv4),
        Figure::new("route_ipv6_200k", "route and adjacency, 200 k IPv6 routes", Unit::Ns, ipv6),
        Figure::new("route_on_link_10k", "route and adjacency, 10 k hosts beside", Unit::Ns, hosts),
        Figure::new("route_compile", "routes compiled into tables", Unit::Us, compile),
    ])
}

struct Tables {
    fib: Fib,
    adjacencies: Adjacencies,
}

impl Tables {
    fn new(routing: &Routing) -> Self {
        let fib = Fib::compile(routing);
        let neighbour = |n: u32, address: IpAddr| {
            let [_, _, a, b] = n.to_be_bytes();
            Neighbour { interface: InterfaceId::default(), address, mac: MacAddr([2, 0, 0, 0, a, b]) }
        };
        let routers = (0..ROUTERS).map(|n| neighbour(n.into(), router(n)));
        let hosts = (0..HOSTS).map(|n| neighbour(n, lan(n)));
        let adjacencies = Adjacencies::compile(routing, &fib, |_| true, routers.chain(hosts));
        Self { fib, adjacencies }
    }

    fn look_up(&self, family: Family, burst: &[Address; BURST]) {
        for destination in burst {
            self.fib.prefetch(family, *destination);
        }
        for (flow, destination) in (0u64..).zip(burst) {
            let flow_hash = || flow.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let way = self.fib.lookup(family, *destination, flow_hash, &self.adjacencies);
            let adjacency = self.adjacencies.find(way, family, *destination);
            black_box(adjacency.expect("all neighbours are known"));
        }
    }
}

fn interfaces() -> Vec<Interface> {
    let address = |address: IpAddr, prefix_len| Subnet { address, prefix_len };
    vec![Interface {
        port: PortId::default(),
        vlan: None,
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        source_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        addresses: vec![
            address(lan(u32::from(u16::MAX) - 1), 16),
            address(Ipv4Addr::new(192, 0, 2, 254).into(), 24),
        ],
        management: Vec::new(),
        tapped: false,
        reverse_path: ReversePath::Off,
    }]
}

fn router(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, n + 1).into()
}

fn lan(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + n).into()
}

fn route(rng: &mut Rng, network: fn(&mut Rng) -> Subnet) -> Route {
    let by =
        |n| NextHop { interface: InterfaceId::default(), gateway: Some(router(n)), weight: NonZeroU8::MIN };
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
fn address_in(network: Subnet, noise: u64) -> Address {
    let len = u32::from(network.prefix_len);
    Address::from_ip(match network.address {
        IpAddr::V4(ip) => {
            let hosts = u32::MAX.checked_shr(len).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & !hosts | noise as u32 & hosts).into()
        }
        IpAddr::V6(ip) => {
            let hosts = u128::MAX.checked_shr(len).unwrap_or(0);
            let noise = u128::from(noise) << 64 | u128::from(noise);
            Ipv6Addr::from_bits(ip.to_bits() & !hosts | noise & hosts).into()
        }
    })
}
