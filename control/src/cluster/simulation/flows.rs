//! Flows through the cluster: every node hears each packet, and keeps its own record of whose the flow is.
//!
//! A record is kept as workers keep it: until a flow has been answered, packets of its original direction go by the
//! map; then its owner stays, until that node is no longer living or has been dead in between.

use super::random::Random;
use super::world::{BUCKETS, Node, TICK_MS};
use crate::cluster::NodeName;
use std::fmt;

const FLOWS: usize = 6;
const END_MS: u64 = 1500;
/// After this time without an answer the first packet is sent again.
const AGAIN_MS: u64 = 200;
/// By then the answer to a packet has come that was forwarded.
const ANSWER_MAX_MS: u64 = 100;

/// What a node knows of a flow.
pub(super) struct Record {
    owner: Option<NodeName>,
    version: u64,
    answered: bool,
    /// The node came too late to hear its first packet. It may be wrong about its owner, for as long as the flow lasts.
    picked_up: bool,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_ref().map_or("nobody", NodeName::as_str);
        write!(f, "{owner} as of {}, answered {}", self.version, self.answered)
    }
}

/// One flow, as its two ends know it.
pub(super) struct Flow {
    pub(super) id: u64,
    bucket: usize,
    born_ms: u64,
    /// When the answer to its first packet that was forwarded comes.
    answer_at_ms: Option<u64>,
    /// For how long its packets have been forwarded twice, or not at all.
    pub(super) doubled_ms: u64,
    pub(super) lost_ms: u64,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {} of bucket {}, born at {} ms,", self.id, self.bucket, self.born_ms)
    }
}

/// All flows there are.
#[derive(Default)]
pub(super) struct Flows {
    next_id: u64,
    pub(super) open: Vec<Flow>,
}

impl Flows {
    /// A packet of each flow passes.
    pub(super) fn pass(&mut self, nodes: &mut [Option<Node>], now_ms: u64, random: &mut Random) {
        self.open.retain(|flow| now_ms - flow.born_ms < END_MS + flow.id % 7 * 400);
        if self.open.len() < FLOWS {
            self.next_id += 1;
            let bucket = random.index(usize::from(BUCKETS));
            let (id, born_ms) = (self.next_id, now_ms);
            self.open.push(Flow { id, bucket, born_ms, answer_at_ms: None, doubled_ms: 0, lost_ms: 0 });
            nodes.iter_mut().flatten().for_each(|node| node.records.retain(|known, _| known + 20 > id));
        }
        for flow in &mut self.open {
            let answered = flow.answer_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
            if !answered && !(now_ms - flow.born_ms).is_multiple_of(AGAIN_MS) {
                continue;
            }
            let hears =
                |node: &mut Node| node.forwards(flow.id, flow.bucket, flow.born_ms == now_ms, answered);
            let forwarded = nodes.iter_mut().flatten().map(hears).filter(|forwards| *forwards).count();
            if forwarded > 0 && flow.answer_at_ms.is_none() {
                flow.answer_at_ms = Some(now_ms + random.within(1, ANSWER_MAX_MS / TICK_MS) * TICK_MS);
            }
            let picked_up = |node: &Node| node.records.get(&flow.id).is_some_and(|record| record.picked_up);
            if nodes.iter().flatten().any(picked_up) {
                (flow.doubled_ms, flow.lost_ms) = (0, 0);
                continue;
            }
            flow.doubled_ms = if forwarded > 1 { flow.doubled_ms + TICK_MS } else { 0 };
            flow.lost_ms = if forwarded == 0 { flow.lost_ms + TICK_MS } else { 0 };
        }
    }
}

impl Node {
    /// Hears a packet of a flow; whether it forwards it.
    fn forwards(&mut self, id: u64, bucket: usize, new: bool, answered: bool) -> bool {
        let ownership = self.coordinator.ownership();
        let named = || ownership.owners.get(bucket).cloned().flatten();
        let (version, living) = (ownership.version, &ownership.living);
        let record = self.records.entry(id).or_insert_with(|| Record {
            owner: named(),
            version,
            answered,
            picked_up: !new,
        });
        let keeps = |owner: &NodeName| living.get(owner).is_some_and(|since| *since <= record.version);
        if !answered && !record.answered || !record.owner.as_ref().is_some_and(keeps) {
            record.owner = named();
        }
        record.answered |= answered;
        record.version = version;
        record.owner.as_ref() == Some(&self.coordinator.member().name)
    }
}
