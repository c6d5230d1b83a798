//! Why a check does not come out well.

use crate::health::{Failure, Outcome};
use std::io::{self, ErrorKind};

/// Why a check does not come out well.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Trouble {
    /// The server's fault, or that of the way to it.
    Bad(Failure),
    /// This machine's: it could not ask.
    Unable(String),
}

impl Trouble {
    /// What the kernel says of a packet or a connection.
    pub(super) fn network(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Bad(Failure::Refused),
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof => Self::Bad(Failure::Closed),
            ErrorKind::PermissionDenied
            | ErrorKind::AddrNotAvailable
            | ErrorKind::OutOfMemory
            | ErrorKind::InvalidInput => Self::Unable(format!("the kernel refuses to send: {error}")),
            _ => Self::Bad(Failure::Unreachable(error.to_string())),
        }
    }

    /// What the server said is not of `protocol`; unless it said nothing.
    pub(super) fn protocol(protocol: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            // What could be read, and means nothing, is the protocol's affair.
            let of_connection = |error: &&io::Error| error.kind() != ErrorKind::InvalidData;
            if let Some(error) = error.downcast_ref::<io::Error>().filter(of_connection) {
                return Self::network(error);
            }
            cause = error.source();
        }
        Self::Bad(Failure::Protocol { protocol, reason: error.to_string() })
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Bad(failure)
    }
}

impl From<Result<(), Trouble>> for Outcome {
    fn from(result: Result<(), Trouble>) -> Self {
        match result {
            Ok(()) => Self::Good,
            Err(Trouble::Bad(failure)) => Self::Bad(failure),
            Err(Trouble::Unable(why)) => Self::Unable(why),
        }
    }
}
