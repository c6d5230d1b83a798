//! Services on the packet path: which server a connection goes to, that it stays there, and what becomes of it when no
//! server can take it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and counts to small numbers"
)]

mod heirs;

mod carrying;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use weir_dataplane::config::route::{Interface, NextHop, ReversePath, Route, Routing, Target};
use weir_dataplane::config::service::{
    Assignment, Fallback, Method, Persistence, Place, Scheduler, Selector, Server, ServerState, Service,
    Services,
};
use weir_dataplane::config::{Config, Rule, Tracking};
use weir_dataplane::counters::{DropReason, PuntReason, Verdict};
use weir_dataplane::port::mem::MemFrame;
use weir_dataplane::steer::Router;
use weir_dataplane::steer::route::{Adjacencies, Neighbour};
use weir_dataplane::trace::{Filter, Told};
use weir_dataplane::units::{InterfaceId, Mark, ServerId, ServiceId, Span};
use weir_dataplane::wire::{IpProtocol, MacAddr};
use weir_tests::conversation::Side;
use weir_tests::node::{Node, port};
use weir_tests::packet::{Flags, Link, Mac, eth};

/// One of the gateway's own addresses, which the servers have as well.
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 80);
/// The same over IPv6.
const VIP6: &str = "2001:db8:1::80/64";
/// A site in the world.
const SITE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const TO_LAN: Mac = Mac([1, 0, 0x5e, 0, 1, 1]);
const TO_WAN: Mac = Mac([1, 0, 0x5e, 0, 1, 2]);
const FROM_WAN: Mac = Mac::host(0xb);
const CLIENT: Mac = Mac::host(7);
const UPLINK: Mac = Mac::host(9);

fn client(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 100 + n)
}

/// The servers are beside the WAN's router.
fn address(server: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, 11 + u8::try_from(server).unwrap())
}

fn address6(server: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 11 + u16::try_from(server).unwrap())
}

fn mac(server: usize) -> Mac {
    Mac::host(0x50 + u32::try_from(server).unwrap())
}

fn id(interface: usize) -> InterfaceId {
    InterfaceId::new(interface).unwrap()
}

fn router() -> Router {
    knowing(4, Router::compile(&routing()))
}

/// A router that knows where so many of the servers are.
fn knowing(servers: usize, router: Router) -> Router {
    let beside =
        |address: IpAddr, mac: Mac, at| Neighbour { interface: id(at), address, mac: MacAddr(mac.0) };
    let servers4 = (0..servers).map(|server| beside(address(server).into(), mac(server), 1));
    let servers6 = (0..servers).map(|server| beside(address6(server).into(), mac(server), 1));
    let clients = (0..100).map(|n| beside(client(n).into(), CLIENT, 0));
    let known = servers4.chain(servers6).chain(clients).chain([beside([198, 51, 100, 1].into(), UPLINK, 1)]);
    let adjacencies = Adjacencies::compile(&routing(), router.fib(), |_| true, known);
    router.with_neighbours(Arc::new(adjacencies))
}

fn routing() -> Routing {
    let interface = |side, mac: Mac, source_mac: Mac, addresses: &[&str]| Interface {
        port: port(side),
        vlan: None,
        mac: MacAddr(mac.0),
        source_mac: MacAddr(source_mac.0),
        mtu: 1500,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        management: Vec::new(),
        vips: Vec::new(),
        tapped: true,
        reverse_path: ReversePath::Loose,
    };
    let gateway = "198.51.100.1".parse().ok();
    let uplink = NextHop { interface: id(1), gateway, weight: 1.try_into().unwrap() };
    Routing {
        interfaces: vec![
            interface(Side::Lan, TO_LAN, Mac::host(0xa), &["10.0.0.1/24", "10.0.0.80/24", VIP6]),
            interface(Side::Wan, TO_WAN, FROM_WAN, &["198.51.100.2/24", "2001:db8:2::2/64"]),
        ],
        routes: vec![
            Route { to: "0.0.0.0/0".parse().unwrap(), target: Target::Via(vec![uplink]) },
            Route { to: "192.0.2.0/24".parse().unwrap(), target: Target::Unreachable },
        ],
    }
}

fn server(index: usize) -> Server {
    Server::new(ServerId::new(index).unwrap(), Place::Address(address(index).into()))
}

