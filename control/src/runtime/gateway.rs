//! A running gateway as control holds it: answers calls, publishes changes.

use super::crew::{Crew, End};
use super::followers::Followers;
use super::membership::{self, JoinError, Seat};
use super::ports::{self, OpenPort};
use super::pressure::Watch;
use super::station::{self, Station};
use super::topology::Warning;
use super::{errands, restart, rows, state};
use crate::api::{Call, FLOWS_LIMIT_MAX, Refusal, Reloaded, Selection};
use crate::cluster::Order;
use crate::config::{self, GatewayConfig};
use crate::observe::{
    self, AgreedStatus, ClusterStatus, Counters, Deleted, Expectations, Explanation, FlowEvent, Flows,
    Status, collect,
};
use core::net::IpAddr;
use core::ops::ControlFlow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{info, warn};
use weir_dataplane::config::{Config, Membership};
use weir_dataplane::gate::cluster_match::ClusterMatch;
use weir_dataplane::mailbox::{Errand, WorkerHandle};
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::units::{Epoch, MEMBERS_MAX, MemberId, NodeNumber};

/// A worker looks at its mailbox every turn; one that has not by then is stuck.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at whether workers have answered.
pub(super) const ANSWER_POLL: Duration = Duration::from_micros(200);

/// What launching made.
#[derive(Debug)]
pub(super) struct Running {
    /// In the order of the configuration; their queues are the workers'.
    pub(super) ports: Vec<OpenPort>,
    /// Of a gateway that routes.
    pub(super) station: Option<Station>,
    /// Of a gateway in a cluster that agrees by itself.
    pub(super) seat: Option<Seat>,
    /// What workers go by.
    pub(super) snapshot: Arc<Snapshot>,
    /// By worker number.
    pub(super) workers: Vec<WorkerHandle>,
    /// The processor of each worker.
    pub(super) cpus: Vec<Option<usize>>,
    /// What is wrong with those.
    pub(super) warnings: Vec<Warning>,
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
    followers: Followers,
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
            followers: Followers::default(),
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

    /// Takes its seat in its cluster, if that agrees by itself. Call it inside a tokio runtime.
    pub(super) async fn join(&mut self) -> Result<(), JoinError> {
        if let (Some(membership), Some(cluster)) = (self.config.membership(), &self.dataplane.cluster) {
            let digest = membership::digest(&self.config);
            self.running.seat = Some(Seat::take(membership, cluster, digest, self.started).await?);
        }
        Ok(())
    }

    /// Whether it has a seat, and so what to do for [`Gateway::deliberate`].
    pub(super) fn has_seat(&self) -> bool {
        self.running.seat.is_some()
    }

    /// Goes on with what the other nodes say: has the workers act by it, then tells the others.
    pub(super) async fn deliberate(&mut self) {
        let workers = &self.running.workers;
        let Some(seat) = &mut self.running.seat else { return };
        let flows =
            workers.iter().map(|worker| worker.counters().flows_of(Some(MemberId::FIRST)).read()).sum();
        let mut dataplane = self.dataplane.clone();
        if let (Some(members), Some(cluster)) =
            (seat.advance(flows, self.epoch.next()), &mut dataplane.cluster)
        {
            cluster.membership = Membership::Members(members);
            if let Some(station) = &mut self.running.station {
                station.own(station::gate(&dataplane));
            }
            if let Err(refusal) = self.publish(dataplane).await {
                warn!("{refusal}");
            }
        }
        if let Some(seat) = &mut self.running.seat {
            seat.tell();
        }
    }

    /// Begins to hand over, so that the process may end; whether there is anything to hand over.
    pub(super) fn hand_over(&mut self) -> bool {
        let Some(seat) = &mut self.running.seat else { return false };
        seat.order(&Order::Stop { deadline_ms: Some(0) }).is_ok()
    }

    /// Whether all has been handed over.
    pub(super) fn has_handed_over(&self) -> bool {
        self.running.seat.as_ref().is_none_or(Seat::may_stop)
    }

    /// Says good-bye to the other nodes.
    pub(super) async fn leave(&mut self) {
        if let Some(seat) = self.running.seat.take() {
            seat.leave().await;
        }
    }

    /// Whether it has addresses of its own, and so what to do for [`Gateway::attend`].
    pub(super) fn is_station(&self) -> bool {
        self.running.station.is_some()
    }

