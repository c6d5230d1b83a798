//! ICMP and ICMPv6: queries with their answers, errors with the packet that they quote.

use super::ip::{Chain, Fragments, skip_extensions};
use super::transport::key_of;
use super::{Addresses, Class, Packet, Parsed, Transport};
use crate::counters::DropReason;
use crate::key::{Endpoint, FlowKey, Side};
use crate::wire::{Icmp, Icmpv6, Icmpv6Type, IpProtocol, Ipv4, Ipv6, icmp, icmpv6};

/// The highest ICMP type that Linux knows.
const ICMP_TYPE_MAX: u8 = 18;

/// Neighbour discovery says 255, so that no router can have passed it on (RFC 4861 8.1).
const REDIRECT_HOP_LIMIT: u8 = 255;
/// Where the options of an ICMPv6 redirect begin: after header, target and destination (RFC 4861 4.5).
const REDIRECT_OPTIONS: usize = 40;
/// The option that quotes the redirected packet, and what precedes the quote in it.
const REDIRECTED_HEADER: u8 = 4;
const REDIRECTED_HEADER_LEN: usize = 8;

pub(super) fn parse_icmp(packet: &Packet<'_>, intact: bool) -> Parsed {
    let Some(header) = Icmp::new(packet.transport) else { return Parsed::invalid(DropReason::InvalidHeader) };
    if !intact {
        return Parsed::invalid(DropReason::InvalidChecksum);
    }
    let kind = header.kind();
    if kind.0 > ICMP_TYPE_MAX {
        return Parsed::invalid(DropReason::InvalidIcmpType);
    }
    if kind.is_error() {
        return error(packet, quoted_ipv4(&packet.transport[icmp::HEADER_LEN..]));
    }
    query(icmp_query(packet, &header), Transport::Icmp { query: kind.is_query() })
}

pub(super) fn parse_icmpv6(packet: &Packet<'_>, intact: bool) -> Parsed {
    let Some(header) = Icmpv6::new(packet.transport) else {
        return Parsed::invalid(DropReason::InvalidHeader);
    };
    if !intact {
        return Parsed::invalid(DropReason::InvalidChecksum);
    }
    let kind = header.kind();
    if is_untracked(kind) {
        return Parsed { class: Class::Untracked, ..Parsed::default() };
    }
    if kind == Icmpv6Type::REDIRECT {
        return redirect(packet, header.code());
    }
    if kind.is_error() {
        return error(packet, quoted_ipv6(&packet.transport[icmpv6::HEADER_LEN..]));
    }
    query(icmpv6_query(packet, &header), Transport::Icmpv6 { query: kind.is_query() })
}

/// Router and neighbour solicitation and advertisement, and all of multicast listener discovery.
fn is_untracked(kind: Icmpv6Type) -> bool {
    (Icmpv6Type::LISTENER_QUERY.0..=Icmpv6Type::NEIGHBOUR_ADVERTISEMENT.0).contains(&kind.0)
        || kind == Icmpv6Type::LISTENER_REPORT_V2
}

fn query(key: Option<(FlowKey, Side)>, transport: Transport) -> Parsed {
    match key {
        Some((key, side)) => Parsed { class: Class::Flow(transport), key, side, ..Parsed::default() },
        None => Parsed::invalid(DropReason::InvalidIcmpType),
    }
}

/// An error is about the flow of the packet that it quotes, and goes to who sent that.
fn error(packet: &Packet<'_>, quoted: Option<(FlowKey, Side)>) -> Parsed {
    match quoted {
        Some((key, side)) if key.endpoint(side).address == packet.addresses.destination() => {
            Parsed { class: Class::IcmpError, key, side, ..Parsed::default() }
        }
        _ => Parsed::invalid(DropReason::InvalidIcmpQuote),
    }
}

fn redirect(packet: &Packet<'_>, code: u8) -> Parsed {
    // Only a router of the link may redirect (RFC 4861 8.1).
    let from_router = matches!(packet.addresses, Addresses::V6(source, _) if source.is_unicast_link_local());
    if packet.hop_limit != REDIRECT_HOP_LIMIT || code != 0 || !from_router {
        return Parsed::invalid(DropReason::InvalidHeader);
    }
    match packet.transport.get(REDIRECT_OPTIONS..) {
        Some([REDIRECTED_HEADER, len, ..]) if *len != 0 => {
            let quote = packet.transport.get(REDIRECT_OPTIONS + REDIRECTED_HEADER_LEN..);
            error(packet, quote.and_then(quoted_ipv6))
        }
        _ => Parsed::invalid(DropReason::InvalidIcmpQuote),
    }
}

