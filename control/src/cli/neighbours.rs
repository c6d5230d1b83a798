//! `weir neighbours`

use super::gateway::Gateway;
use super::values;
use crate::Failure;
use crate::api::NeighbourSelection;
use crate::observe::{Flushed, Neighbours, neighbour_tables};
use core::net::IpAddr;
use hyper::Method;
use serde::Serialize;

/// List the neighbours of a running gateway that routes and what is wrong with them, or forget one
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    gateway: Gateway,
    #[command(flatten, next_help_heading = "Which neighbours")]
    selection: NeighbourSelection,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Forget a neighbour: the next packet to it has it asked for again
    Flush(Flush),
}

#[derive(Debug, clap::Args)]
struct Flush {
    /// The neighbour's address
    #[arg(value_name = "ADDRESS", value_parser = values::address)]
    address: IpAddr,
    /// At this interface alone, such as lan or lan.20
    #[arg(short, long, alias = "dev", value_name = "INTERFACE")]
    interface: Option<String>,
    #[command(flatten)]
    gateway: Gateway,
}

/// The query of a flush.
#[derive(Serialize)]
struct AtInterface {
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Some(Action::Flush(flush)) => flush.run(),
            None => {
                let path = path("/neighbours", &self.selection)?;
                self.gateway.show::<Neighbours>(Method::GET, &path, neighbour_tables::neighbours)
            }
        }
    }
}

impl Flush {
    fn run(self) -> Result<(), Failure> {
        let at = AtInterface { interface: self.interface };
        let path = path(&format!("/neighbours/{}", self.address), &at)?;
        self.gateway.show::<Flushed>(Method::DELETE, &path, neighbour_tables::flushed)
    }
}

fn path(resource: &str, query: &impl Serialize) -> Result<String, Failure> {
    let query = serde_urlencoded::to_string(query).map_err(Failure::runtime)?;
    Ok(format!("{resource}?{query}"))
}
