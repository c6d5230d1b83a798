//! IPv4, IPv6 and its extension headers.

use super::transport::parse_transport;
use super::{Addresses, Class, Offload, Packet, Parsed, Rules};
use crate::counters::DropReason;
use crate::port::Checksum;
use crate::wire::{Extension, IpProtocol, Ipv4, Ipv6, ipv4, ipv6, tcp, udp};

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
        return placed(Parsed::of(Class::Fragment), at, ip.total_len());
    }
    deliver_ipv4(&ip, at, rules, offload)
}

/// A datagram whose IP header has been checked.
#[inline]
fn deliver_ipv4(ip: &Ipv4<'_>, at: usize, rules: Rules, offload: Offload) -> Parsed {
    let packet = Packet {
        addresses: Addresses::V4(ip.source(), ip.destination()),
        protocol: ip.protocol(),
        transport: ip.payload(),
        hop_limit: ip.ttl(),
    };
    deliver(&packet, at + ip.header_len(), rules, offload)
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
    match skip_extensions(ip.next_header(), ip.payload(), Fragments::Stop) {
        Chain::Fragment => placed(Parsed::of(Class::Fragment), at, end),
        chain => deliver_ipv6(&ip, &chain, at + end, rules, offload),
    }
}

/// A datagram whose IP header has been checked, and that ends at `end`.
#[inline]
fn deliver_ipv6(ip: &Ipv6<'_>, chain: &Chain<'_>, end: usize, rules: Rules, offload: Offload) -> Parsed {
    let (protocol, transport) = match *chain {
        Chain::Transport(protocol, transport) => (protocol, transport),
        Chain::Cut if rules.tcp_helpers || rules.udp_helpers => return Parsed::drop(DropReason::HeaderCut),
        Chain::Cut | Chain::Nothing | Chain::Fragment => {
            return Parsed::invalid(DropReason::InvalidExtension);
        }
    };
    let packet = Packet {
        addresses: Addresses::V6(ip.source(), ip.destination()),
        protocol,
        transport,
        hop_limit: ip.hop_limit(),
    };
    deliver(&packet, end - transport.len(), rules, offload)
}

/// What IP delivers, `at` in the frame.
#[inline]
fn deliver(packet: &Packet<'_>, at: usize, rules: Rules, offload: Offload) -> Parsed {
    let needed = match packet.protocol {
        IpProtocol::TCP if rules.tcp_helpers => tcp::HEADER_LEN,
        IpProtocol::UDP if rules.udp_helpers => udp::HEADER_LEN,
        _ => 0,
    };
    if packet.transport.len() < needed {
        return Parsed::drop(DropReason::HeaderCut);
    }
    placed(parse_transport(packet, rules, offload), at, packet.transport.len())
}

/// A datagram that was put together, or a fragment that goes as it is, from `at` of the frame on.
pub(super) fn parse_datagram(packet: &[u8], at: usize, rules: Rules, offload: Offload) -> Parsed {
    if let Some(ip) = Ipv4::new(packet).filter(|ip| ip.version() == 4) {
        return deliver_ipv4(&ip, at, rules, offload);
    }
    let Some(ip) = Ipv6::new(packet) else { return Parsed::drop(DropReason::Ipv6Header) };
    let chain = skip_extensions(ip.next_header(), ip.payload(), Fragments::Skip);
    deliver_ipv6(&ip, &chain, at + ipv6::HEADER_LEN + ip.payload().len(), rules, offload)
}

#[inline]
fn placed(mut parsed: Parsed, at: usize, len: usize) -> Parsed {
    let (Ok(at), Ok(len)) = (u16::try_from(at), u16::try_from(len)) else {
        return Parsed::drop(DropReason::Oversize);
    };
    parsed.at = at;
    parsed.len = len;
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
    /// To a fragment header.
    Fragment,
    /// Into the middle of a datagram, or to a header that says that nothing follows.
    Nothing,
    /// To a header that is not there.
    Cut,
}

/// What to do at a fragment header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fragments {
    /// Say so. That of a whole datagram (RFC 6946) is no exception: Linux takes it through reassembly as well.
    Stop,
    /// Look behind it, if the datagram begins there.
    Skip,
}

/// Follows the chain as Linux does: a header that runs past the end is looked at all the same, and what it says
/// follows, of which nothing is there.
#[inline]
pub(super) fn skip_extensions(mut next: IpProtocol, mut rest: &[u8], fragments: Fragments) -> Chain<'_> {
    while next.is_extension() {
        if next == IpProtocol::FRAGMENT && fragments == Fragments::Stop {
            return Chain::Fragment;
        }
        let [follower, _, ..] = *rest else { return Chain::Cut };
        let extension = Extension::new(next, rest);
        let is_fragment = next == IpProtocol::FRAGMENT;
        next = IpProtocol(follower);
        if is_fragment {
            let Some(offset) = ipv6::fragment_offset(rest) else { return Chain::Cut };
            if offset != 0 {
                return if next.is_extension() { Chain::Cut } else { Chain::Nothing };
            }
        }
        rest = extension.and_then(|header| header.payload()).unwrap_or_default();
    }
    if next == IpProtocol::NO_NEXT { Chain::Nothing } else { Chain::Transport(next, rest) }
}
