//! Lists over slots of a fixed number: what has the same hash, and what is how old.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// From a hash to the slots that have it, and to some that do not.
#[derive(Debug)]
pub(super) struct Chains {
    heads: Vec<u32>,
    next: Vec<u32>,
}

impl Chains {
    pub(super) fn new(slots: u32) -> Self {
        Self { heads: vec![NONE; slots.next_power_of_two() as usize], next: vec![NONE; slots as usize] }
    }

    /// The first slot that may have `hash`.
    #[inline]
    pub(super) fn first(&self, hash: u64) -> Option<u32> {
        some(self.heads[self.head(hash)])
    }

    /// The next one after `slot`.
    #[inline]
    pub(super) fn after(&self, slot: u32) -> Option<u32> {
        some(self.next[slot as usize])
    }

    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        let head = self.head(hash);
        self.next[slot as usize] = core::mem::replace(&mut self.heads[head], slot);
    }

    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let head = self.head(hash);
        let follower = core::mem::replace(&mut self.next[slot as usize], NONE);
        if self.heads[head] == slot {
            self.heads[head] = follower;
            return;
        }
        let mut at = self.heads[head];
        while at != NONE && self.next[at as usize] != slot {
            at = self.next[at as usize];
        }
        if at != NONE {
            self.next[at as usize] = follower;
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to the number of heads")]
    fn head(&self, hash: u64) -> usize {
        hash as usize & (self.heads.len() - 1)
    }
}

/// Slots by age.
#[derive(Debug)]
pub(super) struct Ages {
    /// Each slot's younger and older neighbour. The last one stands for both ends: older than it is the youngest of
    /// all, younger the oldest.
    links: Vec<[u32; 2]>,
}

const YOUNGER: usize = 0;
const OLDER: usize = 1;

impl Ages {
    pub(super) fn new(slots: u32) -> Self {
        Self { links: vec![[slots; 2]; slots as usize + 1] }
    }

    /// The slot that was added first.
    #[inline]
    pub(super) fn oldest(&self) -> Option<u32> {
        let oldest = self.links[self.rim() as usize][YOUNGER];
        (oldest != self.rim()).then_some(oldest)
    }

    pub(super) fn add(&mut self, slot: u32) {
        let rim = self.rim();
        let youngest = self.links[rim as usize][OLDER];
        self.links[slot as usize] = [rim, youngest];
        self.links[youngest as usize][YOUNGER] = slot;
        self.links[rim as usize][OLDER] = slot;
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let [younger, older] = self.links[slot as usize];
        self.links[older as usize][YOUNGER] = younger;
        self.links[younger as usize][OLDER] = older;
    }

    #[expect(clippy::cast_possible_truncation, reason = "the slots are counted in 32 bits")]
    fn rim(&self) -> u32 {
        (self.links.len() - 1) as u32
    }
}

#[inline]
fn some(slot: u32) -> Option<u32> {
    (slot != NONE).then_some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_gives_what_was_put_in_and_not_taken_out() {
        let mut chains = Chains::new(5);
        // 3 and 11 have one head.
        for (hash, slot) in [(3, 0), (11, 1), (3, 2), (4, 3)] {
            chains.insert(hash, slot);
        }
        chains.remove(11, 1);
        let all = |chains: &Chains, hash| {
            core::iter::successors(chains.first(hash), |slot| chains.after(*slot)).collect::<Vec<_>>()
        };
        assert_eq!((all(&chains, 3), all(&chains, 4), all(&chains, 5)), (vec![2, 0], vec![3], vec![]));
        chains.remove(3, 2);
        chains.remove(3, 0);
        assert_eq!(all(&chains, 3), []);
    }

    #[test]
    fn ages_go_from_the_oldest() {
        let mut ages = Ages::new(4);
        assert_eq!(ages.oldest(), None);
        for slot in [2, 0, 3] {
            ages.add(slot);
        }
        ages.remove(0);
        assert_eq!(ages.oldest(), Some(2));
        ages.remove(2);
        assert_eq!(ages.oldest(), Some(3));
        ages.remove(3);
        assert_eq!(ages.oldest(), None);
    }
}
