//! The reference of all keys, as Markdown, made from the schema.

use super::path::{ANY_ITEM, Path};
use super::schema::schema;
use super::words;
use serde_json::Value;

/// Every key with what it takes, its default and what it is for; a chapter for each section.
pub fn reference() -> String {
    let schema = schema();
    let mut text = String::from(INTRODUCTION);
    chapter(&schema, &Path::root(), &mut text);
    text
}

const INTRODUCTION: &str = "# Configuration

One YAML file describes one gateway. `weir check FILE` tells every mistake in it, `weir schema` prints the same
reference as JSON Schema for editors (`# yaml-language-server: $schema=weir.schema.json` in the first line of a
file beside it). Unknown keys are refused. Times are in seconds, as numbers; hundredths
count. A key ending in `[]` stands for each item of a list.
";

/// The keys of one set, then a chapter for each set below it.
fn chapter(schema: &Value, path: &Path, text: &mut String) {
    let Some(keys) = schema["properties"].as_object() else { return };
    let title = if path.last().is_none() { "Top level".to_owned() } else { format!("`{path}`") };
    text.push_str(&format!("\n## {title}\n\n"));
    if let Some(description) = schema["description"].as_str().filter(|_| path.last().is_some()) {
        text.push_str(&format!("{}\n\n", flat(description)));
    }
    text.push_str("| key | takes | default | what for |\n|---|---|---|---|\n");
    let is_required =
        |key: &str| schema["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key));
    let (required, optional): (Vec<_>, Vec<_>) = keys.iter().partition(|(key, _)| is_required(key));
    for (key, below) in required {
        text.push_str(&row(&path.key(key), below, "required"));
    }
    for (key, below) in optional {
        let default = below.get("default").map(|default| format!("`{}`", words::literal(default)));
        text.push_str(&row(&path.key(key), below, &default.unwrap_or_default()));
    }
    for (key, below) in keys {
        chapter(below, &path.key(key), text);
        if let Some(items) = below.get("items") {
            chapter(items, &path.key(key).key(ANY_ITEM), text);
        }
    }
}

fn row(path: &Path, schema: &Value, default: &str) -> String {
    let key = path.last().unwrap_or_default();
    let mut what = flat(schema["description"].as_str().unwrap_or_default());
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        if let (Some(word), Some(description)) = (choice["const"].as_str(), choice["description"].as_str()) {
            what.push_str(&format!("<br>`{word}`: {}", flat(description)));
        }
    }
    for example in schema["examples"].as_array().into_iter().flatten() {
        what.push_str(&format!("<br>Example: `{key}: {}`", words::literal(example)));
    }
    format!("| `{key}` | {} | {default} | {what} |\n", takes(path, schema))
}

/// What the key takes; a link where a chapter tells more.
fn takes(path: &Path, schema: &Value) -> String {
    let expected = words::expected(schema);
    let has_chapter = |schema: &Value| schema["type"] == "object";
    match schema.get("items") {
        Some(items) if has_chapter(items) => format!("[{expected}](#{})", anchor(path)),
        Some(items) => format!("{expected}, each {}", words::expected(items)),
        None if has_chapter(schema) => format!("[{expected}](#{})", anchor(path)),
        None => expected,
    }
}

/// What forges make of a title: letters, digits, `_` and `-` stay.
fn anchor(path: &Path) -> String {
    path.to_string().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect()
}

/// On one line, as a table needs it.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
