//! `weir explain`

use super::gateway::Gateway;
use super::values;
use crate::Failure;
use crate::api::ExplainRequest;
use crate::observe::{Explanation, explanation};
use core::net::IpAddr;
use hyper::Method;

/// Tell whose the flows are that an address opens, whose they would be if a node died, and who takes flows to it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The address that opens flows, or to which they are opened
    #[arg(value_name = "ADDRESS", value_parser = values::address)]
    address: IpAddr,
    #[command(flatten)]
    request: ExplainRequest,
    #[command(flatten)]
    gateway: Gateway,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let query = serde_urlencoded::to_string(self.request).map_err(Failure::runtime)?;
        let path = format!("/explain/{}?{query}", self.address);
        self.gateway.show::<Explanation>(Method::GET, &path, explanation::text)
    }
}
