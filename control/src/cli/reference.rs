//! `weir reference`

use super::print;
use crate::Failure;
use crate::{config, observe};
use clap::ValueEnum;

/// Print a reference page as Markdown
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which
    #[arg(value_enum, default_value_t = Page::Configuration)]
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every key of the configuration file
    Configuration,
    /// Every metric
    Metrics,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        print(&match self.page {
            Page::Configuration => config::reference(),
            Page::Metrics => observe::reference(),
        })
    }
}
