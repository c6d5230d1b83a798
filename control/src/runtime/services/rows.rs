//! Services and pools as the model shows them.

use super::{Services, counted_service};
use crate::api::Refusal;
use crate::config::services::{Pool, Service, Slices};
use crate::observe::{
    DrainRow, PersistenceRow, PoolRow, Pools, SelectorRow, ServerRow, ServiceRow, SlicesRow, TrafficCounts,
};
use crate::service::{Collection, Counts, Definition, Group, Kind, Rates, Server, ServiceCounts, Settings};
use weir_dataplane::config::service::{
    MaglevHashing, Persistence, Place, Scheduler, Selector, SourceHashing,
};
use weir_dataplane::mailbox::WorkerHandle;
use weir_dataplane::units::ServerId;

impl Services {
    /// Services, or the one of this name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(in crate::runtime) fn show(
        &self,
        name: Option<&str>,
        workers: &[WorkerHandle],
    ) -> Result<Vec<ServiceRow>, Refusal> {
        name.map(|name| self.find(Collection::Services, name)).transpose()?;
        let rows = self.registry.groups().iter().filter_map(|group| match group.kind() {
            Kind::Service(service) => Some((group, service)),
            Kind::Pool(_) => None,
        });
        let meant = rows.filter(|(group, _)| name.is_none_or(|name| group.name() == name));
        Ok(meant.map(|(group, service)| self.service(group, service, workers)).collect())
    }

    /// Pools, or the one of this name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(in crate::runtime) fn show_pools(
        &self,
        name: Option<&str>,
        workers: &[WorkerHandle],
    ) -> Result<Pools, Refusal> {
        name.map(|name| self.find(Collection::Pools, name)).transpose()?;
        let rows = self.registry.groups().iter().filter_map(|group| match group.kind() {
            Kind::Pool(pool) => Some((group, pool)),
            Kind::Service(_) => None,
        });
        let meant = rows.filter(|(group, _)| name.is_none_or(|name| group.name() == name));
        Ok(Pools { pools: meant.map(|(group, pool)| self.pool(group, pool, workers)).collect() })
    }

    fn service(&self, group: &Group, service: &Service, workers: &[WorkerHandle]) -> ServiceRow {
        ServiceRow {
            service: service.name.clone(),
            selector: selector(service.selector, group),
            scheduler: scheduler(service.scheduler).to_owned(),
            scheduler_flags: flags(service.scheduler),
            persistence: service.persistence.as_ref().map(persistence),
            fallback: service.fallback.to_string(),
            panic: false,
            servers: group.servers().iter().map(|server| self.row(server, workers)).collect(),
            retired: self.retired(group, workers),
            counts: self.all_counts(group, workers),
            rates: self.all_rates(group),
            unserved: self.unserved(group, workers),
        }
    }

    fn pool(&self, group: &Group, pool: &Pool, workers: &[WorkerHandle]) -> PoolRow {
        PoolRow {
            pool: pool.name.clone(),
            fallback: pool.fallback.to_string(),
            panic: false,
            slices: pool.slices.as_ref().map(slices),
            nodes: group.servers().iter().map(|server| self.row(server, workers)).collect(),
            retired: self.retired(group, workers),
            counts: self.all_counts(group, workers),
            rates: self.all_rates(group),
            unserved: self.unserved(group, workers),
        }
    }

    fn row(&self, server: &Server, workers: &[WorkerHandle]) -> ServerRow {
        let Definition { place, port, method, .. } = *server.definition();
        let counts = self.counts(server.id(), workers);
        let now_ms = self.now_ms();
        let drain = server.drain().map(|drain| DrainRow {
            for_s: now_ms.saturating_sub(drain.since_ms) / 1000,
            left_s: drain.left_ms(now_ms).map(|left_ms| left_ms.div_ceil(1000)),
            connections: counts.live(),
        });
        ServerRow {
            server: server.name().to_owned(),
            number: server.id().index(),
            address: place.address(),
            mac: match place {
                Place::Mac(_, mac) => Some(mac.to_string()),
                Place::Address(_) => None,
            },
            port,
            method: method.to_string(),
            state: server.state().to_string(),
            alive: server.is_alive(),
            health: None,
            weight: server.weight(),
            upper_threshold: server.upper_threshold(),
            lower_threshold: server.lower_threshold(),
            cost: server.cost(),
            reported_load: server.reported_load(),
            drain,
            added: server.is_added(),
            changed: server.settings() != Settings::default(),
            persistent: 0,
            counts: traffic(counts),
            rates: self.sampler.of(server.id()),
        }
    }

    fn retired(&self, group: &Group, workers: &[WorkerHandle]) -> Vec<ServerRow> {
        let lost = self.registry.retired().filter(|retired| retired.group == group.name());
        lost.map(|retired| self.row(&retired.server, workers)).collect()
    }

    /// The servers that a service or pool has, and has lost.
    fn all<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = ServerId> + 'a {
        let retired = self.registry.retired().filter(|retired| retired.group == group.name());
        group.servers().iter().chain(retired.map(|retired| &retired.server)).map(Server::id)
    }

    fn all_counts(&self, group: &Group, workers: &[WorkerHandle]) -> TrafficCounts {
        let all: Counts = self.all(group).map(|id| self.counts(id, workers)).sum();
        traffic(all + group.past())
    }

    fn all_rates(&self, group: &Group) -> Rates {
        self.all(group).map(|id| self.sampler.of(id)).sum()
    }

    fn unserved(&self, group: &Group, workers: &[WorkerHandle]) -> ServiceCounts {
        self.registry.service_counts_of(group, counted_service(workers, group.id()))
    }
}

