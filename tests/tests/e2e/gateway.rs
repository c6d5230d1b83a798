//! Nodes that are one router: the hosts know one gateway address and one MAC address, and each packet is routed by
//! exactly one node.

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::conformance::Mode;

use crate::carrying::{load, traffic};
use crate::lab::{B4, B6, LAN4, LAN6, Lab, NARROW, WAN4, WAN6, clients4, clients6};
use crate::node::{self, Membership, Plan, Weir};
use crate::ready;
use crate::servers::Servers;

/// The gateway's addresses answer once each, and both hosts have learned the cluster's MAC address for them.
pub(crate) fn greet(lab: &Lab) -> Result<()> {
    for (host, addresses, mac) in
        [(&lab.a, [LAN4, LAN6], "01:00:5e:00:01:01"), (&lab.b, [WAN4, WAN6], "01:00:5e:00:01:02")]
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

/// What `traceroute` says of the way of such probes.
fn probe_from(lab: &Lab, client: &str, words: &str) -> Result<String> {
    lab.a.run(&format!("traceroute -n --queries=1 --wait=2 --max-hops=4 --source={client} {words}"))
}

/// Who has answered it.
fn seen(said: &str) -> Vec<&str> {
    said.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect()
}

/// Every kind of probe, from several clients, names the gateway once and then the host behind it.
fn trace(lab: &Lab) -> Result<()> {
    for (clients, hops) in [
        (clients4().take(4).collect::<Vec<_>>(), [LAN4, B4]),
        (clients6().take(4).collect::<Vec<_>>(), [LAN6, B6]),
    ] {
        for client in clients {
            for probe in ["--udp --port=33434", "--icmp", "--tcp --port=8080"] {
                let said = probe_from(lab, &client, &format!("{probe} {}", hops[1]))?;
                ensure!(seen(&said) == hops, "{probe} from {client}:\n{said}");
            }
        }
    }
    Ok(())
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
    greet(&lab).unwrap();
    let ledger = traffic(&lab, &servers);
    println!("{:#?}", node.counts().unwrap());
    ledger.assert_exactly_once();
    let traced = trace(&lab);
    println!("{:#?}", node.counts().unwrap());
    traced.unwrap();
    load(&lab);
}

#[test]
fn two_nodes_route_everything_exactly_once() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    greet(&lab).unwrap();
    let ledger = traffic(&lab, &servers);
    let counts: Vec<_> = nodes.iter().map(|node| node.counts().unwrap()).collect();
    println!("{counts:#?}");
    ledger.assert_exactly_once();
    assert!(counts.iter().all(|counts| counts.forwarded() > ledger.received as u64 / 10), "{counts:?}");
    trace(&lab).unwrap();
    load(&lab);
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
    let said = lab.a.run(&format!("traceroute -n --mtu --queries=1 --wait=2 --max-hops=3 {B4}")).unwrap();
    assert!(said.contains(&format!("F={NARROW}")) && said.contains(B4), "{said}");
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
