//! Visitors of web servers: one page a connection, from any of the clients' addresses.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_tests::netns::Namespace;

/// TCP asks for a connection again after a second: with this it does so twice.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a web server answered.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    head: String,
    body: String,
}

impl Page {
    /// Who made the page.
    pub(crate) fn server(&self) -> &str {
        self.body.split_whitespace().next().unwrap_or_default()
    }

    /// Whether it is this page.
    pub(crate) fn says(&self, line: &str) -> bool {
        self.body.lines().next() == Some(line)
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.body.len()
    }

    /// The cache that answered in its place, and whether it had the page; `None`: no cache.
    pub(crate) fn cache(&self) -> Option<(&str, bool)> {
        let line = self.head.lines().find_map(|line| line.strip_prefix("X-Cache: "))?;
        let (found, name) = line.split_once(" from ")?;
        Some((name, found == "HIT"))
    }
}

/// One visit of a crowd.
#[derive(Debug)]
pub(crate) struct Visit {
    /// When it began.
    pub(crate) at: Instant,
    /// What came of it.
    pub(crate) page: Result<Page>,
}

/// Fetches a page of the web server at `server` for `client`, an address of `host`.
pub(crate) fn visit(host: &Namespace, client: &str, server: &str, path: &str) -> Result<Page> {
    host.inside(|| fetch(client.parse()?, server.parse()?, path))
}

/// Visits by all `clients` at once, each of its own of `servers` by turns, again and again while `happens` happens.
pub(crate) fn crowd<T>(
    host: &Namespace,
    clients: &[String],
    servers: &[impl AsRef<str>],
    happens: impl FnOnce() -> T,
) -> Result<(Vec<Visit>, T)> {
    let stop = AtomicBool::new(false);
    let visit_on = |client: &str, server: &str| {
        let (client, server, mut visits) = (client.parse()?, server.parse()?, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let at = Instant::now();
            visits.push(Visit { at, page: fetch(client, server, "/page") });
            thread::sleep(Duration::from_millis(5));
        }
        Ok(visits)
    };
    thread::scope(|scope| {
        let visit_on = &visit_on;
        let pairs = clients.iter().zip(servers.iter().map(AsRef::as_ref).cycle());
        let visitors: Vec<_> = pairs
            .map(|(client, server)| scope.spawn(move || host.inside(|| visit_on(client, server))))
            .collect();
        let stopper = Stopper(&stop);
        let happened = happens();
        drop(stopper);
        let visits = visitors.into_iter().map(|visitor| visitor.join().expect("a visitor does not panic"));
        Ok((visits.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect(), happened))
    })
}

/// Sends the crowd home, whatever has happened.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection from an address of the namespace that the calling thread is in.
pub(crate) fn connect(client: IpAddr, server: SocketAddr) -> Result<TcpStream> {
    connect_from(SocketAddr::new(client, 0), server)
}

/// The same from a port of the address.
pub(crate) fn connect_from(client: SocketAddr, server: SocketAddr) -> Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(server), socket2::Type::STREAM, None)?;
    socket.bind(&client.into())?;
    // A call that polls instead may find a refusal without its reason.
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(&server.into()).with_context(|| format!("from {client} to {server}"))?;
    socket.set_write_timeout(None)?;
    Ok(socket.into())
}

fn fetch(client: IpAddr, server: IpAddr, path: &str) -> Result<Page> {
    let mut stream = connect(client, SocketAddr::new(server, 80))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said).with_context(|| format!("{client} reads {path} of {server}"))?;
    let (head, body) = said.split_once("\r\n\r\n").with_context(|| format!("no page: {said:?}"))?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{client} asked {server} for {path}: {said}");
    Ok(Page { head: head.to_owned(), body: body.to_owned() })
}
