//! The same packets through different gateways: a bridge and a router, alone and in a cluster, as their owner and as
//! another node that keeps their flows in its shadows.
//!
//! All have the same established TCP flows in the same random order, each to another destination behind one of the
//! routes of [`internet`], and take turns. A node that keeps shadows hears each packet twice: as it is sent, and as its
//! owner has forwarded it.

use super::on_huge_pages;
use super::scale::SAMPLE_MIN;
use crate::figure::{Figure, Outcome, Unit};
use crate::internet::{self, Wires};
use crate::rounds::alternate;
use crate::{Bench, Kind, Wire, shuffled};
use weir_dataplane::config::route::ReversePath;
use weir_dataplane::config::{Config, Tracking};
use weir_dataplane::counters::Verdict;
use weir_dataplane::steer::Router;
use weir_dataplane::units::{BucketId, PortId};
use weir_tests::conversation::Side;
use weir_tests::node::{bridge, member};

/// Destinations of all flows.
const SERVERS: usize = 1 << 20;

/// What all sizes have in common.
struct World {
    wires: Wires,
    /// With all routes, with all routes and a look at sources, and with a default route.
    many: Router,
    strict: Router,
    few: Router,
}

/// Measures all sizes, with so many routes.
pub fn run(rounds: usize, sizes: &[(u32, &str, &str)], ipv4: u32, ipv6: u32) -> Outcome {
    let world = World::new(ipv4, ipv6);
    Ok(sizes.iter().flat_map(|(flows, key, title)| world.at(rounds, *flows, (key, title))).collect())
}

impl World {
    fn new(ipv4: u32, ipv6: u32) -> Self {
        let many = internet::routing(ipv4, ipv6, ReversePath::Off);
        let strict = internet::routing(ipv4, ipv6, ReversePath::Strict);
        Self {
            wires: Wires::new(&many.routes[..ipv4 as usize], SERVERS),
            many: internet::router(&many),
            strict: internet::router(&strict),
            few: internet::router(&internet::default_routing()),
        }
    }

    fn at(&self, rounds: usize, flows: u32, (key, title): (&str, &str)) -> Vec<Figure> {
        let all = shuffled(flows);
        let order: Vec<u32> = all.iter().copied().cycle().take(all.len().max(SAMPLE_MIN)).collect();
        let mut gateways = self.gateways(&all);
        let mut runs = gateways.each_mut().map(|gateway| || gateway.time(&order));
        let samples = alternate(rounds, runs.each_mut().map(|run| run as &mut dyn FnMut() -> f64));
        let figure = |name: &str, what: &str, samples| {
            Figure::new(format!("{name}_{key}"), format!("{what}, {title}"), Unit::Ns, samples)
        };
        let named = gateways.iter().map(|gateway| gateway.what);
        let mut figures: Vec<Figure> =
            named.zip(&samples).map(|((name, what), samples)| figure(name, what, samples.clone())).collect();
        let [bridge, _, bridge_all, routed, _, _, routed_all, ..] = &samples;
        for (name, what, of, beside) in [
            ("routed_more", "router, all routes, less bridge", routed, bridge),
            ("routed_all_more", "router in a cluster, less bridge in a cluster", routed_all, bridge_all),
        ] {
            figures.push(figure(name, what, of.iter().zip(beside).map(|(of, beside)| of - beside).collect()));
        }
        figures
    }

    /// All contenders, in which these flows are open.
    fn gateways(&self, flows: &[u32]) -> [Gateway; 9] {
        let [own, all] = [Tracking::Own, Tracking::All].map(|tracking| member(2, 0..2, tracking));
        let (alone, of_others) = (bridge(), member(2, 0..0, Tracking::All));
        let of = |name, what, config, router| Gateway::new((name, what), config, router, &self.wires, flows);
        let [many, strict, few] = [&self.many, &self.strict, &self.few].map(Some);
        [
            of("bridge", "bridge", &alone, None),
            of("bridge_own", "bridge in a cluster, tracking: own", &own, None),
            of("bridge_all", "bridge in a cluster, tracking: all", &all, None),
            of("routed", "router, all routes", &alone, many),
            of("routed_strict", "router, all routes, sources looked up", &alone, strict),
            of("routed_few", "router, a default route", &alone, few),
            of("routed_all", "router in a cluster, tracking: all", &all, many),
            of("shadow_bridge", "shadows of a bridge, each packet heard twice", &of_others, None),
            of("shadow_routed", "shadows of a router, each packet heard twice", &of_others, many),
        ]
    }
}

/// One that is measured.
struct Gateway {
    /// Its key and its title.
    what: (&'static str, &'static str),
    bench: Bench,
    /// As what and where each packet is heard.
    heard: Vec<(Wire, Side)>,
    /// What becomes of all frames.
    verdict: Verdict,
}

impl Gateway {
    fn new(
        what: (&'static str, &'static str),
        config: &Config,
        router: Option<&Router>,
        wires: &Wires,
        flows: &[u32],
    ) -> Self {
        let flows_max = u32::try_from(flows.len()).expect("few enough").max(64);
        let bench = || match router {
            None => Bench::new(config, flows_max),
            Some(router) => Bench::routed(config, router.clone(), flows_max),
        };
        let mut bench = on_huge_pages(bench).0;
        let sent = |kind| if router.is_some() { wires.sent(kind) } else { wires.direct(kind) };
        let forwarded = |kind| if router.is_some() { wires.forwarded(kind) } else { wires.direct(kind) };
        let mut heard = vec![(sent(Kind::Ack), Side::Lan)];
        let mut verdict = Verdict::Forward(PortId::default());
        if config.cluster.as_ref().is_some_and(|cluster| !cluster.owns(BucketId::default())) {
            heard.push((forwarded(Kind::Ack), Side::Wan));
            verdict = Verdict::Shadow;
        }
        bench.open_as(sent, verdict, flows);
        Self { what, bench, heard, verdict }
    }

    /// Nanoseconds a frame.
    fn time(&mut self, order: &[u32]) -> f64 {
        let before = self.bench.outcomes(self.verdict);
        let heard: Vec<(&Wire, Side)> = self.heard.iter().map(|(wire, side)| (wire, *side)).collect();
        let ns = self.bench.time_all(&heard, order, |_| ());
        let frames = (heard.len() * order.len()) as u64;
        assert_eq!(self.bench.outcomes(self.verdict) - before, frames, "of all frames becomes the same");
        ns
    }
}
