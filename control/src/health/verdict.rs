//! Who lives, and why.

use super::Failure;
use std::fmt;
use std::sync::Arc;

/// What is held of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its service's or pool's name.
    pub service: Arc<str>,
    /// Its name.
    pub server: Arc<str>,
    /// Whether it may have connections.
    pub alive: bool,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, server, alive, reason } = self;
        write!(f, "{service}: {server} is {}: {reason}", if *alive { "alive" } else { "dead" })
    }
}

/// Why a server is alive or dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Alive: nothing else is known yet.
    New,
    /// Alive: so many good answers in a row.
    Answers(u32),
    /// Alive: its connections failed a while ago, and nothing is asked of it.
    TriedAgain,
    /// Dead: so many bad answers in a row, and the last.
    Checks(u32, Failure),
    /// Dead: so many connections in a row without an answer, and refused.
    Connections {
        /// Nobody answered.
        unanswered: u64,
        /// They were reset.
        refused: u64,
    },
    /// Alive although it is not: of the servers of its service too few are.
    Panic {
        /// So many live.
        alive: usize,
        /// Of so many.
        servers: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("nothing else is known yet"),
            Self::Answers(1) => f.write_str("a good answer"),
            Self::Answers(row) => write!(f, "{row} good answers in a row"),
            Self::TriedAgain => f.write_str("it is tried again"),
            Self::Checks(1, failure) => write!(f, "a bad answer: {failure}"),
            Self::Checks(row, failure) => write!(f, "{row} bad answers in a row, the last: {failure}"),
            Self::Connections { unanswered, refused } => {
                write!(f, "connections in a row failed: {unanswered} without an answer, {refused} refused")
            }
            Self::Panic { alive, servers } => {
                write!(f, "panic: of {servers} servers only {alive} live, so all are used")
            }
        }
    }
}
