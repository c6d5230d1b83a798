//! What the tracker calls each packet of small exchanges, and how flows end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::counters::{Cell, DropReason, FlowClass};
use weir_dataplane::units::Span;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::ladder::{CLIENT, Ladder, SERVER, ip};
use weir_tests::node::{bridge, member};
use weir_tests::packet::{Flags, Mac, Tcp, TcpOption, eth};

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const C: Side = Side::Lan;
const S: Side = Side::Wan;

/// A segment of one connection: client port 4000, server port 80.
fn tcp(side: Side) -> Tcp<Ipv4Addr> {
    port(side, 80)
}

fn port(side: Side, server: u16) -> Tcp<Ipv4Addr> {
    match side {
        Side::Lan => ip(side).tcp(4000, server),
        Side::Wan => ip(side).tcp(server, 4000),
    }
}

/// The handshake: the client's data begins at 101, the server's at 501.
fn open(ladder: &mut Ladder, server: u16) {
    assert_eq!(ladder.see(C, port(C, server).seq(100).syn().window(1000).build()), "NEW");
    assert_eq!(ladder.see(S, port(S, server).seq(500).syn().ack(101).window(1000).build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, port(C, server).seq(101).ack(501).window(1000).build()), "ESTABLISHED");
}

#[test]
fn a_connection_lives_from_syn_to_time_wait() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 80);
    assert_eq!(ladder.flows(FlowClass::TcpEstablished), 1);
    assert_eq!(ladder.see(C, tcp(C).seq(101).ack(501).payload(b"GET /").build()), "ESTABLISHED");
    assert_eq!(ladder.see(S, tcp(S).seq(501).ack(106).fin().build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, tcp(C).seq(106).ack(502).fin().build()), "ESTABLISHED");
    assert_eq!(ladder.see(S, tcp(S).seq(502).ack(107).build()), "ESTABLISHED/r");
    assert_eq!(ladder.flows(FlowClass::TcpTimeWait), 1);
    // A new SYN where the old connection was closed in order opens a new one.
    assert_eq!(ladder.see(C, tcp(C).seq(9000).syn().build()), "NEW");
    assert_eq!((ladder.flows(FlowClass::TcpTimeWait), ladder.flows(FlowClass::TcpSynSent)), (0, 1));
}

#[test]
fn nothing_in_mid_stream_opens_a_flow_unless_loose() {
    let ack = || tcp(C).seq(101).ack(501).build();
    assert_eq!(Ladder::new(&bridge()).see(C, ack()), "invalid_no_flow");
    let mut config = bridge();
    config.conntrack.tcp.loose = true;
    let mut ladder = Ladder::new(&config);
    assert_eq!(ladder.see(C, ack()), "NEW");
    assert_eq!(ladder.see(S, tcp(S).seq(501).ack(101).build()), "ESTABLISHED/r");
    assert_eq!(Ladder::new(&config).see(C, tcp(C).seq(1).syn().ack(2).build()), "invalid_no_flow");
}

#[test]
fn data_beyond_the_window_is_invalid_and_old_data_is_let_pass() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 80);
    let far = || tcp(C).seq(101 + 5000).ack(501).payload(b"x").build();
    assert_eq!(ladder.see(C, far()), "invalid_tcp_window");
    assert_eq!(ladder.see(C, tcp(C).seq(101).ack(501 + 5000).build()), "invalid_tcp_window");
    assert_eq!(
        ladder.see(C, tcp(C).seq(101).ack(501).payload(&[0; 900]).window(1000).build()),
        "ESTABLISHED"
    );
    assert_eq!(ladder.see(S, tcp(S).seq(501).ack(1001).window(1000).build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, tcp(C).seq(101u32.wrapping_sub(3000)).ack(501).build()), "ESTABLISHED");
    let mut config = bridge();
    config.conntrack.tcp.be_liberal = true;
    let mut liberal = Ladder::new(&config);
    open(&mut liberal, 80);
    assert_eq!(liberal.see(C, far()), "ESTABLISHED");
}

