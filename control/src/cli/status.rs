//! `weir status`

use super::gateway::Gateway;
use crate::Failure;
use crate::observe::tables;
use hyper::Method;

/// Show a running gateway: version, ports, workers, table fill
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    gateway: Gateway,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.gateway.show(Method::GET, "/status", tables::status)
    }
}
