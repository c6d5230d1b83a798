//! One node over captures: the real pipeline between real net_pcap ports, on the calling thread.

use super::merge::{Batch, Clock, Merge};
use crate::config::{Device, GatewayConfig};
use crate::runtime::ports::{self, OpenPort, PortsError};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_dataplane::config::Config;
use weir_dataplane::counters::WorkerCounters;
use weir_dataplane::pipeline::{Limits, Observer, Outbox, Pipeline};
use weir_dataplane::port::{Frame, TxQueue as _};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::units::{Epoch, PortId};
use weir_dpdk::{Eal, Mbuf, TxQueue};

/// The captures behind one port.
#[derive(Clone, Debug, Default)]
pub struct PortFiles {
    /// What comes in; nothing without it.
    pub input: Option<PathBuf>,
    /// Where what leaves is written; it is let go without it.
    pub output: Option<PathBuf>,
}

/// Why a node cannot run over its captures.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A capture cannot be opened.
    #[error("cannot {verb} {}: {error}", .path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The capture.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// DPDK says no.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// A capture stopped taking frames.
    #[error("port {0} did not take every frame: is the disk full?")]
    Output(String),
}

/// A gateway's ports with captures behind them. Its open files keep the device strings good.
#[derive(Debug)]
pub struct CapturePorts {
    /// The configuration with net_pcap devices.
    pub config: GatewayConfig,
    files: Vec<File>,
}

impl CapturePorts {
    /// Puts captures behind the ports of `config`; `files` is in the order of its ports. `tag` makes the
    /// devices' names unique in this process.
    ///
    /// Paths go to DPDK as `/proc/self/fd/N`: a device string cannot hold commas or spaces.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn new(mut config: GatewayConfig, tag: &str, files: &[PortFiles]) -> Result<Self, NodeError> {
        let mut open_files = Vec::new();
        for (index, files) in files.iter().enumerate() {
            let mut device = format!("net_pcap_{tag}_{index}");
            if let Some(path) = &files.input {
                let file = File::open(path).map_err(|error| file_error("read", path, error))?;
                device += &format!(",rx_pcap={}", fd_path(&file));
                open_files.push(file);
            }
            if let Some(path) = &files.output {
                let file = File::create(path).map_err(|error| file_error("write", path, error))?;
                device += &format!(",tx_pcap={}", fd_path(&file));
                open_files.push(file);
            }
            if files.input.is_none() && files.output.is_none() {
                device = format!("net_null_{tag}_{index},no-rx=1");
            }
            if let (Some(port), Some(device)) = (PortId::new(index), Device::new(&device)) {
                config = config.with_device(port, device);
            }
        }
        Ok(Self { config, files: open_files })
    }
}

fn file_error(verb: &'static str, path: &Path, error: io::Error) -> NodeError {
    NodeError::File { verb, path: path.to_owned(), error }
}

fn fd_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// A node at work.
pub struct Node {
    merge: Merge,
    pipeline: Pipeline<Mbuf>,
    outbox: Outbox<Mbuf>,
    outputs: Vec<(PortId, String, TxQueue)>,
    counters: Arc<WorkerCounters>,
    busy: Duration,
    _files: Vec<File>,
}

impl Node {
    /// Opens the ports of `captures`, with a pipeline that does what `dataplane` says.
    ///
    /// # Errors
    /// [`NodeError::Ports`].
    pub fn open(
        eal: Eal,
        tag: &str,
        captures: CapturePorts,
        dataplane: &Config,
        clock: Clock,
    ) -> Result<Self, NodeError> {
        let CapturePorts { config, files } = captures;
        let pool = ports::packet_memory(&eal, &format!("frames_{tag}"), &config)?;
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        for OpenPort { id, port, rx, tx, .. } in ports::open(&eal, &pool, &config)? {
            inputs.extend(rx.into_iter().next().map(|queue| (id, queue)));
            outputs.extend(tx.into_iter().next().map(|queue| (id, port.name().to_owned(), queue)));
        }
        let counters = Arc::new(WorkerCounters::default());
        let conntrack = &dataplane.conntrack;
        let limits = Limits { flows_max: conntrack.flows_max, expectations_max: conntrack.expectations_max };
        let snapshot = Arc::new(Snapshot::compile(Epoch::FIRST, dataplane));
        let pipeline = Pipeline::new(limits, HASH_KEY, snapshot, Arc::clone(&counters));
        Ok(Self {
            merge: Merge::new(eal, clock, inputs),
            outbox: pipeline.outbox(config.ports().len()),
            pipeline,
            outputs,
            counters,
            busy: Duration::ZERO,
            _files: files,
        })
    }

    /// Takes the next frames through the pipeline; false at the end of all captures. The observer, made from
    /// the frames' numbers, is told of each frame in the order of `batch`.
    ///
    /// # Errors
    /// [`NodeError::Output`].
    pub fn turn<O: Observer>(
        &mut self,
        batch: &mut Batch,
        observer: impl FnOnce(&[u64]) -> O,
    ) -> Result<bool, NodeError> {
        if !self.merge.next(batch) {
            return Ok(false);
        }
        let mut observer = observer(&batch.numbers);
        let start = Instant::now();
        self.pipeline.housekeep(batch.now, &mut observer);
        self.pipeline.process(&mut batch.frames, &batch.origins, batch.now, &mut self.outbox, &mut observer);
        self.busy += start.elapsed();
        self.send()?;
        Ok(true)
    }

    fn send(&mut self) -> Result<(), NodeError> {
        loop {
            for (port, name, queue) in &mut self.outputs {
                let Some(burst) = self.outbox.take(*port) else { continue };
                while !burst.is_empty() {
                    if queue.transmit(burst) == 0 {
                        Mbuf::release(burst);
                        return Err(NodeError::Output(name.clone()));
                    }
                }
            }
            if !self.outbox.refill() {
                return Ok(());
            }
        }
    }

    /// What the pipeline counted.
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Time spent in the pipeline.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// Frames taken so far, by port.
    pub fn taken(&self) -> impl Iterator<Item = (PortId, u64)> + '_ {
        self.merge.taken()
    }
}

/// Replays are to be repeatable, so the flow table's hash is not secret here.
const HASH_KEY: u64 = 0;
