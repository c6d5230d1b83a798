//! Who takes flows to an address, as `weir explain` says it.

use super::Services;
use super::rows::scheduler;
use crate::api::ExplainRequest;
use crate::config::services::{Pool, Service, captures};
use crate::observe::Taker;
use crate::observe::protocol::protocol_name;
use crate::service::{Group, Kind};
use core::net::IpAddr;
use core::ops::RangeInclusive;
use weir_dataplane::classify::Facts;
use weir_dataplane::config::Rule;
use weir_dataplane::config::service::{Scheduler, Selector};
use weir_dataplane::key::{Address, Family};
use weir_dataplane::units::{Mark, PortId, ServerId};
use weir_dataplane::wire::IpProtocol;

impl Services {
    /// The pools and services that take flows to an address, in the order in which they are asked. Of rules that look at
    /// more than addresses, protocol and destination port the rest is taken to hold.
    pub(in crate::runtime) fn takers(&self, address: IpAddr, request: ExplainRequest) -> Vec<Taker> {
        let pools = self.registry.groups().iter().filter_map(|group| match group.kind() {
            Kind::Pool(pool) => Some(self.pool_takers(group, pool, address, request)),
            Kind::Service(_) => None,
        });
        let services = self.registry.groups().iter().filter_map(|group| match group.kind() {
            Kind::Service(service) => Some(self.service_takers(group, service, address, request)),
            Kind::Pool(_) => None,
        });
        pools.flatten().chain(services.flatten()).collect()
    }

    fn pool_takers(
        &self,
        group: &Group,
        pool: &Pool,
        address: IpAddr,
        request: ExplainRequest,
    ) -> Vec<Taker> {
        let places = pool.slices.iter().filter(|slices| slices.address == address);
        let places =
            places.flat_map(|slices| (0..pool.nodes.len()).map(|place| (place, slices.ports_of(place))));
        let own = places.filter_map(|(place, ports)| Some((Some(place), ports?)));
        let own = own.filter(|(_, ports)| request.dport.is_none_or(|dport| ports.contains(&dport)));
        let rules = pool.rules.iter().filter(|rule| is_for(&rule.rule, address, request));
        let taker = |(node, traffic): (Option<usize>, String)| Taker {
            kind: group.kind().collection().group_word().to_owned(),
            name: pool.name.clone(),
            traffic,
            scheduler: node.is_none().then(|| scheduler(Scheduler::LeastLoad).to_owned()),
            server: node.and_then(|place| Some(pool.nodes.get(place)?.name.clone())),
        };
        let own = own.map(|(node, ports)| (node, words(None, Some(&ports))));
        own.chain(rules.map(|rule| (rule.node, traffic(&rule.rule)))).map(taker).collect()
    }

    fn service_takers(
        &self,
        group: &Group,
        service: &Service,
        address: IpAddr,
        request: ExplainRequest,
    ) -> Vec<Taker> {
        let traffics = match service.selector {
            Selector::Mark(mark) => {
                let has =
                    |src| group.servers().iter().any(|server| server.definition().place.address() == src);
                let own = |rule: &Rule| request.src.is_some_and(|src| has(src) && captures(rule, src));
                let marks = self.registry.marks();
                let marking = marks.iter().filter(|(_, given)| *given == Some(mark)).map(|(rule, _)| rule);
                let marking = marking.filter(|rule| is_for(rule, address, request) && !own(rule));
                marking.map(traffic).collect()
            }
            Selector::Address { protocol, address: own, port } => {
                let meant = own == address && (port == 0 || request.dport.is_none_or(|dport| dport == port));
                let port = (port != 0).then_some(port..=port);
                meant.then(|| words(Some(protocol), port.as_ref())).into_iter().collect::<Vec<_>>()
            }
        };
        let server = self.hashed(group, service, address, request);
        let server = server.and_then(|id| group.servers().iter().find(|server| server.id() == id));
        let taker = |traffic| Taker {
            kind: group.kind().collection().group_word().to_owned(),
            name: service.name.clone(),
            traffic,
            scheduler: Some(scheduler(service.scheduler).to_owned()),
            server: server.map(|server| server.name().to_owned()),
        };
        traffics.into_iter().map(taker).collect()
    }

