//! Changes under load: servers that come and go ten times a second, a service that is deleted, a server that gets
//! another name, a pool without nodes. Whoever is served by another server notices nothing.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_tests::netns::Namespace;
use weir_tests::process::wait_until;

use crate::backends::Web;
use crate::cluster::agreed;
use crate::farm::{self, Answers, Farm, SHARED, client};
use crate::load::{End, Transfer, Watched, receive, send};
use crate::node::Weir;
use crate::ready;
use crate::visiting::{Visit, connect, crowd};

const SERVERS: usize = 3;
/// Where transfers go.
const PORT: u16 = 7100;
/// Clients with a long transfer, and those who visit again and again.
const TRANSFERS: usize = 48;
const VISITORS: usize = 12;
const SOON: Duration = Duration::from_secs(5);
/// How often a server comes or goes.
const FLAP: Duration = Duration::from_millis(50);

/// The three servers, as the configuration calls them.
const NAMES: [&str; SERVERS] = ["a", "b", "c"];

fn service(names: [&str; SERVERS]) -> String {
    let server =
        |(n, name)| format!("\x20     - {{ name: {name}, address: {}, weight: 1 }}\n", farm::server(n));
    format!(
        "marks: [{{ port: lan, protocol: tcp, destination: {SHARED}/32, mark: 1 }}]\n\
         services:\n\
         \x20 - name: web\n\
         \x20   mark: 1\n\
         \x20   scheduler: wlc\n\
         \x20   fallback: reject\n\
         \x20   servers:\n{}",
        names.into_iter().enumerate().map(server).collect::<String>()
    )
}

fn pool(nodes: &[&str]) -> String {
    let node = |(n, name): (usize, &&str)| format!("{{ name: {name}, address: {} }}", farm::server(n));
    let nodes: Vec<_> = nodes.iter().enumerate().map(node).collect();
    format!(
        "pools:\n\
         \x20 - name: front\n\
         \x20   nodes: [{}]\n\
         \x20   fallback: reject\n\
         \x20   rules: [{{ destination: {SHARED}/32, protocol: tcp }}]\n",
        nodes.join(", ")
    )
}

/// Long transfers between clients and servers, in both directions.
struct Transfers {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<std::io::Result<usize>>>,
    /// With the server of each.
    receivers: Vec<(usize, Watched<Transfer>)>,
}

impl Transfers {
    /// Starts one of each client, and waits until all have begun.
    fn start(farm: &Farm) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for (number, (server, near, far)) in open(farm)?.into_iter().enumerate() {
            let (from, to) = if number % 2 == 0 { (near, far) } else { (far, near) };
            let stop = Arc::clone(&stop);
            senders.push(thread::spawn(move || send(from, number, &stop)));
            receivers.push((server, Watched::start(move |so_far| receive(to, number, so_far))));
        }
        let transfers = Self { stop, senders, receivers };
        wait_until("bytes of each transfer", SOON, || {
            Ok(transfers.receivers.iter().all(|(_, flow)| flow.so_far.load(Ordering::Relaxed) > 0))
        })?;
        Ok(transfers)
    }

    /// Lets all come to their ends: which of them did not come whole, and their servers.
    fn finish(self) -> Result<Vec<(usize, End)>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut broken = Vec::new();
        for (sender, (server, receiver)) in self.senders.into_iter().zip(self.receivers) {
            let sent = sender.join().expect("a sender does not panic");
            match (receiver.end().end, sent) {
                (End::Whole, Ok(_)) => {}
                (End::Whole, Err(error)) => broken.push((server, End::Broken(error.to_string()))),
                (end, _) => broken.push((server, end)),
            }
        }
        Ok(broken)
    }

    fn servers(&self) -> BTreeSet<usize> {
        self.receivers.iter().map(|(server, _)| *server).collect()
    }
}

