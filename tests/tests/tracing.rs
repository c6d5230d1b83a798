//! A trace tells of each frame that is meant what became of it, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::counters::{DropReason, FlowClass, Verdict};
use weir_dataplane::parse::Class;
use weir_dataplane::pipeline::{Release, Sight};
use weir_dataplane::trace::{Filter, Passage as Traced, Told, Trace};
use weir_dataplane::track::ConnState;
use weir_dataplane::track::filter::EndFilter;
use weir_dataplane::wire::{IpProtocol, TcpFlags};
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::mischief::Recipe;
use weir_tests::node::{Node, bridge, member, port};
use weir_tests::packet::{Ip, Mac, eth};
use weir_tests::scenario::{Town, town};

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);

/// A town's traffic, and all kinds of mischief after it.
fn passages(seed: u64) -> Vec<Passage> {
    let mut passages = town(seed, Town { ipv4_clients: 12, ipv6_clients: 6, begin_within_us: 500_000 });
    let from_us = passages.last().map_or(0, |passage| passage.at_us);
    let recipes = [Recipe::Town, Recipe::Quotes, Recipe::Fragments, Recipe::Ftp];
    let v4 = recipes.iter().flat_map(|recipe| recipe.frames::<Ipv4Addr>(seed, 100));
    let v6 = recipes.iter().flat_map(|recipe| recipe.frames::<Ipv6Addr>(seed, 100));
    for (n, bytes) in (0..).zip(v4.chain(v6)) {
        let (at_us, client) = (from_us + n * 1000, CLIENT.into());
        passages.push(Passage { client, fate: Fate::Flow, at_us, side: Side::Lan, bytes });
    }
    passages
}

fn heard(trace: &Trace) -> Vec<Told> {
    std::iter::from_fn(|| trace.pop()).collect()
}

fn frames(trace: &Trace) -> Vec<Traced> {
    let frame = |told| match told {
        Told::Frame(frame) => Some(frame),
        _ => None,
    };
    heard(trace).into_iter().filter_map(frame).collect()
}

/// What is seen from outside, of frames and of held ones.
fn seen(sights: &[Sight], releases: &[Release]) -> String {
    format!("{sights:?} {releases:?}")
}

fn state(node: &Node) -> String {
    let mut flows: Vec<String> = node.flows().iter().map(|flow| format!("{flow:?}")).collect();
    flows.sort();
    format!("{flows:?} {:?}", node.counters())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn traced_or_not_every_verdict_and_counter_is_the_same(seed: u64, step in 1_usize..=64, in_cluster: bool) {
        let config = if in_cluster { member(3, 0..1, Tracking::All) } else { bridge() };
        let [mut plain, mut traced] = [0, 1].map(|_| Node::new(&config));
        let all = traced.trace(4096, Filter::default());
        // One that is never emptied.
        let narrow = traced.trace(3, Filter { protocol: Some(IpProtocol::TCP), ..Filter::default() });
        for passages in passages(seed).chunks(step) {
            let expected = plain.take(passages);
            let sights = traced.take(passages);
            let (released, releases) = (plain.released(), traced.released());
            prop_assert_eq!(seen(&expected, &released), seen(&sights, &releases));
            let told = heard(&all);
            let told_frames = told.iter().filter_map(|told| match told {
                Told::Frame(frame) => Some((frame.arrival.number, frame.owned, frame.verdict)),
                _ => None,
            });
            prop_assert!(told_frames.eq(sights.iter().map(|sight| (sight.number, sight.owned, sight.verdict))));
            let told_releases = told.iter().filter_map(|told| match told {
                Told::Released { number, verdict } => Some((*number, *verdict)),
                _ => None,
            });
            prop_assert!(told_releases.eq(releases.iter().map(|one| (one.number, one.verdict))));
        }
        prop_assert_eq!(state(&plain), state(&traced));
        prop_assert_eq!(all.lost(), 0);
        prop_assert!(heard(&narrow).len() == 3 && narrow.lost() > 0);
    }
}

fn link() -> weir_tests::packet::Link {
    eth(Mac::host(1), Mac::host(2))
}

fn up() -> Ip<Ipv4Addr> {
    link().ip(CLIENT, SERVER)
}

fn down() -> Ip<Ipv4Addr> {
    link().ip(SERVER, CLIENT)
}

fn take(node: &mut Node, side: Side, bytes: Vec<u8>) {
    node.take(&[Passage { client: CLIENT.into(), fate: Fate::Flow, at_us: 0, side, bytes }]);
}

fn http() -> Filter {
    let end = |address: Ipv4Addr, port| EndFilter {
        address: Some(address.to_string().parse().unwrap()),
        port: Some(port),
    };
    let protocol = Some(IpProtocol::TCP);
    Filter { protocol, source: end(CLIENT, 4000), destination: end(SERVER, 80), ..Filter::default() }
}

