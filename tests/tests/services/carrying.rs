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
