//! TCP, UDP and every other protocol: sane header, right checksum, the flow's key.

use super::icmp::{parse_icmp, parse_icmpv6};
use super::{Addresses, Class, Offload, Packet, Parsed, Rules, Transport};
use crate::counters::DropReason;
use crate::key::{Endpoint, FlowKey, Side};
use crate::port::Checksum;
use crate::wire::checksum::Sum;
use crate::wire::{IpProtocol, Tcp, TcpFlags, Udp, tcp, udp};

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
        (IpProtocol::UDP_LITE, _) => flow(packet, Transport::Udp),
        _ => flow(packet, Transport::Generic),
    }
}

#[inline]
fn parse_tcp(packet: &Packet<'_>, rules: Rules, offload: Offload) -> Parsed {
    let Some(header) = Tcp::new(packet.transport) else { return Parsed::invalid(DropReason::InvalidHeader) };
    if header.header_len() < tcp::HEADER_LEN || header.header_len() > packet.transport.len() {
        return Parsed::invalid(DropReason::InvalidHeader);
    }
    if !checksum_good(packet, rules, offload) {
        return Parsed::invalid(DropReason::InvalidChecksum);
    }
    if !flags_valid(header.flags()) {
        return Parsed::invalid(DropReason::InvalidTcpFlags);
    }
    flow(packet, Transport::Tcp)
}

#[inline]
fn parse_udp(packet: &Packet<'_>, rules: Rules, offload: Offload) -> Parsed {
    let Some(header) = Udp::new(packet.transport) else { return Parsed::invalid(DropReason::InvalidHeader) };
    let length = header.length();
    if length < udp::HEADER_LEN || length > packet.transport.len() {
        return Parsed::invalid(DropReason::InvalidHeader);
    }
    // No checksum is allowed, over IPv6 too.
    if header.checksum() != 0 && !checksum_good(packet, rules, offload) {
        return Parsed::invalid(DropReason::InvalidChecksum);
    }
    flow(packet, Transport::Udp)
}

#[inline]
fn flow(packet: &Packet<'_>, transport: Transport) -> Parsed {
    match key_of(packet) {
        Some((key, side)) => Parsed { class: Class::Flow(transport), key, side, ..Parsed::default() },
        None => Parsed::invalid(DropReason::InvalidHeader),
    }
}

/// The key of a packet that is not ICMP. `None` when its ports are cut off.
#[inline]
pub(super) fn key_of(packet: &Packet<'_>) -> Option<(FlowKey, Side)> {
    let (source_port, destination_port) = match packet.protocol {
        IpProtocol::TCP | IpProtocol::UDP | IpProtocol::UDP_LITE | IpProtocol::SCTP => {
            let [a, b, c, d] = *packet.transport.first_chunk()?;
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        }
        _ => (0, 0),
    };
    let source = Endpoint::new(packet.addresses.source(), source_port);
    let destination = Endpoint::new(packet.addresses.destination(), destination_port);
    Some(FlowKey::sorted(packet.addresses.family(), packet.protocol.0, source, destination))
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
    let len = packet.transport.len();
    let pseudo = match packet.addresses {
        Addresses::V4(source, destination) => {
            Sum::pseudo_ipv4(source, destination, packet.protocol, u16::try_from(len).unwrap_or(0))
        }
        Addresses::V6(source, destination) => {
            Sum::pseudo_ipv6(source, destination, packet.protocol, u32::try_from(len).unwrap_or(0))
        }
    };
    pseudo.and(packet.transport).verifies()
}

/// Whether these flags can stand together. PSH, ECE and CWR stand with everything.
fn flags_valid(flags: TcpFlags) -> bool {
    const FIN: u8 = TcpFlags::FIN.0;
    const SYN: u8 = TcpFlags::SYN.0;
    const RST: u8 = TcpFlags::RST.0;
    const ACK: u8 = TcpFlags::ACK.0;
    const URG: u8 = TcpFlags::URG.0;
    let told = flags.0 & (FIN | SYN | RST | ACK | URG);
    const SYN_URG: u8 = SYN | URG;
    const SYN_ACK: u8 = SYN | ACK;
    const RST_ACK: u8 = RST | ACK;
    const FIN_ACK: u8 = FIN | ACK;
    const FIN_ACK_URG: u8 = FIN | ACK | URG;
    const ACK_URG: u8 = ACK | URG;
    matches!(told, SYN | SYN_URG | SYN_ACK | RST | RST_ACK | FIN_ACK | FIN_ACK_URG | ACK | ACK_URG)
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