fn selector(selector: Selector, group: &Group) -> SelectorRow {
    match selector {
        Selector::Mark(mark) => SelectorRow::Mark {
            mark: mark.0,
            ipv6: group.servers().first().is_some_and(|one| one.definition().place.address().is_ipv6()),
        },
        Selector::Address { protocol, address, port } => {
            SelectorRow::Address { protocol: protocol.0, address, port }
        }
    }
}

/// IPVS's word.
pub(in crate::runtime) const fn scheduler(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::Rr => "rr",
        Scheduler::Wrr => "wrr",
        Scheduler::Lc => "lc",
        Scheduler::Wlc => "wlc",
        Scheduler::Sed => "sed",
        Scheduler::Nq => "nq",
        Scheduler::Fo => "fo",
        Scheduler::Ovf => "ovf",
        Scheduler::Dh => "dh",
        Scheduler::Sh(_) => "sh",
        Scheduler::Mh(_) => "mh",
        Scheduler::Twos => "twos",
        Scheduler::Lblc(_) => "lblc",
        Scheduler::Lblcr(_) => "lblcr",
        Scheduler::LeastLoad => "least_load",
    }
}

/// In the order of `ipvsadm`.
fn flags(scheduler: Scheduler) -> Vec<String> {
    let (name, port, fallback) = match scheduler {
        Scheduler::Sh(SourceHashing { port, fallback, .. }) => ("sh", port, fallback),
        Scheduler::Mh(MaglevHashing { port, fallback, .. }) => ("mh", port, fallback),
        _ => return Vec::new(),
    };
    let flags = [("fallback", fallback), ("port", port)];
    flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| format!("{name}-{flag}")).collect()
}

fn persistence(persistence: &Persistence) -> PersistenceRow {
    let Persistence { timeout, ipv4_prefix_len, ipv6_prefix_len, .. } = *persistence;
    PersistenceRow { timeout_s: u64::from(timeout.as_s()), ipv4_prefix_len, ipv6_prefix_len }
}

const fn slices(slices: &Slices) -> SlicesRow {
    let &Slices { address, first_port, ports_a_node } = slices;
    SlicesRow { address, first_port, ports_a_node }
}

const fn traffic(counts: Counts) -> TrafficCounts {
    let Counts {
        active, inactive, datagrams, connections, packets, bytes, reply_packets, reply_bytes, ..
    } = counts;
    TrafficCounts { active, inactive, datagrams, connections, packets, bytes, reply_packets, reply_bytes }
}
