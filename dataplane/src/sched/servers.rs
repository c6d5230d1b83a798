//! What a scheduler knows of servers.

use crate::tally::Counts;
use crate::units::{SERVERS_MAX, ServerId};

/// A server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Which.
    pub id: ServerId,
    /// Its share of new connections beside the others'; 0: it gets none, and keeps those that it has.
    pub weight: u16,
    /// What a connection adds to its load.
    pub cost: u16,
    /// The load that it has reported.
    pub reported_load: u32,
}

impl Server {
    /// A server that is compared by weight and connections alone.
    pub const fn new(id: ServerId, weight: u16) -> Self {
        Self { id, weight, cost: 1, reported_load: 0 }
    }
}

/// What a server carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections that are established or about to be.
    pub active: u32,
    /// Connections that are over and not yet forgotten, and flows of what has no connections.
    pub inactive: u32,
    /// The latter of those.
    pub datagrams: u32,
    /// Its upper threshold was reached, and its lower one not since; or it is dead. It gets no new connections.
    pub overloaded: bool,
}

impl Load {
    /// All connections in one number.
    #[inline]
    pub const fn overhead(self) -> u64 {
        let Self { active, inactive, datagrams, .. } = self;
        Counts { active, inactive, datagrams }.overhead()
    }
}

/// Where the loads stand.
pub trait Loads {
    /// What a server carries.
    fn of(&self, server: ServerId) -> Load;

    /// [`Load::overhead`], or the highest number that there is if the server gets no new connections.
    #[inline]
    fn overhead(&self, server: ServerId) -> u64 {
        let load = self.of(server);
        if load.overloaded { u64::MAX } else { load.overhead() }
    }
}

impl<F: Fn(ServerId) -> Load> Loads for F {
    #[inline]
    fn of(&self, server: ServerId) -> Load {
        self(server)
    }
}

/// A service's servers in the order of its list.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    list: Vec<Server>,
    /// Where in the list a server stands, by its number; [`ABSENT`] for those of other services.
    places: Vec<u16>,
    /// Those of the list that have a weight, in its order.
    weighty: Vec<ServerId>,
    weight_max: u16,
    weight_gcd: u16,
}

const ABSENT: u16 = u16::MAX;
const _: () = assert!(SERVERS_MAX <= ABSENT as usize);

impl Servers {
    /// In this order. Of a server that stands there twice only the first is taken.
    pub fn new(servers: impl IntoIterator<Item = Server>) -> Self {
        let mut list: Vec<Server> = Vec::new();
        let mut places = Vec::new();
        for server in servers {
            if places.len() <= server.id.index() {
                places.resize(server.id.index() + 1, ABSENT);
            }
            if places[server.id.index()] == ABSENT {
                #[expect(clippy::cast_possible_truncation, reason = "there are SERVERS_MAX numbers at most")]
                let place = list.len() as u16;
                places[server.id.index()] = place;
                list.push(server);
            }
        }
        let weights = || list.iter().map(|server| server.weight);
        Self {
            weight_max: weights().max().unwrap_or(0),
            weight_gcd: weights().fold(0, greatest_common_divisor),
            weighty: list.iter().filter(|server| server.weight > 0).map(|server| server.id).collect(),
            list,
            places,
        }
    }

    /// All of them.
    #[inline]
    pub fn list(&self) -> &[Server] {
        &self.list
    }

    /// Those of them that have a weight, in the same order.
    #[inline]
    pub fn weighty(&self) -> &[ServerId] {
        &self.weighty
    }

    /// Where in the list a server stands; `None`: it is not of this service.
    #[inline]
    pub fn place(&self, id: ServerId) -> Option<usize> {
        self.places.get(id.index()).copied().filter(|place| *place != ABSENT).map(usize::from)
    }

    /// The greatest weight; 0 without servers.
    #[inline]
    pub const fn weight_max(&self) -> u16 {
        self.weight_max
    }

    /// The greatest number that all weights are multiples of; 0 if all are 0.
    #[inline]
    pub const fn weight_gcd(&self) -> u16 {
        self.weight_gcd
    }

    /// Whether all that have a weight have the same one.
    #[inline]
    pub const fn weigh_alike(&self) -> bool {
        self.weight_gcd == self.weight_max
    }

    /// A server, if it is of this service and may get new connections.
    #[inline]
    pub fn usable(&self, id: ServerId, loads: &impl Loads) -> Option<(Server, Load)> {
        usable(*self.list.get(self.place(id)?)?, loads)
    }

    /// Those that may get new connections, and what they carry, in the order of the list.
    #[inline]
    pub fn all_usable(&self, loads: &impl Loads) -> impl Iterator<Item = (Server, Load)> {
        self.list.iter().filter_map(|server| usable(*server, loads))
    }

    /// The same from one place on.
    #[inline]
    pub fn usable_from(&self, place: usize, loads: &impl Loads) -> impl Iterator<Item = (Server, Load)> {
        self.list.iter().skip(place).filter_map(|server| usable(*server, loads))
    }
}

#[inline]
fn usable(server: Server, loads: &impl Loads) -> Option<(Server, Load)> {
    let load = loads.of(server.id);
    (server.weight > 0 && !load.overloaded).then_some((server, load))
}

const fn greatest_common_divisor(mut a: u16, mut b: u16) -> u16 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
pub(super) mod fixtures {
    use super::*;

    /// The server with this number.
    pub(crate) fn id(index: usize) -> ServerId {
        ServerId::new(index).unwrap()
    }

    /// Servers 0, 1, 2 … with these weights, in this order.
    pub(crate) fn servers(weights: &[u16]) -> Servers {
        Servers::new(weights.iter().enumerate().map(|(i, weight)| Server::new(id(i), *weight)))
    }

    /// Loads of active connections alone; `None`: overloaded.
    pub(crate) fn loads(active: &[Option<u32>]) -> impl Loads + '_ {
        |id: ServerId| match active[id.index()] {
            Some(active) => Load { active, ..Load::default() },
            None => Load { overloaded: true, ..Load::default() },
        }
    }

    /// Nobody carries anything.
    pub(crate) fn idle(_: ServerId) -> Load {
        Load::default()
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::{id, loads, servers};
    use super::*;

    #[test]
    fn weights_have_a_maximum_and_a_common_divisor() {
        let some = servers(&[4, 0, 6]);
        assert_eq!((some.weight_max(), some.weight_gcd()), (6, 2));
        assert_eq!((servers(&[]).weight_max(), servers(&[0, 0]).weight_gcd()), (0, 0));
    }

    #[test]
    fn the_quiesced_and_the_overloaded_are_not_usable() {
        let some = servers(&[1, 0, 1]);
        let loads = loads(&[Some(0), Some(0), None]);
        let usable: Vec<_> = some.all_usable(&loads).map(|(server, _)| server.id).collect();
        assert_eq!(usable, [id(0)]);
        assert!(some.usable(id(0), &loads).is_some() && some.usable(id(7), &loads).is_none());
    }

    #[test]
    fn a_server_stands_in_a_list_once() {
        let twice = [id(3), id(1), id(3)].map(|id| Server::new(id, 1));
        let servers = Servers::new(twice);
        assert_eq!(servers.list().len(), 2);
        assert_eq!(
            (servers.place(id(3)), servers.place(id(1)), servers.place(id(0))),
            (Some(0), Some(1), None)
        );
    }
}
