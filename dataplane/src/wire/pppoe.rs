//! PPPoE, session stage (RFC 2516), with the PPP protocol field after it (RFC 1661).

use super::{EtherType, be16};

/// Length of the PPPoE header with the PPP protocol field.
pub const HEADER_LEN: usize = 8;

const VERSION_TYPE: usize = 0;
const CODE: usize = 1;
const SESSION: usize = 2;
const LENGTH: usize = 4;
const PROTOCOL: usize = 6;

/// The part of `LENGTH` that the PPP protocol field takes.
const PROTOCOL_LEN: usize = 2;

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// A session frame.
#[derive(Clone, Copy, Debug)]
pub struct Pppoe<'a> {
    header: &'a [u8; HEADER_LEN],
    rest: &'a [u8],
}

impl<'a> Pppoe<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Self { header, rest })
    }

    /// Version 1, type 1, session data.
    #[inline]
    pub fn is_session(&self) -> bool {
        self.header[VERSION_TYPE] == 0x11 && self.header[CODE] == 0
    }

    /// The session.
    #[inline]
    pub fn session(&self) -> u16 {
        be16(self.header, SESSION)
    }

    /// The EtherType of the IP packet inside; `None` for control protocols and everything else.
    #[inline]
    pub fn ethertype(&self) -> Option<EtherType> {
        match be16(self.header, PROTOCOL) {
            PPP_IPV4 => Some(EtherType::IPV4),
            PPP_IPV6 => Some(EtherType::IPV6),
            _ => None,
        }
    }

    /// What the length field covers after the PPP protocol, as far as it is there.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let len = usize::from(be16(self.header, LENGTH)).saturating_sub(PROTOCOL_LEN);
        &self.rest[..len.min(self.rest.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_field_and_leaves_padding_out() {
        let pppoe = Pppoe::new(&[0x11, 0, 0x12, 0x34, 0, 4, 0, 0x21, 0x45, 0x00, 0xff]).unwrap();
        assert!(pppoe.is_session());
        assert_eq!((pppoe.session(), pppoe.ethertype()), (0x1234, Some(EtherType::IPV4)));
        assert_eq!(pppoe.payload(), [0x45, 0x00]);
    }

    #[test]
    fn control_protocols_carry_no_packet() {
        let lcp = Pppoe::new(&[0x11, 0, 0, 1, 0, 0, 0xc0, 0x21]).unwrap();
        assert_eq!((lcp.ethertype(), lcp.payload()), (None, [].as_slice()));
        assert!(!Pppoe::new(&[0x11, 0x09, 0, 0, 0, 0, 0, 0]).unwrap().is_session());
        assert!(Pppoe::new(&[0x11; 7]).is_none());
    }
}
