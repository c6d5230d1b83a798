//! VIPs on many nodes at once: each has a real pipeline, and all of them hear every frame.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod announced;
mod captured;
mod flows;
mod three;

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::route::{Interface, ReversePath, Routing, VipAddress};
use weir_dataplane::config::vip::{HashMode, Nodes};
use weir_dataplane::config::{BucketSet, Config, Vip};
use weir_dataplane::counters::{DropReason, PuntReason, Verdict};
use weir_dataplane::gate::vip::NodeHash;
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::mem::MemFrame;
use weir_dataplane::steer::Router;
use weir_dataplane::units::{BucketId, VipId};
use weir_dataplane::wire::MacAddr;
use weir_tests::conversation::Side;
use weir_tests::node::{Node, member, port};
use weir_tests::packet::{Address, Ip, Mac, eth, packet_of};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
const VIP_MAC: Mac = Mac([1, 0, 0x5e, 0, 0, 0x20]);
const CLIENT_MAC: Mac = Mac::host(7);

const TAKEN: Verdict = Verdict::Punt(PuntReason::Vip);
const LEFT: Verdict = Verdict::Drop(DropReason::VipNotOwner);

/// The MAC address that a node has alone.
fn own_mac(node: usize) -> Mac {
    Mac([2, 0, 0, 0, 1, u8::try_from(node).unwrap()])
}

/// A network of both families, with a VIP of each.
fn routing(node: usize) -> Routing {
    let own = MacAddr(own_mac(node).0);
    let interface = |side, addresses: &[&str], vips: &[IpAddr]| Interface {
        port: port(side),
        vlan: None,
        mac: own,
        source_mac: own,
        mtu: 1500,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        management: Vec::new(),
        vips: vips.iter().map(|address| VipAddress { address: *address, mac: MacAddr(VIP_MAC.0) }).collect(),
        tapped: true,
        reverse_path: ReversePath::Strict,
    };
    let lan = ["192.0.2.1/16", "2001:db8::1/32", "192.0.2.9/32", "2001:db8::9/128"];
    let interfaces = vec![
        interface(Side::Lan, &lan, &[VIP.into(), VIP6.into()]),
        interface(Side::Wan, &["198.51.100.1/24"], &[]),
    ];
    Routing { interfaces, routes: Vec::new() }
}

fn vips(hash_mode: HashMode, total_nodes: u16, nodes: &Nodes) -> Vec<Vip> {
    let vip = |id, address| {
        let id = VipId::new(id).unwrap();
        Vip { id, address, hash_mode, total_nodes, hash_init: 7, nodes: nodes.clone() }
    };
    vec![vip(0, VIP.into()), vip(1, VIP6.into())]
}

fn only(node: usize) -> Nodes {
    Nodes::Local(BucketSet::from_iter(BucketId::new(node)))
}

/// A gateway with small tables.
fn gateway(config: &Config, routing: &Routing) -> Node {
    routed(config, Router::compile(routing))
}

fn routed(config: &Config, router: Router) -> Node {
    let limits = Limits { flows_max: 1024, expectations_max: 16 };
    let mut config = config.clone();
    config.conntrack.fragments.frames_max = 64;
    Node::routed_with_limits(&config, router, limits)
}

/// Node `node`, from 0, of so many.
fn node(node: usize, hash_mode: HashMode, total_nodes: u16) -> Node {
    let config = Config { vips: vips(hash_mode, total_nodes, &only(node)), ..Config::default() };
    gateway(&config, &routing(node))
}

fn nodes(hash_mode: HashMode, total_nodes: u16) -> Vec<Node> {
    (0..usize::from(total_nodes)).map(|number| node(number, hash_mode, total_nodes)).collect()
}

fn to_vip<A: Address>(client: A, vip: A) -> Ip<A> {
    eth(CLIENT_MAC, VIP_MAC).ip(client, vip)
}

/// What each of the nodes does with a frame.
fn verdicts(nodes: &mut [Node], frame: &[u8]) -> Vec<Verdict> {
    nodes.iter_mut().map(|node| node.verdict(Side::Lan, MemFrame::new(frame))).collect()
}

/// The one node that takes a frame; the others leave it.
fn taker(nodes: &mut [Node], frame: &[u8]) -> usize {
    let verdicts = verdicts(nodes, frame);
    let takers: Vec<usize> = (0..verdicts.len()).filter(|node| verdicts[*node] == TAKEN).collect();
    assert!(verdicts.iter().all(|verdict| [TAKEN, LEFT].contains(verdict)), "{verdicts:?}");
    let [taker] = *takers else { panic!("{takers:?} take it") };
    taker
}

