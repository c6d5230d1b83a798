//! Checks a tree against the schema: unknown and missing keys, types, ranges, choices.
//!
//! The `jsonschema` crate finds every mistake; this module puts them into words. What is wrong is taken out, so
//! that the rest can be checked further.

use super::finding::{Findings, Target};
use super::path::Path;
use super::raw;
use super::schema::{schema, subschema};
use super::words;
use super::yaml::Span;
use core::fmt;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

/// What of `value` fits its schema; `None` when nothing can be made of the rest.
pub(super) fn check(value: &Value, findings: &mut Findings) -> Option<raw::Gateway> {
    let schema = schema();
    let validator = match jsonschema::validator_for(&schema) {
        Ok(validator) => validator,
        Err(error) => return give_up(&error, findings),
    };
    let mut wrong = Vec::new();
    for error in validator.iter_errors(value) {
        let path = Path::new(error.instance_path().as_str());
        tell(&schema, value, &error, &path, &mut wrong, findings);
    }
    let mut rest = value.clone();
    for path in wrong {
        remove(&mut rest, &path);
        findings.removed(path);
    }
    match serde_json::from_value(rest) {
        Ok(raw) => Some(raw),
        Err(error) => give_up(&error, findings),
    }
}

/// The schema and the types behind it disagree: never silently.
fn give_up(error: &impl fmt::Display, findings: &mut Findings) -> Option<raw::Gateway> {
    let message = format!("the configuration fits its schema but cannot be used: {error}");
    findings.error(Target::Text(Span::START), message, None);
    None
}

/// Puts one mistake into words, and adds what must be taken out to `wrong`.
fn tell(
    schema: &Value,
    value: &Value,
    error: &ValidationError<'_>,
    path: &Path,
    wrong: &mut Vec<Path>,
    findings: &mut Findings,
) {
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            for key in unexpected {
                let hint = words::unknown_key(schema, path, key);
                let message = format!("unknown key `{key}`{}", words::within(path));
                findings.error(Target::Key(path.key(key)), message, hint);
                wrong.push(path.key(key));
            }
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            if misspelt(schema, value, path, key) {
                return;
            }
            let hint = words::purpose(schema, &path.key(key));
            let message = format!("`{key}` is missing{}", words::within(path));
            findings.error(Target::Value(path.clone()), message, hint);
        }
        _ => {
            if wrong.contains(path) {
                return;
            }
            let (message, hint) = words::wrong_value(schema, error.instance(), path);
            findings.error(Target::Value(path.clone()), message, hint);
            wrong.push(path.clone());
        }
    }
}

/// Whether some unknown key beside the missing `key` stands for it: then one mistake is told, not two.
fn misspelt(schema: &Value, value: &Value, path: &Path, key: &str) -> bool {
    let known = subschema(schema, path).map_or_else(Vec::new, words::keys);
    let present =
        value.pointer(path.as_str()).and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys);
    present
        .filter(|present| !known.contains(&present.as_str()))
        .any(|present| words::meant(schema, path, present) == Some(path.key(key)))
}

/// Takes out one value; an item of a list leaves a gap, since the positions of the others must not change.
fn remove(value: &mut Value, path: &Path) {
    let Some(step) = path.last() else {
        *value = Value::Object(serde_json::Map::new());
        return;
    };
    match value.pointer_mut(path.parent().as_str()) {
        Some(Value::Object(object)) => drop(object.remove(&step)),
        Some(Value::Array(items)) => {
            if let Some(item) = step.parse().ok().and_then(|position: usize| items.get_mut(position)) {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}
