//! What a worker remembers of services between two connections.

use super::clients::Clients;
use crate::config::service::{Locality, Persistence, Scheduler, Service};
use crate::lesson::{Lesson, Visit};
use crate::sched::cache::Table;
use crate::sched::{rr, wrr};
use crate::track::news::{News, Post};
use crate::units::{BURST_MAX, ServerId, ServiceId, Tick};
use core::net::IpAddr;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Addresses of a table that are looked at in a tick: Linux's 16384 in a second, the most that may be in eleven minutes.
const SWEEP_A_TICK: u32 = 256;

/// News that may wait to be told: those of a burst, whose packets change two servers of a content each at most, and the
/// server of one client.
const NEWS_MAX: usize = 3 * BURST_MAX;

/// What a scheduler remembers.
#[derive(Debug, Default)]
pub enum Memory {
    /// Nothing.
    #[default]
    None,
    /// Whose turn it was.
    Rr(rr::Round),
    /// Where in its round it is.
    Wrr(wrr::Round),
    /// Which servers hold what.
    Cache(Table),
}

impl Memory {
    /// An empty one. For `lblc` and `lblcr` it takes some megabytes: make it where that does not matter.
    pub fn new(scheduler: Scheduler) -> Self {
        match scheduler {
            Scheduler::Rr => Self::Rr(rr::Round::default()),
            Scheduler::Wrr => Self::Wrr(wrr::Round::default()),
            Scheduler::Lblc(locality) | Scheduler::Lblcr(locality) => Self::cache(locality),
            _ => Self::None,
        }
    }

    fn cache(locality: Locality) -> Self {
        Self::Cache(Table::new(locality))
    }

    /// The table of `lblc` or `lblcr`, to look at.
    pub const fn as_cache(&self) -> Option<&Table> {
        match self {
            Self::Cache(table) => Some(table),
            Self::None | Self::Rr(_) | Self::Wrr(_) => None,
        }
    }

    /// The same, to change.
    pub const fn as_cache_mut(&mut self) -> Option<&mut Table> {
        match self {
            Self::Cache(table) => Some(table),
            Self::None | Self::Rr(_) | Self::Wrr(_) => None,
        }
    }
}

/// A service, and what a worker's memory of it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Which.
    pub service: ServiceId,
    /// Its scheduler, whose memory may be some megabytes.
    pub scheduler: Scheduler,
    /// Whether clients stay with a server.
    pub persistence: Option<Persistence>,
}

impl Key {
    pub(super) const fn of(service: &Service) -> Self {
        let &Service { id, scheduler, persistence, .. } = service;
        Self { service: id, scheduler, persistence }
    }
}

/// Bytes that each worker needs to remember a service.
pub const fn bytes(scheduler: Scheduler, persistence: Option<Persistence>) -> u64 {
    let table = match scheduler {
        Scheduler::Lblc(locality) | Scheduler::Lblcr(locality) => Table::bytes(locality),
        _ => 0,
    };
    match persistence {
        Some(persistence) => table + Clients::bytes(persistence),
        None => table,
    }
}

/// What a worker remembers of one service.
#[derive(Debug)]
pub struct Recollection {
    key: Key,
    /// What its scheduler does.
    pub memory: Memory,
    /// Where its clients went.
    pub clients: Option<Clients>,
}

impl Recollection {
    /// An empty one, without what it will inherit from `known`.
    fn new(key: Key, known: Option<&Key>) -> Self {
        let has_memory = known.is_some_and(|known| known.scheduler == key.scheduler);
        let has_clients = known.is_some_and(|known| known.persistence == key.persistence);
        let memory = if has_memory { Memory::None } else { Memory::new(key.scheduler) };
        Self { key, memory, clients: key.persistence.filter(|_| !has_clients).map(Clients::new) }
    }

    /// Whether other workers are told of it.
    #[inline]
    pub(super) const fn is_shared(&self) -> bool {
        self.clients.is_some() || self.memory.as_cache().is_some()
    }
}

/// What a worker remembers of all services: in their order.
#[derive(Debug, Default)]
pub struct Memories {
    version: u64,
    list: Vec<Recollection>,
    rover: usize,
    swept: Tick,
    /// What other workers do not know yet.
    news: VecDeque<News>,
}

impl Memories {
    /// Empty ones for the services of this version, without what they will [inherit](Self::inherit) of `known`. They may
    /// take megabytes: make them where that does not matter.
    pub fn new(version: u64, keys: &[Key], known: &[Key]) -> Self {
        let known: HashMap<ServiceId, &Key> = known.iter().map(|known| (known.service, known)).collect();
        let list = keys.iter().map(|key| Recollection::new(*key, known.get(&key.service).copied()));
        let news = VecDeque::with_capacity(NEWS_MAX);
        Self { version, list: list.collect(), rover: 0, swept: Tick::default(), news }
    }

