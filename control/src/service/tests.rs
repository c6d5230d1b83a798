//! What the registry promises.

mod properties;

use super::*;
use crate::config::services::{self, Health, Node, Order, Pool, PoolRule, Services, Slices};
use core::net::IpAddr;
use core::time::Duration;
use weir_dataplane::config::Rule;
use weir_dataplane::config::service::{
    Assignment, Fallback, Method, Place, Scheduler, Selector, ServerState,
};
use weir_dataplane::units::{Mark, ServerId};
use weir_dataplane::wire::IpProtocol;

pub(super) fn address(n: u8) -> IpAddr {
    [10, 0, 0, n].into()
}

pub(super) fn server(name: &str, n: u8) -> services::Server {
    services::Server {
        name: name.to_owned(),
        place: Place::Address(address(n)),
        port: 0,
        method: Method::Direct,
        weight: 1,
        upper_threshold: 0,
        lower_threshold: 0,
        cost: 1,
        drain: false,
    }
}

pub(super) fn service(name: &str, mark: u32, servers: &[services::Server]) -> services::Service {
    services::Service {
        name: name.to_owned(),
        selector: Selector::Mark(Mark(mark)),
        scheduler: Scheduler::Wlc,
        order: Order::NewestFirst,
        persistence: None,
        fallback: Fallback::Reject,
        servers: servers.to_vec(),
        health: None,
        drain_timeout: Some(Duration::from_secs(60)),
    }
}

pub(super) fn health() -> Health {
    Health {
        check: None,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        passive_fall: Some(3),
        panic_threshold_percent: 0,
    }
}

pub(super) fn one(servers: &[services::Server]) -> Services {
    Services { services: vec![service("web", 1, servers)], ..Services::default() }
}

fn registry(config: &Services) -> Registry {
    let mut registry = Registry::default();
    registry.reload(config, 0).unwrap();
    registry
}

fn id(registry: &Registry, group: &str, name: &str) -> usize {
    registry.group(group).unwrap().server(name).unwrap().id().index()
}

fn names(registry: &Registry, group: &str) -> Vec<String> {
    registry.group(group).unwrap().servers().iter().map(|server| server.name().to_owned()).collect()
}

fn web<'a>(registry: &'a Registry, name: &str) -> &'a Server {
    registry.group("web").unwrap().server(name).unwrap()
}

fn change(registry: &mut Registry, name: &str, change: Change) -> Result<(), ChangeError> {
    registry.change(Collection::Services, "web", name, change, 1_000)
}

fn weight(weight: u16) -> Change {
    Change::Set(Settings { weight: Some(weight), ..Settings::default() })
}

#[test]
fn a_server_without_a_port_has_that_of_its_service() {
    let selector = Selector::Address { protocol: IpProtocol::TCP, address: address(80), port: 443 };
    let with_port = services::Server { port: 8443, ..server("b", 2) };
    let https = services::Service { selector, ..service("web", 0, &[server("a", 1), with_port]) };
    let registry = registry(&Services { services: vec![https], ..Services::default() });
    let port = registry.groups()[0].kind().port();
    assert_eq!(["a", "b"].map(|name| web(&registry, name).port(port)), [443, 8443]);
    assert_eq!(Kind::Service(service("marked", 1, &[])).port(), 0);
}

/// The server of this number lives, or does not; whether that is news.
fn set_alive(registry: &mut Registry, id: usize, alive: bool) -> bool {
    let of = |server: &Server| if server.id().index() == id { alive } else { server.is_alive() };
    registry.hear(|_, server| (of(server), server.reported_load()))
}

/// The node of this number has reported this load; whether that is news.
fn set_load(registry: &mut Registry, id: usize, load: u32) -> bool {
    let of = |server: &Server| if server.id().index() == id { load } else { server.reported_load() };
    registry.hear(|_, server| (server.is_alive(), of(server)))
}

