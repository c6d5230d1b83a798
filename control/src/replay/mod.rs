//! Runs the real pipeline over captures instead of live ports: single-threaded, repeatable, real net_pcap ports.
//!
//! What nodes learn from others while they run is not in a capture: a router, and a node whose shares are agreed, are
//! refused.

pub mod capture;
mod lines;
mod merge;
mod node;
mod traces;
mod verdict_line;

pub use merge::{Batch, Clock};
pub use node::{CapturePorts, Node, NodeError, PortFiles};
pub use traces::Tracing;

use crate::config::GatewayConfig;
use crate::observe::{collect, tables};
use crate::runtime::ports;
use crate::runtime::traced::Names;
use crate::{Failure, replay::capture::Capture};
use lines::{Lines, Watch};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use traces::Traces;

/// A replay that is ready to run.
#[derive(Debug)]
pub struct Replay {
    /// What the node does.
    pub config: GatewayConfig,
    /// The captures behind its ports, in the order of the configuration.
    pub files: Vec<PortFiles>,
    /// What drives time.
    pub clock: Clock,
}

impl Replay {
    /// Runs to the end of all captures. Each frame's outcome goes to `verdicts` as a line of JSON, and what `tracing`
    /// means is traced. Answers the summary for people.
    ///
    /// # Errors
    /// What is wrong with captures or ports. Of a capture that breaks off, the frames before that are replayed
    /// first, then the damage is the error; the summary is in `summary` all the same.
    pub fn run(
        self,
        verdicts: Option<Box<dyn Write>>,
        tracing: Option<Tracing>,
        summary: &mut String,
    ) -> Result<(), Failure> {
        is_told_whole(&self.config)?;
        let inputs: Vec<&PathBuf> = self.files.iter().filter_map(|files| files.input.as_ref()).collect();
        let captures: Result<Vec<Capture>, _> = inputs.into_iter().map(|path| capture::scan(path)).collect();
        let captures = captures.map_err(Failure::runtime)?;
        let names: Vec<String> = self.config.ports().iter().map(|port| port.name().to_owned()).collect();
        let dataplane = self.config.dataplane().clone();
        let members = vec![self.config.node().to_owned()];
        let with_captures =
            CapturePorts::new(self.config, "replay", &self.files).map_err(Failure::runtime)?;
        let eal = ports::start_eal(&with_captures.config, 1).map_err(Failure::runtime)?;
        let mut node =
            Node::open(eal, "replay", with_captures, &dataplane, self.clock).map_err(Failure::runtime)?;
        let (services, servers) = (BTreeMap::new(), BTreeMap::new());
        let cluster = dataplane.cluster.as_ref();
        let called = Names { ports: &names, interfaces: None, cluster, members, services, servers };
        play(&mut node, &names, verdicts, Traces::new(tracing, called))?;
        *summary = summarise(&node, &names);
        check(&node, &captures)
    }
}

/// Refuses a configuration that does not say all that becomes of a frame.
pub(crate) fn is_told_whole(config: &GatewayConfig) -> Result<(), Failure> {
    if config.network().is_some() {
        return Err(Failure::configuration(
            "captures are not routed: a router needs its neighbours' MAC addresses, which nobody answers with here; \
             take a configuration with `forwarding: {mode: bridge}`",
        ));
    }
    if config.membership().is_some() {
        return Err(Failure::configuration(
            "nobody is there to share the flows with: which are this node's must be said by `local_nodes`, instead \
             of `gossip`, `etcd` or `static`",
        ));
    }
    Ok(())
}

fn play(
    node: &mut Node,
    names: &[String],
    mut verdicts: Option<Box<dyn Write>>,
    mut traces: Traces<'_>,
) -> Result<(), Failure> {
    let mut batch = Batch::default();
    let mut lines = Lines::new(names);
    let watched = verdicts.is_some();
    loop {
        let lines_if_watched = watched.then_some(&mut lines);
        let more = node
            .turn(&mut batch, |numbers| Watch {
                lines: lines_if_watched,
                numbers: numbers.to_vec(),
                tracer: &mut traces.tracer,
            })
            .map_err(Failure::runtime)?;
        traces
            .write(batch.since_start_us / 1000)
            .map_err(|error| Failure::runtime(format!("cannot write the trace: {error}")))?;
        if let Some(verdicts) = &mut verdicts {
            let written = if more { lines.write(verdicts) } else { lines.finish(verdicts) };
            if matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
                // Whoever read has read enough.
                return Ok(());
            }
            written.map_err(|error| Failure::runtime(format!("cannot write the verdicts: {error}")))?;
        }
        if !more {
            return Ok(());
        }
    }
}

fn summarise(node: &Node, names: &[String]) -> String {
    let counters = collect::counters([node.counters()], names);
    let taken: Vec<String> =
        node.taken().map(|(port, frames)| format!("{frames} by {}", names[port.index()])).collect();
    let flows: (u64, u64) = counters.workers.first().map_or((0, 0), |worker| {
        (worker.flows_total(|flows| flows.created), worker.flows_total(|flows| flows.related))
    });
    format!(
        "{}frames in: {}; flows: {}, of them related: {}\n",
        tables::counters(&counters, false),
        taken.join(", "),
        flows.0,
        flows.1
    )
}

/// Whether every frame there was has been replayed.
fn check(node: &Node, captures: &[Capture]) -> Result<(), Failure> {
    let damages: Vec<String> =
        captures.iter().filter_map(|capture| capture.damage.as_ref()).map(ToString::to_string).collect();
    let expected: u64 = captures.iter().map(|capture| capture.frames).sum();
    let taken: u64 = node.taken().map(|(_, frames)| frames).sum();
    if !damages.is_empty() {
        return Err(Failure::runtime(damages.join("\n")));
    }
    if taken != expected {
        return Err(Failure::runtime(format!(
            "the captures hold {expected} frames, but DPDK read {taken} of them"
        )));
    }
    Ok(())
}
