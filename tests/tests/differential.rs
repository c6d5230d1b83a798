//! Weir beside this machine's Linux, frame by frame: random traffic that misbehaves, and the captures of the
//! folder that `CAPTURES` names. With `GOLDENS` the oracle itself is held against recorded answers.
//!
//! Needs root, and a kernel with bridge netfilter, conntrack, the cluster match and NFLOG.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Result, ensure};
use weir_tests::conformance::{self, Difference, Expectations, LinuxAnswer, Mode, Report, compare, replay};
use weir_tests::mischief;
use weir_tests::oracle::{EVERY_HELPER, Oracle, Rules};
use weir_tests::{capture, netns, tree};

/// Frames of one random capture.
const FRAMES: usize = 3000;
/// Random captures of each address family.
const SEEDS: std::ops::Range<u64> = 0..20;
/// Differences shown of one capture.
const SHOWN: usize = 20;

fn available() -> bool {
    netns::available("differential test")
}

#[test]
fn random_ipv4_traffic_is_seen_as_linux_sees_it() {
    random_traffic("ipv4", mischief::frames::<Ipv4Addr>);
}

#[test]
fn random_ipv6_traffic_is_seen_as_linux_sees_it() {
    random_traffic("ipv6", mischief::frames::<Ipv6Addr>);
}

#[test]
fn random_associations_are_seen_as_linux_sees_them() {
    random_traffic("sctp-ipv4", mischief::associations::<Ipv4Addr>);
    random_traffic("sctp-ipv6", mischief::associations::<Ipv6Addr>);
}

#[test]
fn random_fragments_are_seen_as_linux_sees_them() {
    random_traffic("fragments-ipv4", mischief::fragments::<Ipv4Addr>);
    random_traffic("fragments-ipv6", mischief::fragments::<Ipv6Addr>);
}

fn random_traffic(family: &str, frames: fn(u64, usize) -> Vec<Vec<u8>>) {
    if !available() {
        return;
    }
    let folder = tree().join("target/differential");
    std::fs::create_dir_all(&folder).unwrap();
    let mut wrong = String::new();
    for seed in SEEDS {
        let frames = frames(seed, FRAMES);
        let path = folder.join(format!("{family}-{seed}.pcap"));
        capture::write(&path, frames.iter().map(|frame| (0, frame.as_slice()))).unwrap();
        for mode in Mode::ALL {
            let (differences, _) = differences(&path, mode).unwrap();
            wrong += &shown(&path, mode, &differences);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn given_captures_are_seen_as_linux_sees_them() {
    let Some(captures) = weir_tests::folder("CAPTURES") else {
        return weir_tests::cannot_run("differential with given captures: set CAPTURES to their folder");
    };
    if !available() {
        return;
    }
    let expectations = Expectations::listed().unwrap();
    let mut wrong = Vec::new();
    for name in conformance::names(&captures).unwrap() {
        for mode in Mode::ALL {
            let (differences, compared) = differences(&captures.join(format!("{name}.pcap")), mode).unwrap();
            println!("{name:24} {} {compared:>6} frames, {} differ", mode.name(), differences.len());
            let report = Report { capture: name.clone(), mode, compared, skipped: 0, differences };
            wrong.extend(expectations.judge(&report));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_oracle_gives_the_recorded_answers() {
    let Some((captures, goldens)) = weir_tests::folder("CAPTURES").zip(weir_tests::folder("GOLDENS")) else {
        return weir_tests::cannot_run("the oracle's own test: set CAPTURES and GOLDENS to their folders");
    };
    if !available() {
        return;
    }
    for name in conformance::captures(&goldens).unwrap() {
        for mode in Mode::ALL {
            let rules = Rules { helpers: EVERY_HELPER.to_vec(), ..Rules::new(mode) };
            let answers = ask(&captures.join(format!("{name}.pcap")), &rules).unwrap();
            let text =
                std::fs::read_to_string(goldens.join(format!("{name}.{}.jsonl", mode.name()))).unwrap();
            let recorded: Vec<LinuxAnswer> = conformance::lines(&text).unwrap();
            assert_eq!(answers.len(), recorded.len(), "{name}");
            for (answer, recorded) in answers.iter().zip(&recorded).filter(|(_, r)| r.unsent.is_none()) {
                assert_eq!(answer, recorded, "{name} {}", mode.name());
            }
        }
    }
}

fn ask(path: &Path, rules: &Rules) -> Result<Vec<LinuxAnswer>> {
    let frames = capture::read(path)?;
    Oracle::new(rules)?.answers(frames.iter().map(|frame| frame.bytes.as_slice()))
}

/// Where the two differ, by frame, and how many frames were compared.
fn differences(path: &Path, mode: Mode) -> Result<(BTreeMap<usize, Difference>, usize)> {
    let linux = ask(path, &Rules { helpers: EVERY_HELPER.to_vec(), ..Rules::new(mode) })?;
    let config = tree().join(format!("configs/linux-{}.yaml", mode.name()));
    let weir = replay::verdicts(&replay::binary(), &config, path)?;
    ensure!(
        linux.len() == weir.len(),
        "{}: {} outcomes for {} frames",
        path.display(),
        weir.len(),
        linux.len()
    );
    let differences = linux
        .iter()
        .zip(&weir)
        .filter_map(|(linux, weir)| Some((linux.frame, compare(mode, linux, weir)?)))
        .collect();
    Ok((differences, linux.len()))
}

fn shown(path: &Path, mode: Mode, differences: &BTreeMap<usize, Difference>) -> String {
    let mut text = String::new();
    if !differences.is_empty() {
        text += &format!("{} {}: {} frames differ\n", path.display(), mode.name(), differences.len());
    }
    for (frame, Difference { linux, weir }) in differences.iter().take(SHOWN) {
        text += &format!("  frame {frame}: Linux: {linux}; weir: {weir}\n");
    }
    text
}
