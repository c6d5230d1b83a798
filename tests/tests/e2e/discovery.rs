//! ARP and neighbour discovery on a host's wire: what is said, frame by frame, and frames that the host's kernel would
//! not send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use weir_tests::capture::{self, Record};
use weir_tests::netns::Namespace;
use weir_tests::packet::Mac;
use weir_tests::process::{Background, wait_until};

const FRAMES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/frames.py");

/// Sends these frames by a host's interface, as they are, at this distance.
pub(crate) fn send(host: &Namespace, interface: &str, period_ms: u32, frames: &[Vec<u8>]) -> Result<()> {
    let hex = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    host.feed(
        &format!("python3 {FRAMES} {interface} {period_ms}"),
        &frames.iter().map(hex).collect::<String>(),
    )
}

/// Listens at a host's interface, in both directions.
pub(crate) struct Wire {
    _folder: TempDir,
    path: PathBuf,
    tap: Background,
}

impl Wire {
    /// Starts listening to what `filter` says.
    pub(crate) fn start(host: &Namespace, interface: &str, filter: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("wire.pcap");
        let mut command = host.command("tcpdump");
        command.args(["-i", interface, "-n", "--immediate-mode", "-Z", "root", "-B", "32768", "-s", "192"]);
        command.arg("-w").arg(&path).arg(filter);
        let tap = Background::start(format!("tcpdump {interface}"), &mut command)?;
        wait_until("tcpdump", Duration::from_secs(5), || Ok(tap.log().contains("listening on")))
            .with_context(|| tap.log())?;
        Ok(Self { _folder: folder, path, tap })
    }

    /// All frames so far, the last of them sent some time ago.
    pub(crate) fn stop(mut self) -> Result<Vec<Record>> {
        std::thread::sleep(Duration::from_millis(300));
        self.tap.terminate()?;
        ensure!(
            self.tap.log().contains("\n0 packets dropped by kernel"),
            "frames missed: {}",
            self.tap.log()
        );
        capture::read(&self.path)
    }
}

/// Who a frame is from.
pub(crate) fn source(frame: &[u8]) -> Mac {
    mac(&frame[6..])
}

/// Whom a frame is for.
pub(crate) fn destination(frame: &[u8]) -> Mac {
    mac(frame)
}

fn mac(bytes: &[u8]) -> Mac {
    Mac(std::array::from_fn(|i| bytes[i]))
}

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Asks for a neighbour.
    Question,
    /// Answers one.
    Answer,
    /// Tells everybody unasked.
    Announcement,
}

/// A message of ARP or neighbour discovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) at_us: u64,
    pub(crate) kind: Kind,
    /// Whom the frame is from.
    pub(crate) frame: Mac,
    /// Whom the message is from or about, and where it says that is.
    pub(crate) speaker: IpAddr,
    pub(crate) mac: Option<Mac>,
    /// For whom it asks, or whom it answers.
    pub(crate) other: IpAddr,
}

/// The messages among frames.
pub(crate) fn said(records: &[Record]) -> Vec<Said> {
    records.iter().filter_map(|record| arp(record).or_else(|| nd(record))).collect()
}

fn arp(record: &Record) -> Option<Said> {
    let frame = &record.bytes;
    if frame.get(12..14)? != [0x08, 0x06] || frame.len() < 42 {
        return None;
    }
    let ip = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&frame[at..at + 4]).unwrap()).into();
    let (speaker, other): (IpAddr, IpAddr) = (ip(28), ip(38));
    let kind = match frame[21] {
        _ if speaker == other => Kind::Announcement,
        1 => Kind::Question,
        _ => Kind::Answer,
    };
    Some(Said {
        at_us: record.at_us,
        kind,
        frame: source(frame),
        speaker,
        mac: Some(mac(&frame[22..])),
        other,
    })
}

fn nd(record: &Record) -> Option<Said> {
    let frame = &record.bytes;
    if frame.get(12..14)? != [0x86, 0xdd] || frame.get(20)? != &58 || frame.len() < 78 {
        return None;
    }
    let ip = |at: usize| IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap()));
    let (from, to, target) = (ip(22), ip(38), ip(62));
    let (kind, speaker, other) = match frame[54] {
        135 => (Kind::Question, from, target),
        136 if to.is_multicast() => (Kind::Announcement, target, to),
        136 => (Kind::Answer, target, to),
        _ => return None,
    };
    let mac = (frame.len() >= 86 && frame[78] > 0).then(|| mac(&frame[80..]));
    Some(Said { at_us: record.at_us, kind, frame: source(frame), speaker, mac, other })
}
