//! The shortest part of a list that still shows something (Zeller and Hildebrandt's ddmin, 2002).

use anyhow::Result;

/// Takes out of `items` whatever `shows` does not need, until no single one can be spared. `items` itself must show
/// it.
pub fn shrink<T: Clone>(mut items: Vec<T>, mut shows: impl FnMut(&[T]) -> Result<bool>) -> Result<Vec<T>> {
    let mut chunk = items.len().div_ceil(2);
    loop {
        let mut spared = false;
        // From the end: what came last needs what came before.
        let mut end = items.len();
        while end > 0 {
            let start = end.saturating_sub(chunk);
            let rest = [&items[..start], &items[end..]].concat();
            if !rest.is_empty() && shows(&rest)? {
                items = rest;
                spared = true;
            }
            end = start;
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2).min(items.len().div_ceil(2)).max(1);
        } else if !spared {
            return Ok(items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_left() {
        let mut tries = 0;
        let shows = |items: &[u32]| {
            tries += 1;
            Ok([17, 18, 400].iter().all(|needed| items.contains(needed)))
        };
        assert_eq!(shrink((0..1000).collect(), shows).unwrap(), [17, 18, 400]);
        assert!(tries < 200, "{tries}");
    }
}
