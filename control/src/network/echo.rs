//! Answers to those who ask whether the gateway is there (RFC 792, RFC 1122 3.2.2.6, RFC 4443 4).
//!
//! From a whole packet comes a whole packet. Fragments of a request, and what was asked of many, get no answer.
//! Answers are not limited, as in Linux: there are no more of them than questions that came through.

use super::addresses::Addresses;
use super::envelope::Envelope;
use super::icmp::{self, Message};
use super::packet::{self, Upper};
use std::net::IpAddr;
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::icmp::HEADER_LEN;
use weir_dataplane::wire::{Extension, IcmpType, Icmpv6Type, IpProtocol};

/// IPv6's option of one byte that only fills (RFC 8200 4.2).
const PAD1: u8 = 0;

/// Bits of every other one's type: who does not know it may not go on.
const MUST_BE_KNOWN: u8 = 0xc0;

/// The answer to `packet`, if it is an echo request to one of the gateway's addresses, from one host; padding may
/// follow it. It carries what the request carried, and its type of service or traffic class; IP options and
/// extension headers are left out.
pub fn answer(packet: &[u8], addresses: Addresses<'_>) -> Option<Vec<u8>> {
    match packet.first()? >> 4 {
        4 => answer_ipv4(packet, addresses),
        6 => answer_ipv6(packet, addresses),
        _ => None,
    }
}

fn answer_ipv4(packet: &[u8], addresses: Addresses<'_>) -> Option<Vec<u8>> {
    let ip = packet::ipv4(packet)?;
    let intact = ip.protocol() == IpProtocol::ICMP && !ip.is_fragment() && Sum::of(ip.payload()).verifies();
    if !intact || !is_asked(ip.source().into(), ip.destination().into(), addresses) {
        return None;
    }
    let message = reply(ip.payload(), IcmpType::ECHO.0, IcmpType::ECHO_REPLY.0)?;
    let envelope = Envelope { source: ip.destination(), destination: ip.source(), traffic_class: ip.tos() };
    // Should it be cut on its way, its identification tells its fragments apart as well as the request's did.
    Some(icmp::ipv4(envelope, ip.id(), &message))
}

fn answer_ipv6(packet: &[u8], addresses: Addresses<'_>) -> Option<Vec<u8>> {
    let ip = packet::ipv6(packet)?;
    let (source, destination) = (ip.source(), ip.destination());
    let Upper::Protocol { protocol: IpProtocol::ICMPV6, payload, .. } = packet::upper(&ip) else {
        return None;
    };
    let len = u32::try_from(payload.len()).ok()?;
    let intact = Sum::pseudo_ipv6(source, destination, IpProtocol::ICMPV6, len).and(payload).verifies()
        && asks_nothing_else(ip.next_header(), ip.payload());
    if !intact || !is_asked(source.into(), destination.into(), addresses) {
        return None;
    }
    let message = reply(payload, Icmpv6Type::ECHO.0, Icmpv6Type::ECHO_REPLY.0)?;
    let envelope = Envelope { source: destination, destination: source, traffic_class: ip.traffic_class() };
    Some(icmp::ipv6(envelope, &message))
}

/// Whether one host asks the gateway.
fn is_asked(source: IpAddr, destination: IpAddr, addresses: Addresses<'_>) -> bool {
    addresses.contain(destination) && addresses.name_other_host(source)
}

/// The request with another type: code, identifier, sequence number and data go back as they came.
fn reply(request: &[u8], asks: u8, answers: u8) -> Option<Message<'_>> {
    let (&[kind, code, _, _, a, b, c, d], body) = request.split_first_chunk::<HEADER_LEN>()?;
    (kind == asks).then_some(Message { kind: answers, code, rest: [a, b, c, d], body })
}

