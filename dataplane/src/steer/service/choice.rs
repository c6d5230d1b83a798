//! A service: which of its servers gets a new connection.

use super::Dispatch;
use super::memory::{Memory, Recollection};
use super::shared::{Hashed, Table};
use crate::classify::Facts;
use crate::config;
use crate::config::service::{Fallback, Persistence, Scheduler};
use crate::sched::{Loads, Server, Servers, lblc, lblcr, least, twos, weightiest};
use crate::units::{ServerId, ServiceId, Tick};
use core::net::IpAddr;

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    pub(super) id: ServiceId,
    pub(super) servers: Servers,
    pub(super) scheduler: Scheduler,
    persistence: Option<Persistence>,
    pub(super) table: Table,
    fallback: Fallback,
}

/// A new connection.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its first packet.
    pub facts: &'a Facts,
    /// 64 bits that are equally likely.
    pub random: u64,
}

impl Request<'_> {
    /// Where it comes from.
    fn source(&self) -> IpAddr {
        self.facts.source.ip(self.facts.family)
    }

    /// Where it goes.
    fn destination(&self) -> IpAddr {
        self.facts.destination.ip(self.facts.family)
    }
}

impl Service {
    pub(super) fn compile(config: &config::service::Service, before: Option<&Self>) -> Self {
        let servers = config.servers.iter().map(|server| {
            let &config::service::Server { id, weight, cost, reported_load, .. } = server;
            Server { id, weight, cost, reported_load }
        });
        let servers = Servers::new(servers);
        let &config::service::Service { id, scheduler, persistence, fallback, .. } = config;
        let table = Table::compile(config, &servers, before.map(|before| &before.table));
        Self { id, servers, scheduler, persistence, table, fallback }
    }

    /// Its number.
    pub const fn id(&self) -> ServiceId {
        self.id
    }

    /// Its servers.
    pub const fn servers(&self) -> &Servers {
        &self.servers
    }

    /// How it spreads connections.
    pub const fn scheduler(&self) -> Scheduler {
        self.scheduler
    }

    /// Whether its clients stay with a server.
    pub const fn is_persistent(&self) -> bool {
        self.persistence.is_some()
    }

    /// What becomes of a connection that no server can take.
    pub(super) const fn fail(&self) -> Dispatch {
        Dispatch::Fail(self.id, self.fallback)
    }

    /// The server that gets a new connection: that of the client's last one, if clients stay and it may.
    #[inline(always)]
    pub(super) fn choose_for(
        &self,
        request: &Request<'_>,
        memory: &mut Recollection,
        loads: &impl Loads,
        now: Tick,
        is_up: impl Fn(ServerId) -> bool,
    ) -> Option<ServerId> {
        match memory.clients {
            None => self.choose(request, &mut memory.memory, loads, now),
            Some(_) => self.choose_again(request, memory, loads, now, is_up),
        }
    }

    /// The same of one whose clients stay. Kept apart, as the next one is: what it needs in registers others need not save.
    #[inline(never)]
    fn choose_again(
        &self,
        request: &Request<'_>,
        memory: &mut Recollection,
        loads: &impl Loads,
        now: Tick,
        is_up: impl Fn(ServerId) -> bool,
    ) -> Option<ServerId> {
        let clients = memory.clients.as_mut()?;
        let last = clients.server_of(request.source(), now);
        // As in IPVS neither weight nor thresholds count for who has been there already.
        let stays = |id: &ServerId| self.servers.place(*id).is_some() && is_up(*id);
        let chosen = last.filter(stays).or_else(|| self.choose(request, &mut memory.memory, loads, now));
        if let Some(server) = chosen {
            clients.remember(request.source(), server, now);
        }
        chosen
    }

    /// The server that gets a new connection; `None`: no server can take it.
    #[inline(always)]
    pub fn choose(
        &self,
        request: &Request<'_>,
        memory: &mut Memory,
        loads: &impl Loads,
        now: Tick,
    ) -> Option<ServerId> {
        match self.scheduler {
            Scheduler::Wlc => least::wlc(&self.servers, loads),
            _ => self.choose_by_more(request, memory, loads, now),
        }
    }

    /// The same by a scheduler that may look at more than loads and weights.
    #[inline(never)]
    fn choose_by_more(
        &self,
        request: &Request<'_>,
        memory: &mut Memory,
        loads: &impl Loads,
        now: Tick,
    ) -> Option<ServerId> {
        let servers = &self.servers;
        let source = || (request.source(), request.facts.ports.0);
        match (self.scheduler, memory, &self.table.hashed) {
            (Scheduler::Rr, Memory::Rr(round), _) => round.choose(servers, loads),
            (Scheduler::Wrr, Memory::Wrr(round), _) => round.choose(servers, loads),
            (Scheduler::Lc, ..) => least::lc(servers, loads),
            (Scheduler::Sed, ..) => least::sed(servers, loads),
            (Scheduler::Nq, ..) => least::nq(servers, loads),
            (Scheduler::LeastLoad, ..) => least::least_load(servers, loads),
            (Scheduler::Fo, ..) => weightiest::fo(servers, loads),
            (Scheduler::Ovf, ..) => weightiest::ovf(servers, loads),
            (Scheduler::Twos, ..) => twos::choose(servers, loads, request.random),
            (_, _, Hashed::Dh(table)) => table.choose(request.destination(), servers, loads),
            (_, _, Hashed::Sh(table)) => table.choose(source(), servers, loads),
            (_, _, Hashed::Mh(table)) => table.choose(source(), servers, loads),
            (Scheduler::Lblc(_), Memory::Cache(cache), _) => {
                lblc::choose(cache, request.destination(), servers, loads, now)
            }
            (Scheduler::Lblcr(_), Memory::Cache(cache), _) => {
                lblcr::choose(cache, request.destination(), servers, loads, now)
            }
            // `wlc`; and while a worker's memory is not yet what the scheduler needs, which is IPVS's default as well.
            _ => least::wlc(servers, loads),
        }
    }
}
