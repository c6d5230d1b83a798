//! A drain: no new connections, those that there are live on, until a deadline.

use core::time::Duration;

/// A drain under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// When it began.
    pub since_ms: u64,
    /// When what is left ends; `None`: by itself.
    pub deadline_ms: Option<u64>,
}

impl Drain {
    /// One that begins now.
    pub(super) fn begin(now_ms: u64, timeout: Option<Duration>) -> Self {
        let ms = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self { since_ms: now_ms, deadline_ms: timeout.map(|timeout| now_ms.saturating_add(ms(timeout))) }
    }

    /// Whether its deadline has passed.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.deadline_ms.is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }

    /// Milliseconds until the deadline.
    pub fn left_ms(&self, now_ms: u64) -> Option<u64> {
        self.deadline_ms.map(|deadline_ms| deadline_ms.saturating_sub(now_ms))
    }
}
