//! One property of packets, cut where rules begin and end: on each stretch the same rules hold.
//!
//! A value's *class* is the number of the set of rules that hold for it. Small numbers have a table of classes, in pages
//! of which equal ones are one; large ones are searched for.

use super::sets::{Set, Sets};
use core::ops::RangeInclusive;
use hashbrown::HashMap;

/// A number that ranges are of.
pub(super) trait Step: Copy + Ord {
    /// The highest.
    const LAST: Self;
    /// The one before it.
    fn before(self) -> Option<Self>;
}

macro_rules! steps {
    ($($number:ty),*) => {
        $(impl Step for $number {
            const LAST: Self = Self::MAX;

            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }
        })*
    };
}
steps!(u16, u32, u128);

/// The values of a property, cut.
#[derive(Clone, Debug)]
pub(super) struct Stretches<T> {
    /// The last value of each, in order; that of the last one is the highest.
    lasts: Vec<T>,
    /// The classes.
    classes: Vec<u16>,
}

impl<T: Step> Stretches<T> {
    /// For these rules in order, each with the values that it holds for; `None`: for all, and an empty range: for none.
    pub(super) fn compile(rules: impl Iterator<Item = Option<RangeInclusive<T>>>, sets: &mut Sets) -> Self {
        let rules: Vec<_> = rules.collect();
        let ranges = || rules.iter().flatten().filter(|range| !range.is_empty());
        let bounds = |range: &RangeInclusive<T>| [range.start().before(), Some(*range.end())];
        let mut lasts: Vec<T> = ranges().flat_map(bounds).flatten().chain([T::LAST]).collect();
        lasts.sort_unstable();
        lasts.dedup();
        let mut always = Set::new(rules.len());
        let open = rules.iter().enumerate().filter(|(_, range)| range.is_none());
        open.for_each(|(rule, _)| always.add(rule));
        let mut holding = vec![always; lasts.len()];
        for (rule, range) in rules.iter().enumerate() {
            let Some(range) = range.as_ref().filter(|range| !range.is_empty()) else { continue };
            let first = lasts.partition_point(|last| last < range.start());
            let end = lasts.partition_point(|last| last <= range.end());
            holding[first..end].iter_mut().for_each(|set| set.add(rule));
        }
        let classes = holding.into_iter().map(|set| sets.number(set)).collect();
        Self { lasts, classes }
    }

    /// Counts each class as so many from now on.
    pub(super) fn scale(&mut self, by: u16) {
        self.classes.iter_mut().for_each(|class| *class *= by);
    }

    /// The class of a number.
    #[inline]
    pub(super) fn class(&self, of: T) -> usize {
        self.classes[self.lasts.partition_point(|last| *last < of)].into()
    }
}

/// Numbers of a page.
const PAGE: usize = 256;

/// The classes of 16-bit numbers.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// By the high byte.
    pages: [u16; PAGE],
    /// By page and the low byte.
    classes: Vec<u16>,
}

impl Table {
    /// The same classes.
    pub(super) fn compile(stretches: &Stretches<u16>) -> Self {
        let mut all = vec![0; PAGE * PAGE];
        let mut start = 0;
        for (last, class) in stretches.lasts.iter().zip(&stretches.classes) {
            let end = usize::from(*last) + 1;
            all[start..end].fill(*class);
            start = end;
        }
        let (mut known, mut classes, mut pages) = (HashMap::new(), Vec::new(), [0; PAGE]);
        for (number, page) in pages.iter_mut().zip(all.chunks_exact(PAGE)) {
            #[expect(clippy::cast_possible_truncation, reason = "there are 256 pages at most")]
            let next = known.len() as u16;
            *number = *known.entry(page).or_insert_with(|| {
                classes.extend_from_slice(page);
                next
            });
        }
        Self { pages, classes }
    }

    /// Counts each class as so many from now on.
    pub(super) fn scale(&mut self, by: u16) {
        self.classes.iter_mut().for_each(|class| *class *= by);
    }

    /// The class of a number.
    #[inline]
    pub(super) fn class(&self, of: u16) -> usize {
        let (page, at) = (usize::from(of) / PAGE, usize::from(of) % PAGE);
        self.classes[usize::from(self.pages[page]) * PAGE + at].into()
    }
}