fn service(selector: Selector, scheduler: Scheduler, servers: &[Server]) -> Service {
    Service {
        id: ServiceId::FIRST,
        selector: Some(selector),
        scheduler,
        persistence: None,
        servers: servers.to_vec(),
        fallback: Fallback::Reject,
    }
}

fn web(scheduler: Scheduler, servers: &[Server]) -> Services {
    let selector = Selector::Address { protocol: IpProtocol::TCP, address: VIP.into(), port: 80 };
    Services { services: vec![service(selector, scheduler, servers)], ..Services::default() }
}

fn dns(servers: &[Server]) -> Services {
    let selector = Selector::Address { protocol: IpProtocol::UDP, address: VIP.into(), port: 53 };
    Services { services: vec![service(selector, Scheduler::Rr, servers)], ..Services::default() }
}

fn node(services: &Services) -> Node {
    Node::serving(&Config::default(), router(), services)
}

fn up() -> Link {
    eth(CLIENT, TO_LAN)
}

fn segment(n: u8, destination: Ipv4Addr, flags: Flags) -> Vec<u8> {
    let header = up().ip(client(n), destination).tcp(40_000, 80).flags(flags);
    if flags == Flags::SYN { header.build() } else { header.seq(1).ack(1).build() }
}

fn syn(n: u8) -> Vec<u8> {
    segment(n, VIP, Flags::SYN)
}

fn ack(n: u8) -> Vec<u8> {
    segment(n, VIP, Flags::ACK)
}

fn question(n: u8) -> Vec<u8> {
    up().ip(client(n), VIP).udp(5000, 53).payload(b"a question").build()
}

fn verdict(node: &mut Node, frame: Vec<u8>) -> Verdict {
    node.verdict(Side::Lan, MemFrame::new(frame))
}

/// Which station a frame is sent on to; that nothing else has changed but the hops that are left.
fn next(node: &mut Node, frame: &[u8]) -> Mac {
    assert_eq!(verdict(node, frame.to_vec()), Verdict::Forward(port(Side::Wan)));
    let (_, left) = node.departed().pop().unwrap();
    assert_eq!(left[6..12], FROM_WAN.0);
    assert_eq!(left[22], frame[22] - 1);
    assert_eq!((&left[12..22], &left[23..24]), (&frame[12..22], &frame[23..24]));
    assert_eq!(left[26..], frame[26..], "all but the header's checksum");
    Mac(left[..6].try_into().unwrap())
}

fn active(node: &Node, server: usize) -> (u64, u64) {
    let cells = node.counters().server(ServerId::new(server).unwrap());
    (cells.active.read(), cells.inactive.read())
}

#[test]
fn a_connection_goes_to_a_server_by_its_mac_address_and_stays_there() {
    let mut node = node(&web(Scheduler::Rr, &[server(0), server(1), server(2)]));
    let first: Vec<Mac> = (0..6).map(|n| next(&mut node, &syn(n))).collect();
    assert_eq!(first, [0, 1, 2, 0, 1, 2].map(mac));
    for n in [3, 0, 5, 4] {
        assert_eq!(next(&mut node, &ack(n)), first[usize::from(n)]);
        assert_eq!(
            next(&mut node, &segment(n, VIP, Flags(Flags::ACK.0 | Flags::PSH.0))),
            first[usize::from(n)]
        );
    }
    assert_eq!((0..3).map(|server| active(&node, server)).collect::<Vec<_>>(), [(2, 0); 3]);
    next(&mut node, &segment(0, VIP, Flags(Flags::ACK.0 | Flags::FIN.0)));
    assert_eq!(active(&node, 0), (1, 1), "over, and not yet forgotten");
    let cells = node.counters().server(ServerId::FIRST);
    assert_eq!((cells.connections.read(), cells.answered.read(), cells.packets.read()), (2, 2, 7));
    assert_eq!(cells.bytes.read(), 7 * 40);
}

