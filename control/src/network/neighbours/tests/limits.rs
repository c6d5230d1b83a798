//! Bounds, and what gives way.

use super::*;

fn limited(limits: Limits) -> Net {
    Net::with(Config { limits, ..Config::default() }, OWN)
}

fn host(i: u32) -> String {
    Ipv4Addr::from_bits(v4("10.0.0.0").to_bits() + i).to_string()
}

/// The gateway of a network with many hosts.
fn crowded(limits: Limits) -> Net {
    let mut net = limited(limits);
    let interface = Interface { addresses: vec!["10.0.0.1/8".parse().unwrap()], ..interface(OWN, OWN) };
    net.neighbours.reload(&routing(&[interface]), &[]);
    net
}

fn mac_of(i: u32) -> MacAddr {
    let [.., high, low] = i.to_be_bytes();
    MacAddr([2, 1, 0, 0, high, low])
}

fn alarm(action: Action<Vec<u8>>) -> Option<Alarm> {
    if let Action::Alarm(alarm) = action { Some(alarm) } else { None }
}

fn asks(net: &mut Net, i: u32) -> Vec<Action<Vec<u8>>> {
    net.hears(&arp_request(mac_of(i), &host(i), &host(1)).bytes())
}

#[test]
fn as_many_packets_wait_as_in_linux() {
    let mut net = limited(Limits::default());
    for i in 0..150 {
        net.wants(HOST_IP, &i.to_string());
    }
    assert_eq!((net.neighbours.waiting(), net.neighbours.counters().dropped), (101, 49));
    let released = released(&net.hears(&arp_reply(HOST, HOST_IP, OWN).bytes()));
    assert_eq!((released.len(), released[0].1.as_str(), released[100].1.as_str()), (101, "49", "149"));
}

#[test]
fn all_queues_together_are_bounded() {
    let mut net = limited(Limits { queue_bytes_total: 100, ..Limits::default() });
    for i in 2..30 {
        net.wants(&format!("192.0.2.{i}"), "0123456789");
    }
    assert_eq!((net.neighbours.waiting(), net.neighbours.counters().dropped), (10, 18));
    let done = net.passes(5_000);
    assert_eq!(given_up(done.iter().map(|(_, action)| action)).len(), 10);
    net.wants(HOST_IP, "0123456789");
    assert_eq!(net.neighbours.waiting(), 1);
}

#[test]
fn questions_are_limited_and_all_asked_in_the_end() {
    let mut net = crowded(Limits { requests_per_s: 50, ..Limits::default() });
    let asked: usize = (2..202).map(|i| said(&net.wants(&host(i), "one")).len()).sum();
    assert_eq!(asked, 50);
    let done = net.passes(10_000);
    let again = said(done.iter().map(|(_, action)| action));
    let targets: BTreeSet<_> = again.iter().map(|question| format!("{:?}", question.kind)).collect();
    assert!(targets.len() >= 150, "{}", targets.len());
    for second in 0..10 {
        let within = done.iter().filter(|(after_ms, _)| after_ms / 1_000 == second);
        assert!(said(within.map(|(_, action)| action)).len() <= 50);
    }
    assert!(net.neighbours.counters().requests_limited > 0);
}

#[test]
fn a_full_table_refuses_and_counts() {
    let mut net = crowded(Limits { gc_thresh1: 2, gc_thresh2: 4, gc_thresh3: 8, ..Limits::default() });
    let wanted: Vec<_> = (2..20).flat_map(|i| net.wants(&host(i), "one")).collect();
    let alarms: Vec<_> = wanted.into_iter().filter_map(alarm).collect();
    let counters = *net.neighbours.counters();
    assert_eq!((net.neighbours.rows().count(), counters.table_full, counters.dropped), (8, 10, 10));
    assert_eq!(alarms, [Alarm::TableFull { limit: 8 }], "told once");
    net.passes(5_000);
    assert_eq!(said(&net.wants(&host(30), "one")).len(), 1, "those that failed make room");
}

#[test]
fn strangers_take_no_more_than_their_part() {
    let mut net = crowded(Limits { gc_thresh1: 2, gc_thresh2: 4, gc_thresh3: 8, ..Limits::default() });
    for i in 2..20 {
        assert_eq!(said(&asks(&mut net, i)).len(), 1, "answered all the same");
    }
    assert_eq!((net.neighbours.rows().count(), net.ignored(Ignored::TableFull)), (4, 14));
    assert_eq!(said(&net.wants(&host(30), "one")).len(), 1);
}

#[test]
fn who_is_used_is_not_pushed_out() {
    let mut net = crowded(Limits { gc_thresh1: 2, gc_thresh2: 4, gc_thresh3: 8, ..Limits::default() });
    for i in 2..6 {
        asks(&mut net, i);
    }
    net.passes(6_000);
    net.uses(&host(3));
    net.passes(5_000);
    assert_eq!(net.state(&host(3)), Some(State::Probe));
    let target = (OWN, v4(&host(1)));
    net.hears(&ArpFrame { target, ..arp_reply(mac_of(3), &host(3), OWN) }.bytes());
    for i in 30..40 {
        asks(&mut net, i);
        net.passes(2_000);
    }
    assert!(net.mac(&host(3)).is_some());
    assert!(net.mac(&host(2)).is_none() && net.mac(&host(39)).is_some());
}

#[test]
fn above_the_first_threshold_age_counts() {
    let mut net = crowded(Limits { gc_thresh1: 2, ..Limits::default() });
    for i in 2..12 {
        asks(&mut net, i);
    }
    let done = net.passes(59_000);
    assert_eq!((done.len(), net.neighbours.rows().count()), (0, 10));
    let done = net.passes(60_000);
    assert_eq!(done.iter().map(|(_, action)| action).collect::<Vec<_>>(), [&Action::Publish]);
    assert_eq!((net.neighbours.rows().count(), net.neighbours.counters().forgotten), (0, 10));
    assert_eq!(net.neighbours.next_tick_ms(), None, "an empty table wants nothing");
}

#[test]
fn permanent_neighbours_stand_above_all_limits() {
    let permanent = [Neighbour { at: at(HOST_IP), mac: CLUSTER }];
    let limits = Limits { gc_thresh1: 0, gc_thresh2: 0, gc_thresh3: 0, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let mut neighbours: Neighbours<Vec<u8>> =
        Neighbours::new(config, &routing(&[interface(OWN, OWN)]), &permanent, 7);
    assert_eq!(neighbours.poll(), Some(Action::Publish));
    neighbours.heard(InterfaceId::default(), &arp_announcement(OTHER, HOST_IP).bytes(), |_| true, 0);
    neighbours.used(at(HOST_IP), 0);
    neighbours.tick(1_000_000);
    assert_eq!(neighbours.known().collect::<Vec<_>>(), permanent);
    assert_eq!(neighbours.rows().next().unwrap().state, State::Permanent);
    assert_eq!(neighbours.poll(), None);
}
