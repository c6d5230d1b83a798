//! A cluster that heals itself: nodes join, drain, leave and come back under load, and each flow goes on.

use std::time::Duration;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::lab::Lab;
use crate::load::{Report, under_load};
use crate::ready;
use crate::servers::Servers;
use crate::tap::{Ledger, Taps};

/// How long a transfer may wait for a byte while nobody is missing: what was lost in passing, TCP has sent again.
const GAP_MAX: Duration = Duration::from_secs(2);

/// Losses that are so far apart are two.
const PAUSE_US: u64 = 200_000;

/// Starts `nodes` of three nodes and lets `happens` happen to them under load and before taps.
fn watched(
    nodes: usize,
    reading: Duration,
    happens: impl FnOnce(&mut Cluster<'_>) -> Result<()>,
) -> Result<(Report, Ledger)> {
    let lab = Lab::routed(3)?;
    let servers = Servers::start_slow(&lab.b, reading)?;
    let mut cluster = Cluster::start(&lab, nodes)?;
    let taps = Taps::start(&lab)?;
    let (report, ()) = under_load(&lab, &servers, || happens(&mut cluster))?;
    let ledger = taps.ledger()?;
    if ledger.doubled > 0 {
        println!("{}", ledger.twice());
        cluster
            .nodes()
            .try_for_each(|node| node.print(&["cluster", "show"]).map(|said| println!("{said}")))?;
    }
    let longest = report.tcp.iter().chain(&report.ftp).map(|transfer| transfer.gap).max();
    let longest_udp = report.udp.iter().map(|flow| flow.gap).max();
    println!(
        "{ledger}; UDP unanswered {}; longest gap of TCP {longest:?}, of UDP {longest_udp:?}",
        report.unanswered()
    );
    println!("lost at once, frames and for how long: {:?}", outages(&ledger.moments.lost_us));
    Ok((report, ledger))
}

/// What was lost without a pause: how many frames, and from the first to the last of them.
fn outages(lost_us: &[u64]) -> Vec<(usize, Duration)> {
    let outages = lost_us.chunk_by(|one, next| next - one < PAUSE_US);
    outages
        .map(|outage| (outage.len(), Duration::from_micros(outage[outage.len() - 1] - outage[0])))
        .collect()
}

/// Not one flow is broken, not one frame came twice or never.
fn assert_healed((report, ledger): &(Report, Ledger)) {
    report.assert_unbroken();
    assert_eq!((ledger.doubled, ledger.lost), (0, 0), "of {}: {:?}", ledger.sent, ledger.example);
    assert!(report.tcp.iter().chain(&report.ftp).all(|transfer| transfer.gap < GAP_MAX), "{report:?}");
}

#[test]
fn nodes_read_their_configurations_again_and_no_flow_waits() {
    if !ready() {
        return;
    }
    let reload = |cluster: &mut Cluster<'_>| cluster.nodes().try_for_each(|node| node.reload());
    assert_healed(&watched(3, Duration::from_secs(4), reload).unwrap());
}

/// One after the other is stopped, comes back, learns, and gets its part again.
#[test]
fn three_nodes_are_restarted_one_by_one_and_no_flow_ends() {
    if !ready() {
        return;
    }
    let restart = |cluster: &mut Cluster<'_>| {
        (1..=3).try_for_each(|number| {
            cluster.stop(number)?;
            cluster.agreed()?;
            cluster.launch(number)?;
            cluster.agreed()
        })
    };
    assert_healed(&watched(3, Duration::from_secs(20), restart).unwrap());
}

/// A third node joins; the first one drains, leaves, and joins again.
#[test]
fn nodes_join_drain_and_leave_and_no_flow_ends() {
    if !ready() {
        return;
    }
    let change = |cluster: &mut Cluster<'_>| {
        cluster.launch(3)?;
        cluster.agreed()?;
        cluster.drain(1, Duration::from_secs(2))?;
        println!("{}", cluster.node(2).print(&["cluster", "show"])?);
        cluster.stop(1)?;
        cluster.agreed()?;
        cluster.launch(1)?;
        cluster.agreed()
    };
    assert_healed(&watched(2, Duration::from_secs(15), change).unwrap());
}
