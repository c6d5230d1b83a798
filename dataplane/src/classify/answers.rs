//! Which rule is the first, worked out beforehand where the first factor and one other one alone have a say.
//!
//! What is asked of the other factor is but a number then: as many as it has sets stand in a row for each such set of the
//! first one. There are as many rows as there is room for; where there is none the sets themselves are compared.

use super::factor::Factor;
use super::lowest;

/// Answers, at most: a quarter of a megabyte of them.
const ANSWERS_MAX: usize = 1 << 17;

/// No rule has this number.
const NONE: u16 = u16::MAX;

/// The rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Vec<u16>);

impl Answers {
    /// For these factors, of which the first is told where its rows begin.
    pub(super) fn compile(factors: &mut [Factor]) -> Self {
        let mut answers = Vec::new();
        let Some((first, others)) = factors.split_first_mut() else { return Self(answers) };
        for number in 0..first.len() {
            let Some(other) = first.asks_one(number).and_then(|other| others.get(other - 1)) else {
                continue;
            };
            if answers.len() + other.len() > ANSWERS_MAX {
                continue;
            }
            first.answer_from(number, answers.len());
            let (head, blocks) = first.get(number);
            answers.extend((0..other.len()).map(|number| {
                let (of, others) = other.get(number);
                let rule = lowest(head.summary & of.summary, blocks, &[others]);
                rule.and_then(|rule| rule.try_into().ok()).unwrap_or(NONE)
            }));
        }
        Self(answers)
    }

    /// The first rule, by the place of its number.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<usize> {
        self.0.get(at).filter(|rule| **rule != NONE).map(|rule| usize::from(*rule))
    }
}
