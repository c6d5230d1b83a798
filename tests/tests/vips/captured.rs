//! A run of traffic on N nodes: of what is sent to a VIP each valid frame is one node's, and the one that CLUSTERIP's
//! hash says; ICMP errors are every node's, and what is invalid nobody's.
//!
//! The traffic is that of the captures in the folder that `CAPTURES` names, and some that is made here. Of each capture
//! the IPv4 addresses that most frames go to are the VIPs. Of a frame only the MAC address is changed that it is sent
//! to. What is in a VLAN or a tunnel is not to a VIP of this interface.

use super::{LEFT, TAKEN, VIP_MAC, only, own_mac};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use weir_dataplane::config::route::{Interface, ReversePath, Routing, VipAddress};
use weir_dataplane::config::vip::HashMode;
use weir_dataplane::config::{Config, Vip};
use weir_dataplane::counters::Verdict;
use weir_dataplane::pipeline::Limits;
use weir_dataplane::steer::Router;
use weir_dataplane::units::{VIPS_MAX, VipId};
use weir_dataplane::wire::MacAddr;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::mischief::Recipe;
use weir_tests::node::{Node, port};
use weir_tests::packet::checksum::{fold, sum};

const HASH_INIT: u32 = 0xfeed_cafe;
/// Of each capture.
const VIPS: usize = 4;
/// Between the frames of a capture, and between captures: the fragments of one are forgotten before the next.
const APART_US: u64 = 1_000;
const PAUSE_US: u64 = 120_000_000;

/// An IPv4 packet as it is read here, from RFC 791 and no code of the gateway's.
#[derive(Clone, Copy, Debug)]
struct Packet<'a> {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    id: u16,
    /// In bytes.
    offset: usize,
    more: bool,
    /// Its header is whole and right.
    is_sound: bool,
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    fn read(frame: &'a [u8]) -> Option<Self> {
        let ip = frame.strip_prefix(frame.get(..12)?)?.strip_prefix(&[8, 0])?;
        let header = ip.get(..20)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (header_len, total) = (usize::from(header[0] & 15) * 4, usize::from(word(2)));
        let packet = ip.get(..total).unwrap_or(ip);
        let header_bytes = ip.get(..header_len).unwrap_or(ip);
        let is_whole = header[0] >> 4 == 4 && header_len >= 20 && (header_len..=ip.len()).contains(&total);
        let address = |at: usize| Ipv4Addr::from_bits(u32::from(word(at)) << 16 | u32::from(word(at + 2)));
        Some(Self {
            source: address(12),
            destination: address(16),
            protocol: header[9],
            id: word(4),
            offset: usize::from(word(6) & 0x1fff) * 8,
            more: word(6) & 0x2000 != 0,
            is_sound: is_whole && fold(sum(header_bytes)) == 0,
            payload: packet.get(header_len..).unwrap_or_default(),
        })
    }

    const fn is_fragment(&self) -> bool {
        self.offset > 0 || self.more
    }

    /// Source and destination as they are hashed: of an IPsec packet the halves of its index; 0 where there are none.
    fn ports(&self) -> (u16, u16) {
        let at = match self.protocol {
            6 | 17 | 33 | 50 | 132 | 136 => 0,
            51 => 4,
            _ => return (0, 0),
        };
        let Some(&[a, b, c, d]) = self.payload.get(at..at + 4) else { return (0, 0) };
        (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }

    /// It reports an error about another packet.
    fn is_error(&self) -> bool {
        self.protocol == 1 && self.payload.first().is_some_and(|kind| [3, 4, 5, 11, 12].contains(kind))
    }

    /// Nothing is wrong with it, as far as this goes: what is not looked at may be valid or not.
    fn is_valid(&self) -> bool {
        let unicast = !self.source.is_loopback() && (1..224).contains(&self.source.octets()[0]);
        let (length, payload) = (self.payload.len(), self.payload);
        let pseudo = || {
            let ends = sum(&self.source.octets()) + sum(&self.destination.octets());
            fold(ends + u64::from(self.protocol) + length as u64 + sum(payload)) == 0
        };
        let transport = || match self.protocol {
            1 => length >= 8 && [0, 8].contains(&payload[0]) && payload[1] == 0 && fold(sum(payload)) == 0,
            6 if length >= 20 => {
                let flags = payload[13] & 0x17;
                // SYN, SYN and ACK, ACK, FIN and ACK, RST, RST and ACK.
                let usual = [0x02, 0x12, 0x10, 0x11, 0x04, 0x14].contains(&flags);
                usual && (20..=length).contains(&(usize::from(payload[12] >> 4) * 4)) && pseudo()
            }
            17 if length >= 8 => {
                let says = usize::from(u16::from_be_bytes([payload[4], payload[5]]));
                says == length && (payload[6..8] == [0, 0] || pseudo())
            }
            47 | 50 | 89 => true,
            _ => false,
        };
        self.is_sound && unicast && !self.is_fragment() && transport()
    }
}

