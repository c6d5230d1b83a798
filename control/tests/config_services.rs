//! What `marks`, `services` and `pools` come to: defaults, every key, warnings, and that no file of that shape upsets
//! the reader.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::time::Duration;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use weir_control::config::services::{Agent, Check, Order, Pool, Service};
use weir_control::config::{self, ConfigErrors, Problem, Services};
use weir_dataplane::config::Rule;
use weir_dataplane::config::service::{
    Fallback, Locality, MaglevHashing, Method, Persistence, Place, Scheduler, Selector, SourceHashing,
};
use weir_dataplane::units::{InterfaceId, Mark, PortId, Span, VlanId};
use weir_dataplane::wire::{IpProtocol, MacAddr};

const ROUTER: &str = "node: gw1\nforwarding: {mode: route}\nports:\n  \
                      - {name: lan, device: net_null0, tap: weir-lan, addresses: [10.0.0.1/24], vlans: [{id: 7, addresses: [10.0.7.1/24]}]}\n  \
                      - {name: wan, device: net_null1, addresses: [198.51.100.2/24, '2001:db8::1/64']}\n\
                      routes:\n  - {to: 10.8.0.0/16, via: 198.51.100.1}\n  - {to: 10.9.0.0/16, dev: wan}\n";

fn accept(more: &str) -> (Services, Vec<String>) {
    let loaded =
        config::parse("test.yaml", &format!("{ROUTER}{more}")).unwrap_or_else(|errors| panic!("{errors}"));
    let warnings = loaded.warnings.into_iter().map(|Problem { message, .. }| message).collect();
    (loaded.config.services().clone(), warnings)
}

fn only_service(more: &str) -> Service {
    let (services, warnings) = accept(more);
    assert_eq!(warnings, [""; 0], "{more}");
    let [service] = services.services.try_into().unwrap();
    service
}

#[test]
fn a_check_without_a_tap_is_warned_about() {
    let health = |check: &str, address: &str| {
        let server = format!("servers: [{{name: a, address: {address}}}]");
        let health = format!("health: {{check: {check}}}");
        accept(&format!(
            "services:\n  - {{name: s, protocol: tcp, address: 192.0.2.80, port: 80, {server}, {health}}}\n"
        ))
        .1
    };
    assert_eq!(health("tcp", "10.0.0.2"), [""; 0]);
    let expected = "`198.51.100.7` cannot be asked, and counts as alive: its port has no `tap`";
    assert_eq!(health("tcp", "198.51.100.7"), [expected]);
    assert_eq!(health("script, program: /bin/true", "198.51.100.7"), [""; 0]);
}

#[test]
fn what_services_remember_is_counted() {
    let warned = |more: &str, keys: &str| {
        let service = "name: s, mark: 1, servers: [{name: a, address: 10.0.0.2}]";
        let text = format!(
            "marks: [{mark}]\nservices:\n  - {{{service}, {keys}}}\n{more}",
            mark = "{port: lan, destination: 192.0.2.1, mark: 1}"
        );
        accept(&text).1
    };
    let (three, large) = ("workers: {count: 3}\n", "persistence: {clients_max: 16777216}");
    assert_eq!(warned("", large), [""; 0]);
    assert_eq!(warned(three, large), ["what services remember takes 1536 MiB, 512 a worker"]);
    assert_eq!(warned(three, "persistence: {}"), [""; 0]);
    let table = "scheduler: lblc, locality: {entries_max: 16777216, members_max: 16777216}";
    assert_eq!(warned(three, table).len(), 1);
}

#[test]
fn defaults_are_those_of_ipvs() {
    let service = only_service(
        "services:\n  - {name: web, protocol: tcp, address: 192.0.2.80, port: 80, servers: [{name: a, address: 10.0.0.2}]}\n",
    );
    let address = "192.0.2.80".parse().unwrap();
    assert_eq!(service.selector, Selector::Address { protocol: IpProtocol::TCP, address, port: 80 });
    assert_eq!((service.scheduler, service.order), (Scheduler::Wlc, Order::NewestFirst));
    assert_eq!((service.persistence, service.fallback), (None, Fallback::Reject));
    assert_eq!((service.health, service.drain_timeout), (None, None));
    let server = &service.servers[0];
    assert_eq!(server.place, Place::Address("10.0.0.2".parse().unwrap()));
    assert_eq!((server.port, server.method, server.weight, server.drain), (0, Method::Direct, 1, false));
    assert_eq!((server.upper_threshold, server.lower_threshold), (0, 0));
    let persistent = only_service(
        "services:\n  - {name: any, protocol: udp, address: '2001:db8::80', port: 0, persistence: {}, \
         servers: [{name: a, address: '2001:db8::2'}]}\n",
    );
    let timeout = Span::from_s(300).unwrap();
    let defaults = Persistence { timeout, ipv4_prefix_len: 32, ipv6_prefix_len: 128, clients_max: 65_536 };
    assert_eq!(persistent.persistence, Some(defaults));
}

