//! What operators change while a gateway runs.

use super::definition::{Definition, Settings};
use super::group::{Collection, Group, Kind};
use super::registry::{Full, Registry};
use crate::config::services::Service;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use weir_dataplane::config::service::{Method, Place, Selector};

/// A change of one server of a service or pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What is given holds from now on.
    Set(Settings),
    /// One more.
    Add(Definition),
    /// One less; its connections live on as long as a drain lets them.
    Remove,
    /// It gets no new connections.
    Drain {
        /// After this what is left ends; `None`: what the configuration says.
        timeout: Option<Duration>,
    },
    /// It gets connections again.
    Undrain,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(settings) => write!(f, "set{settings}"),
            Self::Add(definition) => {
                write!(f, "add at {}, weight {}", definition.place.address(), definition.weight)
            }
            Self::Remove => f.write_str("remove"),
            Self::Drain { timeout: Some(timeout) } => write!(f, "drain for {} s at most", timeout.as_secs()),
            Self::Drain { timeout: None } => f.write_str("drain"),
            Self::Undrain => f.write_str("undrain"),
        }
    }
}

/// Why a change was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No such service or pool.
    #[error("there is no {} `{name}`; there are: {there}", collection.group_word())]
    NoGroup {
        /// Among which.
        collection: Collection,
        /// What was asked for.
        name: String,
        /// Those that there are.
        there: String,
    },
    /// No such server or node.
    #[error("`{group}` has no {} `{name}`; it has: {there}", collection.server_word())]
    NoServer {
        /// Of which the group is.
        collection: Collection,
        /// Its service or pool.
        group: String,
        /// What was asked for.
        name: String,
        /// Those that there are.
        there: String,
    },
    /// One like it is there.
    #[error("`{there}` of `{group}` has the same name, or the same address and port: give another one")]
    Exists {
        /// The service or pool.
        group: String,
        /// Who is in the way.
        there: String,
    },
    /// The thresholds cross.
    #[error("the lower threshold {lower} is above the upper one {upper}: give a lower one, or 0")]
    Thresholds {
        /// The lower.
        lower: u32,
        /// The upper.
        upper: u32,
    },
    /// A cost of 0.
    #[error("a cost is at least 1: without one every connection would go to the same node")]
    NoCost,
    /// The address cannot take the service's packets.
    #[error("packets to {service} cannot be sent on to {server}: give an address of the same IP version")]
    OtherFamily {
        /// The service's address.
        service: IpAddr,
        /// The server's.
        server: IpAddr,
    },
    /// Traffic is for nobody else.
    #[error(
        "rules or ports of pool `{pool}` are for node `{node}` alone: drain it, or change the configuration"
    )]
    Needed {
        /// The pool.
        pool: String,
        /// The node.
        node: String,
    },
    /// There is no room.
    #[error(transparent)]
    Full(#[from] Full),
}

impl Registry {
    /// Follows an operator's order about a server of a service or pool.
    ///
    /// # Errors
    /// Why not; then nothing changes.
    pub fn change(
        &mut self,
        collection: Collection,
        group: &str,
        server: &str,
        change: Change,
        now_ms: u64,
    ) -> Result<(), ChangeError> {
        let place = self.place(collection, group)?;
        let mut next = self.clone();
        next.revision += 1;
        match change {
            Change::Add(definition) => next.add(place, definition, now_ms)?,
            Change::Remove => next.remove(place, server, now_ms)?,
            Change::Set(settings) => next.set(place, server, settings, now_ms)?,
            Change::Drain { timeout } => {
                let timeout = timeout.or_else(|| self.groups[place].kind.drain_timeout());
                next.drain(place, server, timeout, now_ms)?;
            }
            Change::Undrain => {
                let settings = Settings { drain: Some(false), ..Settings::default() };
                next.set(place, server, settings, now_ms)?;
            }
        }
        *self = next;
        Ok(())
    }

    /// The service or pool of this name.
    ///
    /// # Errors
    /// When there is none; the message names those that there are.
    pub fn find(&self, collection: Collection, name: &str) -> Result<&Group, ChangeError> {
        self.place(collection, name).map(|place| &self.groups[place])
    }

