//! All services whose servers are watched: whom to ask next, and who lives.

use super::server::{Server, Suspicion, Tally, ms};
use super::turn::Turn;
use super::{Change, Group, LastAnswer, Outcome, Reason, ServerView, ServiceView, Subject, Verdict};
use crate::config::services::{Check, Health};
use fastrand::Rng;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What an answer belongs to. Each server has its own, and a new one when it is another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// Where servers are, by their names.
type Places = HashMap<Arc<str>, usize>;

/// A check that is to be made now.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// For [`Board::answer`].
    pub ticket: Ticket,
    /// Whom to ask.
    pub subject: Subject,
    /// What.
    pub check: Check,
    /// An answer counts for so long.
    pub timeout: Duration,
}

/// All services whose servers are watched.
#[derive(Debug)]
pub struct Board {
    services: Vec<Service>,
    /// Where each server is, by the names of its service and its own.
    places: HashMap<Arc<str>, (usize, Places)>,
    rng: Rng,
    tickets: u64,
    has_news: bool,
}

#[derive(Debug)]
struct Service {
    name: Arc<str>,
    health: Health,
    servers: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    subject: Subject,
    server: Server,
    turn: Turn,
}

impl Board {
    /// Without services; `seed` shifts the checks against each other.
    pub fn new(seed: u64) -> Self {
        Self {
            services: Vec::new(),
            places: HashMap::new(),
            rng: Rng::with_seed(seed),
            tickets: 0,
            has_news: false,
        }
    }

    /// Watches these and no others. What is known of a server stays where service and server have kept their names, and
    /// the server its address, port and device; answers to another question than the one asked now do not count.
    pub fn set(&mut self, groups: Vec<Group>, now_ms: u64) {
        let mut old = core::mem::take(&mut self.services);
        for Group { service, health, servers } in groups {
            let (asked, mut known) = old
                .iter()
                .position(|old| old.name == service)
                .map(|place| old.swap_remove(place))
                .map_or((None, Vec::new()), |old| (Some(old.health), old.servers));
            let is_same = asked.is_some_and(|asked| asked.check == health.check);
            let entries = servers.into_iter().map(|subject| {
                let place = known.iter().position(|entry| entry.subject == subject);
                self.entry(subject, &health, place.map(|place| known.swap_remove(place)), is_same, now_ms)
            });
            let servers = entries.collect();
            self.services.push(Service { name: service, health, servers });
        }
        let services = self.services.iter().enumerate();
        let places = services.map(|(place, service)| {
            let servers = service.servers.iter().enumerate();
            let servers = servers.map(|(place, entry)| (Arc::clone(&entry.subject.server), place));
            (Arc::clone(&service.name), (place, servers.collect()))
        });
        self.places = places.collect();
        self.has_news = true;
    }

    /// The checks that are due, those that have waited longest first, and no more than `room`. Each is to be answered.
    pub fn due(&mut self, now_ms: u64, room: usize) -> Vec<Job> {
        let mut due = Vec::new();
        for service in &mut self.services {
            let Some(check) = &service.health.check else { continue };
            for entry in service.servers.iter_mut().filter(|entry| entry.subject.address.is_some()) {
                if let Some(due_ms) = entry.turn.due_ms().filter(|due_ms| *due_ms <= now_ms) {
                    due.push((due_ms, entry, check, service.health.timeout));
                }
            }
        }
        due.sort_by_key(|(due_ms, ..)| *due_ms);
        due.truncate(room);
        let jobs = due.into_iter().map(|(_, entry, check, timeout)| {
            entry.turn.ask(now_ms);
            Job { ticket: entry.ticket, subject: entry.subject.clone(), check: check.clone(), timeout }
        });
        jobs.collect()
    }

    /// Takes in what came of a check. One of a server that is not watched any more is nothing.
    pub fn answer(&mut self, ticket: Ticket, outcome: Outcome, now_ms: u64) {
        for Service { health, servers, .. } in &mut self.services {
            if let Some(entry) = servers.iter_mut().find(|entry| entry.ticket == ticket) {
                let took_ms = entry.turn.answered(now_ms, ms(health.interval), &mut self.rng);
                self.has_news |= entry.server.answer(health, outcome, took_ms, now_ms);
                return;
            }
        }
    }

    /// Takes in what has become of a server's connections.
    pub fn traffic(&mut self, service: &str, server: &str, tally: Tally, now_ms: u64) {
        let Some((place, servers)) = self.places.get(service) else { return };
        let Service { health, servers: entries, .. } = &mut self.services[*place];
        if let Some(entry) = servers.get(server).map(|place| &mut entries[*place]) {
            match entry.server.traffic(health, tally, now_ms) {
                Suspicion::None => {}
                Suspicion::Doubt => entry.turn.hasten_for_doubt(now_ms),
                Suspicion::Death => self.has_news = true,
            }
        }
    }

    /// Looks at the time: who has been kept out for long enough comes back.
    pub fn look(&mut self, now_ms: u64) {
        for Service { health, servers, .. } in &mut self.services {
            for entry in servers {
                self.has_news |= entry.server.look(health, now_ms);
            }
        }
    }

