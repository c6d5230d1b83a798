//! A cluster that heals itself: a node dies under load, and each connection goes on through the others.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_tests::conformance::Mode;
use weir_tests::netns::Namespace;
use weir_tests::process::wait_until;

use crate::lab::{B4, B6, Lab, clients4, clients6};
use crate::node::{Membership, Plan, Weir};
use crate::ready;

const PORT: u16 = 7100;
/// Connections of each client address.
const CONNECTIONS: usize = 2;
/// From one request of a connection to the next.
const PACE: Duration = Duration::from_millis(20);
/// For how long connections are used before and after what happens.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(5);
/// The longest that a connection may wait for an answer: detection, and what TCP makes of it. A segment that is lost is
/// sent again after 0.2 s, then 0.4, 0.8 and 1.6 s later.
const GAP_MAX: Duration = Duration::from_secs(4);

/// Starts a node of a router that agrees by gossip.
fn start(lab: &Lab, number: usize) -> Result<Weir<'_>> {
    let membership = Membership::Gossip;
    let plan = Plan { number, tracking: Mode::All, share: "owner", between: lab.between, membership };
    Weir::start(&lab.nodes[number - 1], plan)
}

/// Waits until `node` sees these nodes serve, and each bucket is one of theirs.
fn agreed(node: &Weir<'_>, serving: &[&str]) -> Result<()> {
    wait_until(&format!("agreement on {serving:?}"), Duration::from_secs(30), || {
        let status = node.ask(&["cluster", "show"])?;
        let agreed = &status["agreed"];
        let owners = agreed["owners"].as_array().context("no owners")?;
        let all = !owners.is_empty()
            && owners.iter().all(|owner| owner.as_str().is_some_and(|owner| serving.contains(&owner)));
        let each = serving.iter().all(|name| owners.iter().any(|owner| owner.as_str() == Some(name)));
        Ok(all && each && agreed["next_map"].is_null())
    })
    .with_context(|| node.print(&["cluster", "show"]).unwrap_or_default() + &node.log())
}

/// Answers each connection's bytes with the same.
fn echo(host: &Namespace) -> Result<()> {
    for address in ["0.0.0.0", "::"] {
        let address: IpAddr = address.parse()?;
        let listener = host.inside(|| {
            let socket = socket2::Socket::new(
                if address.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 },
                socket2::Type::STREAM,
                None,
            )?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.bind(&SocketAddr::new(address, PORT).into())?;
            socket.listen(512)?;
            Ok(TcpListener::from(socket))
        })?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) {
    let mut word = [0; 8];
    while stream.read_exact(&mut word).is_ok() && stream.write_all(&word).is_ok() {}
}

/// Opens a connection from `client` and asks and hears until `until`; the longest time between two answers.
fn talk(host: &Namespace, client: &str, server: &str, until: Instant) -> Result<Duration> {
    let (client, server): (IpAddr, IpAddr) = (client.parse()?, server.parse()?);
    let mut stream = host.inside(|| {
        let domain = if client.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(client, 0).into())?;
        socket.connect_timeout(&SocketAddr::new(server, PORT).into(), Duration::from_secs(5))?;
        Ok(TcpStream::from(socket))
    })?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut gap, mut number) = (Duration::ZERO, 0_u64);
    while Instant::now() < until {
        let asked = Instant::now();
        stream.write_all(&number.to_be_bytes())?;
        let mut word = [0; 8];
        stream.read_exact(&mut word).with_context(|| format!("{client}, word {number}"))?;
        ensure!(word == number.to_be_bytes(), "{client} heard another word");
        gap = gap.max(asked.elapsed());
        number += 1;
        thread::sleep(PACE);
    }
    Ok(gap)
}

