//! How much the gateway says of itself, in tokens that come back with time (RFC 1812 4.3.2.8, RFC 4443 2.4 f).
//!
//! An error needs a token of its destination and one of all. By default these are Linux's: one a second and six at once
//! for a destination (`icmp_ratelimit`), 1000 a second and 50 at once for all (`icmp_msgs_per_sec`, `icmp_msgs_burst`).
//! That a packet is too big is said more often, as in Linux, or nobody would find the path's MTU: there is one limit for
//! all destinations, apart from that of other errors.
//!
//! Memory is fixed. Destinations share [`PEERS`] buckets by a hash; who shares one waits longer, never less. By default
//! errors to made-up destinations cannot keep them empty: more tokens come back in a second than all errors may take.

use super::errors::Fault;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// Buckets for destinations.
const PEERS: usize = 4096;

/// A token, in the unit that comes back within a millisecond at one token a second.
const TOKEN: u64 = 1000;

/// How fast tokens come back, and how many there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back in a second.
    pub per_second: u32,
    /// Tokens in a full bucket.
    pub burst: u32,
}

/// What may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// To one destination.
    pub peer: Rate,
    /// To all.
    pub total: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self { peer: Rate { per_second: 1, burst: 6 }, total: Rate { per_second: 1000, burst: 50 } }
    }
}

/// Tokens that were there at some time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    at_ms: u64,
}

impl Bucket {
    const fn full(rate: Rate) -> Self {
        Self { level: rate.burst as u64 * TOKEN, at_ms: 0 }
    }

    /// Puts in what has come back, and says whether there is a token now.
    fn fill(&mut self, rate: Rate, now_ms: u64) -> bool {
        let back = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(rate.per_second));
        self.level = self.level.saturating_add(back).min(Self::full(rate).level);
        self.at_ms = self.at_ms.max(now_ms);
        self.level >= TOKEN
    }

    /// Takes a token, if there is one.
    const fn take(&mut self) -> bool {
        let Some(level) = self.level.checked_sub(TOKEN) else { return false };
        self.level = level;
        true
    }
}

/// The tokens.
#[derive(Debug)]
pub struct Limit {
    rates: Rates,
    seed: u64,
    peers: Box<[Bucket]>,
    errors: Bucket,
    too_big: Bucket,
}

impl Limit {
    /// All buckets are full. The seed says who shares one; nobody outside should know it.
    pub fn new(rates: Rates, seed: u64) -> Self {
        let total = Bucket::full(rates.total);
        let peers = vec![Bucket::full(rates.peer); PEERS].into_boxed_slice();
        Self { rates, seed, peers, errors: total, too_big: total }
    }

    /// Whether `peer` may be told of `fault` now, which takes tokens. `now_ms` counts from any moment; time that runs
    /// backwards stands.
    pub fn allows(&mut self, now_ms: u64, peer: IpAddr, fault: Fault) -> bool {
        let Rates { peer: peer_rate, total } = self.rates;
        if matches!(fault, Fault::TooBig { .. }) {
            return self.too_big.fill(total, now_ms) && self.too_big.take();
        }
        let peer = self.bucket_of(peer);
        let peer = &mut self.peers[peer];
        // What one of the two refuses takes nothing from the other.
        peer.fill(peer_rate, now_ms) && self.errors.fill(total, now_ms) && peer.take() && self.errors.take()
    }

    fn bucket_of(&self, peer: IpAddr) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.seed, peer).hash(&mut hasher);
        usize::try_from(hasher.finish() % PEERS as u64).unwrap_or_default()
    }
}
