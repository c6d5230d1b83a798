//! The taps at the hosts: what one host sent must reach the other exactly once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, thread};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use weir_tests::capture::{self, Record};
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::flow::Flow;
use crate::lab::{Between, Lab, Mac};

/// Enough of a frame to tell it from every other: headers, and the start of the payload.
const SNAPLEN: u32 = 192;
/// How long after the last client has ended frames may still be under way.
const SETTLE: Duration = Duration::from_millis(500);

/// Listens at both hosts, in both directions.
pub(crate) struct Taps {
    _folder: TempDir,
    taps: Vec<(Background, PathBuf)>,
    between: Between,
    stations: BTreeMap<Mac, usize>,
    /// When all of them listened, in microseconds since 1970.
    from_us: u64,
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
    /// When all that was.
    pub(crate) moments: Moments,
    /// The start of one frame that was doubled or lost, in hexadecimal.
    pub(crate) example: Option<String>,
    /// Which nodes of a router passed on the packets of each flow, by number.
    pub(crate) passed_by: BTreeMap<Flow, BTreeSet<usize>>,
    /// The packets that a router passed on too often: their flow, and the node of each copy, by number.
    pub(crate) copies: Vec<(Flow, Vec<usize>)>,
}

/// Each frame and how it was heard.
type Heard = HashMap<Vec<u8>, Vec<Copy>>;

/// Who sent a copy of a frame to this link, and when, in microseconds since 1970.
struct Copy {
    sender: Mac,
    at_us: u64,
}

/// When what is in a ledger happened, in microseconds since 1970, in order.
#[derive(Clone, Default)]
pub(crate) struct Moments {
    /// Frames reached the other host.
    pub(crate) received_us: Vec<u64>,
    /// Frames reached it once more than they were sent.
    pub(crate) doubled_us: Vec<u64>,
    /// Frames were sent and not received.
    pub(crate) lost_us: Vec<u64>,
}

impl fmt::Debug for Moments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
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
        Ok(Self {
            _folder: folder,
            taps,
            between: lab.between,
            stations: lab.stations()?,
            from_us: now_us()?,
        })
    }

    /// Stops listening and compares, direction by direction, what was sent while all listened with what ever arrived,
    /// and what arrived then with what was ever sent: hosts say things unasked while the taps come and go.
    pub(crate) fn ledger(mut self) -> Result<Ledger> {
        let sent = self.from_us..now_us()?;
        thread::sleep(SETTLE);
        let received = self.from_us..now_us()?;
        for (tap, _) in &mut self.taps {
            tap.terminate()?;
            ensure!(
                tap.log().contains("\n0 packets dropped by kernel"),
                "a tap missed frames: {}",
                tap.log()
            );
        }
        let (mut ledger, mut moments) = (Ledger::default(), Moments::default());
        for pair in self.taps.chunks_exact(2) {
            let (out, into) = (heard(&pair[0].1, self.between)?, heard(&pair[1].1, self.between)?);
            let (now_sent, lost) = ledger.excess(&out, &sent, &into);
            let (now_received, doubled) = ledger.excess(&into, &received, &out);
            ledger.sent += now_sent.len();
            moments.received_us.extend(now_received);
            moments.lost_us.extend(lost);
            moments.doubled_us.extend(doubled);
            ledger.attribute(&into, &out, &self.stations);
        }
        for moments in [&mut moments.received_us, &mut moments.doubled_us, &mut moments.lost_us] {
            moments.sort_unstable();
        }
        ledger.received = moments.received_us.len();
        (ledger.doubled, ledger.lost) = (moments.doubled_us.len(), moments.lost_us.len());
        ledger.moments = moments;
        Ok(ledger)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, received, doubled, lost, passed_by, .. } = self;
        write!(
            f,
            "sent {sent}, received {received}, doubled {doubled}, lost {lost}; {} flows",
            passed_by.len()
        )
    }
}

