//! How much the gateway says of itself, in tokens that come back with time (RFC 1812 4.3.2.8, RFC 4443 2.4 f).
//!
//! An error needs a token of its destination and one of all. By default these are Linux's: one a second and six at
//! once for a destination (`icmp_ratelimit`), 1000 a second and 50 at once for all (`icmp_msgs_per_sec`,
//! `icmp_msgs_burst`). That a packet is too big is said more often, as in Linux, or nobody would find the path's MTU:
//! there is one limit for all destinations, apart from that of other errors.
//!
//! Memory is fixed. Destinations share 4096 buckets by a hash; who shares one waits longer, never less. By default
//! errors to made-up destinations cannot keep them empty: more tokens come back in a second than all errors take.

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

    /// Puts in what has come back.
    fn fill(&mut self, rate: Rate, now_ms: u64) {
        let back = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(rate.per_second));
        self.level = self.level.saturating_add(back).min(Self::full(rate).level);
        self.at_ms = self.at_ms.max(now_ms);
    }

    const fn has_token(&self) -> bool {
        self.level >= TOKEN
    }

    /// Takes a token, if there is one.
    const fn take(&mut self) -> bool {
        let has_token = self.has_token();
        if has_token {
            self.level -= TOKEN;
        }
        has_token
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

    /// Whether `peer` may be told of `fault` now, which takes tokens. `now_ms` counts from any moment; time that
    /// runs backwards stands.
    pub fn allows(&mut self, now_ms: u64, peer: IpAddr, fault: Fault) -> bool {
        if matches!(fault, Fault::TooBig { .. }) {
            self.too_big.fill(self.rates.total, now_ms);
            return self.too_big.take();
        }
        let peer = self.bucket_of(peer);
        let peer = &mut self.peers[peer];
        peer.fill(self.rates.peer, now_ms);
        self.errors.fill(self.rates.total, now_ms);
        // What one of the two refuses takes nothing from the other.
        peer.has_token() && self.errors.take() && peer.take()
    }

    fn bucket_of(&self, peer: IpAddr) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.seed, peer).hash(&mut hasher);
        usize::try_from(hasher.finish() % PEERS as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const TOO_BIG: Fault = Fault::TooBig { mtu: 1400 };

    fn peer(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 | n).into()
    }

    fn limit() -> Limit {
        Limit::new(Rates::default(), 0x5eed)
    }

    /// How many of `count` errors to one peer are allowed at a moment.
    fn allowed(limit: &mut Limit, now_ms: u64, to: IpAddr, count: u32) -> usize {
        (0..count).filter(|_| limit.allows(now_ms, to, Fault::HopLimit)).count()
    }

    #[test]
    fn a_destination_hears_six_at_once_and_one_a_second_then() {
        let mut limit = limit();
        for (now_ms, count) in
            [(0, 6), (0, 0), (999, 0), (1000, 1), (1500, 0), (2000, 1), (4999, 2), (5000, 1), (60_000, 6)]
        {
            assert_eq!(allowed(&mut limit, now_ms, peer(1), 10), count, "at {now_ms} ms");
        }
    }

    #[test]
    fn destinations_do_not_take_from_each_other() {
        let mut limit = limit();
        assert_eq!(allowed(&mut limit, 0, peer(1), 10), 6);
        assert_eq!(allowed(&mut limit, 0, "2001:db8::1".parse().unwrap(), 10), 6);
    }

    #[test]
    fn all_together_hear_fifty_at_once_and_a_thousand_a_second_then() {
        let mut limit = limit();
        let mut peers = (0..).map(peer);
        let mut at = |now_ms| {
            peers.by_ref().take(2000).filter(|peer| limit.allows(now_ms, *peer, Fault::Host)).count()
        };
        assert_eq!([at(0), at(1), at(11), at(1011)], [50, 1, 10, 50]);
    }

    #[test]
    fn what_one_limit_refuses_takes_nothing_from_the_other() {
        let mut limit = limit();
        assert_eq!(allowed(&mut limit, 0, peer(1), 1000), 6);
        let others: usize = (2..100).map(|n| allowed(&mut limit, 0, peer(n), 1)).sum();
        assert_eq!(others, 44, "six of fifty were taken");
        let mut limit = self::limit();
        let _: usize = (2..100).map(|n| allowed(&mut limit, 0, peer(n), 1)).sum();
        assert_eq!(allowed(&mut limit, 0, peer(1), 10), 0, "nothing is left for it");
        assert_eq!(allowed(&mut limit, 50, peer(1), 10), 6, "but its own bucket is full");
    }

    #[test]
    fn a_path_s_mtu_can_be_found_beside_a_flood_of_errors() {
        let mut limit = limit();
        let _: usize = (0..100).map(|n| allowed(&mut limit, 0, peer(n), 10)).sum();
        assert_eq!(allowed(&mut limit, 0, peer(1), 1), 0);
        let told = (0..100).filter(|_| limit.allows(0, peer(1), TOO_BIG)).count();
        assert_eq!(told, 50);
    }

    #[test]
    fn made_up_destinations_do_not_empty_all_buckets() {
        let mut limit = limit();
        for now_ms in 0..10_000 {
            for n in 0..20 {
                limit.allows(now_ms, peer(u32::try_from(now_ms).unwrap() * 20 + n), Fault::HopLimit);
            }
        }
        let heard = (0..1000).filter(|n| {
            let now_ms = 20_000 + u64::from(*n);
            limit.allows(now_ms, Ipv4Addr::from(0xc000_0000 | n).into(), Fault::HopLimit)
        });
        assert_eq!(heard.count(), 1000);
        assert_eq!(limit.peers.len(), PEERS, "memory is what it was");
    }

    #[test]
    fn time_that_runs_backwards_stands() {
        let mut limit = limit();
        assert_eq!(allowed(&mut limit, 10_000, peer(1), 10), 6);
        assert_eq!(allowed(&mut limit, 5_000, peer(1), 10), 0);
        assert_eq!(allowed(&mut limit, 10_999, peer(1), 10), 0);
        assert_eq!(allowed(&mut limit, 11_000, peer(1), 10), 1);
        assert_eq!(allowed(&mut limit, u64::MAX, peer(1), 10), 6);
    }

    #[test]
    fn a_rate_of_nothing_says_nothing() {
        let none = Rate { per_second: 0, burst: 0 };
        let mut limit = Limit::new(Rates { peer: none, ..Rates::default() }, 1);
        assert!(!limit.allows(0, peer(1), Fault::Port) && !limit.allows(1 << 40, peer(1), Fault::Port));
    }

    proptest! {
        #[test]
        fn no_span_of_time_has_more_than_its_tokens(
            steps in proptest::collection::vec((0..400u64, 0..9u32), 1..80), from in 0..80usize,
        ) {
            let mut limit = limit();
            let mut now_ms = 0;
            let said: Vec<(u64, usize)> = steps
                .iter()
                .map(|(pause_ms, count)| {
                    now_ms += pause_ms;
                    (now_ms, allowed(&mut limit, now_ms, peer(1), *count))
                })
                .collect();
            let span = &said[from.min(said.len() - 1)..];
            let spent_ms = usize::try_from(span[span.len() - 1].0 - span[0].0).unwrap();
            let told: usize = span.iter().map(|(_, count)| count).sum();
            prop_assert!(told <= 6 + spent_ms / 1000, "{} in {} ms", told, spent_ms);
        }
    }
}
