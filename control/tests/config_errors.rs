//! What an operator reads about a wrong configuration: each `wrong/NAME.yaml` gives exactly `wrong/NAME.txt`.
//!
//! `BLESS=1 cargo test -p weir-control --test config_errors` writes the texts anew; read them before committing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use weir_control::config;

fn wrong_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn every_wrong_file_is_told_what_is_wrong() {
    let files = wrong_files();
    assert!(files.len() >= 20, "only {} wrong files", files.len());
    let mut differences = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let told = match config::parse(name, &fs::read_to_string(&path).unwrap()) {
            Ok(_) => panic!("{name} is accepted"),
            Err(errors) => format!("{errors}\n"),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if told != expected {
            differences.push(format!("{name} says\n{told}but should say\n{expected}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = config::load(Path::new("no/such/file.yaml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no/such/file.yaml: cannot be read: No such file or directory (os error 2)"
    );
}
