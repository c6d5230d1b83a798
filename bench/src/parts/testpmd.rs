//! The whole gateway beside DPDK's `testpmd`, on the same ports: `weir run` and `dpdk-testpmd` as processes, by turns.
//!
//! Two `net_pcap` ports play captures round and round (`infinite_rx`), one with the clients' side of open TCP
//! connections, one with the servers'; what is sent is counted and thrown away. Both programs forward on one core
//! and read and write the same number of frames. `macswap` swaps the addresses of each frame; Weir tracks each with
//! its window, and verifies its checksums, which no device has done here. A second row has Weir without that
//! (`conntrack.checksum: false`), since testpmd looks at none.
//!
//! `net_null` hands out frames of zeros, which Weir drops for their source address: what receiving, a look at the frame
//! and giving it back costs, beside testpmd's `rxonly`.
//!
//! Rates are the difference of two readings of each program's own counters, two seconds apart.

use crate::figure::{Figure, Outcome, Unavailable, Unit};
use crate::rounds::alternate;
use crate::shuffled;
use anyhow::{Context, Result, bail, ensure};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use weir_tests::capture;
use weir_tests::packet::{Mac, eth};
use weir_tests::process::Background;

const TESTPMD: &str = "dpdk-testpmd";

/// Until a program has started and its tables are warm.
const WARM_UP: Duration = Duration::from_millis(2500);
/// Between two readings.
const MEASURED: Duration = Duration::from_secs(2);

/// Flows, and how keys and titles call them.
const SIZES: [(u32, &str, &str); 2] = [(4096, "4k", "4,096 flows"), (65_536, "64k", "65,536 flows")];

/// Measures both programs. `weir` is the release binary; `huge`: there are reserved huge pages.
pub fn run(rounds: usize, weir: &Path, huge: bool) -> Outcome {
    if !weir.exists() {
        return Err(Unavailable(format!("{} is not there: run `make build`", weir.display())));
    }
    if Command::new(TESTPMD).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        return Err(Unavailable(format!("{TESTPMD} is not installed (Debian: dpdk-dev)")));
    }
    let [control, forwarding] = match cores()[..] {
        [control, .., forwarding] => [control, forwarding],
        _ => return Err(Unavailable("it needs two cores, one for control".to_owned())),
    };
    let mut figures = Vec::new();
    let failed = Failed::default();
    let ports = |flows| -> Result<Ports> {
        Ok(Ports { dir: captures(flows)?, weir: weir.to_owned(), flows, huge, control, forwarding })
    };
    let null = ports(0)?;
    let [zeros, rxonly] =
        alternate(rounds, [&mut || failed.or(null.weir(true)), &mut || failed.or(null.testpmd("rxonly"))]);
    failed.check()?;
    figures.push(Figure::new("weir_null", "weir over net_null, frames dropped", Unit::Mpps, zeros));
    figures.push(Figure::new("testpmd_rxonly_null", "testpmd rxonly over net_null", Unit::Mpps, rxonly));
    for (flows, key, title) in SIZES {
        let bench = ports(flows)?;
        let [weir, unsummed, macswap, io] = alternate(
            rounds,
            [
                &mut || failed.or(bench.weir(true)),
                &mut || failed.or(bench.weir(false)),
                &mut || failed.or(bench.testpmd("macswap")),
                &mut || failed.or(bench.testpmd("io")),
            ],
        );
        failed.check()?;
        for (name, what, samples) in [
            ("weir_pcap", "weir over net_pcap", weir),
            ("weir_unsummed_pcap", "weir over net_pcap, checksums not verified", unsummed),
            ("testpmd_macswap_pcap", "testpmd macswap over net_pcap", macswap),
            ("testpmd_io_pcap", "testpmd io over net_pcap", io),
        ] {
            let ns = samples.iter().map(|mpps| 1000.0 / mpps).collect();
            let title = format!("{what}, {title}");
            figures.push(Figure::new(format!("{name}_{key}"), title.clone(), Unit::Mpps, samples));
            figures.push(Figure::new(format!("{name}_{key}_ns"), title, Unit::Ns, ns));
        }
    }
    Ok(figures)
}

/// The first thing that went wrong.
#[derive(Default)]
struct Failed(RefCell<Option<anyhow::Error>>);

impl Failed {
    /// A sample, or none.
    fn or(&self, rate: Result<f64>) -> f64 {
        rate.unwrap_or_else(|error| {
            self.0.borrow_mut().get_or_insert(error);
            f64::NAN
        })
    }

