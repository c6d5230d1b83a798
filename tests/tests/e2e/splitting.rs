//! A cluster whose gossip is cut, while all nodes hear every frame: what `docs/cluster.md` promises of that.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::agreement::{LATE, SECOND, agreed, filter, lab, outside, owned, owns, print, shows, start, us};
use crate::lab::Lab;
use crate::node::{Membership, gossip_address};
use crate::ready;
use crate::talking::talk_while;
use crate::tap::{Ledger, Taps, now_us};

/// `detection_time_s` of the laboratory's nodes.
const DETECTION: Duration = Duration::from_secs(1);

/// From when all hear each other to when each flow has one owner: detection, and two maps in two steps each.
fn agreement_max() -> Duration {
    DETECTION + Duration::from_millis(200) + 4 * SECOND
}

/// What `to` hears of the gossip of `from`, by number, is lost, or no longer; all else they hear.
fn deafen(lab: &Lab, to: usize, from: usize, cut: bool) -> Result<()> {
    filter(&lab.nodes[to - 1], cut, &format!("INPUT -s {} -p udp --dport 7946", gossip_address(from)))
}

/// The same in both directions.
fn part(lab: &Lab, one: usize, other: usize, cut: bool) -> Result<()> {
    deafen(lab, one, other, cut)?;
    deafen(lab, other, one, cut)
}

/// Nothing was doubled or lost at any other time.
fn bounded(ledger: &Ledger, when_us: std::ops::Range<u64>) {
    assert_eq!(outside(&ledger.moments.doubled_us, &when_us), 0, "doubled: {ledger:?}");
    assert_eq!(outside(&ledger.moments.lost_us, &when_us), 0, "lost: {ledger:?}");
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
        part(&lab, 1, 2, true)?;
        for node in &nodes {
            owns(node, "a node's being alone", |buckets| buckets == 64)?;
            println!("alone after {} ms", (now_us()? - cut) / 1000);
            ensure!(shows(node)?["alarms"].to_string().contains("half of the cluster or more died at once"));
        }
        thread::sleep(SECOND);
        part(&lab, 1, 2, false)?;
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
    assert!(ledger.doubled > 0, "both should have forwarded: {ledger:?}");
    bounded(&ledger, cut..healed + us(agreement_max()));
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
        part(&lab, 1, 3, true)?;
        part(&lab, 2, 3, true)?;
        owns(&nodes[2], "the minority's end", |buckets| buckets == 0)?;
        println!("yielded after {} ms", (now_us()? - cut) / 1000);
        ensure!(shows(&nodes[2])?["alarms"].to_string().contains("too few nodes are heard"));
        thread::sleep(2 * SECOND);
        part(&lab, 1, 3, false)?;
        part(&lab, 2, 3, false)?;
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
    assert_eq!(outside(&moments.doubled_us, &(cut..cut + us(DETECTION + LATE))), 0, "{ledger:?}");
    assert_eq!(outside(&moments.lost_us, &(cut..healed + us(agreement_max()))), 0, "{ledger:?}");
}

/// Who hears nothing goes on for all, and the other, which knows nothing of it, with its part.
#[test]
fn a_node_that_is_heard_and_hears_nobody_serves_all() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let nodes = start(&lab, Membership::Gossip, |text| text).unwrap();
    let share = owned(&nodes[1]).unwrap();
    let taps = Taps::start(&lab).unwrap();
    let (mut cut, mut healed) = (0, 0);
    talk_while(&lab, || {
        thread::sleep(SECOND);
        cut = now_us()?;
        deafen(&lab, 1, 2, true)?;
        owns(&nodes[0], "a node's being alone", |buckets| buckets == 64)?;
        ensure!(shows(&nodes[0])?["alarms"].to_string().contains("half of the cluster or more died at once"));
        thread::sleep(SECOND);
        ensure!(owned(&nodes[1])? == share && shows(&nodes[1])?["alarms"] == json!([]));
        deafen(&lab, 1, 2, false)?;
        healed = now_us()?;
        agreed(&nodes)?;
        println!("agreed after {} ms", (now_us()? - healed) / 1000);
        thread::sleep(SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, cut);
    assert!(ledger.doubled > 0, "both should have forwarded: {ledger:?}");
    bounded(&ledger, cut..healed + us(agreement_max()));
}
