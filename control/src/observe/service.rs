//! Services and pools, as the API speaks of them.

use crate::health::ServerView;
pub use crate::service::{Rates as TrafficRates, ServiceCounts as UnservedCounts};
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use weir_dataplane::sched::Load;
use weir_dataplane::sched::least::load_in_256ths;

/// Services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Services {
    /// Connections there is room for, of services and all others.
    pub flows_max: u64,
    /// Those that were asked for, in the order of the configuration.
    pub services: Vec<ServiceRow>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Its name.
    pub service: String,
    /// Which connections are its.
    pub selector: SelectorRow,
    /// By `ipvsadm`'s word.
    pub scheduler: String,
    /// `sh-port`, `sh-fallback`, `mh-port`, `mh-fallback`.
    pub scheduler_flags: Vec<String>,
    /// Whether, and for how long, a client stays with a server.
    pub persistence: Option<PersistenceRow>,
    /// What becomes of a new connection that no server can take.
    pub fallback: String,
    /// Whether so few servers live that all are used.
    pub panic: bool,
    /// In the order of the configuration; behind them those that operators have added.
    pub servers: Vec<ServerRow>,
    /// Servers that it has lost and that still carry connections.
    pub retired: Vec<ServerRow>,
    /// Of all its servers, those among them that are gone.
    pub counts: TrafficCounts,
    /// Of all its servers, each second.
    pub rates: TrafficRates,
    /// New connections that no server could take.
    pub unserved: UnservedCounts,
}

/// Which connections are a service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SelectorRow {
    /// Those with this mark.
    Mark {
        /// The mark.
        mark: u32,
        /// Whether its servers have IPv6 addresses.
        ipv6: bool,
    },
    /// Those to an address.
    Address {
        /// Number of the protocol.
        protocol: u8,
        /// Where to.
        address: IpAddr,
        /// Which port; 0: any.
        port: u16,
    },
}

/// How long a client stays with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistenceRow {
    /// So long after its last new connection.
    pub timeout_s: u64,
    /// IPv4 addresses that agree in so many bits are one client.
    pub ipv4_prefix_len: u8,
    /// The same of IPv6.
    pub ipv6_prefix_len: u8,
}

/// A server of a service, or a node of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerRow {
    /// Its name.
    pub server: String,
    /// Its number, which it keeps over reloads.
    pub number: usize,
    /// Its address; 0.0.0.0 of what has none.
    pub address: IpAddr,
    /// Its MAC address, where the configuration gives one instead of an IP address.
    pub mac: Option<String>,
    /// Its port; 0: that of the service.
    pub port: u16,
    /// How packets get there.
    pub method: String,
    /// `up`, `draining`, `dead` or `drained`.
    pub state: String,
    /// Whether its checks find it alive.
    pub alive: bool,
    /// What is known of that, if it is watched.
    pub health: Option<ServerView>,
    /// Its share of new connections; 0: none.
    pub weight: u16,
    /// With so many connections it gets no new ones; 0: however many it has.
    pub upper_threshold: u32,
    /// With fewer than these it gets new ones again.
    pub lower_threshold: u32,
    /// What a connection adds to a node's load.
    pub cost: u16,
    /// The load that a node has reported.
    pub reported_load: u32,
    /// The drain that is under way.
    pub drain: Option<DrainRow>,
    /// Whether an operator has added it: it is not in the configuration.
    pub added: bool,
    /// Whether an operator has set something of it otherwise than the configuration.
    pub changed: bool,
    /// Clients whose next connection goes to it.
    pub persistent: u64,
    /// What it carries and has carried.
    pub counts: TrafficCounts,
    /// What it gets each second.
    pub rates: TrafficRates,
}

impl ServerRow {
    /// The weight that it is scheduled with: what gets no new connections has none.
    pub fn scheduled_weight(&self) -> u16 {
        if self.state == "up" { self.weight } else { 0 }
    }

    /// What new connections are weighed by in a pool.
    pub fn load(&self) -> u64 {
        let TrafficCounts { active, inactive, datagrams, .. } = self.counts;
        let [active, inactive, datagrams] =
            [active, inactive, datagrams].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let load = Load { active, inactive, datagrams, overloaded: false };
        load_in_256ths(self.reported_load, self.cost, load) / 256
    }
}

/// A drain under way: no new connections, those that there are live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainRow {
    /// Seconds since it began.
    pub for_s: u64,
    /// Seconds until what is left ends; none: it ends by itself.
    pub left_s: Option<u64>,
    /// Connections that are left.
    pub connections: u64,
}

/// Connections now, and totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficCounts {
    /// Connections that are established, or about to be.
    pub active: u64,
    /// Connections that are over and not yet forgotten, and all of what has no connections.
    pub inactive: u64,
    /// Of the inactive ones, flows of what has no connections.
    pub datagrams: u64,
    /// New connections.
    pub connections: u64,
    /// Packets from clients.
    pub packets: u64,
    /// Their bytes, from the IP header on.
    pub bytes: u64,
    /// Packets to clients, as far as they pass the gateway.
    pub reply_packets: u64,
    /// Their bytes.
    pub reply_bytes: u64,
}

