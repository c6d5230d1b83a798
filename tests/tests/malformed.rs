//! Broken captures do no harm: each frame of them has one outcome, and the gateway ends well.
//!
//! Needs the captures in the folder that `CAPTURES` names, and the built binary.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use weir_tests::conformance::replay;

#[test]
fn each_frame_of_a_malformed_capture_has_one_outcome() {
    let Some(folder) = weir_tests::folder("CAPTURES") else {
        return weir_tests::cannot_run("malformed: set CAPTURES to the folder of the captures");
    };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let malformed = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("malformed_") && name.ends_with(".pcap")
    };
    let captures: Vec<_> = entries.filter(malformed).collect();
    assert!(!captures.is_empty(), "there are no malformed_*.pcap in CAPTURES");
    for capture in captures {
        let frames = weir_tests::capture::read(&capture).unwrap().len();
        for config in ["linux-own.yaml", "linux-all.yaml"] {
            let config = weir_tests::tree().join("configs").join(config);
            let answers = replay::verdicts(&replay::binary(), &config, &capture).unwrap();
            let numbers: Vec<usize> = answers.iter().map(|answer| answer.frame).collect();
            assert!(numbers.into_iter().eq(1..=frames), "{} with {}", capture.display(), config.display());
        }
    }
}
