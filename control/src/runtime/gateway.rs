//! A running gateway as control holds it: what it is made of, and how it changes.

mod answers;
mod explain;
mod services;

use super::crew::{Crew, End};
use super::drains::Drains;
use super::errands::Errands;
use super::followers::Followers;
use super::handover::Handing;
use super::kernel::Kernel;
use super::links::Links;
use super::membership::{self, JoinError, Seat};
use super::ports::{self, OpenPort};
use super::pressure::Watch;
use super::reload::{self, Asked, Prepared, Reloads, Surroundings};
use super::restart;
use super::services::Services;
use super::station::{self, Station};
use super::topology::Warning;
use super::traced::Names;
use super::tracers::Tracers;
use super::vips::{self, Counted};
use super::wards::Wards;
use crate::api::{Refusal, Reloaded, ServerOrder};
use crate::cluster::{Order, View};
use crate::config::{self, GatewayConfig, NamedInterface};
use crate::observe::{ClusterStatus, Counters, VipRow, collect};
use crate::service::{Change, Collection, Definition};
use core::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::{info, warn};
use weir_dataplane::config::service::Place;
use weir_dataplane::config::{Config, Membership};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::units::{Epoch, MEMBERS_MAX, MemberId, NodeNumber};
use weir_dpdk::TscClock;

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
    /// Where it sends connections besides where its routes lead.
    pub(super) services: Services,
    /// Of a gateway in a cluster whose nodes have names.
    pub(super) seat: Option<Seat>,
    /// What workers go by.
    pub(super) snapshot: Arc<Snapshot>,
    /// By worker number.
    pub(super) workers: Vec<WorkerHandle>,
    /// The workers' clock.
    pub(super) clock: TscClock,
    /// The processor of each worker.
    pub(super) cpus: Vec<Option<usize>>,
    /// What is wrong with those.
    pub(super) warnings: Vec<Warning>,
    /// Their threads.
    pub(super) crew: Crew,
}

/// What other threads have for control.
#[derive(Debug)]
pub(super) enum Event {
    /// A worker ended before it was told to.
    Ended(End),
    /// A configuration to be taken over, or what is wrong with it.
    Prepared(Box<Result<Prepared, Refusal>>),
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
    errands: Errands,
    drains: Drains,
    followers: Followers,
    tracers: Tracers,
    port_names: Vec<String>,
    pressure: Watch,
    reloads: Reloads,
    links: Links,
    vips: vips::Numbers,
    /// From the first look on.
    wards: Option<Wards>,
    handing: Handing,
    /// Where the kernel has taps.
    kernel: Option<Kernel>,
}

impl Gateway {
    pub(super) fn new(path: &Path, config: GatewayConfig, running: Running) -> Self {
        let (mut dataplane, mut vips) = (config.dataplane().clone(), vips::Numbers::default());
        vips.assign(&mut dataplane.vips, |_| Counted::default());
        Self {
            path: path.to_owned(),
            dataplane,
            vips,
            port_names: config.ports().iter().map(|port| port.name().to_owned()).collect(),
            config,
            epoch: Epoch::FIRST,
            started: Instant::now(),
            errands: Errands::new(&running.workers),
            drains: Drains::default(),
            running,
            followers: Followers::default(),
            tracers: Tracers::default(),
            pressure: Watch::default(),
            reloads: Reloads::default(),
            links: Links::default(),
            wards: None,
            handing: Handing::default(),
            kernel: None,
        }
    }

    pub(super) fn node(&self) -> &str {
        self.config.node()
    }

    pub(super) fn socket(&self) -> &Path {
        self.config.control_socket()
    }

    /// Waits for what other threads have for control.
    pub(super) async fn event(&mut self) -> Event {
        tokio::select! {
            end = self.running.crew.ended() => Event::Ended(end),
            prepared = self.reloads.prepared() => Event::Prepared(Box::new(prepared)),
        }
    }

    /// Says in the log when a flow table fills up.
    pub(super) fn watch_pressure(&mut self) {
        self.pressure.look(&self.running.workers);
    }