    /// Which services they are for.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Takes over what is known of services that are as they were.
    pub fn inherit(&mut self, old: &mut Self) {
        for new in &mut self.list {
            let same = old.list.iter_mut().find(|old| old.key.service == new.key.service);
            let Some(old) = same else { continue };
            if old.key.scheduler == new.key.scheduler {
                core::mem::swap(&mut old.memory, &mut new.memory);
            }
            if old.key.persistence == new.key.persistence {
                core::mem::swap(&mut old.clients, &mut new.clients);
            }
        }
    }

    /// What is remembered of the service at a place, which must be this one.
    #[inline]
    pub fn of(&mut self, place: usize, service: ServiceId) -> Option<&mut Recollection> {
        self.list.get_mut(place).filter(|recollection| recollection.key.service == service)
    }

    /// The same for one that is known by its number alone, to look at.
    pub fn find(&self, service: ServiceId) -> Option<&Recollection> {
        self.list.iter().find(|recollection| recollection.key.service == service)
    }

    /// The same, to change.
    pub fn find_mut(&mut self, service: ServiceId) -> Option<&mut Recollection> {
        self.list.iter_mut().find(|recollection| recollection.key.service == service)
    }

    /// Another node has given a connection from `client` to `destination` to this server: where this one inherits the client
    /// or the destination, it sends it there too.
    pub fn follow(
        &mut self,
        service: ServiceId,
        (client, destination): (IpAddr, IpAddr),
        server: ServerId,
        now: Tick,
    ) {
        let Some(place) = self.list.iter().position(|known| known.key.service == service) else { return };
        let Recollection { key, memory, clients } = &mut self.list[place];
        if let Some(clients) = clients {
            clients.remember(client, server, now);
        }
        if let Memory::Cache(table) = memory {
            table.follow(destination, server, matches!(key.scheduler, Scheduler::Lblc(_)), now);
            self.share(place);
        }
    }

    /// A connection was scheduled: other workers are to know what was learned.
    #[inline]
    pub(super) fn share(&mut self, place: usize) {
        let Some(Recollection { key, memory, clients }) = self.list.get_mut(place) else { return };
        let service = key.service;
        let room = NEWS_MAX.saturating_sub(self.news.len());
        if let Memory::Cache(table) = memory {
            let learned = table.take_lessons().map(|lesson| News::Learned { service, lesson });
            self.news.extend(learned.take(room));
        }
        if let Some(visit) = clients.as_mut().and_then(Clients::take_news)
            && self.news.len() < NEWS_MAX
        {
            self.news.push_back(News::Visited { service, visit });
        }
    }

    /// The next thing to tell the other workers.
    #[inline]
    pub fn post(&mut self) -> Option<Post> {
        Some(Post { to: None, news: self.news.pop_front()? })
    }

    /// Takes in what another worker has learned of a service.
    pub fn hear(&mut self, service: ServiceId, lesson: &Lesson) {
        if let Some(table) = self.find_mut(service).and_then(|found| found.memory.as_cache_mut()) {
            table.hear(lesson);
        }
    }

    /// Takes in where a client has come at another worker.
    pub fn hear_visit(&mut self, service: ServiceId, visit: &Visit) {
        if let Some(clients) = self.find_mut(service).and_then(|found| found.clients.as_mut()) {
            clients.hear(visit);
        }
    }

    /// Forgets what has been idle too long: a tick's part of it.
    #[inline]
    pub fn sweep(&mut self, now: Tick) {
        if self.list.is_empty() || now == self.swept {
            return;
        }
        self.swept = now;
        self.rover = (self.rover + 1) % self.list.len();
        if let Memory::Cache(table) = &mut self.list[self.rover].memory {
            table.sweep(now, SWEEP_A_TICK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_as_it_was_keeps_what_is_known_of_it() {
        let id = |index| ServiceId::new(index).unwrap();
        let persistence = Some(Persistence {
            timeout: crate::units::Span::MAX,
            ipv4_prefix_len: 32,
            ipv6_prefix_len: 128,
            clients_max: 4,
        });
        let key = |index, scheduler, persistence| Key { service: id(index), scheduler, persistence };
        let known = [key(0, Scheduler::Rr, persistence), key(1, Scheduler::Rr, None)];
        let mut old = Memories::new(1, &known, &[]);
        let (client, now) = ([192, 0, 2, 1].into(), Tick::default());
        old.of(0, id(0)).unwrap().clients.as_mut().unwrap().remember(client, ServerId::FIRST, now);
        let both = [key(7, Scheduler::Wrr, persistence), key(0, Scheduler::Wrr, persistence)];
        let mut new = Memories::new(2, &both, &known);
        let made = new.list.iter().map(|one| one.clients.is_some()).collect::<Vec<_>>();
        assert_eq!(made, [true, false], "only what is not there yet is made");
        new.inherit(&mut old);
        assert!(new.of(0, id(0)).is_none(), "another service stands there now");
        let kept = new.of(1, id(0)).unwrap();
        assert!(matches!(kept.memory, Memory::Wrr(_)), "the scheduler is another");
        assert_eq!(kept.clients.as_ref().unwrap().server_of(client, now), Some(ServerId::FIRST));
    }
}
