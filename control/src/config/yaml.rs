//! YAML: the only place that knows the syntax and the libraries that read it.
//!
//! `serde_yaml` gives the tree, `marked-yaml` where each part of it stands. Both read YAML 1.2, so `on`, `off`
//! and MAC addresses are text. Anchors, aliases and tags are refused: a configuration says each thing where it holds.

use super::finding::{Findings, Target};
use super::path::Path;
use marked_yaml::{LoadError, LoaderOptions, Marker, Node};
use serde_json::Value;

/// A piece of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// In characters, at least 1.
    pub(super) length: usize,
}

impl Span {
    /// The first character.
    pub(super) const START: Self = Self { line: 1, column: 1, length: 1 };
}

/// A file that is well-formed YAML: its tree and where each part stands.
pub(super) struct Document {
    value: Value,
    node: Node,
    lines: Vec<String>,
}

/// Reads `text`. `None` when it is not YAML or not a set of keys, with the reason among the findings.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Document> {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let value = match serde_yaml::from_str::<Value>(text) {
        Ok(value) => whole(value),
        Err(error) => {
            // Only a second document has no place: it begins with the last of these lines.
            let document = lines.iter().rposition(|line| line.starts_with("---")).unwrap_or_default();
            let (line, column) = error.location().map_or((document + 1, 1), |at| (at.line(), at.column()));
            let span = clamp(&lines, line, column);
            let (message, hint) = explain(&lines, span, &error.to_string());
            findings.error(Target::Text(span), message, hint);
            return None;
        }
    };
    if value.is_null() {
        let hint = "begin with `node: gw1` and a list of `ports:`".to_owned();
        findings.error(Target::Text(Span::START), "the file is empty".to_owned(), hint);
        return None;
    }
    let strict = LoaderOptions::default().error_on_duplicate_keys(true);
    let node = match marked_yaml::parse_yaml_with_options(0, text, strict) {
        Ok(node) => node,
        Err(error) => {
            refuse(&lines, &error, findings);
            // The rest of a file with a key twice can be checked: the last one holds.
            marked_yaml::parse_yaml(0, text).ok()?
        }
    };
    Some(Document { value, node, lines })
}

/// `1500.0` and `1.5e3` are whole numbers, as JSON Schema sees them.
#[expect(clippy::cast_possible_truncation, reason = "only what fits is cast")]
fn whole(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(keys) => keys.into_iter().map(|(key, value)| (key, whole(value))).collect(),
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

impl Document {
    /// The tree.
    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    /// Where the value at `path` stands, or its key when the value is empty or spreads over lines.
    /// For what is not there: the nearest that it would stand in.
    pub(super) fn value_span(&self, path: &Path) -> Span {
        let Some(node) = self.node(path) else { return self.value_span(&path.parent()) };
        let (start, end) = (node.span().start(), node.span().end());
        match (node, start, end) {
            (Node::Scalar(scalar), Some(start), _) => {
                let span = scalar_span(&self.lines, start, scalar.as_str());
                if scalar.as_str().is_empty() && span.length < 2 { self.key(path) } else { span }
            }
            (Node::Sequence(_), Some(start), Some(end)) if start.line() == end.line() => {
                let length = (end.column() + 1).saturating_sub(start.column()).max(1);
                Span { length, ..clamp(&self.lines, start.line(), start.column()) }
            }
            _ => self.key(path),
        }
    }

    /// Where the key of the value at `path` stands. An item of a list has none, and neither has the root: then the
    /// first thing in it.
    pub(super) fn key(&self, path: &Path) -> Span {
        let Some(key) = path.last() else { return self.first(&self.node) };
        let parent = self.node(&path.parent());
        let marked = parent.and_then(Node::as_mapping).and_then(|map| map.keys().find(|k| k.as_str() == key));
        match (marked.and_then(|key| key.span().start()), self.node(path)) {
            (Some(start), _) => scalar_span(&self.lines, start, &key),
            (None, Some(node)) => self.first(node),
            (None, None) => self.key(&path.parent()),
        }
    }

    /// The first key, item or word of `node`: the place of a block itself is where its first colon stands.
    fn first(&self, node: &Node) -> Span {
        let scalar = match node {
            Node::Scalar(scalar) => Some(scalar),
            Node::Mapping(map) => map.keys().next(),
            Node::Sequence(list) => match list.first() {
                Some(first) => return self.first(first),
                None => None,
            },
        };
        let start = scalar.and_then(|scalar| Some((scalar.span().start()?, scalar.as_str())));
        match (start, node.span().start()) {
            (Some((start, text)), _) => scalar_span(&self.lines, start, text),
            (None, Some(empty)) => clamp(&self.lines, empty.line(), empty.column()),
            (None, None) => Span::START,
        }
    }

    fn node(&self, path: &Path) -> Option<&Node> {
        path.steps().try_fold(&self.node, |node, step| match node {
            Node::Mapping(map) => map.get_node(&step),
            Node::Sequence(list) => list.get_node(step.parse().ok()?),
            Node::Scalar(_) => None,
        })
    }
}

/// The text of a scalar that starts at `start`: with its quotes, or as it stands, or the rest of the line.
fn scalar_span(lines: &[String], start: &Marker, text: &str) -> Span {
    let span = clamp(lines, start.line(), start.column());
    let rest: String =
        lines.get(span.line - 1).map_or_else(String::new, |l| l.chars().skip(span.column - 1).collect());
    let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c));
    let length = match quote {
        Some(quote) => rest.chars().skip(1).position(|c| c == quote).map(|at| at + 2),
        None => rest.starts_with(text).then(|| text.chars().count()),
    };
    Span { length: length.unwrap_or_else(|| rest.trim_end().chars().count()).max(1), ..span }
}

