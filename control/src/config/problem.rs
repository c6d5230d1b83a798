//! Mistakes in a configuration file, as people read them.

use core::fmt;
use std::path::PathBuf;

/// Whether a gateway can run with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it is probably not meant.
    Warning,
}

/// One mistake and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters in question, at least 1.
    pub length: usize,
    /// The whole line.
    pub source: String,
    /// Whether it stops the gateway.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// `file:line:column: message`, then the line with the text in question underlined, then the hint.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, length, source, severity, message, hint } = self;
        let warning = if *severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{file}:{line}:{column}: {warning}{message}")?;
        // Tabs are kept in the indentation, so that the underline stands below its text in any terminal.
        let indent: String =
            source.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "\n  {source}\n  {indent}{}", "^".repeat(*length))?;
        if let Some(hint) = hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigErrors {
    /// The file is not there, not readable, or not UTF-8.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{}", listing(errors))]
    Wrong {
        /// Every mistake, in the order of the file; at least one.
        errors: Vec<Problem>,
        /// What is allowed but probably not meant.
        warnings: Vec<Problem>,
    },
}

fn listing(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