    /// Handles what the workers have left to control, and tells them what was learned of neighbours.
    pub(super) async fn attend(&mut self) {
        if self.running.station.as_mut().is_some_and(Station::turn)
            && let Err(refusal) = self.publish(self.dataplane.clone()).await
        {
            warn!("{refusal}");
        }
    }

    /// Does what a client asks. A client that has gone away needs no answer, so that is no failure.
    pub(super) async fn answer(&mut self, call: Call) {
        match call {
            Call::Status(answer) => drop(answer.send(self.status())),
            Call::Counters(answer) => drop(answer.send(self.counters())),
            Call::Flows(selection, answer) => drop(answer.send(self.flows(&selection).await)),
            Call::DeleteFlows(selection, answer) => drop(answer.send(self.delete_flows(&selection).await)),
            Call::FollowFlows(selection, answer) => drop(answer.send(self.follow_flows(&selection))),
            Call::Expectations(answer) => drop(answer.send(self.expectations().await)),
            Call::Cluster(answer) => drop(answer.send(self.cluster())),
            Call::Explain(address, answer) => drop(answer.send(self.explain(address))),
            Call::Order(order, answer) => drop(answer.send(self.order(&order))),
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
            ports: self.running.ports.iter().map(|port| state::port(port, workers.len())).collect(),
            flows: state::flow_occupancy(&counters, workers),
            expectations: state::expectation_occupancy(&counters, &self.dataplane),
            workers: state::workers(&counters, &self.running.cpus),
            warnings: self.running.warnings.iter().map(ToString::to_string).collect(),
        }
    }

    fn counters(&self) -> Counters {
        collect::counters(self.running.workers.iter().map(WorkerHandle::counters), &self.port_names)
    }

    fn cluster(&self) -> Result<ClusterStatus, Refusal> {
        match &self.dataplane.cluster {
            Some(cluster) => {
                let agreed = self.running.seat.as_ref().map(|seat| self.agreed(seat));
                Ok(ClusterStatus { agreed, ..state::cluster(cluster, self.epoch) })
            }
            None => {
                Err(Refusal::conflict("this gateway is in no cluster: its configuration has no `cluster`"))
            }
        }
    }

    /// What the nodes have agreed, and how many flows of each are known here.
    fn agreed(&self, seat: &Seat) -> AgreedStatus {
        let flows = |id: MemberId| {
            let workers = self.running.workers.iter();
            workers.map(|worker| worker.counters().flows_of(Some(id)).read()).sum::<u64>()
        };
        let ids = (0..MEMBERS_MAX).filter_map(MemberId::new);
        let flows = ids.map_while(|id| Some((seat.name(id)?.to_string(), flows(id))));
        state::agreed(&seat.status(), &flows.collect())
    }

    /// Whose the flows are that an address opens.
    fn explain(&self, address: IpAddr) -> Result<Explanation, Refusal> {
        let status = self.cluster()?;
        let Some(cluster) = &self.dataplane.cluster else { return Err(Refusal::failed("no cluster")) };
        let matcher = ClusterMatch::compile(cluster);
        let bucket = matcher.bucket(address);
        let (owner, heirs) = match (&status.agreed, &self.running.seat) {
            (Some(agreed), Some(seat)) => {
                (agreed.owners.get(bucket.index()).cloned().flatten(), seat.heirs(bucket))
            }
            _ => (cluster.owns(bucket).then(|| self.node().to_owned()), BTreeMap::new()),
        };
        let (hash, total_nodes) = (matcher.hash(address), cluster.total_nodes);
        Ok(Explanation { address, hash, bucket: bucket.number().number(), total_nodes, owner, heirs })
    }

