//! The configuration file: text in, a [`GatewayConfig`] or every mistake at once out.
//!
//! Text → `yaml` (a tree and where each part stands) → `shape` (against the schema of `raw`) →
//! `validate` (against each other) → `gateway`, the domain types. Each mistake is told with file, line,
//! column, the text in question and what to do about it. The machine is not looked at: a file may be checked
//! where it is not going to run.

mod addition;
mod device;
mod finding;
mod gateway;
mod membership;
mod network;
mod path;
mod problem;
mod raw;
mod reference;
mod schema;
pub mod services;
mod shape;
mod validate;
mod words;
mod yaml;

pub use addition::addition;
pub use device::device;
pub use gateway::{
    Descriptors, Device, GatewayConfig, Idle, MacAddr, Memory, Placement, Port, Promiscuous, Queues, Rss,
    Workers,
};
pub use membership::{Carrier, Fixed, FixedMember, Membership};
pub use network::{Kernel, NamedInterface, Network, StaticNeighbour};
pub use problem::{ConfigErrors, Problem, Severity};
pub use reference::reference;
pub use schema::schema;
pub use services::Services;

use finding::Findings;
use std::path::Path;

/// A configuration without errors.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: GatewayConfig,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

/// Reads and checks the file at `path`.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigErrors::Read { path: path.to_owned(), source })?;
    parse(&path.display().to_string(), &text)
}

/// Checks `text`; `file` is its name in messages.
pub fn parse(file: &str, text: &str) -> Result<Loaded, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut findings = Findings::default();
    let document = yaml::parse(text, &mut findings);
    let config = document.as_ref().and_then(|document| {
        let raw = shape::check(document.value(), &mut findings);
        validate::gateway(raw, &mut findings)
    });
    let (errors, warnings) = findings.locate(file, text, document.as_ref());
    match config {
        Some(config) if errors.is_empty() => Ok(Loaded { config, warnings }),
        _ => Err(ConfigErrors::Wrong { errors, warnings }),
    }
}
