//! What a worker remembers of services between two connections.

use super::clients::Clients;
use crate::config::service::{Locality, Persistence, Scheduler};
use crate::lesson::Lesson;
use crate::sched::cache::Table;
use crate::sched::{rr, wrr};
use crate::track::news::{News, Post};
use crate::units::{BURST_MAX, ServerId, ServiceId, Tick};
use core::net::IpAddr;
use std::collections::VecDeque;

/// Buckets of a table of addresses that are looked at in a tick: all of them in some seconds.
const SWEEP_A_TICK: u32 = 2;

/// Lessons that may wait to be told: those of a burst, whose packets change two servers each at most.
const LESSONS_MAX: usize = 2 * BURST_MAX;

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

/// What a worker remembers of one service.
#[derive(Debug)]
pub struct Recollection {
    service: ServiceId,
    scheduler: Scheduler,
    persistence: Option<Persistence>,
    /// What its scheduler does.
    pub memory: Memory,
    /// Where its clients went.
    pub clients: Option<Clients>,
}

impl Recollection {
    fn new(service: ServiceId, scheduler: Scheduler, persistence: Option<Persistence>) -> Self {
        let clients = persistence.map(Clients::new);
        Self { service, scheduler, persistence, memory: Memory::new(scheduler), clients }
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
    lessons: VecDeque<(ServiceId, Lesson)>,
}

impl Memories {
    /// Empty ones for the services of this version, each with its scheduler and its persistence. They may take
    /// megabytes: make them where that does not matter.
    pub fn new(
        version: u64,
        services: impl Iterator<Item = (ServiceId, Scheduler, Option<Persistence>)>,
    ) -> Self {
        let list = services.map(|(id, scheduler, persistence)| Recollection::new(id, scheduler, persistence));
        let lessons = VecDeque::with_capacity(LESSONS_MAX);
        Self { version, list: list.collect(), rover: 0, swept: Tick::default(), lessons }
    }

    /// Which services they are for.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Takes over what is known of services that are as they were.
    pub fn inherit(&mut self, old: &mut Self) {
        for new in &mut self.list {
            let same = old.list.iter_mut().find(|old| old.service == new.service);
            let Some(old) = same else { continue };
            if old.scheduler == new.scheduler {
                core::mem::swap(&mut old.memory, &mut new.memory);
            }
            if old.persistence == new.persistence {
                core::mem::swap(&mut old.clients, &mut new.clients);
            }
        }
    }

    /// What is remembered of the service at a place, which must be this one.
    #[inline]
    pub fn of(&mut self, place: usize, service: ServiceId) -> Option<&mut Recollection> {
        self.list.get_mut(place).filter(|recollection| recollection.service == service)
    }

    /// The same for one that is known by its number alone, to look at.
    pub fn find(&self, service: ServiceId) -> Option<&Recollection> {
        self.list.iter().find(|recollection| recollection.service == service)
    }

    /// The same, to change.
    pub fn find_mut(&mut self, service: ServiceId) -> Option<&mut Recollection> {
        self.list.iter_mut().find(|recollection| recollection.service == service)
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
        let Some(place) = self.list.iter().position(|known| known.service == service) else { return };
        let Recollection { scheduler, memory, clients, .. } = &mut self.list[place];
        if let Some(clients) = clients {
            clients.remember(client, server, now);
        }
        if let Memory::Cache(table) = memory {
            table.follow(destination, server, matches!(scheduler, Scheduler::Lblc(_)), now);
            self.share(place);
        }
    }

    /// A connection was scheduled: other workers are to know what was learned.
    #[inline]
    pub(super) fn share(&mut self, place: usize) {
        let Some(Recollection { service, memory: Memory::Cache(table), .. }) = self.list.get_mut(place)
        else {
            return;
        };
        let room = LESSONS_MAX.saturating_sub(self.lessons.len());
        self.lessons.extend(table.take_lessons().take(room).map(|lesson| (*service, lesson)));
    }

    /// The next thing to tell the other workers.
    #[inline]
    pub fn post(&mut self) -> Option<Post> {
        let (service, lesson) = self.lessons.pop_front()?;
        Some(Post { to: None, news: News::Learned { service, lesson } })
    }

    /// Takes in what another worker has learned of a service.
    pub fn hear(&mut self, service: ServiceId, lesson: &Lesson) {
        if let Some(table) = self.find_mut(service).and_then(|found| found.memory.as_cache_mut()) {
            table.hear(lesson);
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
        let persistence =
            Some(Persistence { timeout: crate::units::Span::MAX, ipv4_prefix_len: 32, ipv6_prefix_len: 128 });
        let mut old =
            Memories::new(1, [(id(0), Scheduler::Rr, persistence), (id(1), Scheduler::Rr, None)].into_iter());
        let (client, now) = ([192, 0, 2, 1].into(), Tick::default());
        old.of(0, id(0)).unwrap().clients.as_mut().unwrap().remember(client, ServerId::FIRST, now);
        let mut new = Memories::new(
            2,
            [(id(7), Scheduler::Wrr, None), (id(0), Scheduler::Wrr, persistence)].into_iter(),
        );
        new.inherit(&mut old);
        assert!(new.of(0, id(0)).is_none(), "another service stands there now");
        let kept = new.of(1, id(0)).unwrap();
        assert!(matches!(kept.memory, Memory::Wrr(_)), "the scheduler is another");
        assert_eq!(kept.clients.as_ref().unwrap().server_of(client, now), Some(ServerId::FIRST));
    }
}
