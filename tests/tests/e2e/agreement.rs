//! Nodes that agree by themselves, what they show of it, and how tests keep them from hearing each other.

use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use weir_tests::conformance::Mode;
use weir_tests::netns::Namespace;
use weir_tests::process::wait_until;

use crate::lab::Lab;
use crate::node::{Membership, Plan, Weir};
use crate::talking::serve;
use crate::tap::Ledger;

/// What a busy machine adds to any time.
pub(crate) const LATE: Duration = Duration::from_millis(500);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// `total_nodes` of the laboratory's nodes.
pub(crate) const BUCKETS: usize = 64;
const AGREEMENT: Duration = Duration::from_secs(30);

/// A router's laboratory, with somebody at host B who answers.
pub(crate) fn lab(nodes: usize) -> Result<Lab> {
    let lab = Lab::routed(nodes)?;
    serve(&lab.b)?;
    Ok(lab)
}

pub(crate) fn plan(lab: &Lab, number: usize, membership: Membership) -> Plan {
    Plan { number, tracking: Mode::All, share: "owner", between: lab.between, membership }
}

/// As many nodes as the laboratory has places for, all at once.
pub(crate) fn start(
    lab: &Lab,
    membership: Membership,
    edit: impl Fn(String) -> String + Sync,
) -> Result<Vec<Weir<'_>>> {
    let start = |number| Weir::start_edited(&lab.nodes[number - 1], plan(lab, number, membership), &edit);
    let nodes = thread::scope(|scope| {
        let starts: Vec<_> = (1..=lab.nodes.len()).map(|number| scope.spawn(move || start(number))).collect();
        let nodes = starts.into_iter().map(|start| start.join().expect("a start does not panic"));
        nodes.collect::<Result<Vec<_>>>()
    })?;
    agreed(&nodes)?;
    Ok(nodes)
}

/// What `weir cluster show` would say, without the time that it takes to start a program.
pub(crate) fn shows(node: &Weir<'_>) -> Result<Value> {
    let mut socket = UnixStream::connect(node.socket())?;
    socket.write_all(b"GET /cluster HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    Ok(serde_json::from_str::<Value>(body)?["agreed"].take())
}

/// Everything `node` has to say, for a test that fails.
pub(crate) fn testimony(node: &Weir<'_>) -> String {
    node.print(&["cluster", "show"]).unwrap_or_default() + &node.log()
}

/// How many buckets `node` believes its own.
pub(crate) fn owned(node: &Weir<'_>) -> Result<usize> {
    let agreed = shows(node)?;
    let owners = agreed["owners"].as_array().context("no owners")?;
    Ok(owners.iter().filter(|owner| **owner == agreed["node"]).count())
}

/// Waits until all act by one map, in which each has its part, and nothing is wrong.
pub(crate) fn agreed(nodes: &[Weir<'_>]) -> Result<()> {
    wait_until("agreement", AGREEMENT, || {
        let all: Vec<Value> = nodes.iter().map(shows).collect::<Result<_>>()?;
        let one = all.iter().all(|node| {
            node["next_map"].is_null() && node["map"] == all[0]["map"] && node["owners"] == all[0]["owners"]
        });
        let calm = all.iter().all(|node| node["alarms"].as_array().is_some_and(Vec::is_empty));
        let owners = all[0]["owners"].as_array().context("no owners")?;
        let each = all.iter().all(|node| owners.contains(&node["node"]));
        Ok(one && calm && each && !owners.contains(&Value::Null))
    })
    .with_context(|| nodes.iter().map(testimony).collect::<String>())
}

/// Waits until `node` believes so many of the buckets its own.
pub(crate) fn owns(node: &Weir<'_>, what: &str, enough: impl Fn(usize) -> bool) -> Result<()> {
    wait_until(what, AGREEMENT, || Ok(enough(owned(node)?))).with_context(|| testimony(node))
}

/// What is so is lost at this node, or no longer: a chain of iptables, and a match.
pub(crate) fn filter(node: &Namespace, cut: bool, what: &str) -> Result<()> {
    let action = if cut { "-A" } else { "-D" };
    node.run(&format!("iptables-legacy -w {action} {what} -j DROP"))?;
    Ok(())
}

/// What went wrong from the cut on, in tenths of a second.
pub(crate) fn print(ledger: &Ledger, cut_us: u64) {
    println!("{ledger:?}");
    for (what, moments) in [("doubled", &ledger.moments.doubled_us), ("lost", &ledger.moments.lost_us)] {
        let tenth = |at: &u64| at.saturating_sub(cut_us) / 100_000;
        let tenths = moments.chunk_by(|a, b| tenth(a) == tenth(b));
        let text: String = tenths
            .map(|these| format!(" {:.1} s: {}", tenth(&these[0]) as f64 / 10.0, these.len()))
            .collect();
        println!("{what} after the cut:{text}");
    }
}

/// How many of `moments` are within that time.
pub(crate) fn within(moments: &[u64], when_us: &Range<u64>) -> usize {
    moments.iter().filter(|at| when_us.contains(at)).count()
}

/// In microseconds.
pub(crate) fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).expect("a short time")
}
