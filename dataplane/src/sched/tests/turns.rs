//! `rr`, `fo`, `ovf` and `twos` beside naive models.

use super::super::{rr, twos, weightiest};
use super::{Plain, id, list, loads, servers};
use proptest::prelude::*;

/// Another moment of the same service: whom it asks of, and in which order.
fn moments() -> impl Strategy<Value = Vec<(Vec<Plain>, usize)>> {
    // A server may be taken out of the list: the place in it, if there is one.
    (list(), prop::collection::vec((list(), 0..30usize), 1..20)).prop_map(|(first, more)| {
        let mut list = first;
        let moment = |(loads, gone): (Vec<Plain>, usize)| {
            for server in &mut list {
                if let Some(then) = loads.iter().find(|then| then.number == server.number) {
                    *server = *then;
                }
            }
            if gone < list.len() {
                list.remove(gone);
            }
            (list.clone(), gone)
        };
        more.into_iter().map(moment).collect()
    })
}

/// Two halves of a random number that fall on these places, counted from 0, of a row of `length`.
fn random_at(first: u64, second: u64, length: u64) -> u64 {
    // The least number below 2^32 whose share is that of the place.
    let at = |place: u64| (place << 32).div_ceil(length);
    at(first) << 32 | at(second)
}

proptest! {
    #[test]
    fn rr_takes_the_next_usable_one_behind_the_last(moments in moments()) {
        let (mut round, mut last) = (rr::Round::default(), None);
        for (list, _) in moments {
            // Twice around the list, from behind the last one on; from the head if that is gone.
            let after = list.iter().position(|server| Some(server.number) == last).map_or(0, |place| place + 1);
            let twice = list.iter().chain(&list).skip(after);
            let expected = twice.take(list.len()).find(|server| server.is_usable()).map(|server| server.number);
            prop_assert_eq!(round.choose(&servers(&list), &loads(&list)), expected.map(id));
            last = expected.or(last);
        }
    }

    #[test]
    fn fo_takes_the_weightiest_and_ovf_the_weightiest_that_is_not_full(list in list()) {
        // By weight; of equals the first stays the first.
        let mut by_weight: Vec<Plain> = list.iter().copied().filter(Plain::is_usable).collect();
        by_weight.sort_by_key(|server| std::cmp::Reverse(server.weight));
        let fo = by_weight.first().map(|server| id(server.number));
        let ovf = by_weight.iter().find(|server| server.active <= u32::from(server.weight));
        let ovf = ovf.map(|server| id(server.number));
        prop_assert_eq!(weightiest::fo(&servers(&list), &loads(&list)), fo);
        prop_assert_eq!(weightiest::ovf(&servers(&list), &loads(&list)), ovf);
    }

    #[test]
    fn twos_takes_the_less_loaded_of_two_places_in_a_row_of_all_weights(list in list(), random: u64) {
        // Each server as often as its weight says.
        let usable = list.iter().filter(|server| server.is_usable());
        let row: Vec<&Plain> =
            usable.flat_map(|server| std::iter::repeat_n(server, server.weight.into())).collect();
        let place = |random: u64| usize::try_from((random * row.len() as u64) >> 32).unwrap();
        let drawn = [random >> 32, random & 0xffff_ffff].map(|half| row.get(place(half)).copied());
        let expected = match drawn {
            [Some(first), Some(second)] => {
                let cross = |one: &Plain, other: &Plain| one.overhead() * u128::from(other.weight);
                Some(if cross(second, first) < cross(first, second) { second } else { first })
            }
            _ => None,
        };
        let chosen = twos::choose(&servers(&list), &loads(&list), random);
        prop_assert_eq!(chosen, expected.map(|server| id(server.number)));
    }

    #[test]
    fn twos_draws_each_server_as_often_as_its_weight_says(weights in prop::collection::vec(0..9u16, 1..6)) {
        // What is alike loaded for its weight goes to the first draw: it alone says who has it.
        let plain = |(number, weight): (usize, &u16)| {
            let active = u32::from(*weight) * 7;
            Plain { number, weight: *weight, active, inactive: 0, overloaded: false }
        };
        let list: Vec<Plain> = weights.iter().enumerate().map(plain).collect();
        let length: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut had = vec![0; weights.len()];
        for first in 0..length {
            for second in 0..length {
                let random = random_at(first, second, length);
                had[twos::choose(&servers(&list), &loads(&list), random).unwrap().index()] += 1;
            }
        }
        prop_assert!(had.iter().zip(&weights).all(|(had, weight)| *had == u64::from(*weight) * length), "{had:?}");
    }
}
