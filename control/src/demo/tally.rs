//! What became of each frame, over all nodes.

use crate::observe::tables::table;
use crate::replay::Node;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use weir_dataplane::counters::{Cell, Verdict};
use weir_dataplane::pipeline::{Observer, Scene, Sight};

/// One node's outcomes of a batch, in its order.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Vec<Verdict>);

impl Observer for &mut Outcomes {
    fn observe(&mut self, sight: &Sight, _: &Scene<'_>) {
        self.0.push(sight.verdict);
    }
}

/// Outcomes over all nodes.
#[derive(Debug)]
pub(super) struct Tally {
    frames: u64,
    by_node: Vec<u64>,
    by_several: u64,
    by_none: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn new(nodes: usize) -> Self {
        Self { frames: 0, by_node: vec![0; nodes], by_several: 0, by_none: BTreeMap::new() }
    }

    /// Books a batch that every node has seen.
    pub(super) fn book(&mut self, outcomes: &[Outcomes]) {
        let frames = outcomes.iter().map(|node| node.0.len()).min().unwrap_or(0);
        for frame in 0..frames {
            self.frames += 1;
            let mut forwarders = 0;
            for (node, forwarded) in outcomes.iter().zip(&mut self.by_node) {
                if matches!(node.0[frame], Verdict::Forward(_) | Verdict::Hairpin(_)) {
                    forwarders += 1;
                    *forwarded += 1;
                }
            }
            match forwarders {
                0 => *self.by_none.entry(reason(outcomes, frame)).or_default() += 1,
                1 => {}
                _ => self.by_several += 1,
            }
        }
    }

    pub(super) fn forwarded_by_several(&self) -> u64 {
        self.by_several
    }

    /// The line of progress after `elapsed`.
    pub(super) fn line(&self, elapsed: Duration, nodes: &[Node]) -> String {
        let mut line = format!("{:3.0} s  {:6} frames", elapsed.as_secs_f64(), self.frames);
        for (number, forwarded) in (1..).zip(&self.by_node) {
            let number: u32 = number;
            let _ = write!(line, "  node {number}: {forwarded:6}");
        }
        let live = nodes.first().map_or(0, |node| node.counters().flows.iter().map(Cell::read).sum::<u64>());
        let _ = write!(line, "  {}: {}  live flows: {live}", several(nodes.len()), self.by_several);
        line
    }

    /// The table at the end.
    pub(super) fn table(&self, nodes: &[Node]) -> String {
        let mut frames = table(&["frames", ""], &[1]);
        frames.add_row(["in".to_owned(), self.frames.to_string()]);
        for (number, forwarded) in (1..).zip(&self.by_node) {
            let number: u32 = number;
            frames.add_row([format!("forwarded by node {number}"), forwarded.to_string()]);
        }
        frames.add_row([format!("forwarded by {}", several(nodes.len())), self.by_several.to_string()]);
        frames.add_row(["forwarded by none".to_owned(), self.by_none.values().sum::<u64>().to_string()]);
        for (reason, count) in &self.by_none {
            frames.add_row([format!("  {reason}"), count.to_string()]);
        }
        let mut flows = table(&["node", "flows", "related flows", "Mpps"], &[0, 1, 2, 3]);
        for (number, node) in (1..).zip(nodes) {
            let (number, counters): (u32, _) = (number, node.counters());
            flows.add_row([
                number.to_string(),
                counters.flows_total(|cells| &cells.created).to_string(),
                counters.flows_total(|cells| &cells.related).to_string(),
                format!("{:.2}", mega_rate(counters.frames(), node.busy())),
            ]);
        }
        format!("{frames}\n{flows}\nMpps: frames over the time spent in the pipeline, one core\n")
    }
}

fn several(nodes: usize) -> &'static str {
    if nodes == 2 { "both" } else { "several" }
}

/// Why no node forwarded a frame: the first reason that a node gives for a drop, or else the first outcome.
fn reason(outcomes: &[Outcomes], frame: usize) -> &'static str {
    let mut verdicts = outcomes.iter().map(|node| node.0[frame]);
    let dropped = verdicts.clone().find_map(|verdict| match verdict {
        Verdict::Drop(reason) => Some(reason.name()),
        _ => None,
    });
    dropped.or_else(|| verdicts.next().map(Verdict::name)).unwrap_or("drop")
}

fn mega_rate(frames: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { frames as f64 / time.as_secs_f64() / 1e6 }
}
