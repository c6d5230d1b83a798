//! `weir trace` on both nodes of a router: one says where it sends a flow's frames, the other whose they are, and both
//! say why a packet goes nowhere.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use weir_tests::process::{Background, wait_until};

use crate::clients::curl;
use crate::lab::{B4, Lab, client_of};
use crate::node::{self, Weir};
use crate::ready;
use crate::servers::{HTTP_PORT, Servers};

const SOON: Duration = Duration::from_secs(15);
/// No route leads there.
const NOWHERE: &str = "203.0.113.9";

/// The lines of JSON that a trace has printed.
fn events(trace: &Background) -> Result<Vec<Value>> {
    let log = trace.log();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    // The last one may be on its way.
    Ok(lines.filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The frames that came in.
fn frames(trace: &Background) -> Result<Vec<Value>> {
    let mut events = events(trace)?;
    events.retain(|event| event["event"] == "frame");
    Ok(events)
}

/// Does something until each of the traces has told of it.
fn until_told(traces: &[Background], mut cause: impl FnMut() -> Result<()>) -> Result<()> {
    wait_until("all traces to tell", SOON, || {
        cause()?;
        Ok(traces.iter().map(frames).all(|frames| frames.is_ok_and(|frames| !frames.is_empty())))
    })
    .with_context(|| traces.iter().map(Background::log).collect::<String>())
}

/// The flow's node sends all on; the other knows that it does.
fn check_flow(traces: &[Background; 2], client: &str) -> Result<()> {
    let [owner, other] = [frames(&traces[0])?, frames(&traces[1])?];
    let sent_on = |frame: &&Value| frame["outcome"]["verdict"] == "forward";
    let forwarded: Vec<&Value> = owner.iter().filter(sent_on).collect();
    for (to, by) in [(B4, "wan"), (client, "lan")] {
        let leaves = |frame: &&&Value| {
            frame["steer"]["next_hop"] == to
                && frame["steer"]["interface"] == by
                && frame["outcome"]["out"] == by
                && frame["steer"]["leaves"]["hops_left"] == 63
                && frame["gate"]["owned"] == true
                && frame["owner"]["owner"] == "gw1"
        };
        ensure!(forwarded.iter().any(|frame| leaves(&frame)), "none leaves to {to}:\n{owner:#?}");
    }
    for frame in other {
        let (outcome, owner) = (&frame["outcome"]["verdict"], &frame["owner"]);
        ensure!(outcome == "shadow" && owner["owner"] == "node 1", "{frame:#}");
        ensure!(owner["address"] == client && frame["gate"]["owned"] == false, "{frame:#}");
    }
    Ok(())
}

fn start(nodes: &[Weir<'_>; 2], words: &[&str]) -> Result<[Background; 2]> {
    Ok([nodes[0].trace(words)?, nodes[1].trace(words)?])
}

#[test]
fn a_trace_says_what_each_node_does_with_a_flow_and_why_a_packet_goes_nowhere() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = node::two(&lab).unwrap();
    let _servers = Servers::start(&lab.b).unwrap();
    let client = client_of(1, B4);
    let url = format!("http://{B4}:{HTTP_PORT}/page");
    let fetch = || curl(&lab.a, &["--interface", &client, &url]).map(drop);
    // The gateway learns who its neighbours are.
    fetch().unwrap();

    let dport = HTTP_PORT.to_string();
    let words = ["--json", "--proto", "tcp", "--src", &client, "--dst", B4, "--dport", &dport];
    let mut traces = start(&nodes, &words).unwrap();
    until_told(&traces, fetch).unwrap();
    fetch().unwrap();
    check_flow(&traces, &client).unwrap();
    for trace in &mut traces {
        trace.signal(Signal::SIGTERM).unwrap();
        trace.wait(SOON).unwrap();
    }

    // Two, since a trace that begins between the echo and its answer hears the answer first.
    let mut traces = start(&nodes, &[NOWHERE, "--json", "--count", "2"]).unwrap();
    let ping = || {
        // Nobody answers but the gateway, and that with an error.
        let _ = lab.a.run(&format!("ping -n -c 1 -W 1 -I {client} {NOWHERE}"));
        Ok(())
    };
    until_told(&traces, ping).unwrap();
    let told = traces.each_ref().map(|trace| frames(trace).unwrap().remove(0));
    let outcome = |frame: &Value| (frame["outcome"]["verdict"].clone(), frame["outcome"]["reason"].clone());
    assert_eq!(outcome(&told[0]), ("punt".into(), "unreachable".into()), "{told:#?}");
    assert_eq!(told[0]["steer"]["way"], "no_route");
    assert_eq!(outcome(&told[1]), ("shadow".into(), Value::Null), "{told:#?}");
    for trace in &mut traces {
        let status = trace.wait(SOON).unwrap();
        assert!(status.success() && trace.log().contains("as many as were asked for"), "{}", trace.log());
    }
    assert!(nodes.iter().all(|node| !node.log().contains("panicked")));
}
