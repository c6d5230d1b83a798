//! What small configurations come to: defaults, warnings, and that no text whatever upsets the reader.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use weir_control::config::{self, ConfigErrors, GatewayConfig, Idle, Problem, Queues};

const PORTS: &str = "node: gw1\nports:\n  - {name: a, device: net_null0}\n  - {name: b, device: net_null1}\n";

fn accept(more: &str) -> (GatewayConfig, Vec<String>) {
    let loaded =
        config::parse("test.yaml", &format!("{PORTS}{more}")).unwrap_or_else(|errors| panic!("{errors}"));
    (loaded.config, loaded.warnings.into_iter().map(|Problem { message, .. }| message).collect())
}

#[test]
fn the_least_configuration_is_a_bridge_that_owns_everything() {
    let (config, warnings) = accept("");
    assert_eq!(warnings, [""; 0]);
    let [a, b] = ["a", "b"].map(|name| config.port_id(name).unwrap());
    assert_eq!((config.dataplane().bridge.peer(a), config.dataplane().bridge.peer(b)), (Some(b), Some(a)));
    assert!(config.dataplane().cluster.is_none());
    assert_eq!((config.ports()[0].mtu(), config.ports()[0].queues()), (1500, Queues::Auto));
    assert_eq!(config.workers().count(), 1);
    assert_eq!(config.workers().idle(), Idle::Backoff);
    assert_eq!(config.memory().buffer_size(), 2048 + 128);
    assert_eq!(config.dataplane().conntrack.tcp.timeouts.established.as_s(), 432_000);
    assert_eq!(config.dataplane().conntrack.udp_timeout_stream.as_s(), 120);
}

#[test]
fn a_node_mask_and_node_numbers_say_the_same() {
    let nodes = |text: &str| {
        let (config, _) = accept(&format!("cluster: {{total_nodes: 32, hash_seed: 0, {text}}}\n"));
        let cluster = config.dataplane().cluster.clone().unwrap();
        cluster.mask().unwrap().local_nodes.iter().map(|bucket| bucket.number().number()).collect::<Vec<_>>()
    };
    assert_eq!(nodes("node_mask: 0x80000005"), [1, 3, 32]);
    assert_eq!(nodes("local_nodes: [32, 1, 3]"), [1, 3, 32]);
}

#[test]
fn hundredths_of_a_second_count() {
    let (config, _) = accept("conntrack: {icmp: {timeout_s: 0.3}, generic: {timeout_s: 2.25}}\n");
    assert_eq!(config.dataplane().conntrack.icmp_timeout.as_ms(), 300);
    assert_eq!(config.dataplane().conntrack.generic_timeout.as_ms(), 2250);
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let warned = |more: &str, what: &str| {
        let (_, warnings) = accept(more);
        assert!(matches!(warnings.as_slice(), [only] if only.contains(what)), "{more}: {warnings:?}");
    };
    warned("metrics: {listen: '0.0.0.0:9475'}\n", "everybody who reaches 0.0.0.0:9475");
    warned("cluster: {total_nodes: 64, local_nodes: [64], hash_seed: 0}\n", "no Linux node can take part");
    warned("cluster: {total_nodes: 2, local_nodes: [], hash_seed: 0}\n", "owns nothing");
    warned("cluster: {total_nodes: 2, node_mask: 3, hash_seed: 0, invert: true}\n", "owns nothing");
    let loose = "conntrack: {tcp: {loose: true}}\n";
    warned(&format!("{loose}cluster: {{total_nodes: 2, local_nodes: [1], hash_seed: 0}}\n"), "in mid-stream");
    assert_eq!(accept(loose).1, [""; 0]);
}

#[test]
fn nodes_with_numbers_may_have_devices_of_one_mac_address() {
    let router = |local_nodes: &str, cluster_mac: &str| {
        let text = format!(
            "node: gw1\nforwarding: {{mode: route}}\nports:\n  - {{name: a, device: net_null0, addresses: [192.0.2.1/24]\
             {cluster_mac}}}\n  - {{name: b, device: net_null1, addresses: [198.51.100.1/24]{cluster_mac}}}\n\
             cluster: {{total_nodes: 2, hash_seed: 1, local_nodes: {local_nodes}}}\n"
        );
        let warnings = config::parse("test.yaml", &text).unwrap().warnings;
        warnings.into_iter().map(|Problem { message, .. }| message).collect::<Vec<_>>()
    };
    let warnings = router("[1]", "");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(warnings[0], "`a` has no `cluster_mac`: what stations send here, one node alone hears");
    assert_eq!(router("[1]", ", cluster_mac: '02:00:5e:00:01:01'"), [""; 0]);
    assert_eq!(router("[1, 2]", ""), [""; 0], "there is one node");
}

