//! What servers carry, what is known of them by it, and what they do not get.

use super::*;
use weir_dataplane::units::Tick;

#[test]
fn past_the_lease_a_port_that_is_a_nodes_own_is_served_by_others() {
    let to_port =
        Rule { destination: "10.0.0.80".parse().ok(), destination_port: Some(80..=80), ..Rule::default() };
    let mut services = web(Scheduler::LeastLoad, &[server(0)]);
    services.services[0].selector = None;
    services.assignments = vec![(to_port, Assignment::Server(ServerId::FIRST))];
    let mut node = node(&services);
    assert_eq!(next(&mut node, &ack(0)), mac(0), "whoever opened it");
    node.lapse();
    assert_eq!(verdict(&mut node, ack(0)), Verdict::Drop(DropReason::NotOwner));
}

#[test]
fn another_threshold_counts_from_the_next_connection_on() {
    let with = |upper_threshold| web(Scheduler::Rr, &[Server { upper_threshold, ..server(0) }]);
    let mut node = node(&with(0));
    assert_eq!([0, 1].map(|n| next(&mut node, &syn(n))), [mac(0); 2]);
    // Of the same version: all else is as it was.
    node.serve(&Config::default(), 1, &with(2));
    assert_eq!(verdict(&mut node, syn(2)), Verdict::Punt(PuntReason::NoServer));
    node.serve(&Config::default(), 1, &with(3));
    assert_eq!(next(&mut node, &syn(2)), mac(0));
}

/// How many connections a server has answered, left without an answer, and refused.
fn answers(node: &Node) -> [u64; 3] {
    let cells = node.counters().server(ServerId::FIRST);
    [&cells.answered, &cells.unanswered, &cells.refused].map(|cell| cell.read())
}

#[test]
fn a_server_that_does_not_answer_is_known_by_who_asks_again_and_one_that_refuses_by_its_reset() {
    let mut node = node(&web(Scheduler::Rr, &[server(0)]));
    let from_server = |n, flags| {
        let answer = eth(mac(0), TO_WAN).ip(VIP, client(n)).tcp(80, 40_000).flags(flags).ack(1);
        MemFrame::new(answer.build())
    };
    next(&mut node, &syn(0));
    assert_eq!(answers(&node), [0, 0, 0]);
    for _ in 0..3 {
        next(&mut node, &syn(0));
        assert_eq!(answers(&node), [0, 1, 0], "a connection is counted once");
    }
    next(&mut node, &ack(0));
    assert_eq!(answers(&node), [1, 1, 0], "late, but answered");
    next(&mut node, &syn(1));
    node.verdict(Side::Wan, from_server(1, Flags(Flags::SYN.0 | Flags::ACK.0)));
    next(&mut node, &syn(1));
    assert_eq!(answers(&node), [1, 1, 0], "its answer was seen");
    next(&mut node, &syn(2));
    node.verdict(Side::Wan, from_server(2, Flags(Flags::RST.0 | Flags::ACK.0)));
    assert_eq!(answers(&node), [1, 1, 1]);
    // None asks again: who knows whether they meant it.
    for n in 3..40 {
        next(&mut node, &syn(n));
    }
    node.idle(1000, Tick::from_ms(70_000));
    assert_eq!(active(&node, 0), (1, 0), "all others have ended");
    assert_eq!(answers(&node), [1, 1, 1]);
}

#[test]
fn an_association_that_has_lost_its_server_begins_anew_without_it() {
    let with = |state| {
        let mut services = caching(&[Server { state, ..server(0) }]);
        services.marks[1].0.protocol = Some(IpProtocol::SCTP);
        services
    };
    let mut node = node(&with(ServerState::Up));
    let packet = || up().ip(client(0), SITE).sctp(5000, 80);
    assert_eq!(next(&mut node, &packet().init(7).build()), mac(0));
    node.serve(&Config::default(), 2, &with(ServerState::Dead));
    assert_eq!(next(&mut node, &packet().tag(9).data(b"lost").build()), UPLINK);
    assert_eq!(next(&mut node, &packet().init(8).build()), UPLINK);
}

#[test]
fn a_server_is_known_by_its_number_while_a_flow_lives_that_it_has_opened() {
    let mut node = node(&web(Scheduler::Rr, &[server(0)]));
    for n in 0..2 {
        let syn = eth(mac(0), TO_WAN).ip(VIP, client(n)).tcp(20, 2000).flags(Flags::SYN).build();
        assert_eq!(node.verdict(Side::Wan, MemFrame::new(syn)), Verdict::Forward(port(Side::Lan)));
    }
    let opened = |node: &Node| node.counters().server(ServerId::FIRST).opened.read();
    assert_eq!(opened(&node), 2);
    node.idle(100, Tick::from_ms(130_000));
    assert_eq!(opened(&node), 0);
}

