//! `weir import`

use super::print;
use crate::Failure;
use crate::import::{self, Mistakes};
use std::io::{self, Read};
use std::path::PathBuf;

/// Print another system's configuration as a part of Weir's
///
/// A comment stands beside each thing that means something else here, or that cannot be carried over.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// What iptables-save prints, with rules of CLUSTERIP or of the cluster match
    Clusterip(Source),
    /// What `ipvsadm -Sn` prints
    Ipvsadm(Source),
    /// keepalived.conf, with virtual_server blocks
    Keepalived(Source),
}

#[derive(Debug, clap::Args)]
struct Source {
    /// The file; without it standard input
    file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.from {
            From::Clusterip(source) => source.import(import::clusterip),
            From::Ipvsadm(source) => source.import(import::ipvsadm),
            From::Keepalived(source) => source.import(import::keepalived),
        }
    }
}

impl Source {
    fn import(self, import: impl FnOnce(&str) -> Result<String, Mistakes>) -> Result<(), Failure> {
        let text = match &self.file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| Failure::runtime(format!("cannot read {}: {error}", path.display())))?,
            None => {
                let mut text = String::new();
                io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| Failure::runtime(format!("cannot read standard input: {error}")))?;
                text
            }
        };
        print(&import(&text).map_err(Failure::configuration)?)
    }
}
