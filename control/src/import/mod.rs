//! Other systems' configurations as parts of ours.
//!
//! An importer reads text and writes YAML, with a comment for each thing that means something else here, or that cannot
//! be carried over. What it does not understand is an error with its line; nothing is left out without a word.

mod blocks;
mod checkers;
mod clusterip;
mod combined;
mod definitions;
mod iptables;
mod ipvsadm;
mod keepalived;
mod lines;
mod script;
mod services;

pub use clusterip::clusterip;
pub use ipvsadm::ipvsadm;
pub use keepalived::keepalived;
pub use lines::Origin;

use core::fmt;
use std::path::PathBuf;

/// A line that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// The file that it is in; `None`: the one that was given.
    pub file: Option<PathBuf>,
    /// Its number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, text, message } = self;
        match file {
            Some(file) => write!(f, "{}:{line}: {message}\n    {text}", file.display()),
            None => write!(f, "line {line}: {message}\n    {text}"),
        }
    }
}

/// All lines of a text that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}
