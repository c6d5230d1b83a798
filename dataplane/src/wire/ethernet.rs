//! Ethernet II (IEEE 802.3).

use super::{be16, octets, set};
use core::fmt;

/// Length of the header, without tags.
pub const HEADER_LEN: usize = 14;

const DESTINATION: usize = 0;
const SOURCE: usize = 6;
const ETHERTYPE: usize = 12;

/// A MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// To everybody.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Where bridges speak spanning tree (IEEE 802.1D).
    pub const SPANNING_TREE: Self = Self([0x01, 0x80, 0xc2, 0, 0, 0]);

    /// Multicast or broadcast.
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// 01:80:c2:00:00:00 to 0f, which no bridge forwards (IEEE 802.1Q 8.6.3): STP, LACP, LLDP, pause frames.
    #[inline]
    pub const fn is_link_local(self) -> bool {
        matches!(self.0, [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a frame carries (IEEE 802 numbers); below 0x600 it is a length and the frame is LLC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// A customer tag, 802.1Q.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// PPP, in GRE.
    pub const PPP: Self = Self(0x880b);
    /// PPPoE, session stage.
    pub const PPPOE_SESSION: Self = Self(0x8864);
    /// A service tag, 802.1ad.
    pub const SERVICE_VLAN: Self = Self(0x88a8);

    /// Whether a [`Vlan`](super::Vlan) tag follows.
    #[inline]
    pub const fn is_vlan(self) -> bool {
        matches!(self, Self::VLAN | Self::SERVICE_VLAN)
    }
}

/// A frame from its destination MAC on.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Ethernet<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_first_chunk()?;
        Some(Self { header, payload })
    }

    /// To whom.
    #[inline]
    pub fn destination(&self) -> MacAddr {
        MacAddr(octets(self.header, DESTINATION))
    }

    /// From whom.
    #[inline]
    pub fn source(&self) -> MacAddr {
        MacAddr(octets(self.header, SOURCE))
    }

    /// What follows the header.
    #[inline]
    pub fn ethertype(&self) -> EtherType {
        EtherType(be16(self.header, ETHERTYPE))
    }

    /// All that follows the header, padding included.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header to rewrite.
#[derive(Debug)]
pub struct EthernetMut<'a>(&'a mut [u8; HEADER_LEN]);

impl<'a> EthernetMut<'a> {
    /// `None` below [`HEADER_LEN`].
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> Option<Self> {
        bytes.first_chunk_mut().map(Self)
    }

    /// To whom, and then from whom: written at once.
    #[inline]
    pub fn set_addresses(&mut self, both: [u8; ETHERTYPE]) {
        set(self.0, DESTINATION, both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: [u8; 16] = [
        0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e, // destination
        0x02, 0x00, 0x5e, 0x10, 0x00, 0x01, // source
        0x86, 0xdd, 0xca, 0xfe,
    ];

    #[test]
    fn reads_each_field() {
        let ethernet = Ethernet::new(&FRAME).unwrap();
        assert_eq!(ethernet.destination().to_string(), "01:80:c2:00:00:0e");
        assert_eq!(ethernet.source(), MacAddr([2, 0, 0x5e, 0x10, 0, 1]));
        assert_eq!(ethernet.ethertype(), EtherType::IPV6);
        assert_eq!(ethernet.payload(), [0xca, 0xfe]);
        assert!(Ethernet::new(&FRAME[..13]).is_none());
    }

    #[test]
    fn sixteen_group_addresses_are_link_local() {
        let mac = |last| MacAddr([0x01, 0x80, 0xc2, 0, 0, last]);
        assert!(mac(0x00).is_link_local() && mac(0x0f).is_link_local());
        assert!(!mac(0x10).is_link_local() && mac(0x10).is_group());
        assert!(MacAddr::BROADCAST.is_group() && !MacAddr([2, 0, 0, 0, 0, 1]).is_group());
    }

    #[test]
    fn writes_both_addresses() {
        let mut frame = FRAME;
        EthernetMut::new(&mut frame).unwrap().set_addresses([1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
        assert_eq!(frame, [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x86, 0xdd, 0xca, 0xfe]);
    }
}
