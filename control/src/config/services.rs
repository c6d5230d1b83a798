//! The validated services and pools of a gateway, with their names.
//!
//! What the packet path needs of them is made when the gateway runs: numbers that servers keep over reloads, and who
//! of them lives.

use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::path::PathBuf;
use weir_dataplane::config::Rule;
use weir_dataplane::config::service::{Fallback, Method, Persistence, Place, Scheduler, Selector};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::Mark;

/// Where a gateway sends connections besides where its routes lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Services {
    /// In order; the first that holds gives a flow its mark, or none.
    pub marks: Vec<(Rule, Option<Mark>)>,
    /// No two have the same name or selector.
    pub services: Vec<Service>,
    /// No two have the same name, and none that of a service.
    pub pools: Vec<Pool>,
}

impl Services {
    /// Marks of services, each with the address of a server that it leads to.
    pub fn marked_servers(&self) -> impl Iterator<Item = (Mark, IpAddr)> {
        let marked = self.services.iter().filter_map(|service| match service.selector {
            Selector::Mark(mark) => Some((mark, service)),
            Selector::Address { .. } => None,
        });
        marked.flat_map(|(mark, service)| {
            service.servers.iter().map(move |server| (mark, server.place.address()))
        })
    }
}

/// Entries of `marks`, and before each one that would lead what a server asks for itself back to its service, one that
/// spares the server: a cache that asks for what it has not got would ask itself, or its neighbour.
pub fn sparing(
    marks: &[(Rule, Option<Mark>)],
    servers: &[(Mark, IpAddr)],
) -> impl Iterator<Item = (Rule, Option<Mark>)> {
    marks.iter().flat_map(move |(rule, mark)| {
        let own = servers.iter().filter(|(of, server)| Some(*of) == *mark && captures(rule, *server));
        let spared = own.map(|(_, server)| {
            let source =
                Some(Subnet { address: *server, prefix_len: if server.is_ipv4() { 32 } else { 128 } });
            (Rule { source, ..rule.clone() }, None)
        });
        spared.chain([(rule.clone(), *mark)])
    })
}

/// Whether a rule is for what a server asks. One that is for a single address is not: that is what clients connect to.
pub fn captures(rule: &Rule, server: IpAddr) -> bool {
    rule.source.is_none_or(|source| source.contains(server))
        && rule.destination.is_none_or(|destination| !destination.is_host())
}

/// A service: connections that are spread over servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Which connections are its.
    pub selector: Selector,
    /// Who of the servers gets a new one.
    pub scheduler: Scheduler,
    /// Which of its servers stands first.
    pub order: Order,
    /// Whether, and for how long, a client stays with a server.
    pub persistence: Option<Persistence>,
    /// What becomes of a new connection that no server can take.
    pub fallback: Fallback,
    /// As they are listed. No two have the same name, or the same place and port.
    pub servers: Vec<Server>,
    /// How they are known to live; `None`: they are taken to.
    pub health: Option<Health>,
    /// How long a server may keep its connections once it is drained; `None`: as long as they last.
    pub drain_timeout: Option<Duration>,
}

/// Which server stands first, where that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The last that is listed, as in IPVS, where a new server comes before the others.
    #[default]
    NewestFirst,
    /// The one with the lowest address, then port: however the list is written, all directors agree.
    Address,
}

/// A server of a service, or a node of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name in its service or pool.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Its port; 0: that of the service.
    pub port: u16,
    /// How packets get there.
    pub method: Method,
    /// Its share of new connections beside the others'; 0: none.
    pub weight: u16,
    /// With so many connections it gets no new ones; 0: however many it has.
    pub upper_threshold: u32,
    /// With fewer than these it gets new ones again; 0: with fewer than three quarters of `upper_threshold`.
    pub lower_threshold: u32,
    /// What a connection adds to a node's load; at least 1.
    pub cost: u16,
    /// It keeps its connections and gets no new ones.
    pub drain: bool,
}

