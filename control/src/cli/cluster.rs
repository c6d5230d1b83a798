//! `weir cluster`

use super::gateway::Gateway;
use super::values::bucket;
use crate::Failure;
use crate::observe::{ClusterStatus, cluster_tables};
use hyper::Method;

/// Show the cluster, or change whose flows a running gateway handles
///
/// What may be changed depends on how the nodes know of each other: see docs/cluster.md.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show whose flows are handled here: members, map, shadows, heirs, alarms, the last changes
    Show {
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Get no new flows here; those that there are go on until they end, or until the deadline, then to other nodes
    Drain {
        /// Seconds until what is left goes to other nodes; without it `cluster.drain_s`
        #[arg(long, value_name = "S", alias = "deadline")]
        timeout_s: Option<u64>,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Take a drain back
    Resume {
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Let bucket N be one node's, as long as that may own any
    Pin {
        /// Bucket, from 1
        #[arg(value_name = "N", value_parser = bucket)]
        bucket: u16,
        /// The node's name
        #[arg(value_name = "NODE")]
        node: String,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Let bucket N be whose it would be
    Unpin {
        /// Bucket, from 1
        #[arg(value_name = "N", value_parser = bucket)]
        bucket: u16,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Own bucket N here too; with `local_nodes` until the next reload, with `static` until the next start
    Add {
        /// Bucket, or node number of Linux, from 1
        #[arg(value_name = "N", value_parser = bucket)]
        node: u16,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Own bucket N here no longer; with `local_nodes` until the next reload, with `static` until the next start
    Del {
        /// Bucket, or node number of Linux, from 1
        #[arg(value_name = "N", value_parser = bucket)]
        node: u16,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// With `static`: a node is dead; its buckets and flows are inherited. Say so on all nodes that run
    Take {
        /// The node's name
        #[arg(value_name = "NODE")]
        node: String,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// With `static`: a node lives again. Say so on all nodes that run
    Give {
        /// The node's name
        #[arg(value_name = "NODE")]
        node: String,
        #[command(flatten)]
        gateway: Gateway,
    },
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (gateway, method, path) = match self.action {
            Action::Show { gateway } => (gateway, Method::GET, "/cluster".to_owned()),
            Action::Drain { timeout_s, gateway } => {
                let deadline = timeout_s.map_or_else(String::new, |s| format!("?deadline_s={s}"));
                (gateway, Method::POST, format!("/cluster/drain{deadline}"))
            }
            Action::Resume { gateway } => (gateway, Method::DELETE, "/cluster/drain".to_owned()),
            Action::Pin { bucket, node, gateway } => {
                (gateway, Method::PUT, format!("/cluster/pins/{bucket}/{node}"))
            }
            Action::Unpin { bucket, gateway } => (gateway, Method::DELETE, format!("/cluster/pins/{bucket}")),
            Action::Add { node, gateway } => (gateway, Method::PUT, format!("/cluster/nodes/{node}")),
            Action::Del { node, gateway } => (gateway, Method::DELETE, format!("/cluster/nodes/{node}")),
            Action::Take { node, gateway } => (gateway, Method::PUT, format!("/cluster/dead/{node}")),
            Action::Give { node, gateway } => (gateway, Method::DELETE, format!("/cluster/dead/{node}")),
        };
        gateway.show::<ClusterStatus>(method, &path, cluster_tables::cluster)
    }
}