/// The key of a query or an answer: the asking side first. `None` for types that are neither.
fn icmp_query(packet: &Packet<'_>, header: &Icmp<'_>) -> Option<(FlowKey, Side)> {
    let kind = header.kind();
    let answer = kind.counterpart()?;
    let (asked, side) = if kind.is_query() { (kind, Side::First) } else { (answer, Side::Second) };
    Some(query_key(packet, header.id(), asked.0, header.code(), side))
}

/// The same over IPv6.
fn icmpv6_query(packet: &Packet<'_>, header: &Icmpv6<'_>) -> Option<(FlowKey, Side)> {
    let kind = header.kind();
    let answer = kind.counterpart()?;
    let (asked, side) = if kind.is_query() { (kind, Side::First) } else { (answer, Side::Second) };
    Some(query_key(packet, header.id(), asked.0, header.code(), side))
}

fn query_key(packet: &Packet<'_>, id: u16, asked: u8, code: u8, side: Side) -> (FlowKey, Side) {
    let (source, destination) = (packet.addresses.source(), packet.addresses.destination());
    let (asking, asked_of) = match side {
        Side::First => (source, destination),
        Side::Second => (destination, source),
    };
    let first = Endpoint::new(asking, id);
    let second = Endpoint::new(asked_of, u16::from_be_bytes([asked, code]));
    (FlowKey::oriented(packet.addresses.family(), packet.protocol.0, first, second), side)
}

/// The key of a quoted IPv4 packet, of which only the beginning need be there.
fn quoted_ipv4(bytes: &[u8]) -> Option<(FlowKey, Side)> {
    let ip = Ipv4::new(bytes)?;
    if ip.fragment_offset() != 0 {
        return None;
    }
    let quoted = Packet {
        addresses: Addresses::V4(ip.source(), ip.destination()),
        protocol: ip.protocol(),
        // Its total length is that of the whole packet; what was quoted of it ends with the bytes. Linux believes
        // a header length that is too short.
        transport: bytes.get(ip.header_len()..)?,
        hop_limit: ip.ttl(),
    };
    match quoted.protocol {
        IpProtocol::ICMP => icmp_query(&quoted, &Icmp::new(quoted.transport)?),
        _ => key_of(&quoted),
    }
}

/// The key of a quoted IPv6 packet, of which only the beginning need be there.
fn quoted_ipv6(bytes: &[u8]) -> Option<(FlowKey, Side)> {
    let ip = Ipv6::new(bytes)?;
    let rest = &bytes[crate::wire::ipv6::HEADER_LEN..];
    let (protocol, transport) = match skip_extensions(ip.next_header(), rest, Fragments::Skip) {
        Chain::Transport(protocol, transport) => (protocol, transport),
        _ => return None,
    };
    let quoted = Packet {
        addresses: Addresses::V6(ip.source(), ip.destination()),
        protocol,
        transport,
        hop_limit: ip.hop_limit(),
    };
    match protocol {
        IpProtocol::ICMPV6 => icmpv6_query(&quoted, &Icmpv6::new(transport)?),
        _ => key_of(&quoted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::IcmpType;

    #[test]
    fn types_without_a_counterpart_have_no_flow() {
        for kind in 0..=255u8 {
            let bytes = [kind, 0, 0, 0, 0, 7, 0, 1];
            let packet = Packet {
                addresses: Addresses::V4([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
                protocol: IpProtocol::ICMP,
                transport: &bytes,
                hop_limit: 64,
            };
            let parsed = parse_icmp(&packet, true);
            let known = [0, 8, 13, 14, 15, 16, 17, 18].contains(&kind);
            assert_eq!(matches!(parsed.class, Class::Flow(_)), known, "{kind}");
            assert_eq!(IcmpType(kind).counterpart().is_some(), known, "{kind}");
        }
    }
}
