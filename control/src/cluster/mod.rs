//! Who owns which share of the cluster's flows: membership in, ownership out.

mod alarm;
mod by_hand;
mod change;
mod company;
mod coordinator;
pub mod engine;
mod hash;
mod history;
mod life;
mod link;
mod map;
mod member;
mod order;
mod ownership;
mod proposal;
mod propose;
mod settings;
#[cfg(test)]
mod simulation;
mod trouble;
mod view;

pub use alarm::{Alarm, Trouble};
pub use coordinator::Coordinator;
pub use history::{Event, Happened};
pub use link::{ClusterEnd, EngineEnd, link};
pub use map::OwnershipMap;
pub use member::{Digest, Incarnation, Member, MemberError, NodeName, State, Weight};
pub use order::{Order, OrderError};
pub use ownership::Ownership;
pub use proposal::{MapEpoch, Proposal, ProposalError, Roster, Seat};
pub use settings::{Agreement, Settings};
pub use view::{Lease, Liveness, Peer, View};
