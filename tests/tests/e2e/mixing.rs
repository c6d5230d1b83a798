//! One router of two kinds: a node of ours and one of Linux with its cluster match, which share the gateway's addresses,
//! the cluster's MAC addresses and the hash space.

use std::net::IpAddr;

use weir_tests::conformance::Mode;

use crate::gateway::{discover_path_mtu, greet, opened_by_clients, sent_by_servers, trace};
use crate::lab::{B4, B6, Lab, owner};
use crate::linux::LinuxRouter;
use crate::node::{Membership, Plan, Weir};
use crate::ready;
use crate::servers::Servers;
use crate::tap::Ledger;

/// The servers' addresses fall to Linux's share.
const OURS: usize = 2;
const LINUX: usize = 1;

/// What clients open passes exactly once. UDP answers, and connections that an FTP server opens, pass twice if their
/// flow is ours: Linux tracks its own flows alone, has never heard the question, and takes the answer for a flow that
/// the server begins, whose address falls to its share.
#[test]
fn a_gateway_routes_beside_linux_which_doubles_answers() {
    if !ready() {
        return;
    }
    assert_eq!([B4, B6].map(owner), [LINUX, LINUX]);
    let lab = Lab::routed(2).unwrap();
    let plan = Plan {
        number: OURS,
        tracking: Mode::Own,
        share: "owner",
        between: lab.between,
        membership: Membership::Numbers,
    };
    let _ours = Weir::start(&lab.nodes[OURS - 1], plan).unwrap();
    let _linux = LinuxRouter::start(&lab, LINUX).unwrap();
    let servers = Servers::start(&lab.b).unwrap();
    greet(&lab).unwrap();
    let ledger = opened_by_clients(&lab, &servers).unwrap();
    println!("opened by clients: {ledger}");
    ledger.assert_exactly_once();
    ledger.assert_one_node_each(2);
    trace(&lab).unwrap();
    discover_path_mtu(&lab).unwrap();

    let ledger = sent_by_servers(&lab, &servers).unwrap();
    println!("answered and opened by servers: {ledger}");
    assert_eq!(ledger.lost, 0, "{:?}", ledger.example);
    assert_linux_doubled(&ledger);
}

/// Of each packet that came too often our node passed on its own copies, and Linux as many more.
fn assert_linux_doubled(ledger: &Ledger) {
    let servers = [B4, B6].map(|server| server.parse::<IpAddr>().unwrap());
    let mut answers = 0;
    for (flow, by) in &ledger.copies {
        let client = flow.client(&servers).expect("an end that is no server").to_string();
        assert_eq!(owner(&client), OURS, "Linux's own flow was doubled: {flow:?} by {by:?}");
        let of_linux = by.iter().filter(|node| **node == LINUX).count();
        assert!(of_linux > 0, "not Linux's doing: {flow:?} by {by:?}");
        // TCP makes more of what comes twice: what follows need not pass both.
        if flow.is_udp() {
            assert_eq!(of_linux * 2, by.len(), "{flow:?} by {by:?}");
            answers += of_linux;
        }
    }
    println!("passed on by Linux, too, though not its own: {answers} UDP answers");
    assert!(answers > 0, "Linux doubled no UDP answer");
}