#[test]
fn what_a_router_has_no_use_for_or_cannot_reach_is_a_warning() {
    let text = "node: gw1\nforwarding: {mode: route}\nports:\n  \
                - {name: a, device: net_null0, addresses: [192.0.2.1/24], cluster_mac: '02:00:5e:00:01:01'}\n  \
                - {name: b, device: net_null1}\n\
                routes:\n  - {to: '2001:db8:1::/48', via: 'fe80::1', dev: a}\n  - {to: '2001:db8:2::/48', dev: a}\n\
                cluster:\n  {total_nodes: 64, hash_seed: 1, learning_s: 30, non_ip: drop, static: {members: [{name: gw1}]}}\n";
    let warnings = config::parse("test.yaml", text).unwrap().warnings;
    let told: Vec<_> = warnings.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(
        told,
        [
            (5, "`b` has no `addresses`: whatever it receives is dropped"),
            (7, "`a` has no IPv6 address to ask from"),
            (8, "`a` has no IPv6 address to ask from"),
            (10, "a UDP flow may be silent for longer: a node that joins then forwards it beside its owner"),
            (10, "`non_ip` means nothing to a router"),
        ]
    );
}

#[test]
fn more_members_than_shares_is_a_warning() {
    let (_, warnings) =
        accept("cluster: {total_nodes: 1, hash_seed: 1, static: {members: [{name: gw1}, {name: gw2}]}}\n");
    assert_eq!(warnings, ["2 members share 1 buckets: some get none"]);
}

#[test]
fn a_port_without_a_partner_is_a_warning() {
    let text = format!("{PORTS}  - {{name: c, device: net_null2}}\nforwarding: {{pairs: [[a, b]]}}\n");
    let warnings = config::parse("test.yaml", &text).unwrap().warnings;
    assert_eq!(
        warnings.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"),
        "test.yaml:5:12: warning: `c` is in no pair: whatever it receives is dropped\n    \
         - {name: c, device: net_null2}\n             ^\n  \
         hint: add it to `forwarding.pairs`, or leave the port out"
    );
}

#[test]
fn a_number_may_be_written_as_yaml_allows() {
    let (config, _) = accept("workers: {count: 64.0}\nconntrack: {flows_max: 1e6}\n");
    assert_eq!((config.workers().count(), config.dataplane().conntrack.flows_max), (64, 1_000_000));
}

#[test]
fn a_file_from_windows_is_read() {
    let text = format!("\u{feff}{}", PORTS.replace('\n', "\r\n"));
    assert_eq!(config::parse("test.yaml", &text).unwrap().config.node(), "gw1");
    let errors = config::parse("test.yaml", &format!("{text}burst: 1\r\n")).unwrap_err();
    assert!(
        errors.to_string().starts_with("test.yaml:5:1: unknown key `burst`\n  burst: 1\n  ^^^^^\n"),
        "{errors}"
    );
}

/// What is told of `text` points into it.
fn told(text: &str) {
    let Err(ConfigErrors::Wrong { errors, .. }) = config::parse("test.yaml", text) else { return };
    assert!(!errors.is_empty(), "refused without a reason:\n{text}");
    for Problem { line, column, length, source, message, .. } in errors {
        assert_eq!(text.lines().nth(line - 1).unwrap_or_default(), source, "{message}");
        assert!(column <= source.chars().count() + 1 && length >= 1, "{message}: {line}:{column}\n{text}");
    }
}

/// Some files, cut short at each character and spoilt in many places.
#[test]
fn no_text_upsets_the_reader() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = 0;
    for name in [
        "tests/wrong/types.yaml",
        "tests/wrong/pairs.yaml",
        "tests/wrong/timeouts.yaml",
        "../configs/demo.yaml",
    ] {
        let text = fs::read_to_string(here.join(name)).unwrap();
        for (at, _) in text.char_indices() {
            told(&text[..at]);
            for spoiler in
                ["\t", "é", "[", "}", ": ", "- ", "&a ", "*a", "!t ", "\"", "\n", "#", "---\n", "\0"]
            {
                if at % 7 == 0 {
                    told(&format!("{}{spoiler}{}", &text[..at], &text[at..]));
                    texts += 1;
                }
            }
        }
    }
    assert!(texts > 1000, "only {texts} texts");
}
