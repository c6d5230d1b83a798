//! Who owns which share of the cluster's flows: membership in, ownership out.
//!
//! All nodes hear every frame; a node forwards those of the flows that it owns. An **engine** (static, gossip, etcd)
//! says which nodes live and what they publish ([`View`]); the [`Coordinator`] says whose a flow is that begins now, and
//! who lives ([`Ownership`]), and what this node is to publish ([`Member`]). It is a pure state machine: no sockets, no
//! clock, no threads.
//!
//! # What it promises
//!
//! - Nodes that have the same map epoch have the same map ([`OwnershipMap`]); one node more or less moves as few
//!   buckets as can be.
//! - A bucket that moves between living nodes that hear each other is released by the one before the other owns it. New
//!   flows of that bucket have no owner for the time of one message; that is why packets of a flow that nobody has
//!   answered yet must go by the map of the moment, and an owner be fixed by the answer: then a first packet that is
//!   sent again finds the new owner.
//! - The buckets and the flows of a dead node are another's as soon as its death is detected. Nothing is negotiated.
//! - A change ends: who lives and stays silent holds it up for [`Settings::answer_ms`] in each of its two steps.
//! - From when all nodes hear each other and nothing happens, all agree within [`Settings::convergence_ms`].
//!
//! # What happens to a cluster that is parted
//!
//! A node that cannot be heard cannot be told from a dead one.
//!
//! *With [`Agreement::Liveness`] (gossip)* each side takes the other one for dead, owns everything after the detection
//! time, and goes on. While frames reach both sides, each frame of a flow is forwarded by one node of either side: twice
//! in all, for as long as the parting lasts. The smaller side raises `isolated`. When they hear each
//! other again, the higher one of their maps wins at once on all nodes: the others release what it does not give them.
//! Two nodes that hear each other own the same bucket for no longer than [`Settings::doubled_ms`]. A further map is
//! then made, which **settles**: with it each flow goes by its bucket, whoever had it on either side. So no frame is
//! doubled any more [`Settings::convergence_ms`] after the parting has ended. Until then `split_brain` is raised.
//!
//! With [`Minority::Yields`] the smaller side stops owning when it takes the other for dead, which is when that one
//! inherits: frames are doubled for as long as the times of detection differ, and never for longer than
//! [`Settings::doubled_apart_ms`]. That holds for a cluster that had agreed; one that is parted in another way before
//! it has agreed again may have two sides that both go on. The price is that a cluster which loses half of its nodes at
//! once stops, and one of two nodes is such a half. Who votes is told from node to node, so those that hear each other
//! all may own or all wait, newcomers as well. Either way, a node that starts while it hears nobody cannot know that
//! there are others: it serves until it hears of them.
//!
//! *With [`Agreement::Leases`] (etcd)* no bucket ever has two owners. A node that is cut off from the store stops owning
//! a margin before its lease ends, and others inherit a margin after it has ended. Buckets have no owner in between,
//! and none at all where the store is away for longer than a lease. The promise holds while clocks differ by less than
//! a margin over one lease, what is read from the store is less than a margin late, and workers have a new ownership
//! within a margin.
//!
//! *With [`Agreement::ByHand`] (static)* nothing happens by itself. A node that one node was told is dead, and another
//! was not, or that runs on, is where buckets have two owners or none: until the orders fit together.
//!
//! # What it does not do
//!
//! It detects nothing, and does not speak with other nodes. It does not know single flows: that a flow keeps its owner
//! is the workers' part, for which [`Ownership::living`] tells since when each node has been there without a break. A
//! node that learns takes a flow that it did not hear begin for its bucket's; it is wrong about one that has kept its
//! owner through an earlier change of the map.

mod alarm;
mod by_hand;
mod change;
mod company;
mod coordinator;
mod electorate;
pub mod engine;
mod handover;
mod hash;
mod history;
mod life;
mod link;
mod map;
mod member;
mod numbers;
mod order;
mod ownership;
mod proposal;
mod propose;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod trouble;
mod view;

pub use alarm::{Alarm, Trouble};
pub use coordinator::Coordinator;
pub use electorate::Electorate;
pub use handover::{Duty, Handover};
pub use history::{Event, Happened};
pub use link::{ClusterEnd, EngineEnd, link};
pub use map::OwnershipMap;
pub use member::{Digest, Incarnation, Member, MemberError, NodeName, State, Weight};
pub use numbers::Numbers;
pub use order::{Order, OrderError};
pub use ownership::Ownership;
pub use proposal::{MapEpoch, Proposal, ProposalError, Roster, Seat};
pub use settings::{Agreement, Minority, Settings};
pub use status::{MemberStatus, Published, Status};
pub use view::{Lease, Liveness, Peer, View};
