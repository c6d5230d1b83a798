//! UDP (RFC 768).

use super::checksum::{fold, sum};
use super::ip::{Address, Ip, UDP};

/// A UDP datagram.
#[derive(Clone, Debug)]
pub struct Udp<A> {
    ip: Ip<A>,
    ports: [u16; 2],
    payload: Vec<u8>,
    checksum: Checksum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checksum {
    Good,
    Bad,
    Absent,
}

impl<A: Address> Udp<A> {
    pub(super) fn new(ip: Ip<A>, source: u16, destination: u16) -> Self {
        Self { ip, ports: [source, destination], payload: Vec::new(), checksum: Checksum::Good }
    }

    /// The data.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Breaks the checksum.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.checksum = Checksum::Bad;
        self
    }

    /// Leaves the checksum at zero: not computed, which IPv4 allows.
    #[must_use]
    pub fn no_checksum(mut self) -> Self {
        self.checksum = Checksum::Absent;
        self
    }

    /// The whole frame.
    pub fn build(self) -> Vec<u8> {
        let length = 8 + self.payload.len();
        let mut segment: Vec<u8> = [self.ports[0], self.ports[1], length as u16, 0]
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect();
        segment.extend(&self.payload);
        let computed = match fold(self.ip.pseudo_sum(UDP, length) + sum(&segment)) {
            0 => 0xffff,
            other => other,
        };
        let checksum = match self.checksum {
            Checksum::Good => computed,
            Checksum::Bad => {
                if computed == 0x5555 {
                    0xaaaa
                } else {
                    computed ^ 0x5555
                }
            }
            Checksum::Absent => 0,
        };
        segment[6..8].copy_from_slice(&checksum.to_be_bytes());
        self.ip.wrap(UDP, &segment)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mac, eth, packet_of};
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn a_datagram_is_laid_out_as_the_rfc_says() {
        let ip = eth(Mac::host(1), Mac::host(2)).ip(Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
        let frame = ip.clone().udp(53, 5353).payload(b"abc").build();
        let segment = &packet_of(&frame)[40..];
        assert_eq!(segment[..6], [0, 53, 0x14, 0xe9, 0, 11]);
        assert_eq!(fold(ip.pseudo_sum(UDP, segment.len()) + sum(segment)), 0);
        let bare = ip.udp(53, 5353).no_checksum().build();
        assert_eq!(packet_of(&bare)[46..], [0, 0]);
    }
}
