//! Several next hops of one route: weighted, and each flow keeps to one.
//!
//! A flow's hash falls into one of 1024 buckets. Each bucket has an order of the hops of its own, by weighted rendezvous
//! hashing (Schindelhauer and Schomaker, 2005) over what the hops are and not over their positions: its flows go to the
//! first that is alive. So a hop that dies, or that is taken from the route, moves its own flows and no others, to all
//! of the others by their weights; and gets the same flows back.

use super::Way;
use crate::key::{Address, Endpoint, Family, FlowKey};
use core::net::IpAddr;
use core::num::NonZeroU8;

const BUCKETS: usize = 1024;

/// Any number; a hop's place in the orders follows from it, on each node of a cluster alike.
const SECRET: u64 = 0x9e37_79b9_7f4a_7c15;

/// One of the next hops of a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) way: Way,
    /// What tells it from others, beside its interface: none if the destination itself is there.
    pub(super) gateway: Option<IpAddr>,
    /// What tells its interface from others.
    pub(super) interface: Option<IpAddr>,
    pub(super) weight: NonZeroU8,
}

/// The next hops of a route. They take 4 KiB each.
#[derive(Debug)]
pub(super) struct Group {
    ways: Vec<Way>,
    /// First the first choice of all buckets, then the second of all; positions among the ways.
    orders: Vec<u32>,
}

impl Group {
    /// A group of these hops.
    pub(super) fn compile(members: impl Iterator<Item = Member>) -> Self {
        let members: Vec<Member> = members.collect();
        let mut orders = vec![0; members.len() * BUCKETS];
        for bucket in 0..BUCKETS {
            let distances = members.iter().map(|member| distance(member, bucket));
            let mut order: Vec<(f64, u32)> = distances.zip(0..).collect();
            order.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            for (rank, (_, member)) in order.into_iter().enumerate() {
                orders[rank * BUCKETS + bucket] = member;
            }
        }
        Self { ways: members.iter().map(|member| member.way).collect(), orders }
    }

    /// All of them.
    pub(super) fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// The one of this flow: its first choice that is alive, and its first if none is.
    #[inline]
    pub(super) fn choose(&self, flow_hash: u64, is_alive: impl Fn(Way) -> bool) -> Way {
        let first = self.first(flow_hash);
        if is_alive(first) {
            return first;
        }
        self.choices(flow_hash).find(|way| is_alive(*way)).unwrap_or(first)
    }

    /// Its first choice.
    #[inline]
    pub(super) fn first(&self, flow_hash: u64) -> Way {
        self.choices(flow_hash).next().unwrap_or(Way::NoRoute)
    }

    #[inline]
    fn choices(&self, flow_hash: u64) -> impl Iterator<Item = Way> + '_ {
        #[expect(clippy::cast_possible_truncation, reason = "ten bits are left")]
        let bucket = (flow_hash >> (u64::BITS - BUCKETS.ilog2())) as usize;
        self.orders[bucket..].iter().step_by(BUCKETS).map(|at| self.ways[*at as usize])
    }
}

/// How far a hop is from a bucket: exponentially distributed with its weight as the rate, so that each is the nearest
/// as often as its weight says.
#[expect(clippy::cast_possible_truncation, reason = "there are 1024 buckets")]
fn distance(member: &Member, bucket: usize) -> f64 {
    let place = |ip: Option<IpAddr>| ip.map(Address::from_ip).unwrap_or_default();
    let gateway = Endpoint::new(place(member.gateway), bucket as u16);
    let interface = Endpoint::new(place(member.interface), 0);
    let hash = FlowKey::oriented(Family::V6, 0, gateway, interface).hash(SECRET);
    let share = ((hash >> 12) + 1) as f64 / (1u64 << 52) as f64;
    -share.ln() / f64::from(member.weight.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steer::route::HopId;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    /// Hop `n`, at 192.0.2.n.
    fn member(n: u8, weight: u8) -> Member {
        Member {
            way: hop(n),
            gateway: Some(Ipv4Addr::new(192, 0, 2, n).into()),
            interface: Some(Ipv4Addr::new(192, 0, 2, 254).into()),
            weight: NonZeroU8::new(weight).unwrap(),
        }
    }

    fn hop(n: u8) -> Way {
        Way::Gateway(HopId(n.into()))
    }

    fn group(weights: &[u8]) -> Group {
        Group::compile(weights.iter().zip(0..).map(|(weight, n)| member(n, *weight)))
    }

    /// One flow of each bucket.
    fn flows() -> impl Iterator<Item = u64> {
        (0..BUCKETS as u64).map(|bucket| bucket << (u64::BITS - BUCKETS.ilog2()) | 0x5eed)
    }

    fn share(group: &Group, way: Way, is_alive: impl Fn(Way) -> bool) -> f64 {
        let hits = flows().filter(|flow| group.choose(*flow, &is_alive) == way).count();
        hits as f64 / BUCKETS as f64
    }

    #[test]
    fn shares_are_as_the_weights() {
        let weights = [1, 2, 5, 8];
        let group = group(&weights);
        for (weight, n) in weights.into_iter().zip(0..) {
            let share = share(&group, hop(n), |_| true);
            let expected = f64::from(weight) / 16.0;
            // Three times what chance moves it by.
            let margin = 3.0 * (expected * (1.0 - expected) / BUCKETS as f64).sqrt();
            assert!((share - expected).abs() < margin, "hop {n}: {share}, should be {expected}");
        }
    }

    #[test]
    fn the_flows_of_a_dead_hop_go_to_the_others_by_their_weights() {
        let group = group(&[4, 1, 3]);
        let alive = |way| way != hop(0);
        let (one, three) = (share(&group, hop(1), alive), share(&group, hop(2), alive));
        assert!((one - 0.25).abs() < 0.05 && (three - 0.75).abs() < 0.05, "{one}, {three}");
    }

    #[test]
    fn with_no_hop_alive_the_flows_stay_where_they_were() {
        let group = group(&[1, 1]);
        flows().for_each(|flow| assert_eq!(group.choose(flow, |_| false), group.choose(flow, |_| true)));
    }

    proptest! {
        #[test]
        fn a_hop_that_goes_moves_its_own_flows_and_no_others(
            weights in proptest::collection::vec(1..=u8::MAX, 2..9),
            gone: prop::sample::Index,
        ) {
            let all = group(&weights);
            let gone = gone.index(weights.len());
            let left = weights.iter().zip(0..).filter(|(_, n)| usize::from(*n) != gone);
            let fewer = Group::compile(left.map(|(weight, n)| member(n, *weight)));
            let gone = hop(u8::try_from(gone).unwrap());
            for flow in flows() {
                let before = all.choose(flow, |_| true);
                let dead = all.choose(flow, |way| way != gone);
                prop_assert_ne!(dead, gone);
                prop_assert!(before == gone || before == dead);
                // To be taken from the route is the same as to be dead.
                prop_assert_eq!(fewer.choose(flow, |_| true), dead);
            }
        }
    }
}
