//! TCP (RFC 9293).

use super::checksum::{fold, sum};
use super::ip::{Address, Ip, TCP};

/// The flags, as in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The sender is done.
    pub const FIN: Self = Self(0x01);
    /// The first segment of a direction.
    pub const SYN: Self = Self(0x02);
    /// It is over.
    pub const RST: Self = Self(0x04);
    /// Deliver now.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A header option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// Maximum segment size.
    Mss(u16),
    /// Window scale (RFC 7323).
    WindowScale(u8),
    /// Selective acknowledgement permitted (RFC 2018).
    SackPermitted,
    /// One selectively acknowledged block.
    Sack(u32, u32),
    /// Timestamps: value, echo reply (RFC 7323).
    Timestamps(u32, u32),
}

impl TcpOption {
    fn write(self, options: &mut Vec<u8>) {
        let (kind, body) = match self {
            Self::Mss(mss) => (2, mss.to_be_bytes().to_vec()),
            Self::WindowScale(shift) => (3, vec![shift]),
            Self::SackPermitted => (4, Vec::new()),
            Self::Sack(left, right) => (5, [left.to_be_bytes(), right.to_be_bytes()].concat()),
            Self::Timestamps(value, echo) => (8, [value.to_be_bytes(), echo.to_be_bytes()].concat()),
        };
        options.extend([kind, body.len() as u8 + 2]);
        options.extend(body);
    }
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub struct Tcp<A> {
    ip: Ip<A>,
    ports: [u16; 2],
    seq: u32,
    ack: u32,
    flags: Flags,
    window: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
    bad_checksum: bool,
}

impl<A: Address> Tcp<A> {
    pub(super) fn new(ip: Ip<A>, source: u16, destination: u16) -> Self {
        Self {
            ip,
            ports: [source, destination],
            seq: 0,
            ack: 0,
            flags: Flags::default(),
            window: u16::MAX,
            options: Vec::new(),
            payload: Vec::new(),
            bad_checksum: false,
        }
    }

    /// Adds these flags.
    #[must_use]
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = self.flags | flags;
        self
    }

    /// Takes these flags away.
    #[must_use]
    pub fn without(mut self, flags: Flags) -> Self {
        self.flags.0 &= !flags.0;
        self
    }

    /// Adds SYN.
    #[must_use]
    pub fn syn(self) -> Self {
        self.flags(Flags::SYN)
    }

    /// Adds FIN.
    #[must_use]
    pub fn fin(self) -> Self {
        self.flags(Flags::FIN)
    }

    /// Adds RST.
    #[must_use]
    pub fn rst(self) -> Self {
        self.flags(Flags::RST)
    }

    /// Adds PSH.
    #[must_use]
    pub fn psh(self) -> Self {
        self.flags(Flags::PSH)
    }

    /// Adds ACK with its number.
    #[must_use]
    pub fn ack(mut self, number: u32) -> Self {
        self.ack = number;
        self.flags(Flags::ACK)
    }

    /// The sequence number.
    #[must_use]
    pub fn seq(mut self, number: u32) -> Self {
        self.seq = number;
        self
    }

    /// The window field; 65535 otherwise.
    #[must_use]
    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// Adds an option; the header is padded with no-operations.
    #[must_use]
    pub fn option(mut self, option: TcpOption) -> Self {
        option.write(&mut self.options);
        assert!(self.options.len() <= 40, "a TCP header has room for 40 bytes of options");
        self
    }

    /// Adds bytes where options stand, whatever they mean.
    #[must_use]
    pub fn raw_options(mut self, bytes: &[u8]) -> Self {
        self.options.extend(bytes);
        assert!(self.options.len() <= 40, "a TCP header has room for 40 bytes of options");
        self
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
        self.bad_checksum = true;
        self
    }

    /// The whole frame.
    pub fn build(mut self) -> Vec<u8> {
        self.options.resize(self.options.len().next_multiple_of(4), 1);
        let words = 5 + self.options.len() / 4;
        let mut segment: Vec<u8> = self.ports.iter().flat_map(|port| port.to_be_bytes()).collect();
        segment.extend(self.seq.to_be_bytes());
        segment.extend(self.ack.to_be_bytes());
        segment.extend([(words as u8) << 4, self.flags.0]);
        segment.extend(self.window.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(&self.options);
        segment.extend(&self.payload);
        let pseudo = self.ip.pseudo_sum(TCP, segment.len());
        let checksum = fold(pseudo + sum(&segment)) ^ if self.bad_checksum { 0x5555 } else { 0 };
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        self.ip.wrap(TCP, &segment)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mac, eth, packet_of};
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_segment_is_laid_out_as_the_rfc_says() {
        let [c, s] = [1, 2].map(|n| Ipv4Addr::new(10, 0, 0, n));
        let ip = eth(Mac::host(1), Mac::host(2)).ip(c, s);
        let frame = ip.clone().tcp(5000, 80).seq(7).ack(9).syn().option(TcpOption::WindowScale(7)).build();
        let segment = &packet_of(&frame)[20..];
        assert_eq!(segment[..16], [0x13, 0x88, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x60, 0x12, 0xff, 0xff]);
        assert_eq!(segment[18..], [0, 0, 3, 3, 7, 1]);
        assert_eq!(fold(ip.pseudo_sum(TCP, segment.len()) + sum(segment)), 0);
    }
}
