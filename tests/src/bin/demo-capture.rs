//! Writes the demo's traffic: `demo-capture DIR [SEED]` makes `DIR/lan.pcap`, what the clients' side says, and
//! `DIR/wan.pcap`, what the servers' side answers. Merged by time they are whole conversations.

use anyhow::{Context, Result, bail};
use std::path::Path;
use weir_tests::capture;
use weir_tests::conversation::Side;
use weir_tests::scenario::{Town, town};

/// 2026-01-01 00:00:00 UTC: the capture's own time, so that the same seed makes the same files.
const START_US: u64 = 1_767_225_600_000_000;

const TOWN: Town = Town { ipv4_clients: 400, ipv6_clients: 160, begin_within_us: 7_000_000 };

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, seed) = match arguments.as_slice() {
        [folder] => (folder, 1),
        [folder, seed] => {
            (folder, seed.parse().with_context(|| format!("the seed {seed:?} is not a number"))?)
        }
        _ => bail!("usage: demo-capture DIR [SEED]"),
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let passages = town(seed, TOWN);
    for (side, name) in [(Side::Lan, "lan.pcap"), (Side::Wan, "wan.pcap")] {
        let ours = passages.iter().filter(|passage| passage.side == side);
        let frames = ours.clone().map(|passage| (START_US + passage.at_us, passage.bytes.as_slice()));
        capture::write(&folder.join(name), frames)?;
        println!("{}: {} frames", folder.join(name).display(), ours.count());
    }
    Ok(())
}
