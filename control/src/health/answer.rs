//! What comes of a check.

use std::time::Duration;

/// What comes of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered as it should.
    Good,
    /// It did not.
    Bad(Failure),
    /// It was not asked: this machine could not. Why, and what to do.
    Unable(String),
}

/// What is wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It did not answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// It refused the connection, or nobody listens there.
    #[error("refused")]
    Refused,
    /// It ended the connection without an answer.
    #[error("the connection was closed without an answer")]
    Closed,
    /// No packet gets there.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Its page has another status.
    #[error("status {0}")]
    Status(u16),
    /// Its page does not contain what it should, as far as it was read.
    #[error("the page does not contain the text")]
    Body,
    /// It answered with an error of DNS.
    #[error("DNS answers {0}")]
    Dns(String),
    /// What it said is not of the protocol.
    #[error("no {protocol}: {reason}")]
    Protocol {
        /// Which was expected.
        protocol: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The script ended with this status.
    #[error("the script ended with status {0}")]
    Exit(i32),
    /// A signal ended the script.
    #[error("signal {0} ended the script")]
    Signal(i32),
}