/// Bob Jenkins's lookup3 of up to three words, as `behaviours.md` 12.1 has it.
fn lookup3(words: &[u32], init: u32) -> u32 {
    let begin = 0xdead_beef_u32.wrapping_add(4 * u32::try_from(words.len()).unwrap()).wrapping_add(init);
    let word = |n: usize| begin.wrapping_add(words.get(n).copied().unwrap_or(0));
    let mut v = [word(0), word(1), word(2)];
    // Each takes away the turned one of those behind it in the round, mixed into it.
    for (to, from, turn) in
        [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)]
    {
        v[to] = (v[to] ^ v[from]).wrapping_sub(v[from].rotate_left(turn));
    }
    v[2]
}

/// The node, counted from 0, that CLUSTERIP gives a packet to: the address as a number, the ports as they are in memory.
fn by_hash(mode: HashMode, total: u16, source: Ipv4Addr, ports: (u16, u16)) -> usize {
    let [from, to] = [ports.0, ports.1].map(|port| u32::from(u16::from_le_bytes(port.to_be_bytes())));
    let words = [source.to_bits(), from, to];
    let count = match mode {
        HashMode::Source => 1,
        HashMode::SourcePort => 2,
        HashMode::SourceDestinationPort => 3,
    };
    let scaled = u64::from(lookup3(&words[..count], HASH_INIT)) * u64::from(total);
    (scaled >> 32) as usize
}

/// The VIPs of captures: no VIP talks to another one, which would be a node's own address as a source.
fn choose(captures: &[(String, Vec<Vec<u8>>)]) -> Vec<Ipv4Addr> {
    let pairs: BTreeSet<(Ipv4Addr, Ipv4Addr)> = captures
        .iter()
        .flat_map(|(_, frames)| frames)
        .filter_map(|frame| Packet::read(frame))
        .map(|packet| (packet.source, packet.destination))
        .collect();
    let mut vips: Vec<Ipv4Addr> = Vec::new();
    for (_, frames) in captures {
        let mut counts: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
        for packet in frames.iter().filter_map(|frame| Packet::read(frame)) {
            *counts.entry(packet.destination).or_default() += 1;
        }
        let is_host = |address: &Ipv4Addr| {
            (1..224).contains(&address.octets()[0]) && !address.is_loopback() && address.octets()[3] != 255
        };
        let mut by_count: Vec<_> = counts.into_iter().filter(|(address, _)| is_host(address)).collect();
        by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut chosen = 0;
        for (address, _) in by_count {
            let talk = |vip: &Ipv4Addr| pairs.contains(&(*vip, address)) || pairs.contains(&(address, *vip));
            if chosen < VIPS && vips.len() < VIPS_MAX && !vips.contains(&address) && !vips.iter().any(talk) {
                vips.push(address);
                chosen += 1;
            }
        }
    }
    vips
}

