//! `weir run`

use crate::{Failure, runtime};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Run a gateway
///
/// SIGINT and SIGTERM stop it: it finishes the frames in its queues and prints its totals. SIGHUP makes it read its
/// configuration again. Logs go to standard error; the environment variable WEIR_LOG sets how much (`info` unless
/// set; `debug`, `warn`, `weir_control=trace` …).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let filter = EnvFilter::builder()
            .with_default_directive(tracing::Level::INFO.into())
            .with_env_var("WEIR_LOG")
            .from_env()
            .map_err(|error| Failure::configuration(format!("WEIR_LOG: {error}")))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .init();
        runtime::run(&self.config)
    }
}
