//! Services: which one a new connection is for, and which of its servers gets it.
//!
//! A rule may mark a packet; a service is named by a mark, or by protocol, address and port. With a mark the service of
//! that mark comes first, then that of the packet's address and port, then that of its address and any port, as in
//! IPVS. Only the first packet of a connection comes here: which server it was given is kept with the connection.

mod choice;
pub mod clients;
pub mod memory;
mod shared;

pub use choice::{Request, Service};

use crate::classify::Facts;
use crate::config;
use crate::config::service::{Assignment, Fallback, Method, Place, Scheduler, Selector, ServerState};
use crate::key::{Address, Family};
use crate::sched::{Load, Loads};
use crate::subnet::Subnet;
use crate::tally::{Counts, Tallies};
use crate::units::{Mark, ServerId, ServiceId, Tick};
use crate::wire::IpProtocol;
use core::net::IpAddr;
use hashbrown::{HashMap, HashSet};
use memory::{Key, Memories, Memory};
use shared::Rules;
use std::sync::Arc;

/// All services.
#[derive(Clone, Debug)]
pub struct Services {
    version: u64,
    /// What workers remember of them.
    keys: Vec<Key>,
    /// What those do that have the memory of the version before.
    known: Vec<Key>,
    rules: Arc<Rules>,
    /// What each rule marks with, and the place of that mark's service.
    marks: Vec<Option<(Mark, Option<usize>)>>,
    assigned: Arc<Rules>,
    assignments: Vec<Assignment>,
    by_mark: HashMap<Mark, usize>,
    by_address: HashMap<(IpProtocol, IpAddr, u16), usize>,
    services: Vec<Service>,
    /// Addresses of which something is a service's, whoever else has them.
    addresses: HashSet<IpAddr>,
    /// By [`ServerId::index`]: how packets get there.
    targets: Vec<Option<Target>>,
    /// As they are configured, for what workers know of their own.
    servers: Vec<config::service::Server>,
}

/// How packets get to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub place: Place,
    /// By which way.
    pub method: Method,
    /// Whether it may have connections.
    pub state: ServerState,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// It is no service's.
    Route,
    /// This server gets it.
    Serve(ServerId),
    /// It is this service's, and no server can take it.
    Fail(ServiceId, Fallback),
}

impl Services {
    /// Workers that have the memory of another version need that of this one.
    pub fn compile(version: u64, config: &config::Services) -> Self {
        Self::recompile(None, version, config)
    }

    /// The same; what those `before` have as well is not made again.
    pub fn recompile(before: Option<&Self>, version: u64, config: &config::Services) -> Self {
        let rules: Vec<_> = config.marks.iter().map(|(rule, _)| rule.clone()).collect();
        let assigned: Vec<_> = config.assignments.iter().map(|(rule, _)| rule.clone()).collect();
        let services = config.services.iter().enumerate();
        let services = services.map(|(place, service)| {
            let known = before.and_then(|before| before.services.get(place));
            Service::compile(service, known.filter(|known| known.id == service.id))
        });
        let services = services.collect();
        let (mut by_mark, mut by_address) = (HashMap::new(), HashMap::new());
        for (place, service) in config.services.iter().enumerate() {
            match service.selector {
                Some(Selector::Mark(mark)) => by_mark.insert(mark, place),
                Some(Selector::Address { protocol, address, port }) => {
                    by_address.insert((protocol, address, port), place)
                }
                None => None,
            };
        }
        let servers = config.services.iter().flat_map(|service| &service.servers).chain(&config.retired);
        let servers: Vec<_> = servers.copied().collect();
        let count = servers.iter().map(|server| server.id.index() + 1).max().unwrap_or(0);
        let mut targets = vec![None; count];
        for &config::service::Server { id, place, method, state, .. } in &servers {
            targets[id.index()] = Some(Target { place, method, state });
        }
        // A mark alone makes no packet a service's: somebody must ask for it.
        let asked: HashSet<Mark> = config.assignments.iter().filter_map(|(rule, _)| rule.mark).collect();
        let is_asked = |mark: Mark| by_mark.contains_key(&mark) || asked.contains(&mark);
        let marked = config.marks.iter().filter(|(_, mark)| mark.is_some_and(is_asked)).map(|(rule, _)| rule);
        let hosts = marked.chain(config.assignments.iter().map(|(rule, _)| rule));
        let hosts = hosts.filter_map(|rule| rule.destination.filter(Subnet::is_host));
        let addressed = config.services.iter().filter_map(|service| match service.selector {
            Some(Selector::Address { address, .. }) => Some(address),
            _ => None,
        });
        let named = |mark| (mark, by_mark.get(&mark).copied());
        Self {
            version,
            keys: config.services.iter().map(Key::of).collect(),
            known: Vec::new(),
            addresses: hosts.map(|host| host.address).chain(addressed).collect(),
            rules: Rules::compile(rules, before.map(|before| &before.rules)),
            marks: config.marks.iter().map(|(_, mark)| mark.map(named)).collect(),
            assigned: Rules::compile(assigned, before.map(|before| &before.assigned)),
            assignments: config.assignments.iter().map(|(_, assignment)| *assignment).collect(),
            by_mark,
            by_address,
            services,
            targets,
            servers,
        }
    }

