//! Which server a frame comes from or goes to, by its MAC address: so a node learns to which server another one has given
//! a flow, and answers find the server that has opened theirs.

use super::Router;
use super::route::Way;
use super::service::Services;
use crate::config::service::{Place, ServerState};
use crate::key::{Address, Family};
use crate::units::{ServerId, ServiceId};
use crate::wire::MacAddr;
use hashbrown::HashMap;
use std::sync::Arc;

/// Where the servers are, as far as their neighbours are known.
#[derive(Debug, Default)]
pub(super) struct Stations {
    /// The server of a service at a MAC address; `None`: it need not be one alone.
    own: HashMap<(ServiceId, MacAddr), Option<ServerId>>,
    /// The first server at a MAC address or behind it, whichever service's, that is not drained.
    first: HashMap<MacAddr, ServerId>,
}

impl Stations {
    fn compile(router: &Router, services: &Services) -> Self {
        let (mut own, mut first) = (HashMap::new(), HashMap::new());
        for service in services.list() {
            let servers = service.servers().list().iter().map(|server| server.id);
            let places = servers.filter_map(|id| Some((id, services.target(id)?.place)));
            for (id, (mac, is_its)) in
                places.flat_map(|(id, at)| router.stations_of(at).map(move |to| (id, to)))
            {
                let only = own.entry((service.id(), mac)).or_insert(is_its.then_some(id));
                *only = only.filter(|only| *only == id && is_its);
            }
        }
        for server in services.servers().iter().filter(|server| server.state != ServerState::Drained) {
            for (mac, _) in router.stations_of(server.place) {
                first.entry(mac).or_insert(server.id);
            }
        }
        Self { own, first }
    }
}

impl Router {
    /// The same, where services, routes or neighbours are others now.
    pub(super) fn with_stations(mut self) -> Self {
        if let Some(services) = &self.services {
            self.stations = Arc::new(Stations::compile(&self, services));
        }
        self
    }

    /// The server of a service that has this MAC address, if no other one can be meant: several may be behind a router.
    pub fn server_of(&self, service: ServiceId, mac: MacAddr) -> Option<ServerId> {
        *self.stations.own.get(&(service, mac))?
    }

    /// A server to which frames to this MAC address go, if one is not drained.
    pub fn server_at(&self, mac: MacAddr) -> Option<ServerId> {
        self.stations.first.get(&mac).copied()
    }

    /// To which MAC addresses frames for this place go, and whether it alone has them.
    fn stations_of(&self, place: Place) -> impl Iterator<Item = (MacAddr, bool)> {
        let (mac, address) = match place {
            Place::Mac(_, mac) => (Some((mac, true)), None),
            Place::Address(address) => (None, Some(address)),
        };
        let ways =
            address.map(|address| (address, self.fib.ways(Family::of(address), Address::from_ip(address))));
        let by_way = move |(address, way): (_, &Way)| match *way {
            Way::OnLink(interface) => Some((self.adjacencies.mac_of(interface, address)?, true)),
            Way::Gateway(hop) => Some((self.adjacencies.hop(hop)?.destination, false)),
            _ => None,
        };
        let ways = ways.into_iter().flat_map(|(address, ways)| ways.iter().map(move |way| (address, way)));
        mac.into_iter().chain(ways.filter_map(by_way))
    }
}
