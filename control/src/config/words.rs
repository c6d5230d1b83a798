//! Sentences about keys and values, made from the schema.

use super::path::{ANY_ITEM, Path};
use super::schema::subschema;
use core::net::{IpAddr, SocketAddr};
use serde_json::Value;

/// `, in `cluster``; nothing at the root.
pub(super) fn within(path: &Path) -> String {
    if path.last().is_none() { String::new() } else { format!(" in `{path}`") }
}

/// The keys that `schema` knows.
pub(super) fn keys(schema: &Value) -> Vec<&str> {
    schema["properties"].as_object().map_or_else(Vec::new, |keys| keys.keys().map(String::as_str).collect())
}

/// The one that was probably meant by `word`.
pub(super) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&word, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= 0.85)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// The key that was meant by the unknown `key` in the set at `path`: one spelt alike, or the one that goes by this
/// name in Linux.
pub(super) fn meant(root: &Value, path: &Path, key: &str) -> Option<Path> {
    if let Some(alike) = closest(key, subschema(root, path).map_or_else(Vec::new, keys)) {
        return Some(path.key(alike));
    }
    let name = key.rsplit('.').next().unwrap_or(key);
    let linux = [format!("`{name}`"), format!("`--{}`", name.replace('_', "-"))];
    let is_linux = |description: &str| linux.iter().any(|name| description.contains(name.as_str()));
    let found =
        all_keys(root).into_iter().find(|(_, schema)| schema["description"].as_str().is_some_and(is_linux));
    found.map(|(path, _)| path)
}

/// What to do about a key that nobody knows: it is misspelt, belongs elsewhere, or is Linux's name.
pub(super) fn unknown_key(root: &Value, path: &Path, key: &str) -> String {
    if let Some(meant) = meant(root, path, key) {
        return match meant.last() {
            Some(name) if meant.parent() == *path => format!("did you mean `{name}`?"),
            _ => format!("did you mean `{meant}`?"),
        };
    }
    if let Some((place, _)) = all_keys(root).iter().find(|(place, _)| place.last().as_deref() == Some(key)) {
        return format!("it belongs elsewhere: `{place}`");
    }
    format!("known keys: {}", subschema(root, path).map_or_else(Vec::new, keys).join(", "))
}

/// Every key of the schema with its path.
fn all_keys(root: &Value) -> Vec<(Path, &Value)> {
    let mut found = Vec::new();
    let mut left = vec![(Path::root(), root)];
    while let Some((path, schema)) = left.pop() {
        if let Some(items) = schema.get("items") {
            left.push((path.key(ANY_ITEM), items));
        }
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            found.push((path.key(key), below));
            left.push((path.key(key), below));
        }
    }
    found
}

/// What the key at `path` is for, with an example; an item of a list is for what the list is for.
pub(super) fn purpose(root: &Value, path: &Path) -> Option<String> {
    if path.is_item() {
        return purpose(root, &path.parent());
    }
    let (key, schema) = path.last().zip(subschema(root, path))?;
    let text = lower(schema["description"].as_str()?.split(". ").next()?.trim_end_matches('.'));
    let default =
        schema.get("default").filter(|default| default.as_array().is_none_or(|list| !list.is_empty()));
    Some(match schema["examples"].get(0).or(default) {
        Some(example) => format!("{text}; for example `{key}: {}`", literal(example)),
        None => text,
    })
}

/// In the middle of a sentence: abbreviations keep their capitals.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first
            .to_lowercase()
            .chain(letters)
            .collect::<String>()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        _ => text.to_owned(),
    }
}

/// `mtu` is 20 and must be from 68 to 16110: the message and the hint.
pub(super) fn wrong_value(root: &Value, found: &Value, path: &Path) -> (String, Option<String>) {
    let schema = subschema(root, path).unwrap_or(root);
    let name = match path.last() {
        None => "a configuration".to_owned(),
        Some(_) if path.is_item() => format!("an item of `{}`", path.parent()),
        Some(key) => format!("`{key}`"),
    };
    let expected = expected(schema);
    let message = match found {
        Value::Null => format!("{name} has no value; it must be {expected}"),
        _ => format!("{name} must be {expected}, not {}", describe(found)),
    };
    (message, value_hint(schema, found).or_else(|| purpose(root, path)))
}

