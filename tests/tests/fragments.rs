//! Fragments wait for the rest of their datagram, share its fate, and are bounded in every way.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::pipeline::Sight;
use weir_dataplane::track::ConnState;
use weir_dataplane::units::Tick;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::node::{Node, bridge, member, port};
use weir_tests::packet::{Address, Ip, Link, Mac, eth, packet_of};

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1);
const UDP: u8 = 17;

fn link() -> Link {
    eth(Mac::host(1), Mac::host(2))
}

fn v4() -> Ip<Ipv4Addr> {
    link().ip(CLIENT, SERVER).id(7)
}

fn v6() -> Ip<Ipv6Addr> {
    link().ip(CLIENT6, SERVER6).id(7)
}

/// What follows the IP header of a frame without options or extensions.
fn transport(frame: &[u8]) -> &[u8] {
    let packet = packet_of(frame);
    &packet[if packet[0] >> 4 == 4 { 20 } else { 40 }..]
}

/// A UDP datagram of so many bytes, its header included.
fn datagram<A: Address>(ip: Ip<A>, length: usize) -> Vec<u8> {
    transport(&ip.udp(5000, 5001).payload(&vec![0x61; length - 8]).build()).to_vec()
}

/// The part `from..to` of a datagram as a fragment; more follow unless it is the end.
fn part<A: Address>(ip: Ip<A>, protocol: u8, datagram: &[u8], from: usize, to: usize) -> Vec<u8> {
    let ip = ip.fragment(u16::try_from(from).unwrap(), to < datagram.len());
    ip.protocol(protocol).payload(&datagram[from..to]).build()
}

/// A fragment of UDP with `length` bytes that nobody sums up.
fn piece<A: Address>(ip: Ip<A>, from: u16, length: usize, more: bool) -> Vec<u8> {
    ip.fragment(from, more).protocol(UDP).payload(&vec![0x62; length]).build()
}

fn at(seconds: u64, side: Side, frame: Vec<u8>) -> Passage {
    Passage { client: CLIENT.into(), fate: Fate::Flow, at_us: seconds * 1_000_000, side, bytes: frame }
}

