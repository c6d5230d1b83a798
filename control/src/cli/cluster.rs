//! `weir cluster`

use super::gateway::Gateway;
use crate::Failure;
use crate::observe::{ClusterStatus, tables};
use hyper::Method;
use weir_dataplane::units::BUCKETS_MAX;

/// Show or change which nodes' flows a running gateway handles
///
/// A change holds until the configuration is loaded again; it takes effect within one turn of the workers.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show which nodes' flows are handled here
    Show {
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Get no new flows here; those that there are go on until they end, or until the deadline, then to other nodes
    Drain {
        /// Seconds until what is left goes to other nodes; without it `cluster.drain_s`
        #[arg(long, value_name = "S")]
        deadline: Option<u64>,
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
        #[arg(value_name = "N", value_parser = node_number())]
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
        #[arg(value_name = "N", value_parser = node_number())]
        bucket: u16,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Handle node N's flows here too
    Add {
        /// Node number, from 1
        #[arg(value_name = "N", value_parser = node_number())]
        node: u16,
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Handle node N's flows here no longer
    Del {
        /// Node number, from 1
        #[arg(value_name = "N", value_parser = node_number())]
        node: u16,
        #[command(flatten)]
        gateway: Gateway,
    },
}

fn node_number() -> impl clap::builder::TypedValueParser<Value = u16> {
    clap::value_parser!(u16).range(1..=BUCKETS_MAX as i64)
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (gateway, method, path) = match self.action {
            Action::Show { gateway } => (gateway, Method::GET, "/cluster".to_owned()),
            Action::Drain { deadline, gateway } => {
                let deadline = deadline.map_or_else(String::new, |s| format!("?deadline_s={s}"));
                (gateway, Method::POST, format!("/cluster/drain{deadline}"))
            }
            Action::Resume { gateway } => (gateway, Method::DELETE, "/cluster/drain".to_owned()),
            Action::Pin { bucket, node, gateway } => {
                (gateway, Method::PUT, format!("/cluster/pins/{bucket}/{node}"))
            }
            Action::Unpin { bucket, gateway } => (gateway, Method::DELETE, format!("/cluster/pins/{bucket}")),
            Action::Add { node, gateway } => (gateway, Method::PUT, format!("/cluster/nodes/{node}")),
            Action::Del { node, gateway } => (gateway, Method::DELETE, format!("/cluster/nodes/{node}")),
        };
        gateway.show::<ClusterStatus>(method, &path, tables::cluster)
    }
}
