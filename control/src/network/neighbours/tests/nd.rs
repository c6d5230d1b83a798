//! Neighbours by neighbour discovery.

use super::super::frame::{ALL_NODES, FLAG_ROUTER};
use super::super::message::{Kind, Weight};
use super::*;

#[test]
fn a_host_that_answers_gets_what_waited_for_it() {
    let mut net = Net::new(OWN);
    let asked = said(&net.wants(HOST_IP6, "one"));
    assert_eq!(asked[0].destination, MacAddr([0x33, 0x33, 0xff, 0, 0, 9]));
    assert_eq!((asked[0].speaker, asked[0].mac), (Some(at(GATEWAY_IP6).address), Some(OWN)));
    assert_eq!(asked[0].kind, Kind::Question { target: at(HOST_IP6).address });
    let actions = net.hears(&advertisement(HOST, HOST_IP6, OWN).bytes());
    assert_eq!(released(&actions), [(HOST, "one".into())]);
    assert_eq!((net.state(HOST_IP6), net.mac(HOST_IP6)), (Some(State::Reachable), Some(HOST)));
}

#[test]
fn a_used_host_is_asked_at_its_own_address() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP6, HOST);
    net.passes(46_000);
    net.uses(HOST_IP6);
    let done = net.passes(5_000);
    let asked = said(done.iter().map(|(_, action)| action));
    assert_eq!((asked.len(), asked[0].destination), (1, HOST));
    let unnamed = NdFrame { option: None, ..advertisement(HOST, HOST_IP6, OWN) };
    net.hears(&unnamed.bytes());
    assert_eq!((net.state(HOST_IP6), net.mac(HOST_IP6)), (Some(State::Reachable), Some(HOST)));
}

#[test]
fn the_first_answer_has_to_name_a_mac() {
    let mut net = Net::new(OWN);
    net.wants(HOST_IP6, "one");
    let unnamed = NdFrame { option: None, ..advertisement(HOST, HOST_IP6, OWN) };
    assert_eq!(net.hears(&unnamed.bytes()), []);
    assert_eq!((net.state(HOST_IP6), net.ignored(Ignored::NoMac)), (Some(State::Incomplete), 1));
}

/// RFC 4861 7.2.5: what an advertisement does to a neighbour that is known as reachable at `HOST`.
#[test]
fn flags_decide_what_an_advertisement_does() {
    let cases = [
        // flags, from, state and address afterwards
        (0, HOST, State::Reachable, HOST),
        (FLAG_OVERRIDE, HOST, State::Reachable, HOST),
        (0, OTHER, State::Stale, HOST),
        (FLAG_SOLICITED, OTHER, State::Stale, HOST),
        (FLAG_OVERRIDE, OTHER, State::Stale, OTHER),
        // It says that it answers, but nobody has asked.
        (FLAG_OVERRIDE | FLAG_SOLICITED, OTHER, State::Stale, OTHER),
    ];
    for (flags, mac, state, known) in cases {
        let mut net = Net::new(OWN);
        net.resolves(HOST_IP6, HOST);
        net.hears(&NdFrame { flags, ..advertisement(mac, HOST_IP6, OWN) }.bytes());
        assert_eq!(
            (net.state(HOST_IP6), net.mac(HOST_IP6)),
            (Some(state), Some(known)),
            "{flags:#x} from {mac}"
        );
    }
}

#[test]
fn an_answer_to_a_probe_from_elsewhere_is_believed() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP6, HOST);
    net.passes(46_000);
    net.uses(HOST_IP6);
    net.passes(5_000);
    assert_eq!(net.hears(&advertisement(OTHER, HOST_IP6, OWN).bytes()), [Action::Publish]);
    assert_eq!((net.state(HOST_IP6), net.mac(HOST_IP6)), (Some(State::Reachable), Some(OTHER)));
}

#[test]
fn what_is_said_unasked_makes_nobody_known() {
    let mut net = Net::new(OWN);
    let unasked = NdFrame {
        destination: group_mac(ALL_NODES),
        to: ALL_NODES,
        flags: FLAG_OVERRIDE,
        ..advertisement(HOST, HOST_IP6, OWN)
    };
    assert_eq!(net.hears(&unasked.bytes()), []);
    assert_eq!(net.hears(&advertisement(HOST, HOST_IP6, OWN).bytes()), []);
    assert_eq!((net.neighbours.rows().count(), net.ignored(Ignored::Unasked)), (0, 2));
}

