//! The tables against a model that reads the whole configuration for each address.
#![cfg(test)]

use super::reverse_path::{Doubt, check};
use super::*;
use crate::config::route::{Interface, NextHop, ReversePath, Route, Target};
use crate::subnet::Subnet;
use crate::units::PortId;
use crate::wire::MacAddr;
use core::num::NonZeroU8;
use proptest::prelude::*;

const UNKNOWN: u64 = 0;

fn id(index: usize) -> InterfaceId {
    InterfaceId::new(index).unwrap()
}

fn interface(addresses: &[&str]) -> Interface {
    Interface {
        port: PortId::default(),
        vlan: None,
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        source_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        management: Vec::new(),
        vips: Vec::new(),
        tapped: false,
        reverse_path: ReversePath::Strict,
    }
}

fn hop(interface: usize, gateway: &str, weight: u8) -> NextHop {
    NextHop {
        interface: id(interface),
        gateway: Some(gateway.parse().unwrap()),
        weight: NonZeroU8::new(weight).unwrap(),
    }
}

fn via(to: &str, hops: &[NextHop]) -> Route {
    Route { to: to.parse().unwrap(), target: Target::Via(hops.to_vec()) }
}

fn look_up(fib: &Fib, address: IpAddr, flow_hash: u64, adjacencies: &Adjacencies) -> Way {
    fib.prefetch(Family::of(address), Address::from_ip(address));
    fib.lookup(Family::of(address), Address::from_ip(address), || flow_hash, adjacencies)
}

fn way(fib: &Fib, address: &str) -> Way {
    look_up(fib, address.parse().unwrap(), UNKNOWN, &Adjacencies::default())
}

/// Two uplinks and a LAN.
fn office() -> Routing {
    Routing {
        interfaces: vec![
            interface(&["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"]),
            interface(&["198.51.100.0/31", "2001:db8:1::1/127"]),
            interface(&["203.0.113.1/30", "169.254.7.1/30"]),
        ],
        routes: vec![
            via("0.0.0.0/0", &[hop(1, "198.51.100.1", 1), hop(2, "203.0.113.2", 1)]),
            via("::/0", &[hop(1, "2001:db8:1::", 1)]),
            Route { to: "10.0.0.0/8".parse().unwrap(), target: Target::Blackhole },
            Route { to: "10.1.0.0/16".parse().unwrap(), target: Target::Unreachable },
            via("10.1.2.0/24", &[hop(0, "192.0.2.9", 1)]),
        ],
    }
}

#[test]
fn addresses_of_the_interfaces_make_ways_of_their_own() {
    let fib = Fib::compile(&office());
    for (address, expected) in [
        ("192.0.2.1", Way::Local),
        ("192.0.2.7", Way::OnLink(id(0))),
        ("192.0.2.0", Way::OnLink(id(0))),
        ("192.0.2.255", Way::Broadcast),
        ("255.255.255.255", Way::Broadcast),
        ("198.51.100.0", Way::Local),
        ("198.51.100.1", Way::OnLink(id(1))),
        ("203.0.113.3", Way::Broadcast),
        ("2001:db8::1", Way::Local),
        ("2001:db8::", Way::Local),
        ("2001:db8::2", Way::OnLink(id(0))),
        ("2001:db8:1::", Way::OnLink(id(1))),
        ("fe80::1", Way::Local),
        ("169.254.7.1", Way::Local),
    ] {
        assert_eq!(way(&fib, address), expected, "{address}");
    }
}

#[test]
fn the_longest_route_decides_and_the_default_takes_the_rest() {
    let mut routing = office();
    let fib = Fib::compile(&routing);
    assert_eq!(way(&fib, "10.9.9.9"), Way::Blackhole);
    assert_eq!(way(&fib, "10.1.9.9"), Way::Unreachable);
    let Way::Gateway(hop) = way(&fib, "10.1.2.3") else { panic!("by a router") };
    assert_eq!(fib.hops()[hop.index()], Hop { interface: id(0), gateway: "192.0.2.9".parse().unwrap() });
    assert_eq!(fib.ways(Family::V4, Address::v4([8, 8, 8, 8])).len(), 2);
    let Way::Gateway(hop) = way(&fib, "2001:db8:7::1") else { panic!("by a router") };
    assert_eq!(fib.hops()[hop.index()].interface, id(1));
    assert_eq!(fib.hops().len(), 4, "each router once");

    routing.routes.push(Route { to: "0.0.0.0/0".parse().unwrap(), target: Target::Blackhole });
    routing.routes.retain(|route| route.to.prefix_len > 0 || route.to.address.is_ipv4());
    let fib = Fib::compile(&routing);
    assert_eq!(way(&fib, "8.8.8.8"), Way::Blackhole, "the last route to a network holds");
    assert_eq!(way(&fib, "2001:db8:7::1"), Way::NoRoute);
}

