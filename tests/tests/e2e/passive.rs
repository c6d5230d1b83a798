//! Servers that no check asks: their clients show who of them is dead, and it is tried again when its time is over.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use weir_tests::process::wait_until;

use crate::backends::Web;
use crate::farm::{Answers, Farm, SHARED, client};
use crate::node::Weir;
use crate::ready;
use crate::visiting::crowd;

const VISITORS: usize = 12;
/// A SYN without an answer is sent again after a second. The rest is for a busy machine.
const SEEN: Duration = Duration::from_secs(4);
/// So long a server is out after failed connections, at least.
const OUT: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_secs(1);
const SILENCE: &str = "INPUT -p tcp --dport 80 -j DROP";

const SERVICE: &str = "\
services:
  - name: web
    protocol: tcp
    address: 192.0.2.80
    port: 80
    scheduler: rr
    servers: [{ name: a, address: 10.82.0.1 }, { name: b, address: 10.82.0.2 }, { name: c, address: 10.82.0.3 }]
    health: { passive_fall: 3 }
";

/// What is known of the three servers.
fn states(weir: &Weir<'_>) -> Result<[String; 3]> {
    let shown = weir.ask(&["service", "show", "web"])?;
    let state =
        |n: usize| shown["services"][0]["servers"][n]["state"].as_str().unwrap_or_default().to_owned();
    Ok([0, 1, 2].map(state))
}

fn wait_for(weir: &Weir<'_>, expected: [&str; 3], within: Duration) -> Result<()> {
    wait_until(&format!("{expected:?}"), within, || Ok(states(weir)? == expected))
        .with_context(|| format!("{:?}\n{}", states(weir), weir.log()))
}

/// Whose pages all visitors get, for a while.
fn served_by(farm: &Farm) -> Result<Vec<String>> {
    let visitors: Vec<_> = (0..VISITORS).map(client).collect();
    let (visits, ()) = crowd(&farm.clients, &visitors, &[SHARED], || thread::sleep(SHORT))?;
    let pages = visits.into_iter().map(|visit| Ok(visit.page?.server().to_owned()));
    let mut servers = pages.collect::<Result<Vec<_>>>()?;
    servers.sort();
    servers.dedup();
    Ok(servers)
}

#[test]
fn a_server_that_fails_its_clients_is_left_out_and_tried_again() {
    if !ready() {
        return;
    }
    let farm = Farm::new(3, Answers::Through).unwrap();
    // The first refuses, the second says nothing, the third answers.
    let start = |n: usize| Web::start(&farm.servers[n], ["a", "b", "c"][n], Duration::ZERO).unwrap();
    let _answers = [start(1), start(2)];
    farm.servers[1].run(&format!("iptables-legacy -A {SILENCE}")).unwrap();
    let weir = farm.weir(SERVICE).unwrap();
    assert_eq!(states(&weir).unwrap(), ["up"; 3], "nobody has been there");

    let visitors: Vec<_> = (0..VISITORS).map(client).collect();
    let fall = || wait_for(&weir, ["dead", "dead", "up"], SEEN);
    let began = Instant::now();
    let (_, fell) = crowd(&farm.clients, &visitors, &[SHARED], fall).unwrap();
    fell.unwrap();
    assert_eq!(served_by(&farm).with_context(|| weir.log()).unwrap(), ["c"]);

    let _well = start(0);
    farm.servers[1].run(&format!("iptables-legacy -D {SILENCE}")).unwrap();
    wait_for(&weir, ["up"; 3], 2 * OUT).unwrap();
    assert!(began.elapsed() > OUT, "back after {:?}", began.elapsed());
    assert_eq!(served_by(&farm).with_context(|| weir.log()).unwrap(), ["a", "b", "c"]);
    assert_eq!(states(&weir).unwrap(), ["up"; 3]);
    weir.stop().unwrap();
}
