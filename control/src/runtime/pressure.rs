//! Watches how full the flow tables are, and says in the log when a level is entered or left.

use crate::observe::Pressure;
use std::cmp::Ordering;
use std::time::Duration;
use tracing::{info, warn};
use weir_dataplane::counters::Cell;
use weir_dataplane::mailbox::WorkerHandle;

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// How far the used share must fall below a level's threshold for the level to be left: one line in the log, not
/// hundreds, while a table hangs at the threshold.
const SLACK: f64 = 0.05;

/// The levels that the workers' tables are at.
#[derive(Debug, Default)]
pub(super) struct Watch {
    levels: Vec<Option<Pressure>>,
}

impl Watch {
    /// Looks at all tables.
    pub(super) fn look(&mut self, workers: &[WorkerHandle]) {
        self.levels.resize(workers.len(), None);
        for (worker, level) in workers.iter().zip(&mut self.levels) {
            let used = used(worker);
            let now = next(*level, used);
            let (worker, percent) = (worker.id().index(), format!("{:.0} %", used * 100.0));
            let name = now.map_or("none", Pressure::name);
            match now.cmp(level) {
                Ordering::Greater => warn!(worker, used = percent, level = name, "the flow table fills up"),
                Ordering::Less => {
                    info!(worker, used = percent, level = name, "the flow table has room again")
                }
                Ordering::Equal => {}
            }
            *level = now;
        }
    }
}

/// The used share of a worker's table.
fn used(worker: &WorkerHandle) -> f64 {
    let live: u64 = worker.counters().flows.iter().map(Cell::read).sum();
    live as f64 / worker.flows_max().max(1) as f64
}

/// The level that a table is at, having been at `level`.
fn next(level: Option<Pressure>, used: f64) -> Option<Pressure> {
    let stays = level.is_some_and(|level| used >= level.threshold() - SLACK);
    let now = Pressure::of(used);
    if stays { now.max(level) } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_entered_at_its_threshold_and_left_well_below() {
        let (warning, critical) = (Some(Pressure::Warning), Some(Pressure::Critical));
        let steps = [
            (None, 0.79, None),
            (None, 0.80, warning),
            (warning, 0.76, warning),
            (warning, 0.95, critical),
            (critical, 0.91, critical),
            (critical, 0.89, warning),
            (critical, 0.5, None),
            (warning, 0.74, None),
        ];
        for (before, used, after) in steps {
            assert_eq!(next(before, used), after, "{before:?} {used}");
        }
    }
}
