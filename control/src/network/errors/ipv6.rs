//! ICMPv6 errors (RFC 4443).

use super::{Fault, Silence};
use crate::network::addresses::Addresses;
use crate::network::envelope::Envelope;
use crate::network::icmp::{self, Message};
use crate::network::packet::{self, Upper};
use std::net::IpAddr;
use weir_dataplane::units::InterfaceId;
use weir_dataplane::wire::{Icmpv6Type, IpProtocol, Ipv6, icmpv6, ipv6};

/// The least that any link takes whole, and so the most of an error (RFC 4443 2.4 c).
const MTU_MIN: u16 = 1280;
const QUOTE_LEN_MAX: usize = MTU_MIN as usize - ipv6::HEADER_LEN - icmpv6::HEADER_LEN;

/// Codes of "destination unreachable" (RFC 4443 3.1).
const NO_ROUTE: u8 = 0;
const PROHIBITED: u8 = 1;
const ADDRESS: u8 = 3;
const PORT: u8 = 4;

/// Codes of "parameter problem" (RFC 4443 3.4).
const HEADER: u8 = 0;
const NEXT_HEADER: u8 = 1;
const OPTION: u8 = 2;

pub(super) fn about(
    packet: &[u8],
    fault: Fault,
    arrival: InterfaceId,
    addresses: Addresses<'_>,
) -> Result<Vec<u8>, Silence> {
    let ip = packet::ipv6(packet).ok_or(Silence::Unreadable)?;
    let named_at = may_be_answered(&ip, fault, addresses)?;
    let Some(IpAddr::V6(source)) = addresses.speaker(arrival, ip.source().into()) else {
        return Err(Silence::Mute);
    };
    // Linux leaves the traffic class of its errors at 0.
    let envelope = Envelope { source, destination: ip.source(), traffic_class: 0 };
    let (kind, code, value) = head(fault, named_at);
    let body = &packet[..(ipv6::HEADER_LEN + ip.payload_len()).min(QUOTE_LEN_MAX)];
    Ok(icmp::ipv6(envelope, &Message { kind: kind.0, code, rest: value.to_be_bytes(), body }))
}

/// RFC 4443 2.4 e. Where no errors are allowed about a packet that cannot be read to its transport, or about the
/// middle of a datagram, is said nowhere; but either may be an error. Answers which byte names the transport.
pub(super) fn may_be_answered(
    ip: &Ipv6<'_>,
    fault: Fault,
    addresses: Addresses<'_>,
) -> Result<usize, Silence> {
    if !addresses.name_other_host(ip.source().into()) {
        return Err(Silence::FromNobody);
    }
    let of_groups = matches!(fault, Fault::TooBig { .. } | Fault::Option { .. });
    if addresses.name_group(ip.destination().into()) && !of_groups {
        return Err(Silence::ToGroup);
    }
    match packet::upper(ip) {
        Upper::LaterFragment => Err(Silence::LaterFragment),
        Upper::Cut => Err(Silence::AboutError),
        Upper::Protocol { protocol, named_at, payload } => {
            let tells =
                |kind: &u8| !Icmpv6Type(*kind).is_error() && Icmpv6Type(*kind) != Icmpv6Type::REDIRECT;
            let speaks = protocol != IpProtocol::ICMPV6 || payload.first().is_some_and(tells);
            speaks.then_some(named_at).ok_or(Silence::AboutError)
        }
    }
}

/// Type, code, and the number in the header's other half.
fn head(fault: Fault, named_at: usize) -> (Icmpv6Type, u8, u32) {
    let unreachable = |code| (Icmpv6Type::UNREACHABLE, code, 0);
    let problem = |code, pointer| (Icmpv6Type::PARAMETER_PROBLEM, code, pointer);
    match fault {
        Fault::HopLimit => (Icmpv6Type::TIME_EXCEEDED, 0, 0),
        Fault::NoRoute => unreachable(NO_ROUTE),
        Fault::Host => unreachable(ADDRESS),
        Fault::Port => unreachable(PORT),
        Fault::Prohibited => unreachable(PROHIBITED),
        // No sender goes below it (RFC 8201 4).
        Fault::TooBig { mtu } => (Icmpv6Type::PACKET_TOO_BIG, 0, u32::from(mtu.max(MTU_MIN))),
        Fault::Protocol => problem(NEXT_HEADER, u32::try_from(named_at).unwrap_or(u32::MAX)),
        Fault::Header { pointer } => problem(HEADER, u32::from(pointer)),
        Fault::Option { pointer } => problem(OPTION, u32::from(pointer)),
    }
}
