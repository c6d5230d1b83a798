//! What the tracker calls the packets of SCTP, UDP-Lite, GRE, and of protocols it knows nothing of.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::counters::FlowClass;
use weir_dataplane::units::Span;
use weir_tests::conversation::Side;
use weir_tests::ladder::{Ladder, ip};
use weir_tests::node::bridge;
use weir_tests::packet::{Mac, Sctp, chunk, eth};

const C: Side = Side::Lan;
const S: Side = Side::Wan;

/// What the client, and what the server, wants to be addressed with.
const CLIENT_TAG: u32 = 0xc11e;
const SERVER_TAG: u32 = 0x5e7e;

/// A packet of one association, under the tag that is due.
fn sctp(side: Side) -> Sctp<Ipv4Addr> {
    match side {
        Side::Lan => ip(side).sctp(4000, 3868).tag(SERVER_TAG),
        Side::Wan => ip(side).sctp(3868, 4000).tag(CLIENT_TAG),
    }
}

fn one(side: Side, kind: u8) -> Vec<u8> {
    sctp(side).chunk(kind, 0, b"").build()
}

fn init() -> Vec<u8> {
    sctp(C).tag(0).init(CLIENT_TAG).build()
}

fn open(ladder: &mut Ladder) {
    assert_eq!(ladder.see(C, init()), "NEW");
    assert_eq!(ladder.flows(FlowClass::SctpClosed), 1);
    assert_eq!(ladder.see(S, sctp(S).init_ack(SERVER_TAG).build()), "ESTABLISHED/r");
    assert_eq!(ladder.flows(FlowClass::SctpCookieWait), 1);
    assert_eq!(ladder.see(C, one(C, chunk::COOKIE_ECHO)), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::SctpCookieEchoed), 1);
    assert_eq!(ladder.see(S, one(S, chunk::COOKIE_ACK)), "ESTABLISHED/r");
    assert_eq!(ladder.flows(FlowClass::SctpEstablished), 1);
}

#[test]
fn an_association_opens_lives_and_closes() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder);
    assert_eq!(ladder.see(C, sctp(C).data(b"?").build()), "ESTABLISHED");
    ladder.wait_s(209);
    assert_eq!(ladder.see(S, one(S, chunk::SACK)), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, one(C, chunk::SHUTDOWN)), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::SctpShutdownSent), 1);
    assert_eq!(ladder.see(S, one(S, chunk::SHUTDOWN_ACK)), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, one(C, chunk::SHUTDOWN_COMPLETE)), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::SctpClosed), 1);
    ladder.wait_s(11);
    assert_eq!(ladder.see(C, sctp(C).data(b"?").build()), "invalid_no_flow");
}

#[test]
fn a_packet_must_carry_the_tag_that_its_receiver_chose() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder);
    let stranger = |kind, flags| sctp(C).tag(7).chunk(kind, flags, b"").build();
    assert_eq!(ladder.see(C, stranger(chunk::DATA, 0)), "invalid_sctp_tag");
    assert_eq!(ladder.see(C, stranger(chunk::ABORT, 0)), "invalid_sctp_tag");
    assert_eq!(ladder.see(C, sctp(C).init(9).build()), "invalid_sctp_tag");
    // An end that does not know the association gives the sender's own tag back.
    let reflected = sctp(C).tag(CLIENT_TAG);
    let not_said = reflected.clone().chunk(chunk::ABORT, 0, b"").build();
    assert_eq!(ladder.see(C, not_said), "invalid_sctp_tag");
    let said = reflected.chunk(chunk::ABORT, chunk::REFLECTED, b"").build();
    assert_eq!(ladder.see(C, said), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::SctpClosed), 1);
}

