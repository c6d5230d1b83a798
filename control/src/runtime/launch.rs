//! Start: DPDK, packet memory, ports, workers, threads.

use super::crew::{self, Crew, End};
use super::gateway::{Gateway, Running};
use super::ports::{self, OpenPort, PortsError};
use super::services::Services;
use super::station::{self, Station};
use super::tap::Taps;
use super::topology::{Topology, Warning};
use crate::config::{self, GatewayConfig};
use crate::service::Full;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use tracing::{info, warn};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::pipeline::Limits;
use weir_dataplane::punt::{self, WorkerEnd};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::spread::{SLOTS, Spread};
use weir_dataplane::units::{BURST_MAX, Epoch, PORTS_MAX, WorkerId};
use weir_dataplane::worker::{Idle, Mesh, Setup, Worker, WorkerPort};
use weir_dpdk::memory::{self, Backing, HUGE_PAGE, Huge};
use weir_dpdk::{Eal, Filtering, Mbuf, PortFacts, RssFields, RxQueue, TscClock, TxQueue};

/// Turns that a worker takes at most, beside those that its longest queue has bursts for, to finish what is in its
/// queues when it is stopped: a busy port never runs dry.
const DRAIN_TURNS: u32 = 64;

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    /// A port or DPDK itself.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// The system has no more threads.
    #[error("cannot start a worker's thread: {0}")]
    Thread(#[from] io::Error),
    /// There are too many services, or servers.
    #[error(transparent)]
    Services(#[from] Full),
    /// A worker ended before it began.
    #[error("worker {worker} cannot start: {trouble}")]
    Worker {
        /// Which.
        worker: usize,
        /// Why.
        trouble: String,
    },
}

/// Starts the gateway of `config`, which was read from `path`.
///
/// # Errors
/// See [`LaunchError`]; what had been opened is closed again.
pub(super) fn launch(path: &Path, config: GatewayConfig) -> Result<Gateway, LaunchError> {
    let eal = ports::start_eal(&config, 1)?;
    let pool = ports::packet_memory(&eal, "frames", &config)?;
    let mut open = ports::open(&eal, &pool, &config)?;
    for (port, asked) in open.iter().zip(config.ports()) {
        describe(port, asked);
    }
    let (ends, rings): (Vec<_>, Vec<_>) = (0..config.workers().count()).map(|_| punt::new()).unzip();
    let seed = RandomState::new().hash_one("neighbours");
    let taps = Taps::open(&eal, &pool, &config, &open)?;
    let mut services = Services::new(config.services())?;
    let station = config.network().map(|network| {
        let gate = station::gate(config.dataplane());
        let mac_of = |port| ports::mac(&open, port);
        let mut station = Station::new(rings, pool.clone(), taps, network, gate, mac_of, seed);
        station.know_services(services.compile(), services.addresses());
        station
    });
    let first = station::snapshot(Epoch::FIRST, config.dataplane(), station.as_ref());
    let snapshot = Arc::new(first);
    let clock = TscClock::new(&eal);
    let setups = setups(clock, &config, &mut open, ends, &snapshot);
    let cpus = crew::cpus(config.workers());
    let warnings = places(&config, &cpus, &open);
    let huge = if config.memory().huge_pages() { Huge::Reserved } else { Huge::Transparent };
    let longest = config.ports().iter().map(|port| usize::from(port.descriptors().rx)).max().unwrap_or(0);
    let drain_turns = u32::try_from(longest / BURST_MAX).unwrap_or(0) + DRAIN_TURNS;
    let (crew, workers) = man(eal, setups, &cpus, huge, drain_turns)?;
    Ok(Gateway::new(
        path,
        config,
        Running {
            ports: open,
            station,
            services,
            seat: None,
            snapshot,
            workers,
            clock,
            cpus,
            warnings,
            crew,
        },
    ))
}

/// Starts the workers, each made by its own thread: so its tables are of the NUMA node that it works on. They come
/// after DPDK's memory, which needs huge pages more.
fn man(
    eal: Eal,
    setups: Vec<Setup<RxQueue, TxQueue, TscClock>>,
    cpus: &[Option<usize>],
    huge: Huge,
    drain_turns: u32,
) -> Result<(Crew, Vec<WorkerHandle>), LaunchError> {
    let (sender, made) = mpsc::channel();
    let bodies = setups.into_iter().zip(cpus).map(|(setup, cpu)| {
        let sender = sender.clone();
        let body = move |stop: &AtomicBool| {
            let ((mut worker, handle), backing) = memory::tables(huge, || Worker::new(setup));
            // Nobody listens when the gateway does not start.
            let _ = sender.send((handle, backing));
            drop(sender);
            worker.run(stop, drain_turns);
        };
        (*cpu, body)
    });
    let crew = Crew::start(eal, bodies.collect())?;
    drop(sender);
    // Ends when each worker is made or has failed.
    let mut made: Vec<(WorkerHandle, Backing)> = made.iter().collect();
    if made.len() < cpus.len() {
        let ends = crew.stop().into_iter();
        let mut troubles = ends.filter_map(|End { worker, trouble }| Some((worker, trouble?)));
        let (worker, trouble) = troubles.next().unwrap_or_default();
        return Err(LaunchError::Worker { worker, trouble });
    }
    made.sort_by_key(|(handle, _)| handle.id());
    for (handle, backing) in &made {
        describe_tables(handle.id(), backing);
    }
    Ok((crew, made.into_iter().map(|(handle, _)| handle).collect()))
}

fn describe_tables(worker: WorkerId, backing: &Backing) {
    let mib = |bytes: usize| bytes >> 20;
    info!(
        worker = worker.index(),
        reserved_mib = mib(backing.reserved),
        transparent_mib = mib(backing.transparent),
        ordinary_mib = mib(backing.ordinary),
        "tables made: what they have of reserved and transparent huge pages, and of ordinary ones"
    );
    if backing.ordinary > 0 {
        warn!(
            worker = worker.index(),
            "tables lie on ordinary pages, which costs a cache miss a look-up: reserve {} more huge pages \
             (`sysctl vm.nr_hugepages`) with `memory.huge_pages: true`, or allow transparent ones \
             (`madvise` in /sys/kernel/mm/transparent_hugepage/enabled)",
            backing.ordinary / HUGE_PAGE
        );
    }
}

/// Where the workers will run, and what is wrong with it.
fn places(config: &GatewayConfig, cpus: &[Option<usize>], open: &[OpenPort]) -> Vec<Warning> {
    let topology = Topology::read(Path::new("/sys"));
    for (worker, cpu) in cpus.iter().enumerate() {
        match cpu {
            Some(cpu) => {
                info!(worker, cpu, numa_node = ?topology.node(*cpu), isolated = topology.is_isolated(*cpu), "worker placed");
            }
            None => info!(worker, "worker runs where the system puts it"),
        }
    }
    let polling = config.workers().idle() == config::Idle::Poll;
    let ports: Vec<_> = open.iter().map(|open| (open.port.name(), open.port.facts().numa_node)).collect();
    let warnings = topology.warnings(cpus, polling, &ports);
    for warning in &warnings {
        warn!("{warning}");
    }
    warnings
}

fn describe(open: &OpenPort, asked: &config::Port) {
    let facts = open.port.facts();
    info!(
        port = open.port.name(),
        device = %open.device,
        driver = %facts.driver,
        mac = %facts.mac,
        numa_node = ?facts.numa_node,
        queues = facts.rx_queues,
        mtu = facts.mtu,
        rss = facts.rss.is_some(),
        checks_ip = facts.checks_ip,
        checks_l4 = facts.checks_l4,
        filtering = ?facts.filtering,
        "port open"
    );
    if asked.promiscuous() == config::Promiscuous::Off && facts.filtering != Filtering::Addresses {
        warn!(
            port = open.port.name(),
            "`promiscuous: off` has no effect: the device cannot tell wanted MAC addresses from others"
        );
    }
}

/// What each worker is made of. Worker i gets queue i of each port; frames for a port of which a worker has no
/// transmit queue go through a worker that has one. All receive queues of a port that software spreads go to one
/// worker: its device sorts frames in a way of its own, and a connection must not overtake the one that announced it.
fn setups(
    clock: TscClock,
    config: &GatewayConfig,
    open: &mut [OpenPort],
    ends: Vec<WorkerEnd<Mbuf>>,
    snapshot: &Arc<Snapshot>,
) -> Vec<Setup<RxQueue, TxQueue, TscClock>> {
    let workers = config.workers().count();
    // Queue 0 of every port is worker 0's.
    let meshes: Vec<Mesh<Mbuf>> = Mesh::new(workers, [WorkerId::default(); PORTS_MAX]);
    let spreads: Vec<Spread> = open.iter().map(|open| spread(open.port.facts(), workers)).collect();
    for (open, _) in open.iter().zip(&spreads).filter(|(_, spread)| **spread == Spread::All) {
        warn!(
            port = open.port.name(),
            "frames are spread over workers in software: the device cannot, or not alike"
        );
    }
    let secret = RandomState::new().hash_one(std::process::id());
    let ids = (0..workers).filter_map(WorkerId::new);
    ids.zip(meshes)
        .zip(ends)
        .map(|((id, mesh), control)| Setup {
            id,
            ports: worker_ports(open, &spreads, id, workers),
            mesh,
            control,
            clock,
            idle: match config.workers().idle() {
                config::Idle::Poll => Idle::Poll,
                config::Idle::Backoff => Idle::Backoff,
            },
            limits: limits(config, workers),
            secret,
            snapshot: Arc::clone(snapshot),
        })
        .collect()
}

/// The next worker's queues.
fn worker_ports(
    open: &mut [OpenPort],
    spreads: &[Spread],
    id: WorkerId,
    workers: usize,
) -> Vec<WorkerPort<RxQueue, TxQueue>> {
    let mut ports = Vec::new();
    let mut more = Vec::new();
    for (OpenPort { id: port, rx, tx, .. }, spread) in open.iter_mut().zip(spreads) {
        let reads = *spread != Spread::All || port.index() % workers == id.index();
        let queue = if reads { first(rx) } else { None };
        ports.push(WorkerPort { port: *port, rx: queue, tx: first(tx), spread: *spread });
        if reads && *spread == Spread::All {
            let rest =
                rx.drain(..).map(|rx| WorkerPort { port: *port, rx: Some(rx), tx: None, spread: *spread });
            more.extend(rest);
        }
    }
    // Behind those that transmit, which leave nothing to transmit to these.
    ports.append(&mut more);
    ports
}

fn first<T>(queues: &mut Vec<T>) -> Option<T> {
    (!queues.is_empty()).then(|| queues.remove(0))
}

/// The tables of the whole gateway, shared out evenly.
fn limits(config: &GatewayConfig, workers: usize) -> Limits {
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    let conntrack = &config.dataplane().conntrack;
    Limits {
        flows_max: conntrack.flows_max.div_ceil(workers),
        expectations_max: conntrack.expectations_max.div_ceil(workers),
    }
}

/// What the device leaves of the spreading. A device helps when it hashes what software hashes, addresses alone,
/// and maps the hashes to workers as software does.
pub(super) fn spread(facts: &PortFacts, workers: usize) -> Spread {
    if workers == 1 {
        Spread::None
    } else if device_spreads_alike(facts, workers) {
        Spread::IcmpErrors
    } else {
        Spread::All
    }
}

fn device_spreads_alike(facts: &PortFacts, workers: usize) -> bool {
    let Some(rss) = &facts.rss else { return false };
    let slots = rss.table.len();
    rss.fields == RssFields::Addresses
        && usize::from(facts.rx_queues) == workers
        && slots > 0
        && slots % SLOTS as usize == 0
        && rss
            .table
            .iter()
            .enumerate()
            .all(|(slot, queue)| usize::from(*queue) == slot % SLOTS as usize % workers)
}
