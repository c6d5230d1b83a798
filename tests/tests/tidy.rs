//! The rules of the house, held over the whole tree.

#![allow(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::process::Command;
use weir_dataplane::counters::DropReason;
use weir_tests::tidy::rules::{self, Ban, Exception};
use weir_tests::tidy::source::Source;
use weir_tests::tree;

/// The data plane's modules, highest level first. A module imports from lower levels only.
const IMPORT_ORDER: &[&[&str]] = &[
    &["worker"],
    &["errand"],
    &["mailbox", "pipeline"],
    &["trace"],
    &["snapshot"],
    &["gate", "steer"],
    &["track", "fragment", "rewrite", "sched", "classify"],
    &["parse", "helper", "spread", "punt", "tally", "lesson"],
    &["config"],
    &["key", "hash", "wire", "port"],
    &["watch"],
    &["counters"],
    &["units", "prefetch", "subnet"],
];

/// What of the data plane is not in the packet path: it runs when a configuration is loaded, or in tests.
const NOT_IN_PACKET_PATH: &[&str] =
    &["dataplane/src/config/", "dataplane/src/snapshot.rs", "dataplane/src/port/mem.rs"];

/// What formats, locks, asks the time or goes through pointers; and what allocates.
const PACKET_PATH_BAN: Ban<'_> = Ban {
    always: &["dyn", "format!", "Instant", "SystemTime", "Mutex", "RwLock", "println!", "eprintln!"],
    but_in_constructors: &["Box", "Vec::new", "vec!", ".to_vec()", ".collect()", ".collect::"],
    constructors: &["new", "with_capacity", "compile", "recompile"],
};

const PACKET_PATH_EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "dataplane/src/mailbox.rs",
        what: ".collect()",
        reason: "a method of control's end of the mailbox, which frees old snapshots",
    },
    Exception {
        path: "dataplane/src/steer/route/lpm.rs",
        what: "Box",
        reason: "a table whose length is known needs no check of bounds; made when routes are compiled",
    },
];

const LENGTH_EXCEPTIONS: &[Exception] = &[];

/// The rings that touch C, and the prefetch hint.
const UNSAFE_PLACES: &[&str] = &["dpdk-sys/", "dataplane/dpdk/", "dataplane/src/prefetch.rs"];

/// Reasons that no test of this tree produces, and why.
const DROP_REASONS_WITHOUT_TEST: &[(DropReason, &str)] = &[];

/// The tracked files that end so.
fn files(ending: &str) -> Vec<(String, String)> {
    let listing =
        Command::new("git").args(["ls-files", "-z"]).current_dir(tree()).output().expect("git runs");
    assert!(listing.status.success(), "git ls-files failed: this test needs the repository");
    let listing = String::from_utf8(listing.stdout).expect("paths are UTF-8");
    let paths = listing.split('\0').filter(|path| path.ends_with(ending) && tree().join(path).exists());
    paths
        .map(|path| (path.into(), std::fs::read_to_string(tree().join(path)).expect("a text file")))
        .collect()
}

fn sources() -> Vec<Source> {
    let sources: Vec<Source> = files(".rs").iter().map(|(path, text)| Source::new(path, text)).collect();
    assert!(sources.len() > 20, "the tree has been read");
    sources
}

fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn files_and_functions_are_short() {
    none(&rules::lengths(&sources(), LENGTH_EXCEPTIONS));
}

#[test]
fn data_plane_modules_import_from_lower_levels_only() {
    none(&rules::import_order(&sources(), "dataplane/src/", IMPORT_ORDER));
}

#[test]
fn the_packet_path_neither_allocates_nor_waits() {
    let mut sources = sources();
    sources.retain(|source| source.path.starts_with("dataplane/src/"));
    sources.retain(|source| !NOT_IN_PACKET_PATH.iter().any(|place| source.path.starts_with(place)));
    none(&rules::banned_words(&sources, PACKET_PATH_BAN, PACKET_PATH_EXCEPTIONS));
}

#[test]
fn unsafe_stays_in_its_rings_and_says_why() {
    none(&rules::unsafe_code(&sources(), UNSAFE_PLACES));
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    none(&rules::leftovers(&sources()));
}

#[test]
fn each_configuration_is_named_in_a_test() {
    let names: Vec<String> = files(".yaml")
        .into_iter()
        .filter_map(|(path, _)| path.strip_prefix("configs/").map(Into::into))
        .collect();
    let untested = rules::untested(&sources(), names.iter().map(String::as_str));
    assert!(untested.is_empty(), "no test names {untested:?}");
}

#[test]
fn each_drop_reason_is_produced_in_a_test() {
    let mut sources = sources();
    sources.retain(|source| source.path != "tests/tests/tidy.rs");
    let names: Vec<String> = DropReason::ALL.iter().map(|reason| format!("{reason:?}")).collect();
    let untested = rules::untested(&sources, names.iter().map(String::as_str));
    let listed: Vec<String> =
        DROP_REASONS_WITHOUT_TEST.iter().map(|(reason, _)| format!("{reason:?}")).collect();
    assert_eq!(untested, listed, "left: in no test; right: listed as such");
}

#[test]
fn the_readme_names_each_document() {
    let documents = files(".md");
    let readme = documents.iter().find(|(path, _)| path == "README.md").expect("there is a README.md");
    let lost: Vec<&String> = documents
        .iter()
        .map(|(path, _)| path)
        .filter(|path| *path != "README.md" && !readme.1.contains(path.as_str()))
        .collect();
    assert!(lost.is_empty(), "README.md does not name {lost:?}");
}