#[test]
fn packets_fall_to_the_nodes_that_linux_gave_them_to() {
    let vectors = include_str!("../../vectors/clusterip.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in vectors {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [source, source_port, destination_port, init, mode, hash] = words[..6] else { panic!("{line}") };
        let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
        let mode = *HashMode::ALL.iter().find(|known| known.name() == mode).unwrap();
        let source: Ipv4Addr = source.parse().unwrap();
        let ports = (source_port.parse().unwrap(), destination_port.parse().unwrap());
        assert_eq!(words[6..].len(), 32);
        for (total, expected) in (1..).zip(&words[6..]) {
            let shared = NodeHash::compile(mode, total, number(init));
            assert_eq!(shared.hash(source.into(), ports), number(hash), "{line}");
            let node = shared.bucket(source.into(), ports).number().to_string();
            assert_eq!(node, *expected, "{source} of {total} nodes, {mode}");
            // The same packet through the pipeline of that node.
            let config = Vip {
                hash_init: number(init),
                ..vips(mode, total, &only(node.parse::<usize>().unwrap() - 1))[0].clone()
            };
            let config = Config { vips: vec![config], ..Config::default() };
            let routing = Routing {
                interfaces: routing(0)
                    .interfaces
                    .into_iter()
                    .map(|one| Interface { reverse_path: ReversePath::Off, ..one })
                    .collect(),
                routes: Vec::new(),
            };
            let mut node = gateway(&config, &routing);
            let frame = to_vip(source, VIP).tcp(ports.0, ports.1).syn().build();
            assert_eq!(node.verdict(Side::Lan, MemFrame::new(frame)), TAKEN, "{line}");
            count += 1;
        }
    }
    assert_eq!(count, 6 * 3 * 32);
}

#[test]
fn each_packet_is_taken_by_one_node_however_many_there_are() {
    for mode in HashMode::ALL {
        for total in [1, 2, 3, 5, 16, 17, 32, 40] {
            let mut nodes = nodes(*mode, total);
            let mut taken = vec![0u64; nodes.len()];
            for n in 0..60u16 {
                let client = Ipv4Addr::new(192, 0, (n % 3) as u8, 100 + (n % 7) as u8);
                let client6 = Ipv6Addr::new(0x2001, 0xdb8, 0, n % 5, 0, 0, 0, 0x100 + n % 7);
                let (from, to) = (40_000 + n, [80, 443][usize::from(n % 2)]);
                for frame in [
                    to_vip(client, VIP).tcp(from, to).syn().build(),
                    to_vip(client, VIP).udp(from, to).payload(b"x").build(),
                    to_vip(client6, VIP6).tcp(from, to).syn().build(),
                    to_vip(client, VIP).echo_request(n, 1).build(),
                    to_vip(client6, VIP6).echo_request(n, 1).build(),
                ] {
                    taken[taker(&mut nodes, &frame)] += 1;
                }
            }
            let total_frames = 60 * 5;
            assert_eq!(taken.iter().sum::<u64>(), total_frames);
            for (node, taken) in nodes.iter().zip(&taken) {
                let cells = [0, 1].map(|id| node.counters().vip(VipId::new(id).unwrap()));
                assert_eq!(cells.iter().map(|cells| cells.taken.read()).sum::<u64>(), *taken);
                assert_eq!(cells.iter().map(|cells| cells.left.read()).sum::<u64>(), total_frames - taken);
                assert!(node.flows().is_empty(), "nothing is tracked");
            }
        }
    }
}

#[test]
fn with_sourceip_a_client_has_one_node_and_else_a_connection_has() {
    let client = Ipv4Addr::new(192, 0, 2, 100);
    let takers = |mode, ports: &[(u16, u16)]| {
        let mut nodes = nodes(mode, 16);
        let mut takers: Vec<usize> = ports
            .iter()
            .map(|(from, to)| taker(&mut nodes, &to_vip(client, VIP).udp(*from, *to).payload(b"x").build()))
            .collect();
        takers.sort_unstable();
        takers.dedup();
        takers.len()
    };
    let source_ports: Vec<(u16, u16)> = (0..40).map(|n| (1000 + n, 80)).collect();
    let destination_ports: Vec<(u16, u16)> = (0..40).map(|n| (1000, 80 + n)).collect();
    assert_eq!(takers(HashMode::Source, &source_ports), 1);
    assert_eq!(takers(HashMode::Source, &destination_ports), 1);
    assert!(takers(HashMode::SourcePort, &source_ports) > 8);
    assert_eq!(takers(HashMode::SourcePort, &destination_ports), 1);
    assert!(takers(HashMode::SourceDestinationPort, &destination_ports) > 8);
}

