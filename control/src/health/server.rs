//! One server: alive or dead, by answers, connections and time.

use super::hold::Hold;
use super::{Failure, Outcome, Reason};
use crate::config::services::Health;
use std::collections::VecDeque;
use std::time::Duration;

/// After failed connections it is kept out for so long at least. DPVS's.
const PASSIVE_HOLD_MS: u64 = 5_000;

/// A server that stands for so many intervals has come back for good.
const STEADY_INTERVALS: u64 = 10;

/// Changes that are remembered.
const HISTORY_MAX: usize = 16;

/// What has become of a server's connections since it has been there. The numbers only grow; of one that is lower than
/// the last nothing follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The server has answered.
    pub answered: u64,
    /// The client has had to send its SYN again.
    pub unanswered: u64,
    /// The answer to the SYN was a reset.
    pub refused: u64,
}

/// What follows from what has become of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// Nothing.
    None,
    /// So many have failed that the server is to be asked at once.
    Doubt,
    /// So many have failed that the server, of which nothing is asked, is dead, and was not.
    Death,
}

/// How often what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) good: u64,
    pub(super) bad: u64,
    pub(super) unable: u64,
    pub(super) falls: u64,
}

/// What is known of a server. Times are those of a clock that only goes forward.
#[derive(Debug)]
pub(super) struct Server {
    /// Whether something is asked of it; else connections and time alone say whether it lives.
    is_asked: bool,
    is_alive: bool,
    since_ms: u64,
    reason: Reason,
    /// Answers in a row like the last.
    good: u32,
    bad: u32,
    tally: Option<Tally>,
    /// Connections in a row that failed.
    unanswered: u64,
    refused: u64,
    hold: Hold,
    counts: Counts,
    last: Option<(u64, u64, Outcome)>,
    /// The latest last.
    history: VecDeque<(u64, bool, Reason)>,
}

impl Server {
    pub(super) fn new(is_asked: bool, now_ms: u64) -> Self {
        Self {
            is_asked,
            is_alive: true,
            since_ms: now_ms,
            reason: Reason::New,
            good: 0,
            bad: 0,
            tally: None,
            unanswered: 0,
            refused: 0,
            hold: Hold::default(),
            counts: Counts::default(),
            last: None,
            history: VecDeque::new(),
        }
    }

    /// Takes in what came of a check and how long that took; whether the server is alive or dead by it, and was not.
    pub(super) fn answer(&mut self, health: &Health, outcome: Outcome, took_ms: u64, now_ms: u64) -> bool {
        let failure = match &outcome {
            Outcome::Good => {
                self.counts.good += 1;
                (self.good, self.bad) = (self.good.saturating_add(1), 0);
                None
            }
            Outcome::Bad(failure) => {
                self.counts.bad += 1;
                (self.good, self.bad) = (0, self.bad.saturating_add(1));
                Some(failure.clone())
            }
            Outcome::Unable(_) => {
                self.counts.unable += 1;
                None
            }
        };
        self.last = Some((now_ms, took_ms, outcome));
        match failure {
            Some(failure) => self.bad_answer(health, failure, now_ms),
            None => self.look(health, now_ms),
        }
    }

    fn bad_answer(&mut self, health: &Health, failure: Failure, now_ms: u64) -> bool {
        let falls = self.is_alive && self.bad >= health.fall;
        if falls {
            self.fall(health, Reason::Checks(self.bad, failure), ms(health.interval), now_ms);
        }
        falls
    }

    /// Takes in what has become of its connections. An answer between two tallies breaks the row, whichever of them came
    /// last. Where there is a check that decides: whoever can send SYNs could kill a server otherwise.
    pub(super) fn traffic(&mut self, health: &Health, tally: Tally, now_ms: u64) -> Suspicion {
        let last = self.tally.replace(tally).unwrap_or(tally);
        if tally.answered > last.answered || !self.is_alive {
            (self.unanswered, self.refused) = (0, 0);
            return Suspicion::None;
        }
        self.unanswered = self.unanswered.saturating_add(tally.unanswered.saturating_sub(last.unanswered));
        self.refused = self.refused.saturating_add(tally.refused.saturating_sub(last.refused));
        let (unanswered, refused) = (self.unanswered, self.refused);
        let row = unanswered.saturating_add(refused);
        if health.passive_fall.is_none_or(|limit| row < u64::from(limit.max(1))) {
            return Suspicion::None;
        }
        (self.unanswered, self.refused) = (0, 0);
        if self.is_asked {
            return Suspicion::Doubt;
        }
        let reason = Reason::Connections { unanswered, refused };
        self.fall(health, reason, ms(health.interval).max(PASSIVE_HOLD_MS), now_ms);
        Suspicion::Death
    }

    /// Looks at the time; whether the server is alive by it, and was not.
    pub(super) fn look(&mut self, health: &Health, now_ms: u64) -> bool {
        let rises = self.rises_ms(health).is_some_and(|at_ms| now_ms >= at_ms);
        if rises {
            let reason = if self.is_asked { Reason::Answers(self.good) } else { Reason::TriedAgain };
            self.change(true, reason, now_ms);
        }
        rises
    }

    /// When it comes back, if nothing happens; `None`: it is there, or waits for answers.
    pub(super) fn rises_ms(&self, health: &Health) -> Option<u64> {
        let answers = !self.is_asked || self.good >= health.rise;
        (!self.is_alive && answers).then_some(self.hold.until_ms())
    }

    /// Another question is asked from now on, or none: answers to the last one do not count.
    pub(super) const fn ask_anew(&mut self, is_asked: bool) {
        self.is_asked = is_asked;
        (self.good, self.bad) = (0, 0);
    }

    fn fall(&mut self, health: &Health, reason: Reason, least_ms: u64, now_ms: u64) {
        let stood_ms = now_ms.saturating_sub(self.since_ms);
        let steady_ms = ms(health.interval).saturating_mul(STEADY_INTERVALS);
        self.hold.begin(now_ms, stood_ms, least_ms, steady_ms);
        self.counts.falls += 1;
        // Answers from before do not bring it back.
        self.good = 0;
        self.change(false, reason, now_ms);
    }

    fn change(&mut self, is_alive: bool, reason: Reason, now_ms: u64) {
        (self.is_alive, self.since_ms) = (is_alive, now_ms);
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back((now_ms, is_alive, reason.clone()));
        self.reason = reason;
    }
}

/// What is shown of it.
impl Server {
    pub(super) const fn is_alive(&self) -> bool {
        self.is_alive
    }

    pub(super) const fn since_ms(&self) -> u64 {
        self.since_ms
    }

    pub(super) const fn reason(&self) -> &Reason {
        &self.reason
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    /// When it may come back, while it is dead.
    pub(super) fn held_until_ms(&self) -> Option<u64> {
        (!self.is_alive).then_some(self.hold.until_ms())
    }

    /// When the last check ended, how long it took in milliseconds, and what came of it.
    pub(super) const fn last(&self) -> Option<&(u64, u64, Outcome)> {
        self.last.as_ref()
    }

    /// When it changed, to what, and why; the latest last.
    pub(super) fn history(&self) -> impl Iterator<Item = &(u64, bool, Reason)> {
        self.history.iter()
    }
}

/// A time of the configuration in milliseconds.
pub(super) fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
