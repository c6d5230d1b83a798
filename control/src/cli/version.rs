//! `weir version`

use super::print;
use crate::Failure;
use weir_dpdk::Eal;

/// Print the versions of Weir and of the DPDK it is linked with
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        print(&format!("weir {}\n{}\n", env!("CARGO_PKG_VERSION"), Eal::version()))
    }
}
