//! The shapes that the API speaks: JSON on the socket, and the source of every table and metric.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A gateway at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The node's name in its configuration.
    pub node: String,
    /// Weir's version.
    pub version: String,
    /// DPDK's version.
    pub dpdk_version: String,
    /// Seconds since the workers started.
    pub uptime_s: u64,
    /// Epoch of the snapshot that control published last.
    pub epoch: u32,
    /// This node's part of its cluster; none without a cluster.
    pub cluster: Option<ClusterStatus>,
    /// In the order of the configuration.
    pub ports: Vec<PortStatus>,
    /// By worker number.
    pub workers: Vec<WorkerStatus>,
    /// Fill of the flow tables.
    pub flows: Occupancy,
    /// Fill of the expectation tables.
    pub expectations: Occupancy,
    /// What is wrong with the workers' places on this machine, a sentence each.
    pub warnings: Vec<String>,
}

/// How much of a bounded table is used, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupancy {
    /// Entries that live.
    pub live: u64,
    /// Entries there is room for.
    pub max: u64,
}

/// A node's part of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Buckets of the hash space.
    pub total_nodes: u16,
    /// `own` or `all`.
    pub tracking: String,
    /// Seed of the hash.
    pub hash_seed: u32,
    /// Whether the match is inverted.
    pub invert: bool,
    /// One for each bucket, by node number.
    pub buckets: Vec<BucketStatus>,
    /// Epoch of the snapshot that says so.
    pub epoch: u32,
    /// What this node has met in speaking with the others, or with etcd, by name.
    pub engine: BTreeMap<String, u64>,
    /// What this node knows of the others, where nodes have names.
    pub agreed: Option<AgreedStatus>,
}

/// A cluster whose nodes have names, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedStatus {
    /// This node.
    pub node: String,
    /// The map in force here; nothing before the first one.
    pub map: Option<String>,
    /// The map that is to follow.
    pub next_map: Option<String>,
    /// With static membership, the orders that hold here.
    pub orders: Vec<String>,
    /// How many live flows are followed here that are not this node's.
    pub shadows: u64,
    /// All nodes, by name.
    pub members: Vec<MemberRow>,
    /// Whose each bucket is, from number 1 on; nothing for nobody's.
    pub owners: Vec<Option<String>>,
    /// What is wrong.
    pub alarms: Vec<AlarmRow>,
    /// The last changes, the oldest first.
    pub history: Vec<HistoryRow>,
}

/// One node of a cluster whose nodes have names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Its name.
    pub node: String,
    /// Where in its life it is: joining, learning, active, draining or leaving.
    pub state: String,
    /// `alive`, `suspected` or `dead`.
    pub liveness: String,
    /// Its part beside those of the others.
    pub weight: u16,
    /// Where others reach it; nothing where that is not told.
    pub address: Option<String>,
    /// What it tells that must be the same on all nodes; nothing of other nodes with static membership.
    pub published: Option<PublishedRow>,
    /// How many buckets are its own.
    pub buckets: usize,
    /// How many live flows that are its own are known here: on other nodes its shadows, which would move if it died.
    pub flows: u64,
    /// While it drains: how many flows it has left.
    pub flows_left: Option<u64>,
    /// How many buckets would be its own in addition if that node died.
    pub inherits: BTreeMap<String, usize>,
}

/// What a node tells of itself that must be the same on all nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedRow {
    /// Weir's version on it.
    pub version: String,
    /// A digest of how it tracks flows, and of its routes.
    pub config_digest: String,
    /// Seed of its hash.
    pub hash_seed: u32,
    /// Buckets that it cuts the hash space into.
    pub total_nodes: u16,
    /// The map that it acts by; nothing before its first one.
    pub map: Option<String>,
}

/// Something that is wrong in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRow {
    /// Which kind, as metrics have it.
    pub alarm: String,
    /// For how many seconds it has been so.
    pub for_s: u64,
    /// What is wrong, and what to do about it.
    pub text: String,
}

/// Something that happened in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Seconds ago.
    pub ago_s: u64,
    /// What.
    pub what: String,
}

impl ClusterStatus {
    /// How many buckets this node owns.
    pub fn owned(&self) -> usize {
        self.buckets.iter().filter(|bucket| bucket.local).count()
    }
}

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketStatus {
    /// The node number that stands for it, from 1.
    pub node: u16,
    /// Whether this node owns its flows.
    pub local: bool,
}

/// A port at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PortStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The device string it was opened with.
    pub device: String,
    /// DPDK's driver.
    pub driver: String,
    /// Its MAC address.
    pub mac: String,
    /// Whether the link is up.
    pub link_up: bool,
    /// Megabits a second; none where the device does not know.
    pub speed_mbps: Option<u32>,
    /// Receive and transmit queues in use.
    pub queues: u16,
    /// The NUMA node of the device; none where it does not say.
    pub numa_node: Option<u32>,
    /// Who spreads its frames over the workers.
    pub spread: SpreadBy,
    /// How the device spreads frames over its queues; none where it does not.
    pub rss: Option<RssStatus>,
    /// The kernel's network interface beside it, if there is one.
    #[serde(default)]
    pub tap: Option<TapStatus>,
    /// What the device counted.
    pub statistics: PortStatistics,
    /// The driver's own statistics, under its own names.
    pub driver_statistics: BTreeMap<String, u64>,
}

