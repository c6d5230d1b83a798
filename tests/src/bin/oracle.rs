//! Asks Linux about every frame of a capture and prints its answers, one JSON line a frame. Needs root.

use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use weir_tests::capture;
use weir_tests::conformance::Mode;
use weir_tests::oracle::{EVERY_HELPER, Oracle, Rules};

/// Asks this machine's Linux about every frame of a capture.
#[derive(Debug, Parser)]
struct Arguments {
    /// The capture
    #[arg(long)]
    capture: PathBuf,
    /// Whose flows are tracked: own, all
    #[arg(long, value_parser = mode)]
    mode: Mode,
}

fn mode(name: &str) -> Result<Mode> {
    Mode::ALL.into_iter().find(|mode| mode.name() == name).context("give own or all")
}

fn main() -> Result<()> {
    let Arguments { capture, mode } = Arguments::parse();
    let frames = capture::read(&capture)?;
    let rules = Rules { helpers: EVERY_HELPER.to_vec(), ..Rules::new(mode) };
    let answers = Oracle::new(&rules)?.answers(frames.iter().map(|frame| &frame.bytes[..]))?;
    let mut out = BufWriter::new(stdout().lock());
    for answer in answers {
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
