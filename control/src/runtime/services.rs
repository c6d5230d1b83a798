//! Services and pools of a running gateway: the registry between the configuration, operators, checks and workers.
//!
//! What the registry says goes into the next snapshot. Ten times a second control looks at what servers carry: each
//! worker is told what the others have given out, drains end, and rates are estimated.

mod rows;
mod takers;

use crate::api::{Refusal, ServerOrder};
use crate::config::services;
use crate::observe::trace::TakerRow;
use crate::service::{
    ChangeError, Collection, Counts, Full, Group, Registry, Sampler, Server, ServiceCounts,
};
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_dataplane::config::service as told;
use weir_dataplane::config::service::{Place, ServerState};
use weir_dataplane::counters::{Cell, ServerCells};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::steer::service::Services as Compiled;
use weir_dataplane::tally;
use weir_dataplane::units::{ServerId, ServiceId};

/// Between two looks at what servers carry, and at what the time has brought.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// Services and pools, and what workers were told of them.
#[derive(Debug)]
pub(super) struct Services {
    registry: Registry,
    sampler: Sampler,
    compiled: Arc<Compiled>,
    /// The revision that `compiled` was made of.
    compiled_revision: u64,
    /// The revision that all workers go by.
    in_force: u64,
    /// What each worker was told last that the others carry.
    told: Vec<BTreeMap<ServerId, tally::Counts>>,
    start: Instant,
}

