//! UDP-Lite (RFC 3828).

use super::checksum::{fold, sum};
use super::ip::{Address, Ip, UDP};

/// UDP-Lite's protocol number.
pub(super) const UDP_LITE: u8 = 136;

/// A UDP-Lite datagram.
#[derive(Clone, Debug)]
pub struct UdpLite<A> {
    ip: Ip<A>,
    ports: [u16; 2],
    payload: Vec<u8>,
    coverage: u16,
    checksum_xor: u16,
    checksum: bool,
    summed_as: u8,
}

impl<A: Address> UdpLite<A> {
    pub(super) fn new(ip: Ip<A>, source: u16, destination: u16) -> Self {
        let ports = [source, destination];
        Self {
            ip,
            ports,
            payload: Vec::new(),
            coverage: 0,
            checksum_xor: 0,
            checksum: true,
            summed_as: UDP_LITE,
        }
    }

    /// The data.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Bytes that the checksum covers from the header on; 0, as otherwise, is all of them. Taken as it is.
    #[must_use]
    pub fn coverage(mut self, coverage: u16) -> Self {
        self.coverage = coverage;
        self
    }

    /// Breaks the checksum.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.checksum_xor = 0x5555;
        self
    }

    /// Sums as if the protocol were UDP: Linux (6.18) takes no other sum for the right one.
    #[must_use]
    pub fn summed_as_udp(mut self) -> Self {
        self.summed_as = UDP;
        self
    }

    /// Leaves the checksum at zero, which is never allowed.
    #[must_use]
    pub fn no_checksum(mut self) -> Self {
        self.checksum = false;
        self
    }

    /// The whole frame.
    pub fn build(self) -> Vec<u8> {
        let [source, destination] = self.ports;
        let fields = [source, destination, self.coverage, 0];
        let mut segment: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        segment.extend(&self.payload);
        if self.checksum {
            let covered = match usize::from(self.coverage) {
                0 => segment.len(),
                some => some.min(segment.len()),
            };
            let computed =
                match fold(self.ip.pseudo_sum(self.summed_as, segment.len()) + sum(&segment[..covered])) {
                    0 => 0xffff,
                    other => other,
                };
            segment[6..8].copy_from_slice(&(computed ^ self.checksum_xor).to_be_bytes());
        }
        self.ip.wrap(UDP_LITE, &segment)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mac, eth, packet_of};
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_checksum_covers_what_it_says_and_the_pseudo_header_all() {
        let c = Ipv4Addr::LOCALHOST;
        let ip = eth(Mac::host(1), Mac::host(2)).ip(c, c);
        let frame = ip.clone().udp_lite(53, 5353).coverage(10).payload(b"abcdef").build();
        let segment = &packet_of(&frame)[20..];
        assert_eq!(segment[..6], [0, 53, 0x14, 0xe9, 0, 10]);
        assert_eq!(fold(ip.pseudo_sum(UDP_LITE, 14) + sum(&segment[..10])), 0);
    }
}
