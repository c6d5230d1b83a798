//! IP in IP: the packet of a frame becomes the payload of another one (RFC 2003, RFC 2473).

use super::vlan::NoRoom;
use crate::port::Frame;
use crate::wire::checksum::Sum;
use crate::wire::{EtherType, IpProtocol, Ipv4, Ipv6, ethernet, ipv4, ipv6};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Hops that the outer packet has: what is inside has had its own by then.
const HOPS: u8 = 64;
const DONT_FRAGMENT: u16 = 0x4000;

/// The ends of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// Over IPv4.
    V4 {
        /// This end.
        source: Ipv4Addr,
        /// The other.
        destination: Ipv4Addr,
    },
    /// Over IPv6.
    V6 {
        /// This end.
        source: Ipv6Addr,
        /// The other.
        destination: Ipv6Addr,
    },
}

impl Tunnel {
    /// From one address to the other, which are of one family.
    pub const fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6 { source, destination }),
            _ => None,
        }
    }

    /// Bytes that it adds to a packet.
    pub const fn overhead(self) -> usize {
        match self {
            Self::V4 { .. } => ipv4::HEADER_LEN,
            Self::V6 { .. } => ipv6::HEADER_LEN,
        }
    }

    /// Whether the packet that `packet` travels in may be fragmented: over IPv4, if it may be itself.
    pub fn lets_fragment(self, packet: &[u8]) -> bool {
        let inner = Inner::read(packet);
        matches!(self, Self::V4 { .. }) && inner.is_some_and(|inner| inner.id.is_some())
    }
}

/// What of the inner packet the outer one shows.
struct Inner {
    protocol: IpProtocol,
    traffic_class: u8,
    len: usize,
    /// Of one that may be fragmented; else it has none.
    id: Option<u16>,
}

impl Inner {
    fn read(packet: &[u8]) -> Option<Self> {
        if let Some(ip) = Ipv4::new(packet).filter(|ip| ip.version() == 4) {
            let id = (!ip.dont_fragment()).then(|| ip.id());
            return Some(Self {
                protocol: IpProtocol::IPIP,
                traffic_class: ip.tos(),
                len: ip.total_len(),
                id,
            });
        }
        let ip = Ipv6::new(packet).filter(|ip| ip.version() == 6)?;
        let len = ipv6::HEADER_LEN + ip.payload_len();
        Some(Self { protocol: IpProtocol::IPV6, traffic_class: ip.traffic_class(), len, id: None })
    }
}

