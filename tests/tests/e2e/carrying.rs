//! Real traffic through gateways: everything arrives, and each frame is forwarded by exactly one node.

use crate::clients::{self, Opener};
use crate::lab::{A4, A6, B4, B6, Lab, Nodes};
use crate::node;
use crate::ready;
use crate::servers::Servers;
use crate::tap::{Ledger, Taps};

/// Everything but load, with the taps running.
fn traffic(lab: &Lab, servers: &Servers) -> Ledger {
    let taps = Taps::start(lab).unwrap();
    clients::ping(&lab.a).unwrap();
    clients::http(&lab.a, servers).unwrap();
    clients::dns(&lab.a).unwrap();
    for opener in [Opener::Client, Opener::Server] {
        clients::ftp(&lab.a, servers, opener, 2).unwrap();
    }
    let ledger = taps.ledger().unwrap();
    println!("{ledger:?}");
    ledger
}

/// TCP as fast as it goes.
pub(crate) fn load(lab: &Lab) {
    for (client, server) in [(A4, B4), (A6, B6)] {
        let [up, down] = clients::iperf(&lab.a, client, server).unwrap();
        println!("iperf3 {client}: {up:.0} Mbit/s up, {down:.0} Mbit/s down");
    }
}

/// The laboratory itself: with a plain bridge in the node's place all traffic passes exactly once.
#[test]
fn a_plain_bridge_carries_everything() {
    if !ready() {
        return;
    }
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    lab.nodes[0].hub("bridge", &["lan", "wan"]).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    traffic(&lab, &servers).assert_exactly_once();
    load(&lab);
}

#[test]
fn two_nodes_carry_everything_exactly_once() {
    if !ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::HearEachOther).unwrap();
    let nodes = node::two(&lab).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    let before: u64 = nodes.iter().map(|node| node.counts().unwrap().forwarded()).sum();
    let ledger = traffic(&lab, &servers);
    let counts: Vec<_> = nodes.iter().map(|node| node.counts().unwrap()).collect();
    println!("{counts:#?}");
    ledger.assert_exactly_once();
    let forwarded: u64 = counts.iter().map(node::Counts::forwarded).sum();
    assert_eq!(forwarded - before, ledger.received as u64, "{counts:?}");
    assert!(counts.iter().all(|counts| counts.forwarded() > ledger.received as u64 / 10), "{counts:?}");
    load(&lab);
}

/// A cluster with a Linux node. What a client opens is carried exactly once; what a server opens or answers over
/// UDP may come out twice: a node that tracks its own flows alone takes it for the server's (so does Linux).
#[test]
fn a_gateway_shares_a_cluster_with_linux() {
    if !ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::Isolated).unwrap();
    let weir = node::beside_linux(&lab, 1).unwrap();
    let servers = Servers::start(&lab.b).unwrap();

    let taps = Taps::start(&lab).unwrap();
    clients::ping(&lab.a).unwrap();
    clients::http(&lab.a, &servers).unwrap();
    clients::ftp(&lab.a, &servers, Opener::Client, 3).unwrap();
    let ledger = taps.ledger().unwrap();
    println!("{ledger:?}");
    ledger.assert_exactly_once();
    let forwarded = weir.counts().unwrap().forwarded() as usize;
    let shares = ledger.received / 10..ledger.received * 9 / 10;
    assert!(shares.contains(&forwarded), "{forwarded} of {} frames by the gateway", ledger.received);

    let taps = Taps::start(&lab).unwrap();
    clients::dns(&lab.a).unwrap();
    clients::ftp(&lab.a, &servers, Opener::Server, 3).unwrap();
    let ledger = taps.ledger().unwrap();
    println!("{ledger:?}");
    assert_eq!(ledger.lost, 0, "{ledger:?}");
    load(&lab);
}
