//! The least loaded: `lc`, `wlc`, `sed`, `nq`, and that of pools.
//!
//! Loads are compared beside weights as fractions, without division: a product of a load (below 2^41) and a weight
//! (below 2^16) fits. Where all weights are the same one they say nothing, and loads are compared by themselves.

use super::{Load, Loads, Server, Servers};
use crate::units::ServerId;
use core::hint::select_unpredictable;

/// `lc`, least connections: the fewest, whatever the weights.
#[inline]
pub fn lc(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    first_lowest(servers.weighty().iter().map(|id| (*id, loads.overhead(*id))))
}

/// `wlc`, weighted least connections: the fewest for its weight.
#[inline]
pub fn wlc(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    if servers.weigh_alike() { lc(servers, loads) } else { by_weight(servers, loads) }
}

/// The same where weights differ. Kept apart: what it needs in registers the other need not save.
#[inline(never)]
fn by_weight(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    first_least(servers.all_usable(loads), weighted)
}

/// `sed`, shortest expected delay: the fewest active for its weight once it had this one too.
#[inline]
pub fn sed(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    if servers.weigh_alike() {
        return first_lowest(servers.all_usable(loads).map(|(server, load)| (server.id, load.active.into())));
    }
    first_least(servers.all_usable(loads), |server, load| (u64::from(load.active) + 1, server.weight.into()))
}

/// `nq`, never queue: the first that has nothing active; otherwise as `sed`.
#[inline]
pub fn nq(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    let idle = servers.all_usable(loads).find(|(_, load)| load.active == 0);
    idle.map(|(server, _)| server.id).or_else(|| sed(servers, loads))
}

/// The least load of pools, as [`load_in_256ths`] has it.
#[inline]
pub fn least_load(servers: &Servers, loads: &impl Loads) -> Option<ServerId> {
    let load = |server: Server, load| load_in_256ths(server.reported_load, server.cost, load);
    first_lowest(servers.all_usable(loads).map(|(server, of)| (server.id, load(server, of))))
}

/// The load of a pool's node: what it has reported, and its cost for each connection. One that is over and not yet
/// forgotten counts as a 256th; a flow of datagrams, of which nobody says when it is over, as a whole one.
#[inline]
pub const fn load_in_256ths(reported_load: u32, cost: u16, load: Load) -> u64 {
    reported_load as u64 * 256 + cost as u64 * (load.overhead() + load.datagrams as u64 * 255)
}

/// What `wlc` compares: all connections, and the weight.
#[inline]
pub(super) const fn weighted(server: Server, load: Load) -> (u64, u64) {
    (load.overhead(), server.weight as u64)
}

/// The first of those whose number is the lowest. The highest number that there is none has that can take a connection.
#[inline]
fn first_lowest(servers: impl Iterator<Item = (ServerId, u64)>) -> Option<ServerId> {
    let none = (ServerId::FIRST, u64::MAX);
    let (id, lowest) = servers.fold(none, |best, one| if one.1 < best.1 { one } else { best });
    (lowest != u64::MAX).then_some(id)
}

/// The first of those whose fraction, as (numerator, denominator), is the least.
#[inline]
pub(super) fn first_least(
    servers: impl Iterator<Item = (Server, Load)>,
    fraction: impl Fn(Server, Load) -> (u64, u64),
) -> Option<ServerId> {
    // More than any, since no denominator is 0.
    let none = (ServerId::FIRST, (1, 0));
    let (id, (_, over)) = servers.fold(none, |best, (server, load)| {
        let candidate = fraction(server, load);
        // Nobody can guess which of two it is.
        let is_less = is_less(candidate, best.1);
        let number = |of: u64, before| select_unpredictable(is_less, of, before);
        let fraction = (number(candidate.0, best.1.0), number(candidate.1, best.1.1));
        (select_unpredictable(is_less, server.id, best.0), fraction)
    });
    (over != 0).then_some(id)
}

#[inline]
pub(super) const fn is_less((a, over_a): (u64, u64), (b, over_b): (u64, u64)) -> bool {
    a * over_b < b * over_a
}

#[cfg(test)]
mod tests {
    use super::super::servers::fixtures::{id, loads, servers};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_first() {
        let (some, loads) = (servers(&[1, 1, 2]), loads(&[Some(3), Some(3), Some(6)]));
        assert_eq!(lc(&some, &loads), Some(id(0)));
        assert_eq!(wlc(&some, &loads), Some(id(0)));
        // (3+1)/1 and (6+1)/2.
        assert_eq!(sed(&some, &loads), Some(id(2)));
    }

