//! Any list of frames, from both sides and over any time, through one gateway: each has one outcome
//! (`Node::take` asserts it) and nothing panics. Checksums are not verified, or the fuzzer would not get far.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::Ipv4Addr;
use weir_dataplane::config::Tracking;
use weir_dataplane::pipeline::Limits;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::node::{Node, member};

fuzz_target!(|frames: Vec<(bool, u32, Vec<u8>)>| {
    let mut config = member(2, 0..1, Tracking::All);
    config.conntrack.checksum = false;
    config.conntrack.fragments.frames_max = 64;
    let mut at_us = 0;
    let passages: Vec<Passage> = frames
        .into_iter()
        .map(|(from_lan, later_us, bytes)| {
            at_us += u64::from(later_us);
            let side = if from_lan { Side::Lan } else { Side::Wan };
            Passage { client: Ipv4Addr::UNSPECIFIED.into(), fate: Fate::Flow, at_us, side, bytes }
        })
        .collect();
    Node::with_limits(&config, Limits { flows_max: 64, expectations_max: 8 }).take(&passages);
});
