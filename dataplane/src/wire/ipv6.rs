//! IPv6 and its extension headers (RFC 8200, RFC 4302).

use super::{Ecn, IpProtocol, be16, octets, set};
use core::net::Ipv6Addr;

/// Length of the header without extensions.
pub const HEADER_LEN: usize = 40;

/// Where the header says what follows it.
pub const NEXT_HEADER: usize = 6;

/// Length of the shortest extension header, which is also the fragment header's.
pub const EXTENSION_LEN_MIN: usize = 8;

const VERSION: usize = 0;
const PAYLOAD_LEN: usize = 4;
const HOP_LIMIT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

const EXTENSION_NEXT: usize = 0;
const EXTENSION_LEN: usize = 1;
const EXTENSION_BODY: usize = 2;
const FRAGMENT: usize = 2;
const FRAGMENT_ID: usize = 4;

const MORE_FRAGMENTS: u16 = 0x0001;
const FRAGMENT_OFFSET: u16 = 0xfff8;

/// A packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    header: &'a [u8; HEADER_LEN],
    rest: &'a [u8],
}

impl<'a> Ipv6<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self { header, rest })
    }

    /// 6, or it is none.
    #[inline]
    pub fn version(&self) -> u8 {
        self.header[VERSION] >> 4
    }

    /// Traffic class: the differentiated services field and ECN (RFC 2474).
    #[inline]
    pub fn traffic_class(&self) -> u8 {
        // It lies across two bytes.
        self.header[VERSION] << 4 | self.header[VERSION + 1] >> 4
    }

    /// Explicit congestion notification (RFC 3168).
    #[inline]
    pub fn ecn(&self) -> Ecn {
        Ecn::of(self.traffic_class())
    }

    /// Bytes after the header, extensions included, as it says itself; 0 in a jumbogram.
    #[inline]
    pub fn payload_len(&self) -> usize {
        usize::from(be16(self.header, PAYLOAD_LEN))
    }

    /// What follows the header: an extension or the transport.
    #[inline]
    pub fn next_header(&self) -> IpProtocol {
        IpProtocol(self.header[NEXT_HEADER])
    }

    /// Hop limit.
    #[inline]
    pub fn hop_limit(&self) -> u8 {
        self.header[HOP_LIMIT]
    }

    /// From whom.
    #[inline]
    pub fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from(octets::<HEADER_LEN, 16>(self.header, SOURCE))
    }

    /// To whom.
    #[inline]
    pub fn destination(&self) -> Ipv6Addr {
        Ipv6Addr::from(octets::<HEADER_LEN, 16>(self.header, DESTINATION))
    }

    /// What the payload length covers, as far as it is there.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        &self.rest[..self.payload_len().min(self.rest.len())]
    }
}

/// One extension header, of which the first [`EXTENSION_LEN_MIN`] bytes are there.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    kind: IpProtocol,
    header: &'a [u8; EXTENSION_LEN_MIN],
    rest: &'a [u8],
}

impl<'a> Extension<'a> {
    /// `None` when `kind` is no extension or fewer than [`EXTENSION_LEN_MIN`] bytes are there.
    #[inline]
    pub fn new(kind: IpProtocol, bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        kind.is_extension().then_some(Self { kind, header, rest })
    }

    /// Which.
    #[inline]
    pub fn kind(&self) -> IpProtocol {
        self.kind
    }

    /// What follows it.
    #[inline]
    pub fn next_header(&self) -> IpProtocol {
        IpProtocol(self.header[EXTENSION_NEXT])
    }

    /// Its bytes, as it says itself: the authentication header counts words of 4, the fragment header has one
    /// length, the others count words of 8. At least [`EXTENSION_LEN_MIN`].
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        let units = usize::from(self.header[EXTENSION_LEN]);
        match self.kind {
            IpProtocol::FRAGMENT => EXTENSION_LEN_MIN,
            IpProtocol::AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        }
    }

    /// Its bytes from the third on in two parts: the 6 of the fixed part, and the others as far as they are there.
    #[inline]
    pub fn body(&self) -> (&'a [u8], &'a [u8]) {
        let more = self.len() - EXTENSION_LEN_MIN;
        (&self.header[EXTENSION_BODY..], &self.rest[..more.min(self.rest.len())])
    }

    /// Fragment header: where this fragment starts, in bytes.
    #[inline]
    pub fn fragment_offset(&self) -> usize {
        usize::from(be16(self.header, FRAGMENT) & FRAGMENT_OFFSET)
    }

    /// Fragment header: another fragment follows.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        be16(self.header, FRAGMENT) & MORE_FRAGMENTS != 0
    }

    /// Fragment header: which datagram it belongs to.
    #[inline]
    pub fn fragment_id(&self) -> u32 {
        super::be32(self.header, FRAGMENT_ID)
    }

    /// What follows it; `None` when it runs past the end.
    #[inline]
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.rest.get(self.len() - EXTENSION_LEN_MIN..)
    }
}

