//! What an operator is shown of health.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A service or a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// Servers that live.
    pub alive: usize,
    /// Whether too few do, so that all count as alive.
    pub panic: bool,
    /// In the order of the configuration.
    pub servers: Vec<ServerView>,
}

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ServerView {
    /// Its name.
    pub server: String,
    /// Where it is, if it has an address.
    pub address: Option<IpAddr>,
    /// Whether it lives, by its own answers and connections.
    pub alive: bool,
    /// For how long it has.
    pub for_ms: u64,
    /// Why. Of one that is dead and is used nevertheless, because too few live: that as well.
    pub reason: String,
    /// Why its checks cannot be made, if they cannot.
    pub unchecked: Option<String>,
    /// For how long it is kept out at least, if it is dead.
    pub held_for_ms: Option<u64>,
    /// What came of the last check.
    pub last: Option<LastAnswer>,
    /// Checks with a good answer.
    pub good: u64,
    /// Checks with a bad one, or none.
    pub bad: u64,
    /// Checks that could not be made.
    pub unable: u64,
    /// Times that it has died.
    pub falls: u64,
    /// The last changes, the latest last.
    pub history: Vec<Change>,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LastAnswer {
    /// How long ago.
    pub ago_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// `good`, what was wrong, or why it could not be made.
    pub outcome: String,
}

/// A server came or went.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Change {
    /// How long ago.
    pub ago_ms: u64,
    /// Whether it has lived since.
    pub alive: bool,
    /// Why.
    pub reason: String,
}
