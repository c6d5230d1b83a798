//! Some properties together: a table says by all of their classes at once which rules hold.

use super::axis::Table;
use super::sets::{Block, Sets, WORD};
use super::{Property, SMALL};

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
    /// Where the [answers](super::answers) of the one that is asked begin, or [`Head::UNANSWERED`].
    answers: u32,
}

impl Head {
    const NONE: u16 = u16::MAX;
    const UNANSWERED: u32 = u32::MAX;

    /// The first rule, where no other factor has a say.
    #[inline]
    pub(super) fn first(self) -> Option<usize> {
        (self.first != Self::NONE).then_some(self.first.into())
    }

    /// Where the answers of the one factor begin that has a say, if they are worked out.
    #[inline]
    pub(super) fn answers(self) -> Option<usize> {
        (self.answers != Self::UNANSWERED).then_some(self.answers as usize)
    }
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    /// The properties that it is of: the places of the small ones, and their classes,
    pub(super) small: Vec<(usize, Table)>,
    /// and the others.
    pub(super) large: Vec<Property>,
    /// By the sum of their classes, each counted as often as those before it have values together: the set.
    numbers: Vec<u16>,
    /// By set.
    heads: Vec<Head>,
    sets: Sets,
}

impl Factor {
    /// Of these properties, each with its sets. `about`: a bit for each other factor that a rule is about.
    pub(super) fn compile(
        properties: &[(Property, &Sets)],
        tables: &[Table; SMALL],
        all: Sets,
        about: &[u8],
    ) -> Self {
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
        let properties = properties.iter().map(|(property, _)| *property);
        let (small, large): (Vec<_>, Vec<_>) = properties.partition(|property| (*property as usize) < SMALL);
        let small = small.into_iter().map(|property| (property as usize, tables[property as usize].clone()));
        Self { small: small.collect(), large, numbers, heads, sets }
    }

    /// The set of the rules that hold, by the sum of the classes.
    #[inline]
    pub(super) fn number(&self, sum: usize) -> usize {
        self.numbers[sum].into()
    }

    /// What is known of a set.
    #[inline]
    pub(super) fn head(&self, number: usize) -> Head {
        self.heads[number]
    }

    /// The same, and the rules.
    #[inline]
    pub(super) fn get(&self, number: usize) -> (Head, &[Block]) {
        (self.heads[number], self.sets.get(number))
    }

    /// How many sets there are.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// The other factor that has a say in a set, if it is but one.
    pub(super) fn asks_one(&self, number: usize) -> Option<usize> {
        let asks = self.heads[number].asks;
        asks.is_power_of_two().then(|| asks.trailing_zeros() as usize)
    }

    /// The answers of that one begin here.
    pub(super) fn answer_from(&mut self, number: usize, at: usize) {
        self.heads[number].answers = at.try_into().unwrap_or(Head::UNANSWERED);
    }
}

impl Head {
    fn compile(sets: &Sets, number: usize, about: &[u8]) -> Self {
        let words = sets.get(number).iter().flat_map(|block| block.0).enumerate();
        let summary = words.fold(0, |sum, (at, word)| sum | u64::from(word != 0) << (at % WORD));
        let others = sets.rules_of(number).map(|rule| about[rule]);
        let asks = others.take_while(|others| *others != 0).fold(0, |asks, others| asks | others);
        let first = sets.rules_of(number).next().and_then(|rule| rule.try_into().ok());
        Self { summary, first: first.unwrap_or(Self::NONE), asks, answers: Self::UNANSWERED }
    }
}
