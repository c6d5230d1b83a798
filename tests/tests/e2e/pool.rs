//! A pool: a front end and nodes that share an address, of which the least loaded gets each new connection.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::backends::Web;
use crate::farm::{Answers, Farm, SHARED, client};
use crate::node::Weir;
use crate::ready;
use crate::visiting::{Visit, crowd, visit};

const VISITORS: usize = 24;
const LONG: Duration = Duration::from_secs(6);
const SHORT: Duration = Duration::from_secs(1);
/// What each node lets a visitor wait for: the last one is slow.
const DELAYS_MS: [u64; 3] = [5, 5, 150];

const POOL: &str = "\
pools:
  - name: front
    nodes:
      - { name: a, address: 10.82.0.1, cost: 10 }
      - { name: b, address: 10.82.0.2, cost: 10 }
      - { name: c, address: 10.82.0.3, cost: 10 }
    rules: [{ destination: 192.0.2.80/32, protocol: tcp, destination_port: 80 }]
    agent: { port: 9477, interval_s: 0.2 }
";

/// A web server that hands out what a node reports of its load; ended on drop.
struct Agent {
    page: TempDir,
    _server: Background,
}

impl Agent {
    fn start(node: &Namespace) -> Result<Self> {
        let page = tempfile::tempdir()?;
        let mut command = node.command("python3");
        command.args(["-m", "http.server", "9477", "--directory"]).arg(page.path());
        Ok(Self { _server: Background::start("http.server", &mut command)?, page })
    }

    fn say(&self, report: &str) -> Result<()> {
        let new = self.page.path().join("new");
        fs::write(&new, report)?;
        Ok(fs::rename(new, self.page.path().join("load"))?)
    }
}

/// The loads that the nodes have reported.
fn reported(weir: &Weir<'_>) -> Result<Vec<u64>> {
    let pools = weir.ask(&["pool", "show", "front"])?;
    let nodes = pools["pools"][0]["nodes"].as_array().context("no nodes")?;
    nodes.iter().map(|node| node["reported_load"].as_u64().context("no load")).collect()
}

/// A web server on each node.
fn nodes(farm: &Farm) -> Result<Vec<Web>> {
    let start = |(n, host)| Web::start(host, ["a", "b", "c"][n], Duration::from_millis(DELAYS_MS[n]));
    farm.servers.iter().enumerate().map(start).collect()
}

/// Pages by the node that made them. Every visit was answered.
fn by_node(visits: &[Visit]) -> Result<BTreeMap<&str, usize>> {
    let mut pages = BTreeMap::new();
    for visit in visits {
        let page = visit.page.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        *pages.entry(page.server()).or_default() += 1;
    }
    Ok(pages)
}

fn visitors() -> Vec<String> {
    (0..VISITORS).map(client).collect()
}

#[test]
fn a_slow_node_of_a_pool_gets_fewer_connections() {
    if !ready() {
        return;
    }
    let farm = Farm::new(3, Answers::Through).unwrap();
    let _nodes = nodes(&farm).unwrap();
    let weir = farm.weir(POOL).unwrap();
    visit(&farm.clients, &client(0), SHARED, "/page").with_context(|| weir.log()).unwrap();
    let (visits, ()) = crowd(&farm.clients, &visitors(), &[SHARED], || thread::sleep(LONG)).unwrap();
    let pages = by_node(&visits).unwrap();
    println!("{pages:?}");
    let [a, b, c] = ["a", "b", "c"].map(|name| pages.get(name).copied().unwrap_or_default());
    assert!(c > 0 && a > 3 * c && b > 3 * c, "{pages:?}");
    assert!(a < 2 * b && b < 2 * a, "who is equally fast has as many: {pages:?}");

    let agent = Agent::start(&farm.servers[0]).unwrap();
    agent.say("weir-load 1 front a 100000\n").unwrap();
    wait_until("a report", LONG, || Ok(reported(&weir)? == [100_000, 0, 0])).unwrap();
    agent.say("what is this?\n").unwrap();
    let (visits, ()) = crowd(&farm.clients, &visitors(), &[SHARED], || thread::sleep(SHORT)).unwrap();
    let pages = by_node(&visits).unwrap();
    assert!(pages.len() == 2 && !pages.contains_key("a"), "who has much else to do gets none: {pages:?}");
    assert_eq!(reported(&weir).unwrap(), [100_000, 0, 0], "what is no report changes nothing");
}
