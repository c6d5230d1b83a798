//! The configurations that come with Weir load.

use std::path::Path;
use weir_control::config::{self, Loaded};

fn load(name: &str) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs").join(name);
    config::load(&path).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn demo() {
    let loaded = load("demo.yaml");
    dbg!(loaded);
}
#[test]
fn own() {
    load("linux-own.yaml");
    load("linux-all.yaml");
}
#[test]
fn schema() {
    println!("{}", serde_json::to_string_pretty(&config::schema()).unwrap());
    println!("{}", config::reference());
}