/// Connections that servers have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Those that were asked for.
    pub connections: Vec<ConnectionRow>,
    /// Whether there are more.
    pub more: bool,
}

/// A connection that a server has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// The service or pool.
    pub service: String,
    /// The server or node.
    pub server: String,
    /// Number of the protocol.
    pub protocol: u8,
    /// By IPVS's word.
    pub state: String,
    /// Seconds until it is forgotten.
    pub expires_s: u32,
    /// The client.
    pub source: IpAddr,
    /// Its port.
    pub source_port: u16,
    /// The address that it speaks to.
    pub destination: IpAddr,
    /// The port that it speaks to.
    pub destination_port: u16,
    /// Where the server is.
    pub server_address: IpAddr,
    /// Its port.
    pub server_port: u16,
}

/// What a service's `lblc` or `lblcr` knows of who holds which address's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCache {
    /// The service.
    pub service: String,
    /// What each worker knows: the flows of an address may be several workers'.
    pub entries: Vec<CacheRow>,
    /// Whether there are more.
    pub more: bool,
}

/// An address that a worker knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRow {
    /// Which worker.
    pub worker: usize,
    /// Where the content comes from.
    pub address: IpAddr,
    /// Why it is in the table: `learned`, `pinned` or `banned`.
    pub reason: String,
    /// Connections to it since it came.
    pub uses: u32,
    /// Seconds since the last one.
    pub unused_s: u32,
    /// Seconds since its servers last changed.
    pub unchanged_s: u32,
    /// Seconds until it is forgotten without another one; none: an operator has said so, and it stays.
    pub expires_s: Option<u32>,
    /// Its servers, first the last that came.
    pub servers: Vec<CacheServer>,
    /// How many servers it has, those that are not shown among them.
    pub members: u16,
}

/// A server that holds the content of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheServer {
    /// Its name.
    pub server: String,
    /// The connections that it has, of all addresses.
    pub active: u64,
    /// Its weight, which is the number of those that it can take.
    pub weight: u16,
}

/// Pools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pools {
    /// Those that were asked for, in the order of the configuration.
    pub pools: Vec<PoolRow>,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolRow {
    /// Its name.
    pub pool: String,
    /// What becomes of a new connection that no node can take.
    pub fallback: String,
    /// Whether so few nodes live that all are used.
    pub panic: bool,
    /// The ports that are nodes' own.
    pub slices: Option<SlicesRow>,
    /// In the order of the configuration; behind them those that operators have added.
    pub nodes: Vec<ServerRow>,
    /// Nodes that it has lost and that still carry connections.
    pub retired: Vec<ServerRow>,
    /// Of all its nodes, those among them that are gone.
    pub counts: TrafficCounts,
    /// Of all its nodes, each second.
    pub rates: TrafficRates,
    /// New connections that no node could take.
    pub unserved: UnservedCounts,
}

/// Ports of a shared address that are nodes' own, each its share in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlicesRow {
    /// The address.
    pub address: IpAddr,
    /// The first port of the first node.
    pub first_port: u16,
    /// Ports of each node.
    pub ports_a_node: u16,
}

#[cfg(test)]
pub(super) mod fixtures {
    use super::*;

    /// A server with connections and traffic.
    pub(in crate::observe) fn server(name: &str, address: &str, weight: u16) -> ServerRow {
        let counts = TrafficCounts {
            active: 12,
            inactive: 3,
            datagrams: 2,
            connections: 1_234,
            packets: 99_999_999,
            bytes: 100_000_000,
            reply_packets: 0,
            reply_bytes: 5_000_000_000,
        };
        let rates = TrafficRates {
            connections: 1.4,
            packets: 2.5,
            bytes: 123_456_789.0,
            reply_packets: 0.0,
            reply_bytes: 7.0,
        };
        ServerRow {
            server: name.to_owned(),
            number: 0,
            address: address.parse().unwrap(),
            mac: None,
            port: 0,
            method: "direct".to_owned(),
            state: "up".to_owned(),
            alive: true,
            health: None,
            weight,
            upper_threshold: 50,
            lower_threshold: 40,
            cost: 2,
            reported_load: 7,
            drain: None,
            added: false,
            changed: false,
            persistent: 9,
            counts,
            rates,
        }
    }

    /// A service with these servers.
    pub(in crate::observe) fn service(
        selector: SelectorRow,
        scheduler: &str,
        servers: Vec<ServerRow>,
    ) -> ServiceRow {
        ServiceRow {
            service: "cache".to_owned(),
            selector,
            scheduler: scheduler.to_owned(),
            scheduler_flags: Vec::new(),
            persistence: None,
            fallback: "bypass".to_owned(),
            panic: false,
            counts: servers[0].counts,
            rates: servers[0].rates,
            servers,
            retired: Vec::new(),
            unserved: UnservedCounts { refused: 1, bypassed: 2, dropped: 3 },
        }
    }
}
