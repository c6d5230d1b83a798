//! What a router's flows remember is never another answer than the routes would give: a node whose routes stand is held
//! against one that is given the same routes anew before each burst, so that its flows have forgotten everything.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};
use weir_dataplane::config::Config;
use weir_dataplane::config::route::{Interface, NextHop, ReversePath, Route, Routing, Target};
use weir_dataplane::steer::Router;
use weir_dataplane::steer::route::{Adjacencies, Neighbour};
use weir_dataplane::units::InterfaceId;
use weir_dataplane::wire::MacAddr;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::node::{Node, port};
use weir_tests::packet::{Flags, Mac, eth};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// Of the router on either side.
const MACS: [Mac; 2] = [Mac::host(0xa), Mac::host(0xb)];
const NEIGHBOURS: [&str; 5] = ["10.0.0.7", "10.0.0.8", "198.51.100.1", "198.51.100.3", "198.51.100.4"];

fn id(interface: usize) -> InterfaceId {
    InterfaceId::new(interface).unwrap()
}

fn via(interface: usize, gateways: &[&str]) -> Target {
    let hop = |gateway: &&str| NextHop {
        interface: id(interface),
        gateway: Some(gateway.parse().unwrap()),
        weight: 1.try_into().unwrap(),
    };
    Target::Via(gateways.iter().map(hop).collect())
}

/// Ways to the server, one after the other in force.
fn routings() -> Vec<Routing> {
    let ways = [
        via(1, &["198.51.100.1"]),
        via(1, &["198.51.100.1", "198.51.100.3", "198.51.100.4"]),
        via(0, &["10.0.0.8"]),
        Target::Blackhole,
        Target::Unreachable,
    ];
    let interface = |(side, address): (Side, &str), reverse_path| Interface {
        port: port(side),
        vlan: None,
        mac: MacAddr(MACS[side as usize].0),
        source_mac: MacAddr(MACS[side as usize].0),
        mtu: 1500,
        addresses: vec![address.parse().unwrap()],
        management: Vec::new(),
        vips: Vec::new(),
        tapped: true,
        reverse_path,
    };
    let of = |(target, reverse_path): (Target, ReversePath)| Routing {
        interfaces: [(Side::Lan, "10.0.0.1/24"), (Side::Wan, "198.51.100.2/24")]
            .map(|place| interface(place, reverse_path))
            .into(),
        routes: vec![Route { to: "192.0.2.0/24".parse().unwrap(), target }],
    };
    let modes =
        [ReversePath::Off, ReversePath::Strict, ReversePath::Loose, ReversePath::Off, ReversePath::Off];
    ways.into_iter().zip(modes).map(of).collect()
}

/// Each of them made twice: to a node these are different routes.
static ROUTERS: LazyLock<Vec<[Router; 2]>> = LazyLock::new(|| {
    routings().iter().map(|routing| [Router::compile(routing), Router::compile(routing)]).collect()
});

/// The same routes with these of the neighbours known.
fn router(routing: usize, copy: usize, known: [bool; 5]) -> Router {
    let router = &ROUTERS[routing][copy];
    let known = NEIGHBOURS.iter().zip(known).enumerate().filter(|(_, (_, known))| *known);
    let known = known.map(|(n, (address, _))| Neighbour {
        interface: id(usize::from(n >= 2)),
        address: address.parse::<IpAddr>().unwrap(),
        mac: MacAddr(Mac::host(0x20 + u32::try_from(n).unwrap()).0),
    });
    let adjacencies = Adjacencies::compile(&routings()[routing], router.fib(), |_| true, known);
    router.with_neighbours(Arc::new(adjacencies))
}

#[derive(Clone, Debug)]
enum Step {
    Routes(usize),
    Known(usize),
    /// A few packets in one burst: which client port, an answer or not, by the wrong port or not, and TCP's flags.
    Burst(Vec<(u16, bool, bool, Flags)>),
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![
        6 => Just(Flags::ACK),
        2 => Just(Flags::SYN),
        2 => Just(Flags::SYN | Flags::ACK),
        1 => Just(Flags::FIN | Flags::ACK),
        1 => Just(Flags::RST),
    ];
    let packet = (0..3u16, any::<bool>(), prop::bool::weighted(0.1), flags);
    prop_oneof![
        1 => (0..5usize).prop_map(Step::Routes),
        1 => (0..5usize).prop_map(Step::Known),
        6 => prop::collection::vec(packet, 1..5).prop_map(Step::Burst),
    ]
}

/// The first port is that of UDP.
fn passage((port, answer, astray, flags): (u16, bool, bool, Flags), at_us: u64) -> Passage {
    let side = if answer == astray { Side::Lan } else { Side::Wan };
    let link = eth(Mac::host(0x30), MACS[side as usize]);
    let ((from, from_port), (to, to_port)) = match answer {
        false => ((CLIENT, 5000 + port), (SERVER, 80)),
        true => ((SERVER, 80), (CLIENT, 5000 + port)),
    };
    let ip = link.ip(from, to);
    let bytes = match port {
        0 => ip.udp(from_port, to_port).build(),
        _ => ip.tcp(from_port, to_port).flags(flags).seq(1).ack(1).build(),
    };
    Passage { client: CLIENT.into(), fate: Fate::Flow, at_us, side, bytes }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn what_a_flow_remembers_is_what_the_routes_say(steps in prop::collection::vec(step(), 1..60)) {
        let config = Config::default();
        let (mut routing, mut known, mut copy) = (0, [true; 5], 0);
        let new = || Node::routed(&config, router(0, 0, [true; 5]));
        let (mut remembers, mut forgets) = (new(), new());
        for (n, step) in (0..).zip(steps) {
            match step {
                Step::Routes(next) => routing = next,
                Step::Known(n) => known[n] = !known[n],
                Step::Burst(packets) => {
                    let burst: Vec<Passage> =
                        packets.iter().map(|packet| passage(*packet, n * 300_000)).collect();
                    copy = 1 - copy;
                    forgets.reroute(&config, router(routing, copy, known));
                    let said = [&mut remembers, &mut forgets].map(|node| {
                        let sights = node.take(&burst);
                        let verdicts: Vec<_> = sights.iter().map(|sight| (sight.state, sight.verdict)).collect();
                        (verdicts, node.departed())
                    });
                    prop_assert_eq!(&said[0], &said[1], "{:?}", packets);
                    continue;
                }
            }
            remembers.reroute(&config, router(routing, 0, known));
        }
    }
}
