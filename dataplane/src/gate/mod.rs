//! Gates decide whether a flow is this node's. They look at addresses alone and know no table of flows.

pub mod cluster_match;
pub mod handover;
pub mod lease;
pub mod owner;
pub mod vip;
