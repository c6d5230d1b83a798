//! Nodes that are one router: the hosts know one gateway address and one MAC address, and each packet is routed by
//! exactly one node.

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::conformance::Mode;

use crate::carrying::load;
use crate::clients::{self, Opener};
use crate::cluster::Cluster;
use crate::lab::{A4, A6, B4, B6, LAN4, LAN6, Lab, NARROW, WAN4, WAN6, clients4, clients6};
use crate::node::{self, CLUSTER_MACS, Membership, Plan, Weir};
use crate::ready;
use crate::servers::Servers;
use crate::tap::{Ledger, Taps};

/// The gateway's addresses answer once each, and both hosts have learned the cluster's MAC address for them.
pub(crate) fn greet(lab: &Lab) -> Result<()> {
    for (host, addresses, mac) in
        [(&lab.a, [LAN4, LAN6], CLUSTER_MACS[0]), (&lab.b, [WAN4, WAN6], CLUSTER_MACS[1])]
    {
        for address in addresses {
            let said = host.run(&format!("ping -n -c 5 -i 0.1 -W 2 {address}"))?;
            ensure!(said.contains(" 0% packet loss") && !said.contains("duplicates"), "{said}");
            let known: Value =
                serde_json::from_str(&host.run(&format!("ip -json neigh show to {address}"))?)?;
            ensure!(known[0]["lladdr"] == mac, "{address} is at {known}");
        }
    }
    Ok(())
}

/// What clients open, with the taps running.
pub(crate) fn opened_by_clients(lab: &Lab, servers: &Servers) -> Result<Ledger> {
    let taps = Taps::start(lab)?;
    clients::ping(&lab.a)?;
    clients::http(&lab.a, servers)?;
    clients::ftp(&lab.a, servers, Opener::Client, 2)?;
    for (client, server) in [(A4, B4), (A6, B6)] {
        clients::iperf_paced(&lab.a, client, server)?;
    }
    taps.ledger()
}

/// What servers open or answer to a single packet: who has not heard of it before takes it for the server's own.
pub(crate) fn sent_by_servers(lab: &Lab, servers: &Servers) -> Result<Ledger> {
    let taps = Taps::start(lab)?;
    clients::dns(&lab.a)?;
    clients::ftp(&lab.a, servers, Opener::Server, 2)?;
    taps.ledger()
}

/// What `traceroute` says of the way of such probes.
fn probe_from(lab: &Lab, client: &str, words: &str) -> Result<String> {
    lab.a.run(&format!("traceroute -n --queries=1 --wait=2 --max-hops=4 --source={client} {words}"))
}

/// Who has answered it.
fn seen(said: &str) -> Vec<&str> {
    said.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect()
}

/// Some clients of each family, the gateway's address, and the host behind it.
fn ways() -> [(Vec<String>, [&'static str; 2]); 2] {
    [(clients4().take(4).collect(), [LAN4, B4]), (clients6().take(4).collect(), [LAN6, B6])]
}

/// Every kind of probe, from several clients, names the gateway once and then the host behind it.
pub(crate) fn trace(lab: &Lab) -> Result<()> {
    for (clients, hops) in ways() {
        for client in clients {
            for probe in ["--udp --port=33434", "--icmp", "--tcp --port=8080"] {
                let words = format!("{probe} {}", hops[1]);
                let mut said = probe_from(lab, &client, &words)?;
                // Nothing sends a probe again that a busy machine has lost. Twice it loses none.
                if seen(&said).contains(&"*") {
                    said = probe_from(lab, &client, &words)?;
                }
                ensure!(seen(&said) == hops, "{probe} from {client}:\n{said}");
            }
        }
    }
    Ok(())
}

/// Clients who send what is too long for the way are told, and learn what is not.
pub(crate) fn discover_path_mtu(lab: &Lab) -> Result<()> {
    for (clients, [_, server]) in ways() {
        for client in clients {
            let family = if client.contains(':') { 6 } else { 4 };
            lab.a.run(&format!("ip -{family} route flush cache"))?;
            let said = probe_from(lab, &client, &format!("--mtu {server}"))?;
            ensure!(said.contains(&format!("F={NARROW}")) && said.contains(server), "{client}:\n{said}");
        }
    }
    Ok(())
}

/// All of it; each flow through one of `nodes` nodes.
fn routes_exactly_once(lab: &Lab, servers: &Servers, nodes: usize) {
    greet(lab).unwrap();
    for traffic in [opened_by_clients, sent_by_servers] {
        let ledger = traffic(lab, servers).unwrap();
        println!("{ledger}");
        ledger.assert_exactly_once();
        ledger.assert_one_node_each(nodes);
    }
    trace(lab).unwrap();
    discover_path_mtu(lab).unwrap();
    load(lab);
}

#[test]
fn one_node_routes_everything() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(1).unwrap();
    let plan = Plan {
        number: 1,
        tracking: Mode::All,
        share: "owner",
        between: lab.between,
        membership: Membership::Numbers,
    };
    let node = Weir::start(&lab.nodes[0], plan).unwrap();
    node.cluster("add", 2).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    routes_exactly_once(&lab, &servers, 1);
    println!("{:#?}", node.counts().unwrap());
}

#[test]
fn two_nodes_route_everything_exactly_once() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    routes_exactly_once(&lab, &servers, 2);
    println!("{:#?}", nodes.iter().map(|node| node.counts().unwrap()).collect::<Vec<_>>());
}

#[test]
fn three_nodes_route_everything_exactly_once() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(3).unwrap();
    let cluster = Cluster::start(&lab, 3).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    routes_exactly_once(&lab, &servers, 3);
    println!("{:#?}", cluster.nodes().map(|node| node.counts().unwrap()).collect::<Vec<_>>());
}

#[test]
fn what_is_too_long_is_cut_if_its_sender_allows_it() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let _nodes = node::two(&lab).unwrap();
    let clients: Vec<_> = clients4().take(4).collect();
    for client in &clients {
        let length = NARROW + 28;
        let said = probe_from(&lab, client, &format!("{B4} {length}")).unwrap();
        assert_eq!(seen(&said), [LAN4, B4], "{said}");
    }
    let whole = lab.b.run("nstat -asz IpReasmOKs").unwrap();
    let made_whole = whole.split_whitespace().skip_while(|word| *word != "IpReasmOKs").nth(1).unwrap();
    assert!(made_whole.parse::<usize>().unwrap() >= clients.len(), "{whole}");
}

#[test]
fn a_neighbour_is_answered_at_its_link_local_address() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let _nodes = node::two(&lab).unwrap();
    lab.a.ip("addr add fe80::77/64 dev eth0 nodad").unwrap();
    let said = lab.a.run(&format!("ping -n -c 5 -i 0.1 -W 2 -I eth0 -I fe80::77 {LAN6}")).unwrap();
    assert!(said.contains(" 0% packet loss") && !said.contains("duplicates"), "{said}");
}
