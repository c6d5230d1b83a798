//! UDP (RFC 768).

use super::{be16, set};

/// Length of the header.
pub const HEADER_LEN: usize = 8;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const LENGTH: usize = 4;
const CHECKSUM: usize = 6;

/// A datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    header: &'a [u8; HEADER_LEN],
    rest: &'a [u8],
}

impl<'a> Udp<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self { header, rest })
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

    /// Bytes of the datagram with its header, as it says itself.
    #[inline]
    pub fn length(&self) -> usize {
        usize::from(be16(self.header, LENGTH))
    }

    /// Checksum; 0 when the sender made none.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// What the length covers after the header, as far as it is there.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let len = self.length().saturating_sub(HEADER_LEN);
        &self.rest[..len.min(self.rest.len())]
    }
}

/// A header to rewrite. The checksum is the caller's to keep right.
#[derive(Debug)]
pub struct UdpMut<'a>(&'a mut [u8; HEADER_LEN]);

impl<'a> UdpMut<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> Option<Self> {
        bytes.first_chunk_mut().map(Self)
    }

    /// From which port.
    #[inline]
    pub fn set_source_port(&mut self, port: u16) {
        set(self.0, SOURCE_PORT, port.to_be_bytes());
    }

    /// To which port.
    #[inline]
    pub fn set_destination_port(&mut self, port: u16) {
        set(self.0, DESTINATION_PORT, port.to_be_bytes());
    }

    /// Checksum; 0 says that there is none, so a sum of 0 is written as 0xffff.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        set(self.0, CHECKSUM, checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATAGRAM: [u8; 11] = [0xd4, 0x31, 0x00, 0x35, 0x00, 0x0a, 0xab, 0xcd, b'h', b'i', 0];

    #[test]
    fn reads_each_field() {
        let udp = Udp::new(&DATAGRAM).unwrap();
        assert_eq!((udp.source_port(), udp.destination_port()), (54_321, 53));
        assert_eq!((udp.length(), udp.checksum(), udp.payload()), (10, 0xabcd, b"hi".as_slice()));
        assert!(Udp::new(&DATAGRAM[..7]).is_none());
    }

    #[test]
    fn a_length_that_lies_gives_what_is_there() {
        let mut datagram = DATAGRAM;
        datagram[5] = 0xff;
        assert_eq!(Udp::new(&datagram).unwrap().payload().len(), 3);
        datagram[5] = 7;
        assert!(Udp::new(&datagram).unwrap().payload().is_empty());
    }

    #[test]
    fn writes_each_field() {
        let mut datagram = DATAGRAM;
        let mut udp = UdpMut::new(&mut datagram).unwrap();
        udp.set_source_port(1);
        udp.set_destination_port(2);
        udp.set_checksum(3);
        assert_eq!(datagram, [0, 1, 0, 2, 0x00, 0x0a, 0, 3, b'h', b'i', 0]);
    }
}
