//! Which server each client went to last, for services whose clients stay with a server.
//!
//! A client's connections may come to several workers: they tell each other. Of two servers that a client was given at
//! one moment, at two workers, all keep the same.
//!
//! All memory is taken when the table is made. Where it is full, the client that has been away longest of the few that
//! share a place is forgotten.

use crate::config::service::Persistence;
use crate::hash::ipvs::fold;
use crate::hash::siphash;
use crate::lesson::Visit;
use crate::units::{ServerId, Tick};
use core::net::IpAddr;

/// Clients that share a place.
const CLIENTS_A_PLACE: usize = 4;
/// Any.
const KEY: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

/// Within a timeout the other workers are told so often that a client has come again: for them it ends that part early.
const TELLINGS: u32 = 16;

#[derive(Clone, Copy, Debug)]
struct Client {
    visit: Visit,
    /// When all workers knew last that it was here.
    told: Tick,
    /// It has come to this worker, and not to another one alone.
    is_own: bool,
}

/// The clients of one service at one worker.
#[derive(Debug)]
pub struct Clients {
    persistence: Persistence,
    slots: Vec<Option<Client>>,
    /// What the other workers do not know yet.
    news: Option<Visit>,
}

impl Clients {
    /// None yet.
    pub fn new(persistence: Persistence) -> Self {
        Self { persistence, slots: vec![None; slots(persistence)], news: None }
    }

    /// Bytes that one takes.
    pub const fn bytes(persistence: Persistence) -> u64 {
        (slots(persistence) * size_of::<Option<Client>>()) as u64
    }

    /// The server that the client went to last, if that is not too long ago.
    #[inline]
    pub fn server_of(&self, client: IpAddr, now: Tick) -> Option<ServerId> {
        let network = self.network(client);
        let visit = self.known(network)?.visit;
        (!now.reached(self.end(visit))).then_some(visit.server)
    }

    /// The client goes to this server now.
    #[inline]
    pub fn remember(&mut self, client: IpAddr, server: ServerId, now: Tick) {
        let visit = Visit { network: self.network(client), server, at: now };
        let part = self.persistence.timeout.count() / TELLINGS;
        let known = self.known(visit.network).filter(|known| known.visit.server == server);
        let told = known.map(|known| known.told).filter(|told| now.since(*told).count() <= part);
        if told.is_none() {
            self.news = Some(visit);
        }
        self.put(Client { visit, told: told.unwrap_or(now), is_own: true });
    }

    /// What the other workers are to know of the last visit.
    #[inline]
    pub fn take_news(&mut self) -> Option<Visit> {
        self.news.take()
    }

    /// Takes in a visit at another worker.
    pub fn hear(&mut self, visit: &Visit) {
        let known = self.known(visit.network);
        let is_late = known.is_some_and(|Client { visit: known, .. }| {
            let is_same_moment = known.at == visit.at;
            !visit.at.reached(known.at) || is_same_moment && known.server < visit.server
        });
        if !is_late {
            let is_own = known.is_some_and(|known| known.is_own && known.visit.server == visit.server);
            self.put(Client { visit: *visit, told: visit.at, is_own });
        }
    }

    /// Puts it in its own slot, or in that of whom has been away longest.
    fn put(&mut self, client: Client) {
        let Visit { network, at: now, .. } = client.visit;
        let (timeout, place) = (self.persistence.timeout, self.place(network));
        let slots = &mut self.slots[place..][..CLIENTS_A_PLACE];
        let left = |slot: &Option<Client>| match slot {
            Some(known) if known.visit.network == network => None,
            Some(known) => Some(now.until(known.visit.at.after(timeout)).count()),
            None => Some(0),
        };
        if let Some(slot) = slots.iter_mut().min_by_key(|slot| left(slot)) {
            *slot = Some(client);
        }
    }

    /// How many clients there is room for: what [`Clients::view`] counts to.
    pub const fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The server of the client in this place, if one is remembered there that has come to this worker.
    pub fn view(&self, place: u32, now: Tick) -> Option<ServerId> {
        let client = self.slots.get(place as usize)?.as_ref().filter(|client| client.is_own)?;
        (!now.reached(self.end(client.visit))).then_some(client.visit.server)
    }

    /// Where the slots of its place begin.
    fn place(&self, network: IpAddr) -> usize {
        let places = self.slots.len() / CLIENTS_A_PLACE;
        siphash::word(fold(network), KEY) as usize % places * CLIENTS_A_PLACE
    }

    #[inline]
    fn known(&self, network: IpAddr) -> Option<&Client> {
        let slots = &self.slots[self.place(network)..][..CLIENTS_A_PLACE];
        slots.iter().flatten().find(|known| known.visit.network == network)
    }

    fn end(&self, visit: Visit) -> Tick {
        visit.at.after(self.persistence.timeout)
    }

