//! `wrr`, weighted round robin: each in turn, as often in a round as its weight says, the weightiest first.
//!
//! A round has levels, from the greatest weight down in steps of the weights' common divisor; at each level those have
//! their turn whose weight reaches it.

use super::{Loads, Servers};
use crate::units::ServerId;

/// Where in the round it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    last: Option<ServerId>,
    /// The level; 0 before the first round.
    level: u16,
}

impl Round {
    /// The next of the round that is usable.
    pub fn choose(&mut self, servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
        let step = servers.weight_gcd();
        let top = servers.all_usable(loads).map(|(server, _)| server.weight).max()?;
        // All are multiples of the step, so that the lowest level is 1. Above what is usable nothing would be found.
        let highest = top - (step - 1);
        let mut place = self.last.and_then(|last| servers.place(last)).map_or(0, |place| place + 1);
        // Weights may have changed since: levels are one more than a multiple of the step.
        let mut level = self.level.saturating_sub(1) / step * step + 1;
        if self.level == 0 || level > highest {
            (level, place) = (highest, 0);
        }
        loop {
            let next = servers.usable_from(place, loads).find(|(server, _)| server.weight >= level);
            if let Some((server, _)) = next {
                (self.last, self.level) = (Some(server.id), level);
                return self.last;
            }
            // At the latest at the highest level, from the head of the list, there is one.
            place = 0;
            level = if level > step { level - step } else { highest };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{idle, loads, servers};
    use super::*;
    use proptest::prelude::*;

    fn turns(weights: &[u16], count: usize) -> Vec<usize> {
        let (some, mut round) = (servers(weights), Round::default());
        (0..count).filter_map(|_| round.choose(&some, &idle)).map(ServerId::index).collect()
    }

    #[test]
    fn the_weightiest_begins_and_all_meet_at_the_lowest_level() {
        assert_eq!(turns(&[4, 3, 2], 9), [0, 0, 1, 0, 1, 2, 0, 1, 2]);
        assert_eq!(turns(&[2, 4], 6), [1, 0, 1, 1, 0, 1]);
        assert_eq!(turns(&[0, 0], 2), [0; 0]);
    }

    #[test]
    fn what_is_usable_has_the_whole_round() {
        let (some, mut round) = (servers(&[60_000, 1, 2]), Round::default());
        let loads = loads(&[None, Some(0), Some(0)]);
        let turns: Vec<_> = (0..6).filter_map(|_| round.choose(&some, &loads)).map(ServerId::index).collect();
        assert_eq!(turns, [2, 1, 2, 2, 1, 2]);
    }

    proptest! {
        #[test]
        fn in_a_round_each_has_as_many_turns_as_its_weight_says(weights in prop::collection::vec(0..9u16, 1..8)) {
            let gcd = servers(&weights).weight_gcd();
            prop_assume!(gcd > 0);
            let length: u16 = weights.iter().map(|weight| weight / gcd).sum();
            for round in turns(&weights, 3 * usize::from(length)).chunks(length.into()) {
                for (i, weight) in weights.iter().enumerate() {
                    let had = round.iter().filter(|turn| **turn == i).count();
                    prop_assert_eq!(had, usize::from(weight / gcd));
                }
            }
        }
    }
}