/// Everybody has so many connections.
fn live(active: u64) -> impl Fn(ServerId) -> Counts {
    move |_| Counts { active, ..Counts::default() }
}

fn tick(registry: &mut Registry, now_ms: u64, active: u64) {
    registry.tick(now_ms, live(active), |_| ServiceCounts::default());
}

#[test]
fn a_server_keeps_its_number_until_its_name_or_place_changes() {
    let mut registry = registry(&one(&[server("a", 1), server("b", 2), server("c", 3)]));
    assert_eq!(["a", "b", "c"].map(|name| id(&registry, "web", name)), [0, 1, 2]);
    let heavy = services::Server { weight: 9, ..server("a", 1) };
    registry.reload(&one(&[server("c", 3), heavy, server("b2", 2)]), 5).unwrap();
    assert_eq!(["a", "c", "b2"].map(|name| id(&registry, "web", name)), [0, 2, 3]);
    assert_eq!(web(&registry, "a").weight(), 9);
    let retired: Vec<_> = registry.retired().map(|one| (one.server.name(), one.server.state())).collect();
    assert_eq!(retired, [("b", ServerState::Draining)]);
    registry.reload(&one(&[server("a", 7)]), 5).unwrap();
    assert_eq!(id(&registry, "web", "a"), 4, "it has moved");
}

#[test]
fn a_server_that_comes_back_while_it_drains_is_the_one_it_was() {
    let mut registry = registry(&one(&[server("a", 1), server("b", 2)]));
    registry.reload(&one(&[server("a", 1)]), 5).unwrap();
    registry.reload(&one(&[server("a", 1), server("b", 2)]), 9).unwrap();
    assert_eq!((id(&registry, "web", "b"), registry.retired().count()), (1, 0));
    assert_eq!(web(&registry, "b").state(), ServerState::Up);
}

#[test]
fn a_number_waits_for_connections_and_for_snapshots() {
    let mut registry = registry(&one(&[server("a", 1), server("b", 2)]));
    registry.reload(&one(&[server("b", 2)]), 0).unwrap();
    let (removed, all) = (registry.revision(), |registry: &Registry| registry.retired.len());
    tick(&mut registry, 10, 0);
    assert_eq!(registry.retired().count(), 1, "a worker may still give it connections");
    registry.set_in_force(removed);
    tick(&mut registry, 20, 3);
    assert_eq!(registry.retired().count(), 1, "it has connections");
    let opened = |_| Counts { opened: 1, ..Counts::default() };
    registry.tick(25, opened, |_| ServiceCounts::default());
    assert_eq!(registry.retired().count(), 1, "it has opened a flow itself");
    assert!(registry.compile().retired.iter().any(|server| server.id.index() == 0));
    tick(&mut registry, 30, 0);
    assert_eq!((registry.retired().count(), all(&registry)), (0, 1), "a snapshot has it");
    assert!(registry.compile().retired.is_empty());
    let without = registry.revision();
    assert_eq!(without, removed + 1);
    registry.set_in_force(without);
    let last = Counts { connections: 5, answered: 3, unanswered: 2, ..Counts::default() };
    registry.tick(40, |_| last, |_| ServiceCounts::default());
    assert_eq!(all(&registry), 0);
    assert_eq!(registry.revision(), without, "the packet path knows already");
    assert_eq!(registry.group("web").unwrap().past().connections, 5);
    let next = registry.counts_of(ServerId::FIRST, Counts { active: 1, unanswered: 3, ..last });
    assert_eq!(next, Counts { active: 1, unanswered: 1, ..Counts::default() }, "whoever has the number next");
}

