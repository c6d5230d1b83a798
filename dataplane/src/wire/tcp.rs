//! TCP (RFC 9293), window scale (RFC 7323), selective acknowledgement (RFC 2018).

use super::{be16, be32, set};
use core::ops::{BitAnd, BitOr};

/// Length of the header without options.
pub const HEADER_LEN: usize = 20;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const SEQ: usize = 4;
const ACK: usize = 8;
const DATA_OFFSET: usize = 12;
const FLAGS: usize = 13;
const WINDOW: usize = 14;
const CHECKSUM: usize = 16;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_WINDOW_SCALE: u8 = 3;
const OPTION_SACK_PERMITTED: u8 = 4;
const OPTION_SACK: u8 = 5;
const OPTION_TIMESTAMPS: u8 = 8;

/// A set of TCP flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

#[expect(missing_docs, reason = "each is the flag of that name")]
impl TcpFlags {
    pub const FIN: Self = Self(0x01);
    pub const SYN: Self = Self(0x02);
    pub const RST: Self = Self(0x04);
    pub const PSH: Self = Self(0x08);
    pub const ACK: Self = Self(0x10);
    pub const URG: Self = Self(0x20);
    pub const ECE: Self = Self(0x40);
    pub const CWR: Self = Self(0x80);
}

impl TcpFlags {
    /// Whether all of `flags` are set.
    #[inline]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for TcpFlags {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// A segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    header: &'a [u8; HEADER_LEN],
    rest: &'a [u8],
}

impl<'a> Tcp<'a> {
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

    /// Sequence number.
    #[inline]
    pub fn seq(&self) -> u32 {
        be32(self.header, SEQ)
    }

    /// Acknowledgement number.
    #[inline]
    pub fn ack(&self) -> u32 {
        be32(self.header, ACK)
    }

    /// Bytes of the header with its options, as it says itself: 0 to 60.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header[DATA_OFFSET] >> 4) * 4
    }

    /// Flags.
    #[inline]
    pub fn flags(&self) -> TcpFlags {
        TcpFlags(self.header[FLAGS])
    }

    /// Window, not scaled.
    #[inline]
    pub fn window(&self) -> u16 {
        be16(self.header, WINDOW)
    }

    /// Checksum.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// The options, as far as they are there.
    #[inline]
    pub fn options(&self) -> TcpOptions<'a> {
        let len = self.header_len().saturating_sub(HEADER_LEN);
        TcpOptions(&self.rest[..len.min(self.rest.len())])
    }

    /// What follows the options.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let start = self.header_len().saturating_sub(HEADER_LEN);
        self.rest.get(start..).unwrap_or_default()
    }
}

/// One option.
#[derive(Clone, Debug)]
pub enum TcpOption<'a> {
    /// The power of two that windows are multiplied by; more than 14 means 14 (RFC 7323 2.3).
    WindowScale(u8),
    /// Selective acknowledgement is understood.
    SackPermitted,
    /// What has arrived beyond a gap.
    Sack(SackBlocks<'a>),
    /// Every other option, and those above when their length is wrong.
    Other {
        /// Its number.
        kind: u8,
        /// Without number and length.
        data: &'a [u8],
    },
}

/// Walks options up to their end, the end of the list, or the first that is cut or shorter than it can be.
#[derive(Clone, Debug)]
pub struct TcpOptions<'a>(&'a [u8]);

impl TcpOptions<'_> {
    /// Whether nothing is left to walk.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a [`TcpOption::Sack`] may be among them: not where there is nothing but timestamps, laid out as nearly
    /// all senders do (RFC 7323, appendix A).
    #[inline]
    pub fn may_have_sack(&self) -> bool {
        !matches!(self.0, [] | [OPTION_NOP, OPTION_NOP, OPTION_TIMESTAMPS, 10, _, _, _, _, _, _, _, _])
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = TcpOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<TcpOption<'a>> {
        while let Some((&OPTION_NOP, rest)) = self.0.split_first() {
            self.0 = rest;
        }
        let (kind, len) = match *self.0 {
            [kind, len, ..] if kind != OPTION_END => (kind, usize::from(len)),
            _ => return None,
        };
        let data = self.0.get(2..len)?;
        self.0 = &self.0[len..];
        Some(match (kind, data) {
            (OPTION_WINDOW_SCALE, &[scale]) => TcpOption::WindowScale(scale),
            (OPTION_SACK_PERMITTED, []) => TcpOption::SackPermitted,
            (OPTION_SACK, blocks) if !blocks.is_empty() && blocks.len() % 8 == 0 => {
                TcpOption::Sack(SackBlocks(blocks))
            }
            _ => TcpOption::Other { kind, data },
        })
    }
}

