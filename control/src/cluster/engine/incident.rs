//! What goes wrong is told when it begins and when it is over, and not each time it is met in between.

use std::fmt::Display;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// One thing that may go wrong.
#[derive(Debug)]
pub(super) struct Incident {
    what: &'static str,
    since: Option<Instant>,
    met: Option<Instant>,
}

impl Incident {
    /// None so far. `what` is the sentence for the log.
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, since: None, met: None }
    }

    /// It is met: told if it is new.
    pub(super) fn met(&mut self, why: impl Display) {
        let now = Instant::now();
        self.met = Some(now);
        if self.since.is_none() {
            self.since = Some(now);
            warn!("{}: {why}", self.what);
        }
    }

    /// It is met for the first time in this long, or not at all told yet: for what nothing says that it is over.
    pub(super) fn met_after(&mut self, quiet: Duration, why: impl Display) {
        if self.met.is_some_and(|met| met.elapsed() >= quiet) {
            self.since = None;
        }
        self.met(why);
    }

    /// It is over: told if it was there.
    pub(super) fn over(&mut self) {
        if let Some(since) = self.since.take() {
            info!("over after {:.1} s: {}", since.elapsed().as_secs_f64(), self.what);
        }
    }
}
