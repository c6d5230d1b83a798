//! Other systems' configurations as parts of ours.
//!
//! An importer reads text and writes YAML, with a comment for each thing that means something else here, or that cannot
//! be carried over. What it does not understand is an error with its line; nothing is left out without a word.

mod blocks;
mod checkers;
mod clusterip;
mod iptables;
mod ipvsadm;
mod keepalived;
mod services;

pub use clusterip::clusterip;
pub use ipvsadm::ipvsadm;
pub use keepalived::keepalived;

use core::fmt;

/// A line that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}\n    {text}")]
pub struct Mistake {
    /// Its number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
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
