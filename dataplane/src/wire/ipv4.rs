//! IPv4 (RFC 791).

use super::checksum::Sum;
use super::{Ecn, IpProtocol, be16, octets, set};
use core::net::Ipv4Addr;

/// Length of the header without options.
pub const HEADER_LEN: usize = 20;

const VERSION_IHL: usize = 0;
const TOS: usize = 1;
const TOTAL_LEN: usize = 2;
const ID: usize = 4;
const FRAGMENT: usize = 6;
const TTL: usize = 8;
const PROTOCOL: usize = 9;
const CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// A packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    header: &'a [u8; HEADER_LEN],
    rest: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self { header, rest })
    }

    /// 4, or it is none.
    #[inline]
    pub fn version(&self) -> u8 {
        self.header[VERSION_IHL] >> 4
    }

    /// Bytes of the header with its options, as it says itself: 0 to 60.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.header[VERSION_IHL] & 0x0f) * 4
    }

    /// Type of service: the differentiated services field and ECN of today (RFC 2474).
    #[inline]
    pub fn tos(&self) -> u8 {
        self.header[TOS]
    }

    /// Explicit congestion notification (RFC 3168).
    #[inline]
    pub fn ecn(&self) -> Ecn {
        Ecn::of(self.tos())
    }

    /// Bytes of the packet, as it says itself.
    #[inline]
    pub fn total_len(&self) -> usize {
        usize::from(be16(self.header, TOTAL_LEN))
    }

    /// Which datagram its fragments belong to.
    #[inline]
    pub fn id(&self) -> u16 {
        be16(self.header, ID)
    }

    /// It must not be fragmented.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        be16(self.header, FRAGMENT) & DONT_FRAGMENT != 0
    }

    /// Another fragment follows.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        be16(self.header, FRAGMENT) & MORE_FRAGMENTS != 0
    }

    /// Where this fragment starts, in bytes.
    #[inline]
    pub fn fragment_offset(&self) -> usize {
        usize::from(be16(self.header, FRAGMENT) & FRAGMENT_OFFSET) * 8
    }

    /// Whether it is a part of a datagram.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        be16(self.header, FRAGMENT) & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Time to live.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.header[TTL]
    }

    /// What it carries.
    #[inline]
    pub fn protocol(&self) -> IpProtocol {
        IpProtocol(self.header[PROTOCOL])
    }

    /// The header's checksum.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, CHECKSUM)
    }

    /// Whether the checksum is right over the header and its options.
    #[inline(always)]
    pub fn checksum_verifies(&self) -> bool {
        let sum = Sum::of(self.header);
        if self.header_len() <= HEADER_LEN { sum.verifies() } else { sum.and(self.options()).verifies() }
    }

    /// From whom.
    #[inline]
    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from(octets(self.header, SOURCE))
    }

    /// To whom.
    #[inline]
    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from(octets(self.header, DESTINATION))
    }

    /// The options, as far as they are there.
    #[inline]
    pub fn options(&self) -> &'a [u8] {
        let len = self.header_len().saturating_sub(HEADER_LEN);
        &self.rest[..len.min(self.rest.len())]
    }

    /// What lies between the header's and the packet's end, as far as it is there: without padding behind the
    /// packet, and of a quoted packet the part that was quoted.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let start = self.header_len().saturating_sub(HEADER_LEN);
        let end = self.total_len().saturating_sub(HEADER_LEN);
        self.rest.get(start..end.min(self.rest.len())).unwrap_or_default()
    }
}

/// A header to rewrite. The checksum is the caller's to keep right.
#[derive(Debug)]
pub struct Ipv4Mut<'a>(&'a mut [u8; HEADER_LEN]);

