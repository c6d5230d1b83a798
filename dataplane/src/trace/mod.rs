//! Frames followed through the stages of a worker, told to whoever traces them.
//!
//! What is told holds everything that the packet path had before it when it decided, copied, so that control need not
//! guess. A trace that does not keep up loses frames, which are counted; it never holds a worker up.

mod filter;
mod head;

pub use filter::Filter;
pub use head::{Ends, Head};

use crate::counters::{FlowClass, Verdict};
use crate::parse::{Class, Parsed, Rules, Transport, parse};
use crate::port::{Frame, FrameDefect};
use crate::steer::course::Course;
use crate::track::{FlowView, Tracked};
use crate::units::{BucketId, Epoch, InterfaceId, MemberId, NodeNumber, PortId, ServerId, ServiceId, Tick};
use crate::watch::{Watch, Watches};
use crate::wire::{Tcp, TcpFlags};
use core::net::IpAddr;

/// Where frames that a filter means are told.
pub type Trace = Watch<Filter, Told>;

/// All who trace at one worker.
pub(crate) type Traces = Watches<Filter, Told>;

/// What a worker tells of frames.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "a ring holds no pointers, and nearly all are frames")]
pub enum Told {
    /// One came in, and this became of it.
    Frame(Passage),
    /// One that was held waits no longer. Told to all, whoever was told of the frame itself.
    Released {
        /// The frame's [`Arrival::number`].
        number: u64,
        /// Its outcome.
        verdict: Verdict,
    },
    /// Control sent one.
    Sent(FrameView),
}

/// What a frame's own bytes say.
#[derive(Clone, Copy, Debug)]
pub struct FrameView {
    /// The port that it came in by, or that it leaves by.
    pub port: PortId,
    /// Its bytes, without the frame check sequence.
    pub len: usize,
    /// Why it could not be looked into.
    pub defect: Option<FrameDefect>,
    /// Its headers, if it has any.
    pub head: Option<Head>,
    /// What the parser reads in it, before a router has its word.
    pub parsed: Parsed,
    /// Of a TCP segment.
    pub tcp_flags: Option<TcpFlags>,
}

impl FrameView {
    /// Looks at a frame.
    pub fn new<F: Frame>(frame: &F, port: PortId, rules: Rules) -> Self {
        let bytes = frame.bytes();
        let parsed = parse(bytes, rules, frame.offload());
        let is_tcp = parsed.class == Class::Flow(Transport::Tcp);
        let tcp_flags = Tcp::new(parsed.transport(bytes)).filter(|_| is_tcp).map(|tcp| tcp.flags());
        Self { port, len: bytes.len(), defect: frame.defect(), head: Head::read(bytes), parsed, tcp_flags }
    }
}

/// A frame that came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its number among all frames that the worker has seen, from 0.
    pub number: u64,
    /// The worker's time.
    pub now: Tick,
    /// The snapshot that the worker went by.
    pub epoch: Epoch,
    /// The frame.
    pub frame: FrameView,
    /// The interface of a router that it came in by.
    pub interface: Option<InterfaceId>,
    /// Of a packet to a VIP: the node that its hash names, or that of the flow which announced it.
    pub vip_node: Option<NodeNumber>,
    /// Another node of the cluster has forwarded it.
    pub forwarded: bool,
    /// The state of its flow before its burst was tracked; `None`: there was none by this name.
    pub before: Option<FlowClass>,
}

/// A frame on its way through the stages.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    /// How it came in.
    pub arrival: Arrival,
    /// What was to be tracked, after a router's word. Of a fragment, its datagram, if that was complete.
    pub parsed: Parsed,
    /// What the tracker said.
    pub tracked: Tracked,
    /// Its flow as it stood when its burst had been tracked; `None`: there is none by this name.
    pub flow: Option<FlowView>,
    /// Whose it is in a cluster.
    pub share: Option<Share>,
    /// This node owns it.
    pub owned: bool,
    /// The server that it is for.
    pub server: Option<ServerId>,
    /// The service that has no server for it.
    pub unserved: Option<ServiceId>,
    /// Where it goes, if a router owns it; what a server has goes to the server, wherever its destination is.
    pub course: Option<Course>,
    /// Its outcome.
    pub verdict: Verdict,
}

/// A flow's part of the cluster's hash space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The address that is hashed: who opened the flow, or the flow that announced it.
    pub source: IpAddr,
    /// Its hash; of a flow to a VIP that of the VIP, which may be of ports too.
    pub hash: u32,
    /// Its bucket.
    pub bucket: BucketId,
    /// Whose a flow of this bucket is that begins now.
    pub map_owner: Option<MemberId>,
}