#[test]
fn no_route_leads_to_what_is_not_routed() {
    let mut routing = office();
    for network in ["127.0.0.0/8", "224.0.1.0/24", "240.0.0.0/5", "fe80::/64", "ff0e::/16", "::1"] {
        routing.routes.push(via(network, &[hop(0, "192.0.2.9", 1)]));
    }
    let fib = Fib::compile(&routing);
    for martian in
        ["0.0.0.0", "127.0.0.1", "169.254.7.2", "240.1.1.1", "255.255.255.254", "::", "::1", "fe80::2"]
    {
        assert_eq!(way(&fib, martian), Way::Martian, "{martian}");
    }
    for group in ["224.0.1.1", "239.1.2.3", "ff02::1", "ff0e::1"] {
        assert_eq!(way(&fib, group), Way::Multicast, "{group}");
    }
}

fn neighbour(interface: usize, address: &str, last: u8) -> Neighbour {
    Neighbour {
        interface: id(interface),
        address: address.parse().unwrap(),
        mac: MacAddr([2, 0, 0, 0, 9, last]),
    }
}

#[test]
fn a_known_neighbour_is_an_adjacency_and_an_unknown_one_is_to_be_resolved() {
    let routing = office();
    let fib = Fib::compile(&routing);
    let known = [neighbour(0, "192.0.2.7", 7), neighbour(1, "198.51.100.1", 8), neighbour(1, "192.0.2.8", 9)];
    let adjacencies = Adjacencies::compile(&routing, &fib, |_| true, known);
    let find = |text: &str| {
        let destination = text.parse().unwrap();
        let way = look_up(&fib, destination, UNKNOWN, &adjacencies);
        adjacencies.find(way, Family::of(destination), Address::from_ip(destination))
    };
    let on_link = find("192.0.2.7").expect("it is known");
    assert_eq!((on_link.interface, on_link.destination), (id(0), MacAddr([2, 0, 0, 0, 9, 7])));
    assert_eq!((on_link.source, on_link.mtu, on_link.vlan), (MacAddr([2, 0, 0, 0, 0, 1]), 1500, None));
    assert_eq!(find("192.0.2.8"), None, "it is known at another interface");
    assert_eq!(find("10.1.2.3"), None, "nobody knows the router");
    assert_eq!(find("10.9.9.9"), None, "a blackhole has no neighbour");
    let routed = find("8.8.8.8").expect("its router is known");
    assert_eq!((routed.interface, routed.destination), (id(1), MacAddr([2, 0, 0, 0, 9, 8])));
}

#[test]
fn a_host_that_packets_go_to_is_told_once_and_a_router_never() {
    let routing = office();
    let fib = Fib::compile(&routing);
    let known =
        [neighbour(0, "192.0.2.7", 7), neighbour(0, "2001:db8::8", 8), neighbour(1, "198.51.100.1", 1)];
    let adjacencies = Adjacencies::compile(&routing, &fib, |_| true, known);
    let used = || adjacencies.take_used().collect::<Vec<_>>();
    let send = |text: &str| {
        let destination = text.parse().unwrap();
        let way = look_up(&fib, destination, UNKNOWN, &adjacencies);
        adjacencies.find(way, Family::of(destination), Address::from_ip(destination))
    };
    assert_eq!(used(), []);
    assert!(send("192.0.2.7").is_some() && send("192.0.2.7").is_some() && send("8.8.8.8").is_some());
    assert!(send("192.0.2.99").is_none());
    assert_eq!(used(), [(id(0), "192.0.2.7".parse().unwrap())]);
    assert_eq!(used(), []);
    assert!(send("2001:db8::8").is_some());
    assert_eq!(used(), [(id(0), "2001:db8::8".parse().unwrap())]);
}

