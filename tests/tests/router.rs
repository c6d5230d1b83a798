//! A router, frame by frame: what it sends on and how, what it leaves to control, what it drops and why.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use weir_dataplane::config::route::{Interface, NextHop, ReversePath, Route, Routing, Target};
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::counters::{DropReason, PuntReason, Verdict};
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::mem::{MemClock, MemFrame, MemQueue};
use weir_dataplane::punt;
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::spread::Spread;
use weir_dataplane::steer::Router;
use weir_dataplane::steer::route::{Adjacencies, Neighbour};
use weir_dataplane::units::{Epoch, InterfaceId, PORTS_MAX, VlanId, WorkerId};
use weir_dataplane::wire::MacAddr;
use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
use weir_tests::conversation::Side;
use weir_tests::node::{Node, member, port};
use weir_tests::packet::{Address, Ip, Link, Mac, eth};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const TAGGED: Ipv4Addr = Ipv4Addr::new(10, 0, 20, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);
const TAGGED6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x20, 0, 0, 0, 0, 7);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbeef, 0, 0, 0, 0, 0x80);

/// The cluster's MAC address on either side: a group's, so that all nodes hear it.
const TO_LAN: Mac = Mac([1, 0, 0x5e, 0, 1, 1]);
const TO_WAN: Mac = Mac([1, 0, 0x5e, 0, 1, 2]);
/// This node's own.
const FROM_LAN: Mac = Mac::host(0xa);
const FROM_WAN: Mac = Mac::host(0xb);
/// The hosts in the LAN and its VLAN, and the router behind the WAN.
const HOST: Mac = Mac::host(7);
const TAGGED_HOST: Mac = Mac::host(27);
const UPLINK: Mac = Mac::host(9);

const VLAN: u16 = 20;
/// How many clients talk through a pair of nodes.
const TALKS: u8 = 40;
/// Largest packet in the VLAN.
const VLAN_MTU: u16 = 1400;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn id(interface: usize) -> InterfaceId {
    InterfaceId::new(interface).unwrap()
}

fn interface(side: Side, vlan: Option<u16>, addresses: [&str; 2], reverse_path: ReversePath) -> Interface {
    let (mac, source_mac) = match side {
        Side::Lan => (TO_LAN, FROM_LAN),
        Side::Wan => (TO_WAN, FROM_WAN),
    };
    Interface {
        port: port(side),
        vlan: vlan.and_then(VlanId::new),
        mac: MacAddr(mac.0),
        source_mac: MacAddr(source_mac.0),
        mtu: if vlan.is_some() { VLAN_MTU } else { 1500 },
        addresses: addresses.map(|address| address.parse().unwrap()).into(),
        management: Vec::new(),
        vips: Vec::new(),
        tapped: false,
        reverse_path,
    }
}

fn via(gateway: &str) -> Target {
    let weight = 1.try_into().unwrap();
    Target::Via(vec![NextHop { interface: id(1), gateway: Some(ip(gateway)), weight }])
}

/// A LAN with a VLAN beside it, and the world behind a router in the WAN.
fn routing() -> Routing {
    let routes = [
        ("0.0.0.0/0", via("198.51.100.1")),
        ("::/0", via("2001:db8:ff::1")),
        ("10.66.0.0/16", Target::Blackhole),
        ("2001:db8:66::/48", Target::Blackhole),
        ("10.77.0.0/16", Target::Unreachable),
        ("2001:db8:77::/48", Target::Unreachable),
    ];
    Routing {
        interfaces: vec![
            interface(Side::Lan, None, ["10.0.0.1/24", "2001:db8:1::1/64"], ReversePath::Strict),
            interface(Side::Wan, None, ["198.51.100.2/24", "2001:db8:ff::2/64"], ReversePath::Loose),
            interface(Side::Lan, Some(VLAN), ["10.0.20.1/24", "2001:db8:20::1/64"], ReversePath::Strict),
        ],
        routes: routes.map(|(to, target)| Route { to: to.parse().unwrap(), target }).into(),
    }
}

fn router() -> Router {
    router_of(&routing(), UPLINK)
}

/// Of these routes, with the router in the WAN at this MAC address.
fn router_of(routing: &Routing, uplink: Mac) -> Router {
    known(routing, &Router::compile(routing), uplink)
}

