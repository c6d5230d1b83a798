//! Collects what is wrong with a configuration, so that all of it can be told at once.

use super::path::Path;
use super::problem::{Problem, Severity};
use super::yaml::{Document, Span};

/// Where a finding points.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// The value at this path.
    Value(Path),
    /// The key of the value at this path.
    Key(Path),
    /// A place in the text, before there is a tree.
    Text(Span),
}

impl Target {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Value(path) | Self::Key(path) => Some(path),
            Self::Text(_) => None,
        }
    }
}

#[derive(Debug)]
struct Finding {
    target: Target,
    severity: Severity,
    message: String,
    hint: Option<String>,
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    /// Values that were taken out because they were wrong.
    removed: Vec<Path>,
}

impl Findings {
    /// Adds a mistake.
    pub(super) fn error(&mut self, target: Target, message: String, hint: impl Into<Option<String>>) {
        self.add(Severity::Error, target, message, hint.into());
    }

    /// Adds something that is allowed but probably not meant.
    pub(super) fn warning(&mut self, target: Target, message: String, hint: impl Into<Option<String>>) {
        self.add(Severity::Warning, target, message, hint.into());
    }

    /// Notes that the value at `path`, already found to be wrong, is left out of further checks.
    pub(super) fn removed(&mut self, path: Path) {
        self.removed.push(path);
    }

    /// Whether the value at `path` was left out because it was wrong.
    pub(super) fn is_removed(&self, path: &Path) -> bool {
        self.removed.contains(path)
    }

    /// A finding about a value that something was taken out of may be a mere consequence of that: it is left out.
    fn add(&mut self, severity: Severity, target: Target, message: String, hint: Option<String>) {
        let consequence =
            target.path().is_some_and(|path| self.removed.iter().any(|removed| path.contains(removed)));
        if !consequence {
            self.found.push(Finding { target, severity, message, hint });
        }
    }

    /// Errors and warnings, each in the order of the file.
    pub(super) fn locate(
        self,
        file: &str,
        text: &str,
        document: Option<&Document>,
    ) -> (Vec<Problem>, Vec<Problem>) {
        let mut problems: Vec<Problem> = self
            .found
            .into_iter()
            .map(|Finding { target, severity, message, hint }| {
                let span = match (&target, document) {
                    (Target::Text(span), _) => *span,
                    (Target::Key(path), Some(document)) => document.key(path),
                    (Target::Value(path), Some(document)) => document.value_span(path),
                    (Target::Key(_) | Target::Value(_), None) => Span::START,
                };
                let Span { line, column, length } = span;
                let source = text.lines().nth(line - 1).unwrap_or_default().to_owned();
                Problem { file: file.to_owned(), line, column, length, source, severity, message, hint }
            })
            .collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.into_iter().partition(|problem| problem.severity == Severity::Error)
    }
}
