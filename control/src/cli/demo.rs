//! `weir demo`

use crate::demo::{Demo, Pace};
use crate::{Failure, config};
use std::path::PathBuf;

/// The configuration that comes with the program.
const DEFAULT_CONFIG: &str = include_str!("../../../configs/demo.yaml");

/// Show all nodes of a cluster at work on a sample of traffic
///
/// Every node of the configuration's cluster runs in this process, each with its own pipeline and ports, and each
/// sees every frame. Fails when a frame was forwarded by more than one node.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A configuration with a cluster and two ports; otherwise the built-in one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What comes in by the first port
    #[arg(long, value_name = "FILE", default_value = "target/demo/lan.pcap")]
    lan: PathBuf,
    /// What comes in by the second port
    #[arg(long, value_name = "FILE", default_value = "target/demo/wan.pcap")]
    wan: PathBuf,
    /// Where the nodes' output captures go
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
    /// How fast the captures are played
    #[arg(long, value_enum, default_value_t)]
    pace: Pace,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let loaded = match &self.config {
            Some(path) => config::load(path),
            None => config::parse("configs/demo.yaml", DEFAULT_CONFIG),
        };
        let config = loaded.map_err(Failure::configuration)?.config;
        Demo { config, inputs: [self.lan, self.wan], out: self.out, pace: self.pace }.run()
    }
}
