//! How much servers get in a second, estimated as IPVS does.
//!
//! Every two seconds what was counted since goes a quarter of the way into the estimate (Linux,
//! `net/netfilter/ipvs/ip_vs_est.c`): it follows a change within about 15 seconds, and one burst does not shake it.

use super::counts::Counts;
use core::iter::Sum;
use core::ops::Add;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use weir_dataplane::units::ServerId;

/// From one sample to the next.
const INTERVAL: Duration = Duration::from_secs(2);

/// How far an estimate goes towards what was last seen.
const WEIGHT: f64 = 0.25;

/// In a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// New connections.
    pub connections: f64,
    /// Packets to the server.
    pub packets: f64,
    /// Bytes to the server.
    pub bytes: f64,
    /// Packets from the server.
    pub reply_packets: f64,
    /// Bytes from the server.
    pub reply_bytes: f64,
}

impl Rates {
    /// Of what was counted in so many seconds.
    fn of(counts: Counts, seconds: f64) -> Self {
        let rate = |count: u64| count as f64 / seconds;
        Self {
            connections: rate(counts.connections),
            packets: rate(counts.packets),
            bytes: rate(counts.bytes),
            reply_packets: rate(counts.reply_packets),
            reply_bytes: rate(counts.reply_bytes),
        }
    }

    /// A step towards `seen`.
    fn approach(self, seen: Self) -> Self {
        self.with(seen, |from, to| from + (to - from) * WEIGHT)
    }

    fn with(self, other: Self, of_both: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            connections: of_both(self.connections, other.connections),
            packets: of_both(self.packets, other.packets),
            bytes: of_both(self.bytes, other.bytes),
            reply_packets: of_both(self.reply_packets, other.reply_packets),
            reply_bytes: of_both(self.reply_bytes, other.reply_bytes),
        }
    }
}

impl Add for Rates {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, f64::add)
    }
}

impl Sum for Rates {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

/// The estimates of all servers.
#[derive(Clone, Debug, Default)]
pub struct Sampler {
    sampled_at_ms: u64,
    estimates: BTreeMap<ServerId, (Counts, Rates)>,
}

impl Sampler {
    /// Takes a sample of `servers` when it is time for one. One that was not there the last time begins with nothing.
    pub fn sample(&mut self, now_ms: u64, servers: impl Iterator<Item = (ServerId, Counts)>) {
        let elapsed = Duration::from_millis(now_ms.saturating_sub(self.sampled_at_ms));
        if elapsed < INTERVAL {
            return;
        }
        self.sampled_at_ms = now_ms;
        let before = core::mem::take(&mut self.estimates);
        let estimate = |(id, now): (ServerId, Counts)| {
            let rates = before
                .get(&id)
                .map(|(then, rates)| rates.approach(Rates::of(now.since(*then), elapsed.as_secs_f64())));
            (id, (now, rates.unwrap_or_default()))
        };
        self.estimates = servers.map(estimate).collect();
    }

    /// The estimate of one.
    pub fn of(&self, id: ServerId) -> Rates {
        self.estimates.get(&id).map(|(_, rates)| *rates).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(connections: u64, bytes: u64) -> Counts {
        Counts { active: 3, connections, bytes, ..Counts::default() }
    }

    #[test]
    fn an_estimate_goes_a_quarter_of_the_way_every_two_seconds() {
        let (mut sampler, id) = (Sampler::default(), ServerId::FIRST);
        let mut at = |now_ms, counts| {
            sampler.sample(now_ms, [(id, counts)].into_iter());
            sampler.of(id).connections
        };
        assert_eq!(at(2_000, counts(1_000, 0)), 0.0, "what was there before is no burst");
        assert_eq!(at(3_999, counts(5_000, 0)), 0.0, "not yet");
        assert_eq!(at(4_000, counts(1_200, 0)), 25.0);
        assert_eq!(at(6_000, counts(1_400, 0)), 43.75);
        assert_eq!(at(10_000, counts(1_400, 0)), 32.8125, "four seconds are one sample");
    }

    #[test]
    fn a_server_that_is_gone_leaves_no_estimate() {
        let (mut sampler, id) = (Sampler::default(), ServerId::FIRST);
        sampler.sample(2_000, [(id, counts(0, 0))].into_iter());
        sampler.sample(4_000, [(id, counts(8, 800))].into_iter());
        assert_eq!(sampler.of(id), Rates { connections: 1.0, bytes: 100.0, ..Rates::default() });
        sampler.sample(6_000, core::iter::empty());
        assert_eq!(sampler.of(id), Rates::default());
    }
}