    fn network(&self, client: IpAddr) -> IpAddr {
        match client {
            IpAddr::V4(client) => {
                let rest = u32::MAX.checked_shr(self.persistence.ipv4_prefix_len.into()).unwrap_or(0);
                IpAddr::V4((client.to_bits() & !rest).into())
            }
            IpAddr::V6(client) => {
                let rest = u128::MAX.checked_shr(self.persistence.ipv6_prefix_len.into()).unwrap_or(0);
                IpAddr::V6((client.to_bits() & !rest).into())
            }
        }
    }
}

/// As many as are wanted, in whole places.
const fn slots(persistence: Persistence) -> usize {
    let wanted = if persistence.clients_max == 0 { 1 } else { persistence.clients_max };
    (wanted as usize).next_multiple_of(CLIENTS_A_PLACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    const CLIENTS_MAX: u32 = 1022;

    fn clients() -> Clients {
        Clients::new(Persistence {
            timeout: Span::from_s(300).unwrap(),
            ipv4_prefix_len: 24,
            ipv6_prefix_len: 64,
            clients_max: CLIENTS_MAX,
        })
    }

    fn server(index: usize) -> ServerId {
        ServerId::new(index).unwrap()
    }

    #[test]
    fn a_network_stays_with_its_server_for_a_while() {
        let mut clients = clients();
        let start = Tick::from_ms(1000);
        let client = |text: &str| text.parse::<IpAddr>().unwrap();
        clients.remember(client("192.0.2.1"), server(3), start);
        clients.remember(client("2001:db8::1"), server(4), start);
        let at = |s: u64| Tick::from_ms(1000 + s * 1000);
        assert_eq!(clients.server_of(client("192.0.2.200"), at(299)), Some(server(3)));
        assert_eq!(clients.server_of(client("192.0.3.1"), at(299)), None);
        assert_eq!(clients.server_of(client("2001:db8::ffff"), at(299)), Some(server(4)));
        assert_eq!(clients.server_of(client("192.0.2.1"), at(300)), None);
        clients.remember(client("192.0.2.1"), server(5), at(299));
        assert_eq!(
            clients.server_of(client("192.0.2.1"), at(598)),
            Some(server(5)),
            "from its last connection on"
        );
    }

    #[test]
    fn workers_tell_each_other_where_a_client_is() {
        let (mut one, mut other) = (clients(), clients());
        let client = |text: &str| text.parse::<IpAddr>().unwrap();
        let at = |s: u64| Tick::from_ms(1000 + s * 1000);
        one.remember(client("192.0.2.1"), server(3), at(0));
        other.hear(&one.take_news().unwrap());
        assert_eq!(other.server_of(client("192.0.2.7"), at(299)), Some(server(3)));
        assert_eq!(other.server_of(client("192.0.2.7"), at(300)), None);
        let owners = |of: &Clients| (0..1 << 16).filter(|place| of.view(*place, at(9)).is_some()).count();
        assert_eq!((owners(&one), owners(&other)), (1, 0), "it is counted where it has come");
        other.remember(client("192.0.2.7"), server(3), at(10));
        assert_eq!(other.take_news(), None, "they know it well enough");
        other.remember(client("192.0.2.7"), server(3), at(19));
        one.hear(&other.take_news().unwrap());
        assert_eq!(one.server_of(client("192.0.2.1"), at(318)), Some(server(3)));
        one.remember(client("192.0.2.1"), server(4), at(19));
        assert_eq!(one.take_news().map(|news| news.server), Some(server(4)), "another server is news");
    }

    #[test]
    fn of_two_servers_at_one_moment_all_workers_keep_the_same() {
        let workers = [(0, 5), (1, 4), (2, 5)].map(|(worker, given)| {
            let mut clients = clients();
            clients.remember([192, 0, 2, 1].into(), server(given), Tick::from_ms(1000));
            (worker, clients)
        });
        let news =
            workers.iter().map(|(worker, clients)| (*worker, clients.news.unwrap())).collect::<Vec<_>>();
        for (worker, mut clients) in workers {
            news.iter().filter(|(of, _)| *of != worker).for_each(|(_, visit)| clients.hear(visit));
            assert_eq!(clients.server_of([192, 0, 2, 1].into(), Tick::from_ms(1000)), Some(server(4)));
        }
    }

    #[test]
    fn a_full_table_remembers_those_that_came_last() {
        let mut clients = clients();
        let client = |i: u32| IpAddr::V4((i << 8).into());
        assert_eq!(clients.capacity(), 1024);
        for i in 0..4 * CLIENTS_MAX {
            let now = Tick::from_ms(u64::from(i / 16));
            clients.remember(client(i), server(1), now);
            assert_eq!(clients.server_of(client(i), now), Some(server(1)));
        }
        assert!(clients.slots.iter().flatten().count() > 1024 / 2);
    }
}
