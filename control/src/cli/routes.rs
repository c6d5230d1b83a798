//! `weir routes`

use super::gateway::Gateway;
use crate::Failure;
use crate::observe::{Routes, routes};
use hyper::Method;

/// List the routes in force, and whose word each is: the configuration's, the kernel's, or an interface's
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    gateway: Gateway,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.gateway.show::<Routes>(Method::GET, "/routes", routes::routes)
    }
}
