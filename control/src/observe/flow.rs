//! The shapes of flows, of what happens to them, and of expectations: JSON on the socket, and the source of tables
//! and of lines in the form of `conntrack`.

use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// A bounded look into the flow tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// The flows.
    pub flows: Vec<FlowRow>,
    /// Whether the tables held more than was asked for.
    pub more: bool,
}

/// How many flows were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// So many.
    pub deleted: u64,
}

/// One live flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowRow {
    /// The worker that holds it.
    pub worker: usize,
    /// IP version, 4 or 6.
    pub ip_version: u8,
    /// Protocol number.
    pub protocol: u8,
    /// Its state, where its protocol has states: Linux's word.
    pub state: Option<String>,
    /// Seconds until it is forgotten.
    pub timeout_s: u32,
    /// What its packets carry in the direction of the first one.
    pub original: Tuple,
    /// What they carry in the other direction.
    pub reply: Tuple,
    /// Whether both directions have been seen.
    pub replied: bool,
    /// Whether it has proven itself, so that pressure does not evict it.
    pub assured: bool,
    /// Its mark.
    pub mark: u32,
    /// The helper that looks into it.
    pub helper: Option<String>,
    /// The flow that announced it.
    pub master: Option<Tuple>,
    /// Live flows that it announced.
    pub children: u16,
    /// The cluster node whose flow it is; none without a cluster.
    pub node: Option<u16>,
    /// Whether another node forwards it.
    pub shadow: bool,
}

/// What the packets of one direction of a flow carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// What else names the flow.
    #[serde(flatten)]
    pub detail: Detail,
}

/// What names a flow besides its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Detail {
    /// TCP, UDP, UDP-Lite, SCTP.
    Ports {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
    },
    /// GRE.
    Keys {
        /// The sender's key.
        source_key: u16,
        /// The receiver's key.
        destination_key: u16,
    },
    /// ICMP and ICMPv6.
    Query {
        /// Message type.
        icmp_type: u8,
        /// Message code.
        icmp_code: u8,
        /// Identifier.
        icmp_id: u16,
    },
    /// All others: nothing.
    Addresses {},
}

/// What happened to a flow, and the flow as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum FlowEvent {
    /// It came.
    New(FlowRow),
    /// Its state changed, it was answered, or it has proven itself.
    Update(FlowRow),
    /// It went.
    Destroy(FlowRow),
    /// A worker had more to tell than there was room for.
    Lost {
        /// Which worker.
        worker: usize,
        /// How many events were lost since it was last said.
        events: u64,
    },
}

/// All expectations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// The expectations.
    pub expectations: Vec<ExpectationRow>,
}

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationRow {
    /// The worker that holds its master.
    pub worker: usize,
    /// Seconds until it is given up.
    pub timeout_s: u32,
    /// Protocol number of the flow to come.
    pub protocol: u8,
    /// Its original direction; what may be anything is zero.
    pub original: Tuple,
    /// Which bits of that count.
    pub mask: Tuple,
    /// The flow that announced it, in its original direction.
    pub master: Tuple,
    /// That flow's helper.
    pub helper: String,
    /// Its kind among those of the helper.
    pub class: u8,
    /// Whether it stays when a packet fits.
    pub permanent: bool,
    /// Whether it waits to be made active.
    pub inactive: bool,
}