#[test]
fn each_scheduler_goes_by_its_name() {
    let named = |more: &str| {
        let marks = "marks: [{port: wan, mark: 1}]\n";
        let servers = "servers: [{name: a, address: 10.0.7.2, weight: 9}]";
        only_service(&format!("{marks}services:\n  - {{name: s, mark: 1, {more}, {servers}}}\n")).scheduler
    };
    let plain = [
        ("rr", Scheduler::Rr),
        ("wrr", Scheduler::Wrr),
        ("lc", Scheduler::Lc),
        ("wlc", Scheduler::Wlc),
        ("sed", Scheduler::Sed),
        ("nq", Scheduler::Nq),
        ("fo", Scheduler::Fo),
        ("ovf", Scheduler::Ovf),
        ("dh", Scheduler::Dh),
        ("sh", Scheduler::Sh(SourceHashing::default())),
        ("mh", Scheduler::Mh(MaglevHashing::default())),
        ("twos", Scheduler::Twos),
        ("lblc", Scheduler::Lblc(Locality::default())),
        ("lblcr", Scheduler::Lblcr(Locality::default())),
    ];
    for (name, scheduler) in plain {
        assert_eq!(named(&format!("scheduler: {name}")), scheduler, "{name}");
    }
    let sh = named("scheduler: sh, sh: {bits: 10, port: true, fallback: true}");
    assert_eq!(sh, Scheduler::Sh(SourceHashing { bits: 10, port: true, fallback: true }));
    let mh = named("scheduler: mh, mh: {size: 251, fallback: true}");
    assert_eq!(mh, Scheduler::Mh(MaglevHashing { size: 251, port: false, fallback: true }));
    let lblcr = named(
        "scheduler: lblcr, locality: {entries_max: 10, members_max: 20, expiration_s: 60, idle_s: 0.5}",
    );
    let (expiration, idle) = (Span::from_s(60).unwrap(), Span::from_ms(500).unwrap());
    assert_eq!(lblcr, Scheduler::Lblcr(Locality { entries_max: 10, members_max: 20, expiration, idle }));
}

#[test]
fn a_rule_says_all_that_it_may() {
    let (services, warnings) = accept(
        "marks:\n  - {source: 10.0.7.0/29, mark: none}\n  - {source: 10.0.0.0/16, destination: 192.0.2.80, \
         protocol: sctp, source_port: 1024-65535, destination_port: 80, port: lan, vlan: 7, mark: 0xdead}\n  \
         - {protocol: 47, mark: 4294967295}\n",
    );
    assert_eq!(
        warnings,
        [57_005, u32::MAX].map(|mark| format!("no service and no rule of a pool is for mark {mark}"))
    );
    let [spared, all, gre] = services.marks.as_slice() else { panic!("three marks") };
    assert_eq!(*spared, (Rule { source: "10.0.7.0/29".parse().ok(), ..Rule::default() }, None));
    let said = Rule {
        source: "10.0.0.0/16".parse().ok(),
        destination: "192.0.2.80/32".parse().ok(),
        protocol: Some(IpProtocol::SCTP),
        source_port: Some(1024..=65535),
        destination_port: Some(80..=80),
        port: PortId::new(0),
        vlan: VlanId::new(7),
        mark: None,
    };
    assert_eq!(*all, (said, Some(Mark(0xdead))));
    assert_eq!(*gre, (Rule { protocol: Some(IpProtocol::GRE), ..Rule::default() }, Some(Mark(u32::MAX))));
}