#[test]
fn chunks_that_cannot_stand_together_and_a_broken_checksum_are_invalid() {
    let mut ladder = Ladder::new(&bridge());
    let first = || sctp(C).tag(0).init(CLIENT_TAG);
    assert_eq!(ladder.see(C, first().data(b"early").build()), "invalid_sctp_chunk");
    assert_eq!(ladder.see(C, first().raw(&[chunk::DATA, 0, 0, 0]).build()), "invalid_sctp_chunk");
    assert_eq!(ladder.see(C, sctp(C).build()), "invalid_sctp_chunk");
    assert_eq!(ladder.see(C, first().bad_checksum().build()), "invalid_checksum");
    assert_eq!(ladder.see(C, one(C, chunk::COOKIE_ACK)), "invalid_no_flow");
    let mut config = bridge();
    config.conntrack.checksum = false;
    assert_eq!(Ladder::new(&config).see(C, first().bad_checksum().build()), "NEW");
}

#[test]
fn another_path_begins_with_a_heartbeat() {
    let mut ladder = Ladder::new(&bridge());
    assert_eq!(ladder.see(C, one(C, chunk::HEARTBEAT)), "NEW");
    assert_eq!(ladder.flows(FlowClass::SctpHeartbeatSent), 1);
    // Nothing is known of the other direction's tag yet, and only heartbeats may answer.
    assert_eq!(ladder.see(S, sctp(S).tag(0).init_ack(1).build()), "invalid_sctp_state");
    assert_eq!(ladder.see(S, one(S, chunk::HEARTBEAT_ACK)), "ESTABLISHED/r");
    assert_eq!(ladder.flows(FlowClass::SctpEstablished), 1);
    assert_eq!(ladder.see(S, sctp(S).data(b"!").build()), "ESTABLISHED/r");
}

#[test]
fn heartbeats_with_new_tags_pass_and_their_answer_is_believed() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder);
    let heartbeat = |side, kind| sctp(side).tag(7).chunk(kind, 0, b"").build();
    assert_eq!(ladder.see(S, heartbeat(S, chunk::HEARTBEAT_ACK)), "invalid_sctp_tag");
    assert_eq!(ladder.see(C, heartbeat(C, chunk::HEARTBEAT)), "ESTABLISHED");
    assert_eq!(ladder.see(S, heartbeat(S, chunk::HEARTBEAT_ACK)), "ESTABLISHED/r");
    assert_eq!(ladder.see(S, one(S, chunk::DATA)), "invalid_sctp_tag");
}

#[test]
fn an_init_ack_may_bring_a_new_tag_only_where_it_was_asked_for() {
    let answers = |ladder: &mut Ladder, tag| ladder.see(S, sctp(S).init_ack(tag).build());
    let mut ladder = Ladder::new(&bridge());
    assert_eq!(ladder.see(C, init()), "NEW");
    assert_eq!(answers(&mut ladder, 7), "ESTABLISHED/r");
    assert_eq!(answers(&mut ladder, 8), "ESTABLISHED/r");
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder);
    // What is agreed upon stays, and an INIT that says nothing new asks for nothing.
    assert_eq!(answers(&mut ladder, 7), "invalid_sctp_tag");
    assert_eq!(ladder.see(C, init()), "ESTABLISHED");
    assert_eq!(answers(&mut ladder, 7), "invalid_sctp_tag");
    let restart = sctp(C).tag(0).init(9).build();
    assert_eq!(ladder.see(C, restart), "ESTABLISHED");
    assert_eq!(ladder.see(S, sctp(S).tag(9).init_ack(7).build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, sctp(C).tag(7).data(b"again").build()), "ESTABLISHED");
}

