//! One fragment of an IPv4 (RFC 791 3.2) or IPv6 (RFC 8200 4.5) datagram: which datagram, and which part of it.
//!
//! Nothing here knows the other fragments.

use super::ip::{Chain, Fragments, skip_extensions};
use crate::key::{Address, Endpoint, Family, FlowKey};
use crate::wire::{Ecn, Extension, IpProtocol, Ipv4, Ipv4Mut, Ipv6, Ipv6Mut, icmpv6, ipv6, tcp, udp};

/// A fragment whose IP header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    /// Names the datagram: addresses, identification, and the protocol over IPv4, as Linux does.
    pub key: FlowKey,
    /// Where it stands in the datagram, in bytes: a multiple of 8.
    pub offset: u32,
    /// Bytes of the datagram that it carries.
    pub len: u32,
    /// More follow.
    pub more: bool,
    /// What it says of congestion.
    pub ecn: Ecn,
    /// Bytes of its own headers: what it carries follows them.
    pub header_len: u16,
    /// IPv6: where the number of the fragment header stands in its own headers.
    next_header_at: u16,
    /// IPv6: it is the first one, and the transport header does not end in it (RFC 7112).
    pub is_headless: bool,
}

impl Fragment {
    /// Reads an IP packet from its header to its end. `None` when a fragment header is cut, or there is none.
    pub fn new(packet: &[u8]) -> Option<Self> {
        let ip = Ipv4::new(packet)?;
        if ip.version() == 4 { Some(Self::ipv4(&ip)) } else { Self::ipv6(packet) }
    }

    /// IP version.
    #[inline]
    pub fn family(&self) -> Family {
        self.key.family()
    }

    /// Where it ends in the datagram, in bytes.
    #[inline]
    pub const fn end(&self) -> u32 {
        self.offset + self.len
    }

    fn ipv4(ip: &Ipv4<'_>) -> Self {
        let ends = [Address::v4(ip.source().octets()), Address::v4(ip.destination().octets())];
        Self {
            key: key(Family::V4, ip.protocol(), ends, u32::from(ip.id())),
            offset: narrow(ip.fragment_offset()),
            len: narrow(ip.payload().len()),
            more: ip.more_fragments(),
            ecn: ip.ecn(),
            header_len: u16::try_from(ip.header_len()).unwrap_or_default(),
            next_header_at: 0,
            is_headless: false,
        }
    }

    fn ipv6(packet: &[u8]) -> Option<Self> {
        let ip = Ipv6::new(packet)?;
        let (mut next, mut rest, mut next_header_at) = (ip.next_header(), ip.payload(), ipv6::NEXT_HEADER);
        let header = loop {
            let header = Extension::new(next, rest)?;
            if next == IpProtocol::FRAGMENT {
                break header;
            }
            next_header_at = ipv6::HEADER_LEN + ip.payload().len() - rest.len();
            (next, rest) = (header.next_header(), header.payload()?);
        };
        let carried = header.payload()?;
        let ends = [Address::v6(ip.source().octets()), Address::v6(ip.destination().octets())];
        let offset = header.fragment_offset();
        Some(Self {
            key: key(Family::V6, IpProtocol(0), ends, header.fragment_id()),
            offset: narrow(offset),
            len: narrow(carried.len()),
            more: header.more_fragments(),
            ecn: ip.ecn(),
            header_len: u16::try_from(ipv6::HEADER_LEN + ip.payload().len() - carried.len()).ok()?,
            next_header_at: u16::try_from(next_header_at).ok()?,
            is_headless: offset == 0 && is_headless(header.next_header(), carried),
        })
    }

    /// Writes the header of the whole datagram in front of its `len` bytes: this fragment's, which is the first one of
    /// `packet`, without what made it a fragment. Answers the header's length; `None` when a datagram cannot be so long.
    pub fn whole_header(&self, packet: &[u8], len: u32, datagram: &mut [u8]) -> Option<usize> {
        let own = usize::from(self.header_len);
        match self.family() {
            Family::V4 => {
                let total_len = u16::try_from(own + len as usize).ok()?;
                datagram.get_mut(..own)?.copy_from_slice(packet.get(..own)?);
                let mut header = Ipv4Mut::new(datagram)?;
                header.set_total_len(total_len);
                header.clear_fragment();
                Some(own)
            }
            Family::V6 => {
                let header_len = own - ipv6::EXTENSION_LEN_MIN;
                let payload_len = u16::try_from(header_len - ipv6::HEADER_LEN + len as usize).ok()?;
                datagram.get_mut(..header_len)?.copy_from_slice(packet.get(..header_len)?);
                *datagram.get_mut(usize::from(self.next_header_at))? = *packet.get(header_len)?;
                Ipv6Mut::new(datagram)?.set_payload_len(payload_len);
                Some(header_len)
            }
        }
    }
}

