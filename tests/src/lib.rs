//! Weir's test harness: what the tests of this package, the demo and the benchmarks share.
//!
//! It builds and keeps frames, plays conversations, and judges the data plane by naive models. Nothing of the
//! gateway depends on it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a harness stops at the first surprise, and writes numbers into the fields of small frames"
)]

pub mod capture;
pub mod conformance;
pub mod conversation;
pub mod differential;
pub mod fuzzing;
pub mod instructions;
pub mod ladder;
pub mod mischief;
pub mod model;
pub mod mutate;
pub mod netns;
pub mod node;
pub mod oracle;
pub mod packet;
pub mod process;
pub mod rng;
pub mod scenario;
pub mod tidy;

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The top of the tree.
pub fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the workspace").into()
}

/// The folder that an environment variable names.
///
/// # Panics
///
/// When it names something else.
pub fn folder(variable: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(variable).filter(|value| !value.is_empty())?);
    // Cargo runs tests in the package's folder; people name folders from the top.
    let folder = tree().join(folder);
    assert!(folder.is_dir(), "{variable} names {}, which is not a folder", folder.display());
    Some(folder)
}

/// Says aloud that a test does not run here, and why.
///
/// # Panics
///
/// With `CI=true`, where a test that does not run is one that fails.
pub fn cannot_run(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "NOT RUN: {why}");
    // Not eprintln!: libtest keeps to itself what a test that passes prints with it.
    let _ = writeln!(std::io::stderr(), "NOT RUN: {why}");
}
