//! What has lately changed in the cluster, with times.

use super::member::{NodeName, State};
use super::proposal::MapEpoch;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;

/// Changes that are remembered.
const HISTORY_MAX: usize = 64;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, in milliseconds of this node's monotonic clock.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub change: Happened,
}

/// What can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happened {
    /// A node is in another state.
    Entered {
        /// Which.
        node: NodeName,
        /// The new state.
        state: State,
    },
    /// A node is late.
    Suspected {
        /// Which.
        node: NodeName,
    },
    /// A node was given up; others have inherited from it.
    Died {
        /// Which.
        node: NodeName,
    },
    /// A node that was given up is back.
    Returned {
        /// Which.
        node: NodeName,
        /// It had not stopped, so others and it may have owned the same.
        same_life: bool,
    },
    /// A map was announced.
    Announced {
        /// Which.
        epoch: MapEpoch,
    },
    /// What a map takes from this node was given up.
    Released {
        /// Which.
        epoch: MapEpoch,
    },
    /// A map is in force on this node.
    Active {
        /// Which.
        epoch: MapEpoch,
        /// Since it was announced.
        took_ms: u64,
    },
    /// Buckets have other owners here than before.
    Moved {
        /// How many.
        buckets: usize,
    },
    /// A node that has left had announced it.
    HandedOver {
        /// Which.
        node: NodeName,
        /// It told what it had forwarded, so that nothing is lost.
        told: bool,
    },
    /// The lease ended: this node owns nothing.
    LeaseLost,
    /// There is a lease again.
    LeaseHeld,
    /// Too few of the others are heard: this node owns nothing.
    MajorityLost,
    /// Enough of the others are heard again.
    MajorityHeld,
    /// An operator's order was taken.
    Ordered {
        /// Which, as the operator writes it.
        order: String,
    },
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered { node, state } => write!(f, "{node} is {state}"),
            Self::Suspected { node } => write!(f, "{node} is late"),
            Self::Died { node } => write!(f, "{node} is dead; others go on with what it had"),
            Self::Returned { node, same_life: false } => write!(f, "{node} has started anew"),
            Self::Returned { node, same_life: true } => {
                write!(f, "{node} is heard again and had never stopped")
            }
            Self::Announced { epoch } => write!(f, "map {epoch} was announced"),
            Self::Released { epoch } => write!(f, "what map {epoch} takes from here was given up"),
            Self::Active { epoch, took_ms } => {
                write!(f, "map {epoch} is in force, {took_ms} ms after it was announced")
            }
            Self::Moved { buckets } => write!(f, "{buckets} buckets have another owner"),
            Self::HandedOver { node, told: true } => write!(f, "{node} has handed over frame by frame"),
            Self::HandedOver { node, told: false } => {
                write!(
                    f,
                    "{node} has left and cannot tell what it forwarded last: what came meanwhile is lost"
                )
            }
            Self::LeaseLost => f.write_str("the lease has ended; this node owns nothing"),
            Self::LeaseHeld => f.write_str("there is a lease again"),
            Self::MajorityLost => f.write_str("too few nodes are heard; this one owns nothing"),
            Self::MajorityHeld => f.write_str("enough nodes are heard again"),
            Self::Ordered { order } => write!(f, "ordered: {order}"),
        }
    }
}

/// The last changes, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    events: VecDeque<Event>,
    noted: usize,
}

impl History {
    /// Notes one; the oldest makes room.
    pub(super) fn note(&mut self, at_ms: u64, change: Happened) {
        if self.events.len() == HISTORY_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event { at_ms, change });
        self.noted += 1;
    }

    /// How many were ever noted.
    pub(super) const fn noted(&self) -> usize {
        self.noted
    }

    /// All of them.
    pub(super) const fn events(&self) -> &VecDeque<Event> {
        &self.events
    }
}
