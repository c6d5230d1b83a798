//! Weir beside IPVS: the same rules, of `ipvsadm`, and the same connections, one after another. Whom each connection
//! goes to, and what `ipvsadm -Ln` and `-Lnc` say of it, are the same.
//!
//! Where the kernel has no IPVS, Weir is held against what is written of its schedulers ([`Model`]) alone, and the test
//! says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use weir_tests::netns::{Namespace, output};

use crate::farm::{Answers, Farm, SHARED, client, server};
use crate::ipvs::Model;
use crate::ipvsadm::{self, Table};
use crate::node::{Weir, binary};
use crate::ready;
use crate::visiting::connect_from;

pub(crate) const SERVERS: usize = 4;
const SOON: Duration = Duration::from_secs(3);
/// Within this time a director has seen the last packet of a connection.
const SETTLED: Duration = Duration::from_millis(150);

/// Within this time a worker knows what the others carry.
const TOLD: Duration = Duration::from_millis(500);

/// A service, at a port of its own, as it is for `ipvsadm`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// The scheduler, and the options behind it.
    pub(crate) scheduler: &'static str,
    /// Weight of each server, in the order in which they are added.
    pub(crate) weights: [u32; SERVERS],
    /// With so many connections a server gets no new ones; 0: however many.
    pub(crate) upper_threshold: u32,
}

const fn service(scheduler: &'static str, weights: [u32; SERVERS]) -> Service {
    Service { scheduler, weights, upper_threshold: 0 }
}

const SERVICES: [Service; 18] = [
    service("rr", [1, 1, 1, 1]),
    service("rr", [1, 0, 1, 1]),
    service("wrr", [1, 2, 3, 2]),
    service("wrr", [4, 2, 0, 2]),
    service("lc", [1, 1, 1, 1]),
    service("wlc", [1, 2, 3, 0]),
    Service { upper_threshold: 3, ..service("wlc", [1, 4, 1, 1]) },
    service("sed", [1, 2, 3, 4]),
    service("nq", [1, 2, 3, 4]),
    service("fo", [1, 9, 3, 4]),
    Service { upper_threshold: 4, ..service("fo", [1, 9, 3, 4]) },
    service("ovf", [3, 4, 5, 6]),
    service("rr -p 300", [1, 1, 1, 1]),
    service("rr -p 300 -M 255.255.255.248", [1, 1, 1, 1]),
    service("sh -b sh-port", [1, 2, 1, 1]),
    service("sh -b sh-fallback", [1, 0, 1, 3]),
    service("mh", [1, 2, 3, 1]),
    service("dh", [1, 1, 1, 1]),
];

fn port(service: usize) -> u16 {
    8000 + u16::try_from(service).expect("there are a few services")
}

/// The lines of `ipvsadm -Sn` that make them.
fn rules() -> String {
    let lines = SERVICES.iter().enumerate().flat_map(|(n, service)| {
        let place = format!("-t {SHARED}:{}", port(n));
        let limit = match service.upper_threshold {
            0 => String::new(),
            limit => format!(" -x {limit}"),
        };
        let server = |(k, weight): (usize, &u32)| {
            format!("-a {place} -r {}:{} -g -w {weight}{limit}\n", server(k), port(n))
        };
        let servers: Vec<String> = service.weights.iter().enumerate().map(server).collect();
        [format!("-A {place} -s {}\n", service.scheduler)].into_iter().chain(servers)
    });
    lines.collect()
}

/// What happens to a service: connections come, some end, others come.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// By this client, from a port of its own.
    Open(usize),
    /// What this step has opened ends.
    Close(usize),
}

fn steps() -> Vec<Step> {
    let first = (0..20).map(|n| Step::Open(n % 12));
    let ends = (0..20).filter(|n| n % 3 != 1).map(Step::Close);
    let more = (0..12).map(|n| Step::Open(n + 5));
    first.chain(ends).chain(more).collect()
}

/// What came of a service: the server of each connection, counted from 0, if it found one; and how the servers stand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) chosen: Vec<Option<usize>>,
    /// Active and inactive connections of each server, at the end.
    pub(crate) counts: Vec<(u32, u32)>,
}

/// What came of all services, and the connections that the director knows of.
struct Course {
    outcomes: Vec<Outcome>,
    connections: Vec<[String; 4]>,
}

/// Servers that take connections at the port of each service, and tell nobody.
struct Backends(Vec<Vec<TcpListener>>);

impl Backends {
    fn start(farm: &Farm) -> Result<Self> {
        let listen = |host: &Namespace| {
            host.inside(|| {
                let bind = |n| {
                    let listener = TcpListener::bind((SHARED, port(n)))?;
                    listener.set_nonblocking(true)?;
                    Ok(listener)
                };
                (0..SERVICES.len()).map(bind).collect()
            })
        };
        farm.servers.iter().map(listen).collect::<Result<_>>().map(Self)
    }

