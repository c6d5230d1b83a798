//! The configurations that come with Weir: each loads without a warning and says what it is for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use weir_control::config::services::Check;
use weir_control::config::{self, Carrier, GatewayConfig, Idle, Placement, Services};
use weir_dataplane::config::route::{ReversePath, Target};
use weir_dataplane::config::service::{Fallback, Method, Scheduler, Selector};
use weir_dataplane::config::vip::Nodes;
use weir_dataplane::config::{HelperKind, HelperRule, HelperRules, Share, Tracking, Transport};
use weir_dataplane::units::Mark;

fn load(name: &str) -> GatewayConfig {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs").join(name);
    let loaded = config::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.warnings, [], "{name}");
    loaded.config
}

const FTP: HelperRule = HelperRule { kind: HelperKind::Ftp, transport: Transport::Tcp, port: 21 };

fn nodes(config: &GatewayConfig) -> Vec<u16> {
    let cluster = config.dataplane().cluster.as_ref().unwrap();
    cluster.mask().unwrap().local_nodes.iter().map(|bucket| bucket.number().number()).collect()
}

#[test]
fn demo_needs_no_nic_and_no_huge_pages() {
    let config = load("demo.yaml");
    let [lan, wan] = ["lan", "wan"].map(|name| config.port_id(name).unwrap());
    assert_eq!(config.dataplane().bridge.peer(lan), Some(wan));
    assert!(config.ports().iter().all(|port| port.device().name().starts_with("net_pcap")));
    assert!(!config.memory().huge_pages());
    assert_eq!((config.workers().count(), config.workers().idle()), (1, Idle::Backoff));
    assert!(config.dataplane().conntrack.helpers.iter().eq([&FTP]));
    let cluster = config.dataplane().cluster.as_ref().unwrap();
    assert_eq!((cluster.total_nodes, cluster.tracking), (2, Tracking::All));
    assert_eq!(nodes(&config), [1]);
}

#[test]
fn cluster_match_is_for_bare_metal() {
    let config = load("cluster-match.yaml");
    assert!(
        config.ports().iter().all(|port| !port.device().is_virtual() && port.multicast_macs().len() == 1)
    );
    assert!(config.memory().huge_pages());
    assert_eq!(*config.workers().placement(), Placement::Cores(vec![2, 3]));
    assert_eq!(config.workers().idle(), Idle::Poll);
    assert_eq!(config.dataplane().conntrack.tcp.timeouts.established.as_s(), 86400);
    assert_eq!(config.metrics().unwrap().to_string(), "127.0.0.1:9475");
    assert_eq!(config.control_socket(), Path::new("/run/weir/weir.sock"));
}

#[test]
fn the_linux_pair_differs_in_tracking_alone() {
    for (name, tracking) in [("linux-own.yaml", Tracking::Own), ("linux-all.yaml", Tracking::All)] {
        let config = load(name);
        assert_eq!(config.ports().iter().map(|port| port.name()).collect::<Vec<_>>(), ["in", "out"]);
        assert_eq!(config.dataplane().conntrack.vlan_tags_max, 1);
        let helpers: HelperRules =
            HelperKind::ALL.iter().flat_map(|kind| kind.rules(kind.listens().1)).collect();
        assert_eq!(config.dataplane().conntrack.helpers, helpers);
        assert!(config.dataplane().conntrack.checksum && !config.dataplane().conntrack.tcp.loose);
        let cluster = config.dataplane().cluster.as_ref().unwrap();
        assert_eq!(
            (cluster.total_nodes, cluster.hash_seed, cluster.mask().unwrap().invert),
            (2, 0xdead_beef, false)
        );
        assert_eq!(
            (cluster.tracking, cluster.non_ip, cluster.untracked),
            (tracking, Share::Forward, Share::Drop)
        );
        assert!(config.dataplane().bridge.forward_stp);
        assert_eq!(nodes(&config), [1]);
        assert_eq!(config.metrics(), None);
    }
}

