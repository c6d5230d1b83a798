//! What a server carries and has carried.

use core::iter::Sum;
use core::ops::Add;

/// A server's counts, of all workers together. `active`, `inactive` and `shadows` go up and down, all others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are established, or about to be.
    pub active: u64,
    /// Connections that are over and not yet forgotten, and all of what has no connections.
    pub inactive: u64,
    /// Flows that other nodes of a cluster have given it, and that this one may inherit.
    pub shadows: u64,
    /// Connections that it was given.
    pub connections: u64,
    /// Packets to it.
    pub packets: u64,
    /// Bytes to it, from the IP header on.
    pub bytes: u64,
    /// Packets from it that passed through the gateway.
    pub reply_packets: u64,
    /// Their bytes, from the IP header on.
    pub reply_bytes: u64,
}

impl Counts {
    /// Nothing.
    pub const ZERO: Self = Self {
        active: 0,
        inactive: 0,
        shadows: 0,
        connections: 0,
        packets: 0,
        bytes: 0,
        reply_packets: 0,
        reply_bytes: 0,
    };

    /// Connections that it has now.
    pub const fn live(&self) -> u64 {
        self.active + self.inactive
    }

    /// Flows that need it here, whoever forwards them.
    pub const fn held(&self) -> u64 {
        self.live() + self.shadows
    }

    /// The same counts, of which only those that grow are compared with what they were.
    #[must_use]
    pub const fn since(self, base: Self) -> Self {
        Self {
            active: self.active,
            inactive: self.inactive,
            shadows: self.shadows,
            connections: self.connections.saturating_sub(base.connections),
            packets: self.packets.saturating_sub(base.packets),
            bytes: self.bytes.saturating_sub(base.bytes),
            reply_packets: self.reply_packets.saturating_sub(base.reply_packets),
            reply_bytes: self.reply_bytes.saturating_sub(base.reply_bytes),
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            active: self.active + other.active,
            inactive: self.inactive + other.inactive,
            shadows: self.shadows + other.shadows,
            connections: self.connections + other.connections,
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            reply_packets: self.reply_packets + other.reply_packets,
            reply_bytes: self.reply_bytes + other.reply_bytes,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

/// What became of a service's new connections that no server could take; all only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceCounts {
    /// Their senders were told.
    pub refused: u64,
    /// They went on without the service.
    pub bypassed: u64,
    /// Nothing.
    pub dropped: u64,
}

impl ServiceCounts {
    /// Since the counts were these.
    #[must_use]
    pub const fn since(self, base: Self) -> Self {
        Self {
            refused: self.refused.saturating_sub(base.refused),
            bypassed: self.bypassed.saturating_sub(base.bypassed),
            dropped: self.dropped.saturating_sub(base.dropped),
        }
    }
}

impl Add for ServiceCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            refused: self.refused + other.refused,
            bypassed: self.bypassed + other.bypassed,
            dropped: self.dropped + other.dropped,
        }
    }
}

impl Sum for ServiceCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}
