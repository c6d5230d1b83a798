//! IPv4 packets that are too big for their way out, cut as a router must where the sender allows it (RFC 791 3.2,
//! RFC 1812 5.2.6).
//!
//! From a packet as it came, fragments as if they had come: each still has its way before it, and its hop to lose.
//! IPv6 packets are never cut by a router, and packets that must not be fragmented are for
//! [`errors`](super::errors).

use super::packet;
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::{Ipv4Mut, ipv4};

/// A datagram is shorter than this.
const DATAGRAM_END: usize = 1 << 16;

/// Where one fragment ends and another goes on, at multiples of this.
const UNIT: usize = 8;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
/// Of an option's type: it goes into each fragment.
const COPIED: u8 = 0x80;

/// The fragments of an IPv4 packet, itself a fragment or not, of at most `mtu` bytes each; padding may follow it. Each
/// but the last is as long as can be. Where the packet fits it is the only one.
///
/// `None` where it is no whole IPv4 packet, where it must not be cut, and where so little fits that no cut helps.
pub fn cut(packet: &[u8], mtu: u16) -> Option<Vec<Vec<u8>>> {
    cut_as(packet, mtu, packet::ipv4(packet)?.id())
}

/// The same of a packet that the gateway has made: `id` is to tell its fragments from those of others.
pub fn cut_as(packet: &[u8], mtu: u16, id: u16) -> Option<Vec<Vec<u8>>> {
    let ip = packet::ipv4(packet)?;
    let (header, mut rest) = packet[..ip.total_len()].split_at(ip.header_len());
    let fits = usize::from(mtu).checked_sub(header.len()).filter(|fits| *fits >= UNIT)?;
    let mut offset = ip.fragment_offset();
    if ip.dont_fragment() || offset + rest.len() >= DATAGRAM_END {
        return None;
    }
    let mut first = header.to_vec();
    Ipv4Mut::new(&mut first)?.set_id(id);
    let later = later_header(&first);
    let mut header = &first;
    let mut fragments = Vec::with_capacity(rest.len() / fits + 1);
    loop {
        let len = if rest.len() <= fits { rest.len() } else { fits - fits % UNIT };
        let (part, more) = rest.split_at(len);
        fragments.push(fragment(header, part, offset, !more.is_empty() || ip.more_fragments()));
        if more.is_empty() {
            return Some(fragments);
        }
        (header, rest) = (&later, more);
        offset += len;
    }
}

fn fragment(header: &[u8], part: &[u8], offset: usize, more: bool) -> Vec<u8> {
    let mut fragment = [header, part].concat();
    let total_len = u16::try_from(fragment.len()).unwrap_or(u16::MAX);
    if let Some(mut ip) = Ipv4Mut::new(&mut fragment) {
        ip.set_total_len(total_len);
        ip.set_fragment(offset, more);
        ip.set_checksum(0);
    }
    let checksum = Sum::of(&fragment[..header.len()]).checksum();
    if let Some(mut ip) = Ipv4Mut::new(&mut fragment) {
        ip.set_checksum(checksum);
    }
    fragment
}

