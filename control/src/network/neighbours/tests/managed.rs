//! Next hops of routes.

use super::super::message::Kind;
use super::*;

fn asks_for(message: &Message, address: &str) -> bool {
    matches!(message.kind, Kind::Question { target } if target == at(address).address)
}

fn managed(announced: MacAddr) -> (Net, Vec<Action<Vec<u8>>>) {
    let mut net = Net::new(announced);
    net.neighbours.manage([at(HOST_IP), at(GATEWAY_IP), at("fe80::9")], net.now_ms);
    let actions = net.actions();
    (net, actions)
}

#[test]
fn next_hops_are_asked_for_before_a_packet_wants_them() {
    let (mut net, actions) = managed(OWN);
    assert_eq!(said(&actions).len(), 2, "our own address is no neighbour: {actions:?}");
    net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
    assert_eq!(net.mac(HOST_IP), Some(HOST));
}

#[test]
fn a_silent_next_hop_is_checked_and_found_again() {
    let (mut net, _) = managed(OWN);
    net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
    let asked = |net: &mut Net, ms| {
        let done = net.passes(ms);
        let questions = said(done.iter().map(|(_, action)| action));
        questions.into_iter().filter(|question| asks_for(question, HOST_IP)).collect::<Vec<_>>()
    };
    // It is checked alone, given up, and asked for among all.
    let questions = asked(&mut net, 60_000);
    assert_eq!(questions[0].destination, HOST);
    assert_eq!(questions.last().unwrap().destination, MacAddr::BROADCAST);
    assert_eq!(net.mac(HOST_IP), None);
    let questions = asked(&mut net, 600_000);
    assert!((300..=400).contains(&questions.len()), "three in five seconds: {}", questions.len());
    assert_eq!(net.neighbours.waiting(), 0);
    net.hears(&arp_reply(OTHER, HOST_IP, OWN).bytes());
    assert_eq!(net.mac(HOST_IP), Some(OTHER));
}

#[test]
fn a_next_hop_that_answers_is_never_forgotten() {
    let (mut net, _) = managed(OWN);
    net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
    for _ in 0..600 {
        let done = net.passes(1_000);
        for question in said(done.iter().map(|(_, action)| action)) {
            if asks_for(&question, HOST_IP) {
                assert_eq!(question.destination, HOST);
                net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
            }
        }
        assert_eq!(net.mac(HOST_IP), Some(HOST));
    }
}

#[test]
fn a_reload_wants_them_named_again() {
    let (mut net, _) = managed(OWN);
    net.neighbours.reload(&routing(&[interface(OWN, OWN)]), &[]);
    net.passes(60_000);
    assert_eq!(net.neighbours.next_tick_ms(), None);
}
