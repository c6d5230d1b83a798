//! `weir pool`

use super::gateway::Gateway;
use super::service::path;
use super::values;
use crate::Failure;
use crate::api::{GroupQuery, ServerQuery};
use crate::observe::{Pools, service_tables};
use clap::ValueEnum;
use core::net::IpAddr;
use hyper::Method;

/// Show the pools of a running gateway, or change their nodes
///
/// What is changed here holds until the next start, and over reloads unless the configuration says something new of the
/// same thing: see docs/pools.md.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show pools and nodes: state, cost, load, connections, drains
    Show {
        /// This pool alone
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Add a node
    Add {
        #[command(flatten)]
        node: Node,
        /// Where it is
        #[arg(value_name = "ADDRESS", value_parser = values::address)]
        address: IpAddr,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Set the cost or the state of a node
    Set {
        #[command(flatten)]
        node: Node,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Give a node no new connections; those that it has live on until they end, or until the deadline
    Drain {
        #[command(flatten)]
        node: Node,
        /// Seconds until what is left ends; without it `drain_timeout_s` of the pool
        #[arg(long, value_name = "S")]
        timeout_s: Option<u64>,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Take a drain back
    Undrain {
        #[command(flatten)]
        node: Node,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Take a node away; its connections live on as long as a drain lets them
    Del {
        #[command(flatten)]
        node: Node,
        #[command(flatten)]
        gateway: Gateway,
    },
}

#[derive(Debug, clap::Args)]
struct Node {
    /// The pool
    #[arg(value_name = "NAME")]
    name: String,
    /// The node's name
    #[arg(value_name = "NODE")]
    node: String,
}

#[derive(Debug, clap::Args)]
struct Settings {
    /// What a connection adds to its load
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    cost: Option<u16>,
    /// Whether it may have connections
    #[arg(long, value_name = "STATE")]
    state: Option<State>,
}

/// Whether a node may have connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// It may
    Up,
    /// It keeps those that it has, and gets no new ones
    Down,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (gateway, method, resource, query) = match self.action {
            Action::Show { name, gateway } => {
                let path = path("/pools", &GroupQuery { name })?;
                return gateway.show::<Pools>(Method::GET, &path, service_tables::pools);
            }
            Action::Add { node, address, settings, gateway } => {
                let query = ServerQuery { address: Some(address), ..settings.of(node) };
                (gateway, Method::PUT, "/pools/nodes", query)
            }
            Action::Set { node, settings, gateway } => {
                (gateway, Method::PATCH, "/pools/nodes", settings.of(node))
            }
            Action::Drain { node, timeout_s, gateway } => {
                (gateway, Method::PUT, "/pools/drains", ServerQuery { timeout_s, ..node.query() })
            }
            Action::Undrain { node, gateway } => (gateway, Method::DELETE, "/pools/drains", node.query()),
            Action::Del { node, gateway } => (gateway, Method::DELETE, "/pools/nodes", node.query()),
        };
        gateway.show::<Pools>(method, &path(resource, &query)?, service_tables::pools)
    }
}

impl Node {
    fn query(self) -> ServerQuery {
        ServerQuery { name: self.name, server: self.node, ..ServerQuery::default() }
    }
}

impl Settings {
    fn of(self, node: Node) -> ServerQuery {
        let up = self.state.map(|state| state == State::Up);
        ServerQuery { cost: self.cost, up, ..node.query() }
    }
}
