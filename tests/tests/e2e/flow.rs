//! Which flow a captured packet belongs to, read without any of the gateway's own code.

use std::net::IpAddr;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Two ends that speak with each other, in both directions. Fragments and ICMP errors belong to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    /// Of IP.
    pub(crate) protocol: u8,
    /// Addresses and ports, the lower one first; of an echo the identifier in place of both ports.
    pub(crate) ends: [(IpAddr, u16); 2],
}

impl Flow {
    /// The flow of an IP packet.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let (protocol, from, to, rest) = match packet.first()? >> 4 {
            4 => {
                let fragment = number(packet, 6)? & 0x3fff != 0;
                let rest = packet.get(usize::from(packet[0] & 0x0f) * 4..)?;
                let address =
                    |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
                (*packet.get(9).filter(|_| !fragment)?, address(12)?, address(16)?, rest)
            }
            6 => {
                let address =
                    |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
                (*packet.get(6)?, address(8)?, address(24)?, packet.get(40..)?)
            }
            _ => return None,
        };
        let ports = match (protocol, rest.first()?) {
            (TCP | UDP, _) => (number(rest, 0)?, number(rest, 2)?),
            (ICMP, 0 | 8) | (ICMPV6, 128 | 129) => (number(rest, 4)?, number(rest, 4)?),
            _ => return None,
        };
        let mut ends = [(from, ports.0), (to, ports.1)];
        ends.sort_unstable();
        Some(Self { protocol, ends })
    }

    /// Whether it is UDP.
    pub(crate) fn is_udp(&self) -> bool {
        self.protocol == UDP
    }

    /// The end that is not one of `servers`.
    pub(crate) fn client(&self, servers: &[IpAddr]) -> Option<IpAddr> {
        self.ends.iter().map(|end| end.0).find(|address| !servers.contains(address))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[test]
fn both_directions_are_one_flow() {
    let packet = |from: [u8; 6], to: [u8; 6]| {
        let mut packet = vec![0; 28];
        (packet[0], packet[9]) = (0x45, UDP);
        for (end, address, port) in [(from, 12, 20), (to, 16, 22)] {
            packet[address..address + 4].copy_from_slice(&end[..4]);
            packet[port..port + 2].copy_from_slice(&end[4..]);
        }
        packet
    };
    let (a, b) = ([10, 0, 0, 1, 0, 7], [10, 0, 0, 2, 0, 53]);
    let flow = Flow::of(&packet(a, b)).unwrap();
    assert_eq!(Some(flow), Flow::of(&packet(b, a)));
    assert_eq!(flow.ends, [([10, 0, 0, 1].into(), 7), ([10, 0, 0, 2].into(), 53)]);
    assert_eq!(flow.client(&[flow.ends[1].0]), Some(flow.ends[0].0));
    assert_eq!(Flow::of(&[0x60; 39]), None);
}
