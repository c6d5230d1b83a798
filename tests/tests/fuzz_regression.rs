//! Broken frames never panic and always have one outcome: those that once did harm, and freshly broken ones.
//!
//! `corpus/parse/WHAT_IT_IS.bin` is one frame each, from the destination MAC on. A frame that once did harm comes there
//! under a name that says what is wrong with it. `SEED=n` breaks other frames.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::{IpAddr, Ipv4Addr};
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::spread::{Spread, home};
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::mutate::mutate;
use weir_tests::node::{Node, bridge, member};
use weir_tests::rng::Rng;
use weir_tests::scenario::{Town, town};

/// Frames that a run breaks: a few seconds of an unoptimised build.
const MUTANTS: usize = 1_000_000;

/// Checksums are not looked at in the first, so that mutants get deep.
fn configurations() -> Vec<Config> {
    let mut trusting = bridge();
    trusting.conntrack.checksum = false;
    vec![trusting, member(2, 0..1, Tracking::All), member(2, 0..1, Tracking::Own)]
}

#[test]
fn what_once_did_harm_does_none() {
    let folder = weir_tests::tree().join("tests/corpus/parse");
    let mut frames = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let client = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        frames.push(Passage { client, fate: Fate::Dropped, at_us: 0, side: Side::Lan, bytes });
    }
    assert!(!frames.is_empty(), "{} is empty", folder.display());
    for config in configurations() {
        assert_eq!(Node::new(&config).take(&frames).len(), frames.len());
    }
}

#[test]
fn broken_frames_have_one_outcome_each() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let town = town(seed, Town { ipv4_clients: 40, ipv6_clients: 20, begin_within_us: 1_000_000 });
    let mut nodes: Vec<Node> = configurations().iter().map(Node::new).collect();
    for chunk in 0..MUTANTS / 64 {
        // Whole frames among the broken ones keep flows alive that the broken ones can hit.
        let mutants: Vec<Passage> = (0..64)
            .map(|_| {
                let mut passage = rng.pick(&town).clone();
                if rng.chance(70) {
                    mutate(&mut passage.bytes, &mut rng);
                }
                passage.at_us = chunk as u64 * 1_000;
                passage
            })
            .collect();
        for node in &mut nodes {
            node.take(&mutants);
        }
        for mutant in &mutants {
            assert!(home(&mutant.bytes, Spread::All, 3).is_some_and(|home| home.index() < 3));
        }
    }
}
