//! Resets of TCP segments that nobody takes, as a closed port sends them (RFC 9293 3.5.2, 3.10.7.1).
//!
//! The segment's checksum was verified before its flow was tracked.

use super::{Fault, Silence, ipv4, ipv6};
use crate::network::addresses::Addresses;
use crate::network::envelope::Envelope;
use crate::network::packet::{self, Upper};
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::{IpProtocol, Ipv4, Ipv6, Tcp, TcpFlags, TcpMut, tcp};

/// The header's length in words, where TCP has it.
const DATA_OFFSET: u8 = 5 << 4;
/// Of a reset, in bytes.
#[expect(clippy::cast_possible_truncation, reason = "a header has 20 bytes")]
const LEN: u16 = tcp::HEADER_LEN as u16;

/// The reset of the segment in `packet`, from its destination to its source. `None`: there is no TCP in it.
pub(super) fn of(packet: &[u8], addresses: Addresses<'_>) -> Option<Result<Vec<u8>, Silence>> {
    match packet.first()? >> 4 {
        4 => {
            let ip = packet::ipv4(packet).filter(|ip| ip.protocol() == IpProtocol::TCP)?;
            Some(over_ipv4(&ip, addresses))
        }
        6 => {
            let ip = packet::ipv6(packet)?;
            match packet::upper(&ip) {
                Upper::Protocol { protocol: IpProtocol::TCP, payload, .. } => {
                    Some(over_ipv6(&ip, payload, addresses))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn over_ipv4(ip: &Ipv4<'_>, addresses: Addresses<'_>) -> Result<Vec<u8>, Silence> {
    ipv4::may_be_answered(ip, addresses)?;
    let envelope = Envelope { source: ip.destination(), destination: ip.source(), traffic_class: 0 };
    let pseudo = Sum::pseudo_ipv4(envelope.source, envelope.destination, IpProtocol::TCP, LEN);
    let reset = segment(ip.payload(), pseudo)?;
    Ok([envelope.ipv4(ip.id(), IpProtocol::TCP, LEN), reset.to_vec()].concat())
}

fn over_ipv6(ip: &Ipv6<'_>, refused: &[u8], addresses: Addresses<'_>) -> Result<Vec<u8>, Silence> {
    ipv6::may_be_answered(ip, Fault::Port, addresses)?;
    let envelope = Envelope { source: ip.destination(), destination: ip.source(), traffic_class: 0 };
    let pseudo = Sum::pseudo_ipv6(envelope.source, envelope.destination, IpProtocol::TCP, LEN.into());
    let reset = segment(refused, pseudo)?;
    Ok([envelope.ipv6(IpProtocol::TCP, LEN), reset.to_vec()].concat())
}

/// What a closed port says to a segment: who has sent that takes the reset for true, since it acknowledges the segment,
/// or begins where the sender expects it to. `pseudo` is the sum of the reset's pseudo-header.
fn segment(refused: &[u8], pseudo: Sum) -> Result<[u8; tcp::HEADER_LEN], Silence> {
    let tcp = Tcp::new(refused).ok_or(Silence::Unreadable)?;
    let payload_len = refused.len().checked_sub(tcp.header_len()).ok_or(Silence::Unreadable)?;
    let is = |flag| tcp.flags().contains(flag);
    if is(TcpFlags::RST) {
        return Err(Silence::AboutError);
    }
    let (seq, ack, flags) = if is(TcpFlags::ACK) {
        (tcp.ack(), 0, TcpFlags::RST)
    } else {
        // Beginning and end take a number each (RFC 9293 3.4).
        let len = payload_len + usize::from(is(TcpFlags::SYN)) + usize::from(is(TcpFlags::FIN));
        let ack = tcp.seq().wrapping_add(u32::try_from(len).unwrap_or(u32::MAX));
        (0, ack, TcpFlags::RST | TcpFlags::ACK)
    };
    let ([a, b], [c, d]) = (tcp.destination_port().to_be_bytes(), tcp.source_port().to_be_bytes());
    let ([e, f, g, h], [i, j, k, l]) = (seq.to_be_bytes(), ack.to_be_bytes());
    let mut reset = [a, b, c, d, e, f, g, h, i, j, k, l, DATA_OFFSET, flags.0, 0, 0, 0, 0, 0, 0];
    let checksum = pseudo.and(&reset).checksum();
    if let Some(mut reset) = TcpMut::new(&mut reset) {
        reset.set_checksum(checksum);
    }
    Ok(reset)
}