    /// Follows an operator's order about this node's seat.
    fn order(&mut self, order: &Order) -> Result<ClusterStatus, Refusal> {
        let Some(seat) = &mut self.running.seat else {
            return Err(Refusal::conflict(
                "this node's part is given by `local_nodes`: use `weir cluster add` and `weir cluster del`",
            ));
        };
        seat.order(order).map_err(|error| Refusal::conflict(error.to_string()))?;
        info!(%order, "cluster ordered");
        self.cluster()
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
        let Some(mask) = cluster.mask_mut() else {
            return Err(Refusal::conflict("the nodes of this cluster share the flows out by themselves"));
        };
        // An inverted match owns what is not in the set.
        let changed = if local == mask.invert {
            mask.local_nodes.remove(node.bucket())
        } else {
            mask.local_nodes.insert(node.bucket())
        };
        if !changed {
            let already = if local { "is here already" } else { "is not here" };
            return Err(Refusal::conflict(format!("node {node} {already}; nothing has changed")));
        }
        if let Some(station) = &mut self.running.station {
            station.own(station::gate(&dataplane));
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
        let mut dataplane = loaded.config.dataplane().clone();
        if self.running.seat.is_some()
            && let (Some(new), Some(now)) = (&mut dataplane.cluster, &self.dataplane.cluster)
        {
            // What the nodes have agreed is not the file's to say.
            new.membership = now.membership.clone();
        }
        if let (Some(station), Some(network)) = (&mut self.running.station, loaded.config.network()) {
            let ports = &self.running.ports;
            station.reload(network, station::gate(&dataplane), |port| ports::mac(ports, port));
        }
        self.publish(dataplane).await?;
        self.config = loaded.config;
        Ok(Reloaded { epoch: self.epoch.number() })
    }

    /// Swaps what the workers do, whole, and waits until all of them do it.
    async fn publish(&mut self, dataplane: Config) -> Result<(), Refusal> {
        let epoch = self.epoch.next();
        let snapshot = station::snapshot(epoch, &dataplane, self.running.station.as_ref());
        let snapshot = Arc::new(snapshot.following(&self.running.snapshot));
        let stuck = |worker: &WorkerHandle| {
            Refusal::failed(format!("worker {} does not look at its mailbox", worker.id().index()))
        };
        for worker in &self.running.workers {
            worker.publish(Arc::clone(&snapshot)).map_err(|_| stuck(worker))?;
        }
        // From here on workers may have it, whether or not all answer in time.
        (self.dataplane, self.epoch, self.running.snapshot) = (dataplane, epoch, snapshot);
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

    /// Live flows that are meant, up to the limit.
    async fn flows(&self, selection: &Selection) -> Result<Flows, Refusal> {
        let cluster = self.dataplane.cluster.as_ref();
        let filter = Arc::new(selection.filter(cluster)?);
        let limit = selection.limit.unwrap_or(FLOWS_LIMIT_MAX).min(FLOWS_LIMIT_MAX);
        let mut flows = Flows::default();
        let list = |dump| Errand::List(Arc::clone(&filter), dump);
        errands::run(&self.running.workers, list, |worker, flow| {
            if flows.flows.len() == limit {
                flows.more = true;
                return ControlFlow::Break(());
            }
            flows.flows.push(rows::flow(worker, &flow, cluster));
            ControlFlow::Continue(())
        })
        .await?;
        Ok(flows)
    }

    /// Ends the flows that are meant.
    async fn delete_flows(&self, selection: &Selection) -> Result<Deleted, Refusal> {
        let filter = Arc::new(selection.filter(self.dataplane.cluster.as_ref())?);
        let mut deleted = 0;
        let delete = |dump| Errand::Delete(Arc::clone(&filter), dump);
        errands::run(&self.running.workers, delete, |_, _| {
            deleted += 1;
            ControlFlow::Continue(())
        })
        .await?;
        info!(deleted, "flows deleted");
        Ok(Deleted { deleted })
    }

    /// What happens from now on to the flows that are meant.
    fn follow_flows(&mut self, selection: &Selection) -> Result<mpsc::Receiver<FlowEvent>, Refusal> {
        let filter = selection.filter(self.dataplane.cluster.as_ref())?;
        self.followers.add(&self.running.workers, &filter)
    }

    /// Whether somebody follows what happens to flows.
    pub(super) fn is_followed(&self) -> bool {
        !self.followers.is_empty()
    }

    /// Passes on what happened to flows.
    pub(super) fn pass_on(&mut self) {
        self.followers.pass_on(self.dataplane.cluster.as_ref());
    }

    async fn expectations(&self) -> Result<Expectations, Refusal> {
        let mut expectations = Vec::new();
        errands::run(&self.running.workers, Errand::Expectations, |worker, view| {
            expectations.push(rows::expectation(worker, &view));
            ControlFlow::Continue(())
        })
        .await?;
        Ok(Expectations { expectations })
    }

    /// Stops the workers; answers what they counted and what went wrong with them.
    pub(super) fn stop(self) -> (Counters, Vec<End>) {
        let Self { running, port_names, .. } = self;
        let ends = running.crew.stop();
        let counters = collect::counters(running.workers.iter().map(WorkerHandle::counters), &port_names);
        (counters, ends)
    }
}