    /// Those that come after these: with another version where workers need another memory.
    #[must_use]
    pub fn followed_by(&self, config: &config::Services) -> Self {
        let next = Self::recompile(Some(self), self.version, config);
        if next.keys == self.keys {
            Self { known: self.known.clone(), ..next }
        } else {
            Self { version: self.version + 1, known: self.keys.clone(), ..next }
        }
    }

    /// Which configuration of services this is.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// All of them.
    pub fn list(&self) -> &[Service] {
        &self.services
    }

    /// All servers, those that no service has any more among them.
    pub fn servers(&self) -> &[config::service::Server] {
        &self.servers
    }

    /// How packets get to a server, if there is one of this number.
    #[inline]
    pub fn target(&self, server: ServerId) -> Option<&Target> {
        self.targets.get(server.index())?.as_ref()
    }

    /// How packets get to all of them, by [`ServerId::index`].
    pub(in crate::steer) fn targets(&self) -> &[Option<Target>] {
        &self.targets
    }

    /// Whether what a server opens is no longer its.
    pub fn is_drained(&self, server: ServerId) -> bool {
        self.target(server).is_none_or(|target| target.state == ServerState::Drained)
    }

    /// Whether there is no such server, or it is known to be dead.
    #[inline]
    pub fn is_dead(&self, server: ServerId) -> bool {
        self.target(server).is_none_or(|target| target.state.is_dead())
    }

    /// The servers that are known to be dead.
    pub fn dead(&self) -> impl Iterator<Item = ServerId> {
        let dead = self.servers.iter().filter(|server| server.state.is_dead());
        dead.map(|server| server.id)
    }

    /// What a worker is to remember of them that has the memory of version `has`; `None`: it has none. What it goes on
    /// with is left out, since it may be megabytes.
    pub fn memories(&self, has: Option<u64>) -> Memories {
        let is_last = has.is_some_and(|has| has + 1 == self.version);
        Memories::new(self.version, &self.keys, if is_last { &self.known } else { &[] })
    }

    /// Whether something of this address is a service's. Servers have it too, so packets may come from it.
    #[inline]
    pub fn shares(&self, family: Family, address: Address) -> bool {
        !self.addresses.is_empty() && self.has(address.ip(family))
    }

