//! Real programs through real gateways, in namespaces: host A – hub – {nodes} – hub – host B.
//!
//! Needs root, and the programs that the tests drive (listed in [`ready`]). Runs nothing outside namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

mod clients;
mod lab;
mod servers;
mod tap;

use lab::{A4, B4, Lab};
use servers::Servers;
use tap::Taps;
use weir_tests::netns;

/// Whether the tests can run here; says so where they cannot.
fn ready() -> bool {
    let programs =
        ["curl", "dig", "dnsmasq", "ethtool", "iperf3", "ping", "python3", "ss", "tcpdump", "vsftpd"];
    if !netns::available("end-to-end test") {
        return false;
    }
    netns::installed(&programs).expect("install what is missing");
    true
}

/// The laboratory itself: with a plain bridge in the node's place all traffic passes exactly once.
#[test]
fn a_plain_bridge_carries_everything() {
    if !ready() {
        return;
    }
    let lab = Lab::new(1).unwrap();
    lab.nodes[0].hub("bridge", &["lan", "wan"]).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    let taps = Taps::start(&lab).unwrap();
    clients::ping(&lab.a).unwrap();
    clients::http(&lab.a, &servers).unwrap();
    clients::dns(&lab.a).unwrap();
    clients::ftp(&lab.a, &servers, 2).unwrap();
    let ledger = taps.ledger().unwrap();
    println!("{ledger:?}");
    ledger.assert_exactly_once();
    println!("{:?}", clients::iperf(&lab.a, A4, B4).unwrap());
}
