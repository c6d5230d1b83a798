//! How long a dead server is kept out.

/// The longest.
pub(super) const LONGEST_MS: u64 = 300_000;

/// A time to be kept out, which doubles for what does not last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    span_ms: u64,
    until_ms: u64,
}

impl Hold {
    /// Keeps a server out that had stood for `stood_ms`: for `least_ms`, or twice as long as the last time if it has
    /// stood for less than that time, or less than `steady_ms`.
    pub(super) fn begin(&mut self, now_ms: u64, stood_ms: u64, least_ms: u64, steady_ms: u64) {
        let relapsed = self.span_ms > 0 && stood_ms < self.span_ms.max(steady_ms);
        let doubled_ms = if relapsed { self.span_ms.saturating_mul(2) } else { 0 };
        self.span_ms = doubled_ms.max(least_ms).min(LONGEST_MS);
        self.until_ms = now_ms.saturating_add(self.span_ms);
    }

    /// When it ends.
    pub(super) const fn until_ms(self) -> u64 {
        self.until_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_for_what_does_not_last_and_is_bounded() {
        let mut hold = Hold::default();
        let mut now_ms = 0;
        let mut spans = Vec::new();
        for _ in 0..8 {
            hold.begin(now_ms, 100, 5_000, 20_000);
            spans.push(hold.until_ms() - now_ms);
            now_ms = hold.until_ms() + 100;
        }
        assert_eq!(spans, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
    }

    #[test]
    fn what_has_lasted_begins_anew() {
        // Stood, after a hold of 5 s and then one of 10 s; it is steady after 7 s.
        for (stood_ms, span_ms) in [(9_999, 20_000), (10_000, 5_000)] {
            let mut hold = Hold::default();
            hold.begin(0, u64::MAX, 5_000, 7_000);
            hold.begin(5_000, 6_999, 5_000, 7_000);
            assert_eq!(hold.until_ms(), 15_000);
            hold.begin(100_000, stood_ms, 5_000, 7_000);
            assert_eq!(hold.until_ms() - 100_000, span_ms);
        }
    }

    #[test]
    fn the_least_holds_however_short_the_last_was() {
        let mut hold = Hold::default();
        hold.begin(0, 0, 100, 1_000);
        hold.begin(200, 100, 5_000, 1_000);
        assert_eq!(hold.until_ms(), 5_200);
    }
}