#[test]
fn a_pool_is_nodes_rules_and_slices() {
    let (services, warnings) = accept(
        "marks: [{port: wan, mark: 3}]\npools:\n  - name: front\n    nodes: [{name: a, address: 10.9.0.2, cost: 10}, \
         {name: b, mac: '02:00:00:00:00:02', dev: lan.7, state: down}]\n    rules: [{destination: 192.0.2.1, \
         destination_port: 22, node: b}, {mark: 3}]\n    slices: {address: 192.0.2.1, first_port: 4096, \
         ports_a_node: 30720}\n    reports: 10.0.0.1:9476\n    \
         agent: {port: 9477, interval_s: 0.5}\n    fallback: drop\n    drain_timeout_s: 1.5\n    \
         health: {passive_fall: 4}\n",
    );
    assert_eq!(warnings, ["`10.9.0.2` cannot be asked, and counts as idle: its port has no `tap`"]);
    let [Pool { nodes, rules, .. }] = services.pools.as_slice() else { panic!("a pool") };
    let [a, b] = nodes.as_slice() else { panic!("two nodes") };
    assert_eq!((a.name.as_str(), a.up, a.cost), ("a", true, 10));
    let place = Place::Mac(InterfaceId::new(1).unwrap(), MacAddr([2, 0, 0, 0, 0, 2]));
    assert_eq!((b.place, b.up, b.cost), (place, false, 1));
    assert_eq!(rules.iter().map(|rule| rule.node).collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!(rules[1].rule, Rule { mark: Some(Mark(3)), ..Rule::default() });
    let pool = &services.pools[0];
    assert_eq!(pool.slice_ports(), Some(4096..=65535));
    assert_eq!(pool.reports, "10.0.0.1:9476".parse().ok());
    let agent = Agent { port: 9477, path: "/load".to_owned(), interval: Duration::from_millis(500) };
    assert_eq!(pool.agent, Some(agent));
    assert_eq!((pool.fallback, pool.drain_timeout), (Fallback::Drop, Some(Duration::from_millis(1500))));
    let health = pool.health.as_ref().unwrap();
    assert_eq!((&health.check, health.passive_fall), (&None, Some(4)));
}

#[test]
fn a_check_asks_the_port_of_the_service_unless_it_names_another() {
    let check = |port: u16, health: &str| {
        let service = format!("protocol: tcp, address: 192.0.2.80, port: {port}, persistence: {{}}");
        let servers = "servers: [{name: a, address: 10.0.0.2}]";
        let text = format!("services:\n  - {{name: s, {service}, {servers}, health: {{{health}}}}}\n");
        only_service(&text).health.unwrap().check.unwrap()
    };
    assert_eq!(check(80, "check: icmp"), Check::Icmp);
    assert_eq!(check(8080, "check: tcp"), Check::Tcp { port: 8080 });
    assert_eq!(check(8080, "check: tcp, port: 81"), Check::Tcp { port: 81 });
    let page = |tls, port| {
        let path = "/".to_owned();
        Check::Http { tls, port, path, host: None, status: 200..=399, body: None }
    };
    assert_eq!(check(0, "check: http"), page(false, 80));
    assert_eq!(check(0, "check: https"), page(true, 443));
    assert_eq!(check(8443, "check: https"), page(true, 8443));
    let named = Check::Dns { port: 53, name: "example.com".to_owned() };
    assert_eq!(check(0, "check: dns, name: example.com"), named);
    let script = |port| Check::Script { program: "/bin/ask".into(), arguments: vec!["-q".to_owned()], port };
    let asked = "check: script, program: /bin/ask, arguments: ['-q']";
    assert_eq!(check(80, asked), script(None));
    assert_eq!(check(80, &format!("{asked}, port: 81")), script(Some(81)));
    let all = "check: http, path: /up, host: www.example.com, status: 204, body: fine";
    let Check::Http { path, host, status, body, .. } = check(80, all) else { panic!("a page") };
    assert_eq!((path.as_str(), status), ("/up", 204..=204));
    assert_eq!((host.as_deref(), body.as_deref()), (Some("www.example.com"), Some("fine")));
}

fn warned(more: &str, what: &[&str]) {
    let (_, warnings) = accept(more);
    assert_eq!(warnings, what, "{more}");
}

fn service(more: &str, servers: &str) -> String {
    format!("services:\n  - {{name: s, {more}, servers: [{servers}]}}\n")
}

#[test]
fn what_no_packet_comes_to_is_a_warning() {
    let servers = "{name: a, address: 10.0.0.2}";
    warned(&service("mark: 5", servers), &["no entry of `marks` gives mark 5: no connection comes here"]);
    warned(
        "pools:\n  - {name: p, nodes: [{name: a, address: 10.0.0.2}], rules: [{mark: 5}, {}]}\n",
        &[
            "no entry of `marks` gives mark 5: no connection comes here",
            "this takes every connection that passes",
        ],
    );
    warned(
        "marks: [{port: lan, vlan: 8, mark: 1}]\n",
        &[
            "the gateway has no address there: no packet is for this rule",
            "no service and no rule of a pool is for mark 1",
        ],
    );
    warned(
        "marks: [{destination: 10.0.0.0/8, mark: 1}, {destination: 10.1.0.0/16, protocol: tcp, mark: 2}]\n",
        &[
            "no service and no rule of a pool is for mark 1",
            "this rule never holds: `marks[0]` holds for all that it does",
            "no service and no rule of a pool is for mark 2",
        ],
    );
    warned(
        "pools:\n  - {name: p, nodes: [{name: a, address: 10.0.0.2}], rules: [{destination: 192.0.2.1}]}\n  \
         - {name: q, nodes: [{name: a, address: 10.0.0.2}], rules: [{destination: 192.0.2.1, protocol: udp}]}\n",
        &["this rule never holds: `pools[0].rules[0]` holds for all that it does"],
    );
    warned(
        "marks: [{mark: 1}]\n",
        &["this marks every flow that passes", "no service and no rule of a pool is for mark 1"],
    );
    warned(
        "pools:\n  - {name: p, nodes: [{name: a, address: 10.0.0.2}]}\n",
        &["neither `rules` nor `slices` say which connections are the pool's: it gets none"],
    );
}

#[test]
fn what_servers_do_not_get_is_a_warning() {
    let web = "protocol: tcp, address: 192.0.2.80, port: 80";
    let own = "protocol: tcp, address: 10.0.0.80, port: 80";
    warned(
        &service(own, "{name: a, address: 10.0.0.80}, {name: b, address: 10.0.0.255}"),
        &[
            "`10.0.0.80` is the service's own address",
            "`10.0.0.255` is the first or last address of 10.0.0.0/24, which no host can have",
        ],
    );
    warned(&service(web, ""), &["there are no servers: every connection is left to `fallback`"]);
    warned(
        "pools:\n  - {name: p, rules: [{destination: 192.0.2.1}]}\n",
        &["there are no nodes: every connection is left to `fallback`"],
    );
    warned(
        &service(web, "{name: a, address: 10.0.0.2, port: 8080}"),
        &["packets keep the service's port, 80"],
    );
    warned(
        &service(web, "{name: a, address: 10.8.0.2}"),
        &["`10.8.0.2` is in no network of a port: direct routing does not get there"],
    );
    warned(&service(web, "{name: a, address: 10.8.0.2, method: ipip}"), &[]);
    warned(&service(web, "{name: a, address: 10.9.0.2}"), &[]);
    warned(
        &service(web, "{name: a, address: 10.10.0.2, method: ipip}"),
        &["there is no route to `10.10.0.2`"],
    );
    warned(&service(web, "{name: a, address: '2001:db8::2', method: ipip}"), &[]);
    let two = "{name: a, address: 10.0.0.2}, {name: b, address: 10.0.0.3}";
    warned(
        &service(&format!("{web}, scheduler: lblcr"), two),
        &["with `weight: 1` an address moves to another server only while that one is idle"],
    );
    let slices = "pools:\n  - {name: p, nodes: [{name: a, address: 10.0.0.2}], slices: {address: 192.0.2.80, \
                  first_port: 80, ports_a_node: 1}}\n";
    warned(
        &format!("{slices}{}", service(web, "{name: a, address: 10.0.0.2}")),
        &["this port is one of `slices` of the pool `p`: the service gets nothing"],
    );
}

#[test]
fn what_spares_caches_is_among_the_marks_that_there_is_room_for() {
    let of = |rules: usize| {
        let rule = |n: usize| format!("{{destination: 10.{}.{}.0/24, mark: 1}}", n / 256, n % 256);
        let marks = (0..rules).map(rule).collect::<Vec<_>>().join(", ");
        let cache = service("mark: 1", "{name: a, address: 10.0.0.2}, {name: b, address: 10.0.7.2}");
        format!("{ROUTER}marks: [{marks}]\n{cache}")
    };
    config::parse("test.yaml", &of(1365)).unwrap();
    let refused = config::parse("test.yaml", &of(1366)).unwrap_err().to_string();
    assert!(refused.contains("`marks` has 4098 entries, and 4096 are possible"), "{refused}");
}

#[test]
fn servers_that_heirs_cannot_tell_apart_are_a_warning() {
    let router = ROUTER.replace("device:", "cluster_mac: '01:00:5e:00:01:01', device:");
    let told = |tracking: &str, scheduler: &str, server: &str| {
        let cluster =
            format!("cluster: {{total_nodes: 2, local_nodes: [1], hash_seed: 0, tracking: {tracking}}}\n");
        let servers = format!("{{name: a, address: 10.0.0.2}}, {{name: b, {server}, method: ipip}}");
        let service = service(&format!("mark: 1, scheduler: {scheduler}"), &servers);
        let marks = "marks: [{destination: 192.0.2.80, mark: 1}]\n";
        let loaded = config::parse("test.yaml", &format!("{router}{cluster}{marks}{service}")).unwrap();
        loaded.warnings.into_iter().map(|Problem { message, .. }| message).collect::<Vec<_>>()
    };
    let far = ["when a node dies, the others do not know which connections `10.8.0.2` had"];
    assert_eq!(told("all", "rr", "address: 10.8.0.2"), far);
    assert_eq!(told("all", "mh", "address: 10.8.0.2"), [""; 0]);
    assert_eq!(told("own", "rr", "address: 10.8.0.2"), [""; 0]);
    assert_eq!(told("all", "rr", "address: 10.9.0.2"), [""; 0]);
    assert_eq!(told("all", "rr", "address: 10.0.0.3"), [""; 0]);
}

#[test]
fn more_than_the_packet_path_takes_is_an_error() {
    let refused = |text: String| match config::parse("test.yaml", &format!("{ROUTER}{text}")).unwrap_err() {
        ConfigErrors::Wrong { errors, .. } => {
            errors.into_iter().map(|Problem { message, .. }| message).collect::<Vec<_>>()
        }
        ConfigErrors::Read { .. } => panic!("nothing is read"),
    };
    let marks: String =
        (1..=4097).map(|port| format!("  - {{destination_port: {port}, mark: 1}}\n")).collect();
    assert_eq!(
        refused(format!("marks:\n{marks}")),
        ["there are 4097 entries of `marks`, and 4096 are possible"]
    );
    let servers: String = (0..4097)
        .map(|i| format!("      - {{name: s{i}, address: 10.9.{}.{}}}\n", i / 256, i % 256))
        .collect();
    let service =
        "services:\n  - name: s\n    protocol: tcp\n    address: 192.0.2.80\n    port: 80\n    servers:\n";
    assert_eq!(
        refused(format!("{service}{servers}")),
        ["there are 4097 servers and nodes, and 4096 are possible"]
    );
    let pools: String = (0..1024).map(|i| format!("  - {{name: p{i}, nodes: []}}\n")).collect();
    assert_eq!(
        refused(format!("{service}      - {{name: s, address: 10.9.0.1}}\npools:\n{pools}")),
        ["there are 1025 services and pools, and 1024 are possible"]
    );
}

/// `{key: value, …}` with some of these keys.
fn some_of(keys: &'static [(&'static str, &'static [&'static str])]) -> impl Strategy<Value = String> {
    let key = select(keys).prop_flat_map(|(key, values)| (Just(key), select(values)));
    vec(key, 0..6).prop_map(|mut said| {
        said.sort_unstable();
        said.dedup_by_key(|(key, _)| *key);
        let said: Vec<String> = said.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        said.join(", ")
    })
}

