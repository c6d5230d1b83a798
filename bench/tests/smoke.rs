//! The benchmark itself: that it runs, does its work, and reports it. Not how fast anything is.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::process::Command;

#[test]
fn a_quick_run_measures_all_parts_that_need_nothing() {
    let out = tempfile::tempdir().unwrap();
    let run =
        Command::new(env!("CARGO_BIN_EXE_weir-bench")).args(["--quick", "--out"]).arg(out.path()).output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let summary = fs::read_to_string(out.path().join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    for key in [
        "established_1",
        "bridge_10k",
        "routed_1",
        "routed_strict_10k",
        "shadow_bridge_1",
        "shadow_routed_10k",
        "served_10_rules_1",
        "served_1000_rules_10k",
        "passed_1000_rules_10k",
        "new_served_1000_rules",
        "classify_4000_rules",
        "rte_hash_10k",
        "hashbrown_1",
        "syn_of_others",
        "udp_stream",
        "new_flow_expiring",
        "route_ipv4_1m",
        "route_ipv6_200k",
    ] {
        assert!(summary["figures"][key]["median"].as_f64().unwrap() > 0.0, "{key}");
    }
    for key in [
        "routed_more_1",
        "routed_all_more_10k",
        "new_served_more",
        "turn_max_expiry",
        "turn_max_routes",
        "latency_p99_80",
        "hand_over",
    ] {
        assert!(summary["figures"][key]["samples"].is_array(), "{key}");
    }
    assert_eq!(summary["facts"]["rounds"], "1");
    let picture = fs::read_to_string(out.path().join("throughput.svg")).unwrap();
    assert!(picture.contains("Weir, whole pipeline") && picture.contains("hashbrown"));
}
