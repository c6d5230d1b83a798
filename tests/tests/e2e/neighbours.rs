//! Neighbours of nodes that are one router: what they say is said once and with the cluster's MAC address, they ask with
//! measure, they follow hosts that move, and believe no more than they must.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use weir_tests::netns::Namespace;
use weir_tests::packet::{Mac, eth};
use weir_tests::process::{Background, wait_until};

use crate::clients;
use crate::discovery::{Kind, Said, Wire, destination, said, send, source};
use crate::gateway::greet;
use crate::lab::{A4, A6, B4, B6, LAN4, LAN6, Lab, WAN4, WAN6, clients4};
use crate::node::{self, Weir};
use crate::ready;
use crate::servers::{HTTP_PORT, Servers};

/// The cluster's MAC addresses towards host A and host B.
const LAN_MAC: Mac = Mac([1, 0, 0x5e, 0, 1, 1]);
const WAN_MAC: Mac = Mac([1, 0, 0x5e, 0, 1, 2]);

/// A MAC address that nobody has.
const NOBODY: Mac = Mac([2, 0xee, 0, 0, 0, 1]);

/// A host's neighbour is asked for at this distance, with a little for the clocks.
const RETRANSMIT_US: u64 = 980_000;

fn v4(address: &str) -> Ipv4Addr {
    address.parse().unwrap()
}

fn v6(address: &str) -> Ipv6Addr {
    address.parse().unwrap()
}

/// The MAC address of an interface.
fn mac_of(host: &Namespace, interface: &str) -> Mac {
    let text = host.run(&format!("cat /sys/class/net/{interface}/address")).unwrap();
    let bytes: Vec<u8> = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    Mac(bytes.try_into().unwrap())
}

/// From a neighbour of the LAN to the solicited-node group of the gateway's address there.
fn solicits(asker: Mac, sender: &str, target: &str) -> Vec<u8> {
    let [.., a, b, c] = v6(target).octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let link = eth(asker, Mac::multicast_v6(group)).ip(v6(sender), group);
    link.hop_limit(255).neighbor_solicitation(v6(target), asker)
}

/// The neighbours that a node knows with their MAC addresses.
fn known(node: &Weir<'_>) -> Result<BTreeMap<(String, String), String>> {
    let answer = node.ask(&["neighbours"])?;
    let rows = answer["neighbours"].as_array().context("no neighbours")?;
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    let known = rows
        .iter()
        .filter_map(|row| Some(((text(row, "interface")?, text(row, "address")?), text(row, "mac")?)));
    Ok(known.collect())
}

/// One neighbour's state at a node; `None`: it does not know it.
fn state(node: &Weir<'_>, address: &str) -> Result<Option<String>> {
    let answer = node.ask(&["neighbours", "--address", address])?;
    Ok(answer["neighbours"][0]["state"].as_str().map(str::to_owned))
}

/// The alarms of a node, by kind.
fn alarms(node: &Weir<'_>) -> Result<Vec<(String, String)>> {
    let answer = node.ask(&["neighbours"])?;
    let alarms = answer["alarms"].as_array().context("no alarms")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(alarms.iter().map(|alarm| (text(&alarm["kind"]), text(&alarm["what"]))).collect())
}

/// Frames that a node has heard and that changed nothing: dropped, or ignored as messages.
fn without_effect(node: &Weir<'_>) -> Result<u64> {
    let answer = node.ask(&["neighbours"])?;
    let ignored = answer["counters"]["ignored"].as_object().context("no counters")?;
    let dropped: u64 = node.counts()?.drops.values().sum();
    Ok(dropped + ignored.values().filter_map(Value::as_u64).sum::<u64>())
}

