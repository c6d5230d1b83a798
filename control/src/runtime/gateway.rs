//! A running gateway as control holds it: answers calls, publishes changes.

use super::crew::{Crew, End};
use super::ports::OpenPort;
use super::pressure::Watch;
use super::{restart, state};
use crate::api::{Call, Refusal, Reloaded};
use crate::config::{self, GatewayConfig};
use crate::observe::{self, ClusterStatus, Counters, Flows, Status, collect};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};
use weir_dataplane::config::Config;
use weir_dataplane::mailbox::{FlowDump, WorkerHandle};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::units::{Epoch, NodeNumber};

/// A worker looks at its mailbox every turn; one that has not by then is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at whether workers have answered.
const ANSWER_POLL: Duration = Duration::from_micros(200);

/// Flows that a worker may copy ahead of control.
const DUMP_ROOM: usize = 1024;

/// What launching made.
#[derive(Debug)]
pub(super) struct Running {
    /// In the order of the configuration; their queues are the workers'.
    pub(super) ports: Vec<OpenPort>,
    /// By worker number.
    pub(super) workers: Vec<WorkerHandle>,
    /// The processor of each worker.
    pub(super) cpus: Vec<Option<usize>>,
    /// Their threads.
    pub(super) crew: Crew,
}

/// A running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    path: PathBuf,
    config: GatewayConfig,
    /// What the workers do now: the configuration's, with changes made at run time.
    dataplane: Config,
    epoch: Epoch,
    started: Instant,
    running: Running,
    port_names: Vec<String>,
    pressure: Watch,
}

impl Gateway {
    pub(super) fn new(path: &Path, config: GatewayConfig, running: Running) -> Self {
        Self {
            path: path.to_owned(),
            dataplane: config.dataplane().clone(),
            port_names: config.ports().iter().map(|port| port.name().to_owned()).collect(),
            config,
            epoch: Epoch::FIRST,
            started: Instant::now(),
            running,
            pressure: Watch::default(),
        }
    }

    pub(super) fn node(&self) -> &str {
        self.config.node()
    }

    pub(super) fn socket(&self) -> &Path {
        self.config.control_socket()
    }

    /// Waits for a worker that ends before it is told to.
    pub(super) async fn worker_ended(&mut self) -> End {
        self.running.crew.ended().await
    }

    /// Says in the log when a flow table fills up.
    pub(super) fn watch_pressure(&mut self) {
        self.pressure.look(&self.running.workers);
    }

    /// Does what a client asks. A client that has gone away needs no answer, so that is no failure.
    pub(super) async fn answer(&mut self, call: Call) {
        match call {
            Call::Status(answer) => drop(answer.send(self.status())),
            Call::Counters(answer) => drop(answer.send(self.counters())),
            Call::Flows { limit, answer } => drop(answer.send(self.flows(limit).await)),
            Call::Cluster(answer) => drop(answer.send(self.cluster())),
            Call::SetLocal { node, local, answer } => drop(answer.send(self.set_local(node, local).await)),
            Call::Reload(answer) => drop(answer.send(self.reload().await)),
            Call::Metrics(answer) => drop(answer.send(observe::render(&self.status(), &self.counters()))),
        }
    }

    fn status(&self) -> Status {
        let counters = self.counters();
        let workers = &self.running.workers;
        Status {
            node: self.config.node().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dpdk_version: weir_dpdk::Eal::version(),
            uptime_s: self.started.elapsed().as_secs(),
            epoch: self.epoch.number(),
            cluster: self.cluster().ok(),
            ports: self.running.ports.iter().map(state::port).collect(),
            flows: state::flow_occupancy(&counters, workers),
            expectations: state::expectation_occupancy(&counters, &self.dataplane),
            workers: state::workers(&counters, &self.running.cpus),
        }
    }

    fn counters(&self) -> Counters {
        collect::counters(self.running.workers.iter().map(WorkerHandle::counters), &self.port_names)
    }

    fn cluster(&self) -> Result<ClusterStatus, Refusal> {
        match &self.dataplane.cluster {
            Some(cluster) => Ok(state::cluster(cluster, self.epoch)),
            None => {
                Err(Refusal::conflict("this gateway is in no cluster: its configuration has no `cluster`"))
            }
        }
    }

