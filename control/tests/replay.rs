//! `weir replay` over captures that the tests write themselves.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod common;

use common::{fragments, frames_of, pcap, pcapng, stderr, stdout, udp, weir};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

const CONFIG: &str = "node: gw1\nports:\n  - {name: lan, device: net_null_a}\n  - {name: wan, device: net_null_b}\n\
                      metrics: {listen: off}\n";

/// A directory with a configuration, in which captures are replayed. Its name has what device strings cannot hold.
struct Desk {
    directory: TempDir,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("weir, replay ä ").tempdir().unwrap();
        fs::write(directory.path().join("gw.yaml"), CONFIG).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs replay; `=` in an argument is followed by the name of a file of this directory.
    fn replay(&self, arguments: &[&str]) -> Output {
        let mut all: Vec<OsString> = vec!["replay".into(), "--config".into(), self.path("gw.yaml").into()];
        all.extend(["--verdicts".into(), self.path("verdicts").into()]);
        for argument in arguments {
            all.push(match argument.split_once('=') {
                Some((port, file)) => format!("{port}={}", self.path(file).display()).into(),
                None => argument.into(),
            });
        }
        weir(all)
    }

    fn verdicts(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("verdicts")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn states(verdicts: &[Value]) -> Vec<&str> {
    verdicts.iter().map(|line| line["state"].as_str().unwrap()).collect()
}

#[test]
fn inputs_are_merged_by_time_and_each_frame_gets_a_line() {
    let desk = Desk::new();
    let (ask, answer) = (udp((1, 5000), (2, 53), 20), udp((2, 53), (1, 5000), 40));
    desk.write("lan.pcap", &pcap([(1000, &*ask), (2000, &ask)]));
    desk.write("wan.pcap", &pcapng([(1500, &*answer)]));
    let output = desk.replay(&["--in", "lan=lan.pcap", "--in", "wan=wan.pcap", "--out", "wan=out.pcap"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let line = |frame: u64, port: &str, state: &str, reply: bool, out: &str| {
        json!({"frame": frame, "port": port, "state": state, "reply": reply, "cluster": true,
               "verdict": "forward", "out": out, "reason": null})
    };
    let expected = [
        line(1, "lan", "NEW", false, "wan"),
        line(1, "wan", "ESTABLISHED", true, "lan"),
        line(2, "lan", "ESTABLISHED", false, "wan"),
    ];
    assert_eq!(desk.verdicts(), expected);
    assert_eq!(frames_of(&desk.path("out.pcap")), [ask.clone(), ask]);
    assert!(stdout(&output).contains("frames in: 2 by lan, 1 by wan; flows: 1"), "{}", stdout(&output));
}

#[test]
fn time_is_the_captures_unless_it_is_frozen() {
    let desk = Desk::new();
    let ask = udp((1, 5000), (2, 53), 20);
    // UDP without an answer is forgotten after 30 seconds.
    desk.write("lan.pcap", &pcap([(0, &*ask), (29_000, &ask), (65_000, &ask)]));
    desk.write("wan.pcap", &pcap([(66_000, &*udp((2, 53), (1, 5000), 20))]));
    let inputs = ["--in", "lan=lan.pcap", "--in", "wan=wan.pcap"];
    assert_eq!(desk.replay(&inputs).status.code(), Some(0));
    assert_eq!(states(&desk.verdicts()), ["NEW", "NEW", "NEW", "ESTABLISHED"]);
    assert!(stdout(&desk.replay(&inputs)).contains("; flows: 2,"));
    let frozen = desk.replay(&["--in", "lan=lan.pcap", "--in", "wan=wan.pcap", "--clock", "frozen"]);
    assert!(stdout(&frozen).contains("; flows: 1,"), "{}", stdout(&frozen));
}

#[test]
fn the_line_of_a_frame_that_was_held_says_what_became_of_it() {
    let desk = Desk::new();
    let [first, last] = fragments(&udp((1, 5000), (2, 53), 60), 32);
    let [late, _] = fragments(&udp((3, 5000), (2, 53), 60), 32);
    let [waits, _] = fragments(&udp((4, 5000), (2, 53), 60), 32);
    let ask = udp((5, 5000), (2, 53), 20);
    let times = [(0, &*first), (1, &late), (2, &ask), (3, &last), (40_000, &waits)];
    desk.write("lan.pcap", &pcap(times));
    let output = desk.replay(&["--in", "lan=lan.pcap", "--out", "wan=out.pcap"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let verdicts = desk.verdicts();
    let frames: Vec<_> = verdicts.iter().map(|line| line["frame"].as_u64().unwrap()).collect();
    assert_eq!(frames, [1, 2, 3, 4, 5]);
    let told: Vec<_> = verdicts.iter().map(|line| (&line["verdict"], line.get("released"))).collect();
    let forwarded = json!({"frame": 4, "port": "lan", "verdict": "forward", "out": "wan", "reason": null});
    let dropped =
        json!({"frame": null, "port": null, "verdict": "drop", "out": null, "reason": "fragment_timeout"});
    let (hold, forward) = (json!("hold"), json!("forward"));
    let expected = [
        (&hold, Some(&forwarded)),
        (&hold, Some(&dropped)),
        (&forward, None),
        (&forward, None),
        (&hold, Some(&Value::Null)),
    ];
    assert_eq!(told, expected);
    assert_eq!(frames_of(&desk.path("out.pcap")), [ask, first, last]);
}

#[test]
fn a_broken_capture_is_replayed_up_to_its_damage() {
    let desk = Desk::new();
    let ask = udp((1, 5000), (2, 53), 20);
    let mut capture = pcap([(0, &*ask), (1, &ask), (2, &ask)]);
    let third = 24 + 2 * (16 + ask.len());
    capture.truncate(third + 30);
    desk.write("lan.pcap", &capture);
    let output = desk.replay(&["--in", "lan=lan.pcap"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let expected = format!(
        "lan.pcap: frame 3 at byte {third} cannot be read: the file ends in the middle of its record"
    );
    assert!(text.contains(&expected), "{text}");
    assert_eq!(desk.verdicts().len(), 2);
}

#[test]
fn frames_beyond_the_mtu_and_runts_are_counted_drops() {
    let desk = Desk::new();
    let (oversize, jumbo) = (udp((1, 1), (2, 2), 1600), udp((1, 1), (2, 2), 20_000));
    desk.write("lan.pcap", &pcap([(0, &*oversize), (1, &jumbo), (2, &[2; 9]), (3, &[])]));
    assert_eq!(desk.replay(&["--in", "lan=lan.pcap"]).status.code(), Some(0));
    let verdicts = desk.verdicts();
    let reasons: Vec<_> = verdicts.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["oversize", "segmented", "runt", "runt"]);
    assert!(verdicts.iter().all(|line| line["state"].is_null() && line["verdict"] == "drop"));
}

#[test]
fn what_a_capture_does_not_tell_is_not_made_up() {
    let directory = tempfile::tempdir().unwrap();
    let ports = |addresses: &str| {
        format!(
            "node: gw1\nports:\n  - {{name: lan, device: net_null0{addresses}}}\n  - {{name: wan, device: net_null1}}\n"
        )
    };
    let routed = format!("{}forwarding: {{mode: route}}\n", ports(", addresses: [192.0.2.1/24]"));
    let agreed = format!(
        "{}cluster: {{total_nodes: 2, hash_seed: 1, static: {{members: [{{name: gw1}}]}}}}\n",
        ports("")
    );
    let config = directory.path().join("gw.yaml");
    for (text, why) in [(routed, "captures are not routed"), (agreed, "must be said by `local_nodes`")] {
        fs::write(&config, text).unwrap();
        let config = config.to_string_lossy();
        for command in [vec!["replay", "--in", "lan=none.pcap"], vec!["demo"]] {
            let output = weir([&command[..], &["--config", &*config]].concat());
            assert_eq!(output.status.code(), Some(2), "{command:?}");
            assert!(stderr(&output).contains(why), "{command:?}: {}", stderr(&output));
        }
    }
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    let desk = Desk::new();
    let refused = |arguments: &[&str], code: i32, text: &str| {
        let output = desk.replay(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{text} in\n{}", stderr(&output));
    };
    let mut linux_cooked = pcap([]);
    linux_cooked[20] = 113;
    desk.write("cooked.pcap", &linux_cooked);
    desk.write("text.pcap", b"this is not a capture at all");
    desk.write("good.pcap", &pcap([]));
    refused(&["--in", "lan=cooked.pcap"], 1, "link type 113");
    refused(&["--in", "lan=text.pcap"], 1, "is not a capture");
    refused(&["--in", "lan=missing.pcap"], 1, "missing.pcap");
    refused(&["--in", "dmz=good.pcap"], 2, "there is no port `dmz`; there are lan, wan");
    refused(&["--in", "lan=good.pcap", "--in", "lan=good.pcap"], 2, "port `lan` is named twice");
    refused(&["--in", "lan=good.pcap", "--out", "wan=no/such/directory.pcap"], 1, "cannot write");
}

#[test]
fn lines_go_to_standard_output_and_the_summary_beside_them() {
    let desk = Desk::new();
    let capture: &Path = &desk.path("lan.pcap");
    fs::write(capture, pcap([(0, &*udp((1, 1), (2, 2), 0))])).unwrap();
    let input = format!("lan={}", capture.display());
    let config = desk.path("gw.yaml");
    let output = weir(["replay", "--config", &config.to_string_lossy(), "--in", &input, "--verdicts", "-"]);
    let line: Value = serde_json::from_str(stdout(&output).trim()).unwrap();
    assert_eq!(line["frame"], 1);
    assert!(stderr(&output).contains("forward"), "{}", stderr(&output));
}

#[test]
fn what_is_traced_is_shown_stage_by_stage() {
    let desk = Desk::new();
    let (ask, other) = (udp((1, 5000), (2, 53), 20), udp((3, 5000), (4, 53), 20));
    desk.write("lan.pcap", &pcap([(1000, &*ask), (2000, &other)]));
    let traced = ["--in", "lan=lan.pcap", "--trace", "10.0.0.2"];
    let output = desk.replay(&traced);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for line in
        ["parse    udp 10.0.0.1:5000 > 10.0.0.2:53, ttl 64", "flow     NEW, opens a flow", "forward by wan"]
    {
        assert_eq!(text.matches(line).count(), 1, "{line} in\n{text}");
    }
    assert!(text.contains("frames in: 2 by lan"), "{text}");
}