/// The same of one that has been made of them.
fn known(routing: &Routing, router: &Router, uplink: Mac) -> Router {
    let known = [
        (0, CLIENT.into(), HOST),
        (0, CLIENT6.into(), HOST),
        (2, TAGGED.into(), TAGGED_HOST),
        (2, TAGGED6.into(), TAGGED_HOST),
        (1, ip("198.51.100.1"), uplink),
        (1, ip("2001:db8:ff::1"), uplink),
    ];
    let others = (0..TALKS).flat_map(|n| [client(n).into(), client6(n).into()]);
    let known = known.into_iter().chain(others.map(|address| (0, address, HOST)));
    let known = known.map(|(at, address, mac)| Neighbour { interface: id(at), address, mac: MacAddr(mac.0) });
    let adjacencies = Adjacencies::compile(routing, router.fib(), |_| true, known);
    router.with_neighbours(Arc::new(adjacencies))
}

/// One of many in the LAN.
fn client(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 100 + n)
}

fn client6(n: u8) -> Ipv6Addr {
    Ipv6Addr::from_bits(CLIENT6.to_bits() + 100 + u128::from(n))
}

fn node() -> Node {
    Node::routed(&Config::default(), router())
}

fn verdict(side: Side, frame: Vec<u8>) -> Verdict {
    node().verdict(side, MemFrame::new(frame))
}

/// From the host in the LAN to the router.
fn up() -> Link {
    eth(HOST, TO_LAN)
}

fn up4(destination: &str) -> Ip<Ipv4Addr> {
    up().ip(CLIENT, destination.parse().unwrap())
}

fn up6(destination: &str) -> Ip<Ipv6Addr> {
    up().ip(CLIENT6, destination.parse().unwrap())
}

fn datagram<A: Address>(ip: Ip<A>) -> Vec<u8> {
    ip.udp(5000, 53).payload(b"a question").build()
}

/// A frame of one family goes in; it leaves by this side, as this.
fn sent_on(from: Side, frame: Vec<u8>, to: Side, expected: Vec<u8>) {
    let mut node = node();
    assert_eq!(node.verdict(from, MemFrame::new(frame)), Verdict::Forward(port(to)));
    assert_eq!(node.departed(), [(to, expected)]);
}

/// The two link headers around one datagram, which has a hop less to go behind the router.
fn hop<A: Address>(from: (Side, Link), ends: [A; 2], to: (Side, Link)) {
    let packet = |link: Link, hops| datagram(link.ip(ends[0], ends[1]).hop_limit(hops));
    sent_on(from.0, packet(from.1, 2), to.0, packet(to.1, 1));
}

#[test]
fn a_packet_leaves_with_one_hop_less_from_this_node_to_the_next_with_the_tag_of_its_network() {
    let tagged = || eth(TAGGED_HOST, TO_LAN).vlan(VLAN);
    let to_uplink = || (Side::Wan, eth(FROM_WAN, UPLINK));
    let to_tagged = || (Side::Lan, eth(FROM_LAN, TAGGED_HOST).vlan(VLAN));
    hop((Side::Lan, up()), [CLIENT, SERVER], to_uplink());
    hop((Side::Lan, up()), [CLIENT6, SERVER6], to_uplink());
    hop((Side::Lan, tagged()), [TAGGED, SERVER], to_uplink());
    hop((Side::Lan, tagged()), [TAGGED6, SERVER6], to_uplink());
    hop((Side::Lan, up()), [CLIENT, TAGGED], to_tagged());
    hop((Side::Lan, up()), [CLIENT6, TAGGED6], to_tagged());
    let down = || (Side::Wan, eth(UPLINK, TO_WAN));
    hop(down(), [SERVER, CLIENT], (Side::Lan, eth(FROM_LAN, HOST)));
    hop(down(), [SERVER6, CLIENT6], (Side::Lan, eth(FROM_LAN, HOST)));
    // A tag that says only how urgent a frame is.
    hop((Side::Lan, up().vlan(0)), [CLIENT, SERVER], to_uplink());
}