#[test]
fn what_is_to_the_address_and_no_services_is_the_gateways_own() {
    let mut node = node(&web(Scheduler::Rr, &[server(0)]));
    let ssh = up().ip(client(0), VIP).tcp(40_000, 22).flags(Flags::SYN).build();
    assert_eq!(verdict(&mut node, ssh), Verdict::Punt(PuntReason::Local));
    let echo = up().ip(client(0), VIP).echo_request(1, 1).build();
    assert_eq!(verdict(&mut node, echo), Verdict::Punt(PuntReason::Local));
}

#[test]
fn a_segment_that_opens_nothing_is_nobodys() {
    let mut node = node(&web(Scheduler::Rr, &[server(0)]));
    assert_eq!(verdict(&mut node, ack(0)), Verdict::Punt(PuntReason::Local), "the kernel resets it");
    let elsewhere = segment(0, SITE, Flags::ACK);
    assert_eq!(verdict(&mut node, elsewhere), Verdict::Drop(DropReason::InvalidNoFlow));
}

#[test]
fn without_a_server_a_connection_ends_as_its_service_says() {
    let dead = Server { state: ServerState::Dead, ..server(0) };
    let quiet = Server { weight: 0, ..server(1) };
    for (fallback, expected) in [
        (Fallback::Reject, Verdict::Punt(PuntReason::NoServer)),
        (Fallback::Drop, Verdict::Drop(DropReason::NoServer)),
        (Fallback::Bypass, Verdict::Punt(PuntReason::Local)),
    ] {
        let mut services = web(Scheduler::Wlc, &[dead, quiet]);
        services.services[0].fallback = fallback;
        let mut node = node(&services);
        assert_eq!(verdict(&mut node, syn(0)), expected);
        assert_eq!(node.flows().len(), usize::from(fallback == Fallback::Bypass));
        let cells = node.counters().service(ServiceId::FIRST);
        let counts = [&cells.refused, &cells.dropped, &cells.bypassed].map(|cell| cell.read());
        assert_eq!(counts.iter().sum::<u64>(), 1);
        assert_eq!(counts[fallback_place(fallback)], 1);
    }
    let mut node = node(&web(
        Scheduler::Wlc,
        &[Server { place: Place::Address([198, 51, 100, 200].into()), ..server(0) }],
    ));
    assert_eq!(verdict(&mut node, syn(0)), Verdict::Drop(DropReason::ServerUnresolved));
}

fn fallback_place(fallback: Fallback) -> usize {
    [Fallback::Reject, Fallback::Drop, Fallback::Bypass].iter().position(|of| *of == fallback).unwrap()
}

/// What passes through the gateway to any site is for the caches; what the caches ask for is not.
fn caching(servers: &[Server]) -> Services {
    let source = |subnet: &str| Rule { source: subnet.parse().ok(), ..Rule::default() };
    let pages = Rule {
        protocol: Some(IpProtocol::TCP),
        destination_port: Some(80..=80),
        port: Some(port(Side::Lan)),
        ..Rule::default()
    };
    let service = service(Selector::Mark(Mark(1)), Scheduler::Lblcr(<_>::default()), servers);
    Services {
        marks: vec![(source("198.51.100.0/24"), None), (pages, Some(Mark(1)))],
        services: vec![Service { fallback: Fallback::Bypass, ..service }],
        ..Services::default()
    }
}

#[test]
fn pages_of_the_world_come_from_the_caches_and_without_them_from_their_sites() {
    let config = Config::default();
    let busy = |index| Server { weight: 100, ..server(index) };
    let mut node = node(&caching(&[busy(0), busy(1)]));
    let site = |n| Ipv4Addr::new(203, 0, 113, n);
    let to = |node: &mut Node, n, site| next(node, &segment(n, site, Flags::SYN));
    let by_site: Vec<Mac> = (0..8).map(|n| to(&mut node, n, site(n))).collect();
    assert!(by_site.contains(&mac(0)) && by_site.contains(&mac(1)));
    for n in 8..40 {
        assert_eq!(to(&mut node, n, site(n % 8)), by_site[usize::from(n % 8)], "a site stays with its cache");
    }
    assert_eq!(node.flows()[0].mark, Mark(1));
    let own = eth(mac(0), TO_WAN).ip(address(0), SITE).tcp(50_000, 80).flags(Flags::SYN).build();
    assert_eq!(node.verdict(Side::Wan, MemFrame::new(own)), Verdict::Forward(port(Side::Wan)));
    assert_eq!(node.departed().pop().unwrap().1[..6], UPLINK.0, "a cache asks the site itself");
    let dead = |index| Server { state: ServerState::Dead, ..busy(index) };
    node.serve(&config, 2, &caching(&[dead(0), busy(1)]));
    assert_eq!(to(&mut node, 50, site(0)), mac(1));
    node.serve(&config, 3, &caching(&[dead(0), dead(1)]));
    assert_eq!(to(&mut node, 51, site(0)), UPLINK);
    assert_eq!(next(&mut node, &segment(50, site(0), Flags::ACK)), mac(1), "a connection stays where it is");
}