impl Ledger {
    /// Nothing lost, nothing doubled.
    pub(crate) fn assert_exactly_once(&self) {
        assert!(self.sent > 0, "no frame was sent");
        assert_eq!((self.doubled, self.lost), (0, 0), "not exactly once: {self:?}");
    }

    /// Each flow went through one node of a router, and each of `nodes` nodes had some.
    pub(crate) fn assert_one_node_each(&self, nodes: usize) {
        let astray: Vec<_> = self.passed_by.iter().filter(|(_, by)| by.len() != 1).collect();
        assert!(astray.is_empty(), "through several nodes: {astray:?}");
        let used: BTreeSet<usize> = self.passed_by.values().flatten().copied().collect();
        assert_eq!(used.len(), nodes, "idle nodes, of {} flows", self.passed_by.len());
    }

    /// The flows of which a router passed on packets too often: how many, and by which nodes.
    pub(crate) fn twice(&self) -> String {
        let mut flows = BTreeMap::<Flow, (usize, BTreeSet<usize>)>::new();
        for (flow, by) in &self.copies {
            let (packets, nodes) = flows.entry(*flow).or_default();
            *packets += 1;
            nodes.extend(by);
        }
        let line = |(flow, (packets, nodes)): (&Flow, &(usize, BTreeSet<usize>))| {
            format!("{packets} packets of {:?} ({}) twice, by nodes {nodes:?}\n", flow.ends, flow.protocol)
        };
        flows.iter().map(line).collect()
    }

    /// Notes which node passed on what of that which was sent.
    fn attribute(&mut self, heard: &Heard, sent: &Heard, stations: &BTreeMap<Mac, usize>) {
        for (packet, copies) in heard {
            let by: Vec<usize> =
                copies.iter().filter_map(|copy| stations.get(&copy.sender)).copied().collect();
            let Some(flow) = Flow::of(packet).filter(|_| !by.is_empty()) else { continue };
            self.passed_by.entry(flow).or_default().extend(&by);
            if by.len() > sent.get(packet).map_or(0, Vec::len) {
                self.copies.push((flow, by));
            }
        }
    }

    /// When frames were heard here at that time, and when oftener than ever there.
    fn excess(&mut self, here: &Heard, when_us: &Range<u64>, there: &Heard) -> (Vec<u64>, Vec<u64>) {
        let (mut all, mut excess) = (Vec::new(), Vec::new());
        for (frame, copies) in here {
            let now: Vec<u64> =
                copies.iter().map(|copy| copy.at_us).filter(|at_us| when_us.contains(at_us)).collect();
            let known = there.get(frame).map_or(0, Vec::len);
            if now.len() > known {
                self.example
                    .get_or_insert_with(|| frame.iter().take(80).map(|b| format!("{b:02x}")).collect());
            }
            excess.extend(now.iter().skip(known));
            all.extend(now);
        }
        (all, excess)
    }
}

/// What a router passes on: IP between the hosts, but not what they say to each station of their link, or to it.
const ROUTED: &str = "(ip or ip6) and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) and not ip multicast and not ip6 multicast \
                      and not host 10.77.1.254 and not host 10.77.0.254 and not host fd77:ffff::fe and not host fd77::fe";

fn tap(name: &str, host: &Namespace, direction: &str, between: Between, path: &Path) -> Result<Background> {
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

/// This moment, in microseconds since 1970.
pub(crate) fn now_us() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}

/// All frames that were heard.
fn heard(path: &Path, between: Between) -> Result<Heard> {
    let mut heard = Heard::new();
    for Record { at_us, bytes } in capture::read(path)? {
        let sender = bytes.get(6..12).and_then(|mac| mac.try_into().ok()).context("no frame")?;
        let frame = if between == Between::Router { unrouted(bytes) } else { bytes };
        heard.entry(frame).or_default().push(Copy { sender, at_us });
    }
    Ok(heard)
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