/// Each question to the gateway has one answer, and nobody is told of a node's own MAC address.
fn check_answers(all: &[Said], gateway: &[IpAddr], cluster: Mac, own: &[Mac]) -> usize {
    let mut questions: BTreeMap<(IpAddr, IpAddr), [usize; 2]> = BTreeMap::new();
    for said in all {
        if gateway.contains(&said.speaker) {
            assert_eq!(said.mac, Some(cluster), "{said:?}");
            assert!(own.contains(&said.frame), "frames come from a port's own address: {said:?}");
        }
        assert!(said.mac.is_none_or(|mac| !own.contains(&mac)), "a node's own address is told: {said:?}");
        match said.kind {
            Kind::Question if gateway.contains(&said.other) => {
                questions.entry((said.speaker, said.other)).or_default()[0] += 1;
            }
            Kind::Answer if gateway.contains(&said.speaker) => {
                questions.entry((said.other, said.speaker)).or_default()[1] += 1;
            }
            _ => {}
        }
    }
    for (question, [asked, answered]) in &questions {
        assert_eq!(asked, answered, "{question:?}");
    }
    questions.len()
}

#[test]
fn answers_carry_the_clusters_mac_address_once() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    let wires =
        [&lab.a, &lab.b].map(|host| Wire::start(host, "eth0", "ether proto 0x0806 or ip6 or ip").unwrap());
    let asker = mac_of(&lab.a, "eth0");
    let ask4 = |client: String| eth(asker, Mac::BROADCAST).arp_request(v4(&client), v4(LAN4));
    let mut questions: Vec<_> = clients4().map(ask4).collect();
    questions.extend((1..=20).map(|n| solicits(asker, &format!("fd77:ffff::{n:x}"), LAN6)));
    questions.extend((1..=20).map(|n| solicits(asker, &format!("fe80::77:{n:x}"), LAN6)));
    send(&lab.a, "eth0", 2, &questions).unwrap();
    greet(&lab).unwrap();
    clients::ping(&lab.a).unwrap();
    clients::http(&lab.a, &servers).unwrap();
    for probe in ["--udp", "--icmp"] {
        lab.a.run(&format!("traceroute -n --queries=1 --wait=2 --max-hops=4 {probe} {B4}")).unwrap();
    }
    let sides = [("lan", [LAN4, LAN6], LAN_MAC), ("wan", [WAN4, WAN6], WAN_MAC)];
    for (wire, (side, gateway, cluster)) in wires.into_iter().zip(sides) {
        let records = wire.stop().unwrap();
        let own: Vec<Mac> = lab.nodes.iter().map(|node| mac_of(node, side)).collect();
        let gateway = gateway.map(|address| address.parse().unwrap());
        let asked = check_answers(&said(&records), &gateway, cluster, &own);
        println!("{side}: {} frames, {asked} have asked for the gateway", records.len());
        assert!(asked >= if side == "lan" { questions.len() } else { 2 });
        assert!(
            records.iter().all(|record| source(&record.bytes) != cluster),
            "a group's address sends nothing"
        );
        let hosts = if side == "lan" { &lab.a } else { &lab.b };
        let sent = records.iter().filter(|record| source(&record.bytes) == mac_of(hosts, "eth0"));
        assert!(
            sent.into_iter().all(|record| !own.contains(&destination(&record.bytes))),
            "a node's own address"
        );
    }
    greet(&lab).unwrap();
    drop(nodes);
}

#[test]
fn a_router_that_refuses_a_groups_mac_address_is_told_of() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    let asker = mac_of(&lab.a, "eth0");
    let client = clients4().next().unwrap();
    let question = eth(asker, Mac::BROADCAST).arp_request(v4(&client), v4(LAN4));
    send(&lab.a, "eth0", 5, &vec![question; 6]).unwrap();
    let all = || Ok::<_, anyhow::Error>([alarms(&nodes[0])?, alarms(&nodes[1])?].concat());
    wait_until("the alarm", Duration::from_secs(3), || Ok(!all()?.is_empty())).unwrap();
    let [(kind, what)] = &all().unwrap()[..] else { panic!("told once: {:?}", all()) };
    assert_eq!(kind, "refuses_group_mac");
    for word in [&*client, LAN4, "01:00:5e:00:01:01", "static entry", "unicast"] {
        assert!(what.contains(word), "{word}: {what}");
    }
    let printed =
        [nodes[0].print(&["neighbours"]).unwrap(), nodes[1].print(&["neighbours"]).unwrap()].concat();
    assert!(printed.contains(&format!("ago: {what}")), "{printed}");
}

