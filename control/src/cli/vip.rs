//! `weir vip`

use super::gateway::Gateway;
use super::values;
use crate::Failure;
use crate::observe::{VipRow, Vips, vip_tables};
use core::net::IpAddr;
use hyper::Method;

/// List the addresses that a running gateway shares with other nodes, or change which nodes of one it stands for
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List all VIPs
    List {
        #[command(flatten)]
        gateway: Gateway,
    },
    /// Print the nodes that are here, as /proc/net/ipt_CLUSTERIP/ADDRESS did
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Take the packets of node N too, until a reload changes the VIP: `echo +N > /proc/net/ipt_CLUSTERIP/ADDRESS`
    Add {
        #[command(flatten)]
        node: Node,
    },
    /// Leave the packets of node N to others, until a reload changes the VIP: `echo -N > …`
    Del {
        #[command(flatten)]
        node: Node,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The VIP
    #[arg(value_name = "ADDRESS", value_parser = values::address)]
    address: IpAddr,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, clap::Args)]
struct Node {
    /// The VIP
    #[arg(value_name = "ADDRESS", value_parser = values::address)]
    address: IpAddr,
    /// Node, from 1
    #[arg(value_name = "N")]
    node: String,
    #[command(flatten)]
    gateway: Gateway,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List { gateway } => gateway.show::<Vips>(Method::GET, "/vips", vip_tables::vips),
            Action::Show { which: Which { address, gateway } } => {
                gateway.show::<VipRow>(Method::GET, &format!("/vips/{address}"), vip_tables::proc_file)
            }
            Action::Add { node } => node.set(Method::PUT),
            Action::Del { node } => node.set(Method::DELETE),
        }
    }
}

impl Node {
    fn set(self, method: Method) -> Result<(), Failure> {
        let node = serde_urlencoded::to_string([("node", &self.node)]).map_err(Failure::runtime)?;
        let path = format!("/vips/{}/nodes?{node}", self.address);
        self.gateway.show::<VipRow>(method, &path, vip_tables::proc_file)
    }
}
