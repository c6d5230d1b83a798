//! IPVS's schedulers as they are described, written down as simply as can be: a connection is active until it ends, and
//! inactive from then on.

use std::collections::BTreeMap;

use crate::director::{SERVERS, Service, Way};

#[derive(Clone, Copy, Debug, Default)]
struct Server {
    /// The place in which it was added.
    number: usize,
    weight: u32,
    active: u32,
    inactive: u32,
}

/// A service and what its servers carry.
pub(crate) struct Model {
    scheduler: &'static str,
    /// In the order in which they are asked: the newest first.
    servers: [Server; SERVERS],
    upper_threshold: u32,
    /// Bits of a client's address that count, and who went where.
    persistence: Option<(u32, BTreeMap<u32, usize>)>,
    /// `rr`: the place behind that of the last. `wrr`: connections so far.
    next: usize,
    /// `lblcr`: the places of those that have served a site, the newest first.
    sites: BTreeMap<usize, Vec<usize>>,
    /// A connection is never active: nobody says when it is over.
    of_datagrams: bool,
}

impl Model {
    /// `None`: the scheduler is not described here.
    pub(crate) fn new(service: &Service) -> Option<Self> {
        let mut words = service.scheduler.split(' ');
        let scheduler = words.next()?;
        if !["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "lblcr"].contains(&scheduler) {
            return None;
        }
        let kept = words.next() == Some("-p");
        let mask = service
            .scheduler
            .split_once("-M ")
            .map_or(u32::MAX, |(_, mask)| mask.parse::<std::net::Ipv4Addr>().expect("a mask").to_bits());
        let server = |place: usize| {
            let number = SERVERS - 1 - place;
            Server { number, weight: service.weights[number], ..Server::default() }
        };
        Some(Self {
            scheduler,
            servers: std::array::from_fn(server),
            upper_threshold: service.upper_threshold,
            persistence: kept.then(|| (mask, BTreeMap::new())),
            next: 0,
            sites: BTreeMap::new(),
            of_datagrams: service.way == Way::Udp,
        })
    }

    /// The server of a new connection of the client with this address, to this site.
    pub(crate) fn open(&mut self, client: u32, site: usize) -> Option<usize> {
        let stays = self.persistence.as_ref().and_then(|(mask, went)| went.get(&(client & mask)).copied());
        let place = match stays {
            Some(place) => place,
            None if self.scheduler == "lblcr" => self.schedule_by_site(site)?,
            None => self.schedule()?,
        };
        if let Some((mask, went)) = &mut self.persistence {
            went.insert(client & *mask, place);
        }
        let server = &mut self.servers[place];
        *(if self.of_datagrams { &mut server.inactive } else { &mut server.active }) += 1;
        Some(server.number)
    }

    /// A connection of this server ends.
    pub(crate) fn close(&mut self, number: usize) {
        let server = &mut self.servers[SERVERS - 1 - number];
        if self.of_datagrams {
            return;
        }
        server.active -= 1;
        server.inactive += 1;
    }

    /// Active and inactive connections of each server, as they were added.
    pub(crate) fn counts(&self) -> Vec<(u32, u32)> {
        self.servers.iter().rev().map(|server| (server.active, server.inactive)).collect()
    }

    fn is_usable(&self, place: usize) -> bool {
        let server = &self.servers[place];
        let is_full = self.upper_threshold > 0 && server.active + server.inactive >= self.upper_threshold;
        server.weight > 0 && !is_full
    }

    fn schedule(&mut self) -> Option<usize> {
        let of = |place: usize| self.servers[place];
        let overhead = |place| f64::from(of(place).active * 256 + of(place).inactive);
        let delay = |place| f64::from(of(place).active + 1) / f64::from(of(place).weight);
        let usable = || (0..SERVERS).filter(|place| self.is_usable(*place));
        let least = |cost: &dyn Fn(usize) -> f64| usable().min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        // Of equals the first: `max_by_key` has the last.
        let heaviest = |fits: &dyn Fn(usize) -> bool| {
            usable().filter(|place| fits(*place)).rev().max_by_key(|place| of(*place).weight)
        };
        match self.scheduler {
            "rr" => {
                let found = (self.next..SERVERS).chain(0..self.next).find(|place| self.is_usable(*place))?;
                self.next = found + 1;
                Some(found)
            }
            "wrr" => {
                let turns = self.turns();
                self.next += 1;
                turns.get((self.next - 1) % turns.len().max(1)).copied()
            }
            "lc" => least(&overhead),
            "wlc" => least(&|place| overhead(place) / f64::from(of(place).weight)),
            "sed" => least(&delay),
            "nq" => usable().find(|place| of(*place).active == 0).or_else(|| least(&delay)),
            "fo" => heaviest(&|_| true),
            _ => heaviest(&|place| of(place).active <= of(place).weight),
        }
    }

    /// `lblcr`: the least loaded of those that have served the site, unless that has more active connections than its
    /// weight and another one less than half of its own; else the least loaded of all, which serves it from then on.
    fn schedule_by_site(&mut self, site: usize) -> Option<usize> {
        let of = |place: usize| self.servers[place];
        let load = |place: usize| {
            f64::from(of(place).active * 256 + of(place).inactive) / f64::from(of(place).weight)
        };
        let usable = |places: Vec<usize>| {
            let usable = places.into_iter().filter(|place| self.is_usable(*place));
            usable.min_by(|a, b| load(*a).total_cmp(&load(*b)))
        };
        let half_idle = (0..SERVERS).any(|place| of(place).active * 2 < of(place).weight);
        let bears = |place: &usize| of(*place).active <= of(*place).weight || !half_idle;
        let known = self.sites.get(&site).cloned().unwrap_or_default();
        if let Some(place) = usable(known).filter(bears) {
            return Some(place);
        }
        let least = usable((0..SERVERS).collect())?;
        let known = self.sites.entry(site).or_default();
        if !known.contains(&least) {
            known.insert(0, least);
        }
        Some(least)
    }

    /// A round of `wrr`: from the greatest weight down, in steps of the greatest divisor of all, those as heavy.
    fn turns(&self) -> Vec<usize> {
        let weights = || self.servers.iter().map(|server| server.weight).filter(|weight| *weight > 0);
        let divides_all = |step: &u32| weights().all(|weight| weight % step == 0);
        let most = weights().max().unwrap_or_default();
        let step = (1..=most).rev().find(divides_all).unwrap_or(1);
        let levels = (1..=most / step).rev().map(|level| level * step);
        levels
            .flat_map(|level| (0..SERVERS).filter(move |place| self.servers[*place].weight >= level))
            .collect()
    }
}