#[test]
fn router_is_one_of_two_nodes_that_share_their_addresses() {
    let config = load("router.yaml");
    let network = config.network().unwrap();
    let names: Vec<&str> = network.interfaces().iter().map(|interface| interface.name()).collect();
    assert_eq!(names, ["lan", "lan.20", "wan"]);
    let macs: Vec<_> =
        network.interfaces().iter().map(|interface| interface.cluster_mac().unwrap()).collect();
    assert!(macs.iter().all(|mac| mac.is_group()) && macs[0] == macs[1] && macs[0] != macs[2]);
    let modes = network.interfaces().iter().map(|interface| interface.interface().reverse_path);
    assert!(modes.eq([ReversePath::Strict, ReversePath::Strict, ReversePath::Off]));
    let routes: Vec<String> = network.routes().iter().map(|route| route.to.to_string()).collect();
    assert_eq!(routes, ["0.0.0.0/0", "::/0", "10.8.0.0/16", "10.0.0.0/8"]);
    let Target::Via(ways) = &network.routes()[2].target else { panic!("two ways") };
    assert_eq!(ways.iter().map(|way| way.weight.get()).collect::<Vec<_>>(), [2, 1]);
    assert!(matches!(network.routes()[3].target, Target::Unreachable));
    assert_eq!(network.neighbours().len(), 1);
    assert_eq!(config.dataplane().cluster.as_ref().unwrap().tracking, Tracking::All);
    assert_eq!(nodes(&config), [1]);
}

#[test]
fn the_self_healing_cluster_agrees_by_gossip() {
    let config = load("self-healing.yaml");
    let membership = config.membership().unwrap();
    assert_eq!((membership.name.as_str(), membership.weight.number()), ("gw1", 1));
    let Carrier::Gossip { config: gossip, key_file } = &membership.carrier else { panic!("no gossip") };
    assert_eq!((gossip.listen.to_string(), gossip.seeds.len()), ("192.0.2.11:7946".to_owned(), 3));
    assert_eq!(key_file, Path::new("/etc/weir/cluster.key"));
    assert_eq!((membership.settings.detection_ms, membership.settings.learning_ms), (1_000, 130_000));
    assert_eq!(config.dataplane().cluster.as_ref().unwrap().total_nodes, 256);
    assert_eq!(config.network().unwrap().routes().len(), 2);
}

#[test]
fn vip_is_one_of_two_nodes_of_an_address() {
    let config = load("vip.yaml");
    let [vip] = &*config.dataplane().vips else { panic!("one VIP") };
    assert_eq!((vip.address.to_string(), vip.hash_mode.name()), ("192.0.2.9".to_owned(), "sourceip"));
    assert_eq!((vip.total_nodes, vip.hash_init), (2, 0));
    let Nodes::Local(local) = &vip.nodes else { panic!("they are named") };
    assert_eq!(local.iter().map(|bucket| bucket.number().number()).collect::<Vec<_>>(), [1]);
    let lan = config.network().unwrap().interfaces()[0].interface();
    assert_eq!(lan.vips[0].mac.to_string(), "01:00:5e:00:00:20");
    assert!(lan.addresses.iter().any(|own| own.address == vip.address && own.prefix_len == 32));
}

#[test]
fn the_transparent_cache_captures_what_hosts_ask_of_the_web() {
    let config = load("transparent-cache.yaml");
    let Services { marks, services, pools } = config.services();
    assert_eq!(marks.iter().map(|(_, mark)| *mark).collect::<Vec<_>>(), [None, Some(Mark(1))]);
    assert!(marks.iter().all(|(rule, _)| rule.port == config.port_id("lan")));
    let [cache] = services.as_slice() else { panic!("one service") };
    assert!(pools.is_empty() && matches!(cache.scheduler, Scheduler::Lblcr(_)));
    assert_eq!((cache.selector, cache.fallback), (Selector::Mark(Mark(1)), Fallback::Bypass));
    assert!(cache.servers.iter().all(|server| server.weight == 2000 && server.method == Method::Direct));
    assert_eq!(cache.health.as_ref().unwrap().check, Some(Check::Tcp { port: 3129 }));
}

#[test]
fn services_are_selected_by_address_and_by_mark() {
    let config = load("service.yaml");
    let services = &config.services().services;
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["web", "shop", "ftp", "dns"]);
    assert_eq!(services[1].selector, Selector::Mark(Mark(1)));
    assert_eq!(services[1].persistence.unwrap().ipv4_prefix_len, 24);
    assert_eq!(services[0].servers.iter().map(|server| server.weight).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!(services[3].servers[1].method, Method::Ipip);
    assert!(config.dataplane().conntrack.helpers.iter().eq([&FTP]));
}

#[test]
fn the_pool_is_ip_clusters() {
    let config = load("pool.yaml");
    let [pool] = config.services().pools.as_slice() else { panic!("one pool") };
    assert_eq!(pool.nodes.iter().map(|node| node.cost).collect::<Vec<_>>(), [10, 10, 20]);
    assert_eq!(pool.rules.iter().map(|rule| rule.node).collect::<Vec<_>>(), [Some(0), None]);
    assert_eq!(pool.slice_ports(), Some(4096..=65535));
    assert_eq!(pool.reports, "10.0.1.254:9476".parse().ok());
}