const RULE: &[(&str, &[&str])] = &[
    ("source", &["10.0.0.0/24", "10.0.0.2", "'::/0'", "x", "10.0.0.0/33"]),
    ("destination", &["192.0.2.1", "0.0.0.0/0", "'2001:db8::/32'", "[]"]),
    ("protocol", &["tcp", "icmp", "6", "256", "ip"]),
    ("source_port", &["0", "1-2", "2-1", "'-'", "70000", "1.5"]),
    ("destination_port", &["80", "80-90", "-1", "{}"]),
    ("port", &["lan", "wan", "1", "none"]),
    ("vlan", &["7", "8", "0"]),
    ("mark", &["1", "none", "0", "4294967296", "'1'"]),
    ("node", &["a", "z", "1"]),
    ("other", &["1"]),
];

const SERVER: &[(&str, &[&str])] = &[
    ("name", &["a", "b", "c", "''", "'a b'", "1"]),
    (
        "address",
        &["10.0.0.2", "10.0.0.3", "10.8.0.2", "'2001:db8::2'", "'fe80::2'", "10.0.0.1", "www", "null"],
    ),
    ("mac", &["'02:00:00:00:00:02'", "'00:00:00:00:00:00'", "x"]),
    ("dev", &["lan", "lan.7", "nowhere"]),
    ("port", &["0", "80", "65536"]),
    ("method", &["direct", "ipip", "nat"]),
    ("weight", &["0", "1", "65535", "-1"]),
    ("upper_threshold", &["0", "10", "4294967296"]),
    ("lower_threshold", &["0", "11"]),
    ("drain", &["true", "yes"]),
    ("cost", &["1", "0"]),
    ("state", &["up", "down", "left"]),
];