/// What a schema lets through: "a whole number from 1 to 64".
pub(super) fn expected(schema: &Value) -> String {
    let choices = choices(schema);
    if !choices.is_empty() {
        return one_of(&choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>());
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return one_of(&any.iter().map(expected).collect::<Vec<_>>());
    }
    let from = |low: &str, high: &str| match (schema.get(low), schema.get(high)) {
        (Some(low), Some(high)) => format!(" from {} to {}", literal(low), literal(high)),
        (Some(low), None) => format!(" from {}", literal(low)),
        (None, Some(high)) => format!(" up to {}", literal(high)),
        (None, None) => String::new(),
    };
    match schema["type"].as_str().unwrap_or_default() {
        "integer" => format!("a whole number{}", from("minimum", "maximum")),
        "number" => format!("a number{}", from("minimum", "maximum")),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => match (&schema["minItems"], &schema["maxItems"]) {
            (Value::Null, _) | (_, Value::Null) => "a list".to_owned(),
            (low, high) if low == high => format!("a list of {low}"),
            (low, high) => format!("a list of {low} to {high}"),
        },
        "object" => "a set of keys".to_owned(),
        _ => "text".to_owned(),
    }
}

/// The words that a schema lets through, when it lists them.
pub(super) fn choices(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let described =
        schema["oneOf"].as_array().into_iter().flatten().filter_map(|choice| choice["const"].as_str());
    let only = schema["const"].as_str();
    listed.chain(described).chain(only).collect()
}

fn one_of(texts: &[String]) -> String {
    match texts {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        _ => texts.concat(),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::String(text) => format!("the text `{text}`"),
        Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "a set of keys".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("`{}`", literal(value)),
    }
}

/// A value as YAML on one line.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if number.is_f64() && whole.fract() == 0.0 => format!("{whole:.0}"),
            _ => number.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Object(_) => value.to_string(),
    }
}

/// What to write instead, where that can be told from what was found.
fn value_hint(schema: &Value, found: &Value) -> Option<String> {
    let wants = |kind: &str| schema["type"] == kind;
    match found {
        Value::Null => Some("give it a value, or leave the key out".to_owned()),
        Value::String(text) if wants("integer") => {
            text.parse::<u64>().ok().map(|number| format!("write `{number}`, without quotes"))
        }
        Value::String(text) if wants("number") => {
            seconds(text).map(|seconds| format!("write `{seconds}`: seconds, without quotes or unit"))
        }
        Value::String(text) if wants("boolean") => {
            let yes = ["true", "yes", "on", "y"].contains(&text.to_lowercase().as_str());
            let no = ["false", "no", "off", "n"].contains(&text.to_lowercase().as_str());
            (yes || no).then(|| format!("write `{yes}`"))
        }
        Value::String(text) => closest(text, choices(schema)).map(|meant| format!("did you mean `{meant}`?")),
        Value::Bool(on) if choices(schema).contains(&"on") => {
            Some(format!("write `{}`", if *on { "on" } else { "off" }))
        }
        // An address in quotes would still be none: there the example helps.
        Value::Number(_) | Value::Bool(_) if wants("string") && !is_address(&schema["examples"][0]) => {
            Some(format!("put it in quotes: `\"{}\"`", literal(found)))
        }
        Value::Number(_) if wants("array") => {
            Some(format!("a list stands in brackets: `[{}]`", literal(found)))
        }
        _ => None,
    }
}

/// Whether a key's example is an address, with or without a port or prefix length.
fn is_address(example: &Value) -> bool {
    let text = example.as_str().unwrap_or_default();
    let address = text.split('/').next().unwrap_or_default();
    text.parse::<SocketAddr>().is_ok() || address.parse::<IpAddr>().is_ok()
}

/// What was meant by `10`, `10s`, `2m`, `1 h` or `5d`.
fn seconds(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let factor = match text[number.len()..].trim_start() {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}
