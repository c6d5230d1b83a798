//! The loads that nodes of pools report: datagrams are heard, and agents asked.
//!
//! Each report is one line ([`Report`](crate::health::Report)), in a datagram of its own or as the page of an agent.
//! [`Loads`] says which count. What comes faster than `BURST` datagrams each `LOOK` waits in the kernel's buffer, and
//! is lost where that is full. All tasks end with the [`Ear`].

use super::health::{Page, Trouble, Way, fetch};
use crate::health::{Failure, Load, LoadView, Loads, Refused, Reporter};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

/// Datagrams that are read at once.
const BURST: usize = 64;

/// Between two bursts.
const LOOK: Duration = Duration::from_millis(10);

/// Between two attempts to listen: the address may not be there yet.
const RETRY: Duration = Duration::from_secs(1);

/// Between two words in the log on the same reason why reports do not count.
const SILENCE_MS: u64 = 60_000;

/// The loads of all nodes that may report; news when one changes.
pub type Published = watch::Receiver<Arc<[Load]>>;

/// An agent that is asked for its node's report, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// For whom it reports, and where it is.
    pub reporter: Reporter,
    /// The network interface that it is asked by: the tap of the port that the node is behind.
    pub device: Arc<str>,
    /// Its port.
    pub port: u16,
    /// The path of its page.
    pub path: String,
    /// So often it is asked; it has as long to answer.
    pub interval: Duration,
}

/// Where reports come in. When it is dropped nobody listens any more.
#[derive(Debug)]
pub struct Ear {
    shared: Arc<Shared>,
    listeners: HashMap<SocketAddr, Task>,
    agents: Vec<(Agent, Task)>,
}

#[derive(Debug)]
struct Shared {
    loads: Mutex<Loads>,
    publish: watch::Sender<Arc<[Load]>>,
    start: Instant,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Default for Ear {
    fn default() -> Self {
        let (publish, _) = watch::channel(Arc::from([]));
        let shared = Shared { loads: Mutex::default(), publish, start: Instant::now() };
        Self { shared: Arc::new(shared), listeners: HashMap::new(), agents: Vec::new() }
    }
}

impl Ear {
    /// Hears these at these addresses, asks these agents, and no others; who stays is not disturbed. Call it inside a
    /// tokio runtime.
    pub fn set(&mut self, addresses: &[SocketAddr], reporters: Vec<Reporter>, agents: Vec<Agent>) {
        let all = reporters.into_iter().chain(agents.iter().map(|agent| agent.reporter.clone()));
        let mut unique: Vec<Reporter> = Vec::new();
        for reporter in all {
            if !unique.contains(&reporter) {
                unique.push(reporter);
            }
        }
        self.shared.loads().set(unique);
        self.shared.tell();
        self.listeners.retain(|address, _| addresses.contains(address));
        for address in addresses {
            let shared = &self.shared;
            self.listeners.entry(*address).or_insert_with(|| spawn(listen(*address, Arc::clone(shared))));
        }
        let mut known = core::mem::take(&mut self.agents);
        let agents = agents.into_iter().map(|agent| match known.iter().position(|(old, _)| *old == agent) {
            Some(place) => known.swap_remove(place),
            None => (agent.clone(), spawn(ask(agent, Arc::clone(&self.shared)))),
        });
        self.agents = agents.collect();
    }

    /// Where loads are told.
    pub fn published(&self) -> Published {
        self.shared.publish.subscribe()
    }

    /// What is known of all nodes.
    pub fn view(&self) -> Vec<LoadView> {
        self.shared.loads().view(self.shared.now_ms())
    }
}

impl Shared {
    fn loads(&self) -> MutexGuard<'_, Loads> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn tell(&self) {
        if let Some(news) = self.loads().news() {
            self.publish.send_replace(news.into());
        }
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(task).abort_handle())
}

