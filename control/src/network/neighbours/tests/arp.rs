//! Neighbours by ARP.

use super::super::message::{Kind, Weight};
use super::*;

#[test]
fn a_host_that_answers_gets_what_waited_for_it() {
    let mut net = Net::new(OWN);
    let asked = said(&net.wants(HOST_IP, "one"));
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].destination, asked[0].source), (MacAddr::BROADCAST, OWN));
    assert_eq!((asked[0].speaker, asked[0].mac), (Some(at(GATEWAY_IP).address), Some(OWN)));
    assert_eq!(asked[0].kind, Kind::Question { target: at(HOST_IP).address });
    assert_eq!(net.wants(HOST_IP, "two"), []);
    assert_eq!((net.state(HOST_IP), net.neighbours.waiting()), (Some(State::Incomplete), 2));

    let actions = net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
    assert_eq!(released(&actions), [(HOST, "one".into()), (HOST, "two".into())]);
    assert_eq!(actions.last(), Some(&Action::Publish));
    assert_eq!((net.state(HOST_IP), net.mac(HOST_IP)), (Some(State::Reachable), Some(HOST)));

    let late = net.wants(HOST_IP, "three");
    assert_eq!(released(&late), [(HOST, "three".into())]);
    assert_eq!(late.len(), 1, "nothing else has changed");
}

#[test]
fn a_host_that_does_not_answer_is_asked_three_times_and_given_up() {
    let mut net = Net::new(OWN);
    assert_eq!(said(&net.wants(HOST_IP, "one")).len(), 1);
    let done = net.passes(10_000);
    let times: Vec<u64> = done.iter().map(|(after_ms, _)| *after_ms).collect();
    assert_eq!(times, [1_000, 2_000, 3_000]);
    assert_eq!(said(done.iter().map(|(_, action)| action)).len(), 2);
    assert_eq!(given_up(done.iter().map(|(_, action)| action)), ["one"]);
    assert_eq!(net.state(HOST_IP), Some(State::Failed));

    assert_eq!(said(&net.wants(HOST_IP, "two")).len(), 1, "another packet asks anew");
    assert_eq!(net.state(HOST_IP), Some(State::Incomplete));
}

#[test]
fn an_unused_host_grows_stale_and_stays_known() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.passes(6_000);
    assert_eq!(net.passes(14_000 - 6_000), [], "no sooner than after half the time");
    assert_eq!(net.state(HOST_IP), Some(State::Reachable));
    assert_eq!(net.passes(46_000 - 14_000), []);
    assert_eq!((net.state(HOST_IP), net.mac(HOST_IP)), (Some(State::Stale), Some(HOST)));
    assert_eq!(net.passes(3_600_000), []);
    assert_eq!(net.state(HOST_IP), Some(State::Stale), "a small table forgets nobody");
}

#[test]
fn a_used_host_is_asked_alone_and_given_up_when_it_has_gone() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.passes(46_000);
    net.uses(HOST_IP);
    assert_eq!(net.state(HOST_IP), Some(State::Delay));
    let done = net.passes(20_000);
    let times: Vec<u64> = done.iter().map(|(after_ms, _)| *after_ms).collect();
    assert_eq!(times, [5_000, 6_000, 7_000, 8_000]);
    let asked = said(done.iter().map(|(_, action)| action));
    assert!(asked.iter().all(|question| question.destination == HOST), "{asked:?}");
    assert_eq!(done.last().map(|(_, action)| action), Some(&Action::Publish));
    assert_eq!((net.state(HOST_IP), net.mac(HOST_IP)), (None, None));
}

#[test]
fn a_used_host_that_answers_stays() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.passes(46_000);
    net.uses(HOST_IP);
    assert_eq!(said(net.passes(5_000).iter().map(|(_, action)| action)).len(), 1);
    assert_eq!(net.state(HOST_IP), Some(State::Probe));
    assert_eq!(net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes()), [], "what workers know is the same");
    assert_eq!(net.state(HOST_IP), Some(State::Reachable));
}

