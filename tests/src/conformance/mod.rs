//! Agreement with Linux: what `weir replay` says of a capture beside what Linux answered, frame by frame.
//!
//! Linux's answers are files of one JSON line a frame (`NAME.own.jsonl`, `NAME.all.jsonl`), made with the set-up
//! that `configs/linux-own.yaml` and `configs/linux-all.yaml` describe. What may differ, and why, stands in
//! `docs/conformance.md`.

pub mod answer;
pub mod expected;
pub mod replay;

pub use answer::{Difference, LinuxAnswer, LinuxVerdict, Mode, Released, WeirAnswer, compare};
pub use expected::{Expectations, Expected};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Places {
    /// The gateway's binary.
    pub weir: PathBuf,
    /// The folder of the two configurations.
    pub configs: PathBuf,
    /// The folder of the captures.
    pub captures: PathBuf,
    /// The folder of Linux's answers.
    pub goldens: PathBuf,
}

/// How one capture fared in one mode.
#[derive(Clone, Debug)]
pub struct Report {
    /// The capture's name.
    pub capture: String,
    /// Whose flows were tracked.
    pub mode: Mode,
    /// Frames compared.
    pub compared: usize,
    /// Frames that Linux was never shown.
    pub skipped: usize,
    /// Where the two differ, by frame.
    pub differences: BTreeMap<usize, Difference>,
}

/// Replays `capture` in `mode` and compares.
pub fn judge(places: &Places, capture: &str, mode: Mode) -> Result<Report> {
    let config = places.configs.join(format!("linux-{}.yaml", mode.name()));
    let ours: Vec<WeirAnswer> =
        replay::verdicts(&places.weir, &config, &places.captures.join(format!("{capture}.pcap")))?;
    let golden = places.goldens.join(format!("{capture}.{}.jsonl", mode.name()));
    let text =
        std::fs::read_to_string(&golden).with_context(|| format!("cannot read {}", golden.display()))?;
    let theirs: Vec<LinuxAnswer> = lines(&text).with_context(|| golden.display().to_string())?;
    ensure!(
        ours.len() == theirs.len(),
        "{capture}: weir replay has {} outcomes for {} frames",
        ours.len(),
        theirs.len()
    );
    let skipped = theirs.iter().filter(|answer| answer.unsent.is_some()).count();
    let differences = theirs
        .iter()
        .zip(&ours)
        .filter_map(|(linux, weir)| Some((linux.frame, compare(mode, linux, weir)?)))
        .collect();
    Ok(Report { capture: capture.into(), mode, compared: theirs.len() - skipped, skipped, differences })
}

/// The captures that have an answer in both modes, by name.
pub fn captures(goldens: &Path) -> Result<Vec<String>> {
    let mut names = stems(goldens, ".own.jsonl")?;
    names.retain(|name| goldens.join(format!("{name}.all.jsonl")).exists());
    Ok(names)
}

/// The captures of a folder, by name.
pub fn names(captures: &Path) -> Result<Vec<String>> {
    stems(captures, ".pcap")
}

/// What comes before `suffix` in the names of a folder's files, sorted.
fn stems(folder: &Path, suffix: &str) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_string_lossy().strip_suffix(suffix).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// One JSON value a line.
pub fn lines<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    let parse = |(n, line)| serde_json::from_str(line).with_context(|| format!("line {}: {line}", n + 1));
    text.lines().enumerate().map(parse).collect()
}