#[test]
fn hosts_that_are_not_there_raise_no_storm_of_questions() {
    const HOSTS: usize = 100;
    const ROUNDS: usize = 8;
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let _nodes = node::two(&lab).unwrap();
    clients::ping(&lab.a).unwrap();
    let sender = mac_of(&lab.a, "eth0");
    let mut frames = Vec::new();
    for round in 0..ROUNDS {
        let client = clients4().nth(round * 5).unwrap();
        for n in 0..HOSTS {
            let link = || eth(sender, LAN_MAC);
            frames.push(link().ip(v4(&client), Ipv4Addr::new(10, 77, 0, 100 + n as u8)).udp(9, 9).build());
            let from = v6(&format!("fd77:{:x}::1", round * 5 + 1));
            frames.push(link().ip(from, v6(&format!("fd77::bad:{n:x}"))).udp(9, 9).build());
        }
    }
    let wire = Wire::start(&lab.b, "eth0", "arp or icmp6").unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| send(&lab.a, "eth0", 2, &frames).unwrap());
        thread::sleep(Duration::from_millis(500));
        // Those who are there do not notice.
        for _ in 0..3 {
            clients::ping(&lab.a).unwrap();
        }
    });
    thread::sleep(Duration::from_secs(3));
    let seconds = start.elapsed().as_secs_f64();
    let all = said(&wire.stop().unwrap());
    let is = |addresses: [&str; 2], address: IpAddr| addresses.contains(&&*address.to_string());
    let questions = all.iter().filter(|said| {
        said.kind == Kind::Question && !is([B4, B6], said.other) && is([WAN4, WAN6], said.speaker)
    });
    let mut times: BTreeMap<([u8; 6], IpAddr), Vec<u64>> = BTreeMap::new();
    for question in questions {
        times.entry((question.frame.0, question.other)).or_default().push(question.at_us);
    }
    let asked_for: BTreeSet<IpAddr> = times.keys().map(|(_, address)| *address).collect();
    let questions: usize = times.values().map(Vec::len).sum();
    println!(
        "{} packets in {seconds:.1} s to {} hosts: {questions} questions",
        frames.len(),
        asked_for.len()
    );
    assert_eq!(asked_for.len(), 2 * HOSTS, "each is asked for");
    for ((node, address), times) in &times {
        let early = times.windows(2).find(|pair| pair[1] - pair[0] < RETRANSMIT_US);
        assert!(early.is_none(), "{address} is asked for too soon by {node:x?}: {times:?}");
        assert!(times.len() as f64 <= seconds + 1.0, "{address}: {times:?}");
    }
}

/// A download that takes some seconds.
fn download(lab: &Lab) -> Result<Background> {
    let mut command = lab.a.command("curl");
    command.args(["-sS", "--fail", "--limit-rate", "100k", "-o", "/dev/null", "-w", "%{size_download}"]);
    command.args(["--interface", &clients4().nth(3).unwrap()]);
    Background::start("curl", command.arg(format!("http://{B4}:{HTTP_PORT}/page")))
}

/// What any host does: it sends something now and then, over either family.
fn talk(host: &Namespace) -> Result<[Background; 2]> {
    let ping =
        |to| Background::start("ping", host.command("ping").args(["-n", "-q", "-i", "0.2", "-w", "10", to]));
    Ok([ping(A4)?, ping(A6)?])
}

#[test]
fn connections_go_on_when_a_host_gets_another_mac_address() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    clients::ping(&lab.a).unwrap();
    let bytes = servers.file("page").unwrap().len();
    for (announces, last) in [(0, 1), (1, 2)] {
        lab.b.sysctl("net/ipv4/conf/eth0/arp_notify", announces).unwrap();
        lab.b.sysctl("net/ipv6/conf/eth0/ndisc_notify", announces).unwrap();
        let mut transfer = download(&lab).unwrap();
        let _talk = talk(&lab.b).unwrap();
        thread::sleep(Duration::from_millis(500));
        lab.b.ip(&format!("link set eth0 address 02:bb:00:00:00:0{last}")).unwrap();
        let said = lab.a.run(&format!("ping -n -c 20 -i 0.1 -W 1 {B4}")).unwrap();
        let received = said.split(", ").find_map(|words| words.strip_suffix(" received")).unwrap();
        println!("announced: {announces}: {received} of 20");
        assert!(received.parse::<u32>().unwrap() >= 15, "half a second at most: {said}");
        assert!(transfer.wait(Duration::from_secs(20)).unwrap().success(), "{}", transfer.log());
        assert_eq!(transfer.log().trim(), bytes.to_string());
        for node in &nodes {
            let mac = known(node).unwrap()[&("wan".to_owned(), B4.to_owned())].clone();
            assert_eq!(mac, format!("02:bb:00:00:00:0{last}"), "both nodes have heard it");
        }
        clients::ping(&lab.a).unwrap();
    }
}

