//! Errors against the paragraphs that ask for them, and against what Linux 6.18 was seen to send.

use super::super::fixtures::{changed, elsewhere, from_to, ip, packet, read, v4, v6, with_gateway};
use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weir_tests::packet::Flags;

const PAYLOAD: &[u8] = b"what the packet carries";

const FAULTS: [Fault; 9] = [
    Fault::HopLimit,
    Fault::NoRoute,
    Fault::Host,
    Fault::Protocol,
    Fault::Port,
    Fault::Prohibited,
    Fault::TooBig { mtu: 1400 },
    Fault::Header { pointer: 22 },
    Fault::Option { pointer: 42 },
];

/// What the gateway says of a packet that came in by its first interface.
fn said(packet: &[u8], fault: Fault) -> Result<Vec<u8>, Silence> {
    with_gateway(|addresses| about(packet, fault, InterfaceId::new(0).unwrap(), addresses))
}

fn udp4(payload: &[u8]) -> Vec<u8> {
    packet(&v4().udp(4000, 53).payload(payload).build())
}

fn udp6(payload: &[u8]) -> Vec<u8> {
    packet(&v6().udp(4000, 53).payload(payload).build())
}

#[test]
fn each_fault_has_its_type_and_code() {
    let cases: [(&str, Fault, [u8; 6], [u8; 6]); 9] = [
        ("RFC 792 p. 6; RFC 4443 3.3", Fault::HopLimit, [11, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0]),
        ("RFC 1812 5.2.7.1; RFC 4443 3.1", Fault::NoRoute, [3, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
        ("RFC 1812 5.2.7.1; RFC 4443 3.1", Fault::Host, [3, 1, 0, 0, 0, 0], [1, 3, 0, 0, 0, 0]),
        ("RFC 1122 3.2.2.1; RFC 4443 3.4", Fault::Protocol, [3, 2, 0, 0, 0, 0], [4, 1, 0, 0, 0, 6]),
        ("RFC 1122 3.2.2.1; RFC 4443 3.1", Fault::Port, [3, 3, 0, 0, 0, 0], [1, 4, 0, 0, 0, 0]),
        ("RFC 1812 5.2.7.1; RFC 4443 3.1", Fault::Prohibited, [3, 13, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]),
        (
            "RFC 1191 4; RFC 4443 3.2",
            Fault::TooBig { mtu: 0x0578 },
            [3, 4, 0, 0, 5, 0x78],
            [2, 0, 0, 0, 5, 0x78],
        ),
        (
            "RFC 792 p. 8; RFC 4443 3.4",
            Fault::Header { pointer: 22 },
            [12, 0, 22, 0, 0, 0],
            [4, 0, 0, 0, 0, 22],
        ),
        (
            "RFC 1812 4.3.3.5; RFC 4443 3.4",
            Fault::Option { pointer: 42 },
            [12, 0, 42, 0, 0, 0],
            [4, 2, 0, 0, 0, 42],
        ),
    ];
    for (rule, fault, head_v4, head_v6) in cases {
        let (v4, v6) = (udp4(PAYLOAD), udp6(PAYLOAD));
        let told = read(&said(&v4, fault).unwrap());
        assert_eq!((told.from, told.to), (ip("10.1.0.1"), ip("10.1.0.9")), "{rule}");
        assert_eq!((told.head, told.body), (head_v4, v4), "{rule}");
        let told = read(&said(&v6, fault).unwrap());
        assert_eq!((told.from, told.to), (ip("2001:db8:1::1"), ip("2001:db8:1::9")), "{rule}");
        assert_eq!((told.head, told.body), (head_v6, v6), "{rule}");
    }
}

#[test]
fn no_ipv6_sender_is_told_to_go_below_1280() {
    let told = read(&said(&udp6(PAYLOAD), Fault::TooBig { mtu: 576 }).unwrap());
    assert_eq!(told.head, [2, 0, 0, 0, 5, 0], "RFC 8201 4");
}

#[test]
fn an_unknown_protocol_is_pointed_at_where_it_is_named() {
    let behind_options = packet(&v6().extension(60, &[1, 4]).protocol(253).build());
    assert_eq!(read(&said(&behind_options, Fault::Protocol).unwrap()).head, [4, 1, 0, 0, 0, 40]);
}

#[test]
fn a_quote_is_as_long_as_fits() {
    // RFC 1812 4.3.2.3: 576 bytes in all; RFC 4443 2.4 c: 1280.
    for (payload, v4_len, v6_len) in
        [(0, 56, 96), (1, 57, 97), (519, 575, 615), (520, 576, 616), (1472, 576, 1280)]
    {
        let payload = vec![0xaa; payload];
        let (v4, v6) = (udp4(&payload), udp6(&payload));
        let told = [said(&v4, Fault::HopLimit).unwrap(), said(&v6, Fault::HopLimit).unwrap()];
        assert_eq!(told.each_ref().map(Vec::len), [v4_len, v6_len]);
        let quotes = told.map(|told| read(&told).body);
        assert!(v4.starts_with(&quotes[0]) && v6.starts_with(&quotes[1]));
    }
}

#[test]
fn padding_is_not_quoted() {
    for packet in [udp4(b"a"), udp6(b"a")] {
        let padded = [&packet[..], &[0xee; 17]].concat();
        assert_eq!(said(&padded, Fault::HopLimit), said(&packet, Fault::HopLimit));
    }
}

#[test]
fn the_type_of_service_is_that_of_linux_without_its_ecn_bits() {
    // Linux 6.18 answers 0, 1c, b8, ff with c0, dc, d8, de: of the last, 02 is a bit of ECN today (RFC 3168).
    for (came, goes) in [(0x00, 0xc0), (0x1c, 0xdc), (0xb8, 0xd8), (0xff, 0xdc), (0x01, 0xc0)] {
        let packet = changed(udp4(PAYLOAD), |packet| packet[1] = came);
        assert_eq!(read(&said(&packet, Fault::HopLimit).unwrap()).traffic_class, goes, "{came:02x}");
    }
    let packet = packet(&v6().ecn(3).udp(1, 2).build());
    assert_eq!(read(&said(&packet, Fault::HopLimit).unwrap()).traffic_class, 0);
}

#[test]
fn ipv4_packets_that_no_error_may_be_about() {
    let udp = |from, to| packet(&from_to::<Ipv4Addr>(from, to).udp(1, 2).build());
    let host = |to| udp("10.1.0.9", to);
    let from = |source| udp(source, "10.2.0.9");
    let icmp = |kind| packet(&v4().icmp(kind, 0, [0; 4]).build());
    let cases: Vec<(&str, Vec<u8>, Silence)> = vec![
        ("RFC 1122 3.2.2: an error", icmp(3), Silence::AboutError),
        ("an unknown type may be one, as in Linux", icmp(42), Silence::AboutError),
        ("a type that is not there", packet(&v4().protocol(1).build()), Silence::AboutError),
        ("RFC 1122 3.2.2: to a broadcast", host("255.255.255.255"), Silence::ToGroup),
        ("RFC 1122 3.2.2: to the broadcast of a network", host("10.2.0.255"), Silence::ToGroup),
        ("RFC 1122 3.2.2: to a multicast", host("224.0.0.5"), Silence::ToGroup),
        (
            "RFC 1122 3.2.2: a later fragment",
            packet(&v4().fragment(8, true).protocol(17).payload(PAYLOAD).build()),
            Silence::LaterFragment,
        ),
        ("RFC 1122 3.2.2: from a zero address", from("0.0.0.0"), Silence::FromNobody),
        ("RFC 1122 3.2.2: from a loopback", from("127.0.0.1"), Silence::FromNobody),
        ("RFC 1122 3.2.2: from a broadcast", from("10.1.0.255"), Silence::FromNobody),
        ("RFC 1122 3.2.2: from a multicast", from("224.0.0.5"), Silence::FromNobody),
        ("RFC 1122 3.2.2: from class E", from("240.0.0.1"), Silence::FromNobody),
        ("the gateway does not write to itself", from("10.1.0.1"), Silence::FromNobody),
        (
            "RFC 1812 5.2.2: a broken header",
            packet(&v4().bad_checksum().udp(1, 2).build()),
            Silence::Unreadable,
        ),
        ("a packet that is not whole", udp4(PAYLOAD)[..30].to_vec(), Silence::Unreadable),
    ];
    for (rule, packet, silence) in cases {
        for fault in FAULTS {
            assert_eq!(said(&packet, fault), Err(silence), "{rule}");
        }
    }
    let first = packet(&v4().fragment(0, true).udp(1, 2).payload(PAYLOAD).build());
    assert!(said(&first, Fault::HopLimit).is_ok(), "the first fragment is answered");
}

#[test]
fn ipv6_packets_that_no_error_may_be_about() {
    let from = |source| packet(&from_to::<Ipv6Addr>(source, "2001:db8:2::9").udp(1, 2).build());
    let icmp = |kind| packet(&v6().icmp(kind, 0, [0; 4]).build());
    let cases: Vec<(&str, Vec<u8>, Silence)> = vec![
        ("RFC 4443 2.4 e.1: an error", icmp(1), Silence::AboutError),
        ("RFC 4443 2.1: an unknown one", icmp(127), Silence::AboutError),
        ("RFC 4443 2.4 e.2: a redirect", icmp(137), Silence::AboutError),
        ("a type that is not there", packet(&v6().protocol(58).build()), Silence::AboutError),
        (
            "an error behind extension headers",
            packet(&v6().extension(0, &[1, 4]).fragment(0, true).icmp(3, 0, [0; 4]).build()),
            Silence::AboutError,
        ),
        (
            "an extension header that runs out of the packet",
            packet(&v6().protocol(60).payload(&[58, 9, 1, 4, 0, 0, 0, 0]).build()),
            Silence::AboutError,
        ),
        (
            "a later fragment",
            packet(&v6().fragment(8, true).protocol(17).payload(PAYLOAD).build()),
            Silence::LaterFragment,
        ),
        ("RFC 4443 2.4 e.6: from nobody", from("::"), Silence::FromNobody),
        ("RFC 4443 2.4 e.6: from a multicast", from("ff02::9"), Silence::FromNobody),
        ("RFC 4291 2.5.3: from a loopback", from("::1"), Silence::FromNobody),
        ("the gateway does not write to itself", from("fe80::1"), Silence::FromNobody),
        ("a packet that is not whole", udp6(PAYLOAD)[..50].to_vec(), Silence::Unreadable),
    ];
    for (rule, packet, silence) in cases {
        for fault in FAULTS {
            assert_eq!(said(&packet, fault), Err(silence), "{rule}");
        }
    }
}

#[test]
fn two_errors_may_be_about_ipv6_multicast() {
    let packet = packet(&from_to::<Ipv6Addr>("2001:db8:1::9", "ff05::9").udp(1, 2).build());
    for fault in FAULTS {
        let allowed = matches!(fault, Fault::TooBig { .. } | Fault::Option { .. });
        let silence = (!allowed).then_some(Silence::ToGroup);
        assert_eq!(said(&packet, fault).err(), silence, "RFC 4443 2.4 e.3: {fault:?}");
    }
}

#[test]
fn of_icmp_only_queries_and_answers_hear_of_errors() {
    let answered = |message: &dyn Fn(u8) -> Vec<u8>| -> Vec<u8> {
        (0..=u8::MAX).filter(|kind| said(&message(*kind), Fault::HopLimit).is_ok()).collect()
    };
    let v4_types = answered(&|kind| packet(&v4().icmp(kind, 0, [0; 4]).build()));
    assert_eq!(v4_types, [0, 8, 13, 14, 15, 16, 17, 18], "those that Linux 6.18 answered");
    let v6_types = answered(&|kind| packet(&v6().icmp(kind, 0, [0; 4]).build()));
    assert_eq!(
        v6_types,
        (128..=255).filter(|kind| *kind != 137).collect::<Vec<_>>(),
        "RFC 4443 2.1, 2.4 e.2"
    );
}

#[test]
fn a_gateway_without_an_address_of_the_family_is_mute() {
    let interfaces = super::super::fixtures::interfaces(&[&["10.1.0.1/24"]]);
    let result =
        about(&udp6(PAYLOAD), Fault::HopLimit, InterfaceId::new(0).unwrap(), Addresses::of(&interfaces));
    assert_eq!(result, Err(Silence::Mute));
}

/// Packets that are near to sense: lengths and the checksum are right, all else is anything.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let v4 = (any::<[u8; 20]>(), 5..=15u8, any::<[u8; 4]>(), 0..3u8).prop_flat_map(
        |(header, words, net, usual)| {
            proptest::collection::vec(any::<u8>(), 40..1600).prop_map(move |rest| {
                let len = usize::from(words) * 4 + rest.len() - 40;
                let mut packet = [&header[..], &rest].concat();
                packet.truncate(len.max(usize::from(words) * 4));
                let len = u16::try_from(packet.len()).unwrap();
                changed(packet, |packet| {
                    packet[0] = 0x40 | words;
                    packet[2..4].copy_from_slice(&len.to_be_bytes());
                    if usual > 0 {
                        packet[6..10].copy_from_slice(&[0, 0, 64, if usual == 1 { 1 } else { 17 }]);
                        packet[12..16].copy_from_slice(&[10, net[0] % 4, net[1], net[2]]);
                    }
                })
            })
        },
    );
    let v6 = (any::<[u8; 32]>(), proptest::collection::vec(any::<u8>(), 0..1600), 0..8usize).prop_map(
        |(addresses, payload, usual)| {
            let next = [0, 17, 43, 44, 51, 58, 58, 60][usual];
            let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
            let mut packet = [&[0x60, 0, 0, 0, len[0], len[1], next, 64], &addresses[..], &payload].concat();
            if usual % 2 == 0 {
                packet[8..12].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
            }
            packet
        },
    );
    prop_oneof![v4, v6, proptest::collection::vec(any::<u8>(), 0..100)]
}

