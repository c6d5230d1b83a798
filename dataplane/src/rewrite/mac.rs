//! MAC addresses: from the sending interface, to the next hop.

use crate::wire::{EthernetMut, MacAddr};

/// To whom a frame goes and from whom it comes, as they lie in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Macs([u8; 12]);

impl Macs {
    /// These two.
    pub const fn new(destination: MacAddr, source: MacAddr) -> Self {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (destination.0, source.0);
        Self([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

/// Sends `frame` from one to the other. What is too short to be a frame stays as it is.
#[inline]
pub fn write(frame: &mut [u8], macs: Macs) {
    if let Some(mut ethernet) = EthernetMut::new(frame) {
        ethernet.set_addresses(macs.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_but_the_addresses_changes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut frame = bytes.clone();
            write(&mut frame, Macs::new(MacAddr([1; 6]), MacAddr([2; 6])));
            if bytes.len() < 14 {
                prop_assert_eq!(frame, bytes);
            } else {
                prop_assert_eq!(&frame[..12], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
                prop_assert_eq!(&frame[12..], &bytes[12..]);
            }
        }
    }
}
