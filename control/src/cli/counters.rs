//! `weir counters`

use super::gateway::Gateway;
use crate::Failure;
use crate::observe::{Counters, tables};
use hyper::Method;

/// Show what the workers of a running gateway counted, by outcome and drop reason
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show drop reasons that never came, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    gateway: Gateway,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.gateway
            .show::<Counters>(Method::GET, "/counters", |counters| tables::counters(counters, self.all))
    }
}