/// What a port's tap has carried since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapStatus {
    /// The network interface's name.
    pub name: String,
    /// Frames given to the kernel.
    pub to_kernel: u64,
    /// Frames that the kernel sent and that left by the port.
    pub from_kernel: u64,
    /// Frames for the kernel that were too many.
    pub limited: u64,
    /// Frames that the kernel may not send.
    pub refused: u64,
}

/// Who spreads a port's frames over the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpreadBy {
    /// Nobody: there is one worker.
    Nobody,
    /// The device, as software would.
    Device,
    /// The worker that reads all of its queues.
    Software,
}

/// How a device spreads frames over its receive queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RssStatus {
    /// What it hashes: `ip` or `ip_ports`.
    pub fields: String,
    /// Its key, hexadecimal.
    pub key: String,
    /// The indirection table: the queue for each value of the hash's low bits.
    pub table: Vec<u16>,
}

/// What a device counted since it was started.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct PortStatistics {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames that came in broken.
    pub rx_errors: u64,
    /// Frames lost because the receive queue was full.
    pub rx_missed: u64,
    /// Frames lost because the pool had no buffer.
    pub rx_no_buffer: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames the device could not send.
    pub tx_errors: u64,
}

/// A worker at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its number, from 0.
    pub worker: usize,
    /// The processor it is pinned to.
    pub cpu: Option<usize>,
    /// Epoch of the snapshot it works with.
    pub epoch: u32,
    /// Frames that have had their outcome.
    pub frames: u64,
    /// Share of its cycles that moved frames, 0 to 1.
    pub busy: f64,
    /// Its live flows.
    pub flows: u64,
    /// Frames that it handed to other workers.
    pub handed_over: u64,
    /// Microseconds of its longest turn.
    pub turn_max_us: f64,
}

/// Everything the workers count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// By worker number.
    pub workers: Vec<WorkerCounts>,
}

impl Counters {
    /// Frames of this outcome, over all workers.
    pub fn verdict(&self, name: &str) -> u64 {
        self.workers.iter().filter_map(|worker| worker.verdicts.get(name)).sum()
    }

    /// Drops for this reason, over all workers.
    pub fn drops(&self, name: &str) -> u64 {
        self.workers.iter().filter_map(|worker| worker.drops.get(name)).sum()
    }

    /// Frames left to control for this reason, over all workers.
    pub fn punts(&self, name: &str) -> u64 {
        self.workers.iter().filter_map(|worker| worker.punts.get(name)).sum()
    }

    /// Frames that have had their outcome, over all workers.
    pub fn frames(&self) -> u64 {
        self.workers.iter().flat_map(|worker| worker.verdicts.values()).sum()
    }
}

/// What one worker counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WorkerCounts {
    /// Its number, from 0.
    pub worker: usize,
    /// Frames by outcome.
    pub verdicts: BTreeMap<String, u64>,
    /// Dropped frames by reason.
    pub drops: BTreeMap<String, u64>,
    /// Frames left to control by reason.
    pub punts: BTreeMap<String, u64>,
    /// Frames it moved, by port.
    pub ports: BTreeMap<String, WorkerPortCounts>,
    /// Live flows by protocol and state.
    pub flows: Vec<FlowClassCount>,
    /// What became of flows, by protocol.
    pub protocols: BTreeMap<String, FlowCounts>,
    /// Flows there is room for.
    pub flows_max: u64,
    /// Live expectations.
    pub expectations: u64,
    /// Expectations made.
    pub expectations_created: u64,
    /// Expectations, or ends of them, that another worker had no room to hear of.
    pub news_lost: u64,
    /// Turns by the number of frames they found.
    pub bursts: Vec<u64>,
    /// Frames handed to another worker.
    pub handed_over: u64,
    /// Frames in planned hand-overs between nodes, by what became of them.
    pub handover: BTreeMap<String, u64>,
    /// Frames sent for control.
    pub from_control: u64,
    /// Cycles of turns that moved frames.
    pub cycles_busy: u64,
    /// Cycles of turns that found nothing.
    pub cycles_idle: u64,
    /// Nanoseconds of the longest turn.
    pub turn_max_ns: u64,
    /// Epoch of the snapshot in force.
    pub epoch: u64,
}

impl WorkerCounts {
    /// Live flows.
    pub fn live(&self) -> u64 {
        self.flows.iter().map(|class| class.live).sum()
    }

    /// The used share of the flow table, from 0 to 1.
    pub fn used(&self) -> f64 {
        if self.flows_max == 0 { 0.0 } else { self.live() as f64 / self.flows_max as f64 }
    }

    /// The sum of `count` over all protocols.
    pub fn flows_total(&self, count: impl Fn(&FlowCounts) -> u64) -> u64 {
        self.protocols.values().map(count).sum()
    }
}

/// What became of the flows of one protocol.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct FlowCounts {
    /// Flows opened.
    pub created: u64,
    /// Of those, flows that an expectation or a master announced.
    pub related: u64,
    /// Flows whose time ran out.
    pub expired: u64,
    /// Flows given up early to make room.
    pub evicted: u64,
    /// Flows that an operator deleted.
    pub deleted: u64,
    /// Flows that there was no room for.
    pub refused: u64,
}

/// What one worker moved on one port.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct WorkerPortCounts {
    /// Frames taken from the receive queue.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that the transmit queue took.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
}

/// Live flows of one class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FlowClassCount {
    /// Protocol.
    pub protocol: String,
    /// TCP state; the protocol's name elsewhere.
    pub state: String,
    /// How many live.
    pub live: u64,
}