#[test]
fn icmp_errors_are_every_nodes() {
    let mut nodes = nodes(HashMode::SourcePort, 4);
    let (client, client6) =
        (Ipv4Addr::new(192, 0, 2, 100), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100));
    let answer = eth(own_mac(0), CLIENT_MAC).ip(VIP, client).tcp(80, 40_000).build();
    let answer6 = eth(own_mac(0), CLIENT_MAC).ip(VIP6, client6).tcp(80, 40_000).build();
    for error in [
        to_vip(client, VIP).icmp(3, 4, [0, 0, 5, 0]).quote(&answer, 40).build(),
        to_vip(client6, VIP6).icmp(2, 0, [0, 0, 5, 0]).quote(&answer6, 60).build(),
    ] {
        assert_eq!(verdicts(&mut nodes, &error), [TAKEN; 4]);
    }
}

#[test]
fn what_is_invalid_is_nobodys() {
    let mut nodes = nodes(HashMode::Source, 3);
    let client = Ipv4Addr::new(192, 0, 2, 100);
    let mut cut = to_vip(client, VIP).tcp(40_000, 80).syn().build();
    cut[14 + 20 + 12] = 0x10;
    assert_eq!(verdicts(&mut nodes, &cut), [Verdict::Drop(DropReason::InvalidHeader); 3]);
}

#[test]
fn what_names_an_ipsec_connection_is_its_ports() {
    let client = Ipv4Addr::new(192, 0, 2, 100);
    let mut nodes = nodes(HashMode::SourceDestinationPort, 16);
    let hash = NodeHash::compile(HashMode::SourceDestinationPort, 16, 7);
    for (protocol, payload, ports) in [
        (50, vec![0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1], (0x1234, 0x5678)),
        (51, vec![6, 4, 0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1], (0x1234, 0x5678)),
        (33, vec![0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 0], (40_000, 443)),
        (50, vec![1, 2], (0, 0)),
        (47, vec![0, 0, 8, 0, 1, 2, 3, 4], (0, 0)),
        (89, vec![1, 2, 3, 4, 5, 6, 7, 8], (0, 0)),
    ] {
        let frame = to_vip(client, VIP).protocol(protocol).payload(&payload).build();
        let expected = hash.bucket(client.into(), ports).index();
        assert_eq!(taker(&mut nodes, &frame), expected, "protocol {protocol}");
    }
}

#[test]
fn the_fragments_of_a_datagram_are_one_nodes() {
    let client = Ipv4Addr::new(192, 0, 2, 100);
    let mut nodes = nodes(HashMode::SourceDestinationPort, 4);
    for id in 0..20u16 {
        let whole = to_vip(client, VIP).udp(40_000 + id, 53).payload(&[0x55; 64]).build();
        let datagram = &packet_of(&whole)[20..];
        let part = |range: std::ops::Range<usize>, more| {
            let ip = to_vip(client, VIP).id(id.into()).fragment(u16::try_from(range.start).unwrap(), more);
            ip.protocol(17).payload(&datagram[range]).build()
        };
        let (first, second) = (part(0..40, true), part(40..datagram.len(), false));
        let expected = taker(&mut nodes, &whole);
        for (number, node) in nodes.iter_mut().enumerate() {
            let outcome = if number == expected { TAKEN } else { LEFT };
            assert_eq!(node.verdict(Side::Lan, MemFrame::new(second.as_slice())), Verdict::Hold);
            assert_eq!(node.verdict(Side::Lan, MemFrame::new(first.as_slice())), outcome, "the whole");
            assert_eq!(node.released().iter().map(|held| held.verdict).collect::<Vec<_>>(), [outcome]);
        }
    }
}

#[test]
fn the_mac_address_of_a_vip_is_for_vips_alone() {
    let mut nodes = nodes(HashMode::Source, 2);
    let client = Ipv4Addr::new(192, 0, 2, 100);
    let to = |mac, destination: [u8; 4]| {
        let destination = Ipv4Addr::from(destination);
        eth(CLIENT_MAC, mac).ip(client, destination).udp(1000, 53).payload(b"x").build()
    };
    for destination in [[198, 51, 100, 7], [192, 0, 2, 1], [192, 0, 2, 50]] {
        let verdicts = verdicts(&mut nodes, &to(VIP_MAC, destination));
        let nobodys = |verdict: &Verdict| matches!(verdict, Verdict::Drop(_));
        assert!(verdicts.iter().all(nobodys), "{destination:?}: {verdicts:?}");
    }
    // To a node's own MAC address it goes by the hash as well: the others do not hear it.
    let here = verdicts(&mut nodes, &to(own_mac(0), VIP.octets()));
    let by_hash = taker(&mut nodes, &to(VIP_MAC, VIP.octets()));
    assert_eq!(here[0] == TAKEN, by_hash == 0);
    assert_eq!(here[1], Verdict::Drop(DropReason::OtherHost));
    // Who asks for it, or tells it something, is heard.
    let arp = eth(CLIENT_MAC, VIP_MAC).arp_request(client, VIP);
    assert_eq!(verdicts(&mut nodes, &arp), [Verdict::Punt(PuntReason::Arp); 2]);
    assert_eq!(
        nodes[0].verdict(Side::Lan, MemFrame::new(to(own_mac(0), [192, 0, 2, 1]))),
        Verdict::Punt(PuntReason::Local)
    );
}