#[test]
fn what_a_server_opens_from_the_shared_address_is_answered_to_it() {
    let mut node = node(&web(Scheduler::Rr, &[server(0), server(1)]));
    for (n, at) in [(0, 1), (1, 0), (2, 1)] {
        let syn = eth(mac(at), TO_WAN).ip(VIP, client(n)).tcp(20, 2000).flags(Flags::SYN).build();
        assert_eq!(node.verdict(Side::Wan, MemFrame::new(syn)), Verdict::Forward(port(Side::Lan)));
        let answer = up().ip(client(n), VIP).tcp(2000, 20).flags(Flags(Flags::SYN.0 | Flags::ACK.0)).ack(1);
        assert_eq!(next(&mut node, &answer.build()), mac(at));
    }
    assert_eq!(active(&node, 0), (0, 0), "it was not given");
}

#[test]
fn the_server_that_has_opened_a_flow_is_found_when_it_is_known_where_it_is() {
    let (mut config, services) = (Config::default(), web(Scheduler::Rr, &[server(0)]));
    config.conntrack.tcp.loose = true;
    let unknown = || Node::serving(&config, knowing(0, router()), &services);
    let mut node = unknown();
    let said = |flags| eth(mac(0), TO_WAN).ip(VIP, client(0)).tcp(20, 2000).flags(flags).build();
    let answer = |flags| up().ip(client(0), VIP).tcp(2000, 20).flags(flags).ack(1).build();
    let say = |node: &mut Node, flags| {
        let verdict = node.verdict(Side::Wan, MemFrame::new(said(flags)));
        assert_eq!(verdict, Verdict::Forward(port(Side::Lan)));
        node.departed();
    };
    // One connection of which the gateway has heard all, and one that it has come to late.
    for (first, answered) in [(Flags::SYN, Flags(Flags::SYN.0 | Flags::ACK.0)), (Flags::ACK, Flags::ACK)] {
        say(&mut node, first);
        assert_eq!(verdict(&mut node, answer(answered)), Verdict::Punt(PuntReason::Local), "nobody's yet");
        say(&mut node, first);
        let opened = |node: &Node| node.counters().server(ServerId::FIRST).opened.read();
        assert_eq!(opened(&node), 0);
        let known = knowing(1, node.router().unwrap());
        node.reroute(&config, known);
        say(&mut node, first);
        assert_eq!(opened(&node), 1);
        assert_eq!(next(&mut node, &answer(answered)), mac(0));
        node = unknown();
    }
}

#[test]
fn what_a_drained_server_opens_is_no_longer_its() {
    let (config, open) = (Config::default(), |n| {
        MemFrame::new(eth(mac(0), TO_WAN).ip(VIP, client(n)).tcp(20, 2000).flags(Flags::SYN).build())
    });
    let answer = |n| up().ip(client(n), VIP).tcp(2000, 20).flags(Flags(Flags::SYN.0 | Flags::ACK.0)).ack(1);
    let with = |state| web(Scheduler::Rr, &[Server { state, ..server(0) }, server(1)]);
    let mut node = node(&with(ServerState::Dead));
    for (state, is_its) in [(ServerState::Dead, true), (ServerState::Drained, false), (ServerState::Up, true)]
    {
        let n = state as u8;
        node.serve(&config, 2 + u64::from(n), &with(state));
        assert_eq!(node.verdict(Side::Wan, open(n)), Verdict::Forward(port(Side::Lan)));
        node.departed();
        match is_its {
            true => assert_eq!(next(&mut node, &answer(n).build()), mac(0), "{state}"),
            false => assert_eq!(verdict(&mut node, answer(n).build()), Verdict::Punt(PuntReason::Local)),
        }
    }
    assert_eq!(node.counters().server(ServerId::FIRST).opened.read(), 2);
}

#[test]
fn datagrams_are_a_load_of_a_pools_node_as_connections_are() {
    let nodes = [server(0), server(1)];
    let pool = Service { selector: None, ..service(Selector::Mark(Mark(0)), Scheduler::LeastLoad, &nodes) };
    let all = Rule { destination: "10.0.0.80".parse().ok(), ..Rule::default() };
    let mut node = node(&Services {
        assignments: vec![(all, Assignment::Service(ServiceId::FIRST))],
        services: vec![pool],
        ..Services::default()
    });
    assert_eq!(next(&mut node, &syn(0)), mac(0));
    assert_eq!([0, 1, 2].map(|n| next(&mut node, &question(n))), [1, 0, 1].map(mac));
}