/// A connection of each client: the number of its server, and both ends.
fn open(farm: &Farm) -> Result<Vec<(usize, TcpStream, TcpStream)>> {
    let place: SocketAddr = SocketAddr::new(SHARED.parse()?, PORT);
    let listen = |host: &Namespace| {
        let listener = host.inside(|| Ok(TcpListener::bind(place)?))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let listeners = farm.servers.iter().map(listen).collect::<Result<Vec<_>>>()?;
    let open_as = |n: usize| {
        let near = connect(client(n).parse()?, place)?;
        let (server, far) = accept(&listeners).with_context(|| client(n))?;
        far.set_nonblocking(false)?;
        Ok((server, near, far))
    };
    farm.clients.inside(|| (0..TRANSFERS).map(open_as).collect())
}

/// The next connection to any of the servers.
fn accept(listeners: &[TcpListener]) -> Result<(usize, TcpStream)> {
    let mut accepted = None;
    wait_until("a connection", SOON, || {
        for (n, listener) in listeners.iter().enumerate() {
            match listener.accept() {
                Ok((stream, _)) => accepted = Some((n, stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(accepted.is_some())
    })?;
    accepted.context("no connection")
}

/// A web server on each server.
fn web(farm: &Farm) -> Result<Vec<Web>> {
    let start = |(n, host)| Web::start(host, NAMES[n], Duration::ZERO);
    farm.servers.iter().enumerate().map(start).collect()
}

/// A farm under load, with a gateway of ours.
struct Busy<'a> {
    weir: Weir<'a>,
    farm: &'a Farm,
    transfers: Transfers,
    _web: Vec<Web>,
}

impl<'a> Busy<'a> {
    fn new(farm: &'a Farm, services: &str) -> Result<Self> {
        let web = web(farm)?;
        let weir = farm.weir(services)?;
        let transfers = Transfers::start(farm).with_context(|| weir.log())?;
        ensure!(transfers.servers().len() == SERVERS, "all servers carry something");
        Ok(Self { weir, farm, transfers, _web: web })
    }

    /// What visitors meet while `happens` happens.
    fn visited<T>(&self, happens: impl FnOnce() -> Result<T>) -> Result<Vec<Visit>> {
        let visitors: Vec<_> = (TRANSFERS..TRANSFERS + VISITORS).map(client).collect();
        let (visits, happened) = crowd(&self.farm.clients, &visitors, &[SHARED], happens)?;
        happened?;
        ensure!(!visits.is_empty(), "nobody has come");
        Ok(visits)
    }

    /// Puts other services in force.
    fn change(&self, services: &str) -> Result<()> {
        std::fs::write(self.weir.config(), farm::configuration(&self.weir.socket(), services))?;
        self.weir.reload()
    }

    /// The third server was seen dead, and alive after that.
    fn has_flapped(&self) -> Result<()> {
        let answer = self.weir.ask(&["service", "show", "web"])?;
        let history = &answer["services"][0]["servers"][2]["health"]["history"];
        let alive: Vec<_> = history.as_array().context("no history")?.iter().map(|at| &at["alive"]).collect();
        ensure!(alive.windows(2).any(|two| two[0] == false && two[1] == true), "{answer}");
        Ok(())
    }

    /// Ends everything: no transfer has broken, and the gateway has ended as it should.
    fn finish(self) -> Result<()> {
        let broken = self.transfers.finish()?;
        ensure!(broken.is_empty(), "transfers and their servers: {broken:?}");
        let (status, log) = self.weir.stop()?;
        ensure!(status.success() && !log.contains("panicked"), "{log}");
        Ok(())
    }
}

/// Packets whose senders were told that there is no way.
fn unreachable(weir: &Weir<'_>) -> Result<u64> {
    weir.counts()?.punts.get("unreachable").copied().context("no count")
}

/// Connections that the pool has refused.
fn refused_by_pool(weir: &Weir<'_>) -> Result<u64> {
    weir.ask(&["pool", "show", "front"])?["pools"][0]["unserved"]["refused"].as_u64().context("no count")
}

/// Packets of a host that were answered with "destination unreachable".
fn icmp_errors(host: &Namespace) -> Result<u64> {
    let counts = host.run("cat /proc/net/snmp")?;
    let mut lines = counts.lines().filter_map(|line| line.strip_prefix("Icmp: "));
    let (names, values) = (lines.next().context("no names")?, lines.next().context("no counts")?);
    let mut named = names.split(' ').zip(values.split(' '));
    let (_, count) = named.find(|(name, _)| *name == "InDestUnreachs").context("no such count")?;
    Ok(count.parse()?)
}

/// All visits were answered, by these servers alone.
fn served(visits: &[Visit], by: &[&str]) -> Result<()> {
    for visit in visits {
        let page = visit.page.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        ensure!(by.contains(&page.server()), "{page:?}");
    }
    Ok(())
}

/// No visit was answered, and each visitor was told so at once.
fn refused(visits: &[Visit]) -> Result<()> {
    for visit in visits {
        let Err(error) = &visit.page else { anyhow::bail!("{visit:?} was answered") };
        let kind = error.root_cause().downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        ensure!(kind.is_some_and(is_refusal), "{error:#}");
    }
    Ok(())
}

/// A RST, or an ICMP error: not silence. Now and then the client's kernel hangs up and has lost the reason.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::ConnectionAborted
    )
}

/// Does it again and again for some seconds, at the pace of [`FLAP`].
fn flapping(mut turn: impl FnMut(usize) -> Result<()>) -> Result<()> {
    let start = Instant::now();
    for n in 0.. {
        let due = FLAP * u32::try_from(n)?;
        if due > Duration::from_secs(5) {
            break;
        }
        thread::sleep(due.saturating_sub(start.elapsed()));
        turn(n)?;
    }
    Ok(())
}

/// A port of a server that listens half of the time.
struct Flapper<'a> {
    host: &'a Namespace,
    place: SocketAddr,
    listener: Option<TcpListener>,
}

impl<'a> Flapper<'a> {
    fn new(host: &'a Namespace, place: SocketAddr) -> Self {
        Self { host, place, listener: None }
    }

    fn turn(&mut self) -> Result<()> {
        self.listener = match self.listener.take() {
            Some(_) => None,
            None => Some(self.host.inside(|| self.listen())?),
        };
        Ok(())
    }

    /// With room for all checks of the test: nobody takes them in.
    fn listen(&self) -> Result<TcpListener> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&self.place.into())?;
        socket.listen(4096)?;
        Ok(socket.into())
    }
}