/// A pool: nodes that share an address, of which the least loaded gets each new connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// As they are listed. No two have the same name or place.
    pub nodes: Vec<Node>,
    /// Which traffic is its, in order.
    pub rules: Vec<PoolRule>,
    /// What becomes of a new connection that no node can take.
    pub fallback: Fallback,
    /// Where nodes report their loads to, over UDP; `None`: nowhere.
    pub reports: Option<core::net::SocketAddr>,
    /// Where nodes are asked for their loads, over HTTP; `None`: nowhere.
    pub agent: Option<Agent>,
    /// Ports of the shared addresses whose packets go to a node of their own, without state.
    pub slices: Option<Slices>,
    /// How nodes are known to live; `None`: they are taken to.
    pub health: Option<Health>,
    /// How long a node may keep its connections once it is drained; `None`: as long as they last.
    pub drain_timeout: Option<Duration>,
}

impl Pool {
    /// The ports that are some node's own; `None` without `slices`, or without nodes.
    pub fn slice_ports(&self) -> Option<RangeInclusive<u16>> {
        let slices = self.slices.as_ref()?;
        let nodes = u16::try_from(self.nodes.len()).ok().filter(|nodes| *nodes > 0)?;
        let last =
            slices.first_port.checked_add((slices.ports_a_node.checked_mul(nodes)?).checked_sub(1)?)?;
        Some(slices.first_port..=last)
    }
}

/// What each node of a pool has to be asked for its load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its port.
    pub port: u16,
    /// Which page.
    pub path: String,
    /// How often; an answer is waited for as long.
    pub interval: Duration,
}

/// A node of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Whether it may have connections.
    pub up: bool,
    /// What a connection adds to its load; at least 1.
    pub cost: u16,
}

/// Traffic of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRule {
    /// Which packets.
    pub rule: Rule,
    /// The place of the node that gets them all; `None`: the least loaded.
    pub node: Option<usize>,
}

/// Ports that belong to the nodes of a pool, each its share, in the order of the list: what nodes open connections of
/// their own from.
#[derive(Clone, Debug, PartialEq)]
pub struct Slices {
    /// The address that the nodes share.
    pub address: IpAddr,
    /// The first port of the first node.
    pub first_port: u16,
    /// Ports of each node.
    pub ports_a_node: u16,
}

impl Slices {
    /// The ports that are the own of the node at `place`.
    pub fn ports_of(&self, place: usize) -> Option<RangeInclusive<u16>> {
        let Self { first_port, ports_a_node, .. } = *self;
        let first = u16::try_from(place).ok()?.checked_mul(ports_a_node)?.checked_add(first_port)?;
        Some(first..=first.checked_add(ports_a_node.checked_sub(1)?)?)
    }
}

/// How servers are known to live.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// What is asked of a server; `None`: nothing, and connections alone show it.
    pub check: Option<Check>,
    /// So often.
    pub interval: Duration,
    /// An answer counts for so long.
    pub timeout: Duration,
    /// So many good answers in a row bring a dead server back.
    pub rise: u32,
    /// So many bad ones in a row make a server dead.
    pub fall: u32,
    /// So many connections in a row without an answer, or refused, make a server dead; `None`: they do not matter.
    pub passive_fall: Option<u32>,
    /// With fewer of the servers alive than this, in percent, all of them count as alive; 0: never.
    pub panic_threshold_percent: u8,
}

/// What is asked of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// An echo.
    Icmp,
    /// A connection.
    Tcp {
        /// To this port.
        port: u16,
    },
    /// A page.
    Http {
        /// Over TLS; the certificate does not matter.
        tls: bool,
        /// From this port.
        port: u16,
        /// Which.
        path: String,
        /// Of which host; `None`: the server's address.
        host: Option<String>,
        /// The status that is good.
        status: RangeInclusive<u16>,
        /// What the page contains.
        body: Option<String>,
    },
    /// A name.
    Dns {
        /// From this port.
        port: u16,
        /// Which; an answer without error is good.
        name: String,
    },
    /// A program that is called with the server's name, address and port; status 0 is good.
    Script {
        /// Which.
        program: PathBuf,
        /// Its arguments before those.
        arguments: Vec<String>,
        /// The port that it is told; `None`: the server's.
        port: Option<u16>,
    },
}