fn key(family: Family, protocol: IpProtocol, ends: [Address; 2], id: u32) -> FlowKey {
    let [a, b, c, d] = id.to_be_bytes();
    let source = Endpoint::new(ends[0], u16::from_be_bytes([a, b]));
    let destination = Endpoint::new(ends[1], u16::from_be_bytes([c, d]));
    FlowKey::oriented(family, protocol.0, source, destination)
}

/// Whether the transport header, after `next` and the extensions behind it, does not end in `rest`. Linux then takes
/// the fragment for a whole packet.
fn is_headless(next: IpProtocol, rest: &[u8]) -> bool {
    let Chain::Transport(protocol, transport) = skip_extensions(next, rest, Fragments::Skip) else {
        return false;
    };
    let needed = match protocol {
        IpProtocol::TCP => tcp::HEADER_LEN,
        IpProtocol::UDP => udp::HEADER_LEN,
        IpProtocol::ICMPV6 => icmpv6::HEADER_LEN,
        _ => 1,
    };
    transport.len() < needed
}

/// A length within an IP packet.
#[expect(clippy::cast_possible_truncation, reason = "an IP packet is shorter than 2^17 bytes")]
const fn narrow(len: usize) -> u32 {
    len as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From ::1 to ::2, with `next` and what follows the header.
    fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
        let len = u8::try_from(rest.len()).unwrap();
        let mut packet = vec![0x60, 0x20, 0, 0, 0, len, next, 64];
        packet.extend([[0; 15].as_slice(), &[1], &[0; 15], &[2], rest].concat());
        packet
    }

    #[test]
    fn an_ipv4_fragment_is_told_by_its_header() {
        let mut packet = vec![0x46, 3, 0, 34, 0x12, 0x34, 0x20, 2, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0; 14]);
        let fragment = Fragment::new(&packet).unwrap();
        assert_eq!((fragment.offset, fragment.len, fragment.end()), (16, 10, 26));
        assert_eq!((fragment.more, fragment.header_len, fragment.family()), (true, 24, Family::V4));
        let mut other = packet.clone();
        other[9] = 6;
        assert_ne!(Fragment::new(&other).unwrap().key, fragment.key, "of another protocol");
        let mut whole = [0xff; 64];
        assert_eq!(fragment.whole_header(&packet, 8, &mut whole), Some(24));
        assert_eq!(whole[..9], [0x46, 3, 0, 32, 0x12, 0x34, 0, 0, 64]);
        assert_eq!(fragment.whole_header(&packet, 65_512, &mut whole), None);
    }

    #[test]
    fn an_ipv6_fragment_header_may_stand_behind_others() {
        let destination_options = [44, 0, 1, 4, 0, 0, 0, 0];
        let header = [17, 0, 0, 25, 0, 0, 0, 9];
        let packet = ipv6(60, &[&destination_options[..], &header, b"12345678"].concat());
        let fragment = Fragment::new(&packet).unwrap();
        assert_eq!((fragment.offset, fragment.len, fragment.more), (24, 8, true));
        assert_eq!((fragment.header_len, fragment.ecn), (56, Ecn::of(2)));
        let mut whole = [0xff; 64];
        assert_eq!(fragment.whole_header(&packet, 32, &mut whole), Some(48));
        assert_eq!((&whole[4..8], &whole[40..48]), (&[0, 40, 60, 64][..], &[17, 0, 1, 4, 0, 0, 0, 0][..]));
        assert!(Fragment::new(&packet[..54]).is_none(), "the fragment header is cut");
    }

    #[test]
    fn a_first_fragment_without_the_whole_transport_header_is_headless() {
        let headless = |next, rest: &[u8]| {
            let header = [next, 0, 0, 1, 0, 0, 0, 9];
            Fragment::new(&ipv6(44, &[&header[..], rest].concat())).unwrap().is_headless
        };
        assert!(headless(6, &[0; 16]) && headless(17, &[0; 7]) && headless(58, &[0; 7]) && headless(99, &[]));
        assert!(headless(60, &[17, 1, 0, 0, 0, 0, 0, 0]), "the options run past the end");
        assert!(headless(60, &[17, 0, 0, 0, 0, 0, 0, 0]), "nothing follows the options");
        assert!(!headless(6, &[0; 20]) && !headless(17, &[0; 8]) && !headless(59, &[]));
        assert!(!headless(60, &[17]), "no chain to follow");
        assert!(!headless(44, &[17, 0, 0, 8, 0, 0, 0, 1]), "a fragment of a fragment");
    }
}
