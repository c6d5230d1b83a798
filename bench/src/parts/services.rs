//! What services add to a router: to packets of flows that a server has, to new flows, and the rules alone.
//!
//! All have the same flows in the same random order, each to another destination behind one of the routes of
//! [`internet`], and take turns. Where a [service](serving) takes them it does so by the last of its rules, and the
//! servers' answers do not pass.

use super::flows::{Births, SYN_SENT_S};
use super::on_huge_pages;
use super::scale::{SAMPLE_MIN, timed};
use crate::figure::{Figure, Outcome, Unit};
use crate::internet::{self, Wires, destinations, keys};
use crate::rounds::alternate;
use crate::{BURST, Bench, Kind, client, serving, shuffled};
use std::hint::black_box;
use std::sync::Arc;
use weir_dataplane::classify::{Classifier, Facts};
use weir_dataplane::config::Services as Config;
use weir_dataplane::config::route::{ReversePath, Route};
use weir_dataplane::counters::Verdict;
use weir_dataplane::key::{Address, Family};
use weir_dataplane::steer::Router;
use weir_dataplane::steer::service::Services;
use weir_dataplane::units::Mark;
use weir_dataplane::wire::IpProtocol;
use weir_tests::conversation::Side;
use weir_tests::node::{bridge, port};

/// Destinations of all flows.
const SITES: usize = 1 << 20;

/// How long a flow lives that was given to a server and has not gone on: IPVS's `SYN_RECV`.
const SYN_RECV_S: u32 = 60;

/// What all contenders have in common.
struct World {
    wires: Wires,
    routes: Vec<Route>,
    contenders: [Contender; 4],
}

/// A router, and whether a service takes what it is sent.
struct Contender {
    /// The end of its keys and its titles.
    what: (&'static str, &'static str),
    router: Router,
    serves: bool,
}

/// Measures all sizes, with so many routes.
pub fn run(rounds: usize, sizes: &[(u32, &str, &str)], ipv4: u32, ipv6: u32) -> Outcome {
    let world = World::new(ipv4, ipv6);
    let known = sizes.iter().flat_map(|(flows, key, title)| world.known(rounds, *flows, (key, title)));
    let mut figures: Vec<Figure> = known.collect();
    let most = sizes.iter().map(|(flows, ..)| *flows).max().unwrap_or(1);
    figures.extend(world.new_flows(rounds, most));
    figures.extend(world.rules(rounds));
    Ok(figures)
}

impl World {
    fn new(ipv4: u32, ipv6: u32) -> Self {
        let mut routing = internet::routing(ipv4, ipv6, ReversePath::Off);
        let router = internet::router(&routing);
        routing.routes.truncate(ipv4 as usize);
        let routes = routing.routes;
        let with = |config: &Config| router.clone().with_services(Arc::new(Services::compile(1, config)));
        let contender = |name, title, router, serves| Contender { what: (name, title), router, serves };
        let contenders = [
            contender("unserved", "no services", router.clone(), false),
            contender(
                "passed_1000_rules",
                "1,000 rules, none holds",
                with(&serving::passing(1000, &routes)),
                false,
            ),
            contender("served_10_rules", "served, 10 rules", with(&serving::capturing(10, &routes)), true),
            contender(
                "served_1000_rules",
                "served, 1,000 rules",
                with(&serving::capturing(1000, &routes)),
                true,
            ),
        ];
        Self { wires: Wires::new(&routes, SITES), routes, contenders }
    }

    /// Packets of so many open flows.
    fn known(&self, rounds: usize, flows: u32, (key, title): (&str, &str)) -> Vec<Figure> {
        let all = shuffled(flows);
        let order: Vec<u32> = all.iter().copied().cycle().take(all.len().max(SAMPLE_MIN)).collect();
        let wire = self.wires.sent(Kind::Ack);
        let mut benches = self.contenders.each_ref().map(|contender| self.open(contender, &all));
        let mut runs = benches.each_mut().map(|bench| {
            || {
                let before = bench.forwarded();
                let ns = bench.time(&wire, Side::Lan, &order, |_| ());
                assert_eq!(bench.forwarded() - before, order.len() as u64, "all frames are forwarded");
                ns
            }
        });
        let samples = alternate(rounds, runs.each_mut().map(|run| run as &mut dyn FnMut() -> f64));
        for (contender, bench) in self.contenders.iter().zip(&benches) {
            contender.check(bench);
        }
        let named = self.contenders.iter().zip(samples);
        let figure = |(contender, samples): (&Contender, _)| {
            let (name, what) = contender.what;
            Figure::new(format!("{name}_{key}"), format!("known flow, {what}, {title}"), Unit::Ns, samples)
        };
        named.map(figure).collect()
    }