const ENTRY: &[(&str, &[&str])] = &[
    ("name", &["s", "t", "u", "s/t", "null"]),
    ("mark", &["1", "2", "0"]),
    ("protocol", &["tcp", "udp", "sctp", "icmp"]),
    ("address", &["192.0.2.80", "'2001:db8::80'", "224.0.0.1", "www"]),
    ("port", &["80", "0", "-1"]),
    ("scheduler", &["rr", "sh", "mh", "lblc", "lblcr", "least"]),
    ("sh", &["{}", "{bits: 3}", "{port: true}", "1"]),
    ("mh", &["{}", "{size: 251}", "{size: 252}"]),
    ("locality", &["{}", "{entries_max: 1, members_max: 1}", "{entries_max: 9, members_max: 1}"]),
    ("order", &["address", "newest_first", "name"]),
    ("persistence", &["{}", "{timeout_s: 0.001}", "{timeout_s: 0.015}", "{ipv6_prefix_len: 0}"]),
    ("fallback", &["bypass", "reject", "drop", "accept"]),
    ("reports", &["10.0.0.1:1", "10.0.0.1:0", "x"]),
    ("agent", &["{}", "{port: 9477}", "{port: 1, path: x}", "{port: 1, interval_s: 0}"]),
    ("slices", &["{}", "{address: 192.0.2.80, first_port: 65535, ports_a_node: 1}", "{first_port: 0}"]),
    ("drain_timeout_s", &["1", "0", "1e9"]),
    (
        "health",
        &[
            "{}",
            "{check: tcp}",
            "{check: http, path: x}",
            "{check: dns, name: '.'}",
            "{passive_fall: 1}",
            "[]",
        ],
    ),
];

