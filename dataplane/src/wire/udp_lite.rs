//! UDP-Lite (RFC 3828): UDP with a checksum over the beginning alone.

use super::be16;

/// Length of the header.
pub const HEADER_LEN: usize = 8;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const COVERAGE: usize = 4;
const CHECKSUM: usize = 6;

/// A datagram.
#[derive(Clone, Copy, Debug)]
pub struct UdpLite<'a> {
    header: &'a [u8; HEADER_LEN],
}

impl<'a> UdpLite<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { header: bytes.first_chunk()? })
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

    /// Bytes that the checksum covers, from the header on; 0 for the whole datagram.
    #[inline]
    pub fn coverage(&self) -> usize {
        usize::from(be16(self.header, COVERAGE))
    }

    /// Checksum; never 0.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_field() {
        let datagram = UdpLite::new(&[0xd4, 0x31, 0x00, 0x35, 0x00, 0x0a, 0xab, 0xcd, b'h']).unwrap();
        assert_eq!((datagram.source_port(), datagram.destination_port()), (54_321, 53));
        assert_eq!((datagram.coverage(), datagram.checksum()), (10, 0xabcd));
        assert!(UdpLite::new(&[0; 7]).is_none());
    }
}
