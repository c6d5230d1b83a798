//! Another configuration.

use super::*;
use weir_dataplane::units::VlanId;

/// An interface in this network, and in no other.
fn network(vlan: Option<u16>, network: &str) -> Interface {
    Interface {
        vlan: vlan.and_then(VlanId::new),
        addresses: vec![network.parse().unwrap()],
        ..interface(OWN, OWN)
    }
}

#[test]
fn what_is_known_moves_with_its_interface() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.wants("192.0.2.10", "waits");
    net.neighbours.reload(&routing(&[network(Some(5), "198.51.100.1/24"), interface(OWN, OWN)]), &[]);
    assert_eq!(net.actions(), [Action::Publish]);
    let second = InterfaceId::new(1).unwrap();
    let known: Vec<Neighbour> = net.neighbours.known().collect();
    assert_eq!(known, [Neighbour { at: At { interface: second, ..at(HOST_IP) }, mac: HOST }]);
    net.neighbours.heard(second, &arp_reply(OTHER, "192.0.2.10", OWN).bytes(), |_| true, net.now_ms);
    assert_eq!(released(&net.actions()), [(OTHER, "waits".into())]);
}

#[test]
fn what_has_no_interface_any_more_is_given_up() {
    let gone = [vec![], vec![network(Some(5), "192.0.2.1/24")], vec![network(None, "198.51.100.1/24")]];
    for interfaces in gone {
        let mut net = Net::new(OWN);
        net.resolves(HOST_IP, HOST);
        net.wants("192.0.2.10", "waits");
        net.neighbours.reload(&routing(&interfaces), &[]);
        let actions = net.actions();
        assert_eq!((given_up(&actions), actions.last()), (vec!["waits".into()], Some(&Action::Publish)));
        assert_eq!((net.neighbours.rows().count(), net.neighbours.waiting()), (0, 0));
        assert_eq!(net.passes(60_000), []);
    }
}

#[test]
fn an_address_that_becomes_ours_is_no_neighbours() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.neighbours.reload(&routing(&[network(None, "192.0.2.9/24")]), &[]);
    assert_eq!(net.neighbours.rows().count(), 0);
}

#[test]
fn a_permanent_neighbour_gets_what_waited_for_it() {
    let mut net = Net::new(OWN);
    net.wants(HOST_IP, "waits");
    net.neighbours.reload(&routing(&[interface(OWN, OWN)]), &[Neighbour { at: at(HOST_IP), mac: OTHER }]);
    assert_eq!(released(&net.actions()), [(OTHER, "waits".into())]);
    net.neighbours.reload(&routing(&[interface(OWN, OWN)]), &[]);
    assert_eq!((net.actions(), net.neighbours.rows().count()), (vec![Action::Publish], 0));
}
