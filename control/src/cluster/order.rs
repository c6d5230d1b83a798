//! What an operator may order of one node.

use super::member::NodeName;
use super::settings::Agreement;
use std::fmt;
use thiserror::Error;
use weir_dataplane::units::BucketId;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Get no new flows; leave when those there are have ended, or after `deadline_ms` at the latest.
    Drain {
        /// From now; `None`: as configured.
        deadline_ms: Option<u64>,
    },
    /// Drain, and stop then.
    Stop {
        /// From now; `None`: as configured.
        deadline_ms: Option<u64>,
    },
    /// Take back a drain.
    Resume,
    /// Let a bucket be one node's, as long as that may own any.
    Pin {
        /// Which bucket.
        bucket: BucketId,
        /// Whose.
        node: NodeName,
    },
    /// Let a bucket be whose it would be.
    Unpin {
        /// Which bucket.
        bucket: BucketId,
    },
    /// By hand: own a bucket here, whosever it is. First `Del` it elsewhere, or two nodes own it.
    Add {
        /// Which bucket.
        bucket: BucketId,
    },
    /// By hand: do not own a bucket here.
    Del {
        /// Which bucket.
        bucket: BucketId,
    },
    /// By hand: a node is dead; this one takes its part of what that one had, or owns nothing if that is itself. To be
    /// ordered on all that run.
    Take {
        /// The dead.
        node: NodeName,
    },
    /// By hand: a node lives again; new flows of what it had are its own.
    Give {
        /// Who lives.
        node: NodeName,
    },
}

impl Order {
    /// Whether it can be followed where `agreement` decides.
    pub(super) fn suits(&self, agreement: Agreement) -> Result<(), OrderError> {
        let by_hand =
            matches!(self, Self::Add { .. } | Self::Del { .. } | Self::Take { .. } | Self::Give { .. });
        match agreement {
            Agreement::ByHand if !by_hand => Err(OrderError::ByHand(self.to_string())),
            Agreement::Liveness | Agreement::Leases { .. } if by_hand => {
                Err(OrderError::Agreed(self.to_string()))
            }
            Agreement::ByHand | Agreement::Liveness | Agreement::Leases { .. } => Ok(()),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain { .. } => f.write_str("drain"),
            Self::Stop { .. } => f.write_str("stop"),
            Self::Resume => f.write_str("resume"),
            Self::Pin { bucket, node } => write!(f, "pin {} {node}", bucket.number()),
            Self::Unpin { bucket } => write!(f, "unpin {}", bucket.number()),
            Self::Add { bucket } => write!(f, "add {}", bucket.number()),
            Self::Del { bucket } => write!(f, "del {}", bucket.number()),
            Self::Take { node } => write!(f, "take {node}"),
            Self::Give { node } => write!(f, "give {node}"),
        }
    }
}

/// Why an order was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// The cluster agrees by itself.
    #[error("{0}: only with static membership; here the nodes agree by themselves: use pin, drain or resume")]
    Agreed(String),
    /// Nothing is agreed.
    #[error("{0}: not with static membership; use add, del, take or give")]
    ByHand(String),
    /// There is no such bucket.
    #[error("bucket {number}: there are {total_nodes}, counted from 1")]
    Bucket {
        /// As ordered.
        number: u16,
        /// How many there are.
        total_nodes: u16,
    },
    /// There is no such node.
    #[error("node {0}: this cluster has none of that name; `weir cluster show` lists those it has")]
    Node(NodeName),
    /// It is so already.
    #[error("{0}: nothing has changed, for it is so already")]
    Unchanged(String),
}
