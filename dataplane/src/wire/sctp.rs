//! SCTP's common header (RFC 9260).

use super::{be16, be32};

/// Length of the common header.
pub const HEADER_LEN: usize = 12;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const VERIFICATION_TAG: usize = 4;
const CHECKSUM: usize = 8;

/// A packet.
#[derive(Clone, Copy, Debug)]
pub struct Sctp<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Sctp<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk()?;
        Some(Self { header, payload })
    }

    /// From which port.
    #[inline]
    pub fn source_port(&self) -> u16 {
        be16(self.header, SOURCE_PORT)
    }

    /// To which port.
    #[inline]
    pub fn destination_port(&self) -> u16 {
        be16(self.header, DESTINATION_PORT)
    }

    /// What the receiver chose for the sender to prove itself with; 0 in an INIT.
    #[inline]
    pub fn verification_tag(&self) -> u32 {
        be32(self.header, VERIFICATION_TAG)
    }

    /// CRC-32C over the packet with this field zero.
    #[inline]
    pub fn checksum(&self) -> u32 {
        be32(self.header, CHECKSUM)
    }

    /// The chunks.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_field() {
        let sctp = Sctp::new(&[0x0b, 0x59, 0x00, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        assert_eq!((sctp.source_port(), sctp.destination_port()), (2905, 80));
        assert_eq!((sctp.verification_tag(), sctp.checksum()), (0x0102_0304, 0x0506_0708));
        assert_eq!(sctp.payload(), [9]);
        assert!(Sctp::new(&[0; 11]).is_none());
    }
}
