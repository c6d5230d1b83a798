//! Each reason for a drop is given for what it stands for.

#![allow(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::{Config, HelperRules, Share, Tracking};
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::pipeline::Limits;
use weir_dataplane::port::FrameDefect;
use weir_dataplane::port::mem::MemFrame;
use weir_tests::conversation::Side;
use weir_tests::node::{Node, bridge, member};
use weir_tests::packet::{Flags, Ip, Link, Mac, chunk, eth};

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1);

fn link() -> Link {
    eth(Mac::host(1), Mac::host(2))
}

fn v4() -> Ip<Ipv4Addr> {
    link().ip(CLIENT, SERVER)
}

fn back() -> Ip<Ipv4Addr> {
    eth(Mac::host(2), Mac::host(1)).ip(SERVER, CLIENT)
}

fn v6() -> Ip<Ipv6Addr> {
    link().ip(CLIENT6, SERVER6)
}

/// A frame with one byte changed; the IPv4 header's checksum no longer counts.
fn with(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}

fn cut(mut frame: Vec<u8>, length: usize) -> Vec<u8> {
    frame.truncate(length);
    frame
}

/// What becomes of the last of these frames of the client.
fn fate(config: &Config, frames: impl IntoIterator<Item = Vec<u8>>) -> Verdict {
    let mut node = Node::new(config);
    let verdicts = frames.into_iter().map(|frame| node.verdict(Side::Lan, MemFrame::new(frame)));
    verdicts.last().expect("there are frames")
}

fn dropped(reason: DropReason, frames: impl IntoIterator<Item = Vec<u8>>) {
    assert_eq!(fate(&bridge(), frames), Verdict::Drop(reason));
}

#[test]
fn a_frame_that_the_device_could_not_deliver_whole() {
    for (defect, reason) in
        [(FrameDefect::Segmented, DropReason::Segmented), (FrameDefect::Oversize, DropReason::Oversize)]
    {
        let frame = MemFrame::new(v4().udp(1, 2).build()).with_defect(defect);
        assert_eq!(Node::new(&bridge()).verdict(Side::Lan, frame), Verdict::Drop(reason));
    }
}

#[test]
fn a_link_header_that_is_cut_or_stays_on_its_link() {
    dropped(DropReason::Runt, [Vec::new()]);
    dropped(DropReason::Runt, [cut(v4().udp(1, 2).build(), 13)]);
    dropped(DropReason::SourceMac, [eth(Mac::BROADCAST, Mac::host(2)).ip(CLIENT, SERVER).udp(1, 2).build()]);
    let spanning_tree = eth(Mac::host(1), Mac([0x01, 0x80, 0xc2, 0, 0, 0])).ethertype(0x0027, &[0x42; 40]);
    dropped(DropReason::LinkLocal, [spanning_tree]);
}

#[test]
fn an_ipv4_header_that_is_wrong() {
    dropped(DropReason::Ipv4Header, [with(v4().udp(1, 2).build(), 14, 0x44)]);
    dropped(DropReason::Ipv4Checksum, [v4().bad_checksum().udp(1, 2).build()]);
    dropped(DropReason::Ipv4Length, [cut(v4().udp(1, 2).payload(&[0; 9]).build(), 45)]);
}

#[test]
fn an_ipv6_header_that_is_wrong() {
    dropped(DropReason::Ipv6Header, [with(v6().udp(1, 2).build(), 14, 0x50)]);
    dropped(DropReason::Ipv6Length, [cut(v6().udp(1, 2).payload(&[0; 9]).build(), 65)]);
    let option_past_the_end = v6().extension(0, &[5, 0xff, 0, 0, 0, 0]).udp(1, 2).build();
    dropped(DropReason::Ipv6HopByHop, [option_past_the_end]);
    dropped(DropReason::InvalidExtension, [v6().protocol(59).build()]);
    let endless_destination_options = with(v6().extension(60, &[1, 4]).udp(1, 2).build(), 55, 0xff);
    dropped(DropReason::HeaderCut, [endless_destination_options]);
}

#[test]
fn a_transport_header_that_is_wrong() {
    let cut_short = || v4().protocol(6).payload(&[0; 19]).build();
    let mut unhelped = bridge();
    unhelped.conntrack.helpers = HelperRules::default();
    assert_eq!(fate(&unhelped, [cut_short()]), Verdict::Drop(DropReason::InvalidHeader));
    dropped(DropReason::HeaderCut, [cut_short()]);
    dropped(DropReason::HeaderCut, [v6().protocol(17).payload(&[0; 7]).build()]);
    let syn = v4().tcp(5000, 80).syn();
    dropped(DropReason::InvalidChecksum, [syn.clone().bad_checksum().build()]);
    dropped(DropReason::InvalidChecksum, [v6().udp(1, 2).payload(b"x").bad_checksum().build()]);
    dropped(DropReason::InvalidHeader, [with(syn.clone().build(), 46, 0x40)]);
    dropped(DropReason::InvalidTcpFlags, [syn.flags(Flags::FIN).build()]);
    dropped(DropReason::InvalidIcmpType, [v4().icmp(200, 0, [0; 4]).build()]);
}

