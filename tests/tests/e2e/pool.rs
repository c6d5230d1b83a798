//! A pool: a front end and nodes that share an address, of which the least loaded gets each new connection.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backends::Web;
use crate::farm::{Answers, Farm, SHARED, client};
use crate::ready;
use crate::visiting::{Visit, crowd, visit};

const VISITORS: usize = 24;
const LONG: Duration = Duration::from_secs(6);
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
";

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
}
