//! Requests and answers between the hosts: over connections that last, over UDP, and over a connection each.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};
use weir_tests::netns::Namespace;

use crate::lab::{B4, B6, Lab, clients4, clients6};

const PORT: u16 = 7200;
/// Clients of each family: enough to fall to every node.
const CLIENTS: usize = 8;
/// From one request to the next.
const PACE: Duration = Duration::from_millis(25);
/// So long is an answer waited for over UDP.
const PATIENCE: Duration = Duration::from_millis(100);
/// So long is one waited for over TCP: longer than any outage.
const OUTAGE_MAX: Duration = Duration::from_secs(60);
/// So long is a new connection waited for.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// It asks over one connection.
    Connection,
    /// It sends datagrams.
    Datagrams,
    /// It opens a connection for each request.
    Connections,
}

impl Way {
    const ALL: [Self; 3] = [Self::Connection, Self::Datagrams, Self::Connections];
}

/// What came of a client's requests.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) way: Way,
    pub(crate) answered: usize,
    /// Datagrams without an answer in time, and connections that nobody accepted.
    pub(crate) unanswered: usize,
    /// The longest time between two answers.
    pub(crate) gap: Duration,
}

/// Answers at host B whatever is asked with the same.
pub(crate) fn serve(host: &Namespace) -> Result<()> {
    for address in ["0.0.0.0", "::"] {
        let address = SocketAddr::new(address.parse()?, PORT);
        let listener = host.inside(|| {
            let socket = socket(address, Type::STREAM)?;
            socket.listen(512)?;
            Ok(TcpListener::from(socket))
        })?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || echo(stream));
            }
        });
        let datagrams = host.inside(|| Ok(UdpSocket::from(socket(address, Type::DGRAM)?)))?;
        thread::spawn(move || {
            let mut word = [0; 8];
            while let Ok((length, from)) = datagrams.recv_from(&mut word) {
                // Whoever lost its way is asked again.
                let _ = datagrams.send_to(&word[..length], from);
            }
        });
    }
    Ok(())
}

fn echo(mut stream: TcpStream) {
    let mut word = [0; 8];
    while stream.read_exact(&mut word).is_ok() && stream.write_all(&word).is_ok() {}
}

/// All clients ask while `happens` happens. What came of each.
///
/// # Errors
/// Those of `happens`; and when a connection is reset, or carries other bytes than those that were sent.
pub(crate) fn talk_while(lab: &Lab, happens: impl FnOnce() -> Result<()>) -> Result<Vec<Talk>> {
    let over = AtomicBool::new(false);
    let clients4 = clients4().take(CLIENTS).map(|client| (client, B4));
    let clients = clients4.chain(clients6().take(CLIENTS).map(|client| (client, B6)));
    let ways = |i| if i % 4 == 0 { &Way::ALL[..] } else { &Way::ALL[..2] };
    let talks = thread::scope(|scope| {
        let mut talks = Vec::new();
        for (i, (client, server)) in clients.enumerate() {
            for way in ways(i) {
                let client = Client::new(&lab.a, *way, &client, server, &over);
                talks.push(scope.spawn(|| client?.talk()));
            }
        }
        let happened = happens();
        over.store(true, Ordering::Relaxed);
        let talks = talks.into_iter().map(|talk| talk.join().expect("a talk does not panic"));
        let talks = talks.collect::<Result<Vec<_>>>();
        happened.and(talks)
    })?;
    print(&talks);
    Ok(talks)
}

fn print(talks: &[Talk]) {
    for way in Way::ALL {
        let of = || talks.iter().filter(|talk| talk.way == way);
        println!(
            "{way:?}: {} clients, {} answers, {} without, longest gap {:?}",
            of().count(),
            of().map(|talk| talk.answered).sum::<usize>(),
            of().map(|talk| talk.unanswered).sum::<usize>(),
            of().map(|talk| talk.gap).max().unwrap_or_default()
        );
    }
}

/// One who asks.
struct Client<'a> {
    host: &'a Namespace,
    from: SocketAddr,
    to: SocketAddr,
    over: &'a AtomicBool,
    talk: Talk,
    number: u64,
    answered: Instant,
}

impl<'a> Client<'a> {
    fn new(host: &'a Namespace, way: Way, client: &str, server: &str, over: &'a AtomicBool) -> Result<Self> {
        let from = SocketAddr::new(client.parse::<IpAddr>()?, 0);
        let to = SocketAddr::new(server.parse()?, PORT);
        let talk = Talk { way, answered: 0, unanswered: 0, gap: Duration::ZERO };
        Ok(Self { host, from, to, over, talk, number: 0, answered: Instant::now() })
    }

    fn talk(mut self) -> Result<Talk> {
        let done = match self.talk.way {
            Way::Connection => self.over_a_connection(),
            Way::Datagrams => self.over_udp(),
            Way::Connections => self.over_a_connection_each(),
        };
        done.with_context(|| format!("{:?} of {}, word {}", self.talk.way, self.from, self.number))?;
        // A silence at the end is a gap, too.
        self.talk.gap = self.talk.gap.max(self.answered.elapsed());
        Ok(self.talk)
    }

    fn over_a_connection(&mut self) -> Result<()> {
        let mut stream = self.connect()?.context("nobody is there")?;
        while let Some(word) = self.next() {
            ask(&mut stream, word)?;
            self.heard();
        }
        Ok(())
    }

    fn over_a_connection_each(&mut self) -> Result<()> {
        while let Some(word) = self.next() {
            match self.connect()? {
                Some(mut stream) => {
                    ask(&mut stream, word)?;
                    self.heard();
                }
                None => self.talk.unanswered += 1,
            }
            thread::sleep(3 * PACE);
        }
        Ok(())
    }

    fn over_udp(&mut self) -> Result<()> {
        let socket = self.host.inside(|| Ok(UdpSocket::from(socket(self.from, Type::DGRAM)?)))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        while let Some(word) = self.next() {
            // While the router's address does not answer, the kernel says so at once.
            let sent = socket.send_to(&word, self.to).is_ok();
            let mut answer = [0; 8];
            // An answer that came late or twice is passed over.
            while sent && answer != word && socket.recv(&mut answer).is_ok() {}
            if answer == word { self.heard() } else { self.talk.unanswered += 1 }
        }
        Ok(())
    }

    /// The next word to ask, in its time; none when it is enough.
    fn next(&mut self) -> Option<[u8; 8]> {
        thread::sleep(PACE);
        self.number += 1;
        (!self.over.load(Ordering::Relaxed)).then(|| self.number.to_be_bytes())
    }

    fn heard(&mut self) {
        self.talk.answered += 1;
        self.talk.gap = self.talk.gap.max(self.answered.elapsed());
        self.answered = Instant::now();
    }

    /// A new connection, or nothing where nobody answers.
    fn connect(&self) -> Result<Option<TcpStream>> {
        let opened = self.host.inside(|| {
            let socket = socket(self.from, Type::STREAM)?;
            Ok(socket.connect_timeout(&self.to.into(), CONNECT_MAX).map(|()| TcpStream::from(socket)))
        })?;
        match opened {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(OUTAGE_MAX))?;
                Ok(Some(stream))
            }
            Err(error) if [ErrorKind::TimedOut, ErrorKind::HostUnreachable].contains(&error.kind()) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn ask(stream: &mut TcpStream, word: [u8; 8]) -> Result<()> {
    stream.write_all(&word)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    ensure!(answer == word, "another word came back");
    Ok(())
}

fn socket(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
