//! A cluster with leases in etcd, which is killed, or cut off from one node: what `docs/cluster.md` promises of that.

use std::thread;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::agreement::{BUCKETS, LATE, SECOND, agreed, filter, lab, owns, print, shows, start, us, within};
use crate::lab::{Lab, STATION};
use crate::node::{LEASE, Membership, Weir};
use crate::ready;
use crate::store::Etcd;
use crate::talking::talk_while;
use crate::tap::{Taps, now_us};

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

/// It stops before its lease ends, and the other inherits after that; so it does if it stands still meanwhile.
#[test]
fn a_node_that_is_cut_off_from_etcd_stops_before_the_other_inherits() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let _etcd = Etcd::start(&lab).unwrap();
    let nodes = start(&lab, Membership::Etcd, |text| text).unwrap();
    cut_off(&lab, &nodes).unwrap();
    stand_still(&lab, &nodes).unwrap();
}

fn cut_off(lab: &Lab, nodes: &[Weir<'_>]) -> Result<()> {
    let taps = Taps::start(lab)?;
    let (mut cut, mut stopped, mut inherited, mut healed) = (0, 0, 0, 0);
    let store = |is_cut| {
        filter(&lab.nodes[1], is_cut, &format!("INPUT -s {STATION}"))?;
        filter(&lab.nodes[1], is_cut, &format!("OUTPUT -d {STATION}"))
    };
    talk_while(lab, || {
        thread::sleep(SECOND);
        cut = now_us()?;
        store(true)?;
        owns(&nodes[1], "the end of the lease", |buckets| buckets == 0)?;
        stopped = now_us()?;
        owns(&nodes[0], "the inheritance", |buckets| buckets == BUCKETS)?;
        inherited = now_us()?;
        ensure!(shows(&nodes[1])?["alarms"].to_string().contains("there is no lease"));
        thread::sleep(SECOND);
        store(false)?;
        healed = now_us()?;
        agreed(nodes)?;
        thread::sleep(SECOND);
        Ok(())
    })?;
    let ledger = taps.ledger()?;
    print(&ledger, cut);
    println!("stopped after {} ms, inherited after {} ms", (stopped - cut) / 1000, (inherited - cut) / 1000);
    assert!(stopped < cut + us(LEASE) && stopped < inherited, "{cut} {stopped} {inherited}");
    assert!(inherited < cut + us(LEASE) * 11 / 10 + us(SECOND + LATE), "{cut} {inherited}");
    assert_eq!(ledger.doubled, 0, "{ledger:?}");
    let lost = &ledger.moments.lost_us;
    assert_eq!(within(lost, &(0..stopped - us(LATE))), 0, "{ledger:?}");
    assert_eq!(within(lost, &(inherited + us(LATE)..healed)), 0, "{ledger:?}");
    Ok(())
}

fn stand_still(lab: &Lab, nodes: &[Weir<'_>]) -> Result<()> {
    let taps = Taps::start(lab)?;
    let (mut stopped, mut goes_on) = (0, 0);
    talk_while(lab, || {
        thread::sleep(SECOND);
        stopped = now_us()?;
        nodes[1].signal(Signal::SIGSTOP)?;
        owns(&nodes[0], "the inheritance", |buckets| buckets == BUCKETS)?;
        thread::sleep(SECOND);
        goes_on = now_us()?;
        nodes[1].signal(Signal::SIGCONT)?;
        agreed(nodes)
    })?;
    let ledger = taps.ledger()?;
    print(&ledger, goes_on);
    assert!(within(&ledger.moments.lost_us, &(stopped..goes_on)) > 0, "it had no flow");
    // What it had not read when it stopped it reads now.
    assert_eq!(ledger.doubled, 0, "{}", ledger.twice());
    Ok(())
}
