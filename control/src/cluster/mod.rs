//! Who owns which share of the cluster's flows: membership in, ownership out.

mod hash;
mod link;
mod map;
mod member;
mod proposal;
mod view;

pub use link::{ClusterEnd, EngineEnd, link};
pub use map::OwnershipMap;
pub use member::{Digest, Incarnation, Member, MemberError, NodeName, State, Weight};
pub use proposal::{MapEpoch, Proposal, ProposalError, Roster, Seat};
pub use view::{Lease, Liveness, Peer, View};
