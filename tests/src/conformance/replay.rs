//! Runs `weir replay`.

use super::WeirAnswer;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary under test: `$WEIR`, else the one that was built in the same profile as this program.
pub fn binary() -> PathBuf {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    std::env::var_os("WEIR")
        .map_or_else(|| crate::tree().join("target").join(profile).join("weir"), Into::into)
}

/// What the gateway says of each frame of `capture`, sent into its port `in`, time standing still.
pub fn verdicts(weir: &Path, config: &Path, capture: &Path) -> Result<Vec<WeirAnswer>> {
    ensure!(
        weir.exists(),
        "there is no {}: build it with `cargo build -p weir-control`, or name it in WEIR",
        weir.display()
    );
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let verdicts = folder.path().join("verdicts.jsonl");
    let mut input = std::ffi::OsString::from("in=");
    input.push(capture);
    let run = Command::new(weir)
        .args(["replay", "--clock", "frozen", "--config"])
        .arg(config)
        .arg("--in")
        .arg(input)
        .arg("--verdicts")
        .arg(&verdicts)
        .output()
        .with_context(|| format!("cannot run {}", weir.display()))?;
    ensure!(
        run.status.success(),
        "weir replay of {} ended with {}:\n{}",
        capture.display(),
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );
    super::lines(&std::fs::read_to_string(&verdicts).context("weir replay has written no verdicts")?)
}
