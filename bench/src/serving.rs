//! A service that captures what passes through a router, and the rules that it is behind.
//!
//! The rules are like those of a provider: networks that are not captured, sites by their addresses, customers with a
//! port of their own, ports of UDP. Many hold for some property of a packet, and for all of them the last one alone,
//! so that none can be left out.

use crate::internet;
use std::net::{IpAddr, Ipv4Addr};
use weir_dataplane::config::route::Route;
use weir_dataplane::config::service::{Fallback, Place, Scheduler, Selector, Server, Service};
use weir_dataplane::config::{Rule, Services};
use weir_dataplane::subnet::Subnet;
use weir_dataplane::units::{Mark, ServerId, ServiceId};
use weir_dataplane::wire::IpProtocol;
use weir_tests::conversation::Side;
use weir_tests::node::port;
use weir_tests::rng::Rng;

/// The service's mark, and one that no service has.
const CAPTURED: Mark = Mark(1);
const COUNTED: Mark = Mark(2);

/// Servers of the service.
const SERVERS: usize = 8;

/// A service that takes TCP to port 80 by the last of `rules` rules, of which there is one at least. Its servers are
/// hosts in the LAN, reached directly; sites are behind `routes`.
pub fn capturing(rules: usize, routes: &[Route]) -> Services {
    let mut services = passing(rules - 1, routes);
    services.marks.push((over(IpProtocol::TCP, 80), Some(CAPTURED)));
    services
}

/// The same service behind so many rules that do not hold for any TCP to port 80 from the clients.
pub fn passing(rules: usize, routes: &[Route]) -> Services {
    let mut rng = Rng::new(0x4e1e);
    Services {
        marks: (0..rules).map(|n| bystander(n, &mut rng, routes)).collect(),
        services: vec![Service {
            id: ServiceId::FIRST,
            selector: Some(Selector::Mark(CAPTURED)),
            scheduler: Scheduler::Wlc,
            persistence: None,
            servers: servers().collect(),
            fallback: Fallback::Bypass,
        }],
        ..Services::default()
    }
}

/// Numbers of the servers.
pub fn server_ids() -> impl Iterator<Item = ServerId> {
    (0..SERVERS).filter_map(ServerId::new)
}

fn servers() -> impl Iterator<Item = Server> {
    // Host 0 is the router to the clients.
    server_ids().zip(1..).map(|(id, n)| Server::new(id, Place::Address(internet::host(n))))
}

/// Rule `n` of those that the clients' TCP to port 80 does not agree with.
fn bystander(n: usize, rng: &mut Rng, routes: &[Route]) -> (Rule, Option<Mark>) {
    let kind = n / 4;
    match n % 4 {
        0 => {
            let source = [172, 16 + (kind >> 13) as u8, (kind >> 5) as u8, (kind << 3) as u8];
            (Rule { source: Some(network(source, 29)), ..over(IpProtocol::TCP, 80) }, None)
        }
        1 => {
            let destination = Some(rng.pick(routes).to);
            (Rule { destination, ..over(IpProtocol::TCP, 443) }, Some(COUNTED))
        }
        2 => {
            let source = network([10, rng.next() as u8, rng.next() as u8, 0], 24);
            let rule =
                Rule { source: Some(source), port: Some(port(Side::Lan)), ..over(IpProtocol::TCP, 8080) };
            (rule, Some(COUNTED))
        }
        _ => (over(IpProtocol::UDP, 1024 + kind as u16), Some(COUNTED)),
    }
}

fn over(protocol: IpProtocol, port: u16) -> Rule {
    Rule { protocol: Some(protocol), destination_port: Some(port..=port), ..Rule::default() }
}

fn network(address: [u8; 4], prefix_len: u8) -> Subnet {
    Subnet { address: IpAddr::V4(Ipv4Addr::from(address)), prefix_len }
}