#[test]
fn window_scaling_counts_when_both_offer_it() {
    for (offered, expected) in [(true, "ESTABLISHED/r"), (false, "invalid_tcp_window")] {
        let mut ladder = Ladder::new(&bridge());
        let syn = tcp(C).seq(100).syn().window(1000).option(TcpOption::WindowScale(7));
        ladder.see(C, syn.build());
        let answer = tcp(S).seq(500).syn().ack(101).window(1000);
        let answer = if offered { answer.option(TcpOption::WindowScale(7)) } else { answer };
        ladder.see(S, answer.build());
        ladder.see(C, tcp(C).seq(101).ack(501).window(1000).build());
        // 100,000 bytes ahead: inside 1000 << 7, far outside 1000.
        assert_eq!(ladder.see(S, tcp(S).seq(501 + 100_000).ack(101).payload(b"x").build()), expected);
    }
}

#[test]
fn a_reset_must_fit() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 80);
    assert_eq!(ladder.see(C, tcp(C).seq(101).ack(501).payload(&[0; 50]).build()), "ESTABLISHED");
    assert_eq!(ladder.see(S, tcp(S).seq(501).ack(151).build()), "ESTABLISHED/r");
    // Below what the server has acknowledged: forged or very late.
    assert_eq!(ladder.see(C, tcp(C).seq(120).rst().build()), "invalid_tcp_window");
    // In the window but not exactly there: passes, but the state stays for a challenge ACK.
    assert_eq!(ladder.see(C, tcp(C).seq(160).rst().build()), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::TcpEstablished), 1);
    assert_eq!(ladder.see(C, tcp(C).seq(151).rst().build()), "ESTABLISHED");
    assert_eq!((ladder.flows(FlowClass::TcpEstablished), ladder.flows(FlowClass::TcpClose)), (0, 1));
}

#[test]
fn a_refused_connection_is_forgotten_at_once() {
    let answer = (S, tcp(S).seq(0).ack(101).rst().build(), "ESTABLISHED/r");
    let second_thought = (C, tcp(C).seq(101).rst().build(), "NEW");
    for (side, reset, called) in [answer, second_thought] {
        let mut ladder = Ladder::new(&bridge());
        ladder.see(C, tcp(C).seq(100).syn().build());
        assert_eq!(ladder.see(side, reset), called);
        assert_eq!(ladder.flows(FlowClass::TcpSynSent) + ladder.flows(FlowClass::TcpClose), 0);
    }
}

#[test]
fn both_ends_may_open_at_once() {
    let mut ladder = Ladder::new(&bridge());
    assert_eq!(ladder.see(C, tcp(C).seq(100).syn().build()), "NEW");
    assert_eq!(ladder.see(S, tcp(S).seq(500).syn().build()), "ESTABLISHED/r");
    assert_eq!(ladder.flows(FlowClass::TcpSynSent2), 1);
    assert_eq!(ladder.see(C, tcp(C).seq(100).syn().ack(501).build()), "ESTABLISHED");
    assert_eq!(ladder.see(S, tcp(S).seq(501).ack(101).build()), "ESTABLISHED/r");
    assert_eq!(ladder.flows(FlowClass::TcpEstablished), 1);
}

#[test]
fn a_syn_that_was_let_pass_gets_the_flow_back_into_step() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 80);
    // The client has crashed and opens anew; the server, too, has forgotten.
    assert_eq!(ladder.see(C, tcp(C).seq(70_000).syn().window(2000).build()), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::TcpEstablished), 1);
    assert_eq!(ladder.see(S, tcp(S).seq(90_000).syn().ack(70_001).window(2000).build()), "ESTABLISHED/r");
    assert_eq!(ladder.flows(FlowClass::TcpSynRecv), 1);
    assert_eq!(ladder.see(C, tcp(C).seq(70_001).ack(90_001).payload(b"hello").build()), "ESTABLISHED");
    assert_eq!(ladder.flows(FlowClass::TcpEstablished), 1);
}