#[test]
fn a_silent_host_that_moves_is_found_again() {
    const PERIOD_MS: u32 = 50;
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    let (sender, old, new) = (mac_of(&lab.a, "eth0"), mac_of(&lab.b, "eth0"), Mac([2, 0xbb, 0, 0, 0, 9]));
    let mut listener = lab.b.command("python3");
    listener.args(["-c", "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('',9))\ntime.sleep(60)"]);
    let _listener = Background::start("listener", &mut listener).unwrap();
    // The gateway learns of it without having asked.
    send(&lab.b, "eth0", 1, &[eth(old, Mac::BROADCAST).arp_request(v4(B4), v4(WAN4))]).unwrap();
    wait_until("the gateway to know the host", Duration::from_secs(2), || {
        Ok(state(&nodes[0], B4)?.as_deref() == Some("stale")
            && state(&nodes[1], B4)?.as_deref() == Some("stale"))
    })
    .unwrap();
    let client = clients4().next().unwrap();
    let owner = &nodes[crate::lab::owner(&client) - 1];
    let packet = eth(sender, LAN_MAC).ip(v4(&client), v4(B4)).udp(9, 9).build();
    let wire = Wire::start(&lab.b, "eth0", "udp port 9").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| send(&lab.a, "eth0", PERIOD_MS, &vec![packet; 280]).unwrap());
        // Being used makes it doubtful.
        wait_until("its use to be noticed", Duration::from_secs(3), || {
            Ok(state(owner, B4)?.as_deref() == Some("delay"))
        })
        .unwrap();
        lab.b.ip("link set eth0 address 02:bb:00:00:00:09").unwrap();
    });
    let records = wire.stop().unwrap();
    let last = |to: Mac| records.iter().rev().find(|record| destination(&record.bytes) == to);
    let first = records.iter().find(|record| destination(&record.bytes) == new).expect("it is found again");
    let gap_us = first.at_us - records[0].at_us;
    println!("{} packets; found again after {:.1} s", records.len(), gap_us as f64 / 1e6);
    assert!(last(old).is_some_and(|record| record.at_us < first.at_us));
    // A second to be noticed, five in doubt, three questions to it alone, one to all.
    assert!(gap_us < 10_500_000, "{gap_us} µs");
    let other = &nodes[2 - crate::lab::owner(&client)];
    assert_ne!(state(other, B4).unwrap().as_deref(), Some("probe"), "who does not use it does not ask");
}

