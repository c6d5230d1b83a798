use super::*;
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;

/// As the rule says it, one property after the other.
fn holds(rule: &Rule, facts: &Facts) -> bool {
    let ip = |address: Address| address.ip(facts.family);
    rule.source.is_none_or(|subnet| subnet.contains(ip(facts.source)))
        && rule.destination.is_none_or(|subnet| subnet.contains(ip(facts.destination)))
        && rule.protocol.is_none_or(|protocol| protocol == facts.protocol)
        && rule.source_port.as_ref().is_none_or(|range| range.contains(&facts.ports.0))
        && rule.destination_port.as_ref().is_none_or(|range| range.contains(&facts.ports.1))
        && rule.port.is_none_or(|port| port == facts.port)
        && rule.vlan.is_none_or(|vlan| Some(vlan) == facts.vlan)
        && rule.mark.is_none_or(|mark| mark == facts.mark)
}

/// Few values, so that rules and packets meet.
fn address() -> impl Strategy<Value = IpAddr> {
    let edge = prop_oneof![Just(0u8), Just(255), 1..4u8];
    (any::<bool>(), edge.clone(), edge).prop_map(|(ipv6, first, last)| {
        if ipv6 {
            Ipv6Addr::from(u128::from(first) << 120 | u128::from(last)).into()
        } else {
            Ipv4Addr::new(first, 0, 0, last).into()
        }
    })
}

fn subnet() -> impl Strategy<Value = Subnet> {
    (address(), 0..=128u8).prop_map(|(address, prefix_len)| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Subnet { address, prefix_len: prefix_len.min(bits) }
    })
}

fn range() -> impl Strategy<Value = RangeInclusive<u16>> {
    let edge = || prop_oneof![Just(0u16), Just(u16::MAX), 1..6u16];
    (edge(), edge()).prop_map(|(a, b)| a.min(b)..=a.max(b))
}

/// Each property is said something about with this probability.
fn rule(said: f64) -> impl Strategy<Value = Rule> {
    fn maybe<S: Strategy>(said: f64, of: S) -> impl Strategy<Value = Option<S::Value>> {
        prop::option::weighted(said, of)
    }
    let ends = (maybe(said, subnet()), maybe(said, subnet()));
    let ports = (maybe(said, range()), maybe(said, range()));
    let rest = (maybe(said, 0..3u8), maybe(said, 0..2usize), maybe(said, 1..3u16), maybe(said, 0..3u32));
    (ends, ports, rest).prop_map(|((source, destination), (source_port, destination_port), rest)| Rule {
        source,
        destination,
        protocol: rest.0.map(IpProtocol),
        source_port,
        destination_port,
        port: rest.1.and_then(PortId::new),
        vlan: rest.2.and_then(VlanId::new),
        mark: rest.3.map(Mark),
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let port = || prop_oneof![Just(0u16), Just(u16::MAX), 1..6u16];
    let rest = (0..3u8, 0..2usize, 0..3u16, 0..3u32);
    (address(), address(), port(), port(), rest).prop_map(|(source, destination, from, to, rest)| {
        let destination = if source.is_ipv4() == destination.is_ipv4() { destination } else { source };
        Facts {
            family: if source.is_ipv4() { Family::V4 } else { Family::V6 },
            source: Address::from_ip(source),
            destination: Address::from_ip(destination),
            protocol: IpProtocol(rest.0),
            ports: (from, to),
            port: PortId::new(rest.1).unwrap(),
            vlan: VlanId::new(rest.2),
            mark: Mark(rest.3),
        }
    })
}

proptest! {
    #[test]
    fn it_finds_what_a_walk_through_the_list_finds(
        rules in prop::collection::vec(rule(0.5), 0..150),
        packets in prop::collection::vec(facts(), 20)
    ) {
        let classifier = Classifier::compile(&rules);
        for facts in packets {
            prop_assert_eq!(classifier.first(&facts), rules.iter().position(|rule| holds(rule, &facts)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn and_in_a_long_list_too(
        rules in prop::collection::vec(rule(0.9), 1000..1500),
        packets in prop::collection::vec(facts(), 200)
    ) {
        let classifier = Classifier::compile(&rules);
        prop_assert!(classifier.factors.len() > 1, "they do not fit together");
        for facts in packets {
            prop_assert_eq!(classifier.first(&facts), rules.iter().position(|rule| holds(rule, &facts)));
        }
    }
}

#[test]
fn every_number_has_its_class() {
    for count in [0, 1, 2, 15, 16, 17, 255, 256, 257, 1000] {
        let rule = |n: u32| Rule { mark: Some(Mark(n)), ..Rule::default() };
        let rules: Vec<_> = (0..count).map(|n| n * 37 % (2 * count)).chain([u32::MAX, 0]).map(rule).collect();
        let classifier = Classifier::compile(&rules);
        for mark in (0..2 * count + 2).chain([u32::MAX - 1, u32::MAX]) {
            let first = rules.iter().position(|rule| rule.mark == Some(Mark(mark)));
            assert_eq!(classifier.first(&packet(mark)), first, "{mark} of {count}");
        }
    }
}

fn packet(mark: u32) -> Facts {
    Facts {
        family: Family::V4,
        source: Address::default(),
        destination: Address::default(),
        protocol: IpProtocol::TCP,
        ports: (1, 2),
        port: PortId::FIRST,
        vlan: None,
        mark: Mark(mark),
    }
}

#[test]
fn the_last_of_as_many_rules_as_there_can_be_is_found() {
    let rule = |n: usize| Rule { mark: Some(Mark(u32::try_from(n).unwrap())), ..Rule::default() };
    let rules: Vec<_> = (0..=RULES_MAX).map(rule).collect();
    let classifier = Classifier::compile(&rules);
    assert_eq!(classifier.first(&packet(0)), Some(0));
    assert_eq!(classifier.first(&packet(4095)), Some(RULES_MAX - 1));
    assert_eq!(classifier.first(&packet(4096)), None, "one too many");
    assert_eq!(Classifier::compile(&[]).first(&packet(0)), None);
}
