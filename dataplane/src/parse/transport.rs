//! TCP, UDP and every other protocol: sane header, right checksum, the flow's key.
//!
//! The device's word on a transport checksum is about TCP and UDP; all others are summed up here.

use super::icmp::{parse_icmp, parse_icmpv6};
use super::{Addresses, Class, Offload, Packet, Parsed, Rules, Transport};
use crate::counters::DropReason;
use crate::key::{Endpoint, FlowKey, Side};
use crate::port::Checksum;
use crate::wire::checksum::Sum;
use crate::wire::{EtherType, Gre, IpProtocol, Sctp, Tcp, TcpFlags, Udp, UdpLite, tcp, udp, udp_lite};

#[inline]
pub(super) fn parse_transport(packet: &Packet<'_>, rules: Rules, offload: Offload) -> Parsed {
    match (packet.protocol, packet.addresses) {
        (IpProtocol::TCP, _) => parse_tcp(packet, rules, offload),
        (IpProtocol::UDP, _) => parse_udp(packet, rules, offload),
        (IpProtocol::ICMP, Addresses::V4(..)) => {
            parse_icmp(packet, !rules.checksum || Sum::of(packet.transport).verifies())
        }
        (IpProtocol::ICMPV6, Addresses::V6(..)) => {
            parse_icmpv6(packet, !rules.checksum || pseudo_sum_verifies(packet))
        }
        // Each belongs to one IP version.
        (IpProtocol::ICMP | IpProtocol::ICMPV6, _) => Parsed::invalid(DropReason::InvalidIcmpType),
        (IpProtocol::UDP_LITE, _) => parse_udp_lite(packet, rules),
        (IpProtocol::SCTP, _) => parse_sctp(packet, rules),
        (IpProtocol::GRE, _) => flow(packet, Transport::Gre),
        _ => flow(packet, Transport::Generic),
    }
}

#[inline]
fn parse_tcp(packet: &Packet<'_>, rules: Rules, offload: Offload) -> Parsed {
    let Some(header) = Tcp::new(packet.transport) else { return invalid(packet, DropReason::InvalidHeader) };
    if header.header_len() < tcp::HEADER_LEN || header.header_len() > packet.transport.len() {
        return invalid(packet, DropReason::InvalidHeader);
    }
    if !checksum_good(packet, rules, offload) {
        return invalid(packet, DropReason::InvalidChecksum);
    }
    if !flags_valid(header.flags()) {
        return invalid(packet, DropReason::InvalidTcpFlags);
    }
    flow(packet, Transport::Tcp)
}

#[inline]
fn parse_udp(packet: &Packet<'_>, rules: Rules, offload: Offload) -> Parsed {
    let Some(header) = Udp::new(packet.transport) else { return invalid(packet, DropReason::InvalidHeader) };
    let length = header.length();
    if length < udp::HEADER_LEN || length > packet.transport.len() {
        return invalid(packet, DropReason::InvalidHeader);
    }
    // No checksum is allowed, over IPv6 too.
    if header.checksum() != 0 && !checksum_good(packet, rules, offload) {
        return invalid(packet, DropReason::InvalidChecksum);
    }
    flow(packet, Transport::Udp)
}

/// Linux (6.18) puts UDP's number into the pseudo-header. What RFC 3828 wants is UDP-Lite's own, so a checksum that
/// is right by it is wrong to Linux, and to us.
fn parse_udp_lite(packet: &Packet<'_>, rules: Rules) -> Parsed {
    let Some(header) = UdpLite::new(packet.transport) else {
        return invalid(packet, DropReason::InvalidHeader);
    };
    let coverage = if header.coverage() == 0 { packet.transport.len() } else { header.coverage() };
    let covered = match packet.transport.get(..coverage) {
        Some(covered) if coverage >= udp_lite::HEADER_LEN => covered,
        _ => return invalid(packet, DropReason::InvalidHeader),
    };
    // A checksum there must be.
    if header.checksum() == 0
        || rules.checksum && !pseudo_sum(packet, IpProtocol::UDP).and(covered).verifies()
    {
        return invalid(packet, DropReason::InvalidChecksum);
    }
    flow(packet, Transport::UdpLite)
}

fn parse_sctp(packet: &Packet<'_>, rules: Rules) -> Parsed {
    let Some(header) = Sctp::new(packet.transport) else { return invalid(packet, DropReason::InvalidHeader) };
    if rules.checksum && !header.checksum_verifies() {
        return invalid(packet, DropReason::InvalidChecksum);
    }
    flow(packet, Transport::Sctp)
}

