//! What workers tell each other of services: what schedulers by content have learned, and where clients are that stay.

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

/// A client that stays with its server has come to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// What of its address counts.
    pub network: IpAddr,
    /// Its server.
    pub server: ServerId,
    /// When that was.
    pub at: Tick,
}
