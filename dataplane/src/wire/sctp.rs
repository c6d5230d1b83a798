//! SCTP (RFC 9260).

use super::{be16, be32, octets};
use crc::{CRC_32_ISCSI, Crc, Table};

/// Length of the common header.
pub const HEADER_LEN: usize = 12;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const VERIFICATION_TAG: usize = 4;
const CHECKSUM: usize = 8;

const CHUNK_HEADER_LEN: usize = 4;
const CHUNK_TYPE: usize = 0;
const CHUNK_FLAGS: usize = 1;
const CHUNK_LENGTH: usize = 2;
/// INIT and INIT ACK begin with tag, window, streams out and in, and first TSN.
const OPENING_LEN: usize = 16;

/// CRC-32C, sixteen bytes a step.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

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

    /// CRC-32C over the packet with this field zero; little-endian, as no other field (RFC 9260 appendix A).
    #[inline]
    pub fn checksum(&self) -> u32 {
        u32::from_le_bytes(octets(self.header, CHECKSUM))
    }

    /// Whether the checksum says that nothing was changed.
    pub fn checksum_verifies(&self) -> bool {
        let mut digest = CRC.digest();
        digest.update(&self.header[..CHECKSUM]);
        digest.update(&[0; HEADER_LEN - CHECKSUM]);
        digest.update(self.payload);
        digest.finalize() == self.checksum()
    }

    /// The chunks.
    #[inline]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks { rest: self.payload }
    }
}

/// A chunk's type (RFC 9260 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkType(pub u8);

#[expect(missing_docs, reason = "each is the RFC's name for its number")]
impl ChunkType {
    pub const DATA: Self = Self(0);
    pub const INIT: Self = Self(1);
    pub const INIT_ACK: Self = Self(2);
    pub const HEARTBEAT: Self = Self(4);
    pub const HEARTBEAT_ACK: Self = Self(5);
    pub const ABORT: Self = Self(6);
    pub const SHUTDOWN: Self = Self(7);
    pub const SHUTDOWN_ACK: Self = Self(8);
    pub const ERROR: Self = Self(9);
    pub const COOKIE_ECHO: Self = Self(10);
    pub const COOKIE_ACK: Self = Self(11);
    pub const SHUTDOWN_COMPLETE: Self = Self(14);
}

/// A chunk, as long as its header is whole.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    header: &'a [u8; CHUNK_HEADER_LEN],
    rest: &'a [u8],
}

impl Chunk<'_> {
    /// What it is.
    #[inline]
    pub fn kind(&self) -> ChunkType {
        ChunkType(self.header[CHUNK_TYPE])
    }

    /// Bytes of the chunk with its header and without padding, as it says itself.
    #[inline]
    pub fn length(&self) -> usize {
        usize::from(be16(self.header, CHUNK_LENGTH))
    }

    /// ABORT, SHUTDOWN COMPLETE: the verification tag is the one that the sender was to be addressed with (the T
    /// flag, RFC 9260 8.5.1).
    #[inline]
    pub fn tag_reflected(&self) -> bool {
        self.header[CHUNK_FLAGS] & 1 != 0
    }

    /// INIT, INIT ACK: what the sender wants to be addressed with. `None` when the packet ends too soon; the
    /// chunk's own length is not asked.
    #[inline]
    pub fn initiate_tag(&self) -> Option<u32> {
        let opening: &[u8; OPENING_LEN] = self.rest.first_chunk()?;
        Some(be32(opening, 0))
    }
}

/// The chunks of a packet in order, each at a multiple of four bytes. A chunk whose length is below its header's
/// counts as four bytes long, except that the chunks end behind one that says 0.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    #[inline]
    fn next(&mut self) -> Option<Chunk<'a>> {
        let (header, rest) = self.rest.split_first_chunk()?;
        let chunk = Chunk { header, rest };
        self.rest = match chunk.length() {
            0 => &[],
            length => self.rest.get(length.next_multiple_of(CHUNK_HEADER_LEN)..).unwrap_or_default(),
        };
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_field() {
        let sctp = Sctp::new(&[0x0b, 0x59, 0x00, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        assert_eq!((sctp.source_port(), sctp.destination_port()), (2905, 80));
        assert_eq!((sctp.verification_tag(), sctp.checksum()), (0x0102_0304, 0x0807_0605));
        assert!(sctp.chunks().next().is_none());
        assert!(Sctp::new(&[0; 11]).is_none());
    }

    #[test]
    fn verifies_a_packet() {
        // CRC-32C of twelve zeros.
        let mut packet = [0; HEADER_LEN];
        let crc = CRC.checksum(&packet);
        packet[CHECKSUM..].copy_from_slice(&crc.to_le_bytes());
        assert!(Sctp::new(&packet).unwrap().checksum_verifies());
        packet[0] = 1;
        assert!(!Sctp::new(&packet).unwrap().checksum_verifies());
        assert_eq!(CRC.checksum(b"123456789"), 0xe306_9283);
    }

    fn chunks(payload: &[u8]) -> Vec<(u8, usize)> {
        Chunks { rest: payload }.map(|chunk| (chunk.kind().0, chunk.length())).collect()
    }

    #[test]
    fn chunks_are_padded_to_four_bytes() {
        assert_eq!(chunks(&[10, 0, 0, 5, 1, 0, 0, 0, 0, 3, 0, 4]), [(10, 5), (0, 4)]);
        assert_eq!(chunks(&[10, 0, 0, 9, 1, 0, 0, 0]), [(10, 9)]);
        assert_eq!(chunks(&[6, 0, 0, 1, 7, 0, 0]), [(6, 1)]);
        assert_eq!(chunks(&[6, 0, 0, 0, 7, 0, 0, 4]), [(6, 0)]);
    }

    #[test]
    fn flags_and_tags_are_read_where_they_stand() {
        let init = [&[1, 1, 0, 20, 0xa, 0xb, 0xc, 0xd][..], &[0; 12]].concat();
        let chunk = Chunks { rest: &init }.next().unwrap();
        assert_eq!((chunk.tag_reflected(), chunk.initiate_tag()), (true, Some(0x0a0b_0c0d)));
        assert_eq!(Chunks { rest: &init[..19] }.next().unwrap().initiate_tag(), None);
    }
}
