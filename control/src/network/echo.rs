//! Answers to those who ask whether the gateway is there (RFC 792, RFC 1122 3.2.2.6, RFC 4443 4).
//!
//! From a whole packet comes a whole packet. Fragments of a request, and what was asked of many, get no answer. Answers
//! are not limited, as in Linux: there are no more of them than questions that came through.

use super::addresses::Addresses;
use super::icmp::{self, Envelope, Message};
use super::packet::{self, Upper};
use std::net::IpAddr;
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::icmp::HEADER_LEN;
use weir_dataplane::wire::{Extension, IcmpType, Icmpv6Type, IpProtocol};

/// Where IPv4 has its type of service.
const TOS: usize = 1;

/// IPv6's option of one byte that only fills (RFC 8200 4.2), and the bits of every other that say whether who does not
/// know it may go on.
const PAD1: u8 = 0;
const MUST_BE_KNOWN: u8 = 0xc0;

/// The answer to `packet`, if it is an echo request to one of the gateway's addresses, from one host; padding may follow
/// it. It carries what the request carried, and its type of service or traffic class; IP options and extension headers are
/// left out.
pub fn answer(packet: &[u8], addresses: Addresses<'_>) -> Option<Vec<u8>> {
    match packet.first()? >> 4 {
        4 => answer_ipv4(packet, addresses),
        6 => answer_ipv6(packet, addresses),
        _ => None,
    }
}

fn answer_ipv4(packet: &[u8], addresses: Addresses<'_>) -> Option<Vec<u8>> {
    let ip = packet::ipv4(packet)?;
    let wanted = is_for_gateway(ip.source().into(), ip.destination().into(), addresses)
        && ip.protocol() == IpProtocol::ICMP
        && !ip.is_fragment()
        && Sum::of(ip.payload()).verifies();
    let message = wanted.then(|| reply(ip.payload(), IcmpType::ECHO.0, IcmpType::ECHO_REPLY.0))??;
    let envelope =
        Envelope { source: ip.destination(), destination: ip.source(), traffic_class: packet[TOS] };
    // The request's name has not been used for another one lately, nor has the answer's.
    Some(icmp::ipv4(envelope, ip.id(), &message))
}

fn answer_ipv6(packet: &[u8], addresses: Addresses<'_>) -> Option<Vec<u8>> {
    let ip = packet::ipv6(packet)?;
    let (source, destination) = (ip.source(), ip.destination());
    let Upper::Protocol { protocol: IpProtocol::ICMPV6, payload, .. } = packet::upper(&ip) else {
        return None;
    };
    let len = u32::try_from(payload.len()).ok()?;
    let wanted = is_for_gateway(source.into(), destination.into(), addresses)
        && asks_nothing_else(ip.next_header(), ip.payload())
        && Sum::pseudo_ipv6(source, destination, IpProtocol::ICMPV6, len).and(payload).verifies();
    let message = wanted.then(|| reply(payload, Icmpv6Type::ECHO.0, Icmpv6Type::ECHO_REPLY.0))??;
    let [a, b, ..] = *packet else { return None };
    let envelope = Envelope { source: destination, destination: source, traffic_class: a << 4 | b >> 4 };
    Some(icmp::ipv6(envelope, &message))
}

fn is_for_gateway(source: IpAddr, destination: IpAddr, addresses: Addresses<'_>) -> bool {
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
