//! What the command line answers before anything runs, and with which exit code.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod common;

use common::{stderr, stdout, weir};

#[test]
fn help_names_every_command_and_exit_code() {
    let help = weir(["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = stdout(&help);
    for command in
        "run check replay demo status flows expectations trace cluster vip counters reload import schema"
            .split(' ')
    {
        assert!(text.lines().any(|line| line.trim_start().starts_with(command)), "{command} in\n{text}");
    }
    assert!(
        text.contains("Exit codes:\n  0 ") && text.contains("\n  1 ") && text.contains("\n  2 "),
        "{text}"
    );
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for wrong in [
        &[][..],
        &["walk"],
        &["run"],
        &["replay", "--config", "x.yaml"],
        &["replay", "--config", "x.yaml", "--in", "lan"],
        &["replay", "--config", "x.yaml", "--in", "lan=a.pcap", "--clock", "sundial"],
        &["cluster", "add", "0"],
        &["cluster", "add", "1025"],
        &["flows", "--limit", "0"],
        &["flows", "--src", "10.0.0"],
        &["flows", "--state", "OPEN"],
        &["flows", "--owned", "--shadow"],
        &["flows", "--json", "--output", "conntrack"],
        // Deleting all is said, not implied.
        &["flows", "delete"],
        &["flows", "delete", "--protocol", "ip"],
        &["vip", "show", "10.0.0"],
        &["vip", "add", "192.0.2.9"],
        &["import", "clusterip", "a", "b"],
        &["trace", "10.0.0"],
        &["trace", "--count", "0"],
        &["trace", "--seconds", "3601"],
    ] {
        assert_eq!(weir(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_gateway_that_is_not_there_ends_with_1() {
    for command in [
        &["status"][..],
        &["flows"],
        &["flows", "--events"],
        &["flows", "delete", "--all"],
        &["expectations"],
        &["trace", "10.0.0.1"],
        &["counters"],
        &["reload"],
        &["cluster", "show"],
        &["cluster", "add", "2"],
        &["vip", "list"],
        &["vip", "show", "192.0.2.9"],
        &["vip", "del", "192.0.2.9", "2"],
        &["service", "list", "-nc"],
        &["service", "list", "--numeric", "--stats", "--exact"],
    ] {
        let output = weir(command.iter().chain(&["--socket", "/nonexistent/weir.sock"]));
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(
            stderr(&output).contains("no gateway answers on /nonexistent/weir.sock"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn what_is_no_value_is_told_what_is() {
    for (command, told) in [
        (&["service", "set", "web", "a", "--weight", "-1"][..], "-1 is not in 0..=65535"),
        (&["service", "drain", "web", "a", "--timeout-s", "-5"], "invalid value '-5' for '--timeout-s <S>'"),
        (&["cluster", "add", "two"], "a number from 1 to 1024 is wanted"),
        (&["explain", "foo"], "not an IP address; for example `192.0.2.80`"),
        (&["vip", "show", "10.0"], "not an IP address"),
    ] {
        let output = weir(command);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(stderr(&output).contains(told), "{}", stderr(&output));
    }
}

#[test]
fn check_tells_good_from_bad() {
    let directory = tempfile::tempdir().unwrap();
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/demo.yaml");
    assert_eq!(weir(["check", good]).status.code(), Some(0));
    let bad = directory.path().join("bad.yaml");
    std::fs::write(&bad, "node: a b\nports: 3\nspeed: fast\n").unwrap();
    let output = weir(["check".as_ref(), bad.as_os_str()]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    for line in ["bad.yaml:1:", "bad.yaml:2:", "bad.yaml:3:"] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert_eq!(weir(["check", "/nonexistent.yaml"]).status.code(), Some(2));
}

#[test]
fn version_names_dpdk_too() {
    let text = stdout(&weir(["version"]));
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("weir ") && lines[1].starts_with("DPDK "), "{text}");
}

#[test]
fn completions_man_pages_and_schema_are_made() {
    let script = stdout(&weir(["completions", "bash"]));
    assert!(script.contains("complete -F _weir"), "{script}");
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    assert_eq!(weir(["man".as_ref(), pages.as_os_str()]).status.code(), Some(0));
    for page in ["weir.1", "weir-run.1", "weir-cluster-add.1"] {
        assert!(pages.join(page).exists(), "{page}");
    }
    let schema: serde_json::Value = serde_json::from_str(&stdout(&weir(["schema"]))).unwrap();
    assert!(schema["properties"]["ports"].is_object());
}
