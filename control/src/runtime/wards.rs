//! The servers that are watched: what checks, connections and reports say of them goes into the registry.

use super::health::{self, Verdicts};
use super::loads::{Agent, Ear, Published};
use super::services::Services;
use crate::config::{self, GatewayConfig};
use crate::health::{Group, Reporter, ServiceView, Subject, Tally, Verdict};
use crate::service::{self, Counts, Kind};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use weir_dataplane::config::service::Place;
use weir_dataplane::mailbox::WorkerHandle;

/// Who watches, and what they have said.
#[derive(Debug)]
pub(super) struct Wards {
    watch: health::Watch,
    ear: Ear,
    verdicts: Verdicts,
    loads: Published,
    /// The revision of the registry that is watched.
    revision: Option<u64>,
}

impl Wards {
    /// Watches nobody yet. Call it inside a tokio runtime.
    pub(super) fn start() -> Self {
        let (watch, ear) = (health::Watch::start(), Ear::default());
        let (verdicts, loads) = (watch.verdicts(), ear.published());
        Self { watch, ear, verdicts, loads, revision: None }
    }

    /// Watches the servers that there are now, and tells the registry what is known of them.
    pub(super) fn look(&mut self, config: &GatewayConfig, services: &mut Services, workers: &[WorkerHandle]) {
        let is_new = self.revision != Some(services.registry().revision());
        // Of a server that has moved what was published last does not hold any more.
        let now = is_new.then(|| self.follow(config, services.registry().groups()));
        self.tell_traffic(services, workers);
        let heard = [self.verdicts.has_changed(), self.loads.has_changed()];
        if is_new || heard.iter().any(|changed| matches!(changed, Ok(true))) {
            self.tell(services, now);
        }
        self.revision = Some(services.registry().revision());
    }

    /// What is known of all servers.
    pub(super) fn view(&self) -> Vec<ServiceView> {
        self.watch.view()
    }

    fn follow(&mut self, config: &GatewayConfig, groups: &[service::Group]) -> Vec<Verdict> {
        let subject = |group: &service::Group, server: &service::Server| {
            let address = address(server);
            let device = address.and_then(|address| config::device(config, address));
            Subject {
                server: server.name().into(),
                address,
                port: server.port(group.kind().port()),
                device: device.map(Into::into),
            }
        };
        let watched = groups.iter().filter_map(|group| {
            let servers = group.servers().iter().map(|server| subject(group, server)).collect();
            Some(Group { service: group.name().into(), health: group.kind().health()?.clone(), servers })
        });
        let verdicts = self.watch.set(watched.collect());
        self.listen(config, groups);
        verdicts
    }

    /// Hears the nodes of pools, and asks their agents.
    fn listen(&mut self, config: &GatewayConfig, groups: &[service::Group]) {
        let (mut addresses, mut reporters, mut agents) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            let Kind::Pool(pool) = group.kind() else { continue };
            addresses.extend(pool.reports);
            for node in group.servers() {
                let Some(address) = address(node) else { continue };
                let reporter = Reporter { pool: group.name().into(), node: node.name().into(), address };
                if let Some((of_pool, device)) = pool.agent.as_ref().zip(config::device(config, address)) {
                    agents.push(Agent {
                        reporter: reporter.clone(),
                        device: device.into(),
                        port: of_pool.port,
                        path: of_pool.path.clone(),
                        interval: of_pool.interval,
                    });
                }
                reporters.extend(pool.reports.map(|_| reporter));
            }
        }
        self.ear.set(&addresses, reporters, agents);
    }

    fn tell_traffic(&self, services: &Services, workers: &[WorkerHandle]) {
        let groups = services.registry().groups().iter();
        let watched =
            groups.filter(|group| group.kind().health().is_some_and(|of| of.passive_fall.is_some()));
        let all = watched.flat_map(|group| group.servers().iter().map(move |server| (group, server)));
        let tallies = all.map(|(group, server)| {
            (group.name(), server.name(), tally(services.counts(server.id(), workers)))
        });
        self.watch.traffic(tallies);
    }

    /// Tells the registry what was published, or of verdicts what holds `now`.
    fn tell(&mut self, services: &mut Services, now: Option<Vec<Verdict>>) {
        let verdicts = now.map_or_else(|| Arc::clone(&self.verdicts.borrow_and_update()), Arc::from);
        let loads = Arc::clone(&self.loads.borrow_and_update());
        let dead: BTreeSet<(&str, &str)> = verdicts
            .iter()
            .filter(|verdict| !verdict.alive)
            .map(|verdict| (&*verdict.service, &*verdict.server))
            .collect();
        let loads: HashMap<(&str, &str), u32> =
            loads.iter().map(|load| ((&*load.pool, &*load.node), load.load)).collect();
        services.hear(|group, server| {
            let name = (group, server.name());
            (!dead.contains(&name), loads.get(&name).copied().unwrap_or_default())
        });
    }
}

fn address(server: &service::Server) -> Option<core::net::IpAddr> {
    match server.definition().place {
        Place::Address(address) => Some(address),
        Place::Mac(..) => None,
    }
}

const fn tally(counts: Counts) -> Tally {
    Tally { answered: counts.answered, unanswered: counts.unanswered, refused: counts.refused }
}
