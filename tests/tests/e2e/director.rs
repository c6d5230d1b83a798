//! Weir beside IPVS: the same rules, of `ipvsadm`, and the same connections, one after another. Whom each connection
//! goes to, and what `ipvsadm -Ln` and `-Lnc` say of it, are the same.
//!
//! Where the kernel has no IPVS, Weir is held against what is written of its schedulers ([`Model`]) alone, and the test
//! says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use weir_tests::netns::{Namespace, output};

use crate::farm::{Answers, Farm, SHARED, client, server, site};
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

/// Sites of the internet that clients of a marked service ask for, by turns.
const SITES: usize = 3;
const NETWORK_OF_SITES: &str = "198.51.100.0/24";
const MARK: u32 = 77;

/// What is a service's. Each has a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// TCP to its port of the shared address.
    Tcp,
    /// UDP to it.
    Udp,
    /// TCP to any port of the shared address that no other service has.
    AnyPort,
    /// TCP to its port of any site, which a rule marks as it passes: a transparent cache.
    Mark,
}

/// A service as it is for `ipvsadm`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// What is its.
    pub(crate) way: Way,
    /// The scheduler, and the options behind it.
    pub(crate) scheduler: &'static str,
    /// Weight of each server, in the order in which they are added.
    pub(crate) weights: [u32; SERVERS],
    /// With so many connections a server gets no new ones; 0: however many.
    pub(crate) upper_threshold: u32,
}

const fn service(scheduler: &'static str, weights: [u32; SERVERS]) -> Service {
    Service { way: Way::Tcp, scheduler, weights, upper_threshold: 0 }
}

const SERVICES: [Service; 22] = [
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
    Service { way: Way::Udp, ..service("rr", [1, 0, 1, 1]) },
    Service { way: Way::Udp, ..service("wlc", [1, 2, 3, 0]) },
    Service { way: Way::AnyPort, ..service("rr -p 300", [1, 1, 1, 1]) },
    Service { way: Way::Mark, ..service("lblcr", [2, 3, 2, 4]) },
];

fn port(service: usize) -> u16 {
    8000 + u16::try_from(service).expect("there are a few services")
}

/// Where a service is, as `ipvsadm` is told and as it lists it.
fn place(service: usize) -> [String; 2] {
    let port = port(service);
    match SERVICES[service].way {
        Way::Tcp => [format!("-t {SHARED}:{port}"), format!("TCP {SHARED}:{port}")],
        Way::Udp => [format!("-u {SHARED}:{port}"), format!("UDP {SHARED}:{port}")],
        Way::AnyPort => [format!("-t {SHARED}:0"), format!("TCP {SHARED}:0")],
        Way::Mark => [format!("-f {MARK}"), format!("FWM {MARK}")],
    }
}

/// The same of one of its servers.
fn place_of_server(service: usize, k: usize) -> String {
    let port = match SERVICES[service].way {
        Way::Tcp | Way::Udp => port(service),
        Way::AnyPort | Way::Mark => 0,
    };
    format!("{}:{port}", server(k))
}

/// What a client asks.
fn target(service: usize, who: usize) -> Result<SocketAddr> {
    let address = if SERVICES[service].way == Way::Mark { &site(who % SITES) } else { SHARED };
    Ok(SocketAddr::new(address.parse()?, port(service)))
}

