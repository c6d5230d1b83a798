//! What the packet path is told of services and pools.

use super::group::{Group, Kind};
use super::registry::{Registry, Retired};
use super::server::Server;
use crate::config::services::{Order, Service, Slices};
use weir_dataplane::config::Rule;
use weir_dataplane::config::service::{self, Assignment, Scheduler, Services};
use weir_dataplane::subnet::Subnet;

impl Registry {
    /// What the packet path is told.
    pub fn compile(&self) -> Services {
        let retired = self.retired().map(|Retired { server, .. }| server.compile(0));
        Services {
            marks: self.marks(),
            assignments: self.groups.iter().flat_map(assignments).collect(),
            services: self.groups.iter().map(service).collect(),
            retired: retired.collect(),
        }
    }
}

fn service(group: &Group) -> service::Service {
    match &group.kind {
        Kind::Service(config) => of_service(group, config),
        Kind::Pool(pool) => service::Service {
            id: group.id(),
            selector: None,
            scheduler: Scheduler::LeastLoad,
            persistence: None,
            servers: group.servers.iter().map(|server| server.compile(0)).collect(),
            fallback: pool.fallback,
        },
    }
}

fn of_service(group: &Group, config: &Service) -> service::Service {
    let port = group.kind.port();
    let mut servers: Vec<_> = group.servers.iter().map(|server| server.compile(port)).collect();
    match config.order {
        Order::NewestFirst => servers.reverse(),
        Order::Address => servers.sort_by_key(|server| (server.place.address(), server.port)),
    }
    service::Service {
        id: group.id(),
        selector: Some(config.selector),
        scheduler: config.scheduler,
        persistence: config.persistence,
        servers,
        fallback: config.fallback,
    }
}

/// A pool's traffic: first the ports that are nodes' own, then its rules.
fn assignments(group: &Group) -> Vec<(Rule, Assignment)> {
    let Kind::Pool(pool) = &group.kind else { return Vec::new() };
    let node = |place: usize| group.server(&pool.nodes.get(place)?.name).map(Server::id);
    let slices = pool.slices.iter().flat_map(|slices| {
        let owned = (0..pool.nodes.len()).filter_map(|place| Some((slice(slices, place)?, node(place)?)));
        owned.map(|(rule, id)| (rule, Assignment::Server(id))).collect::<Vec<_>>()
    });
    let rules = pool.rules.iter().map(|rule| {
        let to = match rule.node.and_then(node) {
            Some(node) => Assignment::Server(node),
            None => Assignment::Service(group.id()),
        };
        (rule.rule.clone(), to)
    });
    slices.chain(rules).collect()
}

/// The packets that are for the node at `place` alone, since it has their port for its own.
fn slice(slices: &Slices, place: usize) -> Option<Rule> {
    let (address, ports) = (slices.address, slices.ports_of(place)?);
    let prefix_len = if address.is_ipv4() { 32 } else { 128 };
    Some(Rule {
        destination: Some(Subnet { address, prefix_len }),
        destination_port: Some(ports),
        ..Rule::default()
    })
}
