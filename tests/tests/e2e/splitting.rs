//! A cluster whose nodes cannot hear each other, or their store, while all of them hear every frame: what
//! `docs/cluster.md` promises of that, and not more.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::capture;
use weir_tests::conformance::Mode;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::lab::{Lab, STATION};
use crate::node::{LEASE, Membership, Plan, Weir, gossip_address};
use crate::ready;
use crate::store::Etcd;
use crate::talking::{serve, talk_while};
use crate::tap::{Ledger, Taps, now_us};

/// `detection_time_s` of the laboratory's nodes.
const DETECTION: Duration = Duration::from_secs(1);
/// What a busy machine adds to any time.
const LATE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);

/// From when all hear each other to when each flow has one owner: detection, and two maps in two steps each.
fn agreement_max() -> Duration {
    DETECTION + Duration::from_millis(200) + 4 * SECOND
}

fn plan(lab: &Lab, number: usize, membership: Membership) -> Plan {
    Plan { number, tracking: Mode::All, share: "owner", between: lab.between, membership }
}

/// As many nodes as the laboratory has places for.
fn start(lab: &Lab, membership: Membership, edit: impl Fn(String) -> String) -> Result<Vec<Weir<'_>>> {
    let start = |(i, namespace)| Weir::start_edited(namespace, plan(lab, i + 1, membership), &edit);
    let nodes = lab.nodes.iter().enumerate().map(start).collect::<Result<Vec<_>>>()?;
    agreed(&nodes)?;
    Ok(nodes)
}

/// What `node` shows of the cluster.
fn shows(node: &Weir<'_>) -> Result<Value> {
    Ok(node.ask(&["cluster", "show"])?["agreed"].clone())
}

/// How many buckets `node` believes its own.
fn owned(node: &Weir<'_>) -> Result<usize> {
    let agreed = shows(node)?;
    let owners = agreed["owners"].as_array().context("no owners")?;
    Ok(owners.iter().filter(|owner| **owner == agreed["node"]).count())
}

/// Waits until all act by one map, in which each has its part, and nothing is wrong.
fn agreed(nodes: &[Weir<'_>]) -> Result<()> {
    wait_until("agreement", 30 * SECOND, || {
        let all: Vec<Value> = nodes.iter().map(shows).collect::<Result<_>>()?;
        let one = all.iter().all(|node| {
            node["next_map"].is_null() && node["map"] == all[0]["map"] && node["owners"] == all[0]["owners"]
        });
        let calm = all.iter().all(|node| node["alarms"].as_array().is_some_and(Vec::is_empty));
        let owners = all[0]["owners"].as_array().context("no owners")?;
        let each = all.iter().all(|node| owners.contains(&node["node"]));
        Ok(one && calm && each && !owners.contains(&Value::Null))
    })
    .with_context(|| {
        nodes
            .iter()
            .map(|node| node.print(&["cluster", "show"]).unwrap_or_default() + &node.log())
            .collect::<String>()
    })
}

/// Waits until `node` believes so many of the buckets its own.
fn owns(node: &Weir<'_>, what: &str, enough: impl Fn(usize) -> bool) -> Result<()> {
    wait_until(what, 30 * SECOND, || Ok(enough(owned(node)?)))
        .with_context(|| node.print(&["cluster", "show"]).unwrap_or_default() + &node.log())
}

/// Gossip between the nodes of these numbers is lost, or no longer; all else they hear.
fn gossip(lab: &Lab, one: usize, other: usize, cut: bool) -> Result<()> {
    for (here, there) in [(one, other), (other, one)] {
        filter(
            &lab.nodes[here - 1],
            cut,
            &format!("INPUT -s {} -p udp --dport 7946", gossip_address(there)),
        )?;
    }
    Ok(())
}

/// What is so is lost at this node, or no longer: a chain of iptables, and a match.
fn filter(node: &Namespace, cut: bool, what: &str) -> Result<()> {
    let action = if cut { "-A" } else { "-D" };
    node.run(&format!("iptables-legacy -w {action} {what} -j DROP"))?;
    Ok(())
}

/// How many of `moments` fall into each tenth of a second, from the first on.
fn tenths(moments: &[u64], from_us: u64) -> String {
    let mut text = String::new();
    for tenth in
        moments.chunk_by(|a, b| a.saturating_sub(from_us) / 100_000 == b.saturating_sub(from_us) / 100_000)
    {
        let at = tenth[0].saturating_sub(from_us) / 100_000;
        text += &format!(" {}.{}s:{}", at / 10, at % 10, tenth.len());
    }
    text
}

/// How many of `moments` are not between the two.
fn outside(moments: &[u64], from_us: u64, until_us: u64) -> usize {
    moments.iter().filter(|at| !(from_us..=until_us).contains(at)).count()
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).expect("a short time")
}

