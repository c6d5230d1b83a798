//! ARP for IPv4 over Ethernet (RFC 826).

use super::{EtherType, MacAddr, be16, octets};
use core::net::Ipv4Addr;

/// Length of an ARP message for IPv4 over Ethernet.
pub const HEADER_LEN: usize = 28;

const HARDWARE: usize = 0;
const PROTOCOL: usize = 2;
const ADDRESS_LENS: usize = 4;
const OPERATION: usize = 6;
const SENDER_MAC: usize = 8;
const SENDER_IP: usize = 14;
const TARGET_MAC: usize = 18;
const TARGET_IP: usize = 24;

/// What an ARP message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has it.
    Reply,
    /// Anything else, by number.
    Other(u16),
}

/// An ARP message.
#[derive(Clone, Copy, Debug)]
pub struct Arp<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Arp<'a> {
    /// `None` below [`HEADER_LEN`] and for other hardware or protocols than Ethernet and IPv4.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk()?;
        let ours = be16(header, HARDWARE) == 1
            && be16(header, PROTOCOL) == EtherType::IPV4.0
            && header[ADDRESS_LENS] == 6
            && header[ADDRESS_LENS + 1] == 4;
        ours.then_some(Self(header))
    }

    /// What it does.
    #[inline]
    pub fn operation(&self) -> Operation {
        match be16(self.0, OPERATION) {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => Operation::Other(other),
        }
    }

    /// Who speaks.
    #[inline]
    pub fn sender_mac(&self) -> MacAddr {
        MacAddr(octets(self.0, SENDER_MAC))
    }

    /// Who speaks.
    #[inline]
    pub fn sender_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from(octets(self.0, SENDER_IP))
    }

    /// Who is spoken to; without meaning in a request.
    #[inline]
    pub fn target_mac(&self) -> MacAddr {
        MacAddr(octets(self.0, TARGET_MAC))
    }

    /// Who is asked for, or spoken to.
    #[inline]
    pub fn target_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from(octets(self.0, TARGET_IP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 28] = [
        0, 1, 0x08, 0x00, 6, 4, 0, 1, // Ethernet, IPv4, request
        2, 0, 0, 0, 0, 1, 192, 0, 2, 1, // sender
        0, 0, 0, 0, 0, 0, 192, 0, 2, 2, // target
    ];

    #[test]
    fn reads_each_field() {
        let arp = Arp::new(&REQUEST).unwrap();
        assert_eq!(arp.operation(), Operation::Request);
        assert_eq!((arp.sender_mac(), arp.target_mac()), (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([0; 6])));
        assert_eq!(
            (arp.sender_ip(), arp.target_ip()),
            (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2))
        );
    }

    #[test]
    fn only_ipv4_over_ethernet_is_read() {
        for at in 0..6 {
            let mut other = REQUEST;
            other[at] ^= 1;
            assert!(Arp::new(&other).is_none());
        }
        assert!(Arp::new(&REQUEST[..27]).is_none());
    }
}