#[test]
fn what_an_operator_says_holds_until_the_file_says_something_new() {
    let (a, b) = (server("a", 1), server("b", 2));
    let mut registry = registry(&one(&[a.clone(), b.clone()]));
    change(&mut registry, "a", weight(7)).unwrap();
    change(&mut registry, "b", Change::Drain { timeout: None }).unwrap();
    registry.reload(&one(&[a.clone(), b.clone()]), 2_000).unwrap();
    assert_eq!((web(&registry, "a").weight(), web(&registry, "b").state()), (7, ServerState::Draining));
    let [heavy, limited] =
        [services::Server { weight: 3, ..a }, services::Server { upper_threshold: 9, ..b }];
    registry.reload(&one(&[heavy, limited]), 3_000).unwrap();
    assert_eq!(web(&registry, "a").weight(), 3);
    assert_eq!(
        (web(&registry, "b").state(), web(&registry, "b").upper_threshold()),
        (ServerState::Draining, 9)
    );
    change(&mut registry, "b", Change::Undrain).unwrap();
    assert_eq!(web(&registry, "b").state(), ServerState::Up);
    assert_eq!(web(&registry, "b").settings(), Settings::default(), "it is as the file says");
}

#[test]
fn servers_that_operators_add_and_take_away_stay_so() {
    let (a, b) = (server("a", 1), server("b", 2));
    let mut registry = registry(&one(&[a.clone(), b.clone()]));
    change(&mut registry, "c", Change::Add(Definition::new("c".to_owned(), address(3)))).unwrap();
    change(&mut registry, "a", Change::Remove).unwrap();
    assert_eq!(names(&registry, "web"), ["b", "c"]);
    registry.reload(&one(&[a.clone(), b.clone()]), 5).unwrap();
    assert_eq!(names(&registry, "web"), ["b", "c"]);
    assert_eq!(registry.compile().services[0].servers.first().map(|first| first.id.index()), Some(2));
    let heavy = services::Server { weight: 9, ..a };
    registry.reload(&one(&[heavy, b, server("c", 3)]), 5).unwrap();
    assert_eq!(names(&registry, "web"), ["a", "b", "c"]);
    assert_eq!((id(&registry, "web", "c"), web(&registry, "c").is_added()), (2, false), "the file's now");
}

#[test]
fn a_server_that_was_taken_away_can_be_added_as_it_was() {
    let mut registry = registry(&one(&[server("a", 1)]));
    change(&mut registry, "a", Change::Remove).unwrap();
    change(&mut registry, "a", Change::Add(server("a", 1))).unwrap();
    assert_eq!((id(&registry, "web", "a"), web(&registry, "a").is_added()), (0, false));
    registry.reload(&Services::default(), 5).unwrap();
    assert_eq!((registry.groups().len(), registry.retired().count()), (0, 1));
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let mut registry = registry(&one(&[server("a", 1)]));
    change(&mut registry, "a", Change::Drain { timeout: Some(Duration::from_secs(2)) }).unwrap();
    tick(&mut registry, 2_999, 1);
    assert_eq!(web(&registry, "a").state(), ServerState::Draining);
    assert_eq!(web(&registry, "a").drain().unwrap().left_ms(2_999), Some(1));
    let before = registry.revision();
    tick(&mut registry, 3_000, 1);
    assert_eq!((web(&registry, "a").state(), registry.revision()), (ServerState::Drained, before + 1));
    change(&mut registry, "a", Change::Undrain).unwrap();
    assert_eq!(web(&registry, "a").state(), ServerState::Up);
}

#[test]
fn a_quiesced_server_keeps_its_last_weight() {
    let mut registry = registry(&one(&[services::Server { weight: 0, ..server("a", 1) }]));
    let last = |registry: &Registry| registry.compile().services[0].servers[0].last_weight;
    assert_eq!(last(&registry), 0);
    for (set, expected) in [(5, 5), (0, 5), (2, 2), (0, 2)] {
        change(&mut registry, "a", weight(set)).unwrap();
        assert_eq!(last(&registry), expected, "after {set}");
    }
}

