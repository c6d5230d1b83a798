//! What a client asks of services and pools, and what it is told.

use super::Gateway;
use crate::api::{CacheOrder, FLOWS_LIMIT_MAX, Refusal, ServerOrder};
use crate::config::services::Service;
use crate::health::ServiceView;
use crate::observe::protocol::state_name;
use crate::observe::{
    CacheRow, CacheServer, ConnectionRow, Connections, Pools, ServerRow, ServiceCache, ServiceRow, Services,
};
use crate::runtime::errands;
use crate::runtime::services::Clients;
use crate::runtime::wards::Wards;
use crate::service::{Collection, Definition, Kind, Server};
use core::net::IpAddr;
use core::ops::ControlFlow;
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
    pub(super) async fn services(&self, name: Option<&str>) -> Result<Services, Refusal> {
        let clients = self.clients().await?;
        let mut services = self.running.services.show(name, &self.running.workers, &clients)?;
        let health = self.wards.as_ref().map(Wards::view).unwrap_or_default();
        for service in &mut services {
            service.panic = attach(&health, &service.service, &mut service.servers);
        }
        let flows_max = self.running.workers.iter().map(|worker| worker.flows_max() as u64).sum();
        Ok(Services { flows_max, services })
    }

    /// The same for metrics, which do not ask the workers' tables.
    pub(super) fn service_rows(&self) -> Vec<ServiceRow> {
        self.running.services.show(None, &self.running.workers, &Clients::new()).unwrap_or_default()
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

    /// How many clients stay with each server.
    async fn clients(&self) -> Result<Clients, Refusal> {
        let mut clients = Clients::new();
        for service in self.running.services.persistent() {
            let list = |dump| Errand::Clients(service, dump);
            errands::run(&self.running.workers, list, |_, server| {
                *clients.entry(server).or_default() += 1;
                ControlFlow::Continue(())
            })
            .await?;
        }
        Ok(clients)
    }

    /// The connections that servers have, or those of one service or pool.
    pub(super) async fn connections(&self, name: Option<&str>) -> Result<Connections, Refusal> {
        if let Some(name) = name {
            let find = |collection| self.running.services.find(collection, name);
            find(Collection::Services).or_else(|refusal| find(Collection::Pools).map_err(|_| refusal))?;
        }
        let filter = Arc::new(Filter { server: Some(ServerFilter::Any), ..Filter::default() });
        let (servers, mut answer) = (self.running.services.by_number(), Connections::default());
        let list = |dump| Errand::List(Arc::clone(&filter), dump);
        errands::run(&self.running.workers, list, |_, flow| {
            let server = flow.server.and_then(|id| servers.get(&id));
            let meant = server.filter(|(service, _)| name.is_none_or(|name| *service == name));
            let Some((service, server)) = meant else { return ControlFlow::Continue(()) };
            if answer.connections.len() == FLOWS_LIMIT_MAX {
                answer.more = true;
                return ControlFlow::Break(());
            }
            answer.connections.push(connection(&flow, service, server));
            ControlFlow::Continue(())
        })
        .await?;
        Ok(answer)
    }

    /// Changes a server of a service.
    pub(super) async fn change_service(&mut self, order: ServerOrder) -> Result<Services, Refusal> {
        let name = order.group.clone();
        self.change_server(Collection::Services, order).await?;
        self.services(Some(&name)).await
    }

    /// Changes a node of a pool.
    pub(super) async fn change_pool(&mut self, order: ServerOrder) -> Result<Pools, Refusal> {
        let name = order.group.clone();
        self.change_server(Collection::Pools, order).await?;
        self.pools(Some(&name))
    }

    /// Ends the flows that servers have.
    pub(super) async fn end_flows_of(&self, servers: Vec<ServerId>) -> Result<(), Refusal> {
        for server in servers {
            let filter = Arc::new(Filter { server: Some(ServerFilter::One(server)), ..Filter::default() });
            let mut ended = 0;
            let delete = |dump| Errand::Delete(Arc::clone(&filter), dump);
            errands::run(&self.running.workers, delete, |_, _| {
                ended += 1;
                ControlFlow::Continue(())
            })
            .await?;
            if let Some((service, server)) = self.running.services.by_number().get(&server) {
                info!(service, server = server.name(), ended, "the drain's deadline has passed");
            }
        }
        Ok(())
    }

    /// What the `lblc` or `lblcr` of a service knows: of all addresses, or of one.
    pub(super) async fn cache(&self, name: &str, address: Option<IpAddr>) -> Result<ServiceCache, Refusal> {
        let (service, locality) = self.cached(name)?;
        let mut answer = ServiceCache { service: name.to_owned(), ..ServiceCache::default() };
        let servers = self.running.services.by_number();
        let holder = |id: ServerId| {
            let (_, server) = servers.get(&id)?;
            let workers = self.running.workers.iter();
            let active = workers.map(|worker| worker.counters().server(id).active.read()).sum();
            Some(CacheServer { server: server.name().to_owned(), active, weight: server.weight() })
        };
        let list = |dump| Errand::Cache(service, dump);
        errands::run(&self.running.workers, list, |worker, view| {
            if address.is_some_and(|address| address != view.address) {
                return ControlFlow::Continue(());
            }
            if answer.entries.len() == FLOWS_LIMIT_MAX {
                answer.more = true;
                return ControlFlow::Break(());
            }
            answer.entries.push(cache_row(worker, &view, locality, holder));
            ControlFlow::Continue(())
        })
        .await?;
        Ok(answer)
    }

    /// Says what is to be held of an address.
    pub(super) async fn hold_cache(
        &self,
        name: &str,
        address: IpAddr,
        order: CacheOrder,
    ) -> Result<ServiceCache, Refusal> {
        let (service, _) = self.cached(name)?;
        let hold = match &order {
            CacheOrder::Pin(server) => {
                let none = || Refusal::configuration(format!("service `{name}` has no server `{server}`"));
                let id = self.running.services.id_of(name, server).ok_or_else(none)?;
                Some((Hold::Pinned, Some(id)))
            }
            CacheOrder::Ban => Some((Hold::Banned, None)),
            CacheOrder::Forget => None,
        };
        let mut full = false;
        let holding = Holding { service, address, hold };
        errands::run(
            &self.running.workers,
            |dump| Errand::Hold(holding, dump),
            |_, held| {
                full |= !held;
                ControlFlow::Continue(())
            },
        )
        .await?;
        if full {
            return Err(Refusal::failed(format!(
                "the table of service `{name}` is full, so it cannot hold {address}: forget other addresses, or give it \
                 more entries"
            )));
        }
        info!(service = name, %address, %order, "cache changed");
        self.cache(name, Some(address)).await
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