    fn check(&self) -> Result<()> {
        self.0.take().map_or(Ok(()), Err)
    }
}

impl From<anyhow::Error> for Unavailable {
    fn from(error: anyhow::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

/// Processors that this process may use.
pub(super) fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect()
}

/// Both sides of open connections, as captures in a directory of their own.
pub(super) fn captures(flows: u32) -> Result<TempDir> {
    let dir = TempDir::new()?;
    let (a, b) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let server = Ipv4Addr::new(192, 0, 2, 80);
    let order = shuffled(flows);
    for side in ["lan", "wan"] {
        let frames: Vec<Vec<u8>> = order
            .iter()
            .map(|n| {
                let (ip, port) = crate::client(*n);
                let frame = if side == "lan" {
                    eth(a, b).ip(ip, server).tcp(port, 80).seq(101).ack(501).window(64_000).build()
                } else {
                    eth(b, a).ip(server, ip).tcp(80, port).seq(501).ack(101).window(64_000).build()
                };
                let mut frame = frame;
                // With the check sequence 64 bytes.
                frame.resize(60, 0);
                frame
            })
            .collect();
        let path = dir.path().join(format!("{side}.pcap"));
        capture::write(&path, frames.iter().map(|frame| (0, frame.as_slice())))?;
    }
    Ok(dir)
}

/// Two ports and what runs on them.
struct Ports {
    dir: TempDir,
    weir: PathBuf,
    /// Connections in the captures; none: `net_null`.
    flows: u32,
    huge: bool,
    control: usize,
    forwarding: usize,
}

impl Ports {
    fn device(&self, number: usize, side: &str) -> String {
        if self.flows == 0 {
            return format!("net_null{number}");
        }
        let capture = self.dir.path().join(format!("{side}.pcap"));
        format!("net_pcap{number},rx_pcap={},infinite_rx=1", capture.display())
    }

    /// Packet buffers: net_pcap keeps a capture in them.
    fn buffers(&self) -> u32 {
        self.flows * 2 + 16_384
    }

    /// Million frames a second that Weir forwards.
    fn weir(&self, checksum: bool) -> Result<f64> {
        let (config, socket) = (self.dir.path().join("weir.yaml"), self.dir.path().join("weir.sock"));
        let mut text = String::new();
        writeln!(text, "node: bench")?;
        writeln!(text, "ports:")?;
        for (number, side) in ["lan", "wan"].iter().enumerate() {
            writeln!(text, "  - {{name: {side}, device: '{}'}}", self.device(number, side))?;
        }
        writeln!(text, "workers: {{cores: [{}], idle: poll}}", self.forwarding)?;
        writeln!(text, "memory: {{huge_pages: {}, buffers: {}}}", self.huge, self.buffers())?;
        // The captures begin in mid-connection.
        writeln!(text, "conntrack:")?;
        writeln!(text, "  flows_max: {}", (self.flows * 2).max(1024))?;
        writeln!(text, "  checksum: {checksum}")?;
        writeln!(text, "  tcp: {{loose: true}}")?;
        writeln!(text, "control: {{socket: {}}}", socket.display())?;
        writeln!(text, "metrics: {{listen: 'off'}}")?;
        fs::write(&config, text)?;
        let gateway =
            Background::start("weir", Command::new(&self.weir).args(["run", "--config"]).arg(&config))?;
        sleep(WARM_UP);
        let rate = self.rate_of_weir(&socket);
        rate.with_context(|| gateway.log())
    }

    fn rate_of_weir(&self, socket: &Path) -> Result<f64> {
        let read = || -> Result<(Instant, Counters)> {
            let mut command = Command::new(&self.weir);
            let output = command.args(["counters", "--json", "--socket"]).arg(socket).output()?;
            ensure!(output.status.success(), "weir counters: {}", String::from_utf8_lossy(&output.stderr));
            Ok((Instant::now(), serde_json::from_slice(&output.stdout).context("weir counters")?))
        };
        let (start, before) = read()?;
        sleep(MEASURED);
        let (end, after) = read()?;
        ensure!(
            after.established() == u64::from(self.flows),
            "{} of {} connections are established",
            after.established(),
            self.flows
        );
        let dropped = after.verdict(|verdicts| verdicts.drop) - before.verdict(|verdicts| verdicts.drop);
        if self.flows == 0 {
            return Ok(mpps(dropped, end - start));
        }
        ensure!(dropped == 0, "{dropped} frames were dropped");
        let forwarded =
            after.verdict(|verdicts| verdicts.forward) - before.verdict(|verdicts| verdicts.forward);
        Ok(mpps(forwarded, end - start))
    }

