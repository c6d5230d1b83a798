//! `weir explain`

use super::gateway::Gateway;
use super::values;
use crate::Failure;
use crate::observe::{Explanation, cluster_tables};
use core::net::IpAddr;
use hyper::Method;

/// Tell whose the flows are that an address opens, and whose they would be if a node died
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The address that opens flows
    #[arg(value_name = "ADDRESS", value_parser = values::address)]
    address: IpAddr,
    #[command(flatten)]
    gateway: Gateway,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = format!("/explain/{}", self.address);
        self.gateway.show::<Explanation>(Method::GET, &path, cluster_tables::explanation)
    }
}