    /// Makes a node's flows this node's, or no longer.
    async fn set_local(&mut self, node: NodeNumber, local: bool) -> Result<ClusterStatus, Refusal> {
        let mut dataplane = self.dataplane.clone();
        let Some(cluster) = &mut dataplane.cluster else { return self.cluster() };
        if node.number() > cluster.total_nodes {
            return Err(Refusal::configuration(format!(
                "node {node} is out of range: the cluster has nodes 1 to {}",
                cluster.total_nodes
            )));
        }
        // An inverted match owns what is not in the set.
        let changed = if local == cluster.invert {
            cluster.local_nodes.remove(node.bucket())
        } else {
            cluster.local_nodes.insert(node.bucket())
        };
        if !changed {
            let already = if local { "is here already" } else { "is not here" };
            return Err(Refusal::conflict(format!("node {node} {already}; nothing has changed")));
        }
        self.publish(dataplane).await?;
        info!(%node, local, epoch = self.epoch.number(), "cluster changed");
        self.cluster()
    }

    /// Reads the configuration again and takes over what may change while running. Nothing changes on refusal.
    pub(super) async fn reload(&mut self) -> Result<Reloaded, Refusal> {
        let loaded = config::load(&self.path).map_err(Refusal::configuration)?;
        let keys = restart::keys_needing_restart(&self.config, &loaded.config);
        if !keys.is_empty() {
            return Err(Refusal::configuration(format!(
                "only a restart can change {}; nothing has changed",
                keys.join(", ")
            )));
        }
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        self.publish(loaded.config.dataplane().clone()).await?;
        self.config = loaded.config;
        Ok(Reloaded { epoch: self.epoch.number() })
    }

    /// Swaps what the workers do, whole, and waits until all of them do it.
    async fn publish(&mut self, dataplane: Config) -> Result<(), Refusal> {
        let epoch = self.epoch.next();
        let snapshot = Arc::new(Snapshot::compile(epoch, &dataplane));
        let stuck = |worker: &WorkerHandle| {
            Refusal::failed(format!("worker {} does not look at its mailbox", worker.id().index()))
        };
        for worker in &self.running.workers {
            worker.publish(Arc::clone(&snapshot)).map_err(|_| stuck(worker))?;
        }
        // From here on workers may have it, whether or not all answer in time.
        (self.dataplane, self.epoch) = (dataplane, epoch);
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        for worker in &self.running.workers {
            while !worker.acknowledged(epoch) {
                if Instant::now() >= deadline {
                    return Err(stuck(worker));
                }
                tokio::time::sleep(ANSWER_POLL).await;
            }
        }
        Ok(())
    }

    /// Live flows, at most `limit`. Each worker's dump is taken to its end, or it would wait for room for ever.
    async fn flows(&self, limit: usize) -> Result<Flows, Refusal> {
        let mut flows = Flows::default();
        for worker in &self.running.workers {
            let dump = FlowDump::new(DUMP_ROOM);
            let id = worker.id().index();
            worker
                .dump(&dump)
                .map_err(|_| Refusal::failed(format!("worker {id} does not look at its mailbox")))?;
            let deadline = Instant::now() + ANSWER_TIMEOUT;
            loop {
                let complete = dump.is_complete();
                while let Some(flow) = dump.pop() {
                    if flows.flows.len() < limit {
                        flows.flows.push(state::flow(&flow, self.dataplane.cluster.is_some()));
                    } else {
                        flows.more = true;
                    }
                }
                if complete {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(Refusal::failed(format!("worker {id} did not list its flows in time")));
                }
                tokio::time::sleep(ANSWER_POLL).await;
            }
        }
        Ok(flows)
    }

    /// Stops the workers; answers what they counted and what went wrong with them.
    pub(super) fn stop(self) -> (Counters, Vec<End>) {
        let Self { running, port_names, .. } = self;
        let ends = running.crew.stop();
        let counters = collect::counters(running.workers.iter().map(WorkerHandle::counters), &port_names);
        (counters, ends)
    }
}