#[test]
fn a_neighbour_that_is_learned_moves_packets_and_decides_no_flow_anew() {
    const ELSEWHERE: Mac = Mac::host(19);
    let config = member(2, 0..2, Tracking::All);
    let router = router();
    let mut node = Node::routed(&config, router.clone());
    let sent = || MemFrame::new(datagram(up().ip(CLIENT, SERVER)));
    let answer = MemFrame::new(eth(UPLINK, TO_WAN).ip(SERVER, CLIENT).udp(53, 5000).build());
    assert_eq!(node.verdict(Side::Lan, sent()), Verdict::Forward(port(Side::Wan)));
    assert_eq!(node.verdict(Side::Wan, answer), Verdict::Forward(port(Side::Lan)));
    node.reroute(&config, known(&routing(), &router, ELSEWHERE));
    assert_eq!(node.verdict(Side::Lan, sent()), Verdict::Forward(port(Side::Wan)));
    let (_, last) = node.departed().pop().unwrap();
    assert_eq!(last[..6], ELSEWHERE.0);
    let epochs: Vec<_> = node.flows().iter().map(|flow| flow.epoch).collect();
    assert_eq!(epochs, [Some(Epoch::FIRST)]);
}

#[test]
fn what_a_router_does_not_pass_on_is_dropped_for_its_reason() {
    use DropReason::{
        Blackhole, Martian, Multicast, NoInterface, NonIp, OtherHost, ReversePath, SourceRoute,
    };
    let from = |source: &str| datagram(up().ip(source.parse::<Ipv4Addr>().unwrap(), SERVER));
    let from6 = |source: &str| datagram(up().ip(source.parse::<Ipv6Addr>().unwrap(), SERVER6));
    let group: Ipv6Addr = "ff1e::1".parse().unwrap();
    for (reason, frame) in [
        (OtherHost, datagram(eth(HOST, Mac::host(5)).ip(CLIENT, SERVER))),
        (OtherHost, datagram(eth(HOST, Mac::host(5)).ip(CLIENT6, SERVER6))),
        (OtherHost, eth(HOST, Mac::host(5)).arp_request(CLIENT, SERVER)),
        (NoInterface, datagram(up().vlan(30).ip(CLIENT, SERVER))),
        (NoInterface, datagram(up().vlan(30).ip(CLIENT6, SERVER6))),
        (NonIp, up().ethertype(0x88b5, b"an experiment")),
        (Martian, from("127.0.0.1")),
        (Martian, from("10.0.0.1")),
        (Martian, from("198.51.100.255")),
        (Martian, from6("::1")),
        (Martian, from6("fe80::7")),
        (Martian, from6("2001:db8:ff::2")),
        (ReversePath, from("10.0.20.7")),
        (ReversePath, from("192.0.2.5")),
        (ReversePath, from6("2001:db8:20::7")),
        (
            Multicast,
            datagram(eth(HOST, Mac([1, 0, 0x5e, 0, 0, 251])).ip(CLIENT, Ipv4Addr::new(224, 0, 0, 251))),
        ),
        (Multicast, datagram(eth(HOST, Mac::multicast_v6(group)).ip(CLIENT6, group))),
        (Multicast, datagram(eth(HOST, Mac::BROADCAST).ip(CLIENT, SERVER))),
        (Multicast, datagram(up4("198.51.100.255"))),
        (Multicast, datagram(up6("ff1e::1"))),
        (Blackhole, datagram(up4("10.66.0.1"))),
        (Blackhole, datagram(up6("2001:db8:66::1"))),
        (SourceRoute, datagram(up4("192.0.2.80").options(&[131, 7, 4, 10, 0, 0, 9]))),
    ] {
        assert_eq!(verdict(Side::Lan, frame.clone()), Verdict::Drop(reason), "{frame:02x?}");
    }
    // Whom a source is believed from is a matter of the interface.
    let spoofed = datagram(eth(UPLINK, TO_WAN).ip(TAGGED, CLIENT));
    assert_eq!(verdict(Side::Wan, spoofed), Verdict::Forward(port(Side::Lan)));
}

