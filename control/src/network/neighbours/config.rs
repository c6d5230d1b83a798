//! Times and limits of neighbour discovery.

/// Times and limits; [`Default`] has those of RFC 4861 and of Linux.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// When things happen.
    pub timers: Timers,
    /// How much of everything there may be.
    pub limits: Limits,
}

/// When things happen. The names in brackets are Linux's, under `net.ipv4.neigh`.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// For how long an answer is trusted: between a half and one and a half of this (`base_reachable_time_ms`).
    pub base_reachable_ms: u64,
    /// How long a stale neighbour that is used may prove alive before it is probed (`delay_first_probe_time`).
    pub delay_ms: u64,
    /// From one question to the next (`retrans_time_ms`).
    pub retransmit_ms: u64,
    /// Questions to everybody before a neighbour counts as not there (`mcast_solicit`).
    pub multicast_probes: u8,
    /// Questions to the neighbour alone before it counts as gone (`ucast_solicit`).
    pub unicast_probes: u8,
    /// After how long without use a stale neighbour may be forgotten (`gc_stale_time`).
    pub stale_ms: u64,
    /// From one search for what may be forgotten to the next (`gc_interval`).
    pub sweep_ms: u64,
    /// For how long an ARP answer holds against another one (`locktime`): of several, the first is believed.
    pub lock_ms: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            base_reachable_ms: 30_000,
            delay_ms: 5_000,
            retransmit_ms: 1_000,
            multicast_probes: 3,
            unicast_probes: 3,
            stale_ms: 60_000,
            sweep_ms: 30_000,
            lock_ms: 1_000,
        }
    }
}

/// How much of everything there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Up to so many neighbours are never forgotten for their age (`gc_thresh1`).
    pub gc_thresh1: usize,
    /// From so many on, those that nobody uses go early, and strangers that speak to us are not remembered
    /// (`gc_thresh2`).
    pub gc_thresh2: usize,
    /// Neighbours, at most, without the permanent ones (`gc_thresh3`).
    pub gc_thresh3: usize,
    /// Packets that wait for one neighbour, at most.
    pub queue_packets: usize,
    /// Bytes that wait for one neighbour, at most (`unres_qlen_bytes`).
    pub queue_bytes: usize,
    /// Bytes that wait for all neighbours together, at most.
    pub queue_bytes_total: usize,
    /// Questions a second to all neighbours together, at most.
    pub requests_per_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            gc_thresh1: 128,
            gc_thresh2: 512,
            gc_thresh3: 1024,
            queue_packets: 101,
            queue_bytes: 212_992,
            queue_bytes_total: 16 << 20,
            requests_per_s: 1_000,
        }
    }
}
