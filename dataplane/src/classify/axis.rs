//! One property of packets, cut where rules begin and end: on each stretch the same rules hold.
//!
//! A value's *class* is the number of the set of rules that hold for it. Small numbers have a table of classes, in pages
//! of which equal ones are one; large ones are searched for, from where their first bits say.

use super::sets::{Set, Sets};
use core::ops::RangeInclusive;
use hashbrown::HashMap;

/// A number that ranges are of.
pub(super) trait Step: Copy + Ord {
    /// The highest.
    const LAST: Self;
    /// The one before it.
    fn before(self) -> Option<Self>;
    /// How many steps of 2^`shift` it is from `base` on; 0 below that.
    fn steps_from(self, base: Self, shift: u32) -> usize;
}

macro_rules! steps {
    ($($number:ty),*) => {
        $(impl Step for $number {
            const LAST: Self = Self::MAX;

            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }

            #[inline(always)]
            fn steps_from(self, base: Self, shift: u32) -> usize {
                (self.saturating_sub(base) >> shift).try_into().unwrap_or(usize::MAX)
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
}

/// No more stretches than this are searched without cells.
const FEW: usize = 16;

/// Cells for each stretch, at most.
const CELLS_A_STRETCH: usize = 64;

/// Of no more stretches than this that may be in a cell all are looked at: nobody can guess at which a search would end.
const NEAR: usize = 4;

/// Cells, at most.
const CELLS_MAX: usize = 1 << 16;

/// The same, to search in. From the first end of a stretch to the last, numbers are divided into cells of one size; of each
/// it is known which stretches may be in it: few, unless most are close together.
#[derive(Clone, Debug)]
pub(super) struct Cells<T> {
    stretches: Stretches<T>,
    /// Where the cells begin: the end of the first stretch.
    base: T,
    /// A cell has 2^`shift` numbers; the first one has those before it as well, and the last one those behind it.
    shift: u32,
    /// By cell: the stretch that it begins in, which the cell before it ends in.
    firsts: Vec<u16>,
    last_cell: usize,
}

impl<T: Step> Cells<T> {
    /// Of these stretches.
    pub(super) fn compile(stretches: Stretches<T>) -> Self {
        let lasts = &stretches.lasts;
        let last_stretch = lasts.len().saturating_sub(1);
        let base = lasts.first().copied().unwrap_or(T::LAST);
        let end = last_stretch.checked_sub(1).map_or(base, |before| lasts[before]);
        let cells_max = CELLS_MAX.min(CELLS_A_STRETCH * lasts.len());
        let shift = (0..).find(|shift| end.steps_from(base, *shift) < cells_max).unwrap_or_default();
        let last_cell = end.steps_from(base, shift);
        let first = |cell| {
            let stretch = lasts.partition_point(|last| last.steps_from(base, shift) < cell).min(last_stretch);
            #[expect(clippy::cast_possible_truncation, reason = "a property has fewer stretches than 2^16")]
            let stretch = stretch as u16;
            stretch
        };
        let firsts = (0..=last_cell + 1).map(first).collect();
        Self { stretches, base, shift, firsts, last_cell }
    }

    /// Counts each class as so many from now on.
    pub(super) fn scale(&mut self, by: u16) {
        self.stretches.classes.iter_mut().for_each(|class| *class *= by);
    }

    /// The class of a number.
    #[inline(always)]
    pub(super) fn class(&self, of: T) -> usize {
        let Stretches { lasts, classes } = &self.stretches;
        if lasts.len() <= FEW {
            return classes[lasts.partition_point(|last| *last < of)].into();
        }
        let cell = of.steps_from(self.base, self.shift).min(self.last_cell);
        let [first, last] = [self.firsts[cell], self.firsts[cell + 1]].map(usize::from);
        let lasts = &lasts[first..];
        let within = match lasts.first_chunk::<NEAR>() {
            Some(near) if last - first <= NEAR => near.iter().map(|last| usize::from(*last < of)).sum(),
            _ => lasts[..last - first].partition_point(|last| *last < of),
        };
        classes[first + within].into()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ranges around a few numbers and far from them, so that some cells have many stretches and most have none.
    fn ranges<T: Step + Arbitrary>(
        near: fn(T, u8) -> T,
    ) -> impl Strategy<Value = Vec<Option<RangeInclusive<T>>>> {
        let number = move || {
            (any::<T>(), any::<T>(), any::<u8>(), 0..4).prop_map(
                move |(far, middle, step, kind)| match kind {
                    0 => far,
                    1 => T::LAST,
                    2 => near(T::LAST, step),
                    _ => near(middle, step),
                },
            )
        };
        let range = (number(), any::<u8>(), any::<bool>()).prop_map(move |(number, step, is_long)| {
            let other = if is_long { near(T::LAST, step) } else { near(number, step) };
            Some(number.min(other)..=number.max(other))
        });
        prop::collection::vec(range, 0..40)
    }

    fn check<T: Step + core::fmt::Debug>(
        ranges: Vec<Option<RangeInclusive<T>>>,
        others: Vec<T>,
    ) -> Result<(), TestCaseError> {
        let mut sets = Sets::new(ranges.len());
        let stretches = Stretches::compile(ranges.into_iter(), &mut sets);
        let cells = Cells::compile(stretches.clone());
        let edges = stretches.lasts.iter().copied();
        let edges = edges.clone().chain(edges.filter_map(Step::before));
        for of in edges.chain(others) {
            let place = stretches.lasts.partition_point(|last| *last < of);
            prop_assert_eq!(cells.class(of), usize::from(stretches.classes[place]), "{:?}", of);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn cells_find_the_stretch_of_each_number(
            ranges in ranges::<u32>(|number, step| number.saturating_sub(step.into())),
            others: Vec<u32>,
        ) {
            check(ranges, others)?;
        }

        #[test]
        fn those_of_large_numbers_do_so_too(
            ranges in ranges::<u128>(|number, step| number.saturating_sub(step.into())),
            others: Vec<u128>,
        ) {
            check(ranges, others)?;
        }
    }
}
