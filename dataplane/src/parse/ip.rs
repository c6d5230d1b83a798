//! IPv4, IPv6 and its extension headers.

use super::transport::parse_transport;
use super::{Addresses, Offload, Packet, Parsed, Rules};
use crate::counters::DropReason;
use crate::port::Checksum;
use crate::wire::{Extension, IpProtocol, Ipv4, Ipv6, ipv4, ipv6};

const OPTION_PAD1: u8 = 0;
const OPTION_JUMBO: u8 = 0xc2;

/// `bytes` begin at `at` of the frame.
#[inline]
pub(super) fn parse_ipv4(bytes: &[u8], at: usize, rules: Rules, offload: Offload) -> Parsed {
    let Some(ip) = Ipv4::new(bytes) else { return Parsed::drop(DropReason::Ipv4Header) };
    let header_len = ip.header_len();
    if ip.version() != 4 || header_len < ipv4::HEADER_LEN || header_len > bytes.len() {
        return Parsed::drop(DropReason::Ipv4Header);
    }
    let intact = match offload.ip {
        Checksum::Unchecked => ip.checksum_verifies(),
        told => told == Checksum::Good,
    };
    if !intact {
        return Parsed::drop(DropReason::Ipv4Checksum);
    }
    if ip.total_len() > bytes.len() || ip.total_len() < header_len {
        return Parsed::drop(DropReason::Ipv4Length);
    }
    if ip.is_fragment() {
        return Parsed::drop(DropReason::Fragment);
    }
    let packet = Packet {
        addresses: Addresses::V4(ip.source(), ip.destination()),
        protocol: ip.protocol(),
        transport: ip.payload(),
        hop_limit: ip.ttl(),
    };
    placed(parse_transport(&packet, rules, offload), at + header_len, at + ip.total_len())
}

/// `bytes` begin at `at` of the frame.
#[inline]
pub(super) fn parse_ipv6(bytes: &[u8], at: usize, rules: Rules, offload: Offload) -> Parsed {
    let Some(ip) = Ipv6::new(bytes) else { return Parsed::drop(DropReason::Ipv6Header) };
    if ip.version() != 6 {
        return Parsed::drop(DropReason::Ipv6Header);
    }
    if ip.next_header() == IpProtocol::HOP_BY_HOP && !hop_by_hop_intact(bytes) {
        return Parsed::drop(DropReason::Ipv6HopByHop);
    }
    let end = ipv6::HEADER_LEN + ip.payload_len();
    if end > bytes.len() {
        return Parsed::drop(DropReason::Ipv6Length);
    }
    let (protocol, transport) = match skip_extensions(ip.next_header(), ip.payload()) {
        Chain::Transport(protocol, transport) => (protocol, transport),
        Chain::Fragment => return Parsed::drop(DropReason::Fragment),
        Chain::Broken => return Parsed::invalid(DropReason::InvalidExtension),
    };
    let packet = Packet {
        addresses: Addresses::V6(ip.source(), ip.destination()),
        protocol,
        transport,
        hop_limit: ip.hop_limit(),
    };
    placed(parse_transport(&packet, rules, offload), at + end - transport.len(), at + end)
}

fn placed(mut parsed: Parsed, transport_at: usize, end: usize) -> Parsed {
    let (Ok(transport_at), Ok(end)) = (u16::try_from(transport_at), u16::try_from(end)) else {
        return Parsed::drop(DropReason::Oversize);
    };
    parsed.transport_at = transport_at;
    parsed.end = end;
    parsed
}

/// Whether the options of a hop-by-hop header are sound, as a Linux bridge checks them. A jumbogram is longer than
/// any frame, so its option is never sound.
fn hop_by_hop_intact(packet: &[u8]) -> bool {
    let Some(header) = packet.get(ipv6::HEADER_LEN..) else { return false };
    let Some(extension) = Extension::new(IpProtocol::HOP_BY_HOP, header) else { return false };
    let Some(mut options) = header.get(2..extension.len()) else { return false };
    loop {
        options = match *options {
            [] => return true,
            [OPTION_PAD1, ref rest @ ..] => rest,
            [OPTION_JUMBO, ..] | [_] => return false,
            [_, len, ref rest @ ..] => match rest.get(usize::from(len)..) {
                Some(rest) => rest,
                None => return false,
            },
        };
    }
}

/// Where a chain of extension headers leads.
pub(super) enum Chain<'a> {
    /// To this protocol.
    Transport(IpProtocol, &'a [u8]),
    /// To a part of a datagram.
    Fragment,
    /// Nowhere.
    Broken,
}

/// Follows the chain as Linux does: a fragment header for a whole datagram (RFC 6946) is one more to skip.
#[inline]
pub(super) fn skip_extensions(mut next: IpProtocol, mut rest: &[u8]) -> Chain<'_> {
    while next.is_extension() {
        let Some(extension) = Extension::new(next, rest) else { return Chain::Broken };
        if next == IpProtocol::FRAGMENT && (extension.fragment_offset() != 0 || extension.more_fragments()) {
            return Chain::Fragment;
        }
        let Some(payload) = extension.payload() else { return Chain::Broken };
        next = extension.next_header();
        rest = payload;
    }
    if next == IpProtocol::NO_NEXT { Chain::Broken } else { Chain::Transport(next, rest) }
}