#[test]
fn datagrams_and_syns_leave_a_dead_server_and_open_connections_do_not() {
    let config = Config::default();
    let all = |state| {
        let mut services = web(Scheduler::Fo, &[Server { state, weight: 9, ..server(0) }, server(1)]);
        let more = dns(&services.services[0].servers).services.remove(0);
        let id = ServiceId::new(1).unwrap();
        services.services.push(Service { id, scheduler: Scheduler::Fo, ..more });
        services
    };
    let mut node = node(&all(ServerState::Up));
    for frame in [syn(0), syn(1), ack(1), question(2)] {
        assert_eq!(next(&mut node, &frame), mac(0));
    }
    node.serve(&config, 2, &all(ServerState::Draining));
    for frame in [syn(0), ack(1), question(2)] {
        assert_eq!(next(&mut node, &frame), mac(0), "what it has it keeps");
    }
    assert_eq!(next(&mut node, &question(3)), mac(1), "and gets no more");
    node.serve(&config, 3, &all(ServerState::Dead));
    assert_eq!(next(&mut node, &syn(0)), mac(1));
    assert_eq!(next(&mut node, &ack(1)), mac(0));
    assert_eq!(next(&mut node, &question(2)), mac(1));
    assert_eq!((active(&node, 0), active(&node, 1)), ((1, 0), (1, 2)));
}

#[test]
fn who_was_told_that_there_is_no_way_may_come_again() {
    let nowhere = Ipv4Addr::new(192, 0, 2, 80);
    let mut node = node(&Services::default());
    let again = segment(0, nowhere, Flags::SYN);
    assert_eq!(verdict(&mut node, again.clone()), Verdict::Punt(PuntReason::Unreachable));
    assert_eq!(node.flows().len(), 0, "nothing is kept of it");
    let selector = Selector::Address { protocol: IpProtocol::TCP, address: nowhere.into(), port: 80 };
    let service = service(selector, Scheduler::Rr, &[server(0)]);
    node.serve(&Config::default(), 2, &Services { services: vec![service], ..Services::default() });
    assert_eq!(next(&mut node, &again), mac(0));
}

#[test]
fn a_server_that_is_gone_keeps_what_it_has_while_it_is_known() {
    let config = Config::default();
    let mut node = node(&web(Scheduler::Fo, &[server(0)]));
    next(&mut node, &syn(0));
    let retired = Server { state: ServerState::Draining, ..server(0) };
    node.serve(&config, 2, &Services { retired: vec![retired], ..web(Scheduler::Fo, &[server(1)]) });
    assert_eq!(next(&mut node, &ack(0)), mac(0));
    assert_eq!(next(&mut node, &syn(1)), mac(1));
    let mut closing = web(Scheduler::Fo, &[retired]);
    closing.services[0].fallback = Fallback::Bypass;
    node.serve(&config, 3, &closing);
    assert_eq!(next(&mut node, &ack(0)), mac(0), "so does a whole service");
    assert_eq!(verdict(&mut node, syn(2)), Verdict::Punt(PuntReason::Local));
    let other = dns(&[server(2)]);
    node.serve(&config, 4, &other);
    assert_eq!(verdict(&mut node, ack(0)), Verdict::Punt(PuntReason::Local));
}

