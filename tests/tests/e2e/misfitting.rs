//! Nodes that do not fit together, and datagrams of nobody's: found out, counted, told, and without effect.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use weir_tests::capture;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::agreement::{SECOND, agreed, lab, owned, owns, plan, shows, start, testimony};
use crate::lab::{Lab, STATION};
use crate::node::{Membership, Weir, gossip_address};
use crate::ready;
use crate::talking::talk_while;
use crate::tap::Taps;

fn metrics(lab: &Lab, number: usize) -> Result<String> {
    lab.nodes[number - 1].run("curl -sS --fail http://127.0.0.1:9475/metrics")
}

/// The sample of node `number`'s page of metrics with this name and labels.
fn sample(lab: &Lab, number: usize, name: &str) -> Result<u64> {
    let page = metrics(lab, number)?;
    let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(found.with_context(|| format!("no {name} on node {number}"))?.parse()?)
}

/// Waits until `node` tells of this trouble wherever it tells of any.
fn alarmed(lab: &Lab, node: usize, weir: &Weir<'_>, trouble: &str) -> Result<()> {
    wait_until(&format!("{trouble:?} on node {node}"), 10 * SECOND, || {
        let shown = shows(weir)?["alarms"].to_string().contains(trouble);
        let page = metrics(lab, node)?;
        let mut alarms = page.lines().filter(|line| line.starts_with("weir_cluster_alarms"));
        let counted = alarms.any(|sample| !sample.ends_with(" 0"));
        Ok(shown && counted && weir.log().contains(trouble))
    })
    .with_context(|| testimony(weir))
}

#[test]
fn datagrams_of_strangers_change_nothing_and_buckets_of_nobody_are_found_out() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let nodes = start(&lab, Membership::Gossip, |text| text).unwrap();
    strangers(&lab, &nodes).unwrap();
    nobody(&lab, &nodes).unwrap();
}

/// Recorded gossip, and what is none, is refused and counted, and changes nothing.
fn strangers(lab: &Lab, nodes: &[Weir<'_>]) -> Result<()> {
    const GARBAGE: usize = 5000;
    let stranger = lab.station("stranger")?;
    let map = shows(&nodes[0])?["map"].take();
    let taps = Taps::start(lab)?;
    let recorded = record(&stranger)?;
    talk_while(lab, || {
        let socket = stranger.inside(|| Ok(UdpSocket::bind((STATION, 0))?))?;
        for i in 0..GARBAGE {
            let (mut garbage, last) = (recorded.clone(), recorded.len() - 1);
            // Half of it is no gossip, half is gossip that a key of the cluster has not sealed.
            garbage[if i % 2 == 0 { 0 } else { last }] ^= 1;
            socket.send_to(&garbage, (gossip_address(1), 7946))?;
            if i % 50 == 0 {
                socket.send_to(&recorded, (gossip_address(1), 7946))?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        thread::sleep(SECOND);
        Ok(())
    })?;
    taps.ledger()?.assert_exactly_once();
    let refused = |why| {
        sample(lab, 1, &format!("weir_cluster_engine_total{{event=\"refused_{why}\"}}")).unwrap() as usize
    };
    assert_eq!(["format", "key"].map(refused), [GARBAGE / 2; 2]);
    // On a slow machine the last are too old to be looked at.
    assert_eq!(refused("replay") + refused("clock"), GARBAGE / 50);
    assert!(refused("replay") > 0);
    for node in nodes {
        assert_eq!(shows(node)?["map"], map);
    }
    assert!(nodes[0].log().contains("refused"), "{}", nodes[0].log());
    Ok(())
}

/// A datagram of gossip that came to node 1.
fn record(stranger: &Namespace) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("gossip.pcap");
    let mut command = stranger.command("tcpdump");
    command.args(["-i", "eth0", "-n", "-Z", "root", "-c", "1", "-w"]).arg(&path);
    command.arg(format!("udp port 7946 and dst host {}", gossip_address(1)));
    Background::start("tcpdump", &mut command)?.wait(10 * SECOND)?;
    let frame = capture::read(&path)?.into_iter().next().context("no gossip was heard")?.bytes;
    Ok(frame.get(14 + 20 + 8..).context("no datagram")?.to_vec())
}

/// When all have left nobody forwards, and each says so.
fn nobody(lab: &Lab, nodes: &[Weir<'_>]) -> Result<()> {
    for node in nodes {
        node.ask(&["cluster", "drain", "--deadline", "0"])?;
    }
    let asked = Instant::now();
    for (node, number) in nodes.iter().zip(1..) {
        alarmed(lab, number, node, "some buckets have no owner")?;
    }
    println!("known after {:?}", asked.elapsed());
    for node in nodes {
        node.ask(&["cluster", "resume"])?;
    }
    agreed(nodes)
}

/// A node that cuts the hash space in another way gets no part, and both say why.
#[test]
fn nodes_that_cut_the_hash_space_in_another_way_are_found_out() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let gossip = Membership::Gossip;
    let first = Weir::start(&lab.nodes[0], plan(&lab, 1, gossip)).unwrap();
    owns(&first, "the first node's buckets", |buckets| buckets == 64).unwrap();
    for (key, other, trouble) in [
        ("hash_seed: 0xdeadbeef", "hash_seed: 0xdeadbeed", "has another hash_seed"),
        ("total_nodes: 64", "total_nodes: 32", "has another total_nodes"),
    ] {
        let second =
            Weir::start_edited(&lab.nodes[1], plan(&lab, 2, gossip), |text| text.replace(key, other))
                .unwrap();
        alarmed(&lab, 1, &first, &format!("gw2 {trouble}")).unwrap();
        alarmed(&lab, 2, &second, &format!("gw1 {trouble}")).unwrap();
        let taps = Taps::start(&lab).unwrap();
        talk_while(&lab, || {
            thread::sleep(2 * SECOND);
            Ok(())
        })
        .unwrap();
        taps.ledger().unwrap().assert_exactly_once();
        assert_eq!(owned(&second).unwrap(), 0);
        let (status, log) = second.stop().unwrap();
        assert!(status.success(), "{log}");
    }
}