    /// Takes its seat in its cluster, if nodes have names there. Call it inside a tokio runtime.
    pub(super) async fn join(&mut self) -> Result<(), JoinError> {
        if let (Some(membership), Some(cluster)) = (self.config.membership(), &self.dataplane.cluster) {
            let digest = membership::digest(&self.config);
            let (clock, hand_over) = (self.running.clock, ports::held_max(&self.config) > 0);
            let seat = Seat::take(membership, cluster, digest, self.started, clock, hand_over).await?;
            self.running.seat = Some(seat);
        }
        Ok(())
    }

    /// Has the kernel take part, where it has taps. Call it inside a tokio runtime.
    pub(super) async fn join_kernel(&mut self) {
        let joined = Kernel::join(&self.config).await;
        if let (Some(station), Some((kernel, routes))) = (&mut self.running.station, joined) {
            station.follow(routes);
            self.kernel = Some(kernel);
        }
    }

    /// Whether it has a seat, and so what to do for [`Gateway::deliberate`].
    pub(super) fn has_seat(&self) -> bool {
        self.running.seat.is_some()
    }

    /// Where it is seen that other nodes have said something new; without a seat never.
    pub(super) fn news(&self) -> watch::Receiver<View> {
        self.running.seat.as_ref().map_or_else(|| watch::channel(View::default()).1, Seat::news)
    }