#[test]
fn clients_stay_with_their_server_while_it_lives() {
    let config = Config::default();
    let persistence = Persistence {
        timeout: Span::from_s(300).unwrap(),
        ipv4_prefix_len: 30,
        ipv6_prefix_len: 128,
        clients_max: 1024,
    };
    let of = |first: Server| {
        let mut services = web(Scheduler::Rr, &[first, server(1), server(2)]);
        services.services[0].persistence = Some(persistence);
        services
    };
    let mut node = node(&of(server(0)));
    let other = |n, sport| up().ip(client(n), VIP).tcp(sport, 80).flags(Flags::SYN).build();
    assert_eq!(next(&mut node, &other(0, 1)), mac(0));
    assert_eq!(next(&mut node, &other(4, 1)), mac(1), "of another network");
    assert_eq!(next(&mut node, &other(1, 1)), mac(0));
    assert_eq!(next(&mut node, &other(8, 1)), mac(2));
    node.serve(&config, 2, &of(Server { state: ServerState::Dead, ..server(0) }));
    assert_eq!(next(&mut node, &other(8, 2)), mac(2), "known over a change");
    assert_ne!(next(&mut node, &other(0, 2)), mac(0));
}

#[test]
fn clients_of_both_versions_are_served_alike() {
    let ip = |text: &str| text.parse::<Ipv6Addr>().unwrap();
    let syn = |from, to| up().ip(ip(from), ip(to)).tcp(40_000, 80).flags(Flags::SYN).build();
    let vip = "2001:db8:1::80";
    let server6 = |index| Server { place: Place::Address(address6(index).into()), ..server(index) };
    let mut of = web(Scheduler::Rr, &[server6(0), server6(1)]);
    let (address, timeout) = (vip.parse().unwrap(), Span::from_s(300).unwrap());
    of.services[0].selector = Some(Selector::Address { protocol: IpProtocol::TCP, address, port: 80 });
    of.services[0].persistence =
        Some(Persistence { timeout, ipv4_prefix_len: 32, ipv6_prefix_len: 112, clients_max: 1 << 12 });
    let mut node = node(&of);
    for (client, expected) in [("2001:db8:1::1:1", 0), ("2001:db8:1::2:1", 1), ("2001:db8:1::1:2", 0)] {
        assert_eq!(verdict(&mut node, syn(client, vip)), Verdict::Forward(port(Side::Wan)));
        assert_eq!(next_of_syn(&mut node), mac(expected), "{client}");
    }
    of.services[0].servers.iter_mut().for_each(|server| server.state = ServerState::Dead);
    node.serve(&Config::default(), 2, &of);
    assert_eq!(verdict(&mut node, syn("2001:db8:1::3:1", vip)), Verdict::Punt(PuntReason::NoServer));
    node.serve(&Config::default(), 3, &caching(&[server(2)]));
    for syn in [syn("2001:db8:1::9", "2001:db8:ffff::5"), segment(0, SITE, Flags::SYN)] {
        assert_eq!(verdict(&mut node, syn), Verdict::Forward(port(Side::Wan)));
        assert_eq!(next_of_syn(&mut node), mac(2), "a mark is one service");
    }
}

#[test]
fn rules_assign_flows_to_a_pool_or_to_one_of_its_nodes() {
    let place = |side, index| match side {
        Side::Lan => Place::Address(address(index).into()),
        Side::Wan => Place::Mac(id(1), MacAddr(mac(index).0)),
    };
    let nodes = [(Side::Lan, 0), (Side::Wan, 1)]
        .map(|(side, index)| Server { place: place(side, index), ..server(index) });
    let pool = Service { selector: None, ..service(Selector::Mark(Mark(0)), Scheduler::LeastLoad, &nodes) };
    let to_port = |port| Rule {
        destination: "10.0.0.80".parse().ok(),
        protocol: Some(IpProtocol::TCP),
        destination_port: Some(port..=port),
        ..Rule::default()
    };
    let services = Services {
        assignments: vec![
            (to_port(80), Assignment::Service(ServiceId::FIRST)),
            (to_port(8080), Assignment::Server(ServerId::new(1).unwrap())),
        ],
        services: vec![pool],
        ..Services::default()
    };
    let mut node = node(&services);
    let all: Vec<Mac> = (0..4).map(|n| next(&mut node, &syn(n))).collect();
    assert_eq!(all, [0, 1, 0, 1].map(mac), "the least loaded, the first of equals");
    let fixed = |n| up().ip(client(n), VIP).tcp(7, 8080).flags(Flags::SYN).build();
    for n in 10..14 {
        assert_eq!(next(&mut node, &fixed(n)), mac(1));
    }
    let answer = up().ip(client(15), VIP).tcp(80, 8080).flags(Flags(Flags::SYN.0 | Flags::ACK.0)).ack(1);
    assert_eq!(next(&mut node, &answer.build()), mac(1), "whoever opened it: the port is that node's");
    assert_eq!(next(&mut node, &syn(20)), mac(0));
}

