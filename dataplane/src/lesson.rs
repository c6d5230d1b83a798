//! What schedulers that go by content tell each other from worker to worker.

use crate::units::{ServerId, Tick};
use core::net::IpAddr;

/// What a scheduler has learned, for the tables of the other workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Where the content comes from.
    pub address: IpAddr,
    /// One of its servers.
    pub server: ServerId,
    /// Whether it is one from now on, or no longer.
    pub holds: bool,
    /// When that was.
    pub at: Tick,
}