#[test]
fn what_a_router_has_something_to_say_about_is_left_to_control() {
    use PuntReason::{
        Arp, Local, NeighbourDiscovery, OptionInvalid, TimeExceeded, TooBig, Unreachable, Unresolved,
    };
    let long = [0; VLAN_MTU as usize];
    let asked: Ipv6Addr = "2001:db8:1::1".parse().unwrap();
    let beside: Ipv6Addr = "fe80::7".parse().unwrap();
    let cases = [
        (Arp, eth(HOST, Mac::BROADCAST).arp_request(CLIENT, Ipv4Addr::new(10, 0, 0, 1))),
        (Arp, up().arp_reply(CLIENT, Ipv4Addr::new(10, 0, 0, 1))),
        (
            NeighbourDiscovery,
            eth(HOST, Mac::multicast_v6(asked)).ip(CLIENT6, asked).neighbor_solicitation(asked, HOST),
        ),
        (Local, up4("10.0.0.1").echo_request(1, 1).build()),
        (Local, up4("198.51.100.2").echo_request(1, 1).build()),
        (Local, up6("2001:db8:ff::2").echo_request(1, 1).build()),
        (Local, up().ip(beside, asked).echo_request(1, 1).build()),
        (TimeExceeded, datagram(up4("192.0.2.80").hop_limit(1))),
        (TimeExceeded, datagram(up6("2001:db8:beef::80").hop_limit(1))),
        (TooBig, up4("10.0.20.7").udp(1, 2).payload(&long).build()),
        (TooBig, up6("2001:db8:20::7").udp(1, 2).payload(&long).build()),
        (Unreachable, datagram(up4("10.77.0.1"))),
        (Unreachable, datagram(up6("2001:db8:77::1"))),
        (Unresolved, datagram(up4("10.0.20.99"))),
        (Unresolved, datagram(up6("2001:db8:20::99"))),
        (OptionInvalid, datagram(up4("192.0.2.80").options(&[7, 1, 4, 0]))),
    ];
    for (reason, frame) in &cases {
        assert_eq!(verdict(Side::Lan, frame.clone()), Verdict::Punt(*reason), "{frame:02x?}");
    }
    let told = |reason: &PuntReason| cases.iter().any(|(told, _)| told == reason);
    // That takes a tap, services, or VIPs.
    let elsewhere = [PuntReason::Group, PuntReason::NoServer, PuntReason::TunnelTooBig, PuntReason::Vip];
    let missing = PuntReason::ALL.iter().find(|reason| !elsewhere.contains(reason) && !told(reason));
    assert_eq!(missing, None, "all other reasons are here");
}

/// The same with a tap on the LAN's port, and an address there that is this node's alone.
fn hosting() -> Router {
    let mut routing = routing();
    for interface in [0, 2] {
        routing.interfaces[interface].tapped = true;
    }
    routing.interfaces[0].addresses.push("10.0.0.11/24".parse().unwrap());
    routing.interfaces[0].management.push(ip("10.0.0.11"));
    router_of(&routing, UPLINK)
}

/// Of a node that owns nothing: what is for the gateway itself is for control to share out.
fn verdict_of_host(side: Side, frame: Vec<u8>) -> Verdict {
    let other = member(2, 2..2, Tracking::All);
    Node::routed(&other, hosting()).verdict(side, MemFrame::new(frame))
}

