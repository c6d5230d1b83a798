//! Neighbours, and what the gateway says itself, as the API speaks of them.

use super::vip::VipRow;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The neighbours of a gateway that routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbours {
    /// Those that were asked for, by interface and address.
    pub neighbours: Vec<NeighbourRow>,
    /// How many there may be, without the permanent ones.
    pub neighbours_max: usize,
    /// What was wrong of late, the oldest first.
    pub alarms: Vec<NeighbourAlarm>,
    /// Totals since the start.
    pub counters: NeighbourCounts,
}

/// One neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourRow {
    /// The name of the interface that it is at.
    pub interface: String,
    /// Its address.
    pub address: IpAddr,
    /// `incomplete`, `reachable`, `stale`, `delay`, `probe`, `failed` or `permanent`.
    pub state: String,
    /// Its MAC address, while it is known.
    pub mac: Option<String>,
    /// Seconds since the state was confirmed or changed.
    pub age_s: u64,
    /// Seconds since packets were last seen to go to it; none if they never were.
    pub used_s: Option<u64>,
    /// Packets that wait for it.
    pub waiting: usize,
}

/// Something that is wrong on a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourAlarm {
    /// Seconds since it was last noticed.
    pub ago_s: u64,
    /// `conflict`, `rivals`, `refuses_group_mac` or `table_full`.
    pub kind: String,
    /// The sentence for the operator, with what to do.
    pub what: String,
}

/// What became of messages, and of packets that had no MAC address to go to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourCounts {
    /// Messages that were understood and believed.
    pub accepted: u64,
    /// Messages that changed nothing, by reason.
    pub ignored: BTreeMap<String, u64>,
    /// Questions sent.
    pub requests: u64,
    /// Questions put off because too many were asked.
    pub requests_limited: u64,
    /// Answers sent.
    pub answers: u64,
    /// Announcements sent.
    pub announcements: u64,
    /// Packets that went on to their neighbour.
    pub released: u64,
    /// Packets whose neighbour did not answer.
    pub given_up: u64,
    /// Packets that there was no room for.
    pub dropped: u64,
    /// Times that there was no room for a neighbour.
    pub table_full: u64,
    /// Neighbours forgotten.
    pub forgotten: u64,
}

/// A gateway that routes, as a station of its networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StationStatus {
    /// Whom it knows.
    pub neighbours: Neighbours,
    /// What it says.
    pub counts: StationCounts,
    /// The addresses that it shares with other nodes.
    pub vips: Vec<VipRow>,
}

/// What became of the gateway's own packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StationCounts {
    /// Frames given to a worker to send.
    pub sent: u64,
    /// Frames that no worker, or no packet memory, had room for.
    pub refused: u64,
    /// Packets to the gateway that nobody there takes.
    pub unclaimed: u64,
    /// ICMP errors and resets of TCP that were not sent, since there were too many.
    pub limited: u64,
}

/// How many neighbours were flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flushed {
    /// So many.
    pub flushed: usize,
}
