//! At most so many a second.

/// A token bucket that holds a second's worth.
#[derive(Debug)]
pub(crate) struct Rate {
    per_s: u64,
    /// In thousandths, so that a millisecond adds a whole number of them.
    tokens: u64,
    filled_at_ms: u64,
}

impl Rate {
    pub(crate) const fn new(per_s: u64) -> Self {
        Self { per_s, tokens: per_s * 1_000, filled_at_ms: 0 }
    }

    /// Takes one; false when there is none.
    pub(crate) fn take(&mut self, now_ms: u64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.filled_at_ms).min(1_000);
        self.tokens = (self.tokens + passed_ms * self.per_s).min(self.per_s * 1_000);
        self.filled_at_ms = self.filled_at_ms.max(now_ms);
        let some = self.tokens >= 1_000;
        if some {
            self.tokens -= 1_000;
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_brings_as_many_as_allowed() {
        let mut rate = Rate::new(10);
        let taken = |rate: &mut Rate, now_ms| (0..100).filter(|_| rate.take(now_ms)).count();
        assert_eq!(taken(&mut rate, 0), 10);
        assert_eq!(taken(&mut rate, 99), 0);
        assert_eq!(taken(&mut rate, 350), 3);
        assert_eq!(taken(&mut rate, 1_000_000), 10);
        assert_eq!(taken(&mut rate, 5), 0);
    }
}
