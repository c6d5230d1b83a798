//! The shapes of a trace: JSON on the socket, and the source of its text. A stage that a frame did not come to is
//! absent.

use super::flow::{FlowRow, Tuple};
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// What a trace tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TraceEvent {
    /// A frame came in, and this became of it.
    Frame(Box<FrameTrace>),
    /// Control sent a frame: what it says itself, and what had to wait for a next hop's MAC address.
    Sent {
        /// When control heard of it, in milliseconds since 1970.
        time_ms: u64,
        /// Which worker transmits it.
        worker: usize,
        /// The frame as it leaves.
        frame: Box<FrameRow>,
    },
    /// A frame that was held waits no longer.
    Released {
        /// When control heard of it, in milliseconds since 1970.
        time_ms: u64,
        /// Which worker.
        worker: usize,
        /// The frame's number there.
        number: u64,
        /// What became of it.
        outcome: OutcomeRow,
    },
    /// A worker had more to tell than there was room for.
    Missed {
        /// Which worker.
        worker: usize,
        /// How many frames were missed since it was last said.
        frames: u64,
    },
    /// It is over.
    End {
        /// Why.
        reason: TraceEnd,
        /// Frames that were told of.
        frames: u64,
        /// Frames that were missed.
        missed: u64,
    },
}

/// Why a trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceEnd {
    /// There have been as many frames as were asked for.
    Count,
    /// Its time is up.
    Time,
}

/// A frame, stage by stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameTrace {
    /// When control heard of it, in milliseconds since 1970; up to some 10 ms after it came.
    pub time_ms: u64,
    /// Which worker had it.
    pub worker: usize,
    /// Its number among all frames of this worker, from 0.
    pub number: u64,
    /// Epoch of the configuration that it went by.
    pub epoch: u32,
    /// The frame as it came, and what the parser read in it.
    pub frame: FrameRow,
    /// The datagram that was complete with this fragment: the stages below are its.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datagram: Option<PacketRow>,
    /// A router's word before tracking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission: Option<AdmissionRow>,
    /// What the tracker said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<TrackingRow>,
    /// Whose it is in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerRow>,
    /// Whether this node of a cluster forwards it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateRow>,
    /// The service that has no server for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unserved: Option<String>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steer: Option<SteerRow>,
    /// What became of it.
    pub outcome: OutcomeRow,
}

/// A frame by its own bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRow {
    /// The port that it came in by, or that it leaves by.
    pub port: String,
    /// Its bytes, without the frame check sequence.
    pub length: usize,
    /// Who sent it on this link.
    pub source_mac: Option<String>,
    /// To whom.
    pub destination_mac: Option<String>,
    /// The VLAN of its outer tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// What it carries behind its tags.
    pub ethertype: Option<u16>,
    /// `flow`, `icmp_error`, `fragment`, `untracked`, `non_ip`, `invalid` or `drop`.
    pub class: String,
    /// Why it is invalid or dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From whom to whom, as far as it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<PacketRow>,
    /// Of an ICMP error: the packet that it quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<PacketRow>,
    /// Of a TCP segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<String>,
    /// Time to live, or hop limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hops_left: Option<u8>,
}

/// A packet's ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketRow {
    /// Protocol number; none of ARP.
    pub protocol: Option<u8>,
    /// Its ends.
    #[serde(flatten)]
    pub tuple: Tuple,
}

/// What a frame is to a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionRow {
    /// The interface that it came in by.
    pub interface: Option<String>,
    /// What it is.
    pub entry: Entry,
    /// Why it is dropped, or left to control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a packet to a VIP: the node that its hash names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vip_node: Option<u16>,
}

/// What a frame is to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Sent to it.
    Sent,
    /// Forwarded by another node of the cluster.
    Forwarded,
    /// For control.
    Punt,
    /// Nothing.
    Drop,
}

/// What the tracker said of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackingRow {
    /// `NEW`, `ESTABLISHED`, `RELATED`, `INVALID` or `UNTRACKED`; none when it was not tracked.
    pub state: Option<String>,
    /// It goes in the reply direction; never said of what is INVALID.
    pub reply: bool,
    /// Whether there was a flow by this name before its burst.
    pub found: bool,
    /// The state of the flow then, where its protocol has states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_before: Option<String>,
    /// The flow after its burst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowRow>,
    /// Why the tracker drops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<String>,
}

/// Whose a frame is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRow {
    /// The address that is hashed: who opened the flow, or the one that announced it.
    pub address: IpAddr,
    /// Its hash.
    pub hash: u32,
    /// Its bucket, from 1.
    pub bucket: u16,
    /// How many buckets there are.
    pub total_nodes: u16,
    /// Whose a flow of this bucket is that begins now; none: nobody's, or that of a node that has no name here.
    pub map_owner: Option<String>,
    /// Whose this flow is.
    pub owner: Option<String>,
}

/// Whether this node forwards a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRow {
    /// It does.
    pub owned: bool,
    /// What decides.
    pub by: GateBy,
}

/// What decides whether a node forwards a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateBy {
    /// The owner of its flow.
    Flow,
    /// What the configuration says of frames that are not IP, or are never tracked.
    Share,
}

/// Where a frame goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteerRow {
    /// What the tables say.
    pub way: Way,
    /// The server that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<TakerRow>,
    /// Who is next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<IpAddr>,
    /// The interface of a router that it leaves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// How it leaves, if the MAC address of who is next is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<LeavesRow>,
}

/// The server that a frame is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakerRow {
    /// The name of its service or pool.
    pub service: String,
    /// Its own name.
    pub server: String,
    /// Its address, if it has one.
    pub address: Option<IpAddr>,
}

/// How a frame leaves a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeavesRow {
    /// From which MAC address.
    pub source_mac: String,
    /// To which.
    pub destination_mac: String,
    /// With which tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// Time to live, or hop limit; none where it has run out.
    pub hops_left: Option<u8>,
}

/// What the tables say of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the other port of a bridge.
    Bridge,
    /// To a router.
    Gateway,
    /// To the destination itself.
    OnLink,
    /// To this gateway.
    Local,
    /// To all hosts of a network.
    Broadcast,
    /// To a group of hosts.
    Multicast,
    /// Nowhere: no router may.
    Martian,
    /// Nowhere: a route says so.
    Blackhole,
    /// Nowhere: a route says so, and the sender is told.
    Unreachable,
    /// Nowhere: there is no route.
    NoRoute,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// `forward`, `shadow`, `hold`, `punt` or `drop`.
    pub verdict: String,
    /// The port that it leaves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// Why it is dropped, or left to control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
