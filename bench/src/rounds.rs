//! Contenders take turns, so that what disturbs the machine disturbs all of them.

/// Runs each contender once a round; its samples, contender by contender. One more round before is not counted.
pub fn alternate<const N: usize>(
    rounds: usize,
    mut contenders: [&mut dyn FnMut() -> f64; N],
) -> [Vec<f64>; N] {
    let mut samples = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
            let sample = contender();
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_in_each_round() {
        let order = std::cell::RefCell::new(Vec::new());
        let (mut a, mut b) = (
            || {
                order.borrow_mut().push('a');
                1.0
            },
            || {
                order.borrow_mut().push('b');
                2.0
            },
        );
        let samples = alternate(2, [&mut a, &mut b]);
        assert_eq!(samples, [vec![1.0, 1.0], vec![2.0, 2.0]]);
        assert_eq!(order.into_inner().iter().collect::<String>(), "ababab");
    }
}
