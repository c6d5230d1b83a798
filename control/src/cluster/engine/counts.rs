//! What engines count.

use std::sync::atomic::{AtomicU64, Ordering};

/// One thing that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Gossip datagrams sent.
    Sent,
    /// Gossip datagrams that could not be sent.
    SendErrors,
    /// Gossip datagrams received, sealed by a node of this cluster.
    Received,
    /// Errors of the socket that gossip is received on.
    ReceiveErrors,
    /// Datagrams refused: no gossip of this version.
    RefusedFormat,
    /// Datagrams refused: another key, or another cluster.
    RefusedKey,
    /// Datagrams refused: the clocks are too far apart, or somebody recorded them.
    RefusedClock,
    /// Datagrams refused: seen before.
    RefusedReplay,
    /// Times the gossip had to be started again.
    Restarts,
    /// Connections made to etcd.
    Connections,
    /// Connections to etcd that failed or broke.
    ConnectionErrors,
    /// Renewals of this node's lease.
    Renewals,
    /// Times this node's lease was lost.
    LeasesLost,
    /// Times this node's name was found to be another one's.
    NameTaken,
    /// Members of other nodes that could not be read.
    Malformed,
}

impl Count {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Sent,
        Self::SendErrors,
        Self::Received,
        Self::ReceiveErrors,
        Self::RefusedFormat,
        Self::RefusedKey,
        Self::RefusedClock,
        Self::RefusedReplay,
        Self::Restarts,
        Self::Connections,
        Self::ConnectionErrors,
        Self::Renewals,
        Self::LeasesLost,
        Self::NameTaken,
        Self::Malformed,
    ];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::SendErrors => "send_errors",
            Self::Received => "received",
            Self::ReceiveErrors => "receive_errors",
            Self::RefusedFormat => "refused_format",
            Self::RefusedKey => "refused_key",
            Self::RefusedClock => "refused_clock",
            Self::RefusedReplay => "refused_replay",
            Self::Restarts => "restarts",
            Self::Connections => "connections",
            Self::ConnectionErrors => "connection_errors",
            Self::Renewals => "renewals",
            Self::LeasesLost => "leases_lost",
            Self::NameTaken => "name_taken",
            Self::Malformed => "malformed",
        }
    }
}

/// A number for each [`Count`], written by the engine, read by anybody.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; Count::ALL.len()]);

impl Counts {
    /// How often it happened.
    pub fn of(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, count: Count) {
        self.0[count as usize].fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_own_cell() {
        let counts = Counts::default();
        for (times, count) in Count::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counts.add(count));
        }
        let seen: Vec<_> = Count::ALL.into_iter().map(|count| counts.of(count)).collect();
        assert_eq!(seen, (0..15).collect::<Vec<_>>());
    }
}
