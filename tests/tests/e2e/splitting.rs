//! A cluster whose gossip is cut, while all nodes hear every frame: what `docs/cluster.md` promises of that.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::agreement::{
    BUCKETS, LATE, SECOND, agreed, filter, lab, owned, owns, print, shows, start, us, within,
};
use crate::lab::Lab;
use crate::node::{Membership, Weir, gossip_address};
use crate::ready;
use crate::talking::talk_while;
use crate::tap::{Taps, now_us};

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

/// Cuts two nodes' gossip for some time, in one way or another, while clients talk: both forward, nobody is left without
/// a node, and all is well within the documented time after the cut has healed.
fn cut_and_heal(
    lab: &Lab,
    nodes: &[Weir<'_>],
    cut: impl Fn(bool) -> Result<()>,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let taps = Taps::start(lab)?;
    let (mut begun, mut healed) = (0, 0);
    talk_while(lab, || {
        thread::sleep(SECOND);
        begun = now_us()?;
        cut(true)?;
        meanwhile()?;
        thread::sleep(SECOND);
        cut(false)?;
        healed = now_us()?;
        agreed(nodes)?;
        println!(
            "healed after {} ms, agreed {} ms later",
            (healed - begun) / 1000,
            (now_us()? - healed) / 1000
        );
        thread::sleep(SECOND);
        Ok(())
    })?;
    let ledger = taps.ledger()?;
    print(&ledger, begun);
    let (doubled, lost) = (&ledger.moments.doubled_us, &ledger.moments.lost_us);
    assert!(within(doubled, &(begun..healed)) > 0, "both should have forwarded: {ledger:?}");
    let (detected, agreed) = (begun + us(DETECTION) / 3, healed + us(agreement_max()));
    assert_eq!(within(doubled, &(detected..agreed)), doubled.len(), "{ledger:?}");
    // A packet that opens a flow may meet the change of maps.
    assert_eq!(within(lost, &(healed..agreed)), lost.len(), "{ledger:?}");
    Ok(())
}

/// Waits until `node` believes to be alone.
fn alone(node: &Weir<'_>) -> Result<()> {
    owns(node, "a node's being alone", |buckets| buckets == BUCKETS)?;
    ensure!(shows(node)?["alarms"].to_string().contains("half of the cluster or more died at once"));
    Ok(())
}

/// Each side takes the other for dead and goes on for all; when only one is deaf, that one does.
#[test]
fn two_nodes_that_cannot_hear_each_other_both_serve_until_they_can() {
    if !ready() {
        return;
    }
    let lab = lab(2).unwrap();
    let nodes = start(&lab, Membership::Gossip, |text| text).unwrap();
    cut_and_heal(&lab, &nodes, |cut| part(&lab, 1, 2, cut), || nodes.iter().try_for_each(alone)).unwrap();
    for node in &nodes {
        assert!(node.log().contains("served while it could not be heard"), "{}", node.log());
    }
    let share = owned(&nodes[1]).unwrap();
    let one_is_deaf = || {
        alone(&nodes[0])?;
        ensure!(owned(&nodes[1])? == share && shows(&nodes[1])?["alarms"] == json!([]));
        Ok(())
    };
    cut_and_heal(&lab, &nodes, |cut| deafen(&lab, 1, 2, cut), one_is_deaf).unwrap();
}

/// The smaller side stops: what is doubled, or nobody's, ends while the cut lasts.
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
        (1..=2).try_for_each(|other| part(&lab, other, 3, true))?;
        owns(&nodes[2], "the minority's end", |buckets| buckets == 0)?;
        println!("yielded after {} ms", (now_us()? - cut) / 1000);
        ensure!(shows(&nodes[2])?["alarms"].to_string().contains("too few nodes are heard"));
        thread::sleep(2 * SECOND);
        (1..=2).try_for_each(|other| part(&lab, other, 3, false))?;
        healed = now_us()?;
        agreed(&nodes)?;
        println!(
            "healed after {} ms, agreed {} ms later",
            (healed - cut) / 1000,
            (now_us()? - healed) / 1000
        );
        thread::sleep(SECOND);
        Ok(())
    })
    .unwrap();
    let ledger = taps.ledger().unwrap();
    print(&ledger, cut);
    let (doubled, lost) = (&ledger.moments.doubled_us, &ledger.moments.lost_us);
    let detection = cut..cut + us(DETECTION + LATE);
    assert_eq!(within(doubled, &detection), doubled.len(), "{ledger:?}");
    assert_eq!(within(lost, &(detection.end..healed)), 0, "{ledger:?}");
    let after = within(lost, &(healed..healed + us(agreement_max())));
    assert_eq!(within(lost, &detection) + after, lost.len(), "{ledger:?}");
}
