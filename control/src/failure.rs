//! How a command fails: one variant for each exit code.

use std::process::ExitCode;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The machine, a file or a gateway stood in the way: exit code 1.
    #[error("{0}")]
    Runtime(String),
    /// The command line or the configuration is wrong: exit code 2.
    #[error("{0}")]
    Configuration(String),
}

impl Failure {
    /// A runtime failure of this text.
    pub fn runtime(text: impl ToString) -> Self {
        Self::Runtime(text.to_string())
    }

    /// A wrong configuration or command line, of this text.
    pub fn configuration(text: impl ToString) -> Self {
        Self::Configuration(text.to_string())
    }

    /// The number the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Runtime(_) => ExitCode::from(1),
            Self::Configuration(_) => ExitCode::from(2),
        }
    }
}
