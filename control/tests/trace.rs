//! The text of a trace, as `tests/traces` has it.
//!
//! `BLESS=1 cargo test -p weir-control --test trace` writes the texts anew; read them before committing.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use weir_control::observe::trace::TakerRow;
use weir_control::observe::trace_text;
use weir_control::observe::{TraceEnd, TraceEvent};
use weir_control::runtime::traced::{self, Names};
use weir_dataplane::config::route::{Interface, NextHop, ReversePath, Route, Routing, Target, VipAddress};
use weir_dataplane::config::service::{self, Fallback, Place, Scheduler, Selector, ServerState};
use weir_dataplane::config::vip::{HashMode, Nodes};
use weir_dataplane::config::{Config, Tracking, Vip};
use weir_dataplane::gate::cluster_match::ClusterMatch;
use weir_dataplane::steer::Router;
use weir_dataplane::steer::route::{Adjacencies, Neighbour};
use weir_dataplane::trace::{Filter, Told, Trace};
use weir_dataplane::units::{BucketId, InterfaceId, ServerId, ServiceId, VipId};
use weir_dataplane::wire::{IpProtocol, MacAddr};
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::node::{Node, bridge, member, port};
use weir_tests::packet::{Ip, Link, Mac, eth};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const HOST: Mac = Mac::host(7);
const UPLINK: Mac = Mac::host(9);
const TO_LAN: Mac = Mac([1, 0, 0x5e, 0, 1, 1]);
const TO_WAN: Mac = Mac([1, 0, 0x5e, 0, 1, 2]);
/// 2026-01-02 03:04:05.678.
const TIME_MS: u64 = 1_767_323_045_678;

/// A node that is traced, and what it is told to be called.
struct Traced {
    node: Node,
    trace: Arc<Trace>,
    config: Config,
    interfaces: Option<Vec<&'static str>>,
    services: BTreeMap<ServiceId, &'static str>,
    servers: BTreeMap<ServerId, TakerRow>,
    text: String,
}

impl Traced {
    fn new(mut node: Node, config: Config, interfaces: Option<Vec<&'static str>>) -> Self {
        let trace = node.trace(64, Filter::default());
        let (services, servers) = (BTreeMap::new(), BTreeMap::new());
        Self { node, trace, config, interfaces, services, servers, text: String::new() }
    }

    /// Takes a frame in, and notes what is told of it under what it is about.
    fn take(&mut self, about: &str, side: Side, bytes: Vec<u8>) {
        let client = SERVER.into();
        self.node.take(&[Passage { client, fate: Fate::Flow, at_us: 0, side, bytes }]);
        self.text += &format!("# {about}\n");
        let ports = ["lan".to_owned(), "wan".to_owned()];
        let members = vec!["gw1".to_owned()];
        let interfaces = self.interfaces.clone();
        let cluster = self.config.cluster.as_ref();
        let (services, servers) = (self.services.clone(), self.servers.clone());
        let names = Names { ports: &ports, interfaces, cluster, members, services, servers };
        for told in std::iter::from_fn(|| self.trace.pop()) {
            let (time_ms, worker) = (TIME_MS, 0);
            let event = match told {
                Told::Frame(frame) => {
                    TraceEvent::Frame(Box::new(traced::frame(worker, time_ms, &frame, &names)))
                }
                Told::Released { number, verdict } => TraceEvent::Released {
                    time_ms,
                    worker,
                    number,
                    outcome: traced::outcome(verdict, &names),
                },
                Told::Sent(view) => {
                    TraceEvent::Sent { time_ms, worker, frame: Box::new(traced::view(&view, &names)) }
                }
            };
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<TraceEvent>(&json).unwrap(), event, "it survives the socket");
            self.text += &trace_text::event(&event).unwrap();
        }
    }

    fn check(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces").join(name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &self.text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == self.text, "{} is not what is printed:\n{}", path.display(), self.text);
    }
}

fn interface(side: Side, mac: Mac, address: &str, reverse_path: ReversePath) -> Interface {
    Interface {
        port: port(side),
        vlan: None,
        mac: MacAddr(mac.0),
        source_mac: MacAddr(Mac::host(0xa + side as u32).0),
        mtu: 1500,
        addresses: vec![address.parse().unwrap()],
        reverse_path,
        management: Vec::new(),
        vips: Vec::new(),
        tapped: false,
    }
}