#[test]
fn a_handshake_is_told_with_its_flow_before_and_after() {
    let mut node = Node::new(&bridge());
    let trace = node.trace(16, http());
    take(&mut node, Side::Lan, up().tcp(4000, 80).seq(1).syn().build());
    take(&mut node, Side::Lan, up().tcp(4001, 80).seq(1).syn().build());
    take(&mut node, Side::Wan, down().tcp(80, 4000).seq(9).syn().ack(2).build());
    take(&mut node, Side::Wan, down().tcp(80, 4000).seq(90_000_000).ack(2).build());
    let error = down().icmp(3, 1, [0; 4]).quote(&up().tcp(4000, 80).seq(1).syn().build(), 28).build();
    take(&mut node, Side::Wan, error);
    let told: Vec<_> = frames(&trace)
        .iter()
        .map(|frame| {
            let after = frame.flow.map(|flow| flow.class);
            (
                frame.arrival.number,
                frame.arrival.frame.tcp_flags,
                frame.tracked.state,
                frame.arrival.before,
                after,
            )
        })
        .collect();
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let [sent, answered] = [Some(FlowClass::TcpSynSent), Some(FlowClass::TcpSynRecv)];
    assert_eq!(
        told,
        [
            (0, Some(syn), Some(ConnState::New), None, sent),
            (2, Some(syn | ack), Some(ConnState::Established), sent, answered),
            (3, Some(ack), Some(ConnState::Invalid), answered, answered),
            (4, None, Some(ConnState::Related), answered, answered),
        ]
    );
}

#[test]
fn whose_a_frame_is_is_told_by_each_node() {
    let mut owners = BTreeMap::new();
    for number in 0..2 {
        let mut node = Node::new(&member(2, number..number + 1, Tracking::All));
        let trace = node.trace(16, http());
        take(&mut node, Side::Lan, up().tcp(4000, 80).seq(1).syn().build());
        let told = frames(&trace);
        let [frame] = told.as_slice() else { panic!("{told:?}") };
        let share = frame.share.unwrap();
        assert_eq!(share.source, CLIENT);
        assert_eq!(share.map_owner.is_some(), frame.owned);
        let expected = if frame.owned { Verdict::Forward(port(Side::Wan)) } else { Verdict::Shadow };
        assert_eq!(frame.verdict, expected);
        owners.insert(frame.owned, share.bucket);
    }
    assert!(owners.len() == 2 && owners[&true] == owners[&false], "one owns it: {owners:?}");
}

#[test]
fn what_is_broken_is_told_by_its_addresses() {
    let mut node = Node::new(&bridge());
    let either = EndFilter { address: Some("198.18.0.0/16".parse().unwrap()), port: None };
    let trace = node.trace(16, Filter { either, ..Filter::default() });
    let mut broken = up().udp(1, 2).build();
    broken[24] ^= 1;
    let arp = link().arp_request(CLIENT, SERVER);
    let piece = up().fragment(8, true).protocol(17).payload(&[0; 8]).build();
    for frame in [broken, arp, piece, link().ip(SERVER, SERVER).udp(1, 2).build()] {
        take(&mut node, Side::Lan, frame);
    }
    let told = frames(&trace);
    let classes: Vec<_> =
        told.iter().map(|frame| (frame.arrival.frame.parsed.class, frame.verdict)).collect();
    assert_eq!(
        classes,
        [
            (Class::Drop(DropReason::Ipv4Checksum), Verdict::Drop(DropReason::Ipv4Checksum)),
            (Class::NonIp, Verdict::Forward(port(Side::Wan))),
            (Class::Fragment, Verdict::Hold),
        ]
    );
}

#[test]
fn a_fragment_that_completes_its_datagram_is_told_with_that() {
    let mut node = Node::new(&bridge());
    let trace = node.trace(16, Filter { protocol: Some(IpProtocol::UDP), ..Filter::default() });
    let whole = up().udp(5000, 53).payload(&[7; 56]).build();
    let part = |from: usize, to: usize| {
        let ip = up().id(7).fragment(u16::try_from(from).unwrap(), to < 64);
        ip.protocol(17).payload(&whole[34 + from..34 + to]).build()
    };
    take(&mut node, Side::Lan, part(0, 32));
    take(&mut node, Side::Lan, part(32, 64));
    let out = Verdict::Forward(port(Side::Wan));
    match heard(&trace).as_slice() {
        [Told::Frame(first), Told::Released { number: 0, verdict }, Told::Frame(last)] => {
            assert_eq!((first.verdict, *verdict, last.verdict), (Verdict::Hold, out, out));
            assert!(matches!(last.parsed.class, Class::Flow(_)) && last.flow.is_some());
        }
        told => panic!("{told:?}"),
    }
}

#[test]
fn a_trace_that_is_closed_is_let_go() {
    let mut node = Node::new(&Config::default());
    let trace = node.trace(16, Filter::default());
    assert_eq!(std::sync::Arc::strong_count(&trace), 2);
    trace.close();
    take(&mut node, Side::Lan, up().udp(1, 2).build());
    assert_eq!(std::sync::Arc::strong_count(&trace), 1);
}