    /// The server that has taken the connection of `client`, and its end there.
    fn accept(&self, service: usize, client: SocketAddr) -> Result<(usize, TcpStream)> {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            for (n, listeners) in self.0.iter().enumerate() {
                if let Ok((stream, from)) = listeners[service].accept() {
                    ensure!(from == client, "{from} came instead of {client}");
                    return Ok((n, stream));
                }
            }
            thread::sleep(Duration::from_micros(200));
        }
        bail!("no server has taken the connection of {client}")
    }
}

/// Goes through all steps with all services. `list` tells what the director knows, `-Ln` and `-Lnc`.
fn run(farm: &Farm, list: impl Fn() -> Result<[String; 2]>) -> Result<Course> {
    let backends = Backends::start(farm)?;
    let mut outcomes: Vec<Outcome> = SERVICES.iter().map(|_| Outcome::default()).collect();
    let mut open: BTreeMap<(usize, usize), [TcpStream; 2]> = BTreeMap::new();
    for (at, step) in steps().into_iter().enumerate() {
        for (n, outcome) in outcomes.iter_mut().enumerate() {
            match step {
                Step::Open(who) => {
                    let from = SocketAddr::new(
                        client(who).parse()?,
                        20_000 + u16::try_from(at * SERVICES.len() + n)?,
                    );
                    let to = SocketAddr::new(SHARED.parse()?, port(n));
                    let taken = match farm.clients.inside(|| connect_from(from, to)) {
                        Ok(stream) => {
                            let (server, end) = backends.accept(n, from)?;
                            open.insert((n, outcome.chosen.len()), [stream, end]);
                            Some(server)
                        }
                        Err(error) if is_refusal(&error) => None,
                        Err(error) => return Err(error),
                    };
                    outcome.chosen.push(taken);
                }
                Step::Close(which) => drop(open.remove(&(n, which))),
            }
        }
    }
    thread::sleep(SETTLED);
    let [servers, connections] = list()?;
    let table = ipvsadm::table(&servers)?;
    for (n, outcome) in outcomes.iter_mut().enumerate() {
        outcome.counts = counts(&table, n).with_context(|| servers.clone())?;
    }
    let outcomes = SERVICES.iter().zip(outcomes).map(|(service, outcome)| comparable(service, outcome));
    let mut connections = ipvsadm::connections(&connections);
    let by_rounds: Vec<String> = (0..SERVICES.len())
        .filter(|n| SERVICES[*n].scheduler == "wrr")
        .map(|n| format!("{SHARED}:{}", port(n)))
        .collect();
    connections.retain(|[_, _, service, _]| !by_rounds.contains(service));
    Ok(Course { outcomes: outcomes.collect(), connections })
}

fn is_refusal(error: &anyhow::Error) -> bool {
    let kind = error.root_cause().downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind == Some(std::io::ErrorKind::ConnectionRefused)
}

/// Of the servers of a service.
fn counts(table: &Table, service: usize) -> Result<Vec<(u32, u32)>> {
    let servers = table.get(&format!("TCP {SHARED}:{}", port(service))).context("a service is not listed")?;
    let count = |k| {
        let load =
            servers.get(&format!("{}:{}", server(k), port(service))).context("a server is not listed")?;
        ensure!(load.weight == SERVICES[service].weights[k], "another weight: {load:?}");
        Ok((load.active, load.inactive))
    };
    (0..SERVERS).map(count).collect()
}

/// With `wrr` where in its round a service begins depends on how its servers were added; in whole rounds all get the same.
fn comparable(service: &Service, mut outcome: Outcome) -> Outcome {
    if service.scheduler == "wrr" {
        outcome.chosen.sort();
        outcome.counts = outcome.counts.iter().map(|(active, inactive)| (active + inactive, 0)).collect();
    }
    outcome
}

/// Through Weir, which takes the rules as they are.
fn through_weir() -> Result<Course> {
    let farm = Farm::new(SERVERS, Answers::Past)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("rules");
    std::fs::write(&path, rules())?;
    let mut import = Command::new("sh");
    let services = output(import.args(["-c", "\"$0\" import ipvsadm <\"$1\""]).arg(binary()?).arg(&path))?;
    let weir: Weir<'_> = farm.weir_alone(&services)?;
    let list = || Ok([weir.print(&["service", "list"])?, weir.print(&["service", "list", "--connections"])?]);
    let course = run(&farm, list).with_context(|| format!("{services}{}", weir.log()))?;
    weir.stop()?;
    with_two_workers(&farm, &services)?;
    Ok(course)
}