    /// Goes on with what the other nodes say: has the workers act by it, then tells the others.
    pub(super) async fn deliberate(&mut self) {
        let workers = &self.running.workers;
        let Some(seat) = &mut self.running.seat else { return };
        let flows =
            workers.iter().map(|worker| worker.counters().flows_of(Some(MemberId::FIRST)).read()).sum();
        let members = seat.advance(flows, self.epoch.next());
        self.handing.prepare(seat, workers, ports::held_max(&self.config)).await;
        let mut dataplane = self.dataplane.clone();
        let mut go_by = true;
        if let (Some(members), Some(cluster)) = (members, &mut dataplane.cluster) {
            cluster.membership = Membership::Members(members);
            if let Some(station) = &mut self.running.station {
                station.own(station::gate(&dataplane));
            }
            if let Err(refusal) = self.publish(dataplane).await {
                warn!("{refusal}");
                go_by = false;
            }
        }
        if let Some(seat) = &mut self.running.seat {
            self.handing.finish(seat, &self.running.workers, go_by);
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
        // It speaks for what is its own.
        if self.running.seat.as_ref().is_some_and(Seat::stood_still) {
            self.deliberate().await;
        }
        if self.running.station.as_mut().is_some_and(Station::turn)
            && let Err(refusal) = self.publish(self.dataplane.clone()).await
        {
            warn!("{refusal}");
        }
    }

    /// Looks at what servers carry: drains end, and workers are told what has changed.
    pub(super) async fn watch_services(&mut self) {
        let wards = self.wards.get_or_insert_with(Wards::start);
        wards.look(&self.config, &mut self.running.services, &self.running.workers);
        let over = self.running.services.look(&self.running.workers);
        self.end_flows_of(&over);
        if self.running.services.has_news()
            && let Err(refusal) = self.publish(self.dataplane.clone()).await
        {
            warn!("{refusal}");
        }
    }

    /// Changes a server, and has the workers act by it.
    async fn change_server(&mut self, collection: Collection, order: ServerOrder) -> Result<(), Refusal> {
        let ServerOrder { group, server, change } = order.clone();
        if let Change::Add(Definition { name, place: Place::Address(address), .. }) = &change {
            let added = config::addition(&self.config, collection.server_word(), name, *address);
            added.map_err(Refusal::configuration)?;
        }
        self.running.services.change(collection, order)?;
        if let Some(wards) = &mut self.wards {
            wards.look(&self.config, &mut self.running.services, &self.running.workers);
        }
        info!(group, server, %change, "{} changed", collection.group_word());
        self.publish(self.dataplane.clone()).await
    }

    /// Looks at the ports' links; what is behind one that is down is left out, and taken in again.
    pub(super) async fn watch_links(&mut self) {
        let Some(station) = &mut self.running.station else { return };
        let Some(down) = self.links.look(&self.running.ports) else { return };
        station.links_down(down);
        if let Err(refusal) = self.publish(self.dataplane.clone()).await {
            warn!("{refusal}");
        }
    }

    /// Follows an operator's order about this node's seat, and goes on by it.
    async fn order(&mut self, order: &Order) -> Result<ClusterStatus, Refusal> {
        let Some(seat) = &mut self.running.seat else {
            // Says so where there is no cluster at all.
            self.cluster()?;
            return Err(Refusal::conflict(format!(
                "{order}: this node's part is given by `local_nodes`, so only `weir cluster add` and `weir cluster del` \
                 change it; take and give are for `static`, the others for nodes that agree by themselves"
            )));
        };
        seat.order(order).map_err(|error| Refusal::conflict(error.to_string()))?;
        info!(%order, "cluster ordered");
        self.deliberate().await;
        self.cluster()
    }

    /// Makes the flows of a bucket this node's, or no longer.
    async fn set_local(&mut self, node: NodeNumber, local: bool) -> Result<ClusterStatus, Refusal> {
        if self.has_seat() {
            let bucket = node.bucket();
            return self.order(&if local { Order::Add { bucket } } else { Order::Del { bucket } }).await;
        }
        let mut dataplane = self.dataplane.clone();
        let Some(cluster) = &mut dataplane.cluster else { return self.cluster() };
        if node.number() > cluster.total_nodes {
            return Err(Refusal::configuration(format!(
                "node {node} is out of range: the cluster has nodes 1 to {}",
                cluster.total_nodes
            )));
        }
        let Some(mask) = cluster.mask_mut() else { return self.cluster() };
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

    /// Makes a node of a VIP this gateway's, or no longer.
    async fn set_vip_node(&mut self, address: IpAddr, node: &str, local: bool) -> Result<VipRow, Refusal> {
        let mut dataplane = self.dataplane.clone();
        let node = vips::set_node(&mut dataplane, address, node, local)?;
        self.publish(dataplane).await?;
        info!(%address, %node, local, epoch = self.epoch.number(), "VIP changed");
        self.vip(address)
    }

    /// Has the configuration read again; what comes of it is for [`Gateway::take_over`].
    pub(super) fn reload(&mut self, asked: Asked) {
        let around = self.surroundings();
        self.reloads.ask(asked, &self.path, around);
    }

    /// Takes over what may change while running, and tells those who asked for it.
    pub(super) async fn take_over(&mut self, prepared: Result<Prepared, Refusal>) {
        let outcome = match prepared {
            Ok(prepared) => self.go_on_by(prepared).await,
            Err(refusal) => Err(refusal),
        };
        let around = self.surroundings();
        self.reloads.over(&outcome, &self.path, around);
    }

    fn surroundings(&self) -> Surroundings {
        let ports = self.config.port_ids();
        Surroundings {
            macs: ports.map(|(id, _)| ports::mac(&self.running.ports, id)).collect(),
            kernel: self.running.station.as_ref().map(Station::kernel_routes).unwrap_or_default(),
        }
    }

    /// Nothing changes on refusal.
    async fn go_on_by(&mut self, prepared: Prepared) -> Result<Reloaded, Refusal> {
        let keys = restart::keys_needing_restart(&self.config, &prepared.config);
        if !keys.is_empty() {
            return Err(Refusal::configuration(format!(
                "only a restart can change {}; nothing has changed",
                keys.join(", ")
            )));
        }
        for warning in &prepared.warnings {
            warn!("{warning}");
        }
        let mut dataplane = prepared.config.dataplane().clone();
        vips::keep(&mut dataplane.vips, &self.config.dataplane().vips, &self.dataplane.vips);
        let workers = &self.running.workers;
        let counted = |vip| Counted::of(vip, workers.iter().map(WorkerHandle::counters));
        self.vips.assign(&mut dataplane.vips, counted);
        if self.running.seat.is_some()
            && let (Some(new), Some(now)) = (&mut dataplane.cluster, &self.dataplane.cluster)
        {
            // What the nodes have agreed is not the file's to say.
            new.membership = now.membership.clone();
        }
        self.running.services.reload(prepared.config.services()).map_err(Refusal::configuration)?;
        if let (Some(station), Some(compiled)) = (&mut self.running.station, prepared.network) {
            reload::discard(station.reload(compiled, station::gate(&dataplane)));
        }
        self.publish(dataplane).await?;
        reload::discard(core::mem::replace(&mut self.config, prepared.config));
        if let Some(seat) = &mut self.running.seat {
            seat.configure(prepared.digest, prepared.keys);
        }
        if let Some(kernel) = &self.kernel {
            kernel.reload(&self.config);
        }
        let warnings = prepared.warnings.iter().map(ToString::to_string).collect();
        Ok(Reloaded { epoch: self.epoch.number(), warnings })
    }

    /// Swaps what the workers do, whole, and waits until all of them do it.
    async fn publish(&mut self, dataplane: Config) -> Result<(), Refusal> {
        // Whatever comes of it: some worker may have it, and no other snapshot may be taken for it.
        self.epoch = self.epoch.next();
        let epoch = self.epoch;
        let services = self.running.services.compile();
        let revision = self.running.services.compiled_revision();
        if let Some(station) = &mut self.running.station {
            station.know_services(services, self.running.services.addresses());
        }
        let mut snapshot = station::snapshot(epoch, &dataplane, self.running.station.as_ref());
        if let Some(lease) = self.running.seat.as_ref().and_then(Seat::lease) {
            snapshot = snapshot.with_lease(lease);
        }
        let snapshot = Arc::new(snapshot.following(&self.running.snapshot));
        let stuck = |worker: &WorkerHandle| {
            Refusal::failed(format!("worker {} does not look at its mailbox", worker.id().index()))
        };
        for worker in &self.running.workers {
            worker.publish(Arc::clone(&snapshot)).map_err(|_| stuck(worker))?;
        }
        // From here on workers may have it, whether or not all answer in time.
        (self.dataplane, self.running.snapshot) = (dataplane, snapshot);
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        for worker in &self.running.workers {
            while !worker.acknowledged(epoch) {
                if Instant::now() >= deadline {
                    return Err(stuck(worker));
                }
                tokio::time::sleep(ANSWER_POLL).await;
            }
        }
        self.running.services.set_in_force(revision);
        Ok(())
    }

    /// Whether somebody follows what happens to flows, or traces frames.
    pub(super) fn is_followed(&self) -> bool {
        !(self.followers.is_empty() && self.tracers.is_empty())
    }

    /// Passes on what happened to flows and frames.
    pub(super) fn pass_on(&mut self) {
        let cluster = self.dataplane.cluster.as_ref();
        self.followers.pass_on(cluster);
        if self.tracers.is_empty() {
            return;
        }
        let ids = (0..MEMBERS_MAX).filter_map(MemberId::new);
        let members = match &self.running.seat {
            Some(seat) => ids.map_while(|id| Some(seat.name(id)?.to_string())).collect(),
            None => vec![self.config.node().to_owned()],
        };
        let interfaces = self.config.network().map(|network| network.interfaces().iter());
        let interfaces = interfaces.map(|named| named.map(NamedInterface::name).collect());
        let (services, servers) = self.running.services.names();
        let ports = &self.port_names;
        self.tracers.pass_on(&Names { ports, interfaces, cluster, members, services, servers });
    }

    /// Stops the workers; answers what they counted and what went wrong with them.
    pub(super) fn stop(self) -> (Counters, Vec<End>) {
        let Self { running, port_names, .. } = self;
        let ends = running.crew.stop();
        let counters = collect::counters(running.workers.iter().map(WorkerHandle::counters), &port_names);
        (counters, ends)
    }
}