#[test]
fn nodes_are_given_and_taken_by_a_new_snapshot() {
    let mut both = nodes(HashMode::Source, 2);
    let frames: Vec<Vec<u8>> = (0..40)
        .map(|n| to_vip(Ipv4Addr::new(192, 0, 2, 100 + n), VIP).udp(1000, 53).payload(b"x").build())
        .collect();
    let of_first = frames.iter().filter(|frame| taker(&mut both, frame) == 0).count();
    assert!((10..30).contains(&of_first), "{of_first} of 40");
    let nobody = Nodes::Local(BucketSet::default());
    let all = Nodes::Local((0..2).filter_map(BucketId::new).collect());
    for (node, nodes) in both.iter_mut().zip([nobody, all]) {
        node.reconfigure(&Config { vips: vips(HashMode::Source, 2, &nodes), ..Config::default() });
    }
    assert!(frames.iter().all(|frame| taker(&mut both, frame) == 1));
}

#[test]
fn with_the_nodes_of_the_cluster_a_packet_is_its_owners() {
    let of_cluster = |node: usize, buckets: std::ops::Range<usize>| {
        let mut config = member(64, buckets, weir_dataplane::config::Tracking::All);
        config.vips = vips(HashMode::SourcePort, 64, &Nodes::Cluster);
        config.bridge = weir_dataplane::config::Bridge::default();
        gateway(&config, &routing(node))
    };
    let mut three = [of_cluster(0, 0..10), of_cluster(1, 10..40), of_cluster(2, 40..64)];
    let hash = NodeHash::compile(HashMode::SourcePort, 64, 7);
    for n in 0..100 {
        let client = Ipv4Addr::new(192, 0, 2, 100 + n);
        let frame = to_vip(client, VIP).tcp(40_000, 80).syn().build();
        let expected = match hash.bucket(client.into(), (40_000, 80)).index() {
            0..10 => 0,
            10..40 => 1,
            _ => 2,
        };
        assert_eq!(taker(&mut three, &frame), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_map_that_all_nodes_have_gives_each_packet_one_taker(
        owners in [0..3usize, 0..3, 0..3, 0..3, 0..3, 0..3, 0..3, 0..3],
        clients in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u16>(), any::<u16>(), any::<bool>()), 1..30),
    ) {
        let mut three: Vec<Node> = (0..3)
            .map(|me| three::node(HashMode::SourcePort, me, &owners))
            .collect();
        let hash = NodeHash::compile(HashMode::SourcePort, 8, 7);
        for (a, b, from, to, is_ipv6) in clients {
            let (client, client6) = (Ipv4Addr::new(192, 0, a, b), Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, a.into(), b.into()));
            prop_assume!(![VIP.octets(), [192, 0, 2, 1], [192, 0, 0, 0], [192, 0, 255, 255]].contains(&client.octets()));
            let (frame, source): (Vec<u8>, IpAddr) = if is_ipv6 {
                (to_vip(client6, VIP6).udp(from, to).payload(b"x").build(), client6.into())
            } else {
                (to_vip(client, VIP).udp(from, to).payload(b"x").build(), client.into())
            };
            prop_assert_eq!(taker(&mut three, &frame), owners[hash.bucket(source, (from, to)).index()]);
        }
    }

    #[test]
    fn lists_that_share_the_nodes_out_give_each_packet_one_taker(
        total in 1..=32u16,
        seed: u64,
        mode in prop::sample::select(HashMode::ALL),
        clients in prop::collection::vec((any::<u8>(), any::<u16>(), any::<u16>()), 1..20),
    ) {
        // Each of the nodes is at one of three gateways.
        let at = |node: usize| usize::try_from(seed >> (node % 32) & 0xffff).unwrap() % 3;
        let mut three: Vec<Node> = (0..3).map(|gateway| {
            let local = (0..usize::from(total)).filter(|node| at(*node) == gateway).filter_map(BucketId::new);
            let nodes = Nodes::Local(local.collect());
            let config = Config { vips: vips(mode, total, &nodes), ..Config::default() };
            self::gateway(&config, &routing(gateway))
        }).collect();
        let hash = NodeHash::compile(mode, total, 7);
        for (last, from, to) in clients {
            let client = Ipv4Addr::new(192, 0, 77, last);
            let frame = to_vip(client, VIP).tcp(from, to).syn().build();
            prop_assert_eq!(taker(&mut three, &frame), at(hash.bucket(client.into(), (from, to)).index()));
        }
    }
}