    /// Kept apart, as all is that few packets need: a new flow's way is the shorter.
    #[inline(never)]
    fn has(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// A connection's mark, and whose it is, by its first packet; `None`: it is no service's.
    pub fn claims(&self, facts: &Facts) -> (Mark, Option<Assignment>) {
        let mark = self.mark(facts);
        let named = || Some(Assignment::Service(self.services[self.find(mark, facts)?].id));
        (mark, self.assignment(facts, mark).or_else(named))
    }

    /// The service that a connection is for, by its first packet.
    pub fn service_of(&self, facts: &Facts) -> Option<ServiceId> {
        let mark = self.mark(facts);
        match self.assignment(facts, mark) {
            Some(Assignment::Service(id)) => Some(id),
            Some(Assignment::Server(server)) => self.holder(server).map(Service::id),
            None => self.services.get(self.find(mark, facts)?).map(Service::id),
        }
    }

    /// The servers that may get a connection, by its first packet.
    pub fn candidates(&self, facts: &Facts) -> impl Iterator<Item = ServerId> {
        let mark = self.mark(facts);
        let (one, place) = match self.assignment(facts, mark) {
            Some(Assignment::Server(server)) => (Some(server), None),
            Some(Assignment::Service(id)) => (None, self.place(id)),
            None => (None, self.find(mark, facts)),
        };
        let service = place.and_then(|place| self.services.get(place));
        let all = service.into_iter().flat_map(|service| service.servers.list());
        one.into_iter().chain(all.map(|server| server.id))
    }

    /// The server that a rule names for what is not known to belong to any flow.
    #[inline]
    pub fn fixed(&self, facts: &Facts) -> Option<ServerId> {
        match self.assignment(facts, self.mark(facts)) {
            Some(Assignment::Server(server)) => Some(server),
            _ => None,
        }
    }

    /// The service that has this server.
    fn holder(&self, server: ServerId) -> Option<&Service> {
        self.services.iter().find(|service| service.servers.place(server).is_some())
    }

    fn place(&self, id: ServiceId) -> Option<usize> {
        self.services.iter().position(|service| service.id == id)
    }

    /// What becomes of a new connection whose first packet is this, and the mark that it has.
    #[inline(always)]
    pub fn dispatch(
        &self,
        facts: &Facts,
        random: impl FnOnce() -> u64,
        memories: &mut Memories,
        tallies: &Tallies,
        now: Tick,
    ) -> (Mark, Dispatch) {
        let (mark, named) = self.marked(facts);
        let place = match self.assignment(facts, mark) {
            None => named.or_else(|| self.find(mark, facts)),
            Some(Assignment::Service(id)) => self.place(id),
            Some(Assignment::Server(server)) => return (mark, self.dispatch_to(server)),
        };
        let Some((place, service)) = place.and_then(|place| Some((place, self.services.get(place)?))) else {
            return (mark, Dispatch::Route);
        };
        let random = if service.scheduler == Scheduler::Twos { random() } else { 0 };
        let request = Request { facts, random };
        let loads = Carried(tallies);
        let chosen = match memories.of(place, service.id) {
            Some(memory) => {
                let chosen = service.choose_for(&request, memory, &loads, now, |server| self.is_up(server));
                if memory.is_shared() {
                    memories.share(place);
                }
                chosen
            }
            // For the moment until it has this worker's memory too.
            None => service.choose(&request, &mut Memory::None, &loads, now),
        };
        (mark, chosen.map_or_else(|| service.fail(), Dispatch::Serve))
    }

    /// What becomes of a connection that a rule gives to this server.
    #[inline(never)]
    fn dispatch_to(&self, server: ServerId) -> Dispatch {
        match self.is_up(server) {
            true => Dispatch::Serve(server),
            false => self.holder(server).map_or(Dispatch::Route, Service::fail),
        }
    }

    /// The server that a service gives a connection, thresholds and persistence aside, if its scheduler hashes: by the
    /// addresses and the source's port of the first packet.
    pub fn hashed(&self, service: ServiceId, facts: &Facts) -> Option<ServerId> {
        let service = &self.services[self.place(service)?];
        let loads = |server| Load { overloaded: !self.is_up(server), ..Load::default() };
        let hashes = matches!(service.scheduler, Scheduler::Dh | Scheduler::Sh(_) | Scheduler::Mh(_));
        let request = Request { facts, random: 0 };
        hashes.then(|| service.choose(&request, &mut Memory::None, &loads, Tick::default()))?
    }

    /// Whether a server may have new connections.
    fn is_up(&self, server: ServerId) -> bool {
        self.target(server).is_some_and(|target| target.state == ServerState::Up)
    }

    /// What is assigned to a connection whose first packet has this mark.
    #[inline(always)]
    fn assignment(&self, facts: &Facts, mark: Mark) -> Option<Assignment> {
        if self.assignments.is_empty() { None } else { self.assigned(facts, mark) }
    }

    #[inline(never)]
    fn assigned(&self, facts: &Facts, mark: Mark) -> Option<Assignment> {
        self.assignments.get(self.assigned.first(&Facts { mark, ..*facts })?).copied()
    }

    /// A packet's mark: the one that the first rule gives which it agrees with, else the one it has.
    #[inline]
    pub fn mark(&self, facts: &Facts) -> Mark {
        self.marked(facts).0
    }

    /// The same, and the place of the service of the mark that a rule gives.
    #[inline(always)]
    fn marked(&self, facts: &Facts) -> (Mark, Option<usize>) {
        let rule = self.rules.first(facts).and_then(|rule| self.marks.get(rule));
        rule.copied().flatten().unwrap_or((facts.mark, None))
    }

    /// The place of the service of a connection whose first packet has this mark. Kept apart: a rule that marks knows it.
    #[inline(never)]
    fn find(&self, mark: Mark, facts: &Facts) -> Option<usize> {
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
}

/// What servers carry, for schedulers.
struct Carried<'a>(&'a Tallies);

impl Loads for Carried<'_> {
    #[inline]
    fn of(&self, server: ServerId) -> Load {
        let (Counts { active, inactive, datagrams }, takes) = self.0.of(server);
        Load { active, inactive, datagrams, overloaded: !takes }
    }

    #[inline]
    fn overhead(&self, server: ServerId) -> u64 {
        self.0.overhead(server)
    }
}

#[cfg(test)]
mod tests;
