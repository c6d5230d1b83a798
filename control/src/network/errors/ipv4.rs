//! ICMP errors over IPv4 (RFC 792, RFC 1812 4.3).

use super::{Fault, Silence};
use crate::network::addresses::Addresses;
use crate::network::envelope::Envelope;
use crate::network::icmp::{self, Message};
use crate::network::packet;
use std::net::IpAddr;
use weir_dataplane::units::InterfaceId;
use weir_dataplane::wire::{IcmpType, IpProtocol, Ipv4, ipv4};

/// Bytes of an error, at most: as much as any host takes (RFC 1812 4.3.2.3).
const LEN_MAX: usize = 576;
const QUOTE_LEN_MAX: usize = LEN_MAX - ipv4::HEADER_LEN - weir_dataplane::wire::icmp::HEADER_LEN;

/// Precedence of internetwork control (RFC 1812 4.3.2.5).
const INTERNETWORK_CONTROL: u8 = 0xc0;
/// Those bits of the old type of service that are not ECN's today.
const SERVICE: u8 = 0x1c;

/// Codes of "destination unreachable" (RFC 792, RFC 1812 5.2.7.1).
const NET: u8 = 0;
const HOST: u8 = 1;
const PROTOCOL: u8 = 2;
const PORT: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const PROHIBITED: u8 = 13;

pub(super) fn about(
    packet: &[u8],
    fault: Fault,
    arrival: InterfaceId,
    addresses: Addresses<'_>,
) -> Result<Vec<u8>, Silence> {
    let ip = packet::ipv4(packet).ok_or(Silence::Unreadable)?;
    may_be_answered(&ip, addresses)?;
    let Some(IpAddr::V4(source)) = addresses.speaker(arrival, ip.source().into()) else {
        return Err(Silence::Mute);
    };
    let traffic_class = ip.tos() & SERVICE | INTERNETWORK_CONTROL;
    let envelope = Envelope { source, destination: ip.source(), traffic_class };
    let (kind, code, rest) = head(fault);
    let body = &packet[..ip.total_len().min(QUOTE_LEN_MAX)];
    // So short a packet is not cut on its way, so the identification means nothing.
    Ok(icmp::ipv4(envelope, ip.id(), &Message { kind: kind.0, code, rest, body }))
}

/// RFC 1122 3.2.2, RFC 1812 4.3.2.7. As in Linux an unknown type of ICMP may be an error.
pub(super) fn may_be_answered(ip: &Ipv4<'_>, addresses: Addresses<'_>) -> Result<(), Silence> {
    if !addresses.name_other_host(ip.source().into()) {
        return Err(Silence::FromNobody);
    }
    if addresses.name_group(ip.destination().into()) {
        return Err(Silence::ToGroup);
    }
    if ip.fragment_offset() != 0 {
        return Err(Silence::LaterFragment);
    }
    let is_query_or_answer = |kind: &u8| IcmpType(*kind).counterpart().is_some();
    if ip.protocol() == IpProtocol::ICMP && !ip.payload().first().is_some_and(is_query_or_answer) {
        return Err(Silence::AboutError);
    }
    Ok(())
}

/// Type, code, and the header's other half.
fn head(fault: Fault) -> (IcmpType, u8, [u8; 4]) {
    let unreachable = |code| (IcmpType::UNREACHABLE, code, [0; 4]);
    match fault {
        Fault::HopLimit => (IcmpType::TIME_EXCEEDED, 0, [0; 4]),
        Fault::NoRoute => unreachable(NET),
        Fault::Host => unreachable(HOST),
        Fault::Protocol => unreachable(PROTOCOL),
        Fault::Port => unreachable(PORT),
        Fault::Prohibited => unreachable(PROHIBITED),
        // RFC 1191 4.
        Fault::TooBig { mtu } => {
            let [high, low] = mtu.to_be_bytes();
            (IcmpType::UNREACHABLE, FRAGMENTATION_NEEDED, [0, 0, high, low])
        }
        Fault::Header { pointer } | Fault::Option { pointer } => {
            // A header has 60 bytes at most.
            (IcmpType::PARAMETER_PROBLEM, 0, [u8::try_from(pointer).unwrap_or(u8::MAX), 0, 0, 0])
        }
    }
}