/// Frames to VIPs, one after another.
fn passages(captures: &[(String, Vec<Vec<u8>>)], vips: &[Ipv4Addr]) -> Vec<Passage> {
    let mut at_us = 0;
    let mut passages = Vec::new();
    for (_, frames) in captures {
        at_us += PAUSE_US;
        for frame in frames {
            let packet = Packet::read(frame).filter(|packet| vips.contains(&packet.destination));
            // What no station sends is not Ethernet.
            let Some(packet) = packet.filter(|_| frame[6] & 1 == 0 && frame[6..12] != [0; 6]) else {
                continue;
            };
            let bytes = [&VIP_MAC.0, &frame[6..]].concat();
            at_us += APART_US;
            let client = IpAddr::V4(packet.source);
            passages.push(Passage { client, fate: Fate::Loose, at_us, side: Side::Lan, bytes });
        }
    }
    passages
}

/// Node `number`, from 0, of so many.
fn node(vips: &[Ipv4Addr], hash_mode: HashMode, total_nodes: u16, number: usize) -> Node {
    let vip = |(n, address): (usize, &Ipv4Addr)| Vip {
        id: VipId::new(n).unwrap(),
        address: (*address).into(),
        hash_mode,
        total_nodes,
        hash_init: HASH_INIT,
        nodes: only(number),
    };
    let own = MacAddr(own_mac(number).0);
    let mac = MacAddr(VIP_MAC.0);
    let networks = vips.iter().map(|address| format!("{address}/32")).chain(["198.18.0.1/30".to_owned()]);
    let lan = Interface {
        port: port(Side::Lan),
        vlan: None,
        mac: own,
        source_mac: own,
        mtu: 1500,
        addresses: networks.map(|network| network.parse().unwrap()).collect(),
        management: Vec::new(),
        vips: vips.iter().map(|address| VipAddress { address: (*address).into(), mac }).collect(),
        tapped: true,
        // Strangers talk to them from anywhere.
        reverse_path: ReversePath::Off,
    };
    let routing = Routing { interfaces: vec![lan], routes: Vec::new() };
    let mut config = Config { vips: vips.iter().enumerate().map(vip).collect(), ..Config::default() };
    config.conntrack.fragments.frames_max = 256;
    let limits = Limits { flows_max: 64, expectations_max: 16 };
    Node::routed_with_limits(&config, Router::compile(&routing), limits)
}

/// What becomes of each frame in the end.
fn outcomes(node: &mut Node, passages: &[Passage]) -> Vec<Verdict> {
    let sights = node.take(passages);
    let places: BTreeMap<u64, usize> =
        (0..).zip(&sights).map(|(place, sight)| (sight.number, place)).collect();
    let mut outcomes: Vec<Verdict> = sights.iter().map(|sight| sight.verdict).collect();
    for release in node.released() {
        outcomes[places[&release.number]] = release.verdict;
    }
    outcomes
}

/// Of frames, how many were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// One node's, and nothing is wrong with them.
    valid: usize,
    /// One node's, of those that are not looked at closely.
    others: usize,
    /// Fragments of what was one node's in the end.
    fragments: usize,
    /// Every node's.
    errors: usize,
    /// Nobody's.
    invalid: usize,
}