/// The header of all fragments but the first: options that do not go into each are blank, as in Linux, and its length
/// stays.
fn later_header(header: &[u8]) -> Vec<u8> {
    let mut later = header.to_vec();
    let mut options = &mut later[ipv4::HEADER_LEN..];
    loop {
        let len = match *options {
            [] | [END, ..] => break,
            [NO_OPERATION, ..] => 1,
            [_, len, ..] if len >= 2 => usize::from(len),
            _ => break,
        };
        let Some((option, others)) = options.split_at_mut_checked(len) else { break };
        if option[0] & COPIED == 0 {
            option.fill(NO_OPERATION);
        }
        options = others;
    }
    later
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{changed, packet, v4, v6};
    use super::*;
    use proptest::prelude::*;
    use weir_dataplane::wire::Ipv4;

    /// A packet that may be cut.
    fn datagram(options: &[u8], len: usize) -> Vec<u8> {
        let payload: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let whole = packet(&v4().id(0x1234).options(options).protocol(253).payload(&payload).build());
        changed(whole, |packet| packet[6] = 0)
    }

    /// Bytes in all, offset, whether more follow.
    fn shape(fragment: &[u8]) -> (usize, usize, bool) {
        let ip = Ipv4::new(fragment).unwrap();
        assert_eq!((fragment.len(), ip.checksum_verifies()), (ip.total_len(), true));
        (fragment.len(), ip.fragment_offset(), ip.more_fragments())
    }

    fn shapes(packet: &[u8], mtu: u16) -> Vec<(usize, usize, bool)> {
        cut(packet, mtu).unwrap().iter().map(|fragment| shape(fragment)).collect()
    }

    #[test]
    fn fragments_are_as_long_as_fits() {
        assert_eq!(shapes(&datagram(&[], 1000), 1020), [(1020, 0, false)]);
        assert_eq!(shapes(&datagram(&[], 1000), 1019), [(1012, 0, true), (28, 992, false)]);
        assert_eq!(shapes(&datagram(&[], 100), 68), [(68, 0, true), (68, 48, true), (24, 96, false)]);
        assert_eq!(shapes(&datagram(&[], 30), 43), [(36, 0, true), (34, 16, false)]);
        assert_eq!(shapes(&datagram(&[], 23), 35), [(28, 0, true), (35, 8, false)], "the rest fits as it is");
    }

    #[test]
    fn fragments_of_the_gateways_own_packets_have_a_number_of_theirs() {
        let whole = datagram(&[], 1000);
        for fragment in cut_as(&whole, 500, 0xbeef).unwrap() {
            let ip = Ipv4::new(&fragment).unwrap();
            assert_eq!((ip.id(), ip.checksum_verifies()), (0xbeef, true));
        }
        assert_eq!(cut(&whole, 500), cut_as(&whole, 500, 0x1234), "those of others keep their own");
    }

    #[test]
    fn a_fragment_is_cut_where_it_stands() {
        let middle = packet(&v4().id(7).fragment(800, true).protocol(253).payload(&[0xaa; 40]).build());
        assert_eq!(shapes(&middle, 44), [(44, 800, true), (36, 824, true)]);
        let last = packet(&v4().id(7).fragment(800, false).protocol(253).payload(&[0xaa; 41]).build());
        assert_eq!(shapes(&last, 44), [(44, 800, true), (37, 824, false)]);
    }

    #[test]
    fn options_go_where_they_belong() {
        // Record route, in the first one alone; router alert, in each (RFC 791 3.1, RFC 2113).
        let whole = datagram(&[7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0], 40);
        let fragments = cut(&whole, 60).unwrap();
        let options: Vec<&[u8]> =
            fragments.iter().map(|fragment| Ipv4::new(fragment).unwrap().options()).collect();
        assert_eq!(options[0], [7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0]);
        assert_eq!(options[1], [1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 0]);
    }

    #[test]
    fn what_must_not_or_cannot_be_cut_is_not() {
        let whole = datagram(&[], 100);
        for (why, packet, mtu) in [
            ("RFC 791 3.2: don't fragment", changed(whole.clone(), |packet| packet[6] = 0x40), 100),
            ("RFC 8200 5: IPv6", packet(&v6().udp(1, 2).payload(&[0; 100]).build()), 100),
            ("no room for eight bytes", whole.clone(), 27),
            ("no room for the header", whole.clone(), 10),
            ("not whole", whole[..50].to_vec(), 100),
            (
                "it ends beyond a datagram's end",
                changed(whole, |packet| packet[6..8].copy_from_slice(&[0x1f, 0xff])),
                100,
            ),
        ] {
            assert_eq!(cut(&packet, mtu), None, "{why}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(
            len in 0..1500usize, mtu in 68..1500u16, words in 0..=10usize, option in any::<u8>(), padding in 0..20usize,
        ) {
            let mut options = vec![1; words * 4];
            if let [kind, size, ..] = options.as_mut_slice() {
                (*kind, *size) = (option, 3);
            }
            let whole = datagram(&options, len);
            let fragments = cut(&[&whole[..], &vec![0xee; padding]].concat(), mtu).unwrap();
            let mut payload: Vec<u8> = Vec::new();
            for (i, fragment) in fragments.iter().enumerate() {
                let (len, offset, more) = shape(fragment);
                prop_assert!(len <= usize::from(mtu));
                prop_assert_eq!((offset, more), (payload.len(), i + 1 < fragments.len()));
                prop_assert_eq!(&fragment[4..6], &whole[4..6]);
                prop_assert_eq!((&fragment[8..10], &fragment[12..20]), (&whole[8..10], &whole[12..20]));
                payload.extend(Ipv4::new(fragment).unwrap().payload());
            }
            prop_assert_eq!(payload.as_slice(), Ipv4::new(&whole).unwrap().payload());
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 20..200), words in 5..=15u8, mtu in any::<u16>()) {
            let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            let packet = changed(bytes, |packet| {
                packet[0] = 0x40 | words;
                packet[2..4].copy_from_slice(&len);
                packet[6] &= 0xbf;
            });
            for fragment in cut(&packet, mtu).into_iter().flatten() {
                shape(&fragment);
            }
        }
    }
}