impl Services {
    /// Those of a configuration.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn new(config: &services::Services) -> Result<Self, Full> {
        let mut services = Self {
            registry: Registry::default(),
            sampler: Sampler::default(),
            compiled: Arc::new(Compiled::compile(0, &told::Services::default())),
            compiled_revision: 0,
            in_force: 0,
            told: Vec::new(),
            start: Instant::now(),
        };
        services.reload(config)?;
        services.compile();
        // The first snapshot is there before the workers are.
        services.set_in_force(services.compiled_revision);
        Ok(services)
    }

    /// Takes over another configuration.
    ///
    /// # Errors
    /// When there are too many; then nothing changes.
    pub(super) fn reload(&mut self, config: &services::Services) -> Result<(), Full> {
        self.registry.reload(config, self.now_ms())
    }

    /// Follows an operator's order.
    pub(super) fn change(&mut self, collection: Collection, order: ServerOrder) -> Result<(), Refusal> {
        let now_ms = self.now_ms();
        let ServerOrder { group, server, change } = order;
        let refuse = |error: ChangeError| match error {
            ChangeError::Full(_) | ChangeError::Needed { .. } | ChangeError::Exists { .. } => {
                Refusal::conflict(error)
            }
            _ => Refusal::configuration(error),
        };
        self.registry.change(collection, &group, &server, change, now_ms).map_err(refuse)
    }

    /// What the registry holds.
    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is known of all servers from outside, as in [`Registry::hear`].
    pub(super) fn hear(&mut self, heard: impl Fn(&str, &Server) -> (bool, u32)) {
        self.registry.hear(heard);
    }

    /// What the packet path is to be told; `None`: there are no services.
    pub(super) fn compile(&mut self) -> Option<Arc<Compiled>> {
        if self.compiled_revision != self.registry.revision() {
            self.compiled = Arc::new(self.compiled.followed_by(&self.registry.compile()));
            self.compiled_revision = self.registry.revision();
        }
        (!self.registry.is_empty()).then(|| Arc::clone(&self.compiled))
    }

    /// The revision that was compiled last.
    pub(super) const fn compiled_revision(&self) -> u64 {
        self.compiled_revision
    }

    /// All workers go by this revision.
    pub(super) fn set_in_force(&mut self, revision: u64) {
        self.in_force = revision;
        self.registry.set_in_force(revision);
    }

    /// Whether workers are to be told something new.
    pub(super) const fn has_news(&self) -> bool {
        self.in_force != self.registry.revision()
    }

    /// The addresses of all servers, those that are being drained among them: they are to be known before packets go
    /// there.
    pub(super) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.servers()
            .filter_map(|server| match server.definition().place {
                Place::Address(address) => Some(address),
                Place::Mac(..) => None,
            })
            .collect()
    }

    /// The server or node of this name.
    pub(super) fn id_of(&self, group: &str, server: &str) -> Option<ServerId> {
        self.registry.group(group)?.server(server).map(Server::id)
    }

    /// All servers by their numbers, each with the name of its service or pool.
    pub(super) fn by_number(&self) -> BTreeMap<ServerId, (&str, &Server)> {
        let current = self.registry.all_servers().map(|(group, server)| (group.name(), server));
        let retired = self.registry.retired().map(|retired| (&*retired.group, &retired.server));
        current.chain(retired).map(|(group, server)| (server.id(), (group, server))).collect()
    }

    /// What services and pools, and their servers, are called.
    pub(super) fn names(&self) -> (BTreeMap<ServiceId, &str>, BTreeMap<ServerId, TakerRow>) {
        let taker = |(id, (group, server)): (ServerId, (&str, &Server))| {
            let address = match server.definition().place {
                Place::Address(address) => Some(address),
                Place::Mac(..) => None,
            };
            (id, TakerRow { service: group.to_owned(), server: server.name().to_owned(), address })
        };
        let groups = self.registry.groups().iter().map(|group| (group.id(), group.name()));
        (groups.collect(), self.by_number().into_iter().map(taker).collect())
    }

    /// The service or pool of this name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn find(&self, collection: Collection, name: &str) -> Result<&Group, Refusal> {
        self.registry.find(collection, name).map_err(Refusal::configuration)
    }

    /// The services whose clients stay with a server.
    pub(super) fn persistent(&self) -> Vec<ServiceId> {
        self.compiled.list().iter().filter(|service| service.is_persistent()).map(|of| of.id()).collect()
    }

    /// Looks at what servers carry. Answers the servers whose drain is over and that still have flows.
    pub(super) fn look(&mut self, workers: &[WorkerHandle]) -> Vec<ServerId> {
        if self.registry.groups().is_empty() && self.servers().next().is_none() {
            return Vec::new();
        }
        let now_ms = self.now_ms();
        self.registry.tick(now_ms, |id| counted(workers, id), |id| counted_service(workers, id));
        let samples: Vec<_> =
            self.servers().map(|server| (server.id(), self.counts(server.id(), workers))).collect();
        self.sampler.sample(now_ms, samples.iter().copied());
        self.tell(workers);
        let over = self.servers().filter(|server| server.state() == ServerState::Drained).map(Server::id);
        over.filter(|id| counted(workers, *id).own() > 0).collect()
    }

    /// Tells each worker what the others have given out, where that is news.
    fn tell(&mut self, workers: &[WorkerHandle]) {
        if workers.len() < 2 {
            return;
        }
        self.told.resize(workers.len(), BTreeMap::new());
        let known: BTreeSet<ServerId> = self.servers().map(Server::id).collect();
        for (me, told) in workers.iter().zip(&mut self.told) {
            let others = |id: ServerId| {
                let sum = |cell: fn(&ServerCells) -> &Cell| {
                    let others = workers.iter().filter(|worker| worker.id() != me.id());
                    let sum: u64 = others.map(|worker| cell(worker.counters().server(id)).read()).sum();
                    u32::try_from(sum).unwrap_or(u32::MAX)
                };
                let [active, inactive, datagrams] =
                    [sum(|of| &of.active), sum(|of| &of.inactive), sum(|of| &of.datagrams)];
                tally::Counts { active, inactive, datagrams }
            };
            let ids: BTreeSet<ServerId> = known.iter().chain(told.keys()).copied().collect();
            let news = ids.into_iter().map(|id| (id, others(id)));
            let is_news = |(id, counts): &(ServerId, tally::Counts)| {
                told.get(id).copied().unwrap_or_default() != *counts
            };
            let news: Arc<[_]> = news.filter(is_news).collect();
            // A worker whose mailbox is full is told the next time.
            if !news.is_empty() && me.tell_counts(Arc::clone(&news)).is_ok() {
                told.extend(news.iter().copied());
                told.retain(|_, counts| *counts != tally::Counts::default());
            }
        }
    }

    /// All servers, those that are being drained after they were lost among them.
    fn servers(&self) -> impl Iterator<Item = &Server> {
        let current = self.registry.all_servers().map(|(_, server)| server);
        current.chain(self.registry.retired().map(|retired| &retired.server))
    }

    /// What a server carries and has carried, whoever had its number before.
    pub(super) fn counts(&self, id: ServerId, workers: &[WorkerHandle]) -> Counts {
        self.registry.counts_of(id, counted(workers, id))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What all workers have counted under the number of a server.
fn counted(workers: &[WorkerHandle], id: ServerId) -> Counts {
    let of = |worker: &WorkerHandle| {
        let cells = worker.counters().server(id);
        Counts {
            active: cells.active.read(),
            inactive: cells.inactive.read(),
            datagrams: cells.datagrams.read(),
            opened: cells.opened.read(),
            shadows: cells.shadows.read(),
            connections: cells.connections.read(),
            packets: cells.packets.read(),
            bytes: cells.bytes.read(),
            reply_packets: cells.reply_packets.read(),
            reply_bytes: cells.reply_bytes.read(),
            answered: cells.answered.read(),
            unanswered: cells.unanswered.read(),
            refused: cells.refused.read(),
        }
    };
    workers.iter().map(of).sum()
}

/// What all workers have counted under the number of a service.
fn counted_service(workers: &[WorkerHandle], id: ServiceId) -> ServiceCounts {
    let of = |worker: &WorkerHandle| {
        let cells = worker.counters().service(id);
        ServiceCounts {
            refused: cells.refused.read(),
            bypassed: cells.bypassed.read(),
            dropped: cells.dropped.read(),
        }
    };
    workers.iter().map(of).sum()
}
