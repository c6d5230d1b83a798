//! Checks a tree against the schema: unknown and missing keys, types, ranges, choices.
//!
//! The `jsonschema` crate finds every mistake; this module puts them into words. What is wrong is taken out, so
//! that the rest can be checked further.

use super::finding::{Findings, Target};
use super::path::Path;
use super::raw;
use super::schema::{schema, subschema};
use super::words;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

/// What of `value` fits its schema; `None` when nothing can be made of the rest.
pub(super) fn check(value: &Value, findings: &mut Findings) -> Option<raw::Gateway> {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).ok()?;
    let mut wrong = Vec::new();
    for error in validator.iter_errors(value) {
        let path = Path::new(error.instance_path().as_str());
        tell(&schema, value, &error, &path, &mut wrong, findings);
    }
    let mut rest = value.clone();
    for path in wrong {
        let path = removable(&schema, path);
        remove(&mut rest, &path);
        findings.removed(path);
    }
    serde_json::from_value(rest).ok()
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
    let here = subschema(schema, path).unwrap_or(schema);
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            for key in unexpected {
                let hint = words::unknown_key(schema, here, key);
                let message = format!("unknown key `{key}`{}", words::within(path));
                findings.error(Target::Key(path.key(key)), message, hint);
                wrong.push(path.key(key));
            }
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            wrong.push(path.key(key));
            if misspelt(here, value, path, key) {
                return;
            }
            let hint = subschema(here, &Path::root().key(key)).map(|schema| words::purpose(key, schema));
            let message = format!("`{key}` is missing{}", words::within(path));
            findings.error(Target::Value(path.clone()), message, hint);
        }
        _ => {
            if wrong.contains(path) {
                return;
            }
            let (message, hint) = words::wrong_value(here, error.instance(), path);
            findings.error(Target::Value(path.clone()), message, hint);
            wrong.push(path.clone());
        }
    }
}

/// Whether some unknown key beside the missing `key` stands for it: then one mistake is told, not two.
fn misspelt(here: &Value, value: &Value, path: &Path, key: &str) -> bool {
    let known = words::keys(here);
    let object = value.pointer(path.as_str()).and_then(Value::as_object);
    object.into_iter().flat_map(serde_json::Map::keys).any(|present| {
        !known.contains(&present.as_str()) && words::closest(present, known.iter().copied()) == Some(key)
    })
}

/// The smallest thing at or above `path` that may be left out. Lists are left out whole, since the positions of
/// the other items must not change.
fn removable(schema: &Value, mut path: Path) -> Path {
    loop {
        let parent = path.parent();
        let Some((above, step)) = subschema(schema, &parent).zip(path.last()) else { return path };
        let required = above["required"].as_array().is_some_and(|keys| keys.iter().any(|key| *key == *step));
        let item = above.get("items").is_some();
        if parent == Path::root() || !(required || item) {
            return path;
        }
        path = parent;
    }
}

fn remove(value: &mut Value, path: &Path) {
    let key = path.last().unwrap_or_default();
    match value.pointer_mut(path.parent().as_str()) {
        Some(Value::Object(object)) if path.last().is_some() => drop(object.remove(&key)),
        Some(whole) if path.last().is_none() => *whole = Value::Object(serde_json::Map::new()),
        _ => {}
    }
}
