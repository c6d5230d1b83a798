//! `weir schema`

use super::print;
use crate::Failure;
use crate::config;

/// Print the JSON Schema of the configuration file, for editors
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(&config::schema()).map_err(Failure::runtime)?;
        print(&format!("{text}\n"))
    }
}