/// Puts the packet that begins at `ip_at`, right after an EtherType, into another one that goes through `tunnel`. The
/// outer packet begins where the inner one did; tags stay. Its class is the inner one's, congestion marks included
/// (RFC 6040 4.1), and so is whether it may be fragmented. What is refused is as it came.
#[inline]
pub fn encapsulate<F: Frame>(frame: &mut F, ip_at: usize, tunnel: Tunnel) -> Result<(), NoRoom> {
    let inner = frame.bytes().get(ip_at..).and_then(Inner::read).ok_or(NoRoom)?;
    let len = inner.len + tunnel.overhead();
    let fits = u16::try_from(len).is_ok() && ip_at >= ethernet::HEADER_LEN;
    if !fits || !frame.grow_front(tunnel.overhead()) {
        return Err(NoRoom);
    }
    let bytes = frame.bytes_mut();
    bytes.copy_within(tunnel.overhead()..tunnel.overhead() + ip_at, 0);
    let (link, packet) = bytes.split_at_mut(ip_at);
    let ethertype = match tunnel {
        Tunnel::V4 { source, destination } => {
            let header = header_ipv4(&inner, source, destination);
            *packet.first_chunk_mut().ok_or(NoRoom)? = header;
            EtherType::IPV4
        }
        Tunnel::V6 { source, destination } => {
            let header = header_ipv6(&inner, source, destination);
            *packet.first_chunk_mut().ok_or(NoRoom)? = header;
            EtherType::IPV6
        }
    };
    *link.last_chunk_mut().ok_or(NoRoom)? = ethertype.0.to_be_bytes();
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the caller has seen that the length fits")]
fn header_ipv4(inner: &Inner, source: Ipv4Addr, destination: Ipv4Addr) -> [u8; ipv4::HEADER_LEN] {
    let [l, m] = ((inner.len + ipv4::HEADER_LEN) as u16).to_be_bytes();
    let [i, j] = inner.id.unwrap_or(0).to_be_bytes();
    let [f, g] = if inner.id.is_some() { [0; 2] } else { DONT_FRAGMENT.to_be_bytes() };
    let ([a, b, c, d], [q, r, s, t]) = (source.octets(), destination.octets());
    let (class, protocol) = (inner.traffic_class, inner.protocol.0);
    let mut header = [0x45, class, l, m, i, j, f, g, HOPS, protocol, 0, 0, a, b, c, d, q, r, s, t];
    let [x, y] = Sum::of(&header).checksum().to_be_bytes();
    (header[10], header[11]) = (x, y);
    header
}

#[expect(clippy::cast_possible_truncation, reason = "the caller has seen that the length fits")]
fn header_ipv6(inner: &Inner, source: Ipv6Addr, destination: Ipv6Addr) -> [u8; ipv6::HEADER_LEN] {
    let mut header = [0; ipv6::HEADER_LEN];
    (header[0], header[1]) = (0x60 | inner.traffic_class >> 4, inner.traffic_class << 4);
    let [l, m] = (inner.len as u16).to_be_bytes();
    (header[4], header[5], header[6], header[7]) = (l, m, inner.protocol.0, HOPS);
    header[8..24].copy_from_slice(&source.octets());
    header[24..].copy_from_slice(&destination.octets());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::mem::MemFrame;
    use proptest::prelude::*;

    const LINK: [u8; 14] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x08, 0x00];

    fn ends(v6: bool) -> Tunnel {
        let pair = if v6 { ["2001:db8::1", "2001:db8::2"] } else { ["192.0.2.1", "192.0.2.2"] };
        let [source, destination] = pair.map(|address| address.parse().unwrap());
        Tunnel::new(source, destination).unwrap()
    }

    /// The class, the length and whether it may be fragmented of an IPv4 packet.
    fn ipv4(tos: u8, len: u8, df: bool) -> Vec<u8> {
        let flags = if df { 0x40 } else { 0 };
        let mut packet = vec![0x45, tos, 0, len, 0x12, 0x34, flags, 0, 9, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.resize(len.into(), 7);
        packet
    }

    #[test]
    fn an_ipv4_packet_travels_whole_with_its_class() {
        for df in [true, false] {
            let inner = ipv4(0xba, 60, df);
            let mut frame = MemFrame::new([&LINK[..], &inner].concat());
            encapsulate(&mut frame, LINK.len(), ends(false)).unwrap();
            let bytes = frame.bytes();
            assert_eq!((&bytes[..14], &bytes[34..]), (&LINK[..], &inner[..]));
            let outer = Ipv4::new(&bytes[14..]).unwrap();
            assert!(outer.checksum_verifies());
            assert_eq!((outer.tos(), outer.total_len(), outer.ttl()), (0xba, 80, HOPS));
            assert_eq!((outer.protocol(), outer.dont_fragment()), (IpProtocol::IPIP, df));
            assert_eq!(outer.id(), if df { 0 } else { 0x1234 });
            assert_eq!(outer.destination(), Ipv4Addr::new(192, 0, 2, 2));
        }
    }

    #[test]
    fn either_family_travels_in_the_other() {
        let mut inner6 = vec![0x6b, 0xa0, 0, 0, 0, 8, 17, 5];
        inner6.resize(48, 3);
        for (inner, protocol) in [(ipv4(0xba, 40, true), IpProtocol::IPIP), (inner6, IpProtocol::IPV6)] {
            let tagged = [&LINK[..12], &[0x81, 0, 0, 9, 0x08, 0x00], &inner].concat();
            let mut frame = MemFrame::new(tagged);
            encapsulate(&mut frame, 18, ends(true)).unwrap();
            let bytes = frame.bytes();
            assert_eq!((&bytes[12..18], &bytes[58..]), (&[0x81, 0, 0, 9, 0x86, 0xdd][..], &inner[..]));
            let outer = Ipv6::new(&bytes[18..]).unwrap();
            assert_eq!((outer.version(), outer.traffic_class(), outer.payload_len()), (6, 0xba, inner.len()));
            assert_eq!((outer.next_header(), outer.hop_limit()), (protocol, HOPS));
        }
    }

    #[test]
    fn over_ipv4_may_be_fragmented_what_may_be_itself() {
        for (df, v6, expected) in [(false, false, true), (true, false, false), (false, true, false)] {
            assert_eq!(ends(v6).lets_fragment(&ipv4(0, 60, df)), expected);
        }
        assert!(!ends(false).lets_fragment(&[0x60; 60]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), ip_at in 0..40usize, v6: bool) {
            let mut frame = MemFrame::new(bytes.clone());
            if encapsulate(&mut frame, ip_at, ends(v6)).is_err() {
                prop_assert_eq!(frame.bytes(), bytes);
            }
        }
    }
}