/// Where servers are asked whether they live.
const CHECKED: u16 = 7300;

#[test]
fn a_server_that_dies_and_lives_ten_times_a_second_disturbs_nobody() {
    if !ready() {
        return;
    }
    let farm = Farm::new(SERVERS, Answers::Past).unwrap();
    // A busy machine may look dead to such checks: hence the threshold.
    let health = format!(
        "\x20   health: {{ check: tcp, port: {CHECKED}, interval_s: 0.02, timeout_s: 0.02, rise: 1, fall: 1, \
         panic_threshold_percent: 50 }}\n"
    );
    let places: Vec<SocketAddr> =
        (0..SERVERS).map(|n| SocketAddr::new(farm::server(n).parse().unwrap(), CHECKED)).collect();
    let flappers = farm.servers.iter().zip(places).map(|(host, place)| Flapper::new(host, place));
    let mut flappers: Vec<_> = flappers.collect();
    flappers.iter_mut().for_each(|listener| listener.turn().unwrap());
    let busy = Busy::new(&farm, &(service(NAMES) + &health)).unwrap();
    let visits = busy.visited(|| flapping(|_| flappers[2].turn())).unwrap();
    served(&visits, &NAMES).unwrap();
    busy.has_flapped().unwrap();
    busy.finish().unwrap();
}

#[test]
fn a_node_that_an_operator_drains_ten_times_a_second_disturbs_nobody() {
    if !ready() {
        return;
    }
    let farm = Farm::new(SERVERS, Answers::Through).unwrap();
    let busy = Busy::new(&farm, &pool(&NAMES)).unwrap();
    let turn = |n: usize| {
        busy.weir.print(&["pool", if n.is_multiple_of(2) { "drain" } else { "undrain" }, "front", "c"])?;
        Ok(())
    };
    let visits = busy.visited(|| flapping(turn)).unwrap();
    served(&visits, &NAMES).unwrap();
    busy.finish().unwrap();
}