proptest! {
    #[test]
    fn an_error_is_true_and_short_and_causes_no_other(packet in packets(), fault in 0..FAULTS.len()) {
        if let Ok(told) = said(&packet, FAULTS[fault]) {
            let read = read(&told);
            prop_assert!(packet.starts_with(&read.body));
            let len_max = if read.to.is_ipv4() { 576 } else { 1280 };
            prop_assert!(told.len() <= len_max);
            prop_assert!(with_gateway(|addresses| addresses.contain(read.from) && !addresses.contain(read.to)));
            let interfaces = elsewhere();
            for fault in FAULTS {
                let answer = about(&told, fault, InterfaceId::new(0).unwrap(), Addresses::of(&interfaces));
                prop_assert_eq!(answer, Err(Silence::AboutError));
            }
        }
    }

    #[test]
    fn packets_of_hosts_are_answered(
        payload in proptest::collection::vec(any::<u8>(), 0..1400), host in 2..255u8,
    ) {
        let source = Ipv4Addr::new(10, 1, 0, host);
        let ip = from_to::<Ipv4Addr>(&source.to_string(), "203.0.113.1");
        let told = said(&packet(&ip.udp(1, 2).payload(&payload).build()), Fault::NoRoute).unwrap();
        prop_assert_eq!(read(&told).to, IpAddr::from(source));
    }
}

