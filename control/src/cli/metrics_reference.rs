//! `weir metrics-reference`

use super::print;
use crate::Failure;
use crate::observe::reference;

/// Print the reference page of all metrics as Markdown
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        print(&reference())
    }
}
