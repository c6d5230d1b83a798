//! GRE (RFC 2784, RFC 2890), and its version 1 that PPTP uses (RFC 2637).

use super::{EtherType, be16};

/// Length of the header without its optional fields.
pub const HEADER_LEN: usize = 4;

const FLAGS: usize = 0;
const VERSION: usize = 1;
const ETHERTYPE: usize = 2;

const HAS_CHECKSUM: u8 = 0x80;
const HAS_KEY: u8 = 0x20;
const VERSION_MASK: u8 = 0x07;

/// A packet.
#[derive(Clone, Copy, Debug)]
pub struct Gre<'a> {
    header: &'a [u8; HEADER_LEN],
    rest: &'a [u8],
}

impl<'a> Gre<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self { header, rest })
    }

    /// 0, or 1 for PPTP.
    #[inline]
    pub fn version(&self) -> u8 {
        self.header[VERSION] & VERSION_MASK
    }

    /// What it carries.
    #[inline]
    pub fn ethertype(&self) -> EtherType {
        EtherType(be16(self.header, ETHERTYPE))
    }

    /// The key field; `None` when there is none or it is cut.
    #[inline]
    pub fn key(&self) -> Option<u32> {
        if self.header[FLAGS] & HAS_KEY == 0 {
            return None;
        }
        let at = if self.header[FLAGS] & HAS_CHECKSUM == 0 { 0 } else { 4 };
        self.rest.get(at..).and_then(<[u8]>::first_chunk).copied().map(u32::from_be_bytes)
    }

    /// PPTP: the receiver's call, behind the payload's length. Version 1 always has both (RFC 2637 4.1), whatever
    /// the flags say.
    #[inline]
    pub fn call_id(&self) -> Option<u16> {
        let [_, _, high, low] = *self.rest.first_chunk()?;
        (self.version() == 1).then_some(u16::from_be_bytes([high, low]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stands_behind_the_checksum() {
        let plain = Gre::new(&[0x00, 0x00, 0x08, 0x00, 1, 2, 3, 4]).unwrap();
        assert_eq!((plain.version(), plain.ethertype(), plain.key()), (0, EtherType::IPV4, None));
        let keyed = Gre::new(&[0x20, 0x00, 0x86, 0xdd, 1, 2, 3, 4]).unwrap();
        assert_eq!((keyed.key(), keyed.call_id()), (Some(0x0102_0304), None));
        let both = [0xa0, 0x00, 0x08, 0x00, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Gre::new(&both).unwrap().key(), Some(0x0506_0708));
        assert_eq!(Gre::new(&both[..11]).unwrap().key(), None);
        assert!(Gre::new(&both[..3]).is_none());
    }

    #[test]
    fn pptp_has_its_call_where_the_key_would_be() {
        let pptp = Gre::new(&[0x30, 0x81, 0x88, 0x0b, 0x00, 0x20, 0xab, 0xcd, 0, 0, 0, 1]).unwrap();
        assert_eq!((pptp.version(), pptp.call_id()), (1, Some(0xabcd)));
        assert_eq!(Gre::new(&[0x00, 0x01, 0x88, 0x0b, 0, 0, 0, 7]).unwrap().call_id(), Some(7));
        assert_eq!(Gre::new(&[0x30, 0x01, 0x88, 0x0b, 0, 0, 0]).unwrap().call_id(), None);
    }
}