/// The blocks of a selective acknowledgement: first sequence number, and the one after the last.
#[derive(Clone, Debug)]
pub struct SackBlocks<'a>(&'a [u8]);

impl Iterator for SackBlocks<'_> {
    type Item = (u32, u32);

    #[inline]
    fn next(&mut self) -> Option<(u32, u32)> {
        let (block, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some((be32(block, 0), be32(block, 4)))
    }
}

/// A header to rewrite. The checksum is the caller's to keep right.
#[derive(Debug)]
pub struct TcpMut<'a>(&'a mut [u8; HEADER_LEN]);

impl<'a> TcpMut<'a> {
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

    /// Checksum.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        set(self.0, CHECKSUM, checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: [u8; 34] = [
        0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, // ports 40000 and 80, sequence
        0x05, 0x06, 0x07, 0x08, 0x80, 0x42, 0xfa,
        0xf0, // acknowledgement, 32 bytes, SYN and ECE, window
        0xbe, 0xef, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, // checksum, maximum segment size
        0x01, 0x03, 0x03, 0x07, 0x04, 0x02, 0x00, 0x00, // NOP, window scale, SACK permitted, end
        b'h', b'i',
    ];

    fn options(list: &[u8]) -> Vec<String> {
        TcpOptions(list).map(|option| format!("{option:?}")).collect()
    }

    #[test]
    fn reads_each_field() {
        let tcp = Tcp::new(&SYN).unwrap();
        assert_eq!((tcp.source_port(), tcp.destination_port()), (40_000, 80));
        assert_eq!((tcp.seq(), tcp.ack(), tcp.window()), (0x0102_0304, 0x0506_0708, 64_240));
        assert_eq!((tcp.header_len(), tcp.checksum(), tcp.payload()), (32, 0xbeef, b"hi".as_slice()));
        assert_eq!(tcp.flags(), TcpFlags::SYN | TcpFlags::ECE);
        assert!(tcp.flags().contains(TcpFlags::SYN) && !tcp.flags().contains(TcpFlags::SYN | TcpFlags::ACK));
        assert_eq!(tcp.flags() & TcpFlags::ECE, TcpFlags::ECE);
        assert!(Tcp::new(&SYN[..19]).is_none());
    }

    #[test]
    fn walks_the_options() {
        let mut walk = Tcp::new(&SYN).unwrap().options();
        assert!(matches!(walk.next(), Some(TcpOption::Other { kind: 2, data: [0x05, 0xb4] })));
        assert!(matches!(walk.next(), Some(TcpOption::WindowScale(7))));
        assert!(matches!(walk.next(), Some(TcpOption::SackPermitted)));
        assert!(walk.next().is_none() && walk.next().is_none());
    }

    #[test]
    fn reads_selective_acknowledgements() {
        let list = [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9];
        let Some(TcpOption::Sack(blocks)) = TcpOptions(&list).next() else { panic!("no blocks") };
        assert_eq!(blocks.collect::<Vec<_>>(), [(1, 2), (5, 9)]);
    }

    #[test]
    fn an_option_of_wrong_length_is_not_taken_for_its_kind() {
        assert_eq!(
            options(&[3, 2, 4, 3, 0]),
            ["Other { kind: 3, data: [] }", "Other { kind: 4, data: [0] }"]
        );
        assert_eq!(options(&[5, 4, 0, 0]), ["Other { kind: 5, data: [0, 0] }"]);
    }

    #[test]
    fn a_cut_option_ends_the_walk() {
        assert!(options(&[3, 4, 7]).is_empty());
        assert!(options(&[3, 1, 7, 4, 2]).is_empty());
        assert!(options(&[3, 0, 7]).is_empty());
        assert!(options(&[1, 1, 8]).is_empty());
        assert!(options(&[0, 3, 3, 7]).is_empty());
    }

    #[test]
    fn a_data_offset_that_lies_gives_what_is_there() {
        let mut segment = SYN;
        segment[12] = 0x00;
        assert_eq!(Tcp::new(&segment).unwrap().options().count(), 0);
        assert_eq!(Tcp::new(&segment).unwrap().payload().len(), 14);
        segment[12] = 0xf0;
        assert!(Tcp::new(&segment).unwrap().payload().is_empty());
    }

    #[test]
    fn writes_each_field() {
        let mut segment = SYN;
        let mut tcp = TcpMut::new(&mut segment).unwrap();
        tcp.set_source_port(1);
        tcp.set_destination_port(2);
        tcp.set_checksum(3);
        let tcp = Tcp::new(&segment).unwrap();
        assert_eq!((tcp.source_port(), tcp.destination_port(), tcp.checksum()), (1, 2, 3));
        assert_eq!((&segment[4..16], &segment[18..]), (&SYN[4..16], &SYN[18..]));
    }
}
