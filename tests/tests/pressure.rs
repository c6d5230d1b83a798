//! A flow table that fills up: who must go, who stays, and what is counted.
#![allow(
    clippy::cast_possible_truncation,
    reason = "ports and hosts are numbered from small ranges, or at random"
)]

use std::net::Ipv4Addr;
use weir_dataplane::counters::{Cell, DropReason, FlowClass, Verdict};
use weir_dataplane::pipeline::{Limits, Sight};
use weir_dataplane::track::ConnState;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::ladder::{CLIENT, SERVER};
use weir_tests::node::{Node, bridge};
use weir_tests::packet::{Ip, Mac, Tcp, eth};
use weir_tests::rng::Rng;

const FLOWS_MAX: u32 = 4096;

fn node() -> Node {
    Node::with_limits(&bridge(), Limits { flows_max: FLOWS_MAX, expectations_max: 64 })
}

fn from(side: Side, client: Ipv4Addr) -> Ip<Ipv4Addr> {
    match side {
        Side::Lan => eth(Mac::host(1), Mac::host(2)).ip(client, SERVER),
        Side::Wan => eth(Mac::host(2), Mac::host(1)).ip(SERVER, client),
    }
}

/// A segment of the connection from a port of the client's.
fn segment(side: Side, client_port: u16, server_port: u16) -> Tcp<Ipv4Addr> {
    match side {
        Side::Lan => from(side, CLIENT).tcp(client_port, server_port).seq(2).ack(10),
        Side::Wan => from(side, CLIENT).tcp(server_port, client_port).seq(10).ack(2),
    }
}

fn passage(side: Side, bytes: Vec<u8>) -> Passage {
    Passage { client: CLIENT.into(), fate: Fate::Flow, at_us: 0, side, bytes }
}

fn see(node: &mut Node, side: Side, frame: Vec<u8>) -> Sight {
    node.take([&passage(side, frame)])[0]
}

fn open(node: &mut Node, client_port: u16, server_port: u16) {
    let syn = from(Side::Lan, CLIENT).tcp(client_port, server_port).seq(1).syn().build();
    let syn_ack = from(Side::Wan, CLIENT).tcp(server_port, client_port).seq(9).syn().ack(2).build();
    let ack = segment(Side::Lan, client_port, server_port).build();
    for (side, frame) in [(Side::Lan, syn), (Side::Wan, syn_ack), (Side::Lan, ack)] {
        let sight = see(node, side, frame);
        assert!(matches!(sight.verdict, Verdict::Forward(_)), "port {client_port}: {sight:?}");
    }
}

fn is_open(node: &mut Node, client_port: u16, server_port: u16) -> bool {
    see(node, Side::Wan, segment(Side::Wan, client_port, server_port).build()).state
        == Some(ConnState::Established)
}

fn live(node: &Node) -> u64 {
    node.counters().flows.iter().map(Cell::read).sum()
}

/// SYNs of hosts that do not exist.
fn flood(node: &mut Node, rng: &mut Rng, port: u16, count: usize) -> Vec<Sight> {
    let syns: Vec<Passage> = (0..count)
        .map(|_| {
            let [host, source, ..] = [rng.next(), rng.next()];
            let ip = from(Side::Lan, Ipv4Addr::from_bits(host as u32 | 0x4000_0000));
            passage(Side::Lan, ip.tcp(source as u16, port).seq(1).syn().build())
        })
        .collect();
    node.take(&syns)
}

#[test]
fn a_syn_flood_of_ten_tables_takes_no_open_flow() {
    let mut node = node();
    let ports = 1000..3000u16;
    ports.clone().for_each(|port| open(&mut node, port, 80));
    let mut rng = Rng::new(1);
    let rounds = 80;
    for round in 0..rounds {
        let sights = flood(&mut node, &mut rng, 443, 10 * FLOWS_MAX as usize / rounds);
        let passed = |sight: &Sight| sight.state == Some(ConnState::New) && sight.verdict != Verdict::Shadow;
        assert!(sights.iter().all(passed), "each SYN finds room");
        assert!(is_open(&mut node, 1000 + round as u16, 80), "in round {round}");
    }
    assert!(ports.clone().all(|port| is_open(&mut node, port, 80)));
    let counters = node.counters();
    let tcp = counters.protocol(FlowClass::TcpSynSent);
    let created = ports.len() as u64 + 10 * u64::from(FLOWS_MAX);
    // Two random SYNs may have been the same.
    assert!((created - 5..=created).contains(&tcp.created.read()), "{tcp:?}");
    assert_eq!(tcp.created.read(), tcp.evicted.read() + live(&node));
    assert_eq!((tcp.refused.read(), tcp.expired.read()), (0, 0));
    assert_eq!(counters.flows[FlowClass::TcpEstablished.index()].read(), ports.len() as u64);
    let udp = counters.protocol(FlowClass::Udp);
    assert_eq!((udp.created.read(), udp.evicted.read()), (0, 0), "each protocol is counted for itself");
    assert_eq!(counters.flows_max.read(), u64::from(FLOWS_MAX));
}

#[test]
fn flows_that_are_closing_make_room_and_open_ones_never_do() {
    let mut node = node();
    let nearly_full = (FLOWS_MAX * 95 / 100) as u16;
    let opened = 3000..3000 + nearly_full;
    opened.clone().for_each(|port| open(&mut node, port, 80));
    let closing = 3000..3500u16;
    for port in closing.clone() {
        let fin = segment(Side::Lan, port, 80).fin().build();
        assert_eq!(see(&mut node, Side::Lan, fin).state, Some(ConnState::Established));
    }
    assert_eq!(live(&node), u64::from(nearly_full));
    for port in 20_000..20_600u16 {
        open(&mut node, port, 80);
    }
    let established = |node: &Node| node.counters().flows[FlowClass::TcpEstablished.index()].read();
    assert_eq!(established(&node), opened.len() as u64 - closing.len() as u64 + 600);
    let rest = opened.start + 500..opened.end;
    assert!(rest.chain(20_000..20_600).all(|port| is_open(&mut node, port, 80)));
}

#[test]
fn a_new_flow_is_refused_and_counted_when_all_others_are_open() {
    let mut node = node();
    (0..FLOWS_MAX as u16).for_each(|n| open(&mut node, 1000 + n, 80));
    let refused = see(&mut node, Side::Lan, from(Side::Lan, CLIENT).udp(5000, 53).build());
    assert_eq!(refused.verdict, Verdict::Drop(DropReason::TableFull));
    let counters = node.counters();
    assert_eq!(counters.protocol(FlowClass::Udp).refused.read(), 1);
    assert_eq!(counters.flows_total(|cells| &cells.evicted), 0);
}

#[test]
fn a_flood_of_control_connections_takes_no_other_flow() {
    let mut node = node();
    open(&mut node, 1000, 21);
    for port in 2000..2500u16 {
        see(&mut node, Side::Lan, from(Side::Lan, CLIENT).udp(port, 53).build());
    }
    // There is room for a helper in one of four flows.
    let sights = flood(&mut node, &mut Rng::new(3), 21, 2 * FLOWS_MAX as usize);
    assert!(sights.iter().all(|sight| matches!(sight.verdict, Verdict::Forward(_))));
    assert!(is_open(&mut node, 1000, 21));
    assert_eq!(node.counters().flows[FlowClass::Udp.index()].read(), 500);
    open(&mut node, 1001, 21);
}
