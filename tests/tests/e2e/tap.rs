//! The taps at the hosts: what one host sent must reach the other exactly once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use weir_tests::capture;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::lab::{Between, Lab};

/// Enough of a frame to tell it from every other: headers, and the start of the payload.
const SNAPLEN: u32 = 192;
/// How long after the last client has ended frames may still be under way.
const SETTLE: Duration = Duration::from_millis(500);

/// Listens at both hosts, in both directions.
pub(crate) struct Taps {
    _folder: TempDir,
    taps: Vec<(Background, PathBuf)>,
    between: Between,
}

/// What a run of traffic came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Frames that the hosts sent.
    pub(crate) sent: usize,
    /// Frames that reached the other host.
    pub(crate) received: usize,
    /// Frames that reached the other host once more than they were sent.
    pub(crate) doubled: usize,
    /// Frames that were sent and not received.
    pub(crate) lost: usize,
    /// The start of one frame that was doubled or lost, in hexadecimal.
    pub(crate) example: Option<String>,
}

impl Taps {
    /// Starts listening.
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut taps = Vec::new();
        for (name, host, direction) in [
            ("a-out", &lab.a, "out"),
            ("b-in", &lab.b, "in"),
            ("b-out", &lab.b, "out"),
            ("a-in", &lab.a, "in"),
        ] {
            let path = folder.path().join(format!("{name}.pcap"));
            taps.push((tap(name, host, direction, lab.between, &path)?, path));
        }
        for (tap, _) in &taps {
            wait_until("tcpdump", Duration::from_secs(5), || Ok(tap.log().contains("listening on")))
                .with_context(|| tap.log())?;
        }
        Ok(Self { _folder: folder, taps, between: lab.between })
    }

    /// Stops listening and compares, direction by direction.
    pub(crate) fn ledger(mut self) -> Result<Ledger> {
        thread::sleep(SETTLE);
        for (tap, _) in &mut self.taps {
            tap.terminate()?;
            ensure!(
                tap.log().contains("\n0 packets dropped by kernel"),
                "a tap missed frames: {}",
                tap.log()
            );
        }
        let seen = self.taps.iter().map(|(_, path)| count(path, self.between)).collect::<Result<Vec<_>>>()?;
        let mut ledger = Ledger::default();
        for pair in seen.chunks_exact(2) {
            ledger.add(&pair[0], &pair[1]);
        }
        Ok(ledger)
    }
}

impl Ledger {
    /// Nothing lost, nothing doubled.
    pub(crate) fn assert_exactly_once(&self) {
        assert!(self.sent > 0, "no frame was sent");
        assert_eq!((self.doubled, self.lost), (0, 0), "not exactly once: {self:?}");
    }

    fn add(&mut self, sent: &HashMap<Vec<u8>, usize>, received: &HashMap<Vec<u8>, usize>) {
        self.sent += sent.values().sum::<usize>();
        self.received += received.values().sum::<usize>();
        self.lost += self.excess(sent, received);
        self.doubled += self.excess(received, sent);
    }

    /// How many frames there are more of here than there.
    fn excess(&mut self, here: &HashMap<Vec<u8>, usize>, there: &HashMap<Vec<u8>, usize>) -> usize {
        let mut excess = 0;
        for (frame, times) in here {
            let more = times.saturating_sub(there.get(frame).copied().unwrap_or(0));
            if more > 0 {
                self.example
                    .get_or_insert_with(|| frame.iter().take(80).map(|b| format!("{b:02x}")).collect());
            }
            excess += more;
        }
        excess
    }
}

/// What a router passes on: IP between the hosts, but not what they say to each station of their link, or to it.
const ROUTED: &str = "(ip or ip6) and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) and not ip multicast and not ip6 multicast \
                      and not host 10.77.1.254 and not host 10.77.0.254 and not host fd77:ffff::fe and not host fd77::fe";

fn tap(
    name: &str,
    host: &Namespace,
    direction: &str,
    between: Between,
    path: &std::path::Path,
) -> Result<Background> {
    let mut command = host.command("tcpdump");
    // In its usual mode tcpdump gets frames in blocks and never sees the last one.
    command.args(["-i", "eth0", "-n", "--immediate-mode", "-Z", "root", "-Q", direction, "-B", "32768"]);
    command.args(["-s", &SNAPLEN.to_string()]);
    command.arg("-w").arg(path);
    if between == Between::Router {
        command.arg(ROUTED);
    }
    Background::start(format!("tcpdump {name}"), &mut command)
}

fn count(path: &std::path::Path, between: Between) -> Result<HashMap<Vec<u8>, usize>> {
    let mut seen = HashMap::new();
    for record in capture::read(path)? {
        let frame = if between == Between::Router { unrouted(record.bytes) } else { record.bytes };
        *seen.entry(frame).or_insert(0) += 1;
    }
    Ok(seen)
}

/// A packet without what a router changes: the link header, the time to live and the IPv4 header's checksum.
fn unrouted(mut frame: Vec<u8>) -> Vec<u8> {
    let mut packet = frame.split_off(14);
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => packet[8..12].iter_mut().zip([true, false, true, true]).for_each(|(byte, changes)| {
            if changes {
                *byte = 0;
            }
        }),
        Some(6) => packet[7] = 0,
        _ => {}
    }
    packet
}