#[test]
fn verdicts_are_told_once_and_forgotten_with_the_checks() {
    let unchecked = one(&[server("a", 1)]);
    let mut checked = unchecked.clone();
    checked.services[0].health = Some(health());
    let mut registry = registry(&checked);
    let before = registry.revision();
    assert!(set_alive(&mut registry, 0, false) && !set_alive(&mut registry, 0, false));
    assert_eq!((registry.revision(), web(&registry, "a").state()), (before + 1, ServerState::Dead));
    registry.reload(&checked, 1).unwrap();
    assert!(!web(&registry, "a").is_alive());
    registry.reload(&unchecked, 1).unwrap();
    assert!(web(&registry, "a").is_alive());
    assert!(!set_alive(&mut registry, 77, false), "nobody");
}

#[test]
fn the_order_is_the_one_that_the_service_wants() {
    let mut config = one(&[server("x", 2), server("y", 1), server("z", 3)]);
    let order = |config: &Services| {
        let servers = registry(config).compile().services[0].servers.clone();
        servers.iter().map(|server| server.place.address()).collect::<Vec<_>>()
    };
    assert_eq!(order(&config), [address(3), address(1), address(2)]);
    config.services[0].order = Order::Address;
    assert_eq!(order(&config), [address(1), address(2), address(3)]);
}

#[test]
fn a_service_gives_its_port_to_servers_without_one() {
    let mut config = one(&[server("a", 1), services::Server { port: 3128, ..server("b", 2) }]);
    let protocol = IpProtocol::TCP;
    config.services[0].selector = Selector::Address { protocol, address: address(80), port: 80 };
    let ports: Vec<u16> =
        registry(&config).compile().services[0].servers.iter().map(|server| server.port).collect();
    assert_eq!(ports, [3128, 80]);
}

fn pool() -> Services {
    let node = |name: &str, n: u8, cost, up| Node {
        name: name.to_owned(),
        place: Place::Address(address(n)),
        up,
        cost,
    };
    let to_port = |port: u16| Rule { destination_port: Some(port..=port), ..Rule::default() };
    let pool = Pool {
        name: "front".to_owned(),
        nodes: vec![node("a", 1, 10, true), node("b", 2, 5, false)],
        rules: vec![
            PoolRule { rule: to_port(80), node: None },
            PoolRule { rule: to_port(22), node: Some(1) },
        ],
        fallback: Fallback::Drop,
        reports: None,
        agent: None,
        slices: Some(Slices { address: address(9), first_port: 4096, ports_a_node: 1024 }),
        health: None,
        drain_timeout: None,
    };
    Services {
        services: vec![service("web", 1, &[server("s", 8)])],
        pools: vec![pool],
        ..Services::default()
    }
}

#[test]
fn a_pool_is_a_service_that_rules_send_traffic_to() {
    let registry = registry(&pool());
    let compiled = registry.compile();
    let service = &compiled.services[1];
    assert_eq!((service.selector, service.scheduler), (None, Scheduler::LeastLoad));
    let nodes: Vec<_> = service.servers.iter().map(|node| (node.id.index(), node.cost, node.state)).collect();
    assert_eq!(nodes, [(1, 10, ServerState::Up), (2, 5, ServerState::Draining)]);
    let to: Vec<_> = compiled
        .assignments
        .iter()
        .map(|(rule, to)| {
            (rule.destination.map(|net| net.address), rule.destination_port.clone().unwrap(), *to)
        })
        .collect();
    let [a, b] = [1, 2].map(|place| Assignment::Server(ServerId::new(place).unwrap()));
    let expected = [
        (Some(address(9)), 4096..=5119, a),
        (Some(address(9)), 5120..=6143, b),
        (None, 80..=80, Assignment::Service(service.id)),
        (None, 22..=22, b),
    ];
    assert_eq!(to, expected);
}

#[test]
fn a_node_that_traffic_is_for_alone_stays() {
    let mut config = pool();
    let remove = |config: &Services, node: &str| {
        registry(config)
            .change(Collection::Pools, "front", node, Change::Remove, 0)
            .map_err(|error| error.to_string())
    };
    assert!(remove(&config, "a").unwrap_err().contains("for node `a` alone"), "it has ports");
    config.pools[0].slices = None;
    assert_eq!(remove(&config, "a"), Ok(()));
    assert!(remove(&config, "b").is_err(), "a rule names it");
}

