//! Writes the inputs that a fuzz target begins with into a folder.

use anyhow::{Result, ensure};
use clap::Parser;
use std::path::PathBuf;
use weir_tests::fuzzing::seeds;

#[derive(Parser)]
struct Arguments {
    /// The target's name.
    target: String,
    /// Where to write them.
    folder: PathBuf,
}

fn main() -> Result<()> {
    let Arguments { target, folder } = Arguments::parse();
    let seeds = seeds::of(&target);
    ensure!(!seeds.is_empty(), "there are no seeds for {target}");
    std::fs::create_dir_all(&folder)?;
    for (name, input) in seeds {
        std::fs::write(folder.join(name), input)?;
    }
    Ok(())
}
