//! What a server carries and has carried.

use core::iter::Sum;
use core::ops::Add;
use serde::{Deserialize, Serialize};

/// A server's counts, of all workers together. `active` to `shadows` go up and down, all others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are established, or about to be.
    pub active: u64,
    /// Connections that are over and not yet forgotten, and all of what has no connections.
    pub inactive: u64,
    /// Of the inactive ones, flows of what has no connections.
    pub datagrams: u64,
    /// Flows that it has opened itself, from an address that others have as well, and that this node forwards.
    pub opened: u64,
    /// Flows that it has by other nodes of a cluster, and that this one may inherit.
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
    /// Connections that it has answered.
    pub answered: u64,
    /// Connections whose client has asked again before it was answered.
    pub unanswered: u64,
    /// Connections that it has refused.
    pub refused: u64,
}

impl Counts {
    /// Nothing.
    pub const ZERO: Self = Self {
        active: 0,
        inactive: 0,
        datagrams: 0,
        opened: 0,
        shadows: 0,
        connections: 0,
        packets: 0,
        bytes: 0,
        reply_packets: 0,
        reply_bytes: 0,
        answered: 0,
        unanswered: 0,
        refused: 0,
    };

    /// Connections that it has now.
    pub const fn live(&self) -> u64 {
        self.active + self.inactive
    }

    /// Flows that this node forwards to it, or from it.
    pub const fn own(&self) -> u64 {
        self.live() + self.opened
    }

    /// Flows that know it by its number, whoever forwards them.
    pub const fn held(&self) -> u64 {
        self.own() + self.shadows
    }

    /// The same counts, of which only those that grow are compared with what they were.
    #[must_use]
    pub const fn since(self, base: Self) -> Self {
        Self {
            active: self.active,
            inactive: self.inactive,
            datagrams: self.datagrams,
            opened: self.opened,
            shadows: self.shadows,
            connections: self.connections.saturating_sub(base.connections),
            packets: self.packets.saturating_sub(base.packets),
            bytes: self.bytes.saturating_sub(base.bytes),
            reply_packets: self.reply_packets.saturating_sub(base.reply_packets),
            reply_bytes: self.reply_bytes.saturating_sub(base.reply_bytes),
            answered: self.answered.saturating_sub(base.answered),
            unanswered: self.unanswered.saturating_sub(base.unanswered),
            refused: self.refused.saturating_sub(base.refused),
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            active: self.active + other.active,
            inactive: self.inactive + other.inactive,
            datagrams: self.datagrams + other.datagrams,
            opened: self.opened + other.opened,
            shadows: self.shadows + other.shadows,
            connections: self.connections + other.connections,
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            reply_packets: self.reply_packets + other.reply_packets,
            reply_bytes: self.reply_bytes + other.reply_bytes,
            answered: self.answered + other.answered,
            unanswered: self.unanswered + other.unanswered,
            refused: self.refused + other.refused,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

/// What became of a service's new connections that no server could take; all only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub fn since(self, base: Self) -> Self {
        self.with(base, u64::saturating_sub)
    }

    fn with(self, other: Self, of_both: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            refused: of_both(self.refused, other.refused),
            bypassed: of_both(self.bypassed, other.bypassed),
            dropped: of_both(self.dropped, other.dropped),
        }
    }
}

impl Add for ServiceCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, u64::add)
    }
}

impl Sum for ServiceCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}
