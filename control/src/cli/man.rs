//! `weir man`

use super::definition;
use crate::Failure;
use std::fs;
use std::path::PathBuf;

/// Write the man pages of all commands into a directory
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Made if it is not there
    directory: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        fs::create_dir_all(&self.directory)
            .and_then(|()| clap_mangen::generate_to(definition(), &self.directory))
            .map_err(|error| {
                Failure::runtime(format!("cannot write man pages into {}: {error}", self.directory.display()))
            })
    }
}
