//! Asks Linux about every frame of a capture and prints its answers, one JSON line a frame, or records them beside
//! the capture as a regression case. Needs root.

use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use weir_tests::capture;
use weir_tests::differential::case::Case;
use weir_tests::differential::{Duel, Setting};

/// Asks this machine's Linux about every frame of a capture.
#[derive(Debug, Parser)]
struct Arguments {
    /// The capture
    #[arg(long)]
    capture: PathBuf,
    /// Whose flows are tracked, own or all, and what else is set: own, all+loose, all+liberal+no_checksum
    #[arg(long, alias = "mode", value_parser = Setting::parse)]
    setting: Setting,
    /// Keep it as a regression case in this folder, under the capture's name
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
}

fn main() -> Result<()> {
    let Arguments { capture, setting, record } = Arguments::parse();
    let stream: Vec<_> = capture::read(&capture)?.into_iter().map(|record| record.bytes).collect();
    let said = Duel::new(setting)?.linux(&stream)?;
    if let Some(folder) = record {
        let name = capture.file_stem().context("the capture has no name")?.to_string_lossy().into_owned();
        Case { name, setting, stream, said }.write(&folder)?;
        return Ok(());
    }
    let mut out = BufWriter::new(stdout().lock());
    for answer in said.answers {
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