#[test]
fn who_asks_for_us_is_answered_and_known() {
    for (from, option) in [(HOST_IP6, true), ("fe80::9", true), (HOST_IP6, false)] {
        let mut net = Net::new(OWN);
        let question = solicitation(HOST, from);
        let question = NdFrame { option: question.option.filter(|_| option), ..question };
        let actions = net.hears(&question.bytes());
        let answers = said(&actions);
        assert_eq!((answers.len(), answers[0].destination, answers[0].source), (1, HOST, OWN));
        assert_eq!((answers[0].speaker, answers[0].mac), (Some(at(GATEWAY_IP6).address), Some(OWN)));
        let told = Some(at(from).address);
        assert_eq!(answers[0].kind, Kind::Answer { told, weight: Weight::Strong });
        assert_eq!(net.mac(from), option.then_some(HOST));
    }
}

#[test]
fn who_asks_whether_our_address_is_free_is_told_before_all() {
    let mut net = Net::new(OWN);
    let probe = NdFrame { from: Ipv6Addr::UNSPECIFIED, option: None, ..solicitation(HOST, HOST_IP6) };
    let actions = net.hears(&probe.bytes());
    let answers = said(&actions);
    assert_eq!((actions.len(), answers[0].destination), (1, group_mac(ALL_NODES)));
    assert_eq!(answers[0].kind, Kind::Answer { told: None, weight: Weight::Strong });
    let Action::Send { frame, .. } = &actions[0] else { panic!("{actions:?}") };
    assert_eq!(frame[58], FLAG_ROUTER | FLAG_OVERRIDE);
}

#[test]
fn a_neighbour_of_a_family_that_we_have_no_address_of_is_given_up() {
    let mut net = Net::new(OWN);
    let interface = Interface { addresses: vec!["192.0.2.1/24".parse().unwrap()], ..interface(OWN, OWN) };
    net.neighbours.reload(&routing(&[interface]), &[]);
    assert_eq!(given_up(&net.wants(HOST_IP6, "one")), ["one"]);
    assert_eq!(net.neighbours.rows().count(), 0);
}

#[test]
fn spoofs_change_nothing() {
    let mut net = Net::new(OWN);
    net.resolves(HOST_IP6, HOST);
    let question = solicitation(OTHER, HOST_IP6);
    let group = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    let cases = [
        (NdFrame { option: Some((OPTION_SOURCE, group)), ..question }, Ignored::GroupMac),
        (NdFrame { option: Some((OPTION_SOURCE, OWN)), ..question }, Ignored::OurMac),
        (NdFrame { from: v6("2001:db8:1::1"), ..question }, Ignored::Foreign),
        (NdFrame { target: v6("2001:db8::77"), ..question }, Ignored::Unasked),
        (
            NdFrame { source: HOST, to: v6("2001:db8::77"), ..advertisement(OTHER, HOST_IP6, OWN) },
            Ignored::Disagrees,
        ),
    ];
    for (frame, why) in cases {
        let before = net.ignored(why);
        assert_eq!(net.hears(&frame.bytes()), [], "{frame:?}");
        assert_eq!(net.ignored(why), before + 1, "{why}: {frame:?}");
        assert_eq!((net.state(HOST_IP6), net.mac(HOST_IP6)), (Some(State::Reachable), Some(HOST)));
    }
    assert_eq!(net.neighbours.rows().count(), 1);
}

#[test]
fn who_claims_our_address_raises_an_alarm() {
    let mut net = Net::new(OWN);
    let claim = NdFrame { flags: FLAG_OVERRIDE, ..advertisement(HOST, GATEWAY_IP6, OWN) };
    let actions = net.hears(&claim.bytes());
    assert_eq!(alarms(&actions), [Alarm::Conflict { at: at(GATEWAY_IP6), mac: HOST }]);
    assert_eq!(said(&actions).len(), 1);
}