    /// Million frames a second that testpmd forwards in this mode.
    fn testpmd(&self, mode: &str) -> Result<f64> {
        let mut command = Command::new(TESTPMD);
        command
            .arg(format!("-l{},{}", self.control, self.forwarding))
            .arg(format!("--main-lcore={}", self.control));
        match self.huge {
            true => command.arg("--in-memory"),
            false => command.args(["--no-huge", "--no-shconf", "-m", "512"]),
        };
        command.args(["--no-pci", "--no-telemetry"]);
        command
            .arg(format!("--vdev={}", self.device(0, "lan")))
            .arg(format!("--vdev={}", self.device(1, "wan")));
        command.args(["--", "-i", "--auto-start", "--nb-cores=1"]).arg(format!("--forward-mode={mode}"));
        command.arg(format!("--total-num-mbufs={}", self.buffers()));
        let mut process =
            Ended(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
        let mut stdin = process.0.stdin.take().context("testpmd has no input")?;
        sleep(WARM_UP);
        writeln!(stdin, "show port stats all")?;
        let start = Instant::now();
        sleep(MEASURED);
        writeln!(stdin, "show port stats all")?;
        let measured = start.elapsed();
        sleep(Duration::from_millis(200));
        writeln!(stdin, "quit")?;
        let mut output = String::new();
        process.0.stdout.take().context("testpmd has no output")?.read_to_string(&mut output)?;
        let counter = if mode == "rxonly" { "RX-packets:" } else { "TX-packets:" };
        let readings = counted(&output, counter);
        let [a, b, c, d] = readings[..] else {
            bail!("testpmd said {readings:?} of two ports, twice: {output}")
        };
        Ok(mpps(c + d - a - b, measured))
    }
}

/// A process that is ended, by its own id, when nobody looks at it any more.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mpps(frames: u64, time: Duration) -> f64 {
    frames as f64 / time.as_secs_f64() / 1e6
}

/// What this counter says in each `show port stats` of testpmd's output.
fn counted(output: &str, counter: &str) -> Vec<u64> {
    let statistics = output.split("NIC statistics for port").skip(1);
    let counted = |text: &str| text.split(counter).nth(1)?.split_whitespace().next()?.parse().ok();
    statistics.filter_map(counted).collect()
}

/// What is needed of `weir counters --json`.
#[derive(serde::Deserialize)]
pub(super) struct Counters {
    workers: Vec<WorkerCounters>,
}

#[derive(serde::Deserialize)]
struct WorkerCounters {
    verdicts: Verdicts,
    flows: Vec<Flows>,
}

#[derive(serde::Deserialize)]
pub(super) struct Verdicts {
    pub(super) forward: u64,
    pub(super) drop: u64,
}

#[derive(serde::Deserialize)]
struct Flows {
    protocol: String,
    state: String,
    live: u64,
}

impl Counters {
    pub(super) fn verdict(&self, of: impl Fn(&Verdicts) -> u64) -> u64 {
        self.workers.iter().map(|worker| of(&worker.verdicts)).sum()
    }

    fn established(&self) -> u64 {
        let flows = self.workers.iter().flat_map(|worker| &worker.flows);
        let open = flows.filter(|flows| flows.protocol == "tcp" && flows.state == "established");
        open.map(|flows| flows.live).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_testpmd_sent_is_read_from_its_statistics() {
        let output = "testpmd> show port stats all\n\n  ######## NIC statistics for port 0  ########\n  \
            RX-packets: 7          RX-missed: 0          RX-bytes:  420\n  RX-errors: 0\n  \
            TX-packets: 12         TX-errors: 0          TX-bytes:  720\n\n  \
            ######## NIC statistics for port 1  ########\n  RX-packets: 12  RX-missed: 0\n  TX-packets: 7  TX-errors: 0\n";
        assert_eq!(counted(output, "TX-packets:"), [12, 7]);
        assert_eq!(counted(output, "RX-packets:"), [7, 12]);
        assert!(counted("nothing", "TX-packets:").is_empty());
    }
}