    /// When something is due next, if nothing happens.
    pub fn next_ms(&self) -> Option<u64> {
        let times = self.services.iter().flat_map(|service| {
            service.servers.iter().flat_map(|entry| {
                let is_asked = service.health.check.is_some() && entry.subject.address.is_some();
                let due_ms = entry.turn.due_ms().filter(|_| is_asked);
                due_ms.into_iter().chain(entry.server.rises_ms(&service.health))
            })
        });
        times.min()
    }

    /// The verdicts about all servers, if one has changed since they were last told.
    pub fn news(&mut self) -> Option<Vec<Verdict>> {
        core::mem::take(&mut self.has_news).then(|| self.verdicts())
    }

    /// The verdicts about all servers.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let verdicts = self.services.iter().flat_map(|service| {
            let panic = service.panic();
            service.servers.iter().map(move |Entry { subject, server, .. }| Verdict {
                service: Arc::clone(&service.name),
                server: Arc::clone(&subject.server),
                alive: server.is_alive() || panic.is_some(),
                reason: match &panic {
                    Some(panic) if !server.is_alive() => panic.clone(),
                    _ => server.reason().clone(),
                },
            })
        });
        verdicts.collect()
    }

    /// What is known of all servers.
    pub fn view(&self, now_ms: u64) -> Vec<ServiceView> {
        self.services.iter().map(|service| service.view(now_ms)).collect()
    }

    /// A server that is watched from now on, or as before if it was `known`, and the question is the same.
    fn entry(
        &mut self,
        subject: Subject,
        health: &Health,
        known: Option<Entry>,
        is_same: bool,
        now_ms: u64,
    ) -> Entry {
        let interval_ms = ms(health.interval);
        let is_asked = health.check.as_ref().is_some_and(|check| subject.can_be_asked(check));
        let server = match known {
            Some(mut entry) if is_same => {
                entry.turn.hasten(now_ms, interval_ms);
                return entry;
            }
            Some(Entry { mut server, .. }) => {
                server.ask_anew(is_asked);
                server
            }
            None => Server::new(is_asked, now_ms),
        };
        self.tickets += 1;
        let turn = Turn::first(now_ms, interval_ms, &mut self.rng);
        Entry { ticket: Ticket(self.tickets), subject, server, turn }
    }
}

impl Service {
    fn alive(&self) -> usize {
        self.servers.iter().filter(|entry| entry.server.is_alive()).count()
    }

    /// Why all count as alive, if too few are.
    fn panic(&self) -> Option<Reason> {
        let (alive, servers) = (self.alive(), self.servers.len());
        let too_few = alive * 100 < servers * usize::from(self.health.panic_threshold_percent);
        too_few.then_some(Reason::Panic { alive, servers })
    }

    fn view(&self, now_ms: u64) -> ServiceView {
        let (panic, is_asked) = (self.panic(), self.health.check.is_some());
        let servers = self.servers.iter().map(|entry| {
            let mut view = entry.view(is_asked, now_ms);
            if let Some(panic) = panic.as_ref().filter(|_| !view.alive) {
                view.reason = format!("{panic}; {}", view.reason);
            }
            view
        });
        ServiceView {
            service: self.name.to_string(),
            alive: self.alive(),
            panic: panic.is_some(),
            servers: servers.collect(),
        }
    }
}

impl Entry {
    /// Why it cannot be checked, as the last try has shown, or as is known without one.
    fn unchecked(&self) -> Option<String> {
        match self.server.last() {
            Some((.., Outcome::Unable(why))) => Some(why.clone()),
            Some(_) => None,
            None => self.subject.way().err().map(str::to_owned),
        }
    }

    /// `is_asked`: its service's health is known by a check.
    fn view(&self, is_asked: bool, now_ms: u64) -> ServerView {
        let Self { subject, server, .. } = self;
        let ago = |at_ms: u64| now_ms.saturating_sub(at_ms);
        let counts = server.counts();
        ServerView {
            server: subject.server.to_string(),
            address: subject.address,
            alive: server.is_alive(),
            for_ms: ago(server.since_ms()),
            reason: server.reason().to_string(),
            unchecked: self.unchecked().filter(|_| is_asked),
            held_for_ms: server.held_until_ms().map(|until_ms| until_ms.saturating_sub(now_ms)),
            last: server.last().map(|(at_ms, took_ms, outcome)| LastAnswer {
                ago_ms: ago(*at_ms),
                took_ms: *took_ms,
                outcome: match outcome {
                    Outcome::Good => "good".to_owned(),
                    Outcome::Bad(failure) => failure.to_string(),
                    Outcome::Unable(why) => why.clone(),
                },
            }),
            good: counts.good,
            bad: counts.bad,
            unable: counts.unable,
            falls: counts.falls,
            history: server
                .history()
                .map(|(at_ms, alive, reason)| Change {
                    ago_ms: ago(*at_ms),
                    alive: *alive,
                    reason: reason.to_string(),
                })
                .collect(),
        }
    }
}
