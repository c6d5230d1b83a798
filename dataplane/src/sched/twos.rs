//! `twos`, the power of two random choices: two are drawn, as often as their weights say, and the less loaded has it.
//!
//! Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing".

use super::least::{is_less, weighted};
use super::{Load, Loads, Server, Servers};
use crate::hash::jhash::scale;
use crate::units::ServerId;

/// `random` is 64 bits that are equally likely, new for each connection.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "each half of the number makes one draw")]
pub fn choose(servers: &Servers, loads: &impl Loads, random: u64) -> Option<ServerId> {
    // 65,535 servers of weight 65,535 at most.
    let total: u32 = servers.all_usable(loads).map(|(server, _)| u32::from(server.weight)).sum();
    let draw = |random: u32| draw(servers.all_usable(loads), scale(random, total));
    let (first, second) = (draw((random >> 32) as u32)?, draw(random as u32)?);
    let second_is_less = is_less(weighted(second.0, second.1), weighted(first.0, first.1));
    Some(if second_is_less { second.0.id } else { first.0.id })
}

/// Where in the row of all weights `at` falls.
#[inline]
fn draw(servers: impl Iterator<Item = (Server, Load)>, mut at: u32) -> Option<(Server, Load)> {
    for (server, load) in servers {
        match at.checked_sub(server.weight.into()) {
            None => return Some((server, load)),
            Some(rest) => at = rest,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, idle, loads, servers};
    use super::*;

    /// A draw of this share of all weights, in percent.
    fn percent(share: u64) -> u64 {
        (share << 32) / 100
    }

    #[test]
    fn the_less_loaded_of_two_has_it() {
        let some = servers(&[1, 0, 3]);
        let random = percent(10) << 32 | percent(90);
        assert_eq!(choose(&some, &idle, random), Some(id(0)));
        assert_eq!(choose(&some, &loads(&[Some(1), Some(0), Some(2)]), random), Some(id(2)));
        assert_eq!(choose(&some, &loads(&[Some(1), Some(0), Some(3)]), random), Some(id(0)));
        assert_eq!(choose(&some, &loads(&[None, None, None]), random), None);
    }

    #[test]
    fn draws_follow_the_weights() {
        let some = servers(&[1, 3]);
        let drawn = [0, 24, 26, 99].map(|share| {
            let at = scale(u32::try_from(percent(share)).unwrap(), 4);
            draw(some.all_usable(&idle), at).unwrap().0.id.index()
        });
        assert_eq!(drawn, [0, 0, 1, 1]);
    }
}
