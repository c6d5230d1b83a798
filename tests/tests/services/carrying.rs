//! What servers carry, what is known of them by it, and what they do not get.

use super::*;

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