    #[test]
    fn an_idle_server_does_not_wait_for_a_faster_one() {
        let some = servers(&[100, 1]);
        assert_eq!(sed(&some, &loads(&[Some(1), Some(0)])), Some(id(0)));
        assert_eq!(nq(&some, &loads(&[Some(1), Some(0)])), Some(id(1)));
        assert_eq!(nq(&some, &loads(&[Some(1), Some(1)])), Some(id(0)));
    }

    #[test]
    fn an_active_connection_counts_as_256_that_are_over() {
        let load = |active, inactive| Load { active, inactive, ..Load::default() };
        let over = |id: ServerId| if id.index() == 0 { load(0, 257) } else { load(1, 0) };
        assert_eq!(lc(&servers(&[1, 1]), &over), Some(id(1)));
    }

    #[test]
    fn a_load_is_what_a_server_reports_and_the_cost_of_what_it_carries() {
        let server = |i, cost, reported_load| Server { cost, reported_load, ..Server::new(id(i), 1) };
        let some = Servers::new([server(0, 1, 7), server(1, 3, 0), server(2, 1, 7)]);
        assert_eq!(least_load(&some, &loads(&[Some(0), Some(2), Some(0)])), Some(id(1)));
        assert_eq!(least_load(&some, &loads(&[Some(0), Some(3), Some(0)])), Some(id(0)));
        assert_eq!(least_load(&some, &loads(&[Some(2), Some(4), Some(1)])), Some(id(2)));
        assert_eq!(least_load(&some, &loads(&[None, None, None])), None);
    }

    #[test]
    fn a_flow_of_datagrams_is_as_heavy_as_a_connection_and_one_that_is_over_is_not() {
        let load = |active, inactive, datagrams| Load { active, inactive, datagrams, overloaded: false };
        let of = |load| load_in_256ths(7, 10, load);
        assert_eq!(of(load(2, 0, 0)), (7 + 20) * 256);
        assert_eq!(of(load(0, 2, 2)), of(load(2, 0, 0)));
        assert_eq!(of(load(1, 3, 1)), of(load(2, 2, 0)));
        assert!(load_in_256ths(u32::MAX, u16::MAX, load(u32::MAX, u32::MAX, u32::MAX)) < u64::MAX);
    }

    proptest! {
        #[test]
        fn connections_spread_by_weight(weights in prop::collection::vec(1..50u16, 1..9)) {
            let some = servers(&weights);
            let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
            let all: [fn(&Servers, &Count) -> Option<ServerId>; 3] = [|s, l| wlc(s, l), |s, l| sed(s, l), |s, l| nq(s, l)];
            for choose in all {
                let mut count = Count(vec![0; weights.len()]);
                for _ in 0..total * 20 {
                    let chosen = choose(&some, &count).unwrap();
                    count.0[chosen.index()] += 1;
                }
                for (active, weight) in count.0.iter().zip(&weights) {
                    // Within one round of what the weight says.
                    prop_assert!(active.abs_diff(u32::from(*weight) * 20) <= u32::from(*weight) + 1, "{:?}", count.0);
                }
            }
        }

        #[test]
        fn weights_that_are_alike_are_left_out(active: [u32; 4], inactive: [u32; 4], weight: u16, without in 0..4usize) {
            let of = |id: ServerId| Load { active: active[id.index()], inactive: inactive[id.index()], ..Load::default() };
            let weights = [0, 1, 2, 3].map(|i| if i == without { 0 } else { weight });
            let some = servers(&weights);
            prop_assert!(some.weigh_alike());
            let fraction = |server: Server, load: Load| (u64::from(load.active) + 1, server.weight.into());
            prop_assert_eq!(wlc(&some, &of), first_least(some.all_usable(&of), weighted));
            prop_assert_eq!(sed(&some, &of), first_least(some.all_usable(&of), fraction));
        }

        #[test]
        fn extremes_do_not_overflow(active: [u32; 2], inactive: [u32; 2], weights: [u16; 2]) {
            let of = |id: ServerId| Load { active: active[id.index()], inactive: inactive[id.index()], ..Load::default() };
            let exact = |id: usize| (u128::from(of(super::super::servers::fixtures::id(id)).overhead()), u128::from(weights[id]));
            let ((a, over_a), (b, over_b)) = (exact(0), exact(1));
            let expected = match weights {
                [0, 0] => None,
                [0, _] => Some(id(1)),
                [_, 0] => Some(id(0)),
                _ => Some(id(usize::from(b * over_a < a * over_b))),
            };
            prop_assert_eq!(wlc(&servers(&weights), &of), expected);
        }
    }

    struct Count(Vec<u32>);

    impl Loads for Count {
        fn of(&self, server: ServerId) -> Load {
            Load { active: self.0[server.index()], ..Load::default() }
        }
    }
}