#[test]
fn flows_of_a_router_that_is_not_known_or_behind_a_dead_link_go_by_the_others() {
    let routing = office();
    let fib = Fib::compile(&routing);
    let both = [neighbour(1, "198.51.100.1", 1), neighbour(2, "203.0.113.2", 2)];
    let hops_with = |is_up: fn(InterfaceId) -> bool, known: &[Neighbour]| {
        let adjacencies = Adjacencies::compile(&routing, &fib, is_up, known.iter().copied());
        let flows = (0..64u64).map(|n| n << 58);
        flows
            .map(|flow| {
                let way = look_up(&fib, "8.8.8.8".parse().unwrap(), flow, &adjacencies);
                let Way::Gateway(hop) = way else { panic!("by a router") };
                fib.hops()[hop.index()].interface.index()
            })
            .collect::<Vec<_>>()
    };
    let all = hops_with(|_| true, &both);
    assert!(all.contains(&1) && all.contains(&2));
    assert_eq!(hops_with(|_| true, &both[..1]), [1; 64]);
    assert_eq!(hops_with(|interface| interface != id(1), &both), [2; 64]);
    assert_eq!(hops_with(|_| true, &[]), all, "with none known each asks for its own");
}

#[test]
fn a_source_is_believed_as_the_interface_says() {
    let routing = office();
    let fib = Fib::compile(&routing);
    let modes = [ReversePath::Off, ReversePath::Loose, ReversePath::Strict];
    let (ok, martian, reverse) = (Ok(()), Err(Doubt::Martian), Err(Doubt::ReversePath));
    for (source, interface, expected) in [
        // A host of the LAN, there and elsewhere.
        ("192.0.2.7", 0, [ok, ok, ok]),
        ("192.0.2.7", 1, [ok, ok, reverse]),
        // By either of two next hops.
        ("8.8.8.8", 1, [ok, ok, ok]),
        ("8.8.8.8", 2, [ok, ok, ok]),
        ("8.8.8.8", 0, [ok, ok, reverse]),
        ("10.1.2.3", 0, [ok, ok, ok]),
        ("10.1.3.3", 0, [ok, reverse, reverse]),
        ("10.9.9.9", 0, [ok, reverse, reverse]),
        ("2001:db8::7", 0, [ok, ok, ok]),
        ("2001:db8:7::1", 2, [ok, ok, reverse]),
        // The gateway's own, and broadcast: only a look-up tells.
        ("192.0.2.1", 0, [ok, martian, martian]),
        ("192.0.2.255", 0, [ok, martian, martian]),
        ("127.0.0.1", 0, [martian; 3]),
        ("224.0.0.1", 0, [martian; 3]),
        ("255.255.255.255", 0, [martian; 3]),
        ("fe80::7", 0, [martian; 3]),
        ("::", 0, [martian; 3]),
    ] {
        let ip: IpAddr = source.parse().unwrap();
        let found = modes.map(|mode| check(&fib, mode, id(interface), Family::of(ip), Address::from_ip(ip)));
        assert_eq!(found, expected, "{source} at {interface}");
    }
    let none = Fib::compile(&Routing::default());
    let found = modes.map(|mode| check(&none, mode, id(0), Family::V4, Address::v4([8, 8, 8, 8])));
    assert_eq!(found, [ok, reverse, reverse]);
}

/// A way as the configuration says it.
#[derive(Debug, PartialEq)]
enum Said<'a> {
    Special(Way),
    Via(&'a [NextHop]),
}

/// Reads the whole configuration for each address.
fn linear(routing: &Routing, address: IpAddr) -> Said<'_> {
    let own = || routing.interface_ids().flat_map(|(id, of)| of.addresses.iter().map(move |own| (id, *own)));
    let last_of = |network: Subnet, host: u128| match network.address {
        IpAddr::V4(_) => network.prefix_len <= 30 && host == u128::MAX >> (96 + network.prefix_len),
        IpAddr::V6(_) => false,
    };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    if own().any(|(_, own)| own.address == address) {
        return Said::Special(Way::Local);
    }
    let host = |network: Subnet| {
        let width = if address.is_ipv4() { 32 } else { 128 };
        bits(address) & !(u128::MAX.checked_shl(width - u32::from(network.prefix_len)).unwrap_or(0))
    };
    for (_, own) in own().filter(|(_, own)| own.contains(address)) {
        if last_of(own, host(own)) {
            return Said::Special(Way::Broadcast);
        }
        if address.is_ipv6() && (1..=126).contains(&own.prefix_len) && host(own) == 0 {
            return Said::Special(Way::Local);
        }
    }
    let special = martian::NETWORKS.iter().filter(|(network, _)| network.contains(address));
    if let Some((_, way)) = special.max_by_key(|(network, _)| network.prefix_len) {
        return Said::Special(*way);
    }
    let connected = own().map(|(id, own)| (own, Said::Special(Way::OnLink(id))));
    let routes = routing.routes.iter().map(|route| {
        let said = match &route.target {
            Target::Via(hops) => Said::Via(hops),
            Target::Blackhole => Said::Special(Way::Blackhole),
            Target::Unreachable => Said::Special(Way::Unreachable),
        };
        (route.to, said)
    });
    let around = routes.chain(connected).filter(|(network, _)| network.contains(address));
    around.max_by_key(|(network, _)| network.prefix_len).map_or(Said::Special(Way::NoRoute), |(_, said)| said)
}

