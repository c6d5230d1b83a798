//! Some properties together: a table says by all of their classes at once which rules hold.

use super::Property;
use super::sets::{Block, Sets, WORD};

/// Sums of classes that a table has, at most, unless it is of one property alone: no more than that one may have.
pub(super) const SUMS_MAX: usize = 2 * super::RULES_MAX;

/// Factors, at most: a bit each in [`Head::asks`].
pub(super) const FACTORS_MAX: usize = Property::COUNT;

/// What is known of a set beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// A bit for each word that is not 0.
    pub(super) summary: u64,
    /// The first rule, or [`Head::NONE`].
    first: u16,
    /// A bit for each other factor that has a say in which of these rules is the first: one before all that are about
    /// these properties alone is about that factor's.
    pub(super) asks: u8,
}

impl Head {
    const NONE: u16 = u16::MAX;

    /// The first rule, where no other factor has a say.
    #[inline]
    pub(super) fn first(self) -> Option<usize> {
        (self.first != Self::NONE).then_some(self.first.into())
    }
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    /// What it is of.
    pub(super) properties: Vec<Property>,
    /// By the sum of their classes, each counted as often as those before it have values together: the set.
    numbers: Vec<u16>,
    /// By set.
    heads: Vec<Head>,
    sets: Sets,
}

impl Factor {
    /// Of these properties, each with its sets. `about`: a bit for each other factor that a rule is about.
    pub(super) fn compile(properties: &[(Property, &Sets)], all: Sets, about: &[u8]) -> Self {
        let (mut numbers, mut sets) = (vec![0], all);
        for (_, next) in properties {
            let (both, pairs) = Sets::compile(&sets, next);
            let pair = |b: usize| {
                let (numbers, pairs, stride) = (&numbers, &pairs, sets.len());
                numbers.iter().map(move |a| pairs[usize::from(*a) + stride * b])
            };
            numbers = (0..next.len()).flat_map(pair).collect();
            sets = both;
        }
        let heads = (0..sets.len()).map(|number| Head::compile(&sets, number, about)).collect();
        let properties = properties.iter().map(|(property, _)| *property).collect();
        Self { properties, numbers, heads, sets }
    }

    /// The rules that hold, by the sum of the classes.
    #[inline]
    pub(super) fn row(&self, sum: usize) -> (Head, &[Block]) {
        let number = usize::from(self.numbers[sum]);
        (self.heads[number], self.sets.get(number))
    }
}

impl Head {
    fn compile(sets: &Sets, number: usize, about: &[u8]) -> Self {
        let words = sets.get(number).iter().flat_map(|block| block.0).enumerate();
        let summary = words.fold(0, |sum, (at, word)| sum | u64::from(word != 0) << (at % WORD));
        let others = sets.rules_of(number).map(|rule| about[rule]);
        let asks = others.take_while(|others| *others != 0).fold(0, |asks, others| asks | others);
        let first = sets.rules_of(number).next().and_then(|rule| rule.try_into().ok());
        Self { summary, first: first.unwrap_or(Self::NONE), asks }
    }
}
