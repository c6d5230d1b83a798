//! When a server is asked next.

use fastrand::Rng;

/// Checks of which failed connections hasten each are so many times closer together than others, at most.
const DOUBT_DIVISOR: u64 = 4;

/// A server's place in the order of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    due_ms: u64,
    /// However much there is to doubt of it, it is not asked before.
    not_before_ms: u64,
    /// When it was asked, while there is no answer.
    asked_ms: Option<u64>,
}

impl Turn {
    /// Its first check comes within a tenth of an interval.
    pub(super) fn first(now_ms: u64, interval_ms: u64, rng: &mut Rng) -> Self {
        let due_ms = now_ms.saturating_add(rng.u64(0..=interval_ms / 10));
        Self { due_ms, not_before_ms: now_ms, asked_ms: None }
    }

    /// When it is to be asked; `None` while there is no answer.
    pub(super) const fn due_ms(self) -> Option<u64> {
        if self.asked_ms.is_some() { None } else { Some(self.due_ms) }
    }

    /// It is being asked.
    pub(super) const fn ask(&mut self, now_ms: u64) {
        self.asked_ms = Some(now_ms);
    }

    /// There is an answer: so long it took. The next check comes an interval after the last, more or less, and not
    /// before now.
    pub(super) fn answered(&mut self, now_ms: u64, interval_ms: u64, rng: &mut Rng) -> u64 {
        let asked_ms = self.asked_ms.take().unwrap_or(now_ms);
        let tenth_ms = interval_ms / 10;
        let next_ms =
            asked_ms.saturating_add(interval_ms - tenth_ms).saturating_add(rng.u64(0..=2 * tenth_ms));
        self.due_ms = next_ms.max(now_ms);
        self.not_before_ms = asked_ms.saturating_add(interval_ms / DOUBT_DIVISOR);
        now_ms.saturating_sub(asked_ms)
    }

    /// Its connections fail: it is asked at once, or as soon as it may be.
    pub(super) fn hasten_for_doubt(&mut self, now_ms: u64) {
        self.due_ms = self.due_ms.min(self.not_before_ms.max(now_ms));
    }

    /// With another interval it is not asked later than that would have it.
    pub(super) fn hasten(&mut self, now_ms: u64, interval_ms: u64) {
        self.due_ms = self.due_ms.min(now_ms.saturating_add(interval_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_between_checks_differ_by_a_tenth_at_most() {
        let mut rng = Rng::with_seed(1);
        let mut turn = Turn::first(1_000, 2_000, &mut rng);
        assert!((1_000..=1_200).contains(&turn.due_ms().unwrap()));
        let mut gaps = Vec::new();
        for _ in 0..200 {
            let now_ms = turn.due_ms().unwrap();
            turn.ask(now_ms);
            assert_eq!(turn.due_ms(), None, "it is being asked");
            assert_eq!(turn.answered(now_ms + 50, 2_000, &mut rng), 50);
            gaps.push(turn.due_ms().unwrap() - now_ms);
        }
        assert!(gaps.iter().all(|gap| (1_800..=2_200).contains(gap)), "{gaps:?}");
        let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
        assert!(most - least > 300, "they differ");
    }

    #[test]
    fn who_is_in_doubt_is_asked_at_once_but_not_all_the_time() {
        let mut rng = Rng::with_seed(1);
        let mut turn = Turn::first(0, 2_000, &mut rng);
        turn.ask(1_000);
        turn.hasten_for_doubt(1_010);
        turn.answered(1_020, 2_000, &mut rng);
        turn.hasten_for_doubt(1_030);
        assert_eq!(turn.due_ms(), Some(1_500), "a quarter of the interval after the last");
        turn.ask(1_500);
        turn.answered(1_510, 2_000, &mut rng);
        turn.hasten_for_doubt(2_500);
        assert_eq!(turn.due_ms(), Some(2_500));
    }

    #[test]
    fn a_late_answer_is_followed_by_a_check_at_once() {
        let mut rng = Rng::with_seed(1);
        let mut turn = Turn::first(0, 100, &mut rng);
        turn.ask(10);
        turn.answered(5_000, 100, &mut rng);
        assert_eq!(turn.due_ms(), Some(5_000));
    }
}
