//! The transparent cache: clients → gateway → squid → gateway → sites, and squid's answers to clients as from the
//! sites.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::backends::{Squid, Web};
use crate::farm::{Answers, Farm, SITES, client, server, site};
use crate::ready;
use crate::visiting::{crowd, visit};

/// Visits of each site, each by another client.
const VISITS: usize = 5;
/// Who goes on visiting while a cache dies, each another site.
const VISITORS: usize = 12;

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
    let rule = |odd: u8| {
        let sites = format!("0.0.0.{odd}/0.0.0.1");
        format!("-A PREROUTING -i lan -p tcp --dport 80 -d {sites} -j MARK --set-mark {}\n", odd + 1)
    };
    caches.farm.linux(&[0, 1].map(rule).concat()).unwrap();
    let half = SITES / 2;
    let expected = ["squid0", "squid1"].map(|name| (name.to_owned(), half));
    assert_eq!(caches.keep_their_sites().unwrap(), BTreeMap::from(expected));
}

/// A port where nobody listens answers at once: a dead cache is known to be dead after two checks, and a snapshot later
/// the workers know, too. The rest is for a busy machine.
const CHECK: Duration = Duration::from_millis(2 * 550 + 600);

const WEB: &str = "\
marks:
  - { protocol: tcp, destination_port: 80, mark: 1 }
services:
  - name: web
    mark: 1
    scheduler: lblcr
    fallback: bypass
    servers:
      - { name: squid0, address: 10.82.0.1, weight: 100 }
      - { name: squid1, address: 10.82.0.2, weight: 100 }
    health:
      check: http
      port: 3128
      path: /squid-internal-static/icons/SN.png
      status: 200
      interval_s: 0.5
      timeout_s: 0.5
      rise: 2
      fall: 2
      panic_threshold_percent: 0
";

#[test]
fn the_transparent_cache_keeps_sites_moves_them_and_steps_aside() {
    if !ready() {
        return;
    }
    let mut caches = Caches::new().unwrap();
    let weir = caches.farm.weir(WEB).unwrap();
    // A machine's first connections may meet caches that are not yet known to live.
    thread::sleep(2 * CHECK);
    let sites_of = caches.keep_their_sites().with_context(|| weir.log()).unwrap();
    println!("{sites_of:?}");
    assert_eq!(sites_of.len(), 2, "both caches have sites");
    assert!(sites_of.values().all(|sites| *sites >= SITES / 4), "{sites_of:?}");

    let killed = die(&caches.farm, caches.squids.remove(0)).unwrap();
    assert_eq!(killed, BTreeSet::from([Some("squid1".to_owned())]), "all go to the other one");
    let killed = die(&caches.farm, caches.squids.remove(0)).unwrap();
    assert_eq!(killed, BTreeSet::from([None]), "all go straight to the sites");
    let service = weir.ask(&["service", "show", "web"]).unwrap()["services"][0].clone();
    let states = [0, 1].map(|n| service["servers"][n]["state"].clone());
    assert_eq!(states, ["dead", "dead"], "{service}");
    assert!(service["unserved"]["bypassed"].as_u64() > Some(0), "{service}");
    let visitors: BTreeSet<_> = caches.sites.visits().into_iter().map(|[visitor, ..]| visitor).collect();
    assert!(visitors.contains(&client(0)), "the sites see clients: {visitors:?}");

    let (status, log) = weir.stop().unwrap();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

/// Kills a cache while all sites are visited: who answers from the check's time on. Every visit has an answer then.
fn die(farm: &Farm, squid: Squid) -> Result<BTreeSet<Option<String>>> {
    let visitors: Vec<_> = (0..VISITORS).map(client).collect();
    let sites: Vec<_> = (0..VISITORS).map(site).collect();
    let (visits, died) = crowd(&farm.clients, &visitors, &sites, || {
        squid.kill()?;
        let died = Instant::now();
        thread::sleep(CHECK + Duration::from_secs(2));
        anyhow::Ok(died)
    })?;
    let moved = died? + CHECK;
    let late = visits.into_iter().filter(|visit| visit.at >= moved);
    let who = late.map(|visit| Ok(visit.page?.cache().map(|(cache, _)| cache.to_owned())));
    who.collect()
}