/// Hears reports at `address`, and tries again until it can.
async fn listen(address: SocketAddr, shared: Arc<Shared>) {
    let mut last = None;
    loop {
        let Err(error) = hear(address, &shared).await;
        // The same each second is said once.
        if last.replace(error.kind()) != Some(error.kind()) {
            warn!(%address, "cannot hear reports of loads: {error}; is the address on a tap?");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear(address: SocketAddr, shared: &Shared) -> io::Result<std::convert::Infallible> {
    let socket = UdpSocket::bind(address).await?;
    info!(%address, "hears reports of loads");
    // One byte more than any report has, so that a longer one is seen to be longer.
    let mut datagram = [0; crate::health::REPORT_MAX + 1];
    let mut complaints = Complaints::default();
    loop {
        socket.readable().await?;
        for _ in 0..BURST {
            match socket.try_recv_from(&mut datagram) {
                Ok((len, from)) => {
                    let now_ms = shared.now_ms();
                    let taken = shared.loads().take(from.ip(), &datagram[..len], now_ms);
                    complaints.note(from, taken, now_ms);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        shared.tell();
        tokio::time::sleep(LOOK).await;
    }
}

/// Says why reports do not count: whoever sends them, and however the reasons take turns, each reason once in a while.
#[derive(Debug, Default)]
struct Complaints(Vec<(Refused, u64)>);

impl Complaints {
    fn note(&mut self, from: SocketAddr, taken: Result<(), Refused>, now_ms: u64) {
        if let Err(error) = taken
            && self.is_due(error, now_ms)
        {
            warn!(%from, "a report of a load does not count: {error}");
        }
    }

    fn is_due(&mut self, error: Refused, now_ms: u64) -> bool {
        self.0.retain(|(_, said_at_ms)| now_ms < said_at_ms + SILENCE_MS);
        let is_due = self.0.iter().all(|(said, _)| *said != error);
        if is_due {
            self.0.push((error, now_ms));
        }
        is_due
    }
}

/// Asks an agent, again and again.
async fn ask(agent: Agent, shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(agent.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Agent { reporter, device, port, path, interval } = &agent;
    let way = Way { device, address: reporter.address };
    let page = Page { tls: false, port: *port, path, host: None };
    let mut last = None;
    loop {
        ticks.tick().await;
        let late = |_| Err(Trouble::Bad(Failure::Timeout(*interval)));
        let fetched = tokio::time::timeout(*interval, fetch(way, page)).await.unwrap_or_else(late);
        let trouble = match fetched {
            Ok(line) => {
                let taken = shared.loads().take(reporter.address, &line, shared.now_ms());
                shared.tell();
                taken.err().map(|error| error.to_string())
            }
            Err(Trouble::Bad(failure)) => Some(failure.to_string()),
            Err(Trouble::Unable(why)) => Some(why),
        };
        if let Some(trouble) = trouble.as_ref().filter(|trouble| last.as_ref() != Some(*trouble)) {
            warn!(pool = %reporter.pool, node = %reporter.node, "its agent has no load to tell: {trouble}");
        }
        last = trouble;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn reporter(node: &str, address: IpAddr) -> Reporter {
        Reporter { pool: "front".into(), node: node.into(), address }
    }

    async fn free() -> SocketAddr {
        UdpSocket::bind((LOCAL, 0)).await.unwrap().local_addr().unwrap()
    }

    async fn told(published: &mut Published) -> Vec<(String, u32)> {
        tokio::time::timeout(Duration::from_secs(5), published.changed()).await.expect("in time").unwrap();
        published.borrow_and_update().iter().map(|load| (load.node.to_string(), load.load)).collect()
    }

    #[tokio::test]
    async fn datagrams_of_nodes_are_heard_and_strangers_are_not() {
        let address = free().await;
        let second = "127.0.0.2".parse().unwrap();
        let mut ear = Ear::default();
        let mut published = ear.published();
        ear.set(&[address], vec![reporter("a", LOCAL), reporter("b", second)], Vec::new());
        assert_eq!(told(&mut published).await, [("a".to_owned(), 0), ("b".to_owned(), 0)]);
        let (a, b) =
            (UdpSocket::bind((LOCAL, 0)).await.unwrap(), UdpSocket::bind((second, 0)).await.unwrap());
        let stranger = UdpSocket::bind("127.0.0.3:0").await.unwrap();
        // The listener's socket is there when the first report gets through.
        let first = async {
            while published.borrow().iter().all(|load| load.load == 0) {
                let _ = a.send_to(b"weir-load 1 front a 5\n", address).await;
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), first).await.expect("it is heard");
        assert_eq!(told(&mut published).await, [("a".to_owned(), 5), ("b".to_owned(), 0)]);
        stranger.send_to(b"weir-load 1 front a 99", address).await.unwrap();
        b.send_to(b"weir-load 1 front a 98", address).await.unwrap();
        b.send_to(&[b'x'; 2_000], address).await.unwrap();
        b.send_to(b"weir-load 1 front b 7", address).await.unwrap();
        assert_eq!(told(&mut published).await, [("a".to_owned(), 5), ("b".to_owned(), 7)]);
        let view = ear.view();
        assert!(view.iter().all(|node| !node.stale), "{view:?}");
        drop(ear);
        tokio::time::sleep(2 * LOOK).await;
        UdpSocket::bind(address).await.expect("nobody listens any more");
    }

    #[test]
    fn reasons_that_take_turns_are_said_once_in_a_while_each() {
        let mut complaints = Complaints::default();
        let mut said = |now_ms| {
            let turns = [Refused::Stranger, Refused::Other].into_iter().cycle().take(100);
            turns.filter(|error| complaints.is_due(*error, now_ms)).count()
        };
        assert_eq!([said(0), said(SILENCE_MS - 1), said(SILENCE_MS)], [2, 0, 2]);
    }

    #[tokio::test]
    async fn agents_are_asked_over_http() {
        let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for load in 11.. {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let len = client.read(&mut request).await.unwrap();
                assert!(request[..len].starts_with(b"GET /load HTTP/1.1\r\n"));
                let page = format!("weir-load 1 front a {load}\n");
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", page.len());
                client.write_all((head + &page).as_bytes()).await.unwrap();
            }
        });
        let mut ear = Ear::default();
        let mut published = ear.published();
        let agent = Agent {
            reporter: reporter("a", LOCAL),
            device: "lo".into(),
            port,
            path: "/load".to_owned(),
            interval: Duration::from_millis(200),
        };
        ear.set(&[], Vec::new(), vec![agent]);
        assert_eq!(told(&mut published).await, [("a".to_owned(), 0)]);
        assert_eq!(told(&mut published).await, [("a".to_owned(), 11)]);
        assert_eq!(told(&mut published).await, [("a".to_owned(), 12)]);
    }
}