#[test]
fn where_both_ends_ask_at_once_each_answer_must_repeat_the_question() {
    let mut ladder = Ladder::new(&bridge());
    assert_eq!(ladder.see(C, init()), "NEW");
    assert_eq!(ladder.see(S, sctp(S).tag(0).init(SERVER_TAG).build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(S, sctp(S).init_ack(7).build()), "invalid_sctp_tag");
    assert_eq!(ladder.see(S, sctp(S).init_ack(SERVER_TAG).build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, sctp(C).init_ack(CLIENT_TAG).build()), "ESTABLISHED");
}

#[test]
fn a_repeated_init_does_not_keep_a_flow_alive() {
    let mut config = bridge();
    config.conntrack.sctp.closed = Span::from_s(5).unwrap();
    let mut ladder = Ladder::new(&config);
    assert_eq!(ladder.see(C, init()), "NEW");
    ladder.wait_s(4);
    assert_eq!(ladder.see(C, init()), "NEW");
    ladder.wait_s(2);
    assert_eq!(ladder.see(S, sctp(S).init_ack(SERVER_TAG).build()), "invalid_sctp_tag");
}

#[test]
fn a_udp_lite_checksum_covers_what_it_says() {
    let mut ladder = Ladder::new(&bridge());
    let datagram = || ip(C).udp_lite(5000, 53).payload(b"covered, and not").summed_as_udp();
    let mut damaged = datagram().coverage(8).build();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(ladder.see(C, damaged), "NEW");
    assert_eq!(ladder.see(C, datagram().build()), "NEW");
    assert_eq!(ladder.flows(FlowClass::UdpLite), 1);
    assert_eq!(ladder.see(C, datagram().bad_checksum().build()), "invalid_checksum");
    assert_eq!(ladder.see(C, datagram().no_checksum().build()), "invalid_checksum");
    for coverage in [7, 25] {
        assert_eq!(ladder.see(C, datagram().coverage(coverage).build()), "invalid_header");
    }
    // As the RFC has it, and as no Linux takes it.
    assert_eq!(ladder.see(C, ip(C).udp_lite(5000, 53).payload(b"x").build()), "invalid_checksum");
}

#[test]
fn a_gre_tunnel_is_one_flow_and_each_pptp_call_is_one() {
    let mut ladder = Ladder::new(&bridge());
    assert_eq!(ladder.see(C, ip(C).gre(0x0800).build()), "NEW");
    assert_eq!(ladder.see(S, ip(S).gre(0x6558).build()), "ESTABLISHED/r");
    let keyed = ip(C).protocol(47).payload(&[0x20, 0, 0x08, 0x00, 1, 2, 3, 4]).build();
    assert_eq!(ladder.see(C, keyed), "ESTABLISHED");
    assert_eq!(ladder.see(C, ip(C).gre_call(7).build()), "NEW");
    assert_eq!(ladder.see(C, ip(C).gre_call(8).build()), "NEW");
    assert_eq!(ladder.flows(FlowClass::Gre), 3);
    let call_of_ip = ip(C).protocol(47).payload(&[0x30, 1, 0x08, 0x00, 0, 0, 0, 7]).build();
    assert_eq!(ladder.see(C, call_of_ip), "invalid_header");
    // The tunnel was answered, the calls were not.
    ladder.wait_s(179);
    assert_eq!(ladder.see(S, ip(S).gre(0x0800).build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, ip(C).gre_call(7).build()), "NEW");
    assert_eq!(ladder.flows(FlowClass::Gre), 2);
}

#[test]
fn dccp_is_one_of_the_protocols_that_nothing_is_known_of() {
    let mut ladder = Ladder::new(&bridge());
    let dccp = |side, port| ip(side).protocol(33).payload(&[0, port, 0, 9, 0, 0, 0, 0]).build();
    assert_eq!(ladder.see(C, dccp(C, 1)), "NEW");
    assert_eq!(ladder.see(S, dccp(S, 2)), "ESTABLISHED/r");
    ladder.wait_s(599);
    assert_eq!(ladder.see(C, dccp(C, 3)), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::Generic), 1);
}

#[test]
fn icmp_of_the_other_ip_version_is_invalid() {
    let mut ladder = Ladder::new(&bridge());
    let six = eth(Mac::host(1), Mac::host(2)).ip(Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
    let echo = [8, 0, 0, 0, 0, 1, 0, 1];
    for frame in [six.protocol(1).payload(&echo).build(), ip(C).protocol(58).payload(&echo).build()] {
        assert_eq!(ladder.see(C, frame), "invalid_icmp_type");
    }
}
