//! `weir completions`

use super::{definition, print};
use crate::Failure;
use clap_complete::Shell;

/// Print the completion script for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell
    shell: Shell,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut definition(), "weir", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
