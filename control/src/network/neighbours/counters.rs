//! What became of messages and packets, as numbers.

use std::fmt;

/// Totals since the start. At any moment `heard` is `accepted` and all of `ignored`; `wanted` is `released`,
/// `given_up`, `dropped` and what is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages heard.
    pub heard: u64,
    /// Messages that were understood and believed.
    pub accepted: u64,
    /// Messages that changed nothing, by [`Ignored`].
    pub ignored: [u64; Ignored::ALL.len()],
    /// Questions sent.
    pub requests: u64,
    /// Questions put off because too many were asked.
    pub requests_limited: u64,
    /// Answers sent.
    pub answers: u64,
    /// Announcements of our own addresses sent.
    pub announcements: u64,
    /// Packets that came for a neighbour.
    pub wanted: u64,
    /// Packets that went on to their neighbour.
    pub released: u64,
    /// Packets whose neighbour did not answer.
    pub given_up: u64,
    /// Packets that there was no room for, and those that made room.
    pub dropped: u64,
    /// Neighbours that there was no room for.
    pub table_full: u64,
    /// Neighbours forgotten.
    pub forgotten: u64,
}

impl Counters {
    /// How many messages were ignored for this.
    pub const fn ignored(&self, why: Ignored) -> u64 {
        self.ignored[why as usize]
    }
}

/// Why a message changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// Neither ARP for IPv4 over Ethernet nor a neighbour solicitation or advertisement.
    NotDiscovery,
    /// Cut short, or its lengths contradict each other.
    Malformed,
    /// Neighbour discovery that came through a router: its hop limit is not 255.
    HopLimit,
    /// The ICMPv6 checksum is wrong.
    Checksum,
    /// The ICMPv6 code is not 0.
    Code,
    /// From, or about, a MAC address that no station has: a group's, or zero.
    GroupMac,
    /// Addresses that do not go together: a group as target, an answer asked for by a group.
    Address,
    /// An interface that is not there.
    Interface,
    /// The sender is in no network of the interface.
    Foreign,
    /// Says that one of our MAC addresses is somebody else's.
    OurMac,
    /// Claims an address of ours for another MAC address.
    Conflict,
    /// Another node of the cluster, or an echo of ourselves.
    Cluster,
    /// The MAC address inside is not that of the frame, and we had not asked.
    Disagrees,
    /// Nobody asked for that neighbour, and it does not speak to us.
    Unasked,
    /// No link-layer address where one is needed.
    NoMac,
    /// There is no room for another neighbour.
    TableFull,
}

impl Ignored {
    /// All of them in order, with their names in metrics and documents.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::NotDiscovery, "not_discovery"),
        (Self::Malformed, "malformed"),
        (Self::HopLimit, "hop_limit"),
        (Self::Checksum, "checksum"),
        (Self::Code, "code"),
        (Self::GroupMac, "group_mac"),
        (Self::Address, "address"),
        (Self::Interface, "interface"),
        (Self::Foreign, "foreign"),
        (Self::OurMac, "our_mac"),
        (Self::Conflict, "conflict"),
        (Self::Cluster, "cluster"),
        (Self::Disagrees, "disagrees"),
        (Self::Unasked, "unasked"),
        (Self::NoMac, "no_mac"),
        (Self::TableFull, "table_full"),
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_its_place() {
        for (i, (why, name)) in Ignored::ALL.into_iter().enumerate() {
            assert_eq!((why as usize, why.name()), (i, name));
        }
    }
}
