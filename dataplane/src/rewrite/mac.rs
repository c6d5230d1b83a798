//! MAC addresses: from the sending interface, to the next hop.

use crate::wire::{EthernetMut, MacAddr};

/// Sends `frame` from `source` to `destination`. What is too short to be a frame stays as it is.
#[inline]
pub fn write(frame: &mut [u8], destination: MacAddr, source: MacAddr) {
    if let Some(mut ethernet) = EthernetMut::new(frame) {
        ethernet.set_destination(destination);
        ethernet.set_source(source);
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
            write(&mut frame, MacAddr([1; 6]), MacAddr([2; 6]));
            if bytes.len() < 14 {
                prop_assert_eq!(frame, bytes);
            } else {
                prop_assert_eq!(&frame[..12], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
                prop_assert_eq!(&frame[12..], &bytes[12..]);
            }
        }
    }
}