fn print(ledger: &Ledger, from_us: u64) {
    println!("{ledger:?}\ndoubled after the cut:{}", tenths(&ledger.moments.doubled_us, from_us));
    println!("lost after the cut:{}", tenths(&ledger.moments.lost_us, from_us));
}

/// A router's laboratory, with somebody at host B who answers.
fn lab(nodes: usize) -> Result<Lab> {
    let lab = Lab::routed(nodes)?;
    serve(&lab.b)?;
    Ok(lab)
}

/// Each side takes the other for dead and goes on for all; what is doubled ends soon after the cut has.
#[test]
fn two_nodes_that_cannot_hear_each_other_both_serve_until_they_can() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let nodes = start(&lab, Membership::Gossip, |text| text).unwrap();
    let taps = Taps::start(&lab).unwrap();
    let (mut cut, mut healed) = (0, 0);
    talk_while(&lab, || {
        thread::sleep(SECOND);
        cut = now_us()?;
        gossip(&lab, 1, 2, true)?;
        for node in &nodes {
            owns(node, "a node's being alone", |buckets| buckets == 64)?;
            println!("alone after {} ms", (now_us()? - cut) / 1000);
            ensure!(shows(node)?["alarms"].to_string().contains("half of the cluster or more died at once"));
        }
        thread::sleep(SECOND);
        gossip(&lab, 1, 2, false)?;
        healed = now_us()?;
        agreed(&nodes)?;
        println!("agreed after {} ms", (now_us()? - healed) / 1000);
        thread::sleep(SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, cut);
    println!("healed after {} ms", (healed - cut) / 1000);
    println!("{}", nodes[0].print(&["cluster", "show"]).unwrap());
    let moments = &ledger.moments;
    assert!(ledger.doubled > 0, "both should have forwarded: {ledger:?}");
    assert_eq!(outside(&moments.doubled_us, cut, healed + us(agreement_max())), 0, "{ledger:?}");
    assert_eq!(outside(&moments.lost_us, cut, healed + us(agreement_max())), 0, "{ledger:?}");
    for node in &nodes {
        assert!(node.log().contains("served while it could not be heard"), "{}", node.log());
    }
}

/// The smaller side stops: what is doubled ends while the cut lasts.
#[test]
fn a_minority_that_yields_stops_within_the_detection_time() {
    if !ready() {
        return;
    }
    let lab = lab(3).unwrap();
    let yields = |text: String| text.replace("gossip: {", "gossip: { minority: yields,");
    let nodes = start(&lab, Membership::Gossip, yields).unwrap();
    let taps = Taps::start(&lab).unwrap();
    let (mut cut, mut healed) = (0, 0);
    talk_while(&lab, || {
        thread::sleep(SECOND);
        cut = now_us()?;
        gossip(&lab, 1, 3, true)?;
        gossip(&lab, 2, 3, true)?;
        owns(&nodes[2], "the minority's end", |buckets| buckets == 0)?;
        println!("yielded after {} ms", (now_us()? - cut) / 1000);
        ensure!(shows(&nodes[2])?["alarms"].to_string().contains("too few nodes are heard"));
        thread::sleep(2 * SECOND);
        gossip(&lab, 1, 3, false)?;
        gossip(&lab, 2, 3, false)?;
        healed = now_us()?;
        agreed(&nodes)?;
        println!("agreed after {} ms", (now_us()? - healed) / 1000);
        thread::sleep(SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, cut);
    println!("healed after {} ms", (healed - cut) / 1000);
    let moments = &ledger.moments;
    assert_eq!(outside(&moments.doubled_us, cut, cut + us(DETECTION + LATE)), 0, "{ledger:?}");
    assert_eq!(outside(&moments.lost_us, cut, healed + us(agreement_max())), 0, "{ledger:?}");
    let first = moments.doubled_us.first().copied().unwrap_or_default();
    let last = moments.doubled_us.last().copied().unwrap_or_default();
    println!("doubled for {} ms", (last - first) / 1000);
}

/// etcd is away for so long as nobody loses a lease, and then for longer.
#[test]
fn etcd_is_killed_and_restarted_at_once_and_then_stays_away() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let mut etcd = Etcd::start(&lab).unwrap();
    let nodes = start(&lab, Membership::Etcd, |text| text).unwrap();

    let taps = Taps::start(&lab).unwrap();
    talk_while(&lab, || {
        thread::sleep(SECOND);
        let killed = now_us()?;
        etcd.kill()?;
        etcd.restart()?;
        let away_us = now_us()? - killed;
        println!("etcd was away for {} ms", away_us / 1000);
        ensure!(away_us < us(LEASE) / 2, "etcd needs too long to start here for a lease of {LEASE:?}");
        thread::sleep(LEASE + SECOND);
        Ok(())
    })
    .unwrap();
    taps.ledger().unwrap().assert_exactly_once();

    let taps = Taps::start(&lab).unwrap();
    let (mut killed, mut back) = (0, 0);
    talk_while(&lab, || {
        thread::sleep(SECOND);
        killed = now_us()?;
        etcd.kill()?;
        for node in &nodes {
            owns(node, "the end of a lease", |buckets| buckets == 0)?;
            println!("owns nothing after {} ms", (now_us()? - killed) / 1000);
            ensure!(shows(node)?["alarms"].to_string().contains("there is no lease"));
        }
        thread::sleep(SECOND);
        back = now_us()?;
        etcd.restart()?;
        agreed(&nodes)?;
        println!("agreed again after {} ms", (now_us()? - back) / 1000);
        thread::sleep(2 * SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, killed);
    let received = &ledger.moments.received_us;
    let last = received.iter().filter(|at| **at < back).max().copied().unwrap_or_default();
    println!("the last frame was forwarded {} ms after etcd's end", (last - killed) / 1000);
    assert!(last < killed + us(LEASE), "{ledger:?}");
    assert!(received.iter().any(|at| *at > back), "{ledger:?}");
    assert_eq!(ledger.doubled, 0, "{ledger:?}");
}

/// It stops before its lease ends, and the other inherits after that.
#[test]
fn a_node_that_is_cut_off_from_etcd_stops_before_the_other_inherits() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let _etcd = Etcd::start(&lab).unwrap();
    let nodes = start(&lab, Membership::Etcd, |text| text).unwrap();
    let taps = Taps::start(&lab).unwrap();
    let (mut cut, mut stopped, mut inherited) = (0, 0, 0);
    let store = |is_cut| {
        filter(&lab.nodes[1], is_cut, &format!("INPUT -s {STATION}"))?;
        filter(&lab.nodes[1], is_cut, &format!("OUTPUT -d {STATION}"))
    };
    talk_while(&lab, || {
        thread::sleep(SECOND);
        cut = now_us()?;
        store(true)?;
        owns(&nodes[1], "the end of the lease", |buckets| buckets == 0)?;
        stopped = now_us()?;
        owns(&nodes[0], "the inheritance", |buckets| buckets == 64)?;
        inherited = now_us()?;
        ensure!(shows(&nodes[1])?["alarms"].to_string().contains("there is no lease"));
        thread::sleep(SECOND);
        store(false)?;
        agreed(&nodes)?;
        thread::sleep(SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, cut);
    println!("stopped after {} ms, inherited after {} ms", (stopped - cut) / 1000, (inherited - cut) / 1000);
    assert!(stopped < cut + us(LEASE) && stopped < inherited, "{cut} {stopped} {inherited}");
    assert_eq!(ledger.doubled, 0, "{ledger:?}");
    let ownerless = stopped - us(LATE)..inherited + us(LATE);
    assert_eq!(outside(&ledger.moments.lost_us, ownerless.start, ownerless.end), 0, "{ledger:?}");
}

/// The samples of `metric` on `node`'s page of metrics, by what is in their braces.
fn samples(lab: &Lab, node: usize, metric: &str) -> Result<Vec<(String, f64)>> {
    let page = lab.nodes[node - 1].run("curl -sS --fail http://127.0.0.1:9475/metrics")?;
    let of = page.lines().filter_map(|line| line.strip_prefix(metric));
    of.map(|rest| {
        let (labels, value) = rest.rsplit_once(' ').context("no value")?;
        Ok((labels.to_owned(), value.parse()?))
    })
    .collect()
}

/// The one sample of `metric` with these labels.
fn sample(lab: &Lab, node: usize, metric: &str, labels: &str) -> Result<f64> {
    let found = samples(lab, node, metric)?.into_iter().find(|(of, _)| of == labels);
    Ok(found.with_context(|| format!("no {metric}{labels} on node {node}"))?.1)
}

/// Waits until `node` tells of this trouble wherever it tells of any.
fn alarmed(lab: &Lab, node: usize, weir: &Weir<'_>, trouble: &str) -> Result<()> {
    wait_until(&format!("{trouble:?} on node {node}"), 10 * SECOND, || {
        let shown = shows(weir)?["alarms"].to_string().contains(trouble);
        let counted = sample(lab, node, "weir_cluster_alarms", "")? >= 1.0;
        Ok(shown && counted && weir.log().contains(trouble))
    })
    .with_context(|| weir.print(&["cluster", "show"]).unwrap_or_default() + &weir.log())
}

/// Recorded gossip, and what is none, is refused and counted, and changes nothing.
#[test]
fn datagrams_of_strangers_change_nothing() {
    if !ready() {
        return;
    }
    const GARBAGE: usize = 5000;
    let lab = lab(2).unwrap();
    let stranger = lab.station("stranger").unwrap();
    let nodes = start(&lab, Membership::Gossip, |text| text).unwrap();
    let recorded = record(&stranger).unwrap();
    let map = shows(&nodes[0]).unwrap()["map"].clone();
    let taps = Taps::start(&lab).unwrap();
    talk_while(&lab, || {
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
    })
    .unwrap();
    taps.ledger().unwrap().assert_exactly_once();
    let refused = |why: &str| {
        sample(&lab, 1, "weir_cluster_engine_total", &format!("{{event=\"refused_{why}\"}}")).unwrap()
    };
    println!(
        "refused: {} of no format, {} of another key, {} again",
        refused("format"),
        refused("key"),
        refused("replay")
    );
    assert_eq!((refused("format"), refused("key")), (GARBAGE as f64 / 2.0, GARBAGE as f64 / 2.0));
    assert_eq!(refused("replay"), (GARBAGE / 50) as f64);
    for node in &nodes {
        assert_eq!(shows(node).unwrap()["map"], map);
    }
    assert!(nodes[0].log().contains("refused"), "{}", nodes[0].log());
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
        talk_while(&lab, || Ok(thread::sleep(4 * SECOND))).unwrap();
        taps.ledger().unwrap().assert_exactly_once();
        assert_eq!(owned(&second).unwrap(), 0);
        let (status, log) = second.stop().unwrap();
        assert!(status.success(), "{log}");
    }
}

/// All have left: nobody forwards, and each says so.
#[test]
fn buckets_of_nobody_are_found_out() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let nodes = start(&lab, Membership::Gossip, |text| text).unwrap();
    for node in &nodes {
        node.ask(&["cluster", "drain", "--deadline", "0"]).unwrap();
    }
    let asked = Instant::now();
    for (n, node) in nodes.iter().enumerate() {
        alarmed(&lab, n + 1, node, "some buckets have no owner").unwrap();
    }
    println!("known after {:?}", asked.elapsed());
    for node in &nodes {
        node.ask(&["cluster", "resume"]).unwrap();
    }
    agreed(&nodes).unwrap();
}

/// One of two does not hear the other, which hears it.
#[test]
fn a_cut_in_one_direction() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let nodes = start(&lab, Membership::Gossip, |text| text).unwrap();
    let taps = Taps::start(&lab).unwrap();
    let (mut cut, mut healed) = (0, 0);
    let deaf =
        |cut| filter(&lab.nodes[0], cut, &format!("INPUT -s {} -p udp --dport 7946", gossip_address(2)));
    talk_while(&lab, || {
        thread::sleep(SECOND);
        cut = now_us()?;
        deaf(true)?;
        for _ in 0..8 {
            thread::sleep(SECOND);
            for node in &nodes {
                println!("{} owns {}, {}", shows(node)?["node"], owned(node)?, shows(node)?["alarms"]);
            }
        }
        deaf(false)?;
        healed = now_us()?;
        agreed(&nodes)?;
        println!("agreed after {} ms", (now_us()? - healed) / 1000);
        thread::sleep(SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, cut);
    println!("{}", nodes[0].print(&["cluster", "show"]).unwrap());
    println!("{}", nodes[1].print(&["cluster", "show"]).unwrap());
}

/// A node that stands still for longer than its lease.
#[test]
fn a_pause() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let _etcd = Etcd::start(&lab).unwrap();
    let nodes = start(&lab, Membership::Etcd, |text| text).unwrap();
    let taps = Taps::start(&lab).unwrap();
    let mut cut = 0;
    talk_while(&lab, || {
        thread::sleep(SECOND);
        cut = now_us()?;
        nodes[1].signal(nix::sys::signal::Signal::SIGSTOP)?;
        thread::sleep(2 * LEASE);
        println!("goes on after {}", (now_us()? - cut) / 1000);
        nodes[1].signal(nix::sys::signal::Signal::SIGCONT)?;
        agreed(&nodes)?;
        thread::sleep(SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, cut);
}