/// A place that is in the text: parsers point behind the end of a line or of the file.
fn clamp(lines: &[String], line: usize, column: usize) -> Span {
    let line = line.clamp(1, lines.len().max(1));
    let width = lines.get(line - 1).map_or(0, |text| text.chars().count());
    Span { line, column: column.clamp(1, width + 1), length: 1 }
}

/// What `marked-yaml` refuses although it is YAML.
fn refuse(lines: &[String], error: &LoadError, findings: &mut Findings) {
    let at = |marker: &Marker| clamp(lines, marker.line(), marker.column());
    let (span, message, hint) = match error {
        LoadError::DuplicateKey(keys) => {
            let start = |key: &marked_yaml::types::MarkedScalarNode| key.span().start().copied();
            let Some((first, second)) = start(&keys.prev_key).zip(start(&keys.key)) else { return };
            let key = keys.key.as_str();
            (
                scalar_span(lines, &second, key),
                format!("`{key}` is here twice: the first is on line {}", first.line()),
                "keep one of them",
            )
        }
        LoadError::TopLevelMustBeMapping(marker) | LoadError::TopLevelMustBeSequence(marker) => {
            (at(marker), "a configuration is a set of keys".to_owned(), "begin with `node: gw1`")
        }
        LoadError::UnexpectedAnchor(marker) => (
            sigil(lines, at(marker), '&'),
            "anchors (`&name`) are not supported".to_owned(),
            "write the value where it is used",
        ),
        LoadError::UnexpectedTag(marker) => (
            at(marker),
            "tags (`!name`) are not supported".to_owned(),
            "put text that starts with `!` in quotes",
        ),
        LoadError::MappingKeyMustBeScalar(marker) => {
            (at(marker), "a key must be a word".to_owned(), "put text with brackets in quotes")
        }
        LoadError::ScanError(marker, error) => {
            (at(marker), format!("not YAML: {}", error.info()), "look at the indentation and quotes here")
        }
    };
    findings.error(Target::Text(span), message, hint.to_owned());
}

/// The word before `span` that begins with `sigil`: parsers point behind it.
fn sigil(lines: &[String], span: Span, sigil: char) -> Span {
    let before = lines.iter().enumerate().take(span.line).rev();
    let found = before.filter_map(|(i, text)| Some((i + 1, text, text.rfind(sigil)?))).next();
    found.map_or(span, |(line, text, at)| Span {
        line,
        column: text[..at].chars().count() + 1,
        length: text[at..].split_whitespace().next().map_or(1, |word| word.chars().count()),
    })
}

/// What a syntax error means, and what to do, in words of a file's author.
fn explain(lines: &[String], span: Span, error: &str) -> (String, String) {
    let text = lines.get(span.line - 1).map_or("", String::as_str);
    let indent = &text[..text.len() - text.trim_start().len()];
    let what = error.split(" at line ").next().unwrap_or(error);
    let (message, hint) = match what {
        _ if indent.contains('\t') => ("a tab in the indentation", "YAML is indented by spaces alone"),
        "mapping values are not allowed in this context" => (
            "a key is not allowed here",
            "indent it like the keys of the same block; put a value that has a colon and a space in it in quotes",
        ),
        "did not find expected key" | "did not find expected '-' indicator" => (
            "this line does not fit the block that it stands in",
            "indent it like the lines of the same block; close brackets and quotes above",
        ),
        "did not find expected ',' or ']'" | "did not find expected ',' or '}'" => {
            ("a comma or a closing bracket is missing", "lists are `[a, b]`, sets of keys `{a: 1, b: 2}`")
        }
        _ if what.ends_with("more than one document is not supported") => (
            "a second document begins here",
            "one file describes one gateway: leave this line out or split the file",
        ),
        _ => {
            return (
                format!("not YAML: {what}"),
                "look at the indentation, quotes and brackets here".to_owned(),
            );
        }
    };
    (message.to_owned(), hint.to_owned())
}
