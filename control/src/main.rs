//! The `weir` command.

use std::process::ExitCode;
use weir_dpdk::memory::HugePages;

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    weir_control::cli::main()
}
