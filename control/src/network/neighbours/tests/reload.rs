//! Another configuration.

use super::*;
use weir_dataplane::units::VlanId;

fn vlan(id: u16, network: &str) -> Link {
    let interface = Interface {
        vlan: VlanId::new(id),
        addresses: vec![network.parse().unwrap()],
        ..link(OWN, OWN).interface().clone()
    };
    Link::new(interface, OWN).unwrap()
}

#[test]
fn what_is_known_moves_with_its_interface() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.wants("192.0.2.10", "waits");
    net.neighbours.reload(vec![vlan(5, "198.51.100.1/24"), link(OWN, OWN)], &[]);
    assert_eq!(net.actions(), [Action::Publish]);
    let second = InterfaceId::new(1).unwrap();
    let known: Vec<Neighbour> = net.neighbours.known().collect();
    assert_eq!(known, [Neighbour { at: At { interface: second, ..at(HOST_IP) }, mac: HOST }]);
    net.neighbours.heard(second, &arp_reply(OTHER, "192.0.2.10", OWN).bytes(), |_| true, net.now_ms);
    assert_eq!(released(&net.actions()), [(OTHER, "waits".into())]);
}

#[test]
fn what_has_no_interface_any_more_is_given_up() {
    for links in [vec![], vec![vlan(5, "192.0.2.1/24")], {
        let interface = Interface {
            addresses: vec!["198.51.100.1/24".parse().unwrap()],
            ..link(OWN, OWN).interface().clone()
        };
        vec![Link::new(interface, OWN).unwrap()]
    }] {
        let mut net = Net::new(OWN);
        net.resolves(HOST_IP, HOST);
        net.wants("192.0.2.10", "waits");
        net.neighbours.reload(links, &[]);
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
    let interface =
        Interface { addresses: vec!["192.0.2.9/24".parse().unwrap()], ..link(OWN, OWN).interface().clone() };
    net.neighbours.reload(vec![Link::new(interface, OWN).unwrap()], &[]);
    assert_eq!(net.neighbours.rows().count(), 0);
}

#[test]
fn a_permanent_neighbour_gets_what_waited_for_it() {
    let mut net = Net::new(OWN);
    net.wants(HOST_IP, "waits");
    net.neighbours.reload(vec![link(OWN, OWN)], &[Neighbour { at: at(HOST_IP), mac: OTHER }]);
    assert_eq!(released(&net.actions()), [(OTHER, "waits".into())]);
    net.neighbours.reload(vec![link(OWN, OWN)], &[]);
    assert_eq!((net.actions(), net.neighbours.rows().count()), (vec![Action::Publish], 0));
}