/// Runs all frames to VIPs through `total` nodes.
fn run(vips: &[Ipv4Addr], passages: &[Passage], mode: HashMode, total: u16) -> Tally {
    let all: Vec<Vec<Verdict>> = (0..usize::from(total))
        .map(|number| outcomes(&mut node(vips, mode, total, number), passages))
        .collect();
    // The ports that the first fragments of a datagram tell; more than one if they do not agree.
    let name = |packet: &Packet<'_>| (packet.source, packet.destination, packet.protocol, packet.id);
    let mut told: BTreeMap<_, BTreeSet<(u16, u16)>> = BTreeMap::new();
    for packet in passages.iter().filter_map(|passage| Packet::read(&passage.bytes)) {
        if packet.is_fragment() && packet.offset == 0 {
            told.entry(name(&packet)).or_default().insert(packet.ports());
        }
    }
    let mut tally = Tally::default();
    for (n, passage) in passages.iter().enumerate() {
        let packet = Packet::read(&passage.bytes).unwrap();
        let outcomes: Vec<Verdict> = all.iter().map(|of_node| of_node[n]).collect();
        let takers: Vec<usize> = (0..outcomes.len()).filter(|node| outcomes[*node] == TAKEN).collect();
        let left = outcomes.iter().filter(|outcome| **outcome == LEFT).count();
        let ports = if packet.is_fragment() {
            told.get(&name(&packet)).filter(|told| told.len() == 1).and_then(|told| told.first().copied())
        } else {
            Some(packet.ports())
        };
        let expected = ports.map(|ports| by_hash(mode, total, packet.source, ports));
        let told = || format!("{mode} of {total}: {packet:?}: {outcomes:?}, by the hash {expected:?}");
        if takers.len() + left < outcomes.len() {
            let alike = outcomes.iter().all(|outcome| *outcome == outcomes[0]);
            assert!(alike && takers.is_empty() && !packet.is_valid(), "{}", told());
            tally.invalid += 1;
        } else if packet.is_error() && !packet.is_fragment() {
            assert_eq!(takers.len(), outcomes.len(), "{}", told());
            tally.errors += 1;
        } else {
            assert_eq!(takers.len(), 1, "{}", told());
            assert!(expected.is_none_or(|expected| expected == takers[0]), "{}", told());
            let kind = match (packet.is_fragment(), packet.is_valid()) {
                (true, _) => &mut tally.fragments,
                (false, true) => &mut tally.valid,
                (false, false) => &mut tally.others,
            };
            *kind += 1;
        }
    }
    tally
}

/// The same with each of these numbers of nodes, in each mode: what is whose differs, and nothing else.
fn run_all(captures: &[(String, Vec<Vec<u8>>)], totals: &[u16]) -> Tally {
    let vips = choose(captures);
    let passages = passages(captures, &vips);
    let first = run(&vips, &passages, HashMode::Source, 1);
    println!("{} frames to {} VIPs: {first:?}", passages.len(), vips.len());
    for mode in HashMode::ALL {
        for total in totals {
            assert_eq!(run(&vips, &passages, *mode, *total), first, "{mode}, {total} nodes");
        }
    }
    first
}

#[test]
fn each_captured_frame_is_one_nodes() {
    let Some(folder) = weir_tests::folder("CAPTURES") else {
        return weir_tests::cannot_run("captures on virtual nodes: set CAPTURES to their folder");
    };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "pcap")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are no captures in CAPTURES");
    let frames = |path: &std::path::PathBuf| {
        let records = weir_tests::capture::read(path).unwrap();
        (path.display().to_string(), records.into_iter().map(|record| record.bytes).collect())
    };
    let captures: Vec<(String, Vec<Vec<u8>>)> = paths.iter().map(frames).collect();
    let tally = run_all(&captures, &Vec::from_iter(1..=16));
    assert!(tally.valid > 1000 && tally.errors > 0 && tally.fragments > 0 && tally.invalid > 0, "{tally:?}");
}

#[test]
fn each_frame_of_mischief_is_one_nodes() {
    let recipes = [Recipe::Town, Recipe::Segments, Recipe::Quotes, Recipe::Sctp, Recipe::Fragments];
    let of = |recipe: Recipe| {
        run_all(&[(recipe.name().to_owned(), recipe.frames::<Ipv4Addr>(7, 400))], &[1, 2, 3, 7, 16])
    };
    let [town, segments, quotes, sctp, fragments] = recipes.map(of);
    assert!(town.valid > 100 && town.invalid > 0 && segments.valid > 100, "{town:?}, {segments:?}");
    assert!(
        quotes.errors > 10 && sctp.others > 100 && fragments.fragments > 10,
        "{quotes:?}, {sctp:?}, {fragments:?}"
    );
}
