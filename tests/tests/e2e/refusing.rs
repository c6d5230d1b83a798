//! What cannot work ends at once, with a sentence that says why.

use std::path::Path;
use std::time::Duration;

use weir_tests::conformance::Mode;

use crate::lab::{Between, Lab, Nodes};
use crate::node::{self, Membership, Plan, Weir};

const PLAN: Plan = Plan {
    number: 1,
    tracking: Mode::All,
    share: "owner",
    between: Between::Bridge,
    membership: Membership::Numbers,
};

/// Runs a gateway that is to end by itself; its exit code and what it said.
fn refused(lab: &Lab, text: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("weir.yaml");
    std::fs::write(&config, text).unwrap();
    let mut gateway = node::run(&lab.nodes[0], &config, PLAN.number).unwrap();
    let status = gateway.wait(Duration::from_secs(20)).unwrap();
    (status.code(), gateway.log())
}

#[test]
fn a_port_that_does_not_exist() {
    if !crate::ready() {
        return;
    }
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text =
        node::configuration(PLAN, &folder.path().join("weir.sock")).replace("iface=wan", "iface=nowhere");
    let (code, said) = refused(&lab, &text);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("wan") && said.contains("nowhere"), "{said}");
}

#[test]
fn two_gateways_on_one_socket() {
    if !crate::ready() {
        return;
    }
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    let weir = Weir::start(&lab.nodes[0], PLAN).unwrap();
    let text = node::configuration(PLAN, &weir.socket());
    let (code, said) = refused(&lab, &text);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&*weir.socket().to_string_lossy()), "{said}");
    weir.ask(&["status"]).expect("the first goes on");
}

#[test]
fn a_socket_path_that_is_not_writable() {
    if !crate::ready() {
        return;
    }
    let lab = Lab::new(1, Nodes::HearEachOther).unwrap();
    let (code, said) = refused(&lab, &node::configuration(PLAN, Path::new("/proc/weir.sock")));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/proc/weir.sock"), "{said}");
}
