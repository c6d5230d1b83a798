//! What an operator flushes, and links that go down.

use super::*;

fn down(ports: &[usize]) -> BTreeSet<PortId> {
    ports.iter().filter_map(|port| PortId::new(*port)).collect()
}

#[test]
fn a_flushed_host_is_asked_for_when_a_packet_wants_it() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    assert_eq!(net.neighbours.flush(at(HOST_IP).address, None, net.now_ms), 1);
    assert_eq!(net.actions(), [Action::Publish]);
    assert_eq!((net.state(HOST_IP), net.neighbours.counters().forgotten), (None, 1));
    assert_eq!(said(&net.wants(HOST_IP, "one")).len(), 1);
}

#[test]
fn what_waits_for_a_flushed_host_is_given_up() {
    let mut net = Net::new(OWN);
    net.wants(HOST_IP, "one");
    assert_eq!(net.neighbours.flush(at(HOST_IP).address, None, net.now_ms), 1);
    assert_eq!(net.actions(), [Action::GiveUp { at: at(HOST_IP), packet: "one".into() }]);
    assert_eq!(net.neighbours.waiting(), 0);
}

#[test]
fn a_flushed_next_hop_is_asked_for_at_once() {
    let mut net = Net::new(OWN);
    net.neighbours.manage([at(HOST_IP)], net.now_ms);
    net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
    net.passes(2_000);
    net.neighbours.flush(at(HOST_IP).address, None, net.now_ms);
    assert_eq!(said(&net.actions()).len(), 1);
    assert_eq!(net.state(HOST_IP), Some(State::Incomplete));
}

#[test]
fn only_who_is_meant_is_flushed_and_permanent_ones_never() {
    let permanent = [Neighbour { at: at(HOST_IP), mac: HOST }];
    let mut net = Net::new(OWN);
    net.neighbours.reload(&routing(&[interface(OWN, OWN)]), &permanent);
    net.resolves(HOST_IP6, HOST);
    let other = InterfaceId::new(1);
    assert_eq!(net.neighbours.flush(at(HOST_IP).address, None, net.now_ms), 0);
    assert_eq!(net.neighbours.flush(at(HOST_IP6).address, other, net.now_ms), 0);
    assert_eq!(net.neighbours.rows().count(), 2);
    assert_eq!(net.neighbours.flush(at(HOST_IP6).address, Some(InterfaceId::default()), net.now_ms), 1);
}

#[test]
fn behind_a_link_that_is_down_nobody_is_known_or_asked_for() {
    let permanent = [Neighbour { at: at("192.0.2.10"), mac: OTHER }];
    let mut net = Net::new(OWN);
    net.neighbours.reload(&routing(&[interface(OWN, OWN)]), &permanent);
    net.neighbours.manage([at(HOST_IP)], net.now_ms);
    net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
    net.wants("192.0.2.11", "waits");
    net.actions();

    net.neighbours.links_down(down(&[0]), net.now_ms);
    let actions = net.actions();
    assert!(
        actions.contains(&Action::GiveUp { at: at("192.0.2.11"), packet: "waits".into() }),
        "{actions:?}"
    );
    assert!(actions.contains(&Action::Publish));
    assert_eq!(net.neighbours.known().collect::<Vec<_>>(), permanent);
    let given_up = Action::GiveUp { at: at(HOST_IP), packet: "one".into() };
    assert_eq!(net.wants(HOST_IP, "one"), [given_up], "at once");
    assert!(net.passes(60_000).iter().all(|(_, action)| said([action]).is_empty()));

    net.neighbours.links_down(down(&[]), net.now_ms);
    assert_eq!(said(&net.actions()).len(), 1, "the next hop is asked for at once");
    net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
    assert_eq!(net.mac(HOST_IP), Some(HOST));
}

#[test]
fn another_port_that_goes_down_changes_nothing() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.neighbours.links_down(down(&[1]), net.now_ms);
    assert_eq!((net.actions(), net.mac(HOST_IP)), (vec![], Some(HOST)));
}
