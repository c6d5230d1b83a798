//! Several nodes, one address, one announced MAC.

use super::*;

/// Another node's own address.
const SIBLING: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn nodes(announced: MacAddr) -> [Net; 2] {
    let [mut one, mut two] = [Net::new(announced), Net::new(announced)];
    two.neighbours.reload(&routing(&[interface(announced, SIBLING)]), &[]);
    [&mut one, &mut two].into_iter().for_each(|node| assert_eq!(node.actions(), []));
    [one, two]
}

/// Which of two nodes answers whoever has this address.
fn owner(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(address) => usize::from(address.octets()[3] % 2),
        IpAddr::V6(address) => usize::from(address.octets()[15] % 2),
    }
}

fn all_hear(nodes: &mut [Net; 2], frame: &[u8]) -> Vec<Message> {
    let mut heard = Vec::new();
    for (i, node) in nodes.iter_mut().enumerate() {
        node.neighbours.heard(InterfaceId::default(), frame, |asker| owner(asker) == i, node.now_ms);
        heard.extend(said(&node.actions()));
    }
    heard
}

#[test]
fn each_question_is_answered_once_with_the_clusters_mac() {
    for announced in [CLUSTER, MacAddr([2, 0, 0x5e, 0, 1, 1])] {
        let mut nodes = nodes(announced);
        for host in 2..=250u8 {
            let mac = MacAddr([2, 1, 0, 0, 0, host]);
            let address = format!("192.0.2.{host}");
            let address6 = format!("2001:db8::{host:x}");
            let questions = [
                arp_request(mac, &address, GATEWAY_IP).bytes(),
                arp_request(mac, "0.0.0.0", GATEWAY_IP).bytes(),
                solicitation(mac, &address6).bytes(),
                NdFrame { from: Ipv6Addr::UNSPECIFIED, option: None, ..solicitation(mac, &address6) }.bytes(),
            ];
            for question in questions {
                let answers = all_hear(&mut nodes, &question);
                assert_eq!(answers.len(), 1, "{answers:?}");
                assert_eq!(answers[0].mac, Some(announced));
                assert!([OWN, SIBLING].contains(&answers[0].source), "a switch must not learn {announced}");
            }
            for node in &nodes {
                assert_eq!((node.mac(&address), node.mac(&address6)), (Some(mac), Some(mac)));
            }
        }
    }
}

#[test]
fn no_frame_carries_a_nodes_own_mac_inside() {
    let mut net = Net::new(CLUSTER);
    let mut frames: Vec<Action<Vec<u8>>> = net.wants(HOST_IP, "one");
    frames.extend(net.wants(HOST_IP6, "one"));
    frames.extend(net.hears(&arp_request(OTHER, "192.0.2.10", GATEWAY_IP).bytes()));
    frames.extend(net.hears(&solicitation(OTHER, "2001:db8::10").bytes()));
    net.neighbours.announce(|_| true, net.now_ms);
    frames.extend(net.actions());
    let sent: Vec<&Vec<u8>> = frames
        .iter()
        .filter_map(|action| match action {
            Action::Send { frame, .. } => Some(frame),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 6);
    for frame in sent {
        assert_eq!(frame[6..12], OWN.0);
        assert!(!frame[12..].windows(6).any(|six| six == OWN.0), "{frame:x?}");
        assert!(frame[12..].windows(6).any(|six| six == CLUSTER.0), "{frame:x?}");
    }
}

#[test]
fn addresses_are_announced_by_their_owner_alone() {
    let mut nodes = nodes(CLUSTER);
    let mut heard = Vec::new();
    for (i, node) in nodes.iter_mut().enumerate() {
        node.neighbours.announce(|address| owner(address) == i, node.now_ms);
        heard.extend(said(&node.actions()));
    }
    assert_eq!(heard.len(), 2, "one of each family");
}

#[test]
fn the_answer_to_one_node_is_learned_by_all() {
    for address in [HOST_IP, HOST_IP6] {
        let mut nodes = nodes(CLUSTER);
        nodes[0].wants(address, "one");
        let reply = answer(address, HOST, CLUSTER);
        assert_eq!(released(&nodes[0].hears(&reply)), [(HOST, "one".into())]);
        assert_eq!(nodes[1].hears(&reply), [Action::Publish]);
        assert_eq!(nodes[1].state(address), Some(State::Reachable));
    }
}

#[test]
fn an_answer_that_is_not_for_our_address_answers_nobody_here() {
    let mut net = Net::new(CLUSTER);
    let other = ArpFrame { target: (CLUSTER, v4("192.0.2.77")), ..arp_reply(HOST, HOST_IP, CLUSTER) };
    let other6 = NdFrame { to: v6("2001:db8::77"), ..advertisement(HOST, HOST_IP6, CLUSTER) };
    let elsewhere = ArpFrame { destination: OTHER, ..arp_reply(HOST, HOST_IP, CLUSTER) };
    for frame in [other.bytes(), other6.bytes(), elsewhere.bytes()] {
        assert_eq!(net.hears(&frame), []);
    }
    assert_eq!((net.neighbours.rows().count(), net.ignored(Ignored::Unasked)), (0, 3));
}

#[test]
fn the_question_of_another_node_is_no_conflict() {
    let mut nodes = nodes(CLUSTER);
    for address in [HOST_IP, HOST_IP6] {
        let actions = nodes[0].wants(address, "one");
        let Action::Send { frame, .. } = &actions[0] else { panic!("{actions:?}") };
        assert_eq!(nodes[1].hears(frame), []);
    }
    assert_eq!(nodes[1].ignored(Ignored::Cluster), 2);
    let leak = ArpFrame { sender: (OWN, v4(GATEWAY_IP)), source: OWN, ..arp_announcement(OWN, GATEWAY_IP) };
    let heard = alarms(&nodes[1].hears(&leak.bytes()));
    assert_eq!(heard, [Alarm::Conflict { at: at(GATEWAY_IP), mac: OWN }]);
}

#[test]
fn a_router_that_does_not_believe_in_a_group_mac_is_found() {
    let mut net = Net::new(CLUSTER);
    let question = arp_request(HOST, HOST_IP, GATEWAY_IP).bytes();
    let mut heard = Vec::new();
    for _ in 0..60 {
        heard.extend(alarms(&net.hears(&question)));
        net.now_ms += 1_000;
    }
    let at = at(HOST_IP);
    let address = self::at(GATEWAY_IP).address;
    assert_eq!(heard, [Alarm::RefusesGroupMac { at, address, mac: CLUSTER }]);
    assert!(heard[0].to_string().contains("static entry for 192.0.2.1"));
}

#[test]
fn who_checks_on_the_gateway_is_no_such_router() {
    let mut net = Net::new(CLUSTER);
    for i in 0..60 {
        let to_one = ArpFrame { destination: CLUSTER, ..arp_request(HOST, HOST_IP, GATEWAY_IP) };
        assert_eq!(alarms(&net.hears(&to_one.bytes())), []);
        if i % 10 == 0 {
            assert_eq!(alarms(&net.hears(&arp_request(HOST, HOST_IP, GATEWAY_IP).bytes())), []);
        }
        net.now_ms += 1_000;
    }
    // With a MAC address that is a host's there is nothing to refuse.
    let mut alone = Net::new(OWN);
    for _ in 0..60 {
        assert_eq!(alarms(&alone.hears(&arp_request(HOST, HOST_IP, GATEWAY_IP).bytes())), []);
        alone.now_ms += 1_000;
    }
}
