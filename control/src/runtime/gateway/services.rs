//! What a client asks of services and pools, and what it is told.

use super::Gateway;
use super::answers::Answered;
use crate::api::{CacheOrder, FLOWS_LIMIT_MAX, Refusal, ServerOrder};
use crate::config::services::Service;
use crate::health::ServiceView;
use crate::observe::protocol::state_name;
use crate::observe::{
    CacheRow, CacheServer, ConnectionRow, Connections, Pools, ServerRow, ServiceCache, ServiceRow, Services,
};
use crate::runtime::errands::Errands;
use crate::runtime::wards::Wards;
use crate::service::{Collection, Definition, Kind, Server};
use core::net::IpAddr;
use core::ops::ControlFlow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::info;
use weir_dataplane::config::service::{Locality, Scheduler};
use weir_dataplane::counters::FlowProtocol;
use weir_dataplane::mailbox::{Errand, Holding};
use weir_dataplane::sched::cache::{Hold, View};
use weir_dataplane::track::FlowView;
use weir_dataplane::track::filter::{Filter, ServerFilter};
use weir_dataplane::units::{ServerId, ServiceId};

impl Gateway {
    /// Services, or the one of this name.
    pub(super) fn services(
        &self,
        name: Option<&str>,
    ) -> Result<impl Future<Output = Answered<Services>> + use<>, Refusal> {
        let mut services = self.running.services.show(name, &self.running.workers)?;
        let health = self.wards.as_ref().map(Wards::view).unwrap_or_default();
        for service in &mut services {
            service.panic = attach(&health, &service.service, &mut service.servers);
        }
        let flows_max = self.running.workers.iter().map(|worker| worker.flows_max() as u64).sum();
        let (errands, persistent) = (self.errands.clone(), self.running.services.persistent());
        Ok(async move {
            let clients = clients(&errands, persistent).await?;
            for server in services.iter_mut().flat_map(|service| &mut service.servers) {
                server.persistent = clients.get(&server.number).copied().unwrap_or_default();
            }
            Ok(Services { flows_max, services })
        })
    }

    /// The same for metrics, which do not ask the workers' tables.
    pub(super) fn service_rows(&self) -> Vec<ServiceRow> {
        self.running.services.show(None, &self.running.workers).unwrap_or_default()
    }

    /// Pools, or the one of this name.
    pub(super) fn pools(&self, name: Option<&str>) -> Result<Pools, Refusal> {
        let mut pools = self.running.services.show_pools(name, &self.running.workers)?;
        let health = self.wards.as_ref().map(Wards::view).unwrap_or_default();
        for pool in &mut pools.pools {
            pool.panic = attach(&health, &pool.pool, &mut pool.nodes);
        }
        Ok(pools)
    }

    /// The connections that servers have, or those of one service or pool.
    pub(super) fn connections(
        &self,
        name: Option<&str>,
    ) -> Result<impl Future<Output = Answered<Connections>> + use<>, Refusal> {
        if let Some(name) = name {
            let find = |collection| self.running.services.find(collection, name);
            find(Collection::Services).or_else(|refusal| find(Collection::Pools).map_err(|_| refusal))?;
        }
        let filter = Arc::new(Filter { server: Some(ServerFilter::Any), ..Filter::default() });
        let (errands, servers, name) = (self.errands.clone(), self.servers(), name.map(str::to_owned));
        Ok(async move {
            let mut answer = Connections::default();
            let list = |dump| Errand::List(Arc::clone(&filter), dump);
            let each = |_, flow: FlowView| {
                let server = flow.server.and_then(|id| servers.get(&id));
                let meant = server.filter(|(service, _)| name.as_ref().is_none_or(|name| service == name));
                let Some((service, server)) = meant else { return ControlFlow::Continue(()) };
                if answer.connections.len() == FLOWS_LIMIT_MAX {
                    answer.more = true;
                    return ControlFlow::Break(());
                }
                answer.connections.push(connection(&flow, service, server));
                ControlFlow::Continue(())
            };
            errands.run(list, each).await?;
            Ok(answer)
        })
    }

    /// All servers by their numbers, each with the name of its service or pool.
    fn servers(&self) -> BTreeMap<ServerId, (String, Server)> {
        let servers = self.running.services.by_number().into_iter();
        servers.map(|(id, (group, server))| (id, (group.to_owned(), server.clone()))).collect()
    }

    /// Changes a node of a pool.
    pub(super) async fn change_pool(&mut self, order: ServerOrder) -> Result<Pools, Refusal> {
        let name = order.group.clone();
        self.change_server(Collection::Pools, order).await?;
        self.pools(Some(&name))
    }

    /// Ends the flows of servers whose drain is over, beside the control loop.
    pub(super) fn end_flows_of(&mut self, over: &[ServerId]) {
        let servers = self.running.services.by_number();
        let named = over.iter().filter_map(|id| {
            let (group, server) = servers.get(id)?;
            Some((*id, format!("{group}/{}", server.name())))
        });
        self.drains.end(&self.errands, named.collect());
    }

