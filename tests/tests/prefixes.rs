//! Frames that were cut anywhere do no harm: every prefix of every captured frame is parsed, and goes through a
//! gateway.
//!
//! Needs the captures in the folder that `CAPTURES` names.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use weir_dataplane::config::Tracking;
use weir_dataplane::pipeline::Limits;
use weir_tests::capture;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::fuzzing::PARSE;
use weir_tests::node::{Node, member};

/// Of a frame, the prefixes up to this length all go through the gateway: headers end before it.
const HEADERS: usize = 128;
/// Of longer ones, one in so many does, beside the whole frame.
const SAMPLE: usize = 97;

/// The frames of each capture.
fn captures() -> Option<Vec<(PathBuf, Vec<Vec<u8>>)>> {
    let Some(folder) = weir_tests::folder("CAPTURES") else {
        weir_tests::cannot_run("prefixes: set CAPTURES to the folder of the captures");
        return None;
    };
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let captures = entries.filter(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    let frames = |path: PathBuf| {
        let records = capture::read(&path).unwrap();
        (path, records.into_iter().map(|record| record.bytes).collect())
    };
    let captures: Vec<_> = captures.map(frames).collect();
    assert!(!captures.is_empty(), "there are no captures in CAPTURES");
    Some(captures)
}

#[test]
fn every_prefix_of_every_frame_is_parsed() {
    let Some(captures) = captures() else { return };
    // Many frames begin alike; a prefix that was parsed needs no second time.
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut count = 0_u64;
    for (_, frames) in captures {
        for frame in frames.into_iter().filter(|frame| seen.insert(frame.clone())) {
            for length in 0..=frame.len() {
                (PARSE.run)(&frame[..length]);
                count += 1;
            }
        }
    }
    println!("{count} prefixes of {} frames", seen.len());
}

#[test]
fn prefixes_of_every_frame_have_one_outcome_each() {
    let Some(captures) = captures() else { return };
    for (path, frames) in captures {
        let mut config = member(2, 0..1, Tracking::All);
        // The checksum of a frame that was cut is wrong: nothing would get beyond it.
        config.conntrack.checksum = false;
        let mut node = Node::with_limits(&config, Limits { flows_max: 4096, expectations_max: 256 });
        for (n, frame) in frames.iter().enumerate() {
            let lengths =
                (0..frame.len()).filter(|length| *length < HEADERS || length % SAMPLE == n % SAMPLE);
            let cut = |length: usize| Passage {
                client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                fate: Fate::Loose,
                at_us: n as u64 * 1000,
                side: if n % 2 == 0 { Side::Lan } else { Side::Wan },
                bytes: frame[..length].to_vec(),
            };
            let cuts: Vec<Passage> = lengths.chain([frame.len()]).map(cut).collect();
            assert_eq!(node.take(&cuts).len(), cuts.len(), "{}, frame {}", path.display(), n + 1);
        }
    }
}