#[test]
fn errors_and_fragments_go_where_their_flow_goes() {
    let mut node = node(&dns(&[server(0), server(1)]));
    let whole = up().ip(client(0), VIP).udp(5000, 53).payload(&[7; 100]).build();
    let part = |offset: u16, range: std::ops::Range<usize>, more| {
        up().ip(client(0), VIP).id(9).fragment(offset, more).protocol(17).payload(&whole[34..][range]).build()
    };
    let (first, last) = (part(0, 0..64, true), part(64, 64..108, false));
    assert_eq!(verdict(&mut node, first), Verdict::Hold);
    assert_eq!(verdict(&mut node, last), Verdict::Forward(port(Side::Wan)));
    let there: Vec<_> =
        node.departed().iter().map(|(_, frame)| Mac(frame[..6].try_into().unwrap())).collect();
    assert_eq!(there, [mac(0); 2]);
    let answer = eth(mac(0), TO_WAN).ip(VIP, client(0)).udp(53, 5000).payload(&[8; 500]).build();
    assert_eq!(node.verdict(Side::Wan, MemFrame::new(answer.clone())), Verdict::Forward(port(Side::Lan)));
    let error = up().ip(client(0), VIP).icmp(3, 3, [0; 4]).quote(&answer, 28).build();
    assert_eq!(next(&mut node, &error), mac(0));
    let replies = node.counters().server(ServerId::FIRST).reply_packets.read();
    assert_eq!(replies, 1);
}

#[test]
fn a_trace_names_the_server_and_not_where_the_destination_is() {
    let mut node = node(&web(Scheduler::Rr, &[server(0)]));
    let trace = node.trace(8, Filter::default());
    next(&mut node, &syn(0));
    let passage = std::iter::from_fn(|| trace.pop()).find_map(|told| match told {
        Told::Frame(passage) => Some(passage),
        _ => None,
    });
    let adjacency = passage.unwrap().course.unwrap().adjacency.unwrap();
    assert_eq!(adjacency.destination, MacAddr(mac(0).0));
}

#[test]
fn a_server_that_is_not_beside_gets_packets_in_packets() {
    let far = Server { method: Method::Ipip, ..server(0) };
    let mut node = node(&web(Scheduler::Rr, &[far]));
    let inner = syn(0);
    assert_eq!(verdict(&mut node, inner.clone()), Verdict::Forward(port(Side::Wan)));
    let (_, left) = node.departed().pop().unwrap();
    assert_eq!((&left[..6], &left[6..12]), (&mac(0).0[..], &FROM_WAN.0[..]));
    assert_eq!((left[23], &left[26..30]), (4, &[198, 51, 100, 2][..]));
    assert_eq!(left[30..34], address(0).octets());
    assert_eq!(left[34 + 8], inner[14 + 8] - 1, "the inner packet has a hop less");
    assert_eq!(left[34 + 12..], inner[14 + 12..]);
    let long = up().ip(client(0), VIP).tcp(40_000, 80).flags(Flags::ACK).payload(&[0; 1460 - 19]).build();
    assert_eq!(verdict(&mut node, long), Verdict::Punt(PuntReason::TooBig));
    let fits = up().ip(client(0), VIP).tcp(40_000, 80).flags(Flags::ACK).payload(&[0; 1460 - 20]).build();
    assert_eq!(verdict(&mut node, fits), Verdict::Forward(port(Side::Wan)));
    let long =
        up().ip(client(0), VIP).fragment(0, false).tcp(40_000, 80).flags(Flags::ACK).payload(&[0; 1441]);
    assert_eq!(verdict(&mut node, long.build()), Verdict::Punt(PuntReason::TunnelTooBig), "RFC 2003 5.1");
}

fn next_of_syn(node: &mut Node) -> Mac {
    Mac(node.departed().pop().unwrap().1[..6].try_into().unwrap())
}