#[test]
fn repeated_retransmissions_shorten_a_flows_life() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 80);
    for _ in 0..5 {
        ladder.see(C, tcp(C).seq(101).ack(501).payload(b"again").window(1000).build());
    }
    ladder.wait_s(299);
    assert_eq!(ladder.see(S, tcp(S).seq(501).ack(106).window(1000).build()), "ESTABLISHED/r");
    ladder.wait_s(432_000 - 1);
    assert_eq!(ladder.see(C, tcp(C).seq(106).ack(501).window(1000).build()), "ESTABLISHED");
    for _ in 0..5 {
        ladder.see(C, tcp(C).seq(106).ack(501).payload(b"again").window(1000).build());
    }
    ladder.wait_s(301);
    assert_eq!(ladder.see(S, tcp(S).seq(501).ack(111).build()), "invalid_no_flow");
}

#[test]
fn an_answered_udp_flow_becomes_a_stream_after_two_seconds() {
    let mut ladder = Ladder::new(&bridge());
    let ask = || ip(C).udp(5000, 53).payload(b"?").build();
    let answer = || ip(S).udp(53, 5000).payload(b"!").build();
    assert_eq!(ladder.see(C, ask()), "NEW");
    ladder.wait_s(29);
    assert_eq!(ladder.see(C, ask()), "NEW");
    assert_eq!(ladder.see(S, answer()), "ESTABLISHED/r");
    ladder.wait_s(3);
    assert_eq!(ladder.see(C, ask()), "ESTABLISHED");
    ladder.wait_s(119);
    assert_eq!(ladder.see(S, answer()), "ESTABLISHED/r");
    ladder.wait_s(121);
    // Too late: seen from here the server begins.
    assert_eq!(ladder.see(S, answer()), "NEW");
    assert_eq!(
        (ladder.flows(FlowClass::Udp), ladder.node.counters().flows_total(|cells| &cells.expired)),
        (1, 1)
    );
}

#[test]
fn timeouts_are_configurable() {
    let mut config = bridge();
    config.conntrack.udp_timeout = Span::from_s(5).unwrap();
    let mut ladder = Ladder::new(&config);
    ladder.see(C, ip(C).udp(5000, 53).build());
    ladder.wait_s(6);
    assert_eq!(ladder.see(S, ip(S).udp(53, 5000).build()), "NEW");
}

#[test]
fn an_echo_and_its_answer_are_one_flow_and_a_lone_answer_is_none() {
    let mut ladder = Ladder::new(&bridge());
    assert_eq!(ladder.see(S, ip(S).echo_reply(7, 1).build()), "invalid_no_flow");
    assert_eq!(ladder.see(C, ip(C).echo_request(7, 1).build()), "NEW");
    assert_eq!(ladder.see(S, ip(S).echo_reply(8, 1).build()), "invalid_no_flow");
    assert_eq!(ladder.see(S, ip(S).echo_reply(7, 1).build()), "ESTABLISHED/r");
    // The other way round with the same identifier is another flow.
    assert_eq!(ladder.see(S, ip(S).echo_request(7, 1).build()), "NEW");
    assert_eq!(ladder.flows(FlowClass::Icmp), 2);
}