    /// Where the service or pool of this name is.
    fn place(&self, collection: Collection, name: &str) -> Result<usize, ChangeError> {
        let is_meant = |kind: &Kind| kind.collection() == collection;
        let found = self.groups.iter().position(|group| group.name() == name && is_meant(&group.kind));
        found.ok_or_else(|| {
            let there = self.groups.iter().filter(|group| is_meant(&group.kind)).map(|group| group.name());
            ChangeError::NoGroup { collection, name: name.to_owned(), there: listed(there) }
        })
    }

    /// Where a server of the service or pool at `place` is.
    fn server_place(&self, place: usize, name: &str) -> Result<usize, ChangeError> {
        let group = &self.groups[place];
        let found = group.servers.iter().position(|server| server.name() == name);
        found.ok_or_else(|| ChangeError::NoServer {
            collection: group.kind.collection(),
            group: group.name().to_owned(),
            name: name.to_owned(),
            there: listed(group.servers.iter().map(|server| server.name())),
        })
    }

    fn add(&mut self, place: usize, definition: Definition, now_ms: u64) -> Result<(), ChangeError> {
        let group = &self.groups[place];
        if let Some(there) = group.servers.iter().find(|server| server.clashes(&definition)) {
            let (group, there) = (group.name().to_owned(), there.name().to_owned());
            return Err(ChangeError::Exists { group, there });
        }
        check(&group.kind, &definition)?;
        let (name, timeout) = (group.name().to_owned(), group.kind.drain_timeout());
        // One that was taken away and comes back as it was is the configuration's again.
        let is_back = group.removed.get(&definition.name) == Some(&definition);
        let mut server = self.enrol(&name, definition)?;
        server.added = !is_back;
        server.settle(now_ms, timeout);
        let group = &mut self.groups[place];
        if is_back {
            group.removed.remove(server.name());
        }
        group.servers.push(server);
        Ok(self.marks_fit()?)
    }

    fn remove(&mut self, place: usize, name: &str, now_ms: u64) -> Result<(), ChangeError> {
        let at = self.server_place(place, name)?;
        let group = &mut self.groups[place];
        if group.kind.needs(name) {
            let (pool, node) = (group.name().to_owned(), name.to_owned());
            return Err(ChangeError::Needed { pool, node });
        }
        let server = group.servers.remove(at);
        if !server.added {
            group.removed.insert(name.to_owned(), server.definition.clone());
        }
        let (group, timeout) = (group.name().to_owned(), group.kind.drain_timeout());
        self.retire(&group, server, timeout, now_ms);
        Ok(())
    }

    fn set(&mut self, place: usize, name: &str, settings: Settings, now_ms: u64) -> Result<(), ChangeError> {
        let at = self.server_place(place, name)?;
        let group = &mut self.groups[place];
        let server = &mut group.servers[at];
        server.settings = settings.or(server.settings).beyond(&server.definition);
        thresholds(server.lower_threshold(), server.upper_threshold())?;
        if server.cost() == 0 {
            return Err(ChangeError::NoCost);
        }
        server.settle(now_ms, group.kind.drain_timeout());
        Ok(())
    }

    /// A drain that is under way gets the new deadline.
    fn drain(
        &mut self,
        place: usize,
        name: &str,
        timeout: Option<Duration>,
        now_ms: u64,
    ) -> Result<(), ChangeError> {
        let at = self.server_place(place, name)?;
        let server = &mut self.groups[place].servers[at];
        server.settings.drain = Some(true);
        (server.drain, server.is_over) = (None, false);
        server.settle(now_ms, timeout);
        Ok(())
    }
}

/// What a server of a service or pool must be.
fn check(kind: &Kind, definition: &Definition) -> Result<(), ChangeError> {
    thresholds(definition.lower_threshold, definition.upper_threshold)?;
    if definition.cost == 0 {
        return Err(ChangeError::NoCost);
    }
    let Kind::Service(Service { selector: Selector::Address { address: service, .. }, .. }) = kind else {
        return Ok(());
    };
    match (definition.place, definition.method) {
        (Place::Address(server), Method::Direct) if server.is_ipv4() != service.is_ipv4() => {
            Err(ChangeError::OtherFamily { service: *service, server })
        }
        _ => Ok(()),
    }
}

const fn thresholds(lower: u32, upper: u32) -> Result<(), ChangeError> {
    if lower > upper { Err(ChangeError::Thresholds { lower, upper }) } else { Ok(()) }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
