//! One property of packets, cut where rules begin and end: which rules hold on each stretch.

use core::ops::RangeInclusive;

/// As many rules as a summary's bits have words of bits.
pub const RULES_MAX: usize = 64 * 64;
/// Words that are looked at together: a row is a number of these.
pub(super) const BLOCK: usize = 8;

/// The rules that hold for one value: a bit each, and a bit for each word of these that is not 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) words: &'a [u64],
    pub(super) summary: u64,
    /// All rules hold, whatever the value.
    pub(super) is_open: bool,
}

/// All values of a property.
#[derive(Clone, Debug)]
pub(super) struct Axis<T> {
    /// Where each stretch begins but the first, which begins at the least value; in order.
    starts: Vec<T>,
    /// The rows of all stretches, `stride` words each.
    words: Vec<u64>,
    summaries: Vec<u64>,
    stride: usize,
    /// No rule is about this property.
    is_open: bool,
}

/// A value that has a next one, but for the last.
pub(super) trait Step: Copy + Ord {
    /// The next value.
    fn next(self) -> Option<Self>;
}

macro_rules! steps {
    ($($number:ty),*) => {
        $(impl Step for $number {
            #[inline]
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        })*
    };
}
steps!(u8, u16, u32, u128);

impl<T: Step> Axis<T> {
    /// Of these rules in order, up to [`RULES_MAX`], each with the values that it holds for; `None`: for all, and an
    /// empty range: for none.
    pub(super) fn compile(rules: impl Iterator<Item = Option<RangeInclusive<T>>>) -> Self {
        let rules: Vec<_> = rules.collect();
        debug_assert!(rules.len() <= RULES_MAX);
        let bounds = |range: &RangeInclusive<T>| [Some(*range.start()), range.end().next()];
        let mut starts: Vec<T> = rules.iter().flatten().flat_map(bounds).flatten().collect();
        starts.sort_unstable();
        starts.dedup();
        let (stride, stretches) = (rules.len().div_ceil(64).next_multiple_of(BLOCK), starts.len() + 1);
        let mut words = vec![0_u64; stride * stretches];
        for (number, rule) in rules.iter().enumerate() {
            let stretches = match rule {
                None => 0..stretches,
                Some(range) if range.is_empty() => 0..0,
                Some(range) => {
                    let end = range.end().next().map_or(stretches, |next| stretch(&starts, next));
                    stretch(&starts, *range.start())..end
                }
            };
            for stretch in stretches {
                words[stretch * stride + number / 64] |= 1 << (number % 64);
            }
        }
        let summary =
            |row: &[u64]| row.iter().enumerate().fold(0, |sum, (i, word)| sum | u64::from(*word != 0) << i);
        let summaries = words.chunks_exact(stride.max(1)).map(summary).collect();
        let is_open = rules.iter().all(Option::is_none);
        Self { starts, words, summaries, stride, is_open }
    }

    /// The rules that hold for a value.
    #[inline]
    pub(super) fn row(&self, value: T) -> Row<'_> {
        let stretch = stretch(&self.starts, value);
        Row {
            words: self.words.get(stretch * self.stride..(stretch + 1) * self.stride).unwrap_or_default(),
            summary: self.summaries.get(stretch).copied().unwrap_or_default(),
            is_open: self.is_open,
        }
    }
}

/// Where a value lies.
#[inline]
fn stretch<T: Ord>(starts: &[T], value: T) -> usize {
    starts.partition_point(|start| *start <= value)
}
