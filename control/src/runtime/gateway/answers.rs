//! What a client asks of a running gateway, and what it is told.

use super::Gateway;
use crate::api::{
    self, Answer, Call, FLOWS_LIMIT_MAX, NeighbourName, NeighbourSelection, Refusal, Selection,
};
use crate::config::Network;
use crate::observe::{
    self, AgreedStatus, ClusterStatus, Counters, Deleted, Expectations, FlowEvent, Flows, Flushed,
    Neighbours, PortStatus, Routes, StationStatus, Status, VipRow, Vips, collect,
};
use crate::runtime::membership::Seat;
use crate::runtime::ports::OpenPort;
use crate::runtime::reload::Asked;
use crate::runtime::station::Station;
use crate::runtime::vips::{self, Counted};
use crate::runtime::{rows, state};
use crate::service::Collection;
use core::net::IpAddr;
use core::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::info;
use weir_dataplane::config::Vip;
use weir_dataplane::mailbox::{Errand, WorkerHandle};
use weir_dataplane::track::{ExpectationView, FlowView};
use weir_dataplane::units::{MEMBERS_MAX, MemberId};

/// What comes of a call.
pub(super) type Answered<T> = Result<T, Refusal>;

impl Gateway {
    /// Does what a client asks. A client that has gone away needs no answer, so that is no failure.
    pub(in crate::runtime) async fn answer(&mut self, call: Call) {
        match call {
            Call::Status(answer) => drop(answer.send(self.status())),
            Call::Counters(answer) => drop(answer.send(self.counters())),
            Call::Flows(selection, answer) => later(answer, self.flows(&selection)),
            Call::DeleteFlows(selection, answer) => later(answer, self.delete_flows(&selection)),
            Call::FollowFlows(selection, answer) => drop(answer.send(self.follow_flows(&selection))),
            Call::Trace(request, answer) => {
                drop(answer.send(self.tracers.add(&self.running.workers, &request)));
            }
            Call::Expectations(answer) => later(answer, Ok(self.expectations())),
            Call::Neighbours(which, answer) => drop(answer.send(self.neighbours(&which))),
            Call::FlushNeighbour(who, answer) => drop(answer.send(self.flush_neighbour(&who))),
            Call::Cluster(answer) => drop(answer.send(self.cluster())),
            Call::Vips(answer) => drop(answer.send(self.vips())),
            Call::Vip(address, answer) => drop(answer.send(self.vip(address))),
            Call::SetVipNode { address, node, local, answer } => {
                drop(answer.send(self.set_vip_node(address, &node, local).await));
            }
            Call::Routes(answer) => drop(answer.send(self.routes())),
            Call::Explain(address, request, answer) => drop(answer.send(self.explain(address, request))),
            Call::Order(order, answer) => drop(answer.send(self.order(&order).await)),
            Call::SetLocal { node, local, answer } => drop(answer.send(self.set_local(node, local).await)),
            Call::Services(name, answer) => later(answer, self.services(name.as_deref())),
            Call::Pools(name, answer) => drop(answer.send(self.pools(name.as_deref()))),
            Call::Connections(name, answer) => later(answer, self.connections(name.as_deref())),
            Call::Cache(name, address, answer) => later(answer, self.cache(&name, address)),
            Call::HoldCache(name, address, order, answer) => {
                later(answer, self.hold_cache(name, address, order));
            }
            Call::ChangeService(order, answer) => {
                let name = order.group.clone();
                let changed = self.change_server(Collection::Services, order).await;
                later(answer, changed.and_then(|()| self.services(Some(&name))));
            }
            Call::ChangePool(order, answer) => drop(answer.send(self.change_pool(order).await)),
            Call::Reload(answer) => self.reload(Asked::Client(answer)),
            Call::Metrics(answer) => drop(answer.send(self.metrics())),
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
            ports: self.running.ports.iter().map(|port| self.port(port)).collect(),
            flows: state::flow_occupancy(&counters, workers),
            expectations: state::expectation_occupancy(&counters, &self.dataplane),
            workers: state::workers(&counters, &self.running.cpus),
            warnings: self.running.warnings.iter().map(ToString::to_string).collect(),
        }
    }

    fn port(&self, open: &OpenPort) -> PortStatus {
        let tap = self.running.station.as_ref().and_then(|station| station.tap(open.id));
        PortStatus { tap, ..state::port(open, self.running.workers.len()) }
    }

    fn counters(&self) -> Counters {
        collect::counters(self.running.workers.iter().map(WorkerHandle::counters), &self.port_names)
    }

    fn metrics(&self) -> String {
        let station = self.station().ok().map(|(station, network)| StationStatus {
            neighbours: station.show(network),
            counts: station.counts(),
            vips: self.dataplane.vips.iter().map(|vip| self.vip_row(vip, network)).collect(),
        });
        let (services, pools) = (self.service_rows(), self.pools(None).unwrap_or_default());
        observe::render(&self.status(), &self.counters(), station.as_ref(), &services, &pools)
    }

    /// The station, and the networks that it is in.
    fn station(&self) -> Result<(&Station, &Network), Refusal> {
        self.running.station.as_ref().zip(self.config.network()).ok_or_else(|| {
            Refusal::conflict("this gateway does not route, so it has no neighbours and no VIPs")
        })
    }

    fn neighbours(&self, which: &NeighbourSelection) -> Result<Neighbours, Refusal> {
        let (station, network) = self.station()?;
        which.of(station.show(network), network)
    }

