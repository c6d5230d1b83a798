//! Another configuration: what is known goes on where a server does.

use super::definition::{Definition, Settings};
use super::drain::Drain;
use super::group::{Group, Kind};
use super::registry::{Full, Registry, Retired};
use super::server::Server;
use crate::config::services::Services;
use core::time::Duration;
use weir_dataplane::units::{ServerId, ServiceId};

impl Registry {
    /// Takes over another configuration. A server stays the one it is while its name, place, port and method are the
    /// same; one that is gone is drained. What operators have said holds, but where the configuration says something
    /// new.
    ///
    /// # Errors
    /// When there are too many; then nothing changes.
    pub fn reload(&mut self, config: &Services, now_ms: u64) -> Result<(), Full> {
        let mut next = self.clone();
        next.revision += 1;
        next.marks.clone_from(&config.marks);
        let mut before = core::mem::take(&mut next.groups);
        let services = config.services.iter().cloned().map(Kind::Service);
        for kind in services.chain(config.pools.iter().cloned().map(Kind::Pool)) {
            let same =
                |group: &Group| group.name() == kind.name() && group.kind.collection() == kind.collection();
            let old = before.iter().position(same).map(|place| before.remove(place));
            let group = next.go_on(kind, old, now_ms)?;
            next.groups.push(group);
        }
        for group in before {
            next.gone.push((group.id, next.revision));
            for server in group.servers {
                next.retire(group.kind.name(), server, group.kind.drain_timeout(), now_ms);
            }
        }
        next.marks_fit()?;
        *self = next;
        Ok(())
    }

    /// A service or pool as it is configured now, after what it was.
    fn go_on(&mut self, kind: Kind, old: Option<Group>, now_ms: u64) -> Result<Group, Full> {
        let mut group = match old {
            Some(old) => old,
            None => {
                let id = self.services.take().and_then(ServiceId::new).ok_or(Full::Services)?;
                Group::new(id, kind.clone())
            }
        };
        let mut known = core::mem::take(&mut group.servers);
        let old_timeout = core::mem::replace(&mut group.kind, kind).drain_timeout();
        let definitions = group.kind.definitions();
        let Group { kind, removed, servers, .. } = &mut group;
        removed.retain(|name, then| definitions.contains(then) && !kind.needs(name));
        for definition in definitions.into_iter().filter(|one| !removed.contains_key(&one.name)) {
            let same = |server: &Server| server.definition.is_same_server(&definition);
            let mut server = match known.iter().position(same) {
                Some(place) => known.remove(place).redefined(definition),
                None => self.enrol(kind.name(), definition)?,
            };
            server.alive |= kind.health().is_none();
            server.settle(now_ms, kind.drain_timeout());
            servers.push(server);
        }
        for server in known {
            if server.added && servers.iter().all(|other| !other.clashes(&server.definition)) {
                servers.push(server);
            } else {
                self.retire(kind.name(), server, old_timeout, now_ms);
            }
        }
        Ok(group)
    }

    /// A new server of a service or pool; one that is being drained and is the same comes back.
    pub(super) fn enrol(&mut self, group: &str, definition: Definition) -> Result<Server, Full> {
        let same = |retired: &Retired| {
            retired.group == group && retired.server.definition.is_same_server(&definition)
        };
        if let Some(place) = self.retired.iter().position(same) {
            let back = self.retired.remove(place).server;
            return Ok(Server { last_weight: back.last_weight, ..Server::new(back.id, definition) });
        }
        let id = self.servers.take().and_then(ServerId::new).ok_or(Full::Servers)?;
        Ok(Server::new(id, definition))
    }

    /// A service or pool has lost a server, in the revision that is being made.
    pub(super) fn retire(&mut self, group: &str, mut server: Server, timeout: Option<Duration>, now_ms: u64) {
        server.drain.get_or_insert_with(|| Drain::begin(now_ms, timeout));
        let since = self.revision;
        self.retired.push(Retired { group: group.to_owned(), server, since, gone: None });
    }
}

impl Server {
    /// The same server as the configuration defines it now.
    fn redefined(self, definition: Definition) -> Self {
        let settings =
            if self.added { Settings::default() } else { self.settings.after(&self.definition, &definition) };
        Self { settings, definition, added: false, ..self }
    }

    /// Whether a server cannot stand beside one that is defined so.
    pub(super) fn clashes(&self, definition: &Definition) -> bool {
        self.name() == definition.name || self.definition.is_at_same_place(definition)
    }
}
