//! What the gateway tells a sender of a packet that went no further, ICMP errors and resets of TCP, and when it says
//! nothing.
//!
//! From the packet as it came and from what is wrong with it, a whole IP packet for its sender, by the rules of
//! RFC 792, 1122 3.2.2, 1812 4.3, 4443 and 9293 3.10.7.1. Does not limit how many ([`limit`](super::limit)). It sees no link header:
//! of what was sent to the broadcast MAC a caller says nothing (RFC 1122 3.2.2). It judges no flow: neither does a
//! caller speak of what is INVALID.

mod ipv4;
mod ipv6;
mod reset;
#[cfg(test)]
mod tests;

use super::addresses::Addresses;
use weir_dataplane::units::InterfaceId;

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its time to live or hop limit has run out.
    HopLimit,
    /// There is no way to its destination: net unreachable, no route.
    NoRoute,
    /// Its destination, or the next router, does not answer: host unreachable, address unreachable.
    Host,
    /// The gateway itself does not know its protocol: protocol unreachable, unrecognised next header.
    Protocol,
    /// The gateway itself does not listen at its port.
    Port,
    /// It may not go on: administratively prohibited.
    Prohibited,
    /// It is too big for its way out: fragmentation needed (which only a packet that must not be fragmented hears),
    /// packet too big.
    TooBig {
        /// What fits, in bytes.
        mtu: u16,
    },
    /// A field of a header is wrong: parameter problem.
    Header {
        /// Which byte of the packet, from 0.
        pointer: u16,
    },
    /// An option is wrong: parameter problem; over IPv6, one that demands an answer of who does not know it.
    Option {
        /// Which byte of the packet, from 0.
        pointer: u16,
    },
}

/// Why nothing is said of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is no IP packet, not whole, or its IPv4 header's checksum is wrong.
    Unreadable,
    /// It is an ICMP error itself, a redirect, or a reset of TCP; or it may be one: its type is unknown or is not there.
    AboutError,
    /// It is a fragment, and not the first: that one is answered.
    LaterFragment,
    /// It was sent to many.
    ToGroup,
    /// Its source is not one host, or is the gateway.
    FromNobody,
    /// The gateway has no address to say it with.
    Mute,
}

/// The ICMP error for the sender of `packet`, an IP packet that came in by `arrival`; padding may follow it.
///
/// # Errors
/// Why nothing is to be said.
pub fn about(
    packet: &[u8],
    fault: Fault,
    arrival: InterfaceId,
    addresses: Addresses<'_>,
) -> Result<Vec<u8>, Silence> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => ipv4::about(packet, fault, arrival, addresses),
        Some(6) => ipv6::about(packet, fault, arrival, addresses),
        _ => Err(Silence::Unreadable),
    }
}

/// The refusal of what `packet` begins, as if it had come to a closed port of its destination: a reset of a TCP
/// segment, port unreachable of all else. As [`about`].
///
/// # Errors
/// Why nothing is to be said.
pub fn refusal(packet: &[u8], arrival: InterfaceId, addresses: Addresses<'_>) -> Result<Vec<u8>, Silence> {
    match reset::of(packet, addresses) {
        Some(reset) => reset,
        None => about(packet, Fault::Port, arrival, addresses),
    }
}
