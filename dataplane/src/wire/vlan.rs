//! One VLAN tag (IEEE 802.1Q, and 802.1ad for the outer one): what follows its EtherType.

use super::{EtherType, be16};

/// Length of a tag's control information with the EtherType after it.
pub const HEADER_LEN: usize = 4;

const CONTROL: usize = 0;
const ETHERTYPE: usize = 2;

/// A tag.
#[derive(Clone, Copy, Debug)]
pub struct Vlan<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Vlan<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk()?;
        Some(Self { header, payload })
    }

    /// The VLAN, 12 bits; 0 is a priority tag.
    #[inline]
    pub fn id(&self) -> u16 {
        be16(self.header, CONTROL) & 0x0fff
    }

    /// Priority code point, 3 bits.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.header[CONTROL] >> 5
    }

    /// What follows the tag.
    #[inline]
    pub fn ethertype(&self) -> EtherType {
        EtherType(be16(self.header, ETHERTYPE))
    }

    /// All that follows the tag.
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
        let vlan = Vlan::new(&[0xb0, 0x64, 0x08, 0x00, 0x45]).unwrap();
        assert_eq!((vlan.id(), vlan.priority(), vlan.ethertype()), (100, 5, EtherType::IPV4));
        assert_eq!(vlan.payload(), [0x45]);
        assert!(Vlan::new(&[0, 1, 8]).is_none());
    }
}
