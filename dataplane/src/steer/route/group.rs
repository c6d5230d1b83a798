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
        let bucket = (flow_hash >> (u64::BITS - BUCKETS.ilog2())) as usize;
        let mut choices = self.orders[bucket..].iter().step_by(BUCKETS).map(|at| self.ways[*at as usize]);
        let first = choices.next().unwrap_or(Way::NoRoute);
        if is_alive(first) { first } else { choices.find(|way| is_alive(*way)).unwrap_or(first) }
    }
}

/// How far a hop is from a bucket: exponentially distributed with its weight as the rate, so that each is the nearest
/// as often as its weight says.
#[expect(clippy::cast_possible_truncation, reason = "there are 1024 buckets")]
fn distance(member: &Member, bucket: usize) -> f64 {
    let place = |ip: Option<IpAddr>| ip.map_or(Address::default(), Address::from_ip);
    let gateway = Endpoint::new(place(member.gateway), bucket as u16);
    let interface = Endpoint::new(place(member.interface), 0);
    let hash = FlowKey::oriented(Family::V6, 0, gateway, interface).hash(SECRET);
    let share = ((hash >> 12) + 1) as f64 / (1u64 << 52) as f64;
    -share.ln() / f64::from(member.weight.get())
}
