//! The committed schema and reference are what the program makes, and complete.
//!
//! `BLESS=1 cargo test -p weir-control --test config_reference` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use weir_control::config;

fn assert_current(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "docs/{name} is out of date: run `BLESS=1 cargo test -p weir-control`");
}

#[test]
fn the_reference_is_current() {
    assert_current("configuration.md", &config::reference());
}

#[test]
fn the_schema_is_current() {
    assert_current("weir.schema.json", &format!("{:#}\n", config::schema()));
}

fn visit_keys(schema: &Value, section: &str, visit: &mut impl FnMut(&str, &str, &Value)) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        visit(section, key, below);
        let below_section = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        visit_keys(below, &below_section, visit);
        if let Some(items) = below.get("items") {
            visit_keys(items, &format!("{below_section}[]"), visit);
        }
    }
}

#[test]
fn every_key_of_the_schema_is_in_its_chapter_with_a_description() {
    let reference = config::reference();
    let mut keys = 0;
    visit_keys(&config::schema(), "", &mut |section, key, schema| {
        let title =
            if section.is_empty() { "## Top level\n".to_owned() } else { format!("## `{section}`\n") };
        let chapter = reference.split_once(&title).unwrap_or_else(|| panic!("no chapter {title}")).1;
        let chapter = chapter.split("\n## ").next().unwrap();
        assert!(chapter.contains(&format!("\n| `{key}` |")), "`{key}` is not in {title}");
        assert!(
            schema["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{section}.{key} says nothing"
        );
        keys += 1;
    });
    assert!(keys > 50, "only {keys} keys");
}
