//! What a look-up costs: from a packet's destination to the frame that takes it on.
//!
//! The routes are those of [`internet`]. Destinations come in bursts of 32, and each burst is asked for as a whole
//! first.

use super::scale::timed;
use crate::figure::{Figure, Outcome, Unit};
use crate::internet::{self, HOSTS, destinations, host, keys};
use crate::rounds::alternate;
use crate::{BURST, shuffled};
use std::hint::black_box;
use std::time::Instant;
use weir_dataplane::config::Routing;
use weir_dataplane::config::route::ReversePath;
use weir_dataplane::key::{Address, Family};
use weir_dataplane::steer::route::{Adjacencies, Fib};
use weir_dpdk::memory::{Huge, tables};

/// Destinations of one sample.
const SAMPLE: usize = 1 << 20;

/// Measures tables of `ipv4` and `ipv6` routes.
pub fn run(rounds: usize, ipv4: u32, ipv6: u32) -> Outcome {
    let routing = internet::routing(ipv4, ipv6, ReversePath::Off);
    let (ipv4_routes, others) = routing.routes.split_at(ipv4 as usize);
    let [to_ipv4, to_ipv6] =
        [ipv4_routes, &others[..ipv6 as usize]].map(|routes| keys(destinations(routes, SAMPLE)));
    let to_hosts = keys(shuffled(HOSTS).into_iter().cycle().take(SAMPLE).map(host));

    let tables = || tables(Huge::Touched, || Tables::new(&routing)).0;
    let gateway = tables();
    let [compile, ipv4, ipv6, hosts] = alternate(
        rounds,
        [
            &mut || {
                let start = Instant::now();
                black_box(tables());
                start.elapsed().as_micros() as f64
            },
            &mut || timed(&to_ipv4, |burst| gateway.look_up(Family::V4, burst)),
            &mut || timed(&to_ipv6, |burst| gateway.look_up(Family::V6, burst)),
            &mut || timed(&to_hosts, |burst| gateway.look_up(Family::V4, burst)),
        ],
    );
    Ok(vec![
        Figure::new("route_ipv4_1m", "route and adjacency, 1 M IPv4 routes", Unit::Ns, ipv4),
        Figure::new("route_ipv6_200k", "route and adjacency, 200 k IPv6 routes", Unit::Ns, ipv6),
        Figure::new("route_on_link_10k", "route and adjacency, 10 k hosts beside", Unit::Ns, hosts),
        Figure::new("route_compile", "routes compiled into tables", Unit::Us, compile),
    ])
}

struct Tables {
    fib: Fib,
    adjacencies: Adjacencies,
}

impl Tables {
    fn new(routing: &Routing) -> Self {
        let fib = Fib::compile(routing);
        let adjacencies = internet::adjacencies(routing, &fib);
        Self { fib, adjacencies }
    }

    fn look_up(&self, family: Family, burst: &[Address; BURST]) {
        for destination in burst {
            self.fib.prefetch(family, *destination);
        }
        for (flow, destination) in (0u64..).zip(burst) {
            let flow_hash = || flow.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let way = self.fib.lookup(family, *destination, flow_hash, &self.adjacencies);
            let adjacency = self.adjacencies.find(way, family, *destination);
            black_box(adjacency.expect("all neighbours are known"));
        }
    }
}
