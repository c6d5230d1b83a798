//! The fuzz targets on a stable compiler: over all inputs that are kept in `fuzz/`, over seeds, and over broken ones.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::panic::catch_unwind;
use std::path::Path;
use weir_tests::fuzzing::{FRAGMENTS, HELPER, PARSE, PIPELINE, TARGETS, TCP, Target, seeds};
use weir_tests::mutate::mutate;
use weir_tests::rng::Rng;

type Inputs = Vec<(String, Vec<u8>)>;

/// The inputs in a folder; none when there is no such folder.
fn inputs(folder: &Path) -> Inputs {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// What a run of the target begins with: what other runs found, and the seeds.
fn kept(target: Target) -> Inputs {
    let folder = weir_tests::tree().join("fuzz");
    let corpus = inputs(&folder.join("corpus").join(target.name));
    assert!(!corpus.is_empty(), "fuzz/corpus/{} is empty", target.name);
    [corpus, inputs(&folder.join("artifacts").join(target.name)), seeds::of(target.name)].concat()
}

/// The names of those that make the target panic.
fn harmful(target: Target, inputs: &Inputs) -> Vec<&str> {
    let harm = |input: &[u8]| catch_unwind(|| (target.run)(input)).is_err();
    inputs.iter().filter(|(_, input)| harm(input)).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn what_was_found_once_does_no_harm() {
    for target in TARGETS {
        assert_eq!(harmful(target, &kept(target)), [""; 0], "{}", target.name);
    }
}

/// Breaks kept inputs at random. `SEED=n` breaks others.
fn broken(target: Target, count: usize) {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let kept = kept(target);
    for _ in 0..count {
        let (name, mut input) = rng.pick(&kept).clone();
        mutate(&mut input, &mut rng);
        let shown: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(catch_unwind(|| (target.run)(&input)).is_ok(), "from {name}: {shown}");
    }
}

#[test]
fn broken_fragments_do_no_harm() {
    broken(FRAGMENTS, 1000);
}

#[test]
fn broken_dialogues_of_helpers_do_no_harm() {
    broken(HELPER, 3000);
}

#[test]
fn broken_frames_are_parsed() {
    broken(PARSE, 300_000);
}

#[test]
fn broken_lists_of_frames_do_no_harm() {
    broken(PIPELINE, 1000);
}

#[test]
fn broken_connections_do_no_harm() {
    broken(TCP, 30_000);
}