#[inline]
fn flow(packet: &Packet<'_>, transport: Transport) -> Parsed {
    match key_of(packet) {
        Some((key, side)) => Parsed { class: Class::Flow(transport), key, side, ..Parsed::default() },
        None => Parsed::invalid(DropReason::InvalidHeader),
    }
}

/// INVALID, under the name of the flow that it would belong to.
#[cold]
fn invalid(packet: &Packet<'_>, reason: DropReason) -> Parsed {
    let (key, side) = key_of(packet).unwrap_or((FlowKey::NONE, Side::First));
    Parsed { key, side, ..Parsed::invalid(reason) }
}

/// The key of a packet that is not ICMP. `None` when its ports are cut off, and for version 1 of GRE without PPP.
#[inline]
pub(super) fn key_of(packet: &Packet<'_>) -> Option<(FlowKey, Side)> {
    let (source_port, destination_port) = match packet.protocol {
        IpProtocol::TCP | IpProtocol::UDP | IpProtocol::UDP_LITE | IpProtocol::SCTP => {
            let [a, b, c, d] = *packet.transport.first_chunk()?;
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        }
        IpProtocol::GRE => (0, gre_call(packet.transport)?),
        _ => (0, 0),
    };
    let source = Endpoint::new(packet.addresses.source(), source_port);
    let destination = Endpoint::new(packet.addresses.destination(), destination_port);
    Some(FlowKey::sorted(packet.addresses.family(), packet.protocol.0, source, destination))
}

/// The call that a GRE packet is of, 0 where it is of none. `None` when its version has calls, but of PPP only.
fn gre_call(transport: &[u8]) -> Option<u16> {
    let Some((header, call)) = Gre::new(transport).and_then(|header| Some((header, header.call_id()?)))
    else {
        return Some(0);
    };
    (header.ethertype() == EtherType::PPP).then_some(call)
}

#[inline]
fn checksum_good(packet: &Packet<'_>, rules: Rules, offload: Offload) -> bool {
    match offload.l4 {
        _ if !rules.checksum => true,
        Checksum::Unchecked => pseudo_sum_verifies(packet),
        told => told == Checksum::Good,
    }
}

/// Over the length that IP gives, as Linux does, not the one that UDP gives.
#[inline]
fn pseudo_sum_verifies(packet: &Packet<'_>) -> bool {
    pseudo_sum(packet, packet.protocol).and(packet.transport).verifies()
}

#[inline]
fn pseudo_sum(packet: &Packet<'_>, protocol: IpProtocol) -> Sum {
    let len = packet.transport.len();
    match packet.addresses {
        Addresses::V4(source, destination) => {
            Sum::pseudo_ipv4(source, destination, protocol, u16::try_from(len).unwrap_or(0))
        }
        Addresses::V6(source, destination) => {
            Sum::pseudo_ipv6(source, destination, protocol, u32::try_from(len).unwrap_or(0))
        }
    }
}

/// Whether these flags can stand together. PSH, ECE and CWR stand with everything.
#[inline]
pub(super) fn flags_valid(flags: TcpFlags) -> bool {
    const FIN: u8 = TcpFlags::FIN.0;
    const SYN: u8 = TcpFlags::SYN.0;
    const RST: u8 = TcpFlags::RST.0;
    const ACK: u8 = TcpFlags::ACK.0;
    const URG: u8 = TcpFlags::URG.0;
    /// A bit for each set of them.
    const VALID: u64 = {
        let sets = [SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG];
        let (mut valid, mut i) = (0, 0);
        while i < sets.len() {
            valid |= 1 << sets[i];
            i += 1;
        }
        valid
    };
    VALID >> (flags.0 & (FIN | SYN | RST | ACK | URG)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_contradict_each_other_are_told() {
        let [fin, syn, rst, ack, urg] =
            [TcpFlags::FIN, TcpFlags::SYN, TcpFlags::RST, TcpFlags::ACK, TcpFlags::URG];
        let always = TcpFlags::PSH | TcpFlags::ECE | TcpFlags::CWR;
        let valid = [syn, syn | always, fin | ack | urg, rst | ack, ack | urg];
        let invalid = [syn | fin, fin, fin | urg | always, rst | syn, TcpFlags::default(), always];
        assert!(valid.into_iter().all(flags_valid) && !invalid.into_iter().any(flags_valid));
    }
}