    /// The server that the addresses alone say, thresholds aside.
    fn hashed(
        &self,
        group: &Group,
        service: &Service,
        address: IpAddr,
        ExplainRequest { src, sport, .. }: ExplainRequest,
    ) -> Option<ServerId> {
        let with_port = match service.scheduler {
            Scheduler::Dh => None,
            Scheduler::Sh(hashing) => Some(hashing.port),
            Scheduler::Mh(hashing) => Some(hashing.port),
            _ => return None,
        };
        let (source, source_port) = match with_port {
            None => (src.unwrap_or(address), 0),
            Some(false) => (src?, 0),
            Some(true) => (src?, sport?),
        };
        // A client that has been there already goes where it has been.
        let forgets = service.persistence.is_none();
        let facts = Facts {
            family: Family::of(address),
            source: Address::from_ip(source),
            destination: Address::from_ip(address),
            protocol: IpProtocol::TCP,
            ports: (source_port, 0),
            port: PortId::FIRST,
            vlan: None,
            mark: Mark::default(),
        };
        forgets.then(|| self.compiled.hashed(group.id(), &facts))?
    }
}

/// Whether a rule is for flows to an address, as far as is known of them.
fn is_for(rule: &Rule, address: IpAddr, ExplainRequest { src, dport, .. }: ExplainRequest) -> bool {
    rule.destination.is_none_or(|subnet| subnet.contains(address))
        && rule.source.is_none_or(|subnet| src.is_none_or(|src| subnet.contains(src)))
        && rule.destination_port.as_ref().is_none_or(|ports| dport.is_none_or(|dport| ports.contains(&dport)))
}

/// Which flows a rule is for, besides where they go.
fn traffic(rule: &Rule) -> String {
    let from = rule.source.map_or_else(String::new, |source| format!(" from {source}"));
    let marked = rule.mark.map_or_else(String::new, |mark| format!(" with mark {}", mark.0));
    words(rule.protocol, rule.destination_port.as_ref()) + &from + &marked
}

