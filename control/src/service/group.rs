//! A service or a pool with its servers.

use super::counts::Counts;
use super::definition::Definition;
use super::server::Server;
use crate::config::services::{Health, Pool, Service};
use core::time::Duration;
use std::collections::BTreeMap;
use weir_dataplane::config::service::Selector;
use weir_dataplane::units::{Mark, ServiceId};

/// One of the two collections of groups of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Services, which have servers.
    Services,
    /// Pools, which have nodes.
    Pools,
}

impl Collection {
    /// What it calls one of its groups.
    pub const fn group_word(self) -> &'static str {
        match self {
            Self::Services => "service",
            Self::Pools => "pool",
        }
    }

    /// What it calls one of its servers.
    pub const fn server_word(self) -> &'static str {
        match self {
            Self::Services => "server",
            Self::Pools => "node",
        }
    }
}

/// What a group of servers is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A service.
    Service(Service),
    /// A pool.
    Pool(Pool),
}

impl Kind {
    /// Its name, which no other service or pool has.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(service) => &service.name,
            Self::Pool(pool) => &pool.name,
        }
    }

    /// The port that clients ask for; 0: any, or that of a mark or a pool.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Service(Service { selector: Selector::Address { port, .. }, .. }) => *port,
            _ => 0,
        }
    }

    /// The mark that connections to it have, if that is what makes them its.
    pub const fn mark(&self) -> Option<Mark> {
        match self {
            Self::Service(Service { selector: Selector::Mark(mark), .. }) => Some(*mark),
            _ => None,
        }
    }

    /// How its servers are known to live.
    pub const fn health(&self) -> Option<&Health> {
        match self {
            Self::Service(service) => service.health.as_ref(),
            Self::Pool(pool) => pool.health.as_ref(),
        }
    }

    /// How long a drain may take.
    pub const fn drain_timeout(&self) -> Option<Duration> {
        match self {
            Self::Service(service) => service.drain_timeout,
            Self::Pool(pool) => pool.drain_timeout,
        }
    }

    /// Which collection it is of.
    pub const fn collection(&self) -> Collection {
        match self {
            Self::Service(_) => Collection::Services,
            Self::Pool(_) => Collection::Pools,
        }
    }

    /// The servers that the configuration gives it, in its order.
    pub(super) fn definitions(&self) -> Vec<Definition> {
        match self {
            Self::Service(service) => service.servers.clone(),
            Self::Pool(pool) => pool.nodes.iter().map(Definition::from).collect(),
        }
    }

    /// Whether rules or ports of their own are for this one and nobody else.
    pub(super) fn needs(&self, name: &str) -> bool {
        let Self::Pool(pool) = self else { return false };
        let Some(place) = pool.nodes.iter().position(|node| node.name == name) else { return false };
        pool.slices.is_some() || pool.rules.iter().any(|rule| rule.node == Some(place))
    }
}

/// A service or a pool, and its servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What the packet path calls it.
    pub(super) id: ServiceId,
    pub(super) kind: Kind,
    /// Those of the configuration in its order, then those that were added, in theirs.
    pub(super) servers: Vec<Server>,
    /// Those of the configuration that an operator has taken away, as they were defined then.
    pub(super) removed: BTreeMap<String, Definition>,
    /// What servers have carried that it has no more.
    pub(super) past: Counts,
}

impl Group {
    pub(super) const fn new(id: ServiceId, kind: Kind) -> Self {
        Self { id, kind, servers: Vec::new(), removed: BTreeMap::new(), past: Counts::ZERO }
    }

    /// Its number, which no other service or pool has.
    pub const fn id(&self) -> ServiceId {
        self.id
    }

    /// What it is.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its name, which no other service or pool has.
    pub fn name(&self) -> &str {
        self.kind.name()
    }

    /// Its servers, in the order of the configuration; behind them those that operators have added.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// What servers have carried that it has no more, and that are forgotten.
    pub const fn past(&self) -> Counts {
        self.past
    }

    /// The server of this name.
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.name() == name)
    }
}