/// What the gateway says of a packet that begins what nobody takes.
fn refused(packet: &[u8]) -> Result<Vec<u8>, Silence> {
    with_gateway(|addresses| refusal(packet, InterfaceId::new(0).unwrap(), addresses))
}

#[test]
fn a_segment_is_reset_as_by_a_closed_port() {
    // RFC 9293 3.10.7.1: what came, and sequence, acknowledgement and flags of what goes.
    let cases = [
        ("an opening", Flags::SYN, "", (0, 1001, Flags::RST | Flags::ACK)),
        ("an opening with data", Flags::SYN, "hello", (0, 1006, Flags::RST | Flags::ACK)),
        ("an end", Flags::FIN, "hello", (0, 1006, Flags::RST | Flags::ACK)),
        ("data", Flags::PSH, "hello", (0, 1005, Flags::RST | Flags::ACK)),
        ("an acknowledgement", Flags::ACK, "hello", (77, 0, Flags::RST)),
        ("an opening that was answered", Flags::SYN | Flags::ACK, "", (77, 0, Flags::RST)),
    ];
    for (what, came, payload, (seq, ack, goes)) in cases {
        let v4_reset = from_to::<Ipv4Addr>("10.2.0.9", "10.1.0.9").id(9).tcp(80, 40_000);
        let v4_reset = packet(&v4_reset.seq(seq).ack(ack).without(Flags::ACK).flags(goes).window(0).build());
        let v6_reset = from_to::<Ipv6Addr>("2001:db8:2::9", "2001:db8:1::9").tcp(80, 40_000);
        let v6_reset = packet(&v6_reset.seq(seq).ack(ack).without(Flags::ACK).flags(goes).window(0).build());
        let v4 = v4().id(9).tcp(40_000, 80).seq(1000).ack(77).without(Flags::ACK).flags(came);
        let v4 = [packet(&v4.payload(payload.as_bytes()).build()), vec![0xee; 6]].concat();
        let v6 = v6().tcp(40_000, 80).seq(1000).ack(77).without(Flags::ACK).flags(came);
        let v6 = packet(&v6.payload(payload.as_bytes()).build());
        assert_eq!(refused(&v4), Ok(changed(v4_reset, |reset| reset[6] = 0)), "{what}");
        assert_eq!(refused(&v6), Ok(v6_reset), "{what}");
    }
}

