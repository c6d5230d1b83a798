//! What a worker remembers of a service between two connections.

use crate::config::service::{Locality, Scheduler};
use crate::sched::cache::Table;
use crate::sched::{rr, wrr};

/// By scheduler.
#[derive(Debug, Default)]
pub enum Memory {
    /// Nothing.
    #[default]
    None,
    /// Whose turn it was.
    Rr(rr::Round),
    /// Where in its round it is.
    Wrr(wrr::Round),
    /// Which servers hold what.
    Cache(Table),
}

impl Memory {
    /// An empty one. For `lblc` and `lblcr` it takes some megabytes: make it where that does not matter.
    pub fn new(scheduler: Scheduler) -> Self {
        match scheduler {
            Scheduler::Rr => Self::Rr(rr::Round::default()),
            Scheduler::Wrr => Self::Wrr(wrr::Round::default()),
            Scheduler::Lblc(locality) | Scheduler::Lblcr(locality) => Self::cache(locality),
            _ => Self::None,
        }
    }

    fn cache(locality: Locality) -> Self {
        Self::Cache(Table::new(locality))
    }
}