#[test]
fn what_is_for_the_gateway_itself_is_left_to_control_before_it_is_tracked() {
    for (side, frame) in [
        (Side::Lan, up4("10.0.0.1").tcp(4000, 22).seq(1).syn().build()),
        // No flow knows of it.
        (Side::Lan, up4("10.0.0.1").tcp(4000, 22).seq(2).ack(10).build()),
        (Side::Lan, up4("10.0.0.11").tcp(4000, 22).seq(2).ack(10).build()),
        (Side::Lan, up6("2001:db8:ff::2").tcp(4000, 179).seq(2).ack(10).build()),
        (Side::Wan, eth(UPLINK, TO_WAN).ip(SERVER, "198.51.100.2".parse().unwrap()).udp(1, 2).build()),
    ] {
        let mut node = Node::routed(&Config::default(), hosting());
        assert_eq!(node.verdict(side, MemFrame::new(frame)), Verdict::Punt(PuntReason::Local));
        assert!(node.flows().is_empty());
    }
    assert_eq!(verdict_of_host(Side::Lan, datagram(up4("10.0.0.1"))), Verdict::Punt(PuntReason::Local));
    let spoofed = datagram(up().ip(Ipv4Addr::new(10, 0, 20, 7), Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(verdict_of_host(Side::Lan, spoofed), Verdict::Drop(DropReason::ReversePath));
}

#[test]
fn what_is_for_this_node_alone_comes_to_its_own_mac_address_and_nothing_else_does() {
    let own = || eth(HOST, FROM_LAN);
    let to =
        |link: Link, destination: &str| datagram(link.ip(CLIENT, destination.parse::<Ipv4Addr>().unwrap()));
    assert_eq!(verdict_of_host(Side::Lan, to(own(), "10.0.0.11")), Verdict::Punt(PuntReason::Local));
    let question = own().arp_request(CLIENT, Ipv4Addr::new(10, 0, 0, 11));
    assert_eq!(verdict_of_host(Side::Lan, question), Verdict::Punt(PuntReason::Arp));
    for other in [
        to(own(), "192.0.2.80"),
        // Another node's address, at its MAC address.
        to(eth(HOST, Mac::host(0xc)), "10.0.0.12"),
        to(eth(HOST, Mac::host(0xc)), "10.0.0.11"),
    ] {
        assert_eq!(verdict_of_host(Side::Lan, other), Verdict::Drop(DropReason::OtherHost));
    }
    // The other side's port has none, and its MAC address is no router's.
    let wan = eth(UPLINK, FROM_WAN).ip(SERVER, Ipv4Addr::new(10, 0, 0, 11));
    assert_eq!(verdict_of_host(Side::Wan, datagram(wan)), Verdict::Drop(DropReason::OtherHost));
}

#[test]
fn groups_of_the_link_are_heard_where_the_kernel_has_a_tap() {
    let to = |group: &str| {
        let group: Ipv4Addr = group.parse().unwrap();
        let [_, b, c, d] = group.octets();
        let mac = if group.is_broadcast() { Mac::BROADCAST } else { Mac([1, 0, 0x5e, b & 0x7f, c, d]) };
        datagram(eth(HOST, mac).ip(CLIENT, group))
    };
    let to6 = |group: &str| {
        let group: Ipv6Addr = group.parse().unwrap();
        datagram(eth(HOST, Mac::multicast_v6(group)).ip(CLIENT6, group))
    };
    let group = Verdict::Punt(PuntReason::Group);
    for frame in [to("224.0.0.5"), to("255.255.255.255"), to6("ff02::5"), to6("ff02::1:2")] {
        assert_eq!(verdict_of_host(Side::Lan, frame.clone()), group, "{frame:02x?}");
        assert_eq!(verdict_of_host(Side::Wan, frame), Verdict::Drop(DropReason::Multicast));
    }
    for frame in [to("224.0.2.1"), to("239.1.1.1"), to6("ff05::2"), to6("ff1e::1")] {
        assert_eq!(verdict_of_host(Side::Lan, frame), Verdict::Drop(DropReason::Multicast));
    }
}

#[test]
fn timestamps_are_signed_for_any_address_of_the_gateway_and_routes_with_the_one_it_leaves_by() {
    let sent = |options: &[u8]| {
        let mut node = node();
        let frame = datagram(up4("192.0.2.80").options(options));
        assert_eq!(node.verdict(Side::Lan, MemFrame::new(frame)), Verdict::Forward(port(Side::Wan)));
        let (_, frame) = node.departed().remove(0);
        frame[34..34 + options.len()].to_vec()
    };
    // Record route (RFC 791 3.1): by the WAN's address.
    assert_eq!(sent(&[7, 7, 4, 0, 0, 0, 0, 0]), [7, 7, 8, 198, 51, 100, 2, 0]);
    // A timestamp of who has the address of the VLAN, which the packet does not come near.
    let signed = sent(&[68, 12, 5, 3, 10, 0, 20, 1, 0, 0, 0, 0]);
    assert_eq!(signed[..8], [68, 12, 13, 3, 10, 0, 20, 1]);
    let other = [68, 12, 5, 3, 10, 0, 20, 9, 0, 0, 0, 0];
    assert_eq!(sent(&other), other);
}

/// Two nodes that are one router, and beside each one of its kind that does not hear what the other has forwarded.
struct Pair {
    nodes: [Node; 2],
    deaf: [Node; 2],
    forwarded: [usize; 2],
}

impl Pair {
    fn new() -> Self {
        let of = |bucket: usize| Node::routed(&member(2, bucket..bucket + 1, Tracking::All), router());
        Self { nodes: [0, 1].map(of), deaf: [0, 1].map(of), forwarded: [0; 2] }
    }

    /// A frame to the cluster's MAC address, which both nodes hear. One forwards it, and the other hears that too.
    fn send(&mut self, side: Side, frame: &[u8]) {
        let verdicts = self.nodes.each_mut().map(|node| node.verdict(side, MemFrame::new(frame)));
        let alone = self.deaf.each_mut().map(|node| node.verdict(side, MemFrame::new(frame)));
        assert_eq!(verdicts, alone, "{frame:02x?}");
        let out = port(side.other());
        let owner = usize::from(verdicts[0] != Verdict::Forward(out));
        assert_eq!((verdicts[owner], verdicts[1 - owner]), (Verdict::Forward(out), Verdict::Shadow));
        self.forwarded[owner] += 1;
        let left = self.nodes[owner].departed();
        assert_eq!(left.len(), 1);
        for (side, frame) in left {
            let heard = self.nodes[1 - owner].verdict(side, MemFrame::new(frame.as_slice()));
            assert_eq!(heard, Verdict::Shadow, "{frame:02x?}");
            // A switch that does not know the next hop yet floods its frames to who has sent them too.
            let own = self.nodes[owner].verdict(side, MemFrame::new(frame));
            assert_eq!(own, Verdict::Drop(DropReason::OtherHost));
        }
        assert_eq!(self.nodes[1 - owner].departed(), []);
    }

    /// A connection that is opened, and a datagram that is answered.
    fn talk<A: Address>(&mut self, client: A, server: A, client_port: u16) {
        let up = || up().ip(client, server);
        let down = || eth(UPLINK, TO_WAN).ip(server, client);
        self.send(Side::Lan, &up().tcp(client_port, 80).seq(1).syn().build());
        self.send(Side::Wan, &down().tcp(80, client_port).seq(9).syn().ack(2).build());
        self.send(Side::Lan, &up().tcp(client_port, 80).seq(2).ack(10).build());
        self.send(Side::Lan, &up().tcp(client_port, 80).seq(2).ack(10).payload(b"GET /").build());
        self.send(Side::Wan, &down().tcp(80, client_port).seq(10).ack(7).payload(b"200 OK").build());
        self.send(Side::Lan, &up().udp(client_port, 53).payload(b"?").build());
        self.send(Side::Wan, &down().udp(53, client_port).payload(b"!").build());
    }
}

/// The flows of a node, to compare.
fn flows(node: &Node) -> Vec<String> {
    let mut flows: Vec<String> = node.flows().iter().map(|flow| format!("{flow:?}")).collect();
    flows.sort();
    flows
}

#[test]
fn what_another_node_has_forwarded_changes_nothing_a_second_time() {
    let mut pair = Pair::new();
    for n in 0..TALKS {
        pair.talk(client(n), SERVER, 4000);
        pair.talk(client6(n), SERVER6, 4000);
    }
    assert!(pair.forwarded.iter().all(|frames| *frames > 50), "{:?}", pair.forwarded);
    for (node, deaf) in pair.nodes.iter().zip(&pair.deaf) {
        assert_eq!(node.flows().len(), usize::from(TALKS) * 4);
        assert_eq!(flows(node), flows(deaf));
    }
}

#[test]
fn what_control_has_no_room_for_is_a_counted_drop() {
    const FRAMES: u64 = 2000;
    let queues = [MemQueue::new(), MemQueue::new()];
    let (end, control) = punt::new();
    let (_, mesh) = Mesh::new(1, [WorkerId::default(); PORTS_MAX]).into_iter().enumerate().next().unwrap();
    let ports = [Side::Lan, Side::Wan].map(|side| {
        let queue = Some(queues[side as usize].clone());
        WorkerPort { port: port(side), rx: queue.clone(), tx: queue, spread: Spread::None }
    });
    let (mut worker, handle) = Worker::new(Setup {
        id: WorkerId::default(),
        ports: ports.into(),
        mesh,
        control: end,
        clock: MemClock::default(),
        idle: Idle::Backoff,
        limits: Limits { flows_max: 64, expectations_max: 1 },
        secret: 1,
        snapshot: Arc::new(Snapshot::compile(Epoch::FIRST, &Config::default()).with_router(router())),
    });
    for _ in 0..FRAMES {
        queues[0].push(MemFrame::new(eth(HOST, Mac::BROADCAST).arp_request(CLIENT, TAGGED)));
    }
    while worker.turn() > 0 {}
    let counters = handle.counters();
    let (punted, dropped) =
        (counters.punts[PuntReason::Arp.index()].read(), counters.drops[DropReason::PuntFull.index()].read());
    assert!(punted > 0 && dropped > 0 && punted + dropped == FRAMES, "{punted} {dropped}");
    assert_eq!(counters.verdicts[Verdict::Punt(PuntReason::Arp).index()].read(), punted);
    drop(control);
}
