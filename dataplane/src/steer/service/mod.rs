//! Services: which one a new connection is for, and which of its servers gets it.
//!
//! A rule may mark a packet; a service is named by a mark, or by protocol, address and port. With a mark the service of
//! that mark comes first, then that of the packet's address and port, then that of its address and any port, as in
//! IPVS. Only the first packet of a connection comes here: which server it was given is kept with the connection.

pub mod load;
pub mod memory;

use crate::classify::{Classifier, Facts};
use crate::config;
use crate::config::service::{Fallback, Scheduler, Selector};
use crate::sched::{Loads, Server, Servers, dh, lblc, lblcr, least, mh, sh, twos, weightiest};
use crate::units::{Mark, ServerId, Tick};
use crate::wire::IpProtocol;
use core::net::IpAddr;
use hashbrown::HashMap;
use memory::Memory;

/// A service, by its place among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceId(u16);

impl ServiceId {
    /// The place, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All services.
#[derive(Clone, Debug)]
pub struct Services {
    rules: Classifier,
    /// What each rule marks with.
    marks: Vec<Option<Mark>>,
    by_mark: HashMap<Mark, ServiceId>,
    by_address: HashMap<(IpProtocol, IpAddr, u16), ServiceId>,
    services: Vec<Service>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    servers: Servers,
    scheduler: Scheduler,
    table: Table,
    fallback: Fallback,
}

/// What the hashing schedulers have worked out beforehand.
#[derive(Clone, Debug)]
enum Table {
    None,
    Dh(dh::Table),
    Sh(sh::Table),
    Mh(mh::Table),
}

/// A new connection.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Where it comes from.
    pub source: IpAddr,
    /// The port it comes from.
    pub source_port: u16,
    /// Where it goes.
    pub destination: IpAddr,
    /// 64 bits that are equally likely.
    pub random: u64,
}

impl Services {
    /// The first 65,536 of them.
    pub fn compile(config: &config::Services) -> Self {
        let rules: Vec<_> = config.marks.iter().map(|(rule, _)| rule.clone()).collect();
        let (mut by_mark, mut by_address) = (HashMap::new(), HashMap::new());
        for (place, service) in (0..=u16::MAX).zip(&config.services) {
            match service.selector {
                Some(Selector::Mark(mark)) => by_mark.insert(mark, ServiceId(place)),
                Some(Selector::Address { protocol, address, port }) => {
                    by_address.insert((protocol, address, port), ServiceId(place))
                }
                None => None,
            };
        }
        Self {
            rules: Classifier::compile(&rules),
            marks: config.marks.iter().map(|(_, mark)| *mark).collect(),
            by_mark,
            by_address,
            services: config.services.iter().map(Service::compile).collect(),
        }
    }

    /// All of them.
    pub fn list(&self) -> &[Service] {
        &self.services
    }

    /// A packet's mark: the one that the first rule gives which it agrees with, else the one it has.
    #[inline]
    pub fn mark(&self, facts: &Facts) -> Mark {
        let rule = self.rules.first(facts).and_then(|rule| self.marks.get(rule));
        rule.copied().flatten().unwrap_or(facts.mark)
    }

    /// The service of a connection whose first packet has this mark.
    #[inline]
    pub fn find(&self, mark: Mark, facts: &Facts) -> Option<ServiceId> {
        if !self.by_mark.is_empty() && mark != Mark::default() {
            let of_mark = self.by_mark.get(&mark).copied();
            if of_mark.is_some() {
                return of_mark;
            }
        }
        if self.by_address.is_empty() {
            return None;
        }
        let address = facts.destination.ip(facts.family);
        let named = |port| self.by_address.get(&(facts.protocol, address, port)).copied();
        named(facts.ports.1).or_else(|| named(0))
    }

    /// A service.
    #[inline]
    pub fn get(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.index())
    }
}

impl Service {
    fn compile(config: &config::service::Service) -> Self {
        let servers = config.servers.iter().map(|server| {
            let &config::service::Server { id, weight, cost, reported_load, .. } = server;
            Server { id, weight, cost, reported_load }
        });
        let servers = Servers::new(servers);
        let table = match config.scheduler {
            Scheduler::Dh => Table::Dh(dh::Table::compile(&servers)),
            Scheduler::Sh(hashing) => Table::Sh(sh::Table::compile(&servers, hashing)),
            Scheduler::Mh(hashing) => Table::Mh(mh::Table::compile(&config.servers, hashing)),
            _ => Table::None,
        };
        Self { servers, scheduler: config.scheduler, table, fallback: config.fallback }
    }

    /// Its servers.
    pub const fn servers(&self) -> &Servers {
        &self.servers
    }

    /// How it spreads connections.
    pub const fn scheduler(&self) -> Scheduler {
        self.scheduler
    }

    /// What becomes of a connection that no server can take.
    pub const fn fallback(&self) -> Fallback {
        self.fallback
    }

    /// The server that gets a new connection; `None`: no server can take it.
    pub fn choose(
        &self,
        request: &Request,
        memory: &mut Memory,
        loads: &impl Loads,
        now: Tick,
    ) -> Option<ServerId> {
        let (servers, source) = (&self.servers, (request.source, request.source_port));
        match (self.scheduler, memory, &self.table) {
            (Scheduler::Rr, Memory::Rr(round), _) => round.choose(servers, loads),
            (Scheduler::Wrr, Memory::Wrr(round), _) => round.choose(servers, loads),
            (Scheduler::Lc, ..) => least::lc(servers, loads),
            (Scheduler::Sed, ..) => least::sed(servers, loads),
            (Scheduler::Nq, ..) => least::nq(servers, loads),
            (Scheduler::LeastLoad, ..) => least::least_load(servers, loads),
            (Scheduler::Fo, ..) => weightiest::fo(servers, loads),
            (Scheduler::Ovf, ..) => weightiest::ovf(servers, loads),
            (Scheduler::Twos, ..) => twos::choose(servers, loads, request.random),
            (_, _, Table::Dh(table)) => table.choose(request.destination, servers, loads),
            (_, _, Table::Sh(table)) => table.choose(source, servers, loads),
            (_, _, Table::Mh(table)) => table.choose(source, servers, loads),
            (Scheduler::Lblc(_), Memory::Cache(cache), _) => {
                lblc::choose(cache, request.destination, servers, loads, now)
            }
            (Scheduler::Lblcr(_), Memory::Cache(cache), _) => {
                lblcr::choose(cache, request.destination, servers, loads, now)
            }
            // `wlc`; and while a worker's memory is not yet what the scheduler needs, which is IPVS's default as well.
            _ => least::wlc(servers, loads),
        }
    }
}

#[cfg(test)]
mod tests;