#[test]
fn an_error_belongs_to_the_flow_that_it_quotes() {
    let mut ladder = Ladder::new(&bridge());
    let question = ip(C).udp(5000, 53).payload(b"?").build();
    let error = |to, quoted: &[u8]| {
        eth(Mac([2, 0, 0, 0, 0, 3]), Mac([2, 0, 0, 0, 0, 1]))
            .ip(ROUTER, to)
            .icmp(3, 1, [0; 4])
            .quote(quoted, 28)
            .build()
    };
    assert_eq!(ladder.see(S, error(CLIENT, &question)), "invalid_icmp_quote");
    ladder.see(C, question.clone());
    assert_eq!(ladder.see(S, error(CLIENT, &question)), "RELATED/r");
    // To somebody who did not ask.
    assert_eq!(ladder.see(S, error(ROUTER, &question)), "invalid_icmp_quote");
    let answer = ip(S).udp(53, 5000).build();
    let from_client = ip(C).icmp(3, 3, [0; 4]).quote(&answer, 28).build();
    assert_eq!(ladder.see(C, from_client), "RELATED");
}

#[test]
fn neighbour_discovery_is_never_tracked_and_ipv6_is() {
    let (a, b) =
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
    let link = || eth(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let mut ladder = Ladder::new(&bridge());
    let solicitation = link().ip(a, b).neighbor_solicitation(b, Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(ladder.see(C, solicitation), "UNTRACKED");
    let headers = link().ip(a, b).extension(60, &[1, 4, 0, 0, 0, 0]).tcp(1, 80).seq(1).syn().build();
    assert_eq!(ladder.see(C, headers), "NEW");
    assert_eq!(ladder.see(S, link().ip(b, a).tcp(80, 1).seq(5).syn().ack(2).build()), "ESTABLISHED/r");
}

#[test]
fn a_data_connection_is_related_to_the_one_that_announced_it() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 21);
    let says = |text: &[u8]| port(S, 21).seq(501).ack(101).payload(text).build();
    assert_eq!(ladder.see(S, says(b"220 ready\r\n")), "ESTABLISHED/r");
    let announces =
        port(S, 21).seq(512).ack(101).payload(b"227 Entering Passive Mode (192,0,2,80,200,1)\r\n");
    assert_eq!(ladder.see(S, announces.build()), "ESTABLISHED/r");
    assert_eq!(ladder.node.counters().expectations.read(), 1);
    assert_eq!(ladder.see(C, ip(C).tcp(4001, 51_201).seq(1).syn().build()), "RELATED");
    assert_eq!(ladder.see(S, ip(S).tcp(51_201, 4001).seq(1).syn().ack(2).build()), "ESTABLISHED/r");
    assert_eq!(ladder.see(C, ip(C).tcp(4002, 51_201).seq(1).syn().build()), "NEW");
    let counters = ladder.node.counters();
    assert_eq!((counters.flows_total(|cells| &cells.related), counters.expectations.read()), (1, 0));
}

#[test]
fn a_packet_that_opens_nothing_uses_the_announcement_up() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 21);
    let announces =
        port(S, 21).seq(501).ack(101).payload(b"227 Entering Passive Mode (192,0,2,80,200,1)\r\n");
    assert_eq!(ladder.see(S, announces.build()), "ESTABLISHED/r");
    let stray = ip(C).tcp(4001, 51_201).seq(1).ack(1).build();
    assert_eq!(ladder.see(C, stray), DropReason::InvalidNoFlow.name());
    assert_eq!(ladder.see(C, ip(C).tcp(4001, 51_201).seq(1).syn().build()), "NEW");
}

#[test]
fn a_broken_packet_uses_the_announcement_up_unless_it_is_of_a_flow() {
    let syn = || ip(C).tcp(4001, 51_201).seq(1).syn();
    let broken = [(syn().bad_checksum(), "invalid_checksum"), (syn().flags(Flags(3)), "invalid_tcp_flags")];
    for (packet, reason) in broken {
        let mut ladder = Ladder::new(&bridge());
        open(&mut ladder, 21);
        let announces = |seq| {
            let text = b"227 Entering Passive Mode (192,0,2,80,200,1)\r\n";
            port(S, 21).seq(seq).ack(101).payload(text).build()
        };
        assert_eq!(ladder.see(S, announces(501)), "ESTABLISHED/r");
        assert_eq!(ladder.see(C, packet.clone().build()), reason);
        assert_eq!(ladder.see(C, syn().build()), "NEW");
        assert_eq!(ladder.see(S, announces(547)), "ESTABLISHED/r");
        assert_eq!(ladder.see(C, packet.build()), reason);
        assert_eq!(ladder.see(C, ip(C).tcp(4002, 51_201).seq(1).syn().build()), "RELATED");
    }
}