/// Takes frames of the client's in, one by one, at the start of time.
fn take(node: &mut Node, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Sight> {
    frames.into_iter().flat_map(|frame| node.take(&[at(0, Side::Lan, frame)])).collect()
}

fn verdicts(sights: &[Sight]) -> Vec<Verdict> {
    sights.iter().map(|sight| sight.verdict).collect()
}

const OUT: fn() -> Verdict = || Verdict::Forward(port(Side::Wan));

#[test]
fn a_datagram_is_tracked_once_and_its_frames_leave_with_the_last_one() {
    fn check<A: Address>(ip: &dyn Fn() -> Ip<A>) {
        let whole = datagram(ip(), 1000);
        let mut node = Node::new(&bridge());
        let cuts = [(800, 1000), (0, 400), (400, 800)];
        let sights = take(&mut node, cuts.map(|(from, to)| part(ip(), UDP, &whole, from, to)));
        assert_eq!(verdicts(&sights), [Verdict::Hold, Verdict::Hold, OUT()]);
        let states = sights.iter().map(|sight| sight.state);
        assert!(states.eq([None, None, Some(ConnState::New)]));
        let released = node.released();
        let told: Vec<_> = released.iter().map(|one| (one.number, one.with, one.verdict)).collect();
        assert_eq!(told, [(0, Some(2), OUT()), (1, Some(2), OUT())]);
        assert_eq!(node.counters().flows_total(|cells| &cells.created), 1);
    }
    check(&v4);
    check(&v6);
}

#[test]
fn a_burst_keeps_its_order_around_fragments() {
    let whole = datagram(v4(), 64);
    let other = |port| v4().udp(port, 53).payload(b"?").build();
    let frames =
        [other(1), part(v4(), UDP, &whole, 0, 32), other(2), part(v4(), UDP, &whole, 32, 64), other(3)];
    let passages: Vec<Passage> = frames.map(|frame| at(0, Side::Lan, frame)).into();
    // The node asserts what leaves, and when.
    let sights = Node::new(&bridge()).take(&passages);
    assert_eq!(verdicts(&sights), [OUT(), Verdict::Hold, OUT(), OUT(), OUT()]);
}

#[test]
fn a_datagram_of_more_frames_than_a_burst_leaves_whole() {
    let whole = datagram(v6(), 8 * 300);
    let mut node = Node::new(&bridge());
    let frames = (0..300).map(|n| part(v6(), UDP, &whole, 8 * n, 8 * n + 8));
    let sights = take(&mut node, frames);
    assert_eq!(sights[299].verdict, OUT());
    assert_eq!(node.released().iter().filter(|one| one.verdict == OUT()).count(), 299);
}

#[test]
fn a_helper_sees_the_whole_payload() {
    let mut node = Node::new(&bridge());
    let back = || eth(Mac::host(2), Mac::host(1)).ip(SERVER, CLIENT);
    let line = b"PORT 198,18,0,1,78,52\r\n";
    let noop = v4().tcp(5000, 21).seq(2).ack(10).psh().payload(b"NOOP\r\n").build();
    let command = v4().tcp(5000, 21).seq(8).ack(10).psh().payload(line).build();
    let command = transport(&command);
    let frames = [
        (Side::Lan, v4().tcp(5000, 21).seq(1).syn().build()),
        (Side::Wan, back().tcp(21, 5000).seq(9).syn().ack(2).build()),
        (Side::Lan, v4().tcp(5000, 21).seq(2).ack(10).build()),
        (Side::Lan, noop),
        (Side::Lan, part(v4(), 6, command, 32, command.len())),
        (Side::Lan, part(v4(), 6, command, 0, 32)),
        (Side::Wan, back().tcp(20, 78 * 256 + 52).seq(1).syn().build()),
    ];
    let passages = frames.map(|(side, frame)| at(0, side, frame));
    let sights = node.take(&passages);
    assert_eq!(sights[6].state, Some(ConnState::Related), "{sights:?}");
}

#[test]
fn each_frame_leaves_by_the_partner_of_its_own_port() {
    let whole = datagram(v4(), 64);
    let mut node = Node::new(&bridge());
    let sights = node.take(&[
        at(0, Side::Lan, part(v4(), UDP, &whole, 0, 32)),
        at(0, Side::Wan, part(v4(), UDP, &whole, 32, 64)),
    ]);
    assert_eq!(sights[1].verdict, Verdict::Forward(port(Side::Lan)));
    assert_eq!(node.released()[0].verdict, OUT());
}

#[test]
fn a_cluster_forwards_each_fragment_once_and_a_second_sight_changes_nothing() {
    let whole = datagram(v4(), 64);
    let fragments = [part(v4(), UDP, &whole, 0, 32), part(v4(), UDP, &whole, 32, 64)];
    let mut forwards = 0;
    for local in 0..2 {
        let mut node = Node::new(&member(2, local..local + 1, Tracking::All));
        let first = node.take(&fragments.clone().map(|frame| at(0, Side::Lan, frame)));
        let released = node.released()[0].verdict;
        assert_eq!(first[1].verdict, released);
        if released == OUT() {
            forwards += 1;
            continue;
        }
        // What the other node has forwarded is seen on the other side, in between the next datagram's.
        let again = fragments.clone().map(|frame| at(0, Side::Wan, frame));
        let mut echoes = Vec::new();
        for (next, echo) in fragments.clone().map(|frame| at(0, Side::Lan, frame)).iter().zip(&again) {
            echoes.extend(node.take([next, echo]));
        }
        let shadow = Verdict::Shadow;
        assert_eq!(verdicts(&echoes), [Verdict::Hold, Verdict::Hold, shadow, shadow]);
        assert!(echoes[2..].iter().all(|sight| sight.state == Some(ConnState::New)), "{echoes:?}");
    }
    assert_eq!(forwards, 1);
}

#[test]
fn what_waits_too_long_is_given_up() {
    let mut node = Node::new(&bridge());
    take(&mut node, [piece(v4(), 0, 16, true), piece(v6(), 0, 16, true)]);
    let timed_out = |node: &mut Node, seconds: u64| {
        node.idle(3, Tick::from_ms(seconds * 1000));
        node.released().iter().map(|one| (one.number, one.with, one.verdict)).collect::<Vec<_>>()
    };
    let drop = Verdict::Drop(DropReason::FragmentTimeout);
    assert_eq!(timed_out(&mut node, 29), []);
    assert_eq!(timed_out(&mut node, 30), [(0, None, drop)]);
    assert_eq!(timed_out(&mut node, 59), []);
    assert_eq!(timed_out(&mut node, 60), [(1, None, drop)]);
    assert_eq!(node.counters().drops[DropReason::FragmentTimeout.index()].read(), 2);
}

#[test]
fn the_rest_of_a_datagram_that_comes_too_late_waits_itself() {
    let mut node = Node::new(&bridge());
    let whole = datagram(v4(), 64);
    node.take(&[at(0, Side::Lan, part(v4(), UDP, &whole, 0, 32))]);
    let late = node.take(&[at(31, Side::Lan, part(v4(), UDP, &whole, 32, 64))]);
    assert_eq!(late[0].verdict, Verdict::Hold);
    assert_eq!(node.released()[0].verdict, Verdict::Drop(DropReason::FragmentTimeout));
}

/// The verdicts on fragments of the client's, and on what they took with them.
fn fates(config: &Config, frames: impl IntoIterator<Item = Vec<u8>>) -> (Vec<Verdict>, Vec<Verdict>) {
    let mut node = Node::new(config);
    let sights = take(&mut node, frames);
    (verdicts(&sights), node.released().iter().map(|one| one.verdict).collect())
}

#[test]
fn a_part_that_is_there_already_is_dropped_alone() {
    let drop = Verdict::Drop(DropReason::FragmentDuplicate);
    for frames in [
        [piece(v4(), 0, 16, true), piece(v4(), 0, 16, true)],
        [piece(v6(), 0, 32, true), piece(v6(), 8, 16, true)],
    ] {
        assert_eq!(fates(&bridge(), frames), (vec![Verdict::Hold, drop], vec![]));
    }
}

#[test]
fn a_part_that_overlaps_ends_its_datagram() {
    let drop = Verdict::Drop(DropReason::FragmentOverlap);
    for frames in [
        [piece(v4(), 0, 16, true), piece(v4(), 8, 16, true)],
        [piece(v6(), 0, 16, true), piece(v6(), 8, 16, true)],
        // Teardrop: the end lies within what is there.
        [piece(v4(), 8, 16, true), piece(v4(), 0, 40, true)],
    ] {
        assert_eq!(fates(&bridge(), frames), (vec![Verdict::Hold, drop], vec![drop]));
    }
}

#[test]
fn a_part_that_contradicts_the_others_ends_an_ipv4_datagram_and_not_an_ipv6_one() {
    let drop = Verdict::Drop(DropReason::FragmentInvalid);
    let ipv4 = [piece(v4(), 0, 32, true), piece(v4(), 16, 8, false)];
    assert_eq!(fates(&bridge(), ipv4), (vec![Verdict::Hold, drop], vec![drop]));
    let ipv6 = [piece(v6(), 0, 32, true), piece(v6(), 16, 8, false), piece(v6(), 32, 0, true)];
    assert_eq!(fates(&bridge(), ipv6), (vec![Verdict::Hold, drop, drop], vec![]));
    let congestion = [piece(v4().ecn(2), 0, 32, true), piece(v4(), 32, 8, false)];
    assert_eq!(fates(&bridge(), congestion), (vec![Verdict::Hold, drop], vec![drop]));
    let cut = [link().ip(CLIENT6, SERVER6).protocol(44).payload(&[UDP, 0, 0, 1]).build()];
    assert_eq!(fates(&bridge(), cut), (vec![drop], vec![]));
}

#[test]
fn an_ipv6_fragment_that_cannot_be_one_goes_as_it_is() {
    // Too short for its header: a packet with a header that is cut.
    let headless = [piece(v6(), 0, 0, true), piece(v6(), 8, 8, true)];
    let cut = Verdict::Drop(DropReason::HeaderCut);
    assert_eq!(fates(&bridge(), headless), (vec![cut, Verdict::Hold], vec![]));
    // Of a length that no fragment but the last can have: of no protocol that conntrack would find.
    let odd = [piece(v6(), 0, 16, true), piece(v6(), 16, 9, true)];
    let stray = Verdict::Drop(DropReason::InvalidExtension);
    let gone = Verdict::Drop(DropReason::FragmentInvalid);
    assert_eq!(fates(&bridge(), odd), (vec![Verdict::Hold, stray], vec![gone]));
}

#[test]
fn a_datagram_longer_than_ip_allows_is_dropped() {
    let drop = Verdict::Drop(DropReason::FragmentOversize);
    let ipv4 = [piece(v4(), 0, 65_512, true), piece(v4(), 65_512, 8, false)];
    assert_eq!(fates(&bridge(), ipv4), (vec![Verdict::Hold, drop], vec![drop]));
    assert_eq!(fates(&bridge(), [piece(v6(), 65_528, 8, false)]), (vec![drop], vec![]));
    let longest = datagram(v6(), 65_535);
    let cuts = [(0, 40_000), (40_000, 65_520), (65_520, 65_535)];
    let ipv6 = cuts.map(|(from, to)| part(v6(), UDP, &longest, from, to));
    assert_eq!(fates(&bridge(), ipv6), (vec![Verdict::Hold, Verdict::Hold, OUT()], vec![OUT(); 2]));
}

#[test]
fn an_identification_that_is_used_again_begins_a_new_datagram() {
    let others = |count: u32| (0..count).map(|n| piece(v4().id(100 + n), 0, 16, true));
    let frames = |count| {
        let around = [piece(v4(), 0, 16, true), piece(v4(), 16, 8, true)];
        let [first, last] = around;
        core::iter::once(first).chain(others(count)).chain([last])
    };
    assert_eq!(fates(&bridge(), frames(63)).1, []);
    assert_eq!(fates(&bridge(), frames(64)).1, [Verdict::Drop(DropReason::FragmentDistance)]);
    let mut any = bridge();
    any.conntrack.fragments.ipv4.max_dist = 0;
    assert_eq!(fates(&any, frames(200)).1, []);
}

#[test]
fn frames_and_bytes_that_wait_are_limited() {
    let lonely = |n: u32| piece(v6().id(n), 0, 1000, true);
    let mut few = bridge();
    few.conntrack.fragments.frames_max = 10;
    let mut light = bridge();
    light.conntrack.fragments.ipv6.high_thresh_bytes = 9000;
    for config in [few, light] {
        let verdicts = fates(&config, (0..12).map(lonely)).0;
        let refused = verdicts.iter().filter(|verdict| **verdict == Verdict::Drop(DropReason::FragmentLimit));
        assert_eq!(refused.count(), if config.conntrack.fragments.frames_max == 10 { 2 } else { 3 });
    }
}

#[test]
fn what_has_left_makes_room() {
    let mut config = bridge();
    config.conntrack.fragments.frames_max = 4;
    let mut node = Node::new(&config);
    for id in 0..1000 {
        let ip = || v4().id(id);
        let whole = datagram(ip(), 40);
        let frames = [(0, 8), (24, 40), (8, 24)].map(|(from, to)| part(ip(), UDP, &whole, from, to));
        assert_eq!(take(&mut node, frames)[2].verdict, OUT(), "datagram {id}");
    }
}

/// One datagram as Linux keeps it, byte by byte.
#[derive(Default)]
struct Model {
    ipv6: bool,
    /// Each byte that is there, with the run that it belongs to.
    there: BTreeMap<usize, usize>,
    tail_run: usize,
    len: usize,
    has_last: bool,
}

impl Model {
    /// What becomes of the part, and whether the datagram ends with it.
    fn add(&mut self, from: usize, length: usize, more: bool) -> (Option<DropReason>, bool) {
        let (result, ends) = self.judge(from, length, more);
        if ends {
            *self = Self { ipv6: self.ipv6, ..Self::default() };
        }
        (result, ends)
    }

    fn judge(&mut self, from: usize, length: usize, more: bool) -> (Option<DropReason>, bool) {
        let misfit = (Some(DropReason::FragmentInvalid), !self.ipv6);
        let mut to = from + length;
        if more && !to.is_multiple_of(8) {
            if self.ipv6 {
                return (Some(DropReason::InvalidExtension), true);
            }
            to -= to % 8;
        }
        let beyond = if more { to > self.len } else { to != self.len };
        if self.has_last && beyond || !more && to < self.len {
            return misfit;
        }
        self.has_last |= !more;
        self.len = self.len.max(to);
        if from == to {
            return misfit;
        }
        let runs: Vec<_> = (from..to).map(|byte| self.there.get(&byte).copied()).collect();
        if runs.iter().all(|run| run.is_some() && *run == runs[0]) {
            return (Some(DropReason::FragmentDuplicate), false);
        }
        if runs.iter().any(Option::is_some) {
            return (Some(DropReason::FragmentOverlap), true);
        }
        let tail = self.there.last_key_value().map(|(byte, _)| byte + 1);
        let run = if tail == Some(from) { self.tail_run } else { self.there.len() + 1 };
        if tail.is_none_or(|tail| tail <= from) {
            self.tail_run = run;
        }
        self.there.extend((from..to).map(|byte| (byte, run)));
        (None, self.has_last && self.there.len() == self.len)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Parts of a datagram of 96 bytes in any order, with any others between.
    #[test]
    fn any_parts_meet_the_fate_that_the_model_gives_them(
        ipv6: bool,
        parts in prop::collection::vec((0_usize..12, 0_usize..34, prop::bool::weighted(0.8)), 1..40),
        cuts in prop::collection::vec(1_usize..6, 1..8),
    ) {
        let mut model = Model { ipv6, ..Model::default() };
        let mut node = Node::new(&bridge());
        let mut from = 0;
        let fitting = cuts.iter().map(|units| {
            let part = (from, units * 8, true);
            from += units * 8;
            part
        });
        // A first part that is too short for UDP is no fragment over IPv6.
        let any = parts.iter().map(|(units, length, more)| {
            (units * 8, if *units == 0 { (*length).max(8) } else { *length }, *more)
        });
        let fitting: Vec<_> = fitting.collect();
        let mut mixed: Vec<_> = any.collect();
        for (n, part) in fitting.into_iter().enumerate() {
            mixed.insert((n * 7) % (mixed.len() + 1), part);
        }
        mixed.push((from, 8, false));
        for (n, (from, length, more)) in mixed.into_iter().enumerate() {
            // Over IPv4 a part from the start to the end is no fragment.
            if from == 0 && !more {
                continue;
            }
            let offset = u16::try_from(from).unwrap();
            let frame = if ipv6 { piece(v6(), offset, length, more) } else { piece(v4(), offset, length, more) };
            let sight = take(&mut node, [frame])[0];
            let (reason, ends) = model.add(from, length, more);
            let fate = match sight.verdict {
                Verdict::Hold => (None, false),
                Verdict::Drop(DropReason::InvalidExtension | DropReason::InvalidHeader) if reason.is_some() => {
                    (Some(DropReason::InvalidExtension), true)
                }
                Verdict::Drop(DropReason::InvalidHeader) => (None, true),
                Verdict::Drop(reason) => (Some(reason), ends),
                other => panic!("no port of it is known: {other:?}"),
            };
            prop_assert_eq!(fate, (reason, ends), "part {}: {}+{} {}", n, from, length, more);
            if ends {
                let waits = node.counters().verdicts[Verdict::Hold.index()].read();
                prop_assert_eq!(waits, 0, "all of it is released");
            }
        }
    }
}
