//! What a membership engine believes of the other nodes at one moment.

use super::member::{Member, NodeName};
use serde::Serialize;
use std::collections::BTreeMap;

/// The other nodes as an engine sees them, and this node's lease where the engine has leases.
///
/// Moments are milliseconds of this node's own monotonic clock, the one whose time the coordinator is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Each node ever heard of and not forgotten yet, with the last that it published. An engine may forget the dead
    /// after a while, and must not forget one sooner than it may report it dead. An entry of this node's own name
    /// and incarnation tells that the others can read it, and engines with leases must give it; one of another
    /// incarnation is a second node of that name.
    pub peers: BTreeMap<NodeName, Peer>,
    /// Engines with strict ownership only: until when no other node can claim what is this one's. The peers of a view
    /// with a lease were read after that lease was granted.
    pub lease: Option<Lease>,
}

/// One other node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The last that it published, whole: an engine that has only some of a member's keys waits for the rest.
    pub member: Member,
    /// Whether it lives.
    pub liveness: Liveness,
    /// It lives, and by its own word it does not hear this node.
    pub deaf: bool,
}

/// Whether a node lives, as far as an engine can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It is heard of in time.
    Alive,
    /// It is late. It keeps all that it owns.
    Suspected {
        /// Since when.
        since_ms: u64,
    },
    /// It is gone: others inherit what it owned. With leases: its lease is known to have ended.
    Dead {
        /// Since when.
        since_ms: u64,
    },
}

impl Liveness {
    /// Whether it has not been given up.
    pub const fn lives(self) -> bool {
        !matches!(self, Self::Dead { .. })
    }
}

/// The time for which strict ownership is guaranteed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Until this moment, counted from when the last successful renewal was *sent*, so that the store's own count ends
    /// later. It may lie in the past.
    Until {
        /// The end.
        end_ms: u64,
    },
    /// There is none yet, or it is lost.
    None,
}
