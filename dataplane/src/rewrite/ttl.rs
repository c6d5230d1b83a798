//! One hop less to live: IPv4's time to live and IPv6's hop limit.

use crate::wire::{Ipv4, Ipv4Mut, Ipv6, Ipv6Mut};

/// The packet has had its last hop, or its header is not there: it must not be forwarded (RFC 1812 5.3.1,
/// RFC 8200 3). The frame is as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired;

/// What one hop less adds to the header's checksum: the time to live is the high byte of its word.
const HOP: u16 = 0x0100;

/// Takes a hop from the IPv4 packet that begins at `ip_at`.
#[inline]
pub fn decrement_ipv4(frame: &mut [u8], ip_at: usize) -> Result<(), Expired> {
    let packet = frame.get_mut(ip_at..).ok_or(Expired)?;
    let header = Ipv4::new(packet).ok_or(Expired)?;
    let (ttl, checksum) = (hop_less(header.ttl())?, after_hop(header.checksum()));
    let mut header = Ipv4Mut::new(packet).ok_or(Expired)?;
    header.set_ttl(ttl);
    header.set_checksum(checksum);
    Ok(())
}

/// Takes a hop from the IPv6 packet that begins at `ip_at`.
#[inline]
pub fn decrement_ipv6(frame: &mut [u8], ip_at: usize) -> Result<(), Expired> {
    let packet = frame.get_mut(ip_at..).ok_or(Expired)?;
    let hop_limit = hop_less(Ipv6::new(packet).ok_or(Expired)?.hop_limit())?;
    Ipv6Mut::new(packet).ok_or(Expired)?.set_hop_limit(hop_limit);
    Ok(())
}

#[inline]
fn hop_less(hops: u8) -> Result<u8, Expired> {
    if hops > 1 { Ok(hops - 1) } else { Err(Expired) }
}

/// A header's checksum after one hop. It is what RFC 1624's equation 3 gives; RFC 1141's shorter sum has ffff
/// where a sum over the whole header has 0. One more makes 0 of that, and is the carry of all that are higher.
#[inline]
const fn after_hop(checksum: u16) -> u16 {
    checksum.wrapping_add(HOP + (checksum >= !HOP) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::{Sum, update};
    use proptest::prelude::*;

    #[test]
    fn equation_3_of_rfc_1624_holds_for_every_checksum() {
        for checksum in 0..=u16::MAX {
            assert_eq!(after_hop(checksum), update(checksum, [64, 6], [63, 6]), "{checksum:04x}");
        }
        assert_eq!(after_hop(0xfeff), 0, "where equation 2 gives ffff");
    }

    #[test]
    fn the_last_hop_is_not_taken() {
        for ttl in [0, 1] {
            let mut ipv4 = [0x45, 0, 0, 20, 0, 0, 0, 0, ttl, 6, 1, 2, 10, 0, 0, 1, 10, 0, 0, 2];
            let mut ipv6 = [0x60; 40];
            ipv6[7] = ttl;
            let came = (ipv4, ipv6);
            assert_eq!(decrement_ipv4(&mut ipv4, 0), Err(Expired));
            assert_eq!(decrement_ipv6(&mut ipv6, 0), Err(Expired));
            assert_eq!((ipv4, ipv6), came);
        }
    }

    proptest! {
        #[test]
        fn a_right_checksum_stays_the_one_that_a_whole_sum_gives(
            mut header in any::<[u8; 20]>(), ttl in 2..=u8::MAX, link in 0..20usize,
        ) {
            header[0] = 0x45;
            header[8] = ttl;
            header[10..12].fill(0);
            let right = |header: [u8; 20]| {
                let checksum = Sum::of(&header).checksum();
                let mut with = header;
                with[10..12].copy_from_slice(&checksum.to_be_bytes());
                [vec![0xee; link], with.to_vec()].concat()
            };
            let mut frame = right(header);
            decrement_ipv4(&mut frame, link).unwrap();
            header[8] -= 1;
            prop_assert_eq!(frame, right(header));
        }

        #[test]
        fn any_bytes_at_any_place(
            bytes in proptest::collection::vec(any::<u8>(), 0..80), ip_at in 0..100usize,
        ) {
            let mut frame = bytes.clone();
            match decrement_ipv4(&mut frame, ip_at) {
                Ok(()) => {
                    prop_assert_eq!(frame[ip_at + 8], bytes[ip_at + 8] - 1);
                    frame[ip_at + 8..ip_at + 12].copy_from_slice(&bytes[ip_at + 8..ip_at + 12]);
                }
                Err(Expired) => prop_assert!(bytes.len() < ip_at + 20 || bytes[ip_at + 8] <= 1),
            }
            prop_assert_eq!(&frame, &bytes);
            match decrement_ipv6(&mut frame, ip_at) {
                Ok(()) => frame[ip_at + 7] += 1,
                Err(Expired) => prop_assert!(bytes.len() < ip_at + 40 || bytes[ip_at + 7] <= 1),
            }
            prop_assert_eq!(frame, bytes);
        }
    }
}
