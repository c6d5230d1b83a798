//! Some frames of a burst, or some ports: numbers below 64, a bit each.

use crate::units::{BURST_MAX, PORTS_MAX};

const _: () = assert!(BURST_MAX <= u64::BITS as usize && PORTS_MAX <= u64::BITS as usize);

/// Numbers, and the lowest first when they are gone through.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(u64);

impl Set {
    /// Those whose bit is set.
    pub(super) const fn of(bits: u64) -> Self {
        Self(bits)
    }

    /// Adds one.
    #[inline(always)]
    pub(super) const fn insert(&mut self, number: usize) {
        self.0 |= 1 << (number % u64::BITS as usize);
    }

    /// Whether there is none.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// The one that is in it, if there is one alone.
    #[inline]
    pub(super) const fn only(&self) -> Option<usize> {
        if self.0.is_power_of_two() { Some(self.0.trailing_zeros() as usize) } else { None }
    }
}

impl Iterator for Set {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let lowest = self.0.trailing_zeros() as usize;
        self.0 &= self.0.checked_sub(1)?;
        Some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_in_order() {
        let mut set = Set::default();
        assert!(set.is_empty() && set.only().is_none());
        [63, 0, 5].into_iter().for_each(|number| set.insert(number));
        assert!(!set.is_empty() && set.only().is_none());
        assert!(set.eq([0, 5, 63]));
    }

    #[test]
    fn one_alone_is_known() {
        let mut set = Set::default();
        [63, 63].into_iter().for_each(|number| set.insert(number));
        assert_eq!(set.only(), Some(63));
    }
}