#[test]
fn a_host_in_use_goes_on_to_be_asked() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    let mut seen = Vec::new();
    for _ in 0..15 {
        net.uses(HOST_IP);
        net.passes(4_000);
        seen.extend(net.state(HOST_IP));
    }
    seen.dedup();
    assert_eq!(seen, [State::Reachable, State::Delay, State::Probe, State::Failed]);
}

#[test]
fn who_is_used_is_asked_once_in_a_while_and_who_is_not_never() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.resolves("192.0.2.10", OTHER);
    let mut questions = 0;
    for _ in 0..600 {
        net.uses(HOST_IP);
        for (_, action) in net.passes(1_000) {
            for question in said([&action]) {
                assert_eq!(question.destination, HOST);
                questions += 1;
                net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes());
            }
        }
        assert_eq!(net.mac(HOST_IP), Some(HOST));
    }
    // Each answer is trusted for 15 s to 45 s; then it has 5 s more.
    assert!((12..=30).contains(&questions), "{questions} in ten minutes");
    assert_eq!((net.state("192.0.2.10"), net.mac("192.0.2.10")), (Some(State::Stale), Some(OTHER)));
}

#[test]
fn who_asks_for_us_is_answered_and_known() {
    let mut net = Net::new(OWN);
    let actions = net.hears(&arp_request(HOST, HOST_IP, GATEWAY_IP).bytes());
    let answers = said(&actions);
    assert_eq!((answers[0].destination, answers[0].source), (HOST, OWN));
    assert_eq!((answers[0].speaker, answers[0].mac), (Some(at(GATEWAY_IP).address), Some(OWN)));
    let told = Some(at(HOST_IP).address);
    assert_eq!(answers[0].kind, Kind::Answer { told, weight: Weight::First });
    assert_eq!((answers.len(), actions.last()), (1, Some(&Action::Publish)));
    assert_eq!((net.state(HOST_IP), net.mac(HOST_IP)), (Some(State::Stale), Some(HOST)));
}

#[test]
fn who_asks_whether_our_address_is_free_is_told_that_it_is_not() {
    let mut net = Net::new(OWN);
    let actions = net.hears(&arp_request(HOST, "0.0.0.0", GATEWAY_IP).bytes());
    let answers = said(&actions);
    assert_eq!((answers.len(), answers[0].destination, answers[0].mac), (1, HOST, Some(OWN)));
    assert_eq!(actions.len(), 1, "nobody is learned");
    assert_eq!(net.neighbours.rows().count(), 0);
}

#[test]
fn what_is_said_unasked_makes_nobody_known() {
    let mut net = Net::new(OWN);
    assert_eq!(net.hears(&arp_announcement(HOST, HOST_IP).bytes()), []);
    assert_eq!(net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes()), []);
    assert_eq!(net.hears(&arp_request(HOST, HOST_IP, "192.0.2.77").bytes()), []);
    assert_eq!((net.neighbours.rows().count(), net.ignored(Ignored::Unasked)), (0, 3));
}

#[test]
fn a_host_that_moves_says_so_and_is_believed() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    assert_eq!(net.hears(&arp_announcement(OTHER, HOST_IP).bytes()), [Action::Publish]);
    assert_eq!((net.state(HOST_IP), net.mac(HOST_IP)), (Some(State::Stale), Some(OTHER)));
}

#[test]
fn of_two_that_answer_the_first_is_believed_and_asked_again() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    net.now_ms += 500;
    assert_eq!(net.hears(&arp_reply(OTHER, HOST_IP, OWN).bytes()), []);
    assert_eq!((net.state(HOST_IP), net.mac(HOST_IP)), (Some(State::Stale), Some(HOST)));
}

#[test]
fn an_address_that_moves_to_and_fro_raises_one_alarm() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    let mut heard = Vec::new();
    for i in 0..20 {
        net.now_ms += 2_000;
        let mac = if i % 2 == 0 { OTHER } else { HOST };
        heard.extend(alarms(&net.hears(&arp_announcement(mac, HOST_IP).bytes())));
    }
    assert_eq!(heard, [Alarm::Rivals { at: at(HOST_IP), macs: [HOST, OTHER] }]);
}

