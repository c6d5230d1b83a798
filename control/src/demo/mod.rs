//! All nodes of a cluster in one process, on the same traffic: shows that each frame has exactly one owner.

mod tally;

use crate::Failure;
use crate::config::GatewayConfig;
use crate::replay::{Batch, CapturePorts, Clock, Node, PortFiles, capture, is_told_whole};
use crate::runtime::ports;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tally::{Outcomes, Tally};
use weir_dataplane::config::{Cluster, Config};
use weir_dataplane::units::BucketId;

/// How fast captures are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Pace {
    /// As they were recorded.
    #[default]
    Capture,
    /// As fast as it goes.
    Fast,
}

/// Nodes that one demonstration runs at most: each is a whole gateway with its own tables.
const NODES_MAX: u16 = 32;

/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// A demonstration that is ready to run.
#[derive(Debug)]
pub struct Demo {
    /// What each node does; node numbers are dealt out by the demonstration.
    pub config: GatewayConfig,
    /// What comes in by the first and the second port.
    pub inputs: [PathBuf; 2],
    /// Where the nodes' output captures go.
    pub out: PathBuf,
    /// How fast.
    pub pace: Pace,
}

impl Demo {
    /// Runs to the end of the captures; prints progress and a table.
    ///
    /// # Errors
    /// What is wrong with configuration, captures or ports; and when a frame had more than one owner.
    pub fn run(self) -> Result<(), Failure> {
        is_told_whole(&self.config)?;
        let dataplanes = dataplanes(&self.config)?;
        for path in &self.inputs {
            if let Some(damage) = capture::scan(path).map_err(Failure::runtime)?.damage {
                return Err(Failure::runtime(damage));
            }
        }
        let cannot_make = |error| Failure::runtime(format!("cannot make {}: {error}", self.out.display()));
        fs::create_dir_all(&self.out).map_err(cannot_make)?;
        let mut nodes = self.open(&dataplanes)?;
        let tally = self.play(&mut nodes)?;
        crate::cli::print(&tally.table(&nodes))?;
        match tally.forwarded_by_several() {
            0 => Ok(()),
            frames => Err(Failure::runtime(format!("{frames} frames were forwarded by more than one node"))),
        }
    }

    fn open(&self, dataplanes: &[Config]) -> Result<Vec<Node>, Failure> {
        let tags: Vec<String> = (1..=dataplanes.len()).map(|number| format!("node{number}")).collect();
        let captures: Result<Vec<_>, _> =
            tags.iter().map(|tag| CapturePorts::new(self.config.clone(), tag, &self.files(tag))).collect();
        let captures = captures.map_err(Failure::runtime)?;
        let gateways = u32::try_from(captures.len()).unwrap_or(u32::MAX);
        // Every node has the same kinds of ports, so the first one's configuration starts DPDK for all.
        let config = captures.first().map_or(&self.config, |captures| &captures.config);
        let eal = ports::start_eal(config, gateways).map_err(Failure::runtime)?;
        let nodes = tags.iter().zip(captures).zip(dataplanes);
        nodes
            .map(|((tag, captures), dataplane)| Node::open(eal, tag, captures, dataplane, Clock::Capture))
            .collect::<Result<_, _>>()
            .map_err(Failure::runtime)
    }

    /// One node's captures, in the order of the ports.
    fn files(&self, tag: &str) -> Vec<PortFiles> {
        let files = self.config.ports().iter().zip(&self.inputs).map(|(port, input)| PortFiles {
            input: Some(input.clone()),
            output: Some(self.out.join(format!("{tag}-{}.pcap", port.name()))),
        });
        files.collect()
    }

    /// Every node sees the same frames in the same batches, so outcomes are compared batch by batch.
    fn play(&self, nodes: &mut [Node]) -> Result<Tally, Failure> {
        let mut tally = Tally::new(nodes.len());
        let mut batch = Batch::default();
        let start = Instant::now();
        let mut next_line = start + PROGRESS_INTERVAL;
        loop {
            let mut outcomes = Vec::with_capacity(nodes.len());
            for node in nodes.iter_mut() {
                let mut seen = Outcomes::default();
                if !node.turn(&mut batch, |_| &mut seen).map_err(Failure::runtime)? {
                    return Ok(tally);
                }
                outcomes.push(seen);
            }
            tally.book(&outcomes);
            if self.pace == Pace::Capture {
                let due = start + Duration::from_micros(batch.since_start_us);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            if Instant::now() >= next_line {
                next_line += PROGRESS_INTERVAL;
                let _ = writeln!(io::stdout(), "{}", tally.line(start.elapsed(), nodes));
            }
        }
    }
}

/// One configuration for each node of the cluster: node i owns bucket i.
fn dataplanes(config: &GatewayConfig) -> Result<Vec<Config>, Failure> {
    let dataplane = config.dataplane();
    let Some(cluster) = &dataplane.cluster else {
        return Err(Failure::configuration("the demonstration needs a configuration with a `cluster`"));
    };
    if cluster.total_nodes > NODES_MAX {
        return Err(Failure::configuration(format!(
            "the demonstration runs every node in this process: `cluster.total_nodes` can be {NODES_MAX} at most"
        )));
    }
    if config.ports().len() != 2 {
        return Err(Failure::configuration("the demonstration needs a configuration with exactly two ports"));
    }
    let buckets = (0..usize::from(cluster.total_nodes)).filter_map(BucketId::new);
    Ok(buckets
        .map(|bucket| {
            let mut dataplane = dataplane.clone();
            if let Some(mask) = dataplane.cluster.as_mut().and_then(Cluster::mask_mut) {
                mask.local_nodes = [bucket].into_iter().collect();
            }
            dataplane
        })
        .collect())
}
