//! SCTP (RFC 9260).

use super::checksum::crc32c;
use super::ip::{Address, Ip};

/// SCTP's protocol number.
pub(super) const SCTP: u8 = 132;

/// Types of chunks (RFC 9260 §3.2).
#[expect(missing_docs, reason = "each is the RFC's name for its number")]
pub mod chunk {
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
    pub const HEARTBEAT_ACK: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const SHUTDOWN_ACK: u8 = 8;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const COOKIE_ACK: u8 = 11;
    pub const SHUTDOWN_COMPLETE: u8 = 14;

    /// The T flag of an ABORT or a SHUTDOWN COMPLETE: the verification tag is the other side's.
    pub const REFLECTED: u8 = 1;
}

/// An SCTP packet.
#[derive(Clone, Debug)]
pub struct Sctp<A> {
    ip: Ip<A>,
    ports: [u16; 2],
    tag: u32,
    chunks: Vec<u8>,
    bad_checksum: bool,
}

impl<A: Address> Sctp<A> {
    pub(super) fn new(ip: Ip<A>, source: u16, destination: u16) -> Self {
        Self { ip, ports: [source, destination], tag: 0, chunks: Vec::new(), bad_checksum: false }
    }

    /// The verification tag; 0 otherwise.
    #[must_use]
    pub fn tag(mut self, tag: u32) -> Self {
        self.tag = tag;
        self
    }

    /// Adds a chunk, padded with zeros to a multiple of four bytes.
    #[must_use]
    pub fn chunk(mut self, kind: u8, flags: u8, value: &[u8]) -> Self {
        let length = 4 + value.len() as u16;
        self.chunks.extend([kind, flags]);
        self.chunks.extend(length.to_be_bytes());
        self.chunks.extend(value);
        self.chunks.resize(self.chunks.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an INIT that says `tag` shall come back.
    #[must_use]
    pub fn init(self, tag: u32) -> Self {
        self.chunk(chunk::INIT, 0, &opening(tag))
    }

    /// Adds the answer to an INIT, that says `tag` shall come back.
    #[must_use]
    pub fn init_ack(self, tag: u32) -> Self {
        self.chunk(chunk::INIT_ACK, 0, &opening(tag))
    }

    /// Adds user data.
    #[must_use]
    pub fn data(self, payload: &[u8]) -> Self {
        // B and E: the message is not cut. TSN, stream, sequence and payload protocol are 0.
        self.chunk(chunk::DATA, 3, &[&[0; 12], payload].concat())
    }

    /// Adds bytes that are no sound chunk.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.chunks.extend(bytes);
        self
    }

    /// Breaks the checksum.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.bad_checksum = true;
        self
    }

    /// The whole frame.
    pub fn build(self) -> Vec<u8> {
        let mut packet = self.ports.map(u16::to_be_bytes).concat();
        packet.extend(self.tag.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(&self.chunks);
        let checksum = crc32c(&packet) ^ if self.bad_checksum { 0x5555 } else { 0 };
        // The one little-endian field (RFC 9260 appendix A).
        packet[8..12].copy_from_slice(&checksum.to_le_bytes());
        self.ip.wrap(SCTP, &packet)
    }
}

/// What INIT and INIT ACK begin with: tag, window, streams out and in, first TSN.
fn opening(tag: u32) -> Vec<u8> {
    let [a, b, c, d] = tag.to_be_bytes();
    vec![a, b, c, d, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]
}

#[cfg(test)]
mod tests {
    use super::super::{Mac, eth, packet_of};
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_packet_is_laid_out_as_the_rfc_says() {
        let c = Ipv4Addr::LOCALHOST;
        let ip = eth(Mac::host(1), Mac::host(2)).ip(c, c);
        let frame = ip.sctp(2905, 80).tag(0x0102_0304).chunk(chunk::COOKIE_ECHO, 0, b"cooky").build();
        let packet = &packet_of(&frame)[20..];
        assert_eq!(packet[..8], [0x0b, 0x59, 0, 80, 1, 2, 3, 4]);
        assert_eq!(packet[12..], [10, 0, 0, 9, b'c', b'o', b'o', b'k', b'y', 0, 0, 0]);
        let mut zeroed = packet.to_vec();
        zeroed[8..12].fill(0);
        assert_eq!(packet[8..12], crc32c(&zeroed).to_le_bytes());
    }
}