/// Whether all extension headers are options that may be passed over by who does not know them (RFC 8200 4.2).
fn asks_nothing_else(mut next: IpProtocol, mut rest: &[u8]) -> bool {
    while let Some(extension) = Extension::new(next, rest) {
        let is_options = matches!(next, IpProtocol::HOP_BY_HOP | IpProtocol::DESTINATION_OPTIONS);
        let (Some(options), Some(behind)) = (rest.get(2..extension.len()), extension.payload()) else {
            return false;
        };
        if !is_options || !may_be_passed_over(options) {
            return false;
        }
        (next, rest) = (extension.next_header(), behind);
    }
    true
}

fn may_be_passed_over(mut options: &[u8]) -> bool {
    loop {
        options = match *options {
            [] => return true,
            [PAD1, ref rest @ ..] => rest,
            [kind, len, ref rest @ ..] if kind & MUST_BE_KNOWN == 0 && usize::from(len) <= rest.len() => {
                &rest[usize::from(len)..]
            }
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Said, changed, elsewhere, from_to, ip, packet, read, with_gateway};
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use weir_tests::packet::Ip;

    const HOST: [&str; 2] = ["10.1.0.9", "2001:db8:1::9"];

    fn v4(to: &str) -> Ip<Ipv4Addr> {
        from_to(HOST[0], to)
    }

    fn v6(to: &str) -> Ip<Ipv6Addr> {
        from_to(HOST[1], to)
    }

    fn answered(frame: &[u8]) -> Option<Vec<u8>> {
        with_gateway(|addresses| answer(&packet(frame), addresses))
    }

    #[test]
    fn each_address_of_the_gateway_answers_for_itself() {
        let data = b"what goes out comes back";
        let head = |kind| [kind, 0, 0x12, 0x34, 0, 7];
        for own in ["10.1.0.1", "10.2.0.1", "192.0.2.0"] {
            let request = v4(own).hop_limit(1).echo_request(0x1234, 7).payload(data).build();
            let said =
                Said { from: ip(own), to: ip(HOST[0]), traffic_class: 0, head: head(0), body: data.to_vec() };
            assert_eq!(read(&answered(&request).unwrap()), said, "RFC 792 p. 15");
        }
        for own in ["2001:db8:1::1", "2001:db8:2::1", "fe80::1"] {
            let request = v6(own).hop_limit(1).echo_request(0x1234, 7).payload(data).build();
            let said = Said {
                from: ip(own),
                to: ip(HOST[1]),
                traffic_class: 0,
                head: head(129),
                body: data.to_vec(),
            };
            assert_eq!(read(&answered(&request).unwrap()), said, "RFC 4443 4.2");
        }
    }

    #[test]
    fn the_class_of_traffic_comes_back_as_from_linux() {
        let request = packet(&v4("10.1.0.1").echo_request(1, 1).build());
        let request = changed(request, |request| request[1] = 0xb9);
        assert_eq!(read(&with_gateway(|addresses| answer(&request, addresses)).unwrap()).traffic_class, 0xb9);
        let mut request = packet(&v6("fe80::1").echo_request(1, 1).build());
        request[..2].copy_from_slice(&[0x6b, 0x9f]);
        assert_eq!(read(&with_gateway(|addresses| answer(&request, addresses)).unwrap()).traffic_class, 0xb9);
    }

    #[test]
    fn options_are_left_out() {
        let plain = answered(&v4("10.1.0.1").echo_request(1, 1).payload(b"abc").build());
        let recorded =
            v4("10.1.0.1").options(&[7, 7, 4, 0, 0, 0, 0]).echo_request(1, 1).payload(b"abc").build();
        assert_eq!(answered(&recorded), plain);
        let plain = answered(&v6("fe80::1").echo_request(1, 1).payload(b"abc").build());
        for options in [&[1, 4, 0, 0, 0, 0][..], &[0, 0, 0x1e, 2, 1, 2]] {
            let padded = v6("fe80::1").extension(0, options).extension(60, options);
            assert_eq!(answered(&padded.echo_request(1, 1).payload(b"abc").build()), plain);
        }
    }

    #[test]
    fn padding_is_no_data() {
        let request = packet(&v4("10.1.0.1").echo_request(1, 1).payload(b"abc").build());
        let padded = [&request[..], &[0xee; 15]].concat();
        with_gateway(|addresses| assert_eq!(answer(&padded, addresses), answer(&request, addresses)));
    }

    #[test]
    fn what_is_not_asked_of_the_gateway_alone_gets_no_answer() {
        let cases = [
            ("of another", v4("10.1.0.2").echo_request(1, 1).build()),
            ("RFC 1122 3.2.2.6: of a broadcast", v4("10.1.0.255").echo_request(1, 1).build()),
            ("RFC 1122 3.2.2.6: of a multicast", v4("224.0.0.1").echo_request(1, 1).build()),
            ("from a broadcast", from_to::<Ipv4Addr>("10.1.0.255", "10.1.0.1").echo_request(1, 1).build()),
            ("from the gateway", from_to::<Ipv4Addr>("10.2.0.1", "10.1.0.1").echo_request(1, 1).build()),
            ("an answer", v4("10.1.0.1").echo_reply(1, 1).build()),
            (
                "another protocol",
                v4("10.1.0.1").protocol(17).payload(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0]).build(),
            ),
            ("half a header", v4("10.1.0.1").protocol(1).payload(&[8, 0, 0xf7, 0xff]).build()),
            ("a wrong checksum", v4("10.1.0.1").echo_request(1, 1).bad_checksum().build()),
            ("a header's wrong checksum", v4("10.1.0.1").bad_checksum().echo_request(1, 1).build()),
            ("a first fragment", v4("10.1.0.1").fragment(0, true).echo_request(1, 1).build()),
            ("of an IPv6 multicast", v6("ff02::1").echo_request(1, 1).build()),
            ("from nobody", from_to::<Ipv6Addr>("::", "fe80::1").echo_request(1, 1).build()),
            ("an IPv6 answer", v6("fe80::1").echo_reply(1, 1).build()),
            ("a wrong ICMPv6 checksum", v6("fe80::1").echo_request(1, 1).bad_checksum().build()),
            ("a first IPv6 fragment", v6("fe80::1").fragment(0, true).echo_request(1, 1).build()),
            (
                "RFC 8200 4.2: an option to know",
                v6("fe80::1").extension(60, &[0x9e, 4]).echo_request(1, 1).build(),
            ),
            ("an option that is cut", v6("fe80::1").extension(60, &[1, 9]).echo_request(1, 1).build()),
            ("a routing header", v6("fe80::1").extension(43, &[4, 1]).echo_request(1, 1).build()),
        ];
        for (what, request) in cases {
            assert_eq!(answered(&request), None, "{what}");
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_true_and_asks_nothing(
            id in any::<u16>(), data in proptest::collection::vec(any::<u8>(), 0..1472), six in any::<bool>(),
        ) {
            let request = if six {
                v6("2001:db8:1::1").echo_request(id, 3).payload(&data).build()
            } else {
                v4("10.1.0.1").echo_request(id, 3).payload(&data).build()
            };
            let told = answered(&request).unwrap();
            prop_assert_eq!(told.len(), packet(&request).len());
            prop_assert_eq!(read(&told).body, data);
            let interfaces = elsewhere();
            prop_assert_eq!(answer(&told, Addresses::of(&interfaces)), None);
        }

        #[test]
        fn any_bytes_and_any_change_of_a_request(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            at in 0..60usize,
            to in any::<u8>(),
            six in any::<bool>(),
        ) {
            with_gateway(|addresses| answer(&bytes, addresses));
            let request = if six {
                v6("fe80::1").extension(60, &[1, 4]).echo_request(1, 3).build()
            } else {
                v4("10.1.0.1").options(&[1, 1, 1]).echo_request(1, 3).build()
            };
            let mut request = packet(&request);
            if let Some(byte) = request.get_mut(at) {
                *byte = to;
            }
            if let Some(told) = with_gateway(|addresses| answer(&request, addresses)) {
                prop_assert!(told.len() <= request.len());
                prop_assert!(with_gateway(|addresses| addresses.contain(read(&told).from)));
            }
        }
    }
}
