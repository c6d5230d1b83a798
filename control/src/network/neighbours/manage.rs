//! Neighbours that are always to be known: the next hops of routes.

use super::Neighbours;
use super::action::At;

/// From one look at them to the next (Linux's `interval_probe_time_ms`).
const PROMPT_INTERVAL_MS: u64 = 5_000;

impl<P: AsRef<[u8]>> Neighbours<P> {
    /// Keeps these neighbours known, in place of those of before, as Linux does with `managed` ones: they are asked
    /// for before a packet wants them, count as used all the time, and are asked for again after they failed.
    pub fn manage(&mut self, managed: impl IntoIterator<Item = At>, now_ms: u64) {
        self.managed = managed.into_iter().collect();
        self.next_prompt_ms = now_ms;
        self.tick(now_ms);
    }

    /// When the managed ones are looked at next.
    pub(super) fn next_prompt_ms(&self) -> Option<u64> {
        (!self.managed.is_empty()).then_some(self.next_prompt_ms)
    }

    /// Looks at the managed ones when it is time.
    pub(super) fn prompt(&mut self, now_ms: u64) {
        if self.next_prompt_ms().is_none_or(|prompt_ms| now_ms < prompt_ms) {
            return;
        }
        self.next_prompt_ms = now_ms + PROMPT_INTERVAL_MS;
        let managed: Vec<At> = self.managed.iter().copied().filter(|at| self.is_askable(*at)).collect();
        let (timers, limits) = (self.config.timers, self.config.limits);
        for at in managed {
            if self.remember(at, now_ms) {
                self.table.update(at, |entry| {
                    entry.wait(None, &limits, now_ms);
                    entry.used(&timers, now_ms);
                });
            }
        }
    }
}