#[test]
fn who_claims_our_address_is_told_off_once_in_ten_seconds() {
    let mut net = Net::new(OWN);
    let claim = arp_announcement(HOST, GATEWAY_IP).bytes();
    let actions = net.hears(&claim);
    assert_eq!(alarms(&actions), [Alarm::Conflict { at: at(GATEWAY_IP), mac: HOST }]);
    let defence = said(&actions);
    assert_eq!((defence.len(), defence[0].destination, defence[0].mac), (1, MacAddr::BROADCAST, Some(OWN)));
    net.now_ms += 9_000;
    assert_eq!(net.hears(&claim), []);
    net.now_ms += 1_000;
    assert_eq!(said(&net.hears(&claim)).len(), 1);
    assert_eq!((net.neighbours.rows().count(), net.ignored(Ignored::Conflict)), (0, 3));
}

#[test]
fn addresses_are_announced_three_times() {
    let mut net = Net::new(OWN);
    net.neighbours.announce(|_| true, net.now_ms);
    assert_eq!(said(&net.actions()).len(), 2, "one of each family");
    let done = net.passes(60_000);
    let times: Vec<u64> = done.iter().map(|(after_ms, _)| *after_ms).collect();
    assert_eq!(times, [1_000, 1_000, 2_000, 2_000]);
    net.neighbours.announce(|_| false, net.now_ms);
    assert_eq!(net.actions(), []);
}

#[test]
fn spoofs_change_nothing() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP, HOST);
    let group = MacAddr([1, 0, 0x5e, 1, 2, 3]);
    let question = arp_request(OTHER, HOST_IP, GATEWAY_IP);
    let cases = [
        (ArpFrame { source: group, ..question }, Ignored::GroupMac),
        (ArpFrame { sender: (group, v4(HOST_IP)), ..question }, Ignored::GroupMac),
        (ArpFrame { sender: (MacAddr::default(), v4(HOST_IP)), ..question }, Ignored::GroupMac),
        (ArpFrame { sender: (OWN, v4(HOST_IP)), ..question }, Ignored::OurMac),
        (ArpFrame { sender: (OTHER, v4("198.51.100.1")), ..question }, Ignored::Foreign),
        (ArpFrame { sender: (OTHER, v4("192.0.2.255")), ..question }, Ignored::Foreign),
        (
            ArpFrame { source: MacAddr([2, 0, 0, 0, 0, 66]), ..arp_announcement(OTHER, HOST_IP) },
            Ignored::Disagrees,
        ),
        (ArpFrame { sender: (OWN, v4(GATEWAY_IP)), ..question }, Ignored::Cluster),
        (ArpFrame { sender: (MacAddr::BROADCAST, v4("0.0.0.0")), ..question }, Ignored::GroupMac),
        (ArpFrame { sender: (OWN, v4("0.0.0.0")), ..question }, Ignored::OurMac),
    ];
    for (frame, why) in cases {
        let before = net.ignored(why);
        assert_eq!(net.hears(&frame.bytes()), [], "{frame:?}");
        assert_eq!(net.ignored(why), before + 1, "{why}: {frame:?}");
        assert_eq!((net.state(HOST_IP), net.mac(HOST_IP)), (Some(State::Reachable), Some(HOST)));
    }
    assert_eq!(net.neighbours.rows().count(), 1);
}

#[test]
fn a_station_that_sends_from_another_address_is_believed_when_asked() {
    let mut net = Net::new(OWN);
    net.wants(HOST_IP, "one");
    let reply = ArpFrame { source: OTHER, ..arp_reply(HOST, HOST_IP, OWN) };
    assert_eq!(released(&net.hears(&reply.bytes())), [(HOST, "one".into())]);
}

#[test]
fn a_router_outside_of_our_networks_can_be_asked_for() {
    let mut net = Net::new(OWN);
    assert_eq!(said(&net.wants("198.51.100.1", "one")).len(), 1);
    let actions = net.hears(&arp_reply(HOST, "198.51.100.1", OWN).bytes());
    assert_eq!(released(&actions), [(HOST, "one".into())]);
}