impl<'a> Ipv4Mut<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> Option<Self> {
        bytes.first_chunk_mut().map(Self)
    }

    /// Bytes of the packet with its header.
    #[inline]
    pub fn set_total_len(&mut self, len: u16) {
        set(self.0, TOTAL_LEN, len.to_be_bytes());
    }

    /// Which datagram its fragments belong to.
    #[inline]
    pub fn set_id(&mut self, id: u16) {
        set(self.0, ID, id.to_be_bytes());
    }

    /// Makes it a whole datagram that may be fragmented.
    #[inline]
    pub fn clear_fragment(&mut self) {
        set(self.0, FRAGMENT, [0; 2]);
    }

    /// Makes it the fragment that starts so many bytes into its datagram, a multiple of 8; whether `more` follow.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a datagram has 65535 bytes at most")]
    pub fn set_fragment(&mut self, offset: usize, more: bool) {
        let more = if more { MORE_FRAGMENTS } else { 0 };
        set(self.0, FRAGMENT, ((offset / 8) as u16 & FRAGMENT_OFFSET | more).to_be_bytes());
    }

    /// Time to live.
    #[inline]
    pub fn set_ttl(&mut self, ttl: u8) {
        self.0[TTL] = ttl;
    }

    /// The header's checksum.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        set(self.0, CHECKSUM, checksum.to_be_bytes());
    }

    /// From whom.
    #[inline]
    pub fn set_source(&mut self, address: Ipv4Addr) {
        set(self.0, SOURCE, address.octets());
    }

    /// To whom.
    #[inline]
    pub fn set_destination(&mut self, address: Ipv4Addr) {
        set(self.0, DESTINATION, address.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 30] = [
        0x46, 0xb8, 0x00, 0x1c, 0x12, 0x34, 0x20,
        0x02, // 24-byte header, 28 in all, more fragments, offset 16
        0x40, 0x11, 0xc6, 0xa2, 192, 0, 2, 1, // TTL 64, UDP
        198, 51, 100, 7, 0x94, 0x04, 0x00, 0x00, // router alert
        0xde, 0xad, 0xbe, 0xef, 0xff, 0xff, // payload, then padding
    ];

    #[test]
    fn reads_each_field() {
        let ipv4 = Ipv4::new(&PACKET).unwrap();
        assert_eq!((ipv4.version(), ipv4.header_len(), ipv4.total_len(), ipv4.id()), (4, 24, 28, 0x1234));
        assert!(ipv4.is_fragment() && ipv4.more_fragments() && !ipv4.dont_fragment());
        assert_eq!((ipv4.fragment_offset(), ipv4.ttl(), ipv4.protocol()), (16, 64, IpProtocol::UDP));
        assert_eq!((ipv4.tos(), ipv4.source()), (0xb8, Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(ipv4.destination(), Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!(ipv4.options(), [0x94, 0x04, 0, 0]);
        assert_eq!(ipv4.payload(), [0xde, 0xad, 0xbe, 0xef]);
        assert!(Ipv4::new(&PACKET[..19]).is_none());
    }

    #[test]
    fn the_checksum_covers_the_options() {
        let sum = Sum::of(&PACKET[..10]).and(&PACKET[12..24]).checksum();
        assert_eq!(Ipv4::new(&PACKET).unwrap().checksum(), sum);
        assert!(Ipv4::new(&PACKET).unwrap().checksum_verifies());
        let mut broken = PACKET;
        broken[20] ^= 1;
        assert!(!Ipv4::new(&broken).unwrap().checksum_verifies());
    }

    #[test]
    fn lengths_that_lie_give_what_is_there() {
        let mut packet = PACKET;
        packet[3] = 0xff;
        assert_eq!(Ipv4::new(&packet).unwrap().payload().len(), 6);
        packet[3] = 10;
        assert!(Ipv4::new(&packet).unwrap().payload().is_empty());
        packet[0] = 0x4f;
        assert_eq!(Ipv4::new(&packet).unwrap().options().len(), 10);
        assert!(Ipv4::new(&packet).unwrap().payload().is_empty());
    }

    #[test]
    fn writes_each_field() {
        let mut packet = PACKET;
        let mut ipv4 = Ipv4Mut::new(&mut packet).unwrap();
        ipv4.set_total_len(0x0102);
        ipv4.clear_fragment();
        ipv4.set_ttl(63);
        ipv4.set_checksum(0xabcd);
        ipv4.set_source(Ipv4Addr::new(1, 2, 3, 4));
        ipv4.set_destination(Ipv4Addr::new(5, 6, 7, 8));
        assert_eq!(packet[8..20], [63, 0x11, 0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((&packet[2..4], &packet[6..8]), (&[1, 2][..], &[0, 0][..]));
        assert_eq!((&packet[4..6], &packet[20..]), (&PACKET[4..6], &PACKET[20..]));
        Ipv4Mut::new(&mut packet).unwrap().set_fragment(0xfff8, true);
        assert_eq!(packet[6..8], [0x3f, 0xff]);
        Ipv4Mut::new(&mut packet).unwrap().set_fragment(16, false);
        assert_eq!(packet[6..8], [0, 2]);
    }
}
