//! `weir check`

use super::print;
use crate::Failure;
use crate::config;
use std::io::{self, Write};
use std::path::PathBuf;

/// Check a configuration file and show every mistake in it
///
/// The machine is not looked at: a file may be checked where it is not going to run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file
    file: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let loaded = config::load(&self.file).map_err(Failure::configuration)?;
        for warning in &loaded.warnings {
            let _ = writeln!(io::stderr(), "{warning}");
        }
        print(&format!("{}: good\n", self.file.display()))
    }
}