/// A file with some of all that may stand there, and of what may not.
fn file() -> impl Strategy<Value = String> {
    let list = |items: Vec<String>| {
        let items: Vec<String> = items.into_iter().map(|item| format!("{{{item}}}")).collect();
        format!("[{}]", items.join(", "))
    };
    let entry = move |below: &'static str| {
        let members = vec(some_of(SERVER), 0..4).prop_map(list);
        let rules = vec(some_of(RULE), 0..3).prop_map(list);
        (some_of(ENTRY), members, rules, any::<bool>()).prop_map(move |(said, members, rules, ruled)| {
            let comma = if said.is_empty() { "" } else { ", " };
            let rules = if ruled { format!(", rules: {rules}") } else { String::new() };
            format!("{said}{comma}{below}: {members}{rules}")
        })
    };
    let services = prop_oneof![entry("servers"), entry("nodes")];
    let marks = vec(some_of(RULE), 0..4).prop_map(list);
    let (services, pools) = (vec(services, 0..3).prop_map(list), vec(entry("nodes"), 0..3).prop_map(list));
    (marks, services, pools).prop_map(|(marks, services, pools)| {
        format!("{ROUTER}marks: {marks}\nservices: {services}\npools: {pools}\n")
    })
}

proptest! {
    /// It is a configuration, or is told what is wrong with it and where.
    #[test]
    fn no_file_of_this_shape_upsets_the_reader(text in file()) {
        match config::parse("test.yaml", &text) {
            Ok(loaded) => drop(loaded),
            Err(ConfigErrors::Wrong { errors, .. }) => {
                assert!(!errors.is_empty(), "refused without a reason:\n{text}");
                for Problem { line, column, length, source, message, .. } in errors {
                    assert_eq!(text.lines().nth(line - 1).unwrap(), source, "{message}");
                    assert!(column <= source.chars().count() && length >= 1, "{message}: {line}:{column}\n{text}");
                    assert!(line > ROUTER.lines().count(), "{message}: {line}:{column}\n{text}");
                }
            }
            Err(ConfigErrors::Read { .. }) => panic!("nothing is read"),
        }
    }
}
