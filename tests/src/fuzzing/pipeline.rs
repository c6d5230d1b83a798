//! Frames of any bytes, from both sides and over any time, through one gateway: each has one outcome.
//!
//! An input is a list of: side (1 byte), milliseconds since the last frame (2), the frame (2 and as many). Checksums
//! are not verified, or a fuzzer would not get far.

use super::input::Input;
use crate::conversation::{Fate, Passage, Side};
use crate::node::{Node, member};
use std::net::Ipv4Addr;
use weir_dataplane::config::Tracking;
use weir_dataplane::pipeline::Limits;

pub(super) fn run(input: &[u8]) {
    let mut config = member(2, 0..1, Tracking::All);
    config.conntrack.checksum = false;
    config.conntrack.fragments.frames_max = 64;
    Node::with_limits(&config, Limits { flows_max: 64, expectations_max: 8 }).take(&passages(input));
}

fn passages(input: &[u8]) -> Vec<Passage> {
    let mut input = Input::new(input);
    let mut passages = Vec::new();
    let mut at_us = 0;
    while let Some(side) = input.byte() {
        at_us += u64::from(input.word()) * 1000;
        let side = if side & 1 == 0 { Side::Lan } else { Side::Wan };
        let bytes = input.block().to_vec();
        passages.push(Passage { client: Ipv4Addr::UNSPECIFIED.into(), fate: Fate::Flow, at_us, side, bytes });
    }
    passages
}
