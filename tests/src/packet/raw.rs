//! Any protocol by its number, bytes as given.

use super::ip::{Address, Ip};

/// What an IP header carries, without any understanding of it.
#[derive(Clone, Debug)]
pub struct Raw<A> {
    ip: Ip<A>,
    protocol: u8,
    bytes: Vec<u8>,
}

impl<A: Address> Raw<A> {
    pub(super) fn new(ip: Ip<A>, protocol: u8, bytes: Vec<u8>) -> Self {
        Self { ip, protocol, bytes }
    }

    /// Adds these bytes.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.bytes.extend(payload);
        self
    }

    /// The whole frame.
    pub fn build(self) -> Vec<u8> {
        self.ip.wrap(self.protocol, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mac, eth, packet_of};
    use std::net::Ipv4Addr;

    #[test]
    fn gre_names_what_it_carries() {
        let c = Ipv4Addr::LOCALHOST;
        let link = eth(Mac::host(1), Mac::host(2));
        let inner = link.clone().ip(c, c).udp(1, 2).build();
        let frame = link.ip(c, c).gre(0x0800).payload(packet_of(&inner)).build();
        assert_eq!(packet_of(&frame)[9], 47);
        assert_eq!(packet_of(&frame)[20..24], [0, 0, 8, 0]);
        assert_eq!(packet_of(&frame)[24..], *packet_of(&inner));
    }
}