    /// Forgets a neighbour. Workers are told with what else is learned.
    fn flush_neighbour(&mut self, who: &NeighbourName) -> Result<Flushed, Refusal> {
        let (_, network) = self.station()?;
        let interface = who.interface.as_deref().map(|name| api::interface(name, network)).transpose()?;
        let flushed =
            self.running.station.as_mut().map_or(0, |station| station.flush(who.address, interface));
        if flushed == 0 {
            let address = who.address;
            return Err(Refusal::conflict(format!("{address} is not known, or stands in the configuration")));
        }
        info!(address = %who.address, "neighbour flushed");
        Ok(Flushed { flushed })
    }

    pub(super) fn cluster(&self) -> Result<ClusterStatus, Refusal> {
        match &self.dataplane.cluster {
            Some(cluster) => {
                let seat = self.running.seat.as_ref();
                let engine = seat.map(Seat::counted).unwrap_or_default();
                let agreed = seat.map(|seat| self.agreed(seat));
                Ok(ClusterStatus { engine, agreed, ..state::cluster(cluster, self.epoch) })
            }
            None => {
                Err(Refusal::conflict("this gateway is in no cluster: its configuration has no `cluster`"))
            }
        }
    }

    /// What is known of the other nodes, and how many flows of each are known here.
    fn agreed(&self, seat: &Seat) -> AgreedStatus {
        let flows = |owner: Option<MemberId>| {
            let workers = self.running.workers.iter();
            workers.map(|worker| worker.counters().flows_of(owner).read()).sum::<u64>()
        };
        let ids = || (0..MEMBERS_MAX).filter_map(MemberId::new);
        let shadows = ids().skip(1).map(|id| flows(Some(id))).sum::<u64>() + flows(None);
        let by_name = ids().map_while(|id| Some((seat.name(id)?.to_string(), flows(Some(id)))));
        state::agreed(&seat.status(), &by_name.collect(), shadows)
    }

    fn vips(&self) -> Result<Vips, Refusal> {
        let (_, network) = self.station()?;
        Ok(Vips { vips: self.dataplane.vips.iter().map(|vip| self.vip_row(vip, network)).collect() })
    }

    pub(super) fn vip(&self, address: IpAddr) -> Result<VipRow, Refusal> {
        let (_, network) = self.station()?;
        Ok(self.vip_row(vips::find(&self.dataplane.vips, address)?, network))
    }

    fn vip_row(&self, vip: &Vip, network: &Network) -> VipRow {
        let counted = Counted::of(vip.id, self.running.workers.iter().map(WorkerHandle::counters));
        self.vips.row(vip, network, self.dataplane.cluster.as_ref(), counted)
    }

    fn routes(&self) -> Result<Routes, Refusal> {
        match (&self.running.station, self.config.network()) {
            (Some(station), Some(network)) => Ok(station.routes(network.interfaces())),
            _ => Err(Refusal::conflict("this gateway is a bridge: it has no routes")),
        }
    }

    /// Live flows that are meant, up to the limit.
    fn flows(&self, selection: &Selection) -> Result<impl Future<Output = Answered<Flows>> + use<>, Refusal> {
        let cluster = self.dataplane.cluster.clone();
        let filter = Arc::new(selection.filter(cluster.as_ref())?);
        let limit = selection.limit.unwrap_or(FLOWS_LIMIT_MAX).min(FLOWS_LIMIT_MAX);
        let errands = self.errands.clone();
        Ok(async move {
            let mut flows = Flows::default();
            let list = |dump| Errand::List(Arc::clone(&filter), dump);
            let each = |worker, flow: FlowView| {
                if flows.flows.len() == limit {
                    flows.more = true;
                    return ControlFlow::Break(());
                }
                flows.flows.push(rows::flow(worker, &flow, cluster.as_ref()));
                ControlFlow::Continue(())
            };
            errands.run(list, each).await?;
            Ok(flows)
        })
    }

    /// Ends the flows that are meant.
    fn delete_flows(
        &self,
        selection: &Selection,
    ) -> Result<impl Future<Output = Answered<Deleted>> + use<>, Refusal> {
        let filter = selection.filter(self.dataplane.cluster.as_ref())?;
        let errands = self.errands.clone();
        Ok(async move {
            let deleted = errands.delete(filter).await?;
            info!(deleted, "flows deleted");
            Ok(Deleted { deleted })
        })
    }

    /// What happens from now on to the flows that are meant.
    fn follow_flows(&mut self, selection: &Selection) -> Result<mpsc::Receiver<FlowEvent>, Refusal> {
        let filter = selection.filter(self.dataplane.cluster.as_ref())?;
        self.followers.add(&self.running.workers, &filter)
    }

    fn expectations(&self) -> impl Future<Output = Answered<Expectations>> + use<> {
        let errands = self.errands.clone();
        async move {
            let mut expectations = Vec::new();
            let each = |worker, view: ExpectationView| {
                expectations.push(rows::expectation(worker, &view));
                ControlFlow::Continue(())
            };
            errands.run(Errand::Expectations, each).await?;
            Ok(Expectations { expectations })
        }
    }
}

/// Answers when the workers have been through their tables. The control loop goes on meanwhile.
fn later<T: Send + 'static>(
    answer: Answer<Answered<T>>,
    work: Result<impl Future<Output = Answered<T>> + Send + 'static, Refusal>,
) {
    tokio::spawn(async move {
        let outcome = match work {
            Ok(work) => work.await,
            Err(refusal) => Err(refusal),
        };
        drop(answer.send(outcome));
    });
}
