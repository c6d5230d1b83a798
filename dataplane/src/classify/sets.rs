//! Sets of rules, a bit each, in order: equal ones have one number.

use hashbrown::HashMap;

/// As many rules as a summary's bits have words of bits.
pub const RULES_MAX: usize = WORD * WORD;
/// Bits of a word.
pub(super) const WORD: usize = u64::BITS as usize;
/// Words of a block.
pub(super) const BLOCK: usize = 8;

/// The bits of some rules, which are looked at together: one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(align(64))]
pub(super) struct Block(pub(super) [u64; BLOCK]);

/// One set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Set(Vec<Block>);

impl Set {
    /// Of so many rules none.
    pub(super) fn new(rules: usize) -> Self {
        Self(vec![Block([0; BLOCK]); stride(rules)])
    }

    /// With this rule.
    pub(super) fn add(&mut self, rule: usize) {
        let Block(words) = &mut self.0[rule / (WORD * BLOCK)];
        words[rule / WORD % BLOCK] |= 1 << (rule % WORD);
    }

    /// Without the rules that `other` has not.
    fn keep(&mut self, other: &[Block]) {
        let words = self.0.iter_mut().flat_map(|block| &mut block.0);
        words.zip(other.iter().flat_map(|block| &block.0)).for_each(|(word, of)| *word &= of);
    }
}

/// Some sets, by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    /// Blocks of a set.
    stride: usize,
    /// Of all sets, one behind the other.
    blocks: Vec<Block>,
    numbers: HashMap<Set, u16>,
}

impl Sets {
    /// No set yet, of so many rules.
    pub(super) fn new(rules: usize) -> Self {
        Self { stride: stride(rules), blocks: Vec::new(), numbers: HashMap::new() }
    }

    /// The sets that say by two properties together which rules hold; the first varies fastest. Answers the numbers too.
    pub(super) fn compile(first: &Self, second: &Self) -> (Self, Vec<u16>) {
        let mut both = Self { stride: first.stride, blocks: Vec::new(), numbers: HashMap::new() };
        let pairs = (0..second.len()).flat_map(|b| (0..first.len()).map(move |a| (a, b)));
        let numbers = pairs.map(|(a, b)| {
            let mut set = Set(first.get(a).to_vec());
            set.keep(second.get(b));
            both.number(set)
        });
        let numbers = numbers.collect();
        (both, numbers)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of this set.
    pub(super) fn number(&mut self, set: Set) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "a property has fewer stretches than 2^16")]
        let next = self.numbers.len() as u16;
        let blocks = &mut self.blocks;
        *self.numbers.entry(set).or_insert_with_key(|set| {
            blocks.extend(&set.0);
            next
        })
    }

    /// The set of this number.
    #[inline]
    pub(super) fn get(&self, number: usize) -> &[Block] {
        &self.blocks[number * self.stride..][..self.stride]
    }

    /// The rules of a set, in order.
    pub(super) fn rules_of(&self, number: usize) -> impl Iterator<Item = usize> {
        let words = self.get(number).iter().flat_map(|block| block.0).enumerate();
        words.flat_map(|(at, word)| {
            (0..WORD).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * WORD + bit)
        })
    }
}

/// Blocks that so many rules take.
const fn stride(rules: usize) -> usize {
    rules.div_ceil(WORD * BLOCK)
}