#[test]
fn one_of_two_gateways_dies_and_no_transfer_changes_its_server() {
    if !ready() {
        return;
    }
    let farm = Farm::of_two(SERVERS, Answers::Through).unwrap();
    let [dead, heir] = farm.cluster(&service(NAMES).replace("wlc", "rr")).unwrap();
    let transfers = Transfers::start(&farm).unwrap();
    let carried = [&dead, &heir].map(|gateway| active(gateway).unwrap());
    assert_eq!(carried.iter().sum::<u64>(), TRANSFERS as u64);
    assert!(carried.iter().all(|count| *count > 0), "{carried:?}");
    dead.kill().unwrap();
    agreed(&heir, &["gw2"]).unwrap();
    let all = || Ok(active(&heir)? == TRANSFERS as u64);
    wait_until("the heir to carry all of them", SOON, all).with_context(|| heir.log()).unwrap();
    let broken = transfers.finish().unwrap();
    assert!(broken.is_empty(), "transfers and their servers: {broken:?}{}", heir.log());
}

/// Open connections of the service.
fn active(weir: &Weir<'_>) -> Result<u64> {
    weir.ask(&["service", "show", "web"])?["services"][0]["counts"]["active"].as_u64().context("no count")
}

#[test]
fn a_service_is_deleted_while_in_use_and_comes_back() {
    if !ready() {
        return;
    }
    let farm = Farm::new(SERVERS, Answers::Past).unwrap();
    goes_and_comes_back(&farm, &service(NAMES), "", unreachable);
}

#[test]
fn a_server_gets_another_name_while_in_use() {
    if !ready() {
        return;
    }
    let farm = Farm::new(SERVERS, Answers::Past).unwrap();
    let busy = Busy::new(&farm, &service(NAMES)).unwrap();
    let rename = || {
        busy.change(&service(["a", "b", "renamed"]))?;
        some_time()
    };
    let visits = busy.visited(rename).unwrap();
    served(&visits, &NAMES).unwrap();
    busy.finish().unwrap();
}

#[test]
fn a_pool_loses_all_its_nodes_and_gets_them_back() {
    if !ready() {
        return;
    }
    let farm = Farm::new(SERVERS, Answers::Through).unwrap();
    goes_and_comes_back(&farm, &pool(&NAMES), &pool(&[]), refused_by_pool);
    assert_eq!(icmp_errors(&farm.clients).unwrap(), 0, "a connection is refused with a RST");
}

/// Whoever comes in between is refused, and is among those that `count` counts.
fn goes_and_comes_back(
    farm: &Farm,
    services: &str,
    in_between: &str,
    count: impl Fn(&Weir<'_>) -> Result<u64>,
) {
    let busy = Busy::new(farm, services).unwrap();
    busy.change(in_between).unwrap();
    let before = count(&busy.weir).unwrap();
    let visits = busy.visited(some_time).unwrap();
    refused(&visits).unwrap();
    assert!(count(&busy.weir).unwrap() >= before + visits.len() as u64, "each is counted");
    busy.change(services).unwrap();
    served(&busy.visited(some_time).unwrap(), &NAMES).unwrap();
    busy.finish().unwrap();
}

#[allow(clippy::unnecessary_wraps, reason = "it is something that happens, like all others")]
fn some_time() -> Result<()> {
    thread::sleep(Duration::from_secs(2));
    Ok(())
}

#[test]
fn linux_carries_the_same_load_and_breaks_nothing() {
    if !ready() {
        return;
    }
    let farm = Farm::new(SERVERS, Answers::Past).unwrap();
    farm.linux(&farm.by_turns()).unwrap();
    let _web = web(&farm).unwrap();
    let transfers = Transfers::start(&farm).unwrap();
    let visitors: Vec<_> = (0..VISITORS).map(client).collect();
    let (visits, _) = crowd(&farm.clients, &visitors, &[SHARED], some_time).unwrap();
    served(&visits, &NAMES).unwrap();
    assert_eq!(transfers.finish().unwrap(), []);
    println!("{} visits", visits.len());
}
