//! The transparent cache: clients → gateway → squid → gateway → sites, and squid's answers to clients as from the
//! sites.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::backends::{Squid, Web};
use crate::farm::{Answers, Farm, SITES, client, server, site};
use crate::ready;
use crate::visiting::visit;

/// Visits of each site, each by another client.
const VISITS: usize = 5;

/// The farm with two caches on its servers, and the sites.
struct Caches {
    farm: Farm,
    squids: Vec<Squid>,
    sites: Web,
}

impl Caches {
    fn new() -> Result<Self> {
        let farm = Farm::new(2, Answers::Past)?;
        let start = |(n, host)| Squid::start(host, &format!("squid{n}"));
        let squids = farm.servers.iter().enumerate().map(start).collect::<Result<_>>()?;
        let sites = Web::start(&farm.internet, "site", Duration::ZERO)?;
        Ok(Self { farm, squids, sites })
    }

    /// Every site is visited by several clients: its cache asks it once and answers all of them. Which cache has how
    /// many sites.
    fn keep_their_sites(&self) -> Result<BTreeMap<String, usize>> {
        let mut sites_of = BTreeMap::new();
        for n in 0..SITES {
            let mut caches = BTreeSet::new();
            for k in 0..VISITS {
                let page = visit(&self.farm.clients, &client(n * VISITS + k), &site(n), "/page")?;
                let (cache, found) = page.cache().context("no cache's answer")?;
                ensure!(found == (k > 0), "{}, visit {k}: {page:?}", site(n));
                ensure!(page.says(&format!("site {} /page", site(n))), "{page:?}");
                caches.insert(cache.to_owned());
            }
            ensure!(caches.len() == 1, "{} is kept by {caches:?}", site(n));
            *sites_of.entry(caches.pop_first().unwrap_or_default()).or_default() += 1;
        }
        let hits = self.squids.iter().map(|squid| squid.hits()).collect::<Result<Vec<_>>>()?;
        ensure!(hits.iter().sum::<usize>() == SITES * (VISITS - 1), "hits of the caches: {hits:?}");
        let visitors: Vec<_> = self.sites.visits().into_iter().map(|[visitor, ..]| visitor).collect();
        ensure!(visitors.len() == SITES, "the sites were asked by {visitors:?}");
        ensure!(visitors.iter().all(|visitor| [server(0), server(1)].contains(visitor)), "{visitors:?}");
        Ok(sites_of)
    }
}

#[test]
fn linux_gives_each_site_its_cache_by_policy_routing() {
    if !ready() {
        return;
    }
    let caches = Caches::new().unwrap();
    let to = "-i lan -p tcp --dport 80 -d";
    let rules = [
        format!("{to} 0.0.0.0/0.0.0.1 -j MARK --set-mark 1"),
        format!("{to} 0.0.0.1/0.0.0.1 -j MARK --set-mark 2"),
    ];
    caches.farm.linux(&rules.each_ref().map(String::as_str)).unwrap();
    let half = SITES / 2;
    let expected = ["squid0", "squid1"].map(|name| (name.to_owned(), half));
    assert_eq!(caches.keep_their_sites().unwrap(), BTreeMap::from(expected));
}