/// Two connections of each client address, used while `happens` happens. The gaps, in order.
fn under_load(lab: &Lab, happens: impl FnOnce() -> Result<()>) -> Result<Vec<Duration>> {
    let until = Instant::now() + BEFORE + AFTER;
    let pairs: Vec<(String, &str)> =
        clients4().map(|client| (client, B4)).chain(clients6().map(|client| (client, B6))).collect();
    let mut gaps = thread::scope(|scope| {
        let talks: Vec<_> = pairs
            .iter()
            .flat_map(|pair| core::iter::repeat_n(pair, CONNECTIONS))
            .map(|(client, server)| scope.spawn(|| talk(&lab.a, client, server, until)))
            .collect();
        thread::sleep(BEFORE);
        happens()?;
        talks.into_iter().map(|talk| talk.join().expect("a talk does not panic")).collect::<Result<Vec<_>>>()
    })?;
    gaps.sort();
    println!(
        "{} connections, gaps: median {:?}, longest {:?}",
        gaps.len(),
        gaps[gaps.len() / 2],
        gaps[gaps.len() - 1]
    );
    Ok(gaps)
}

/// A router's laboratory with an echo at host B.
fn lab(nodes: usize) -> Result<Lab> {
    let lab = Lab::routed(nodes)?;
    echo(&lab.b)?;
    Ok(lab)
}

/// One after the other is stopped, comes back, learns, and gets its part again, while connections go on.
#[test]
fn three_nodes_are_restarted_one_by_one_and_no_connection_ends() {
    if !ready() {
        return;
    }
    let lab = lab(3).unwrap();
    let names = ["gw1", "gw2", "gw3"];
    let mut nodes: Vec<Option<Weir<'_>>> = (1..=3).map(|number| Some(start(&lab, number).unwrap())).collect();
    nodes.iter().flatten().for_each(|node| agreed(node, &names).unwrap());
    for i in 0..3 {
        under_load(&lab, || {
            let (status, log) = nodes[i].take().context("it runs")?.stop()?;
            ensure!(status.success(), "{log}");
            Ok(())
        })
        .unwrap();
        nodes[i] = Some(start(&lab, i + 1).unwrap());
        nodes.iter().flatten().for_each(|node| agreed(node, &names).unwrap());
    }
}

#[test]
fn a_node_dies_and_every_connection_goes_on() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let [first, second] = [1, 2].map(|number| start(&lab, number).unwrap());
    agreed(&first, &["gw1", "gw2"]).unwrap();
    agreed(&second, &["gw1", "gw2"]).unwrap();
    println!("{}", first.print(&["cluster", "show"]).unwrap());
    println!("{}", first.print(&["explain", "10.77.1.1"]).unwrap());
    let explained = first.ask(&["explain", "10.77.1.1"]).unwrap();
    assert_eq!(explained["heirs"]["gw2"], "gw1", "{explained}");
    let gaps = under_load(&lab, || second.kill()).unwrap();
    println!("{}", first.print(&["cluster", "show"]).unwrap());
    agreed(&first, &["gw1"]).unwrap();
    assert!(gaps[gaps.len() - 1] < GAP_MAX, "{gaps:?}");
}

#[test]
fn a_node_reads_its_configuration_again_and_no_connection_waits() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let [first, second] = [1, 2].map(|number| start(&lab, number).unwrap());
    agreed(&first, &["gw1", "gw2"]).unwrap();
    agreed(&second, &["gw1", "gw2"]).unwrap();
    let gaps = under_load(&lab, || second.reload()).unwrap();
    assert!(gaps[gaps.len() - 1] < GAP_MAX / 2, "nobody was missing: {gaps:?}");
    agreed(&second, &["gw1", "gw2"]).unwrap();
}

#[test]
fn a_node_stops_and_comes_back_and_no_connection_ends() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let [first, second] = [1, 2].map(|number| start(&lab, number).unwrap());
    agreed(&first, &["gw1", "gw2"]).unwrap();
    agreed(&second, &["gw1", "gw2"]).unwrap();
    under_load(&lab, || {
        let (status, log) = second.stop()?;
        ensure!(status.success(), "{log}");
        Ok(())
    })
    .unwrap();
    agreed(&first, &["gw1"]).unwrap();
    let second = start(&lab, 2).unwrap();
    agreed(&second, &["gw1", "gw2"]).unwrap();
    under_load(&lab, || Ok(())).unwrap();
}