#[test]
fn a_packet_that_fits_no_flow() {
    let ack = v4().tcp(5000, 80).seq(1).ack(1).build();
    dropped(DropReason::InvalidNoFlow, [ack.clone()]);
    dropped(DropReason::InvalidTcpState, [v4().tcp(5000, 80).syn().build(), ack]);
    let never = back().udp(7, 8).build();
    dropped(DropReason::InvalidIcmpQuote, [v4().icmp(3, 3, [0; 4]).quote(&never, 28).build()]);
}

#[test]
fn chunks_that_their_association_has_no_place_for() {
    let packet = || v4().sctp(2905, 3868);
    dropped(DropReason::InvalidSctpChunk, [packet().init(7).data(b"too early").build()]);
    dropped(DropReason::InvalidSctpTag, [packet().tag(9).init(7).build()]);
    let mut node = Node::new(&bridge());
    node.verdict(Side::Lan, MemFrame::new(packet().chunk(chunk::HEARTBEAT, 0, b"").build()));
    let abort = back().sctp(3868, 2905).chunk(chunk::ABORT, 0, b"").build();
    let verdict = node.verdict(Side::Wan, MemFrame::new(abort));
    assert_eq!(verdict, Verdict::Drop(DropReason::InvalidSctpState));
}

#[test]
fn what_the_configuration_has_dropped() {
    let mut strict = member(2, 0..2, Tracking::All);
    let cluster = strict.cluster.as_mut().expect("a member is in a cluster");
    (cluster.non_ip, cluster.untracked) = (Share::Drop, Share::Drop);
    assert_eq!(fate(&strict, [link().arp_request(CLIENT, SERVER)]), Verdict::Drop(DropReason::NonIp));
    let solicitation = v6().neighbor_solicitation(SERVER6, Mac::host(1));
    assert_eq!(fate(&strict, [solicitation]), Verdict::Drop(DropReason::Untracked));
    let nobody = member(2, 0..0, Tracking::Own);
    assert_eq!(fate(&nobody, [v4().udp(1, 2).build()]), Verdict::Drop(DropReason::NotOwner));
    let unpaired = Config::default();
    assert_eq!(fate(&unpaired, [v4().udp(1, 2).build()]), Verdict::Drop(DropReason::NoPeer));
}

/// The verdict on the first segment of a handshake that is otherwise played to its end; both sides then expect
/// sequence numbers 2 and 10.
fn handshake(node: &mut Node, client_port: u16, server_port: u16) -> Verdict {
    let frames = [
        (Side::Lan, v4().tcp(client_port, server_port).seq(1).syn().build()),
        (Side::Wan, back().tcp(server_port, client_port).seq(9).syn().ack(2).build()),
        (Side::Lan, v4().tcp(client_port, server_port).seq(2).ack(10).build()),
    ];
    frames.map(|(side, frame)| node.verdict(side, MemFrame::new(frame)))[0]
}

#[test]
fn a_segment_that_its_flow_has_no_room_for() {
    let mut node = Node::new(&bridge());
    handshake(&mut node, 5000, 80);
    let ahead = v4().tcp(5000, 80).seq(2 + (1 << 24)).ack(10).payload(b"far ahead").build();
    let verdict = node.verdict(Side::Lan, MemFrame::new(ahead));
    assert_eq!(verdict, Verdict::Drop(DropReason::InvalidTcpWindow));
}

#[test]
fn a_line_that_its_helper_cannot_read() {
    let mut node = Node::new(&bridge());
    handshake(&mut node, 5000, 21);
    // The first segment of a direction may be the rest of a line: it is not read.
    let lines = [(2, "NOOP\r\n"), (8, "PORT 198,18,0,1\r\n")];
    let verdicts = lines.map(|(seq, line)| {
        let segment = v4().tcp(5000, 21).seq(seq).ack(10).psh().payload(line.as_bytes()).build();
        node.verdict(Side::Lan, MemFrame::new(segment))
    });
    assert_eq!(verdicts[1], Verdict::Drop(DropReason::Helper), "{verdicts:?}");
}

/// A flow that was answered and goes on is assured: it is never given up for a new one.
#[test]
fn a_table_that_is_full_of_assured_flows() {
    let mut node = Node::with_limits(&bridge(), Limits { flows_max: 4, expectations_max: 4 });
    let full = (0..5).map(|n| handshake(&mut node, 1000 + n, 80)).collect::<Vec<_>>();
    assert_eq!(full[4], Verdict::Drop(DropReason::TableFull), "{full:?}");
    assert!(full[..4].iter().all(|verdict| matches!(verdict, Verdict::Forward(_))), "{full:?}");
}