#[test]
fn sequence_numbers_go_round() {
    let reset = refused(&packet(&v4().tcp(40_000, 80).syn().seq(u32::MAX).build())).unwrap();
    assert_eq!(reset[28..32], [0; 4]);
}

#[test]
fn what_is_no_segment_hears_of_a_closed_port() {
    assert_eq!(refused(&udp4(PAYLOAD)), said(&udp4(PAYLOAD), Fault::Port));
    assert_eq!(refused(&udp6(PAYLOAD)), said(&udp6(PAYLOAD), Fault::Port));
    let sctp = packet(&v4().sctp(4000, 80).init(1).build());
    assert_eq!(refused(&sctp), said(&sctp, Fault::Port));
}

#[test]
fn segments_that_no_reset_may_be_about() {
    let syn = |from, to| packet(&from_to::<Ipv4Addr>(from, to).tcp(40_000, 80).syn().build());
    let cases = [
        ("RFC 9293 3.5.2: a reset", packet(&v4().tcp(40_000, 80).rst().build()), Silence::AboutError),
        ("the same", packet(&v6().tcp(40_000, 80).rst().ack(1).build()), Silence::AboutError),
        ("RFC 1122 4.2.3.10: to a group", syn("10.1.0.9", "224.0.0.5"), Silence::ToGroup),
        ("from nobody", syn("10.1.0.255", "10.2.0.9"), Silence::FromNobody),
        ("no whole header", packet(&v4().protocol(6).payload(&[0; 19]).build()), Silence::Unreadable),
        (
            "a header that is longer than the segment",
            packet(&v6().protocol(6).payload(&[0xf0; 20]).build()),
            Silence::Unreadable,
        ),
        (
            "a later fragment",
            packet(&v4().fragment(8, true).protocol(6).payload(PAYLOAD).build()),
            Silence::LaterFragment,
        ),
    ];
    for (rule, packet, silence) in cases {
        assert_eq!(refused(&packet), Err(silence), "{rule}");
    }
}