/// The lines of `ipvsadm -Sn` that make them.
fn rules() -> String {
    let lines = SERVICES.iter().enumerate().flat_map(|(n, service)| {
        let [place, _] = place(n);
        let limit = match service.upper_threshold {
            0 => String::new(),
            limit => format!(" -x {limit}"),
        };
        let server = |(k, weight): (usize, &u32)| {
            format!("-a {place} -r {} -g -w {weight}{limit}\n", place_of_server(n, k))
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

/// Where a server hears of a service's clients.
enum Ear {
    Streams(TcpListener),
    Datagrams(UdpSocket),
}

/// Servers that take connections at the port of each service, and tell nobody.
struct Backends(Vec<Vec<Ear>>);

impl Backends {
    fn start(farm: &Farm) -> Result<Self> {
        let bind = |n: usize| {
            let at = match SERVICES[n].way {
                Way::Mark => (Ipv4Addr::UNSPECIFIED, port(n)),
                _ => (SHARED.parse()?, port(n)),
            };
            if SERVICES[n].way == Way::Udp {
                let socket = UdpSocket::bind(at)?;
                socket.set_nonblocking(true)?;
                return Ok(Ear::Datagrams(socket));
            }
            let listener = TcpListener::bind(at)?;
            listener.set_nonblocking(true)?;
            Ok(Ear::Streams(listener))
        };
        let listen = |host: &Namespace| {
            (0..SITES).try_for_each(|n| host.ip(&format!("addr replace {}/32 dev lo", site(n))))?;
            host.inside(|| (0..SERVICES.len()).map(bind).collect())
        };
        farm.servers.iter().map(listen).collect::<Result<_>>().map(Self)
    }

    /// The server that has taken the connection of `client`, and its end there.
    fn accept(&self, service: usize, client: SocketAddr) -> Result<(usize, Option<TcpStream>)> {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            for (n, ears) in self.0.iter().enumerate() {
                let (end, from) = match &ears[service] {
                    Ear::Streams(listener) => match listener.accept() {
                        Ok((stream, from)) => (Some(stream), from),
                        Err(_) => continue,
                    },
                    Ear::Datagrams(socket) => match socket.recv_from(&mut [0; 16]) {
                        Ok((_, from)) => (None, from),
                        Err(_) => continue,
                    },
                };
                ensure!(from == client, "{from} came instead of {client}");
                return Ok((n, end));
            }
            thread::sleep(Duration::from_micros(200));
        }
        bail!("no server has taken the connection of {client}")
    }

    /// Opens a connection: the server that has taken it, and both ends; `None`: it was refused. A datagram is one too.
    fn open(
        &self,
        farm: &Farm,
        service: usize,
        (from, to): (SocketAddr, SocketAddr),
    ) -> Result<Option<(usize, Vec<TcpStream>)>> {
        let stream = if SERVICES[service].way == Way::Udp {
            farm.clients.inside(|| Ok(UdpSocket::bind(from)?.send_to(b"hello", to)?))?;
            None
        } else {
            match farm.clients.inside(|| connect_from(from, to)) {
                Ok(stream) => Some(stream),
                Err(error) if is_refusal(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        };
        let (server, end) = self.accept(service, from)?;
        Ok(Some((server, stream.into_iter().chain(end).collect())))
    }
}

/// Goes through all steps with all services. `list` tells what the director knows, `-Ln` and `-Lnc`.
fn run(farm: &Farm, list: impl Fn() -> Result<[String; 2]>) -> Result<Course> {
    let backends = Backends::start(farm)?;
    let mut outcomes: Vec<Outcome> = SERVICES.iter().map(|_| Outcome::default()).collect();
    let mut open: BTreeMap<(usize, usize), Vec<TcpStream>> = BTreeMap::new();
    for (at, step) in steps().into_iter().enumerate() {
        for (n, outcome) in outcomes.iter_mut().enumerate() {
            match step {
                Step::Open(who) => {
                    let from = SocketAddr::new(
                        client(who).parse()?,
                        20_000 + u16::try_from(at * SERVICES.len() + n)?,
                    );
                    let taken = backends.open(farm, n, (from, target(n, who)?))?;
                    outcome.chosen.push(taken.as_ref().map(|(server, _)| *server));
                    if let Some((_, ends)) = taken {
                        open.insert((n, outcome.chosen.len() - 1), ends);
                    }
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
    let [_, listed] = place(service);
    let servers = table.get(&listed).with_context(|| format!("{listed} is not listed"))?;
    let count = |k| {
        let load = servers.get(&place_of_server(service, k)).context("a server is not listed")?;
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
    let mark = format!("{{ port: lan, protocol: tcp, destination: {NETWORK_OF_SITES}, mark: {MARK} }}");
    let services = format!("{services}marks: [{mark}]\n");
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
        let (server, ends) =
            backends.open(farm, service, (from, target(service, who)?))?.context("it was refused")?;
        open.extend(ends);
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
    farm.linux(&format!("-A PREROUTING -i lan -p tcp -d {NETWORK_OF_SITES} -j MARK --set-mark {MARK}\n"))?;
    // IPVS sees what is for this host alone.
    farm.gateway.ip(&format!("rule add fwmark {MARK} table {MARK}"))?;
    farm.gateway.ip(&format!("route add local default dev lo table {MARK}"))?;
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
                chosen.push(model.open(address.to_bits(), who % SITES));
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
