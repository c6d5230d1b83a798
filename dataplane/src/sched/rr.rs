//! `rr`, round robin: each in turn.

use super::{Loads, Servers};
use crate::units::ServerId;

/// Whose turn it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    last: Option<ServerId>,
}

impl Round {
    /// The next in the list that is usable, after the last one that was chosen.
    #[inline]
    pub fn choose(&mut self, servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
        let after = self.last.and_then(|last| servers.place(last)).map_or(0, |place| place + 1);
        let mut round = servers.usable_from(after, loads).chain(servers.all_usable(loads));
        let (server, _) = round.next()?;
        self.last = Some(server.id);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, idle, loads, servers};
    use super::*;

    #[test]
    fn each_has_its_turn() {
        let (some, mut round) = (servers(&[1, 5, 0, 1]), Round::default());
        let turns: Vec<_> = (0..6).filter_map(|_| round.choose(&some, &idle)).map(ServerId::index).collect();
        assert_eq!(turns, [0, 1, 3, 0, 1, 3]);
    }

    #[test]
    fn the_round_goes_on_after_one_that_was_taken_out() {
        let (some, mut round) = (servers(&[1, 1, 1]), Round::default());
        assert_eq!(round.choose(&some, &idle), Some(id(0)));
        assert_eq!(round.choose(&some, &loads(&[Some(0), None, Some(0)])), Some(id(2)));
        assert_eq!(round.choose(&some, &loads(&[None, None, None])), None);
        assert_eq!(round.choose(&some, &loads(&[None, None, Some(9)])), Some(id(2)));
    }
}
