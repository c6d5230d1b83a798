//! All services and pools.

use super::counts::{Counts, ServiceCounts};
use super::group::Group;
use super::numbers::Numbers;
use super::server::Server;
use crate::config::services::sparing;
use weir_dataplane::classify::RULES_MAX;
use weir_dataplane::config::Rule;
use weir_dataplane::units::{Mark, SERVERS_MAX, SERVICES_MAX, ServerId, ServiceId};

/// What limits the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Of servers.
    #[error(
        "all services and pools together may have {SERVERS_MAX} servers, those that are being drained among them: take \
         some away, or wait until their connections have ended"
    )]
    Servers,
    /// Of services.
    #[error("there may be {SERVICES_MAX} services and pools: take some away")]
    Services,
    /// Of entries that give marks, or spare servers.
    #[error(
        "`marks` may have {RULES_MAX} entries, with one for each server that another one would capture the requests of: \
         name the `port` or the `source` of clients, without the servers"
    )]
    Marks,
}

/// All services and pools, and the servers that they have lost and that still carry connections.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(super) marks: Vec<(Rule, Option<Mark>)>,
    /// Services, then pools, each in the order of the configuration.
    pub(super) groups: Vec<Group>,
    pub(super) retired: Vec<Retired>,
    pub(super) servers: Numbers<Counts>,
    pub(super) services: Numbers<ServiceCounts>,
    /// Numbers of services that are gone, each with the first revision without it.
    pub(super) gone: Vec<(ServiceId, u64)>,
    pub(super) revision: u64,
    pub(super) in_force: u64,
}

/// A server that its service or pool has lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Retired {
    /// The name of the service or pool.
    pub group: String,
    /// The server, which is being drained.
    pub server: Server,
    /// The first revision in which it gets no connection.
    pub(super) since: u64,
    /// The first revision that does not have it.
    pub(super) gone: Option<u64>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            marks: Vec::new(),
            groups: Vec::new(),
            retired: Vec::new(),
            servers: Numbers::new(SERVERS_MAX),
            services: Numbers::new(SERVICES_MAX),
            gone: Vec::new(),
            revision: 0,
            in_force: 0,
        }
    }
}

impl Registry {
    /// Services, then pools, each in the order of the configuration.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The service or pool of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name() == name)
    }

    /// The servers that services and pools have lost and that still carry connections.
    pub fn retired(&self) -> impl Iterator<Item = &Retired> {
        self.retired.iter().filter(|retired| retired.gone.is_none())
    }

    /// All servers that a service or pool has.
    pub fn all_servers(&self) -> impl Iterator<Item = (&Group, &Server)> {
        self.groups.iter().flat_map(|group| group.servers().iter().map(move |server| (group, server)))
    }

    /// What gives flows marks, in order, and spares what servers ask for themselves.
    pub fn marks(&self) -> Vec<(Rule, Option<Mark>)> {
        let marked = self.groups.iter().filter_map(|group| Some((group.kind().mark()?, group)));
        let servers = marked.flat_map(|(mark, group)| {
            group.servers().iter().map(move |server| (mark, server.definition().place.address()))
        });
        sparing(&self.marks, &servers.collect::<Vec<_>>()).collect()
    }

    /// Nothing, if there is room for all that gives marks.
    pub(super) fn marks_fit(&self) -> Result<(), Full> {
        if self.marks().len() > RULES_MAX { Err(Full::Marks) } else { Ok(()) }
    }

    /// Whether there is nothing: no mark, no service, no pool, and no server that is left of one.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.groups.is_empty() && self.retired().next().is_none()
    }

    /// Grows whenever the packet path is to be told something else.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// All workers go by this revision, and by none before.
    pub fn set_in_force(&mut self, revision: u64) {
        self.in_force = self.in_force.max(revision);
    }

    /// What is known of all servers from outside: `heard` says of a server, and its service or pool's name, whether its
    /// checks find it alive, and the load that it has reported. Whether that is news.
    pub fn hear(&mut self, heard: impl Fn(&str, &Server) -> (bool, u32)) -> bool {
        let mut changed = false;
        for Group { kind, servers, .. } in &mut self.groups {
            for server in servers {
                let (alive, load) = heard(kind.name(), server);
                changed |= core::mem::replace(&mut server.alive, alive) != alive;
                changed |= core::mem::replace(&mut server.reported_load, load) != load;
            }
        }
        self.revision += u64::from(changed);
        changed
    }

    /// What a server has carried, when `counts` is what was counted under its number.
    pub fn counts_of(&self, id: ServerId, counts: Counts) -> Counts {
        counts.since(self.servers.base(id.index()))
    }

    /// What a service has done with connections that no server could take, when `counts` is what was counted under
    /// its number.
    pub fn service_counts_of(&self, group: &Group, counts: ServiceCounts) -> ServiceCounts {
        counts.since(self.services.base(group.id.index()))
    }

    /// Time has passed, and `counts` is what has been counted under the numbers of servers, `services` under those of
    /// services. Ends drains whose deadline has passed, and forgets retired servers without connections.
    pub fn tick(
        &mut self,
        now_ms: u64,
        counts: impl Fn(ServerId) -> Counts,
        services: impl Fn(ServiceId) -> ServiceCounts,
    ) {
        let (mut changed, in_force) = (false, self.in_force);
        let current = self.groups.iter_mut().flat_map(|group| &mut group.servers);
        for server in current.chain(self.retired.iter_mut().map(|retired| &mut retired.server)) {
            let is_over = server.drain.is_some_and(|drain| drain.is_over(now_ms));
            changed |= core::mem::replace(&mut server.is_over, is_over) != is_over;
        }
        let next = self.revision + 1;
        for retired in &mut self.retired {
            let is_idle = counts(retired.server.id).held() == 0;
            if retired.gone.is_none() && retired.since <= in_force && is_idle {
                retired.gone = Some(next);
                changed = true;
            }
        }
        self.revision += u64::from(changed);
        self.forget(&counts);
        for (id, _) in self.gone.extract_if(.., |(_, gone)| *gone <= in_force) {
            self.services.give_back(id.index(), services(id));
        }
    }

    /// Gives back the numbers that no snapshot and no connection has any more.
    fn forget(&mut self, counts: &impl Fn(ServerId) -> Counts) {
        let Self { groups, retired, servers, in_force, .. } = self;
        let is_gone = |retired: &mut Retired| {
            retired.gone.is_some_and(|gone| gone <= *in_force) && counts(retired.server.id).held() == 0
        };
        for Retired { group, server, .. } in retired.extract_if(.., is_gone) {
            let (id, counts) = (server.id, counts(server.id));
            if let Some(group) = groups.iter_mut().find(|of| of.name() == group) {
                group.past = group.past + counts.since(servers.base(id.index()));
            }
            servers.give_back(id.index(), counts);
        }
    }
}