/// What nobody must believe, with a word for it.
fn forgeries(a: Mac) -> Vec<(&'static str, Vec<u8>)> {
    let client = clients4().next().unwrap();
    let reply = |source: Mac, sender: &str| eth(source, Mac::BROADCAST).arp_reply(v4(sender), v4(LAN4));
    let inner = |mut frame: Vec<u8>, mac: Mac| {
        frame[22..28].copy_from_slice(&mac.0);
        frame
    };
    let with = |mut frame: Vec<u8>, at: usize, byte: u8| {
        frame[at] = byte;
        frame
    };
    let fine = || reply(a, &client);
    let group = v6("ff02::1");
    let na = |hops: u8, code: u8, target: &str, options: &[u8]| {
        let body = [&v6(target).octets()[..], options].concat();
        let ip = eth(a, Mac::multicast_v6(group)).ip(v6("fd77:ffff::fd"), group).hop_limit(hops);
        ip.icmp(136, code, [0x20, 0, 0, 0]).payload(&body)
    };
    let ip = eth(a, Mac::multicast_v6(group)).ip(v6("fd77:ffff::fd"), group).hop_limit(255);
    let cut = ip.icmp(136, 0, [0x20, 0, 0, 0]).payload(&[0xfd, 0x77]).build();
    let option = |mac: Mac| [&[2, 1][..], &mac.0].concat();
    let nobody = option(NOBODY);
    vec![
        ("the gateway's address, announced", eth(NOBODY, Mac::BROADCAST).arp_request(v4(LAN4), v4(LAN4))),
        ("the gateway's address, in a reply", reply(NOBODY, LAN4)),
        ("another host's MAC address", inner(fine(), NOBODY)),
        ("the cluster's MAC address", inner(fine(), LAN_MAC)),
        ("a group's MAC address", inner(fine(), Mac([1, 0, 0x5e, 0, 9, 9]))),
        ("everybody's MAC address", inner(fine(), Mac::BROADCAST)),
        ("no MAC address", inner(fine(), Mac([0; 6]))),
        ("from another network", reply(a, "192.0.2.7")),
        ("from a stranger unasked", eth(a, Mac::BROADCAST).arp_reply(v4("10.77.1.199"), v4(LAN4))),
        ("a broadcast address", reply(a, "10.77.1.255")),
        ("cut short", fine()[..30].to_vec()),
        ("of another hardware", with(fine(), 15, 6)),
        ("with longer addresses", with(fine(), 18, 8)),
        ("of an unknown operation", with(fine(), 21, 9)),
        ("advertised through a router", na(64, 0, "fd77:ffff::fd", &nobody).build()),
        ("advertised with a code", na(255, 1, "fd77:ffff::fd", &nobody).build()),
        ("advertised with a wrong checksum", na(255, 0, "fd77:ffff::fd", &nobody).bad_checksum().build()),
        ("an option of no length", na(255, 0, "fd77:ffff::fd", &[2, 0, 0, 0, 0, 0, 0, 0]).build()),
        ("an option cut short", na(255, 0, "fd77:ffff::fd", &[2, 2, 0, 0, 0, 0, 0, 0]).build()),
        ("an advertisement cut short", cut),
        ("the gateway's IPv6 address", na(255, 0, LAN6, &nobody).build()),
        ("advertised for another's MAC address", na(255, 0, "fd77:ffff::fd", &nobody).build()),
        (
            "advertised for a group's",
            na(255, 0, "fd77:ffff::fd", &option(Mac([1, 0, 0x5e, 0, 9, 9]))).build(),
        ),
        ("advertised from another network", na(255, 0, "2001:db8::7", &option(a)).build()),
        ("advertised for a group of hosts", na(255, 0, "ff02::7", &option(a)).build()),
    ]
}

#[test]
fn what_is_forged_or_broken_changes_nothing() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    greet(&lab).unwrap();
    let client = clients4().next().unwrap();
    for target in [&*format!("-I {client} {LAN4}"), &format!("-I fd77:ffff::fd {LAN6}"), B4, B6] {
        lab.a.run(&format!("ping -n -c 2 -i 0.1 -W 2 {target}")).unwrap();
    }
    // What hosts say to check that their own answer comes true is over.
    thread::sleep(Duration::from_secs(2));
    let before: Vec<_> = nodes.iter().map(|node| known(node).unwrap()).collect();
    assert!(before.iter().all(|known| known.contains_key(&("lan".to_owned(), client.clone()))), "{before:?}");
    for (what, frame) in forgeries(mac_of(&lab.a, "eth0")) {
        let idle = || nodes.each_ref().map(|node| without_effect(node).unwrap());
        let was = idle();
        send(&lab.a, "eth0", 1, &vec![frame; 3]).unwrap();
        let all_heard = || Ok(idle().iter().zip(&was).all(|(now, was)| *now >= was + 3));
        wait_until("each node to drop or ignore it", Duration::from_secs(2), all_heard).expect(what);
        for (node, known_before) in nodes.iter().zip(&before) {
            assert_eq!(&known(node).unwrap(), known_before, "{what}");
        }
    }
    clients::ping(&lab.a).unwrap();
    greet(&lab).unwrap();
    for node in &nodes {
        let kinds: Vec<String> = alarms(node).unwrap().into_iter().map(|(kind, _)| kind).collect();
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind == "conflict"), "{kinds:?}");
    }
}