/// Addresses that are often close to each other and to what is never routed.
fn address() -> impl Strategy<Value = IpAddr> {
    let ipv4 = (prop::sample::select(&[10u8, 10, 10, 11, 127, 169, 224, 255][..]), any::<u32>());
    let ipv6 = (prop::sample::select(&[0x2001u16, 0x2001, 0x2001, 0xfe80, 0xff02, 0][..]), any::<u128>());
    prop_oneof![
        ipv4.prop_map(|(a, n)| {
            let second = if a == 169 { 254 } else { 0 };
            core::net::Ipv4Addr::from_bits(u32::from(a) << 24 | second << 16 | n & 0x0003_0303).into()
        }),
        ipv6.prop_map(|(a, n)| {
            let rest = n & 0x0003_0000_0000_0003_0000_0000_0000_0303;
            core::net::Ipv6Addr::from_bits(u128::from(a) << 112 | rest).into()
        }),
    ]
}

fn network() -> impl Strategy<Value = Subnet> {
    (address(), any::<u8>()).prop_map(|(address, n)| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        // Short ones fill many cells, so they are rare.
        let prefix_len = if n < 8 { n } else { 8 + n % (bits - 7) };
        Subnet { address, prefix_len }
    })
}

fn target() -> impl Strategy<Value = Target> {
    let hop = (0..3usize, address(), any::<bool>()).prop_map(|(interface, gateway, on_link)| NextHop {
        interface: id(interface),
        gateway: if on_link { None } else { Some(gateway) },
        weight: NonZeroU8::MIN,
    });
    prop_oneof![
        4 => proptest::collection::vec(hop, 1..4).prop_map(Target::Via),
        1 => Just(Target::Blackhole),
        1 => Just(Target::Unreachable),
    ]
}

proptest! {
    #[test]
    fn the_table_says_what_the_configuration_says(
        interfaces in proptest::collection::vec(proptest::collection::vec(network(), 0..3), 3),
        routes in proptest::collection::vec((network(), target()), 0..12),
        more in proptest::collection::vec(address(), 16),
        flow_hash: u64,
    ) {
        let interfaces = interfaces.into_iter().map(|addresses| Interface { addresses, ..interface(&[]) });
        let routes = routes.into_iter().map(|(to, target)| Route { to, target });
        let routing = Routing { interfaces: interfaces.collect(), routes: routes.collect() };
        let fib = Fib::compile(&routing);
        let named = routing.interfaces.iter().flat_map(|interface| &interface.addresses).map(|own| own.address);
        for address in named.chain(routing.routes.iter().map(|route| route.to.address)).chain(more) {
            let way = look_up(&fib, address, flow_hash, &Adjacencies::default());
            match (linear(&routing, address), way) {
                (Said::Special(said), way) => prop_assert_eq!(way, said, "{}", address),
                (Said::Via(hops), Way::Gateway(hop)) => {
                    let Hop { interface, gateway } = fib.hops()[hop.index()];
                    let is_it = |hop: &NextHop| hop.interface == interface && hop.gateway == Some(gateway);
                    prop_assert!(hops.iter().any(is_it), "{}", address);
                }
                (Said::Via(hops), Way::OnLink(at)) => {
                    let is_it = |hop: &NextHop| hop.interface == at && hop.gateway.is_none();
                    prop_assert!(hops.iter().any(is_it), "{}", address);
                }
                (said, way) => prop_assert!(false, "{}: {:?}, not {:?}", address, way, said),
            }
        }
    }
}
