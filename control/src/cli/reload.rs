//! `weir reload`

use super::gateway::Gateway;
use crate::Failure;
use crate::api::Reloaded;
use hyper::Method;

/// Make a running gateway read its configuration again
///
/// A wrong file, or one that asks for what only a restart can change, changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    gateway: Gateway,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.gateway.show::<Reloaded>(Method::POST, "/reload", |reloaded| {
            for warning in &reloaded.warnings {
                super::warn(warning);
            }
            format!("the configuration is in force, epoch {}\n", reloaded.epoch)
        })
    }
}