    fn open(&self, contender: &Contender, flows: &[u32]) -> Bench {
        let flows_max = u32::try_from(flows.len()).expect("few enough").max(64);
        let mut bench = contender.bench(flows_max);
        let wire = |kind| self.wires.sent(kind);
        match contender.serves {
            true => bench.open_one_sided(wire, flows),
            false => bench.open_as(wire, Verdict::Forward(port(Side::Wan)), flows),
        }
        bench
    }

    /// New flows, so many alive at a time, each as another's time runs out.
    fn new_flows(&self, rounds: usize, alive: u32) -> Vec<Figure> {
        let mut births = self.contenders.each_ref().map(|contender| {
            let timeout_s = if contender.serves { SYN_RECV_S } else { SYN_SENT_S };
            let bench = contender.bench(alive + alive / 4);
            Births::new(bench, self.wires.sent(Kind::Syn), alive, timeout_s)
        });
        for births in &mut births {
            births.age(alive);
        }
        let mut runs = births.each_mut().map(|births| || births.age(alive));
        let samples = alternate(rounds, runs.each_mut().map(|run| run as &mut dyn FnMut() -> f64));
        for (contender, births) in self.contenders.iter().zip(&births) {
            contender.check(births.check(u64::from(alive) * rounds as u64));
        }
        let [unserved, _, _, served] = &samples;
        let more = served.iter().zip(unserved).map(|(served, unserved)| served - unserved).collect();
        let named = self.contenders.iter().zip(&samples);
        let figure = |(contender, samples): (&Contender, &Vec<f64>)| {
            let (name, what) = contender.what;
            Figure::new(format!("new_{name}"), format!("new flow, {what}"), Unit::Ns, samples.clone())
        };
        let mut figures: Vec<Figure> = named.map(figure).collect();
        let title = "new flow, served, 1,000 rules, less no services";
        figures.push(Figure::new("new_served_more", title, Unit::Ns, more));
        figures
    }

    /// The first rule that holds.
    fn rules(&self, rounds: usize) -> Vec<Figure> {
        let facts = self.facts();
        let sizes = [(10, "10"), (1000, "1,000"), (4000, "4,000")];
        let lists = sizes.map(|(rules, _)| {
            let marks = serving::capturing(rules, &self.routes).marks;
            Classifier::compile(&marks.into_iter().map(|(rule, _)| rule).collect::<Vec<_>>())
        });
        let mut runs = core::array::from_fn::<_, 3, _>(|i| {
            let (rules, last, facts) = (&lists[i], sizes[i].0 - 1, &facts);
            move || timed(facts, |burst| look_up(rules, last, burst))
        });
        let samples = alternate(rounds, runs.each_mut().map(|run| run as &mut dyn FnMut() -> f64));
        let named = sizes.into_iter().zip(samples);
        let figure = |((rules, title), samples)| {
            let title = format!("the first of {title} rules that holds");
            Figure::new(format!("classify_{rules}_rules"), title, Unit::Ns, samples)
        };
        named.map(figure).collect()
    }

    /// The first packets of flows to port 80.
    fn facts(&self) -> Vec<Facts> {
        let sites = keys(destinations(&self.routes, SAMPLE_MIN));
        let flows = shuffled(SAMPLE_MIN as u32).into_iter().zip(sites);
        let facts = |(n, destination)| {
            let (source, source_port) = client(n);
            Facts {
                family: Family::V4,
                source: Address::v4(source.octets()),
                destination,
                protocol: IpProtocol::TCP,
                ports: (source_port, 80),
                port: port(Side::Lan),
                vlan: None,
                mark: Mark::default(),
            }
        };
        flows.map(facts).collect()
    }
}

impl Contender {
    fn bench(&self, flows_max: u32) -> Bench {
        on_huge_pages(|| Bench::routed(&bridge(), self.router.clone(), flows_max)).0
    }

    fn check(&self, bench: &Bench) {
        let served = if self.serves { bench.counters().frames() } else { 0 };
        assert_eq!(bench.served(), served, "servers get all or nothing");
    }
}

fn look_up(rules: &Classifier, last: usize, burst: &[Facts; BURST]) {
    for facts in burst {
        assert_eq!(rules.first(black_box(facts)), Some(last), "no other one holds");
    }
}