fn router(hosts: &[IpAddr]) -> Router {
    let id = |number| InterfaceId::new(number).unwrap();
    let uplink: IpAddr = "198.51.100.1".parse().unwrap();
    let weight = 1.try_into().unwrap();
    let via = Target::Via(vec![NextHop { interface: id(1), gateway: Some(uplink), weight }]);
    let routes = [("192.0.2.0/24", via), ("10.66.0.0/16", Target::Blackhole)];
    let routing = Routing {
        interfaces: vec![
            interface(Side::Lan, TO_LAN, "10.0.0.1/16", ReversePath::Strict),
            interface(Side::Wan, TO_WAN, "198.51.100.2/24", ReversePath::Off),
        ],
        routes: routes.map(|(to, target)| Route { to: to.parse().unwrap(), target }).into(),
    };
    let router = Router::compile(&routing);
    let hosts = hosts.iter().map(|host| (0, *host, HOST)).chain([(1, uplink, UPLINK)]);
    let known = hosts.map(|(at, address, mac)| Neighbour { interface: id(at), address, mac: MacAddr(mac.0) });
    let adjacencies = Adjacencies::compile(&routing, router.fib(), |_| true, known);
    router.with_neighbours(Arc::new(adjacencies))
}

fn up(client: Ipv4Addr) -> Ip<Ipv4Addr> {
    eth(HOST, TO_LAN).ip(client, SERVER)
}

fn down(client: Ipv4Addr) -> Ip<Ipv4Addr> {
    eth(UPLINK, TO_WAN).ip(SERVER, client)
}

/// Frames that the router's node owns, and what is told of them.
fn routed(traced: &mut Traced, ours: Ipv4Addr) {
    let syn = || up(ours).tcp(40_000, 80).seq(1).syn();
    traced.take("a connection is opened", Side::Lan, syn().build());
    traced.take("and answered", Side::Wan, down(ours).tcp(80, 40_000).seq(9).syn().ack(2).build());
    traced.take(
        "a segment far outside the window",
        Side::Wan,
        down(ours).tcp(80, 40_000).seq(1 << 30).ack(2).build(),
    );
    let error = down(ours).icmp(3, 1, [0; 4]).quote(&syn().build(), 28).build();
    traced.take("an error about it", Side::Wan, error);
    traced.take("the last hop", Side::Lan, up(ours).hop_limit(1).udp(5000, 53).build());
    let to = |destination: &str| eth(HOST, TO_LAN).ip(ours, destination.parse::<Ipv4Addr>().unwrap());
    traced.take("no route", Side::Lan, to("203.0.113.9").udp(5000, 53).build());
    traced.take("a blackhole", Side::Lan, to("10.66.0.9").udp(5000, 53).build());
    traced.take("a host that nobody knows", Side::Lan, to("10.0.9.9").udp(5000, 53).build());
    traced.take("to the gateway itself", Side::Lan, to("10.0.0.1").echo_request(1, 1).build());
}

#[test]
fn each_stage_of_a_router_says_what_it_decides() {
    let config = member(2, 0..1, Tracking::All);
    let matcher = ClusterMatch::compile(config.cluster.as_ref().unwrap());
    let clients = || (2..=200).map(|n| Ipv4Addr::new(10, 0, 0, n));
    let client_of = |node| clients().find(|client| matcher.bucket((*client).into()).index() == node).unwrap();
    let (ours, theirs) = (client_of(0), client_of(1));
    let node = Node::routed(&config, router(&[ours.into(), theirs.into()]));
    let mut traced = Traced::new(node, config, Some(vec!["lan", "wan"]));
    routed(&mut traced, ours);
    let request = |link: Link| link.ip(theirs, SERVER).tcp(40_000, 80).seq(1).syn().build();
    traced.take("a connection of another node's", Side::Lan, request(eth(HOST, TO_LAN)));
    traced.take("which that has forwarded", Side::Wan, request(eth(Mac::host(0xc), UPLINK)));
    traced.take("a source that cannot be", Side::Lan, up(Ipv4Addr::LOCALHOST).udp(1, 2).build());
    traced.take("a source from elsewhere", Side::Lan, up(Ipv4Addr::new(192, 0, 2, 9)).udp(1, 2).build());
    traced.take("to another station", Side::Lan, eth(HOST, Mac::host(5)).ip(ours, SERVER).udp(1, 2).build());
    let asked = eth(HOST, Mac::BROADCAST).arp_request(ours, Ipv4Addr::new(10, 0, 0, 1));
    traced.take("a question for the gateway's MAC address", Side::Lan, asked);
    traced.check("router.txt");
}

#[test]
fn the_node_of_a_packet_to_a_vip_is_said() {
    let (address, mac) = (Ipv4Addr::new(10, 0, 0, 200), MacAddr([1, 0, 0x5e, 0, 0, 0x20]));
    let mut lan = interface(Side::Lan, TO_LAN, "10.0.0.1/16", ReversePath::Strict);
    lan.addresses.push("10.0.0.200/32".parse().unwrap());
    lan.vips.push(VipAddress { address: address.into(), mac });
    let vip = Vip {
        id: VipId::default(),
        address: address.into(),
        hash_mode: HashMode::Source,
        total_nodes: 2,
        hash_init: 0,
        nodes: Nodes::Local(BucketId::new(0).into_iter().collect()),
    };
    let config = Config { vips: vec![vip], ..Config::default() };
    let routing = Routing { interfaces: vec![lan], routes: Vec::new() };
    let node = Node::routed(&config, Router::compile(&routing));
    let mut traced = Traced::new(node, config, Some(vec!["lan"]));
    let to = |client: u8| eth(HOST, Mac(mac.0)).ip(Ipv4Addr::new(10, 0, 0, client), address);
    for client in 7..=10 {
        traced.take("a client", Side::Lan, to(client).tcp(40_000, 80).seq(1).syn().build());
    }
    let answer = eth(Mac::host(0xa), HOST).ip(address, Ipv4Addr::new(10, 0, 0, 7)).tcp(80, 40_000).build();
    let error = to(7).icmp(3, 1, [0; 4]).quote(&answer, 28).build();
    traced.take("an error", Side::Lan, error);
    traced.check("vip.txt");
}

