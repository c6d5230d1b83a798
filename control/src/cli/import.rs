//! `weir import`

use super::print;
use crate::Failure;
use crate::import::{self, Mistakes, Origin};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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
    /// keepalived.conf, with virtual_server blocks, and what it includes
    Keepalived {
        #[command(flatten)]
        source: Source,
        /// The node whose lines that begin with `@ID` are meant, as keepalived's own option says it
        #[arg(short = 'i', long, value_name = "ID")]
        config_id: Option<String>,
    },
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
            From::Keepalived { source, config_id } => {
                let folder = source.file.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new(""));
                let origin = Origin { folder: folder.to_owned(), config_id };
                source.import(|text| import::keepalived(text, &origin))
            }
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