fn words(protocol: Option<IpProtocol>, ports: Option<&RangeInclusive<u16>>) -> String {
    let protocol = protocol.map_or_else(
        || "any protocol".to_owned(),
        |protocol| protocol_name(protocol).map_or_else(|| protocol.0.to_string(), str::to_owned),
    );
    match ports {
        Some(ports) if ports.start() == ports.end() => format!("{protocol} port {}", ports.start()),
        Some(ports) => format!("{protocol} ports {}-{}", ports.start(), ports.end()),
        None => protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::sync::Arc;
    use weir_dataplane::counters::WorkerCounters;
    use weir_dataplane::steer::service::Dispatch;
    use weir_dataplane::tally::Tallies;
    use weir_dataplane::units::Tick;

    const TEXT: &str = "
node: gw1
ports:
  - { name: lan, device: net_null0, addresses: [192.0.2.1/24] }
  - { name: wan, device: net_null1, addresses: [198.51.100.1/24] }
forwarding: { mode: route }
marks:
  - { protocol: tcp, destination_port: 80, mark: 1 }
services:
  - { name: cache, mark: 1, scheduler: lblc, servers: [{ name: c, address: 198.51.100.9 }] }
  - name: web
    protocol: tcp
    address: 203.0.113.80
    port: 443
    scheduler: sh
    servers: [{ name: a, address: 198.51.100.7 }, { name: b, address: 198.51.100.8 }, { name: c, address: 198.51.100.9 }]
  - name: mail
    protocol: tcp
    address: 203.0.113.80
    port: 25
    scheduler: mh
    mh: { port: true }
    servers: [{ name: a, address: 198.51.100.7 }, { name: b, address: 198.51.100.8, drain: true }]
  - name: shop
    protocol: tcp
    address: 203.0.113.80
    port: 0
    scheduler: sh
    persistence: { timeout_s: 60 }
    servers: [{ name: a, address: 198.51.100.7 }]
pools:
  - name: front
    nodes: [{ name: n, address: 198.51.100.10, cost: 1 }]
    rules:
      - { destination: 203.0.113.80, protocol: udp, destination_port: 53 }
      - { destination: 203.0.113.80, protocol: tcp, destination_port: 22, node: n }
    slices: { address: 203.0.113.80, first_port: 4096, ports_a_node: 1000 }
";

    fn services() -> Services {
        let config = config::parse("a.yaml", TEXT).unwrap_or_else(|errors| panic!("{errors}"));
        let mut services = Services::new(config.config.services()).unwrap();
        services.compile();
        services
    }

    fn told(services: &Services, address: &str, request: ExplainRequest) -> Vec<String> {
        let taker = |Taker { name, traffic, scheduler, server, .. }: Taker| {
            let how = [scheduler, server].map(|part| part.unwrap_or_else(|| "-".to_owned()));
            format!("{name}: {traffic}, {}", how.join(" "))
        };
        services.takers(address.parse().unwrap(), request).into_iter().map(taker).collect()
    }

    #[test]
    fn those_are_named_that_take_flows_to_an_address() {
        let services = services();
        let expected = [
            "front: any protocol ports 4096-5095, - n",
            "front: udp port 53, least_load -",
            "front: tcp port 22, - n",
            "cache: tcp port 80, lblc -",
            "web: tcp port 443, sh -",
            "mail: tcp port 25, mh -",
            "shop: tcp, sh -",
        ];
        assert_eq!(told(&services, "203.0.113.80", ExplainRequest::default()), expected);
        let of_port = |dport| ExplainRequest { dport: Some(dport), ..ExplainRequest::default() };
        assert_eq!(
            told(&services, "203.0.113.80", of_port(22)),
            ["front: tcp port 22, - n", "shop: tcp, sh -"]
        );
        assert_eq!(told(&services, "203.0.113.81", of_port(80)), ["cache: tcp port 80, lblc -"]);
        let from = |src: [u8; 4]| ExplainRequest { src: Some(src.into()), ..of_port(80) };
        assert_eq!(told(&services, "203.0.113.81", from([198, 51, 100, 8])), ["cache: tcp port 80, lblc -"]);
        assert!(told(&services, "203.0.113.81", from([198, 51, 100, 9])).is_empty(), "the cache's own");
        assert!(told(&services, "203.0.113.81", of_port(81)).is_empty());
        assert_eq!(
            told(&services, "203.0.113.80", of_port(4500))[0],
            "front: any protocol ports 4096-5095, - n"
        );
    }

    #[test]
    fn the_server_that_a_hash_says_is_the_one_that_gets_the_connection() {
        let services = services();
        let address = IpAddr::from([203, 0, 113, 80]);
        let mut memories = services.compiled.memories(None);
        let mut tallies = Tallies::new(Arc::new(WorkerCounters::default()));
        services.compiled.servers().iter().for_each(|server| tallies.set(server));
        for (n, (dport, name)) in (0..40).flat_map(|n| [(n, (443, "web")), (n, (25, "mail"))]) {
            let source = IpAddr::from([192, 0, 2, 100 + n]);
            let facts = Facts {
                family: Family::V4,
                source: Address::from_ip(source),
                destination: Address::from_ip(address),
                protocol: IpProtocol::TCP,
                ports: (5000 + u16::from(n), dport),
                port: PortId::default(),
                vlan: None,
                mark: Mark::default(),
            };
            let now = Tick::default();
            let (_, chosen) = services.compiled.dispatch(&facts, || 0, &mut memories, &tallies, now);
            let request =
                ExplainRequest { src: Some(source), sport: Some(facts.ports.0), dport: Some(dport) };
            let takers = services.takers(address, request);
            let said = takers.into_iter().find(|taker| taker.name == name).and_then(|taker| taker.server);
            let said = said.and_then(|server| services.id_of(name, &server));
            match chosen {
                Dispatch::Serve(server) => assert_eq!(said, Some(server), "{source} to {name}"),
                _ => assert_eq!(said, None, "{source} to {name}: its server drains"),
            }
        }
    }
}