#[test]
fn each_stage_of_a_bridge_says_what_it_decides() {
    let client = Ipv4Addr::new(10, 0, 0, 7);
    let up = || eth(HOST, Mac::host(8)).ip(client, SERVER);
    let mut traced = Traced::new(Node::new(&bridge()), bridge(), None);
    traced.take("a question", Side::Lan, up().udp(5000, 53).payload(b"?").build());
    let mut broken = up().udp(5000, 53).build();
    broken[24] ^= 1;
    traced.take("a broken header", Side::Lan, broken);
    traced.take("a segment of no flow", Side::Lan, up().tcp(1, 2).seq(1).rst().build());
    let whole = up().udp(5000, 5001).payload(&[7; 56]).build();
    let part = |from: usize, to: usize| {
        let ip = up().id(7).fragment(u16::try_from(from).unwrap(), to < 64);
        ip.protocol(17).payload(&whole[34 + from..34 + to]).build()
    };
    traced.take("half a datagram", Side::Lan, part(0, 32));
    traced.take("and the other half", Side::Lan, part(32, 64));
    traced.take("no IP", Side::Lan, eth(HOST, Mac::host(8)).vlan(20).ethertype(0x88b5, b"an experiment"));
    traced.take("a runt", Side::Lan, vec![1, 2, 3]);
    traced.check("bridge.txt");
}

#[test]
fn how_a_trace_ends_is_said() {
    let remark = |event| trace_text::remark(&event).unwrap();
    let end = |reason, missed| TraceEvent::End { reason, frames: 7, missed };
    assert_eq!(remark(end(TraceEnd::Count, 0)), "7 frames; that is as many as were asked for");
    assert_eq!(remark(end(TraceEnd::Time, 2)), "7 frames, 2 missed; the time is up");
    assert_eq!(
        remark(TraceEvent::Missed { worker: 1, frames: 2 }),
        "worker 1 had more to tell than there was room for: 2 frames are missed"
    );
}

/// A service at [`SERVER`], with one server by its address and one by its MAC address.
fn web(fallback: Fallback, state: ServerState) -> service::Services {
    let id = |index| ServerId::new(index).unwrap();
    let beside = Place::Mac(InterfaceId::new(0).unwrap(), MacAddr(Mac::host(0x51).0));
    let servers = [Place::Address([10, 0, 0, 80].into()), beside];
    let servers = servers.into_iter().enumerate();
    let service = service::Service {
        id: ServiceId::FIRST,
        selector: Some(Selector::Address { protocol: IpProtocol::TCP, address: SERVER.into(), port: 80 }),
        scheduler: Scheduler::Rr,
        persistence: None,
        servers: servers
            .map(|(i, place)| service::Server { state, ..service::Server::new(id(i), place) })
            .collect(),
        fallback,
    };
    service::Services { services: vec![service], ..service::Services::default() }
}

#[test]
fn the_server_of_a_service_is_said_and_that_there_is_none() {
    let ours = Ipv4Addr::new(10, 0, 0, 7);
    let config = Config::default();
    let hosts = [ours.into(), [10, 0, 0, 80].into()];
    let node = Node::serving(&config, router(&hosts), &web(Fallback::Reject, ServerState::Up));
    let mut traced = Traced::new(node, config.clone(), Some(vec!["lan", "wan"]));
    let taker =
        |server: &str, address| TakerRow { service: "web".to_owned(), server: server.to_owned(), address };
    traced.services = BTreeMap::from([(ServiceId::FIRST, "web")]);
    let servers = [taker("web1", Some([10, 0, 0, 80].into())), taker("web2", None)];
    traced.servers =
        servers.into_iter().enumerate().map(|(i, row)| (ServerId::new(i).unwrap(), row)).collect();
    let syn = |port| up(ours).tcp(port, 80).seq(1).syn().build();
    traced.take("a connection", Side::Lan, syn(40_001));
    traced.take("another one", Side::Lan, syn(40_002));
    traced.take("what is no service's", Side::Lan, up(ours).udp(5000, 53).build());
    for (version, fallback) in [(2, Fallback::Reject), (3, Fallback::Drop)] {
        traced.node.serve(&config, version, &web(fallback, ServerState::Dead));
        traced.take("without a server", Side::Lan, syn(41_000));
    }
    traced.check("service.txt");
}