/// Where a fragment starts, in bytes, by a fragment header of which only the first half need be there.
#[inline]
pub fn fragment_offset(header: &[u8]) -> Option<usize> {
    let header: &[u8; EXTENSION_LEN_MIN / 2] = header.first_chunk()?;
    Some(usize::from(be16(header, FRAGMENT) & FRAGMENT_OFFSET))
}

/// A header to rewrite.
#[derive(Debug)]
pub struct Ipv6Mut<'a>(&'a mut [u8; HEADER_LEN]);

impl<'a> Ipv6Mut<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> Option<Self> {
        bytes.first_chunk_mut().map(Self)
    }

    /// Bytes after the header, extensions included.
    #[inline]
    pub fn set_payload_len(&mut self, len: u16) {
        set(self.0, PAYLOAD_LEN, len.to_be_bytes());
    }

    /// Hop limit.
    #[inline]
    pub fn set_hop_limit(&mut self, hop_limit: u8) {
        self.0[HOP_LIMIT] = hop_limit;
    }

    /// From whom.
    #[inline]
    pub fn set_source(&mut self, address: Ipv6Addr) {
        set(self.0, SOURCE, address.octets());
    }

    /// To whom.
    #[inline]
    pub fn set_destination(&mut self, address: Ipv6Addr) {
        set(self.0, DESTINATION, address.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 50] = [
        0x6b, 0x80, 0x00, 0x00, 0x00, 0x09, 0x2c, 0x40, // 9 bytes, fragment header, hop limit 64
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, // destination
        0x11, 0x00, 0x00, 0x11, 0xca, 0xfe, 0xba, 0xbe, // UDP next, offset 16, more
        0xaa, 0xff, // payload, then padding
    ];

    #[test]
    fn reads_each_field() {
        let ipv6 = Ipv6::new(&PACKET).unwrap();
        assert_eq!((ipv6.version(), ipv6.payload_len(), ipv6.hop_limit()), (6, 9, 64));
        assert_eq!(ipv6.traffic_class(), 0xb8);
        assert_eq!(ipv6.source(), "2001:db8::1".parse::<Ipv6Addr>().unwrap());
        assert_eq!(ipv6.destination(), "fe80::1234".parse::<Ipv6Addr>().unwrap());
        let fragment = Extension::new(ipv6.next_header(), ipv6.payload()).unwrap();
        assert_eq!((fragment.kind(), fragment.len()), (IpProtocol::FRAGMENT, 8));
        assert_eq!((fragment.fragment_offset(), fragment.more_fragments()), (16, true));
        assert_eq!((fragment.fragment_id(), fragment.next_header()), (0xcafe_babe, IpProtocol::UDP));
        assert_eq!(fragment.payload(), Some([0xaa].as_slice()));
        assert_eq!((fragment_offset(&ipv6.payload()[..4]), fragment_offset(&[44, 0, 0])), (Some(16), None));
        assert!(Ipv6::new(&PACKET[..39]).is_none());
    }

    #[test]
    fn each_extension_counts_its_length_its_own_way() {
        let bytes = [6, 1, 5, 2, 0, 0, 1, 0, 9, 9, 9, 9, 7, 7];
        let at = |kind| Extension::new(kind, &bytes).unwrap();
        assert_eq!(at(IpProtocol::FRAGMENT).len(), 8);
        assert_eq!(at(IpProtocol::AUTHENTICATION).len(), 12);
        assert_eq!(at(IpProtocol::AUTHENTICATION).payload(), Some([7, 7].as_slice()));
        assert_eq!(at(IpProtocol::HOP_BY_HOP).len(), 16);
        assert_eq!(at(IpProtocol::HOP_BY_HOP).payload(), None);
        assert_eq!(at(IpProtocol::HOP_BY_HOP).body(), ([5, 2, 0, 0, 1, 0].as_slice(), &bytes[8..]));
        assert!(Extension::new(IpProtocol::TCP, &bytes).is_none());
        assert!(Extension::new(IpProtocol::ROUTING, &bytes[..7]).is_none());
    }

    #[test]
    fn writes_each_field() {
        let mut packet = PACKET;
        let mut ipv6 = Ipv6Mut::new(&mut packet).unwrap();
        ipv6.set_payload_len(0x0102);
        ipv6.set_hop_limit(1);
        ipv6.set_source(Ipv6Addr::LOCALHOST);
        ipv6.set_destination(Ipv6Addr::UNSPECIFIED);
        let ipv6 = Ipv6::new(&packet).unwrap();
        assert_eq!((ipv6.hop_limit(), ipv6.source()), (1, Ipv6Addr::LOCALHOST));
        assert_eq!(ipv6.destination(), Ipv6Addr::UNSPECIFIED);
        assert_eq!(packet[4..7], [1, 2, PACKET[6]]);
        assert_eq!((&packet[..4], &packet[40..]), (&PACKET[..4], &PACKET[40..]));
    }
}