#[test]
fn a_reset_that_answers_a_syn_on_an_open_connection_belongs_to_it() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 80);
    assert_eq!(ladder.see(C, tcp(C).seq(2_000_000).syn().build()), "ESTABLISHED");
    let reset = tcp(S).seq(4_000_000_000).ack(2_000_001).rst().build();
    assert_eq!(ladder.see(S, reset), "ESTABLISHED/r");
}

#[test]
fn a_message_that_a_helper_cannot_read_whole_is_dropped() {
    let mut ladder = Ladder::new(&bridge());
    open(&mut ladder, 21);
    assert_eq!(
        ladder.see(S, port(S, 21).seq(501).ack(101).payload(b"220 ready\r\n").build()),
        "ESTABLISHED/r"
    );
    let cut = port(S, 21).seq(512).ack(101).payload(b"227 Entering Passive Mode (192,0,2");
    assert_eq!(ladder.see(S, cut.build()), DropReason::Helper.name());
}

#[test]
fn under_pressure_the_unanswered_go_first_and_the_assured_stay() {
    let mut ladder = Ladder::with_flows(64);
    open(&mut ladder, 80);
    for port in 0..640u16 {
        let scan = ip(C).tcp(1000 + port, 443).seq(1).syn().build();
        assert_eq!(ladder.see(C, scan), "NEW", "{port}");
    }
    let counters = ladder.node.counters();
    let cells = counters.protocol(FlowClass::TcpSynSent);
    let live = counters.flows.iter().map(Cell::read).sum::<u64>();
    assert_eq!((cells.created.read(), cells.evicted.read() + live), (641, 641));
    assert_eq!(ladder.see(C, tcp(C).seq(101).ack(501).payload(b"alive").build()), "ESTABLISHED");
}

#[test]
fn a_child_follows_its_master_in_the_cluster() {
    // The server announces, the client of another bucket comes: the data flow is its master's node's all the same.
    let nodes: Vec<Config> = (0..2).map(|node| member(2, node..node + 1, Tracking::All)).collect();
    let mut ladders: Vec<Ladder> = nodes.iter().map(Ladder::new).collect();
    let mut owners = Vec::new();
    for ladder in &mut ladders {
        open(ladder, 21);
        ladder.see(C, port(C, 21).seq(101).ack(501).payload(b"USER a\r\n").build());
        ladder.see(C, port(C, 21).seq(109).ack(501).payload(b"PORT 10,0,0,1,200,2\r\n").build());
        let passage = |bytes| Passage { client: CLIENT.into(), fate: Fate::Flow, at_us: 0, side: S, bytes };
        let data = passage(ip(S).tcp(20, 51_202).seq(1).syn().build());
        let control = passage(port(S, 21).seq(501).ack(130).build());
        let sights = ladder.node.take([&control, &data]);
        assert_eq!(sights[0].owned, sights[1].owned);
        owners.push(sights[1].owned);
    }
    assert_eq!(owners.iter().filter(|owned| **owned).count(), 1);
}

#[test]
fn a_frame_from_no_station_is_dropped() {
    let mut ladder = Ladder::new(&bridge());
    for source in [Mac([0; 6]), Mac([1, 0, 0x5e, 0, 0, 1])] {
        let frame = eth(source, Mac([2, 0, 0, 0, 0, 2])).ip(CLIENT, SERVER).udp(1, 2).build();
        assert_eq!(ladder.see(C, frame), DropReason::SourceMac.name());
    }
}
