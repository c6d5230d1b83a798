//! `weir flows`

use super::gateway::Gateway;
use crate::Failure;
use crate::api::FLOWS_LIMIT_MAX;
use crate::observe::tables;
use hyper::Method;

/// List live flows of a running gateway
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// List this many at most
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = limit)]
    limit: usize,
    #[command(flatten)]
    gateway: Gateway,
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit) if (1..=FLOWS_LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(format!("a number from 1 to {FLOWS_LIMIT_MAX} is wanted")),
    }
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.gateway.show(Method::GET, &format!("/flows?limit={}", self.limit), tables::flows)
    }
}