/// What one worker knows of servers and clients the other one learns, the loads within [`TOLD`].
fn with_two_workers(farm: &Farm, services: &str) -> Result<()> {
    let backends = Backends::start(farm)?;
    let weir = farm.weir(services)?;
    let mut open = Vec::new();
    let mut visit = |service: usize, who: usize| {
        let from = SocketAddr::new(client(who).parse()?, 30_000 + u16::try_from(service * 100 + who)?);
        let to = SocketAddr::new(SHARED.parse()?, port(service));
        let stream = farm.clients.inside(|| connect_from(from, to))?;
        let (server, end) = backends.accept(service, from)?;
        open.push([stream, end]);
        anyhow::Ok(server)
    };
    let place = |is: fn(&Service) -> bool| SERVICES.iter().position(is).context("no such service");
    // Addresses up to .7 are one client: these are seven hosts.
    let networks = place(|service| service.scheduler.contains("-M"))?;
    let homes: BTreeSet<usize> = (0..7).map(|who| visit(networks, who)).collect::<Result<_>>()?;
    ensure!(homes.len() == 1, "one network went to the servers {homes:?}");
    let limited = place(|service| service.scheduler == "fo" && service.upper_threshold == 4)?;
    let first: Vec<usize> = (0..4).map(|who| visit(limited, who)).collect::<Result<_>>()?;
    thread::sleep(TOLD);
    let then: Vec<usize> = (4..8).map(|who| visit(limited, who)).collect::<Result<_>>()?;
    ensure!([&first, &then] == [&vec![1; 4], &vec![3; 4]], "to the heaviest {first:?}, to the next {then:?}");
    let counters = weir.ask(&["counters"])?;
    let workers = counters["workers"].as_array().context("no workers")?;
    let busy = workers.iter().filter(|worker| worker["verdicts"]["forward"].as_u64() > Some(10));
    ensure!(busy.count() == 2, "both workers have clients: {counters}");
    weir.stop()?;
    Ok(())
}

/// Through this machine's Linux.
fn through_ipvs() -> Result<Course> {
    let farm = Farm::new(SERVERS, Answers::Past)?;
    farm.linux("")?;
    farm.gateway.sysctl("net/ipv4/icmp_ratelimit", 0)?;
    farm.gateway.ip(&format!("addr add {SHARED}/32 dev lo"))?;
    farm.gateway.feed("ipvsadm -R", &rules())?;
    run(&farm, || Ok([farm.gateway.run("ipvsadm -Ln")?, farm.gateway.run("ipvsadm -Lnc")?]))
}

/// Whether this machine's kernel has IPVS; loads it if it can.
fn has_ipvs() -> bool {
    // It may be built in.
    let _ = output(Command::new("modprobe").arg("ip_vs"));
    Path::new("/proc/net/ip_vs").exists()
}

fn differences(one: &[Outcome], other: &[Option<Outcome>]) -> Result<()> {
    let differ = |n: &usize| other[*n].as_ref().is_some_and(|other| *other != one[*n]);
    let differing: Vec<usize> = (0..SERVICES.len()).filter(differ).collect();
    let told = |n: &usize| format!("{:?}:\n  {:?}\n  {:?}", SERVICES[*n], one[*n], other[*n]);
    if !differing.is_empty() {
        bail!("{}", differing.iter().map(told).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// By what is written of them.
fn by_the_book(service: &Service) -> Option<Outcome> {
    let mut model = Model::new(service)?;
    let mut chosen = Vec::new();
    for step in steps() {
        match step {
            Step::Open(who) => {
                let address: Ipv4Addr = client(who).parse().expect("an address");
                chosen.push(model.open(address.to_bits()));
            }
            Step::Close(which) => {
                chosen.get(which).copied().flatten().into_iter().for_each(|at| model.close(at))
            }
        }
    }
    Some(comparable(service, Outcome { chosen, counts: model.counts() }))
}

#[test]
fn connections_go_where_ipvs_sends_them_and_are_counted_alike() {
    if !ready() {
        return;
    }
    let ours = through_weir().unwrap();
    let book: Vec<Option<Outcome>> = SERVICES.iter().map(by_the_book).collect();
    assert!(book.iter().flatten().count() > SERVICES.len() / 2, "most schedulers are in the book");
    differences(&ours.outcomes, &book).context("Weir and what is written").unwrap();
    if !has_ipvs() {
        // Past the harness, which keeps what tests print that pass.
        let said =
            "NOT RUN: Weir beside IPVS: this kernel has none. Weir agrees with what is written of IPVS.\n";
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        return;
    }
    let theirs = through_ipvs().unwrap();
    let outcomes: Vec<Option<Outcome>> = theirs.outcomes.into_iter().map(Some).collect();
    differences(&ours.outcomes, &outcomes).context("Weir and IPVS").unwrap();
    assert_eq!(ours.connections, theirs.connections);
}
