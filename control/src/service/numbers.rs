//! The numbers of services and servers.

use std::collections::{BTreeMap, BTreeSet};

/// Which numbers are in use, and what had been counted under each before it was.
#[derive(Clone, Debug)]
pub(super) struct Numbers<C> {
    max: usize,
    used: BTreeSet<usize>,
    bases: BTreeMap<usize, C>,
    /// Where the search for a free number begins: one that has been given back is not taken again soon.
    next: usize,
}

impl<C: Copy + Default> Numbers<C> {
    /// Numbers below `max`.
    pub(super) const fn new(max: usize) -> Self {
        Self { max, used: BTreeSet::new(), bases: BTreeMap::new(), next: 0 }
    }

    /// Takes a number that nobody has.
    pub(super) fn take(&mut self) -> Option<usize> {
        let number = (self.next..self.max).chain(0..self.next).find(|number| !self.used.contains(number))?;
        self.used.insert(number);
        self.next = (number + 1) % self.max;
        Some(number)
    }

    /// Gives a number back; `counts` is what has been counted under it.
    pub(super) fn give_back(&mut self, number: usize, counts: C) {
        self.used.remove(&number);
        self.bases.insert(number, counts);
    }

    /// What had been counted under a number before its holder had it.
    pub(super) fn base(&self, number: usize) -> C {
        self.bases.get(&number).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_again_late_and_with_what_was_counted_under_it() {
        let mut numbers = Numbers::new(4);
        assert_eq!((numbers.take(), numbers.take()), (Some(0), Some(1)));
        numbers.give_back(0, 7);
        assert_eq!([(); 4].map(|()| numbers.take()), [Some(2), Some(3), Some(0), None]);
        assert_eq!((numbers.base(0), numbers.base(1)), (7, 0));
    }
}