#[test]
fn a_load_is_told_when_it_is_another() {
    let mut registry = registry(&pool());
    let node = 1;
    assert!(set_load(&mut registry, node, 40) && !set_load(&mut registry, node, 40));
    assert_eq!(registry.compile().services[1].servers[0].reported_load, 40);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut v6 = Definition::new("d".to_owned(), "2001:db8::1".parse().unwrap());
    let mut config = one(&[server("a", 1)]);
    let protocol = IpProtocol::TCP;
    config.services[0].selector = Selector::Address { protocol, address: address(80), port: 80 };
    let mut registry = registry(&config);
    let add = |name: &str, n| Change::Add(Definition::new(name.to_owned(), address(n)));
    let crossed = Settings { upper_threshold: Some(1), lower_threshold: Some(2), ..Settings::default() };
    let cases = [
        ("b", weight(1), "has no server `b`; it has: a"),
        ("b", Change::Remove, "has no server `b`"),
        ("a", add("a", 9), "`a` of `web` has the same name"),
        ("b", add("b", 1), "the same address and port"),
        ("a", Change::Set(crossed), "lower threshold 2 is above the upper one 1"),
        ("a", Change::Set(Settings { cost: Some(0), ..Settings::default() }), "at least 1"),
        ("d", Change::Add(v6.clone()), "the same IP version"),
    ];
    let before = registry.compile();
    for (name, order, message) in cases {
        let error = change(&mut registry, name, order).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let nowhere = registry.change(Collection::Pools, "web", "a", weight(1), 0).unwrap_err().to_string();
    assert_eq!(nowhere, "there is no pool `web`; there are: none");
    assert_eq!(format!("{before:?}"), format!("{:?}", registry.compile()));
    v6.method = Method::Ipip;
    change(&mut registry, "d", Change::Add(v6)).unwrap();
}

#[test]
fn what_servers_ask_for_themselves_is_not_their_services() {
    let wide = Rule { protocol: Some(IpProtocol::TCP), ..Rule::default() };
    let to = |net: &str| Rule { destination: net.parse().ok(), ..wide.clone() };
    let of_clients = Rule { source: "10.0.0.128/25".parse().ok(), ..wide.clone() };
    let given = [wide.clone(), to("192.0.2.80"), of_clients, to("192.0.2.0/24")];
    let mut marks: Vec<_> = given.into_iter().map(|rule| (rule, Some(Mark(1)))).collect();
    marks[3].1 = Some(Mark(2));
    let services = Services { marks: marks.clone(), ..one(&[server("a", 1)]) };
    let mut registry = registry(&services);
    change(&mut registry, "b", Change::Add(Definition::new("b".to_owned(), address(2)))).unwrap();
    let spared = |net: &str| (Rule { source: net.parse().ok(), ..wide.clone() }, None);
    let expected = [vec![spared("10.0.0.1"), spared("10.0.0.2")], marks].concat();
    assert_eq!(registry.compile().marks, expected);
}

#[test]
fn there_is_an_end_to_numbers() {
    let servers: Vec<_> =
        (0..4096).map(|n: u16| services::Server { port: n, ..server(&n.to_string(), 1) }).collect();
    let mut registry = registry(&one(&servers));
    let more = Definition::new("more".to_owned(), address(2));
    assert_eq!(change(&mut registry, "more", Change::Add(more)), Err(ChangeError::Full(Full::Servers)));
    let other = services::Server { name: "other".to_owned(), ..servers[0].clone() };
    let config = one(&[&[other], &servers[1..]].concat());
    assert_eq!(registry.reload(&config, 0), Err(Full::Servers), "the one that drains has its number yet");
    assert_eq!(registry.all_servers().count(), 4096);
}
