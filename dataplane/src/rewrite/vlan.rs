//! The VLAN tag of a leaving frame.

use crate::port::Frame;
use crate::units::VlanId;
use crate::wire::{EtherType, ethernet, vlan};

/// Both MAC addresses, which stand before the tag.
const MACS_LEN: usize = 12;

/// The frame's buffer cannot take the header that the frame needs, or it has no header to begin with. It is as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// Makes the link header what frames of the VLAN have, without a tag for `None`, and says where IP begins then.
/// It begins at `ip_at` now, right after an EtherType; whatever tags came go. The new one is 802.1Q's with
/// priority 0, as Linux sends them. Padding stays; a device pads what has become too short.
#[inline]
pub fn retag<F: Frame>(frame: &mut F, ip_at: usize, vlan: Option<VlanId>) -> Result<usize, NoRoom> {
    let leaves_at = match vlan {
        None => ethernet::HEADER_LEN,
        Some(_) => ethernet::HEADER_LEN + vlan::HEADER_LEN,
    };
    let came = frame.bytes().get(..ip_at.max(ethernet::HEADER_LEN)).ok_or(NoRoom)?;
    let macs: [u8; MACS_LEN] = *came.first_chunk().ok_or(NoRoom)?;
    if leaves_at != ip_at {
        let fits = match leaves_at.checked_sub(ip_at) {
            Some(more) => frame.grow_front(more),
            None => frame.shrink_front(ip_at - leaves_at),
        };
        let header = frame.bytes_mut().first_chunk_mut().filter(|_| fits).ok_or(NoRoom)?;
        *header = macs;
    }
    if let Some(vlan) = vlan {
        let rest = frame.bytes_mut().get_mut(MACS_LEN..).ok_or(NoRoom)?;
        let tag: &mut [u8; vlan::HEADER_LEN] = rest.first_chunk_mut().ok_or(NoRoom)?;
        let ([a, b], [c, d]) = (EtherType::VLAN.0.to_be_bytes(), vlan.number().to_be_bytes());
        *tag = [a, b, c, d];
    }
    Ok(leaves_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::mem::MemFrame;
    use crate::wire::{Ethernet, MacAddr, Vlan};
    use proptest::prelude::*;

    const MACS: [u8; MACS_LEN] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2];
    const IP: [u8; 4] = [0x45, 0, 0, 20];
    const UNTAGGED: &[u8] = &[0x08, 0x00];
    const TAGGED: &[u8] = &[0x81, 0x00, 0xe0, 0x07, 0x08, 0x00];
    const TWICE: &[u8] = &[0x88, 0xa8, 0x00, 0x09, 0x81, 0x00, 0x00, 0x07, 0x08, 0x00];
    const FIVE: &[u8] = &[0x81, 0x00, 0x00, 0x05, 0x08, 0x00];

    #[test]
    fn a_frame_leaves_with_the_tag_of_its_way_out() {
        for came in [UNTAGGED, TAGGED, TWICE] {
            for (vlan, leaves) in [(None, UNTAGGED), (VlanId::new(5), FIVE)] {
                let mut frame = MemFrame::new([&MACS[..], came, &IP].concat());
                let at = retag(&mut frame, MACS_LEN + came.len(), vlan).unwrap();
                assert_eq!(at, MACS_LEN + leaves.len());
                assert_eq!(frame.into_bytes(), [&MACS[..], leaves, &IP].concat(), "{came:02x?} to {vlan:?}");
            }
        }
    }

    #[test]
    fn a_frame_that_ends_in_its_header_stays_as_it_came() {
        for (len, ip_at, vlan) in [(16, 18, VlanId::new(1)), (13, 14, None)] {
            let mut frame = MemFrame::new(vec![0; len]);
            assert_eq!(retag(&mut frame, ip_at, vlan), Err(NoRoom));
            assert_eq!(frame.into_bytes(), vec![0; len]);
        }
    }

    #[test]
    fn the_tag_reads_back() {
        let mut frame = MemFrame::new([&MACS[..], UNTAGGED, &IP].concat());
        retag(&mut frame, 14, VlanId::new(4094)).unwrap();
        let ethernet = Ethernet::new(frame.bytes()).unwrap();
        assert_eq!((ethernet.destination(), ethernet.ethertype()), (MacAddr([1; 6]), EtherType::VLAN));
        let vlan = Vlan::new(ethernet.payload()).unwrap();
        assert_eq!((vlan.id(), vlan.priority(), vlan.ethertype()), (4094, 0, EtherType::IPV4));
        assert_eq!(vlan.payload(), IP);
    }

    proptest! {
        #[test]
        fn any_bytes_with_ip_anywhere(
            bytes in proptest::collection::vec(any::<u8>(), 0..64), ip_at in 0..80usize, id in 0..=4094u16,
        ) {
            let mut frame = MemFrame::new(bytes.clone());
            match retag(&mut frame, ip_at, VlanId::new(id)) {
                Ok(at) => prop_assert_eq!(&frame.bytes()[at..], &bytes[ip_at..]),
                Err(NoRoom) => {
                    prop_assert!(bytes.len() < ip_at.max(14));
                    prop_assert_eq!(frame.into_bytes(), bytes);
                }
            }
        }
    }
}