    /// What the `lblc` or `lblcr` of a service knows: of all addresses, or of one.
    pub(super) fn cache(
        &self,
        name: &str,
        address: Option<IpAddr>,
    ) -> Result<impl Future<Output = Answered<ServiceCache>> + use<>, Refusal> {
        let (service, locality) = self.cached(name)?;
        let mut answer = ServiceCache { service: name.to_owned(), ..ServiceCache::default() };
        let (errands, servers) = (self.errands.clone(), self.servers());
        Ok(async move {
            let holder = |id: ServerId| {
                let (_, server) = servers.get(&id)?;
                let workers = errands.workers().iter();
                let active = workers.map(|worker| worker.counters().server(id).active.read()).sum();
                Some(CacheServer { server: server.name().to_owned(), active, weight: server.weight() })
            };
            let list = |dump| Errand::Cache(service, dump);
            let each = |worker, view: View| {
                if address.is_some_and(|address| address != view.address) {
                    return ControlFlow::Continue(());
                }
                if answer.entries.len() == FLOWS_LIMIT_MAX {
                    answer.more = true;
                    return ControlFlow::Break(());
                }
                answer.entries.push(cache_row(worker, &view, locality, holder));
                ControlFlow::Continue(())
            };
            errands.run(list, each).await?;
            Ok(answer)
        })
    }

    /// Says what is to be held of an address.
    pub(super) fn hold_cache(
        &self,
        name: String,
        address: IpAddr,
        order: CacheOrder,
    ) -> Result<impl Future<Output = Answered<ServiceCache>> + use<>, Refusal> {
        let (service, _) = self.cached(&name)?;
        let hold = match &order {
            CacheOrder::Pin(server) => {
                let none = || Refusal::configuration(format!("service `{name}` has no server `{server}`"));
                let id = self.running.services.id_of(&name, server).ok_or_else(none)?;
                Some((Hold::Pinned, Some(id)))
            }
            CacheOrder::Ban => Some((Hold::Banned, None)),
            CacheOrder::Forget => None,
        };
        let holding = Holding { service, address, hold };
        let (errands, then) = (self.errands.clone(), self.cache(&name, Some(address))?);
        Ok(async move {
            let mut full = false;
            let each = |_, held: bool| {
                full |= !held;
                ControlFlow::Continue(())
            };
            errands.run(|dump| Errand::Hold(holding, dump), each).await?;
            if full {
                return Err(Refusal::failed(format!(
                    "the table of service `{name}` is full, so it cannot hold {address}: forget other addresses, or \
                     give it more entries"
                )));
            }
            info!(service = name, %address, %order, "cache changed");
            then.await
        })
    }

    /// A service whose scheduler remembers addresses, and how much.
    fn cached(&self, name: &str) -> Result<(ServiceId, Locality), Refusal> {
        let group = self.running.services.find(Collection::Services, name)?;
        match group.kind() {
            Kind::Service(Service {
                scheduler: Scheduler::Lblc(locality) | Scheduler::Lblcr(locality),
                ..
            }) => Ok((group.id(), *locality)),
            _ => Err(Refusal::conflict(format!(
                "service `{name}` remembers no addresses: only the schedulers lblc and lblcr do"
            ))),
        }
    }
}

/// How many clients stay with each server of these services, by its number.
async fn clients(errands: &Errands, services: Vec<ServiceId>) -> Result<BTreeMap<usize, u64>, Refusal> {
    let mut clients = BTreeMap::new();
    for service in services {
        let each = |_, server: ServerId| {
            *clients.entry(server.index()).or_default() += 1;
            ControlFlow::Continue(())
        };
        errands.run(|dump| Errand::Clients(service, dump), each).await?;
    }
    Ok(clients)
}

fn connection(flow: &FlowView, service: &str, server: &Server) -> ConnectionRow {
    let (family, source, destination) = (flow.key.family(), flow.source(), flow.destination());
    let state = match flow.class.kind() {
        FlowProtocol::Tcp => state_name(flow.class).unwrap_or_default(),
        // IPVS knows no other states.
        other => other.name().to_ascii_uppercase(),
    };
    let Definition { place, port, .. } = *server.definition();
    ConnectionRow {
        service: service.to_owned(),
        server: server.name().to_owned(),
        protocol: flow.key.protocol(),
        state,
        expires_s: flow.remaining.as_s(),
        source: source.address.ip(family),
        source_port: source.port,
        destination: destination.address.ip(family),
        destination_port: destination.port,
        server_address: place.address(),
        server_port: if port == 0 { destination.port } else { port },
    }
}

fn cache_row(
    worker: usize,
    view: &View,
    locality: Locality,
    holder: impl Fn(ServerId) -> Option<CacheServer>,
) -> CacheRow {
    let reason = match view.hold {
        Hold::Learned => "learned",
        Hold::Pinned => "pinned",
        Hold::Banned => "banned",
    };
    let (unused_s, unchanged_s) = (view.unused.as_s(), view.unchanged.as_s());
    let is_learned = view.hold == Hold::Learned;
    CacheRow {
        worker,
        address: view.address,
        reason: reason.to_owned(),
        uses: view.uses,
        unused_s,
        unchanged_s,
        expires_s: is_learned.then(|| locality.expiration.as_s().saturating_sub(unused_s)),
        servers: view.servers.iter().flatten().filter_map(|id| holder(*id)).collect(),
        members: view.members,
    }
}

/// Puts what is known of the servers of a service or pool beside them; whether so few live that all are used.
fn attach(health: &[ServiceView], group: &str, servers: &mut [ServerRow]) -> bool {
    let Some(view) = health.iter().find(|view| view.service == group) else { return false };
    for server in servers {
        server.health = view.servers.iter().find(|known| known.server == server.server).cloned();
    }
    view.panic
}
