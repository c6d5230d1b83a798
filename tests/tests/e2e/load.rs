//! The load that nodes are changed under: long TCP transfers, UDP questions, and FTP, each watched by itself.
//!
//! Each byte of a transfer is compared with what it must be, and each UDP question is numbered: what is damaged,
//! missing or there twice does not go unnoticed. Nothing here asks again: what is lost stays lost, but for TCP.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_tests::netns::Namespace;
use weir_tests::process::wait_until;

use crate::lab::{B4, B6, Lab, clients4, clients6};
use crate::servers::{Servers, in_url};

const PORT: u16 = 7100;
/// What a transfer sends at once, in bytes, and how often.
const PIECE: usize = 1000;
const TRANSFER_PACE: Duration = Duration::from_millis(100);
/// Every so many clients have a UDP flow, and ask so often.
const UDP_STEP: usize = 4;
pub(crate) const UDP_PACE: Duration = Duration::from_millis(20);
/// The last answers have this long to come.
const UDP_LAST: Duration = Duration::from_millis(500);
/// After so long without a byte a transfer counts as ended: TCP has sent again four times by then.
pub(crate) const SILENCE: Duration = Duration::from_secs(7);

/// For how long flows are watched before and after what happens.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(2);
/// A flow is under way when it got so many bytes or answers.
const UNDER_WAY: usize = 10;

/// Running load, from addresses of host A to host B.
struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<std::io::Result<usize>>>,
    transfers: Vec<Watched<Transfer>>,
    askers: Vec<Watched<Asked>>,
    answerers: Vec<JoinHandle<usize>>,
    answerers_stop: Arc<AtomicBool>,
    ftp: Vec<Watched<Transfer>>,
}

/// One flow and how much it has got so far.
pub(crate) struct Watched<T> {
    pub(crate) so_far: Arc<AtomicUsize>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Watched<T> {
    pub(crate) fn start(watch: impl FnOnce(&AtomicUsize) -> T + Send + 'static) -> Self {
        let so_far = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&so_far);
        Self { so_far, thread: thread::spawn(move || watch(&shared)) }
    }

    pub(crate) fn end(self) -> T {
        self.thread.join().expect("a flow's thread does not panic")
    }
}

/// Runs the load while `happens` happens, and some time before and after.
pub(crate) fn under_load<T>(
    lab: &Lab,
    servers: &Servers,
    happens: impl FnOnce() -> Result<T>,
) -> Result<(Report, T)> {
    let load = Load::start(lab, servers)?;
    let happened = load.flows().and_then(|()| {
        thread::sleep(BEFORE);
        happens()
    });
    thread::sleep(AFTER);
    let report = load.finish();
    Ok((report, happened?))
}

/// How a transfer ended, as its receiver saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything came, and nothing else.
    Whole,
    /// Something else came, or less.
    Damaged,
    /// The connection was reset, or could not be used.
    Broken(String),
    /// Nothing came any more.
    Silent,
}

/// One transfer.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    /// How it ended.
    pub(crate) end: End,
    /// The longest time from one byte to the next.
    pub(crate) gap: Duration,
    bytes: usize,
}

/// One UDP flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Questions.
    pub(crate) asked: usize,
    /// Those without an answer.
    pub(crate) unanswered: usize,
    /// Answers beyond the first.
    pub(crate) doubled: usize,
    /// The longest time from one answer to the next.
    pub(crate) gap: Duration,
    /// Whether the last question was answered.
    pub(crate) alive: bool,
}

/// What became of the load.
#[derive(Debug)]
pub(crate) struct Report {
    /// TCP transfers, as many downloads as uploads.
    pub(crate) tcp: Vec<Transfer>,
    /// UDP flows.
    pub(crate) udp: Vec<Asked>,
    /// FTP downloads.
    pub(crate) ftp: Vec<Transfer>,
    /// UDP questions that reached the server more than once.
    pub(crate) questions_doubled: usize,
}

impl Load {
    /// One transfer for each client, one UDP flow for every fourth, and four FTP downloads of `novel`.
    fn start(lab: &Lab, servers: &Servers) -> Result<Self> {
        let (stop, answerers_stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let clients = clients()?;
        let (mut senders, mut transfers) = (Vec::new(), Vec::new());
        for (number, (near, far)) in connect(lab, &clients)?.into_iter().enumerate() {
            let (from, to) = if number % 2 == 0 { (near, far) } else { (far, near) };
            let stop = Arc::clone(&stop);
            senders.push(thread::spawn(move || send(from, number, &stop)));
            transfers.push(Watched::start(move |so_far| receive(to, number, so_far)));
        }
        let answerers = [B4, B6].into_iter().map(|server| {
            let (socket, stop) = (udp(&lab.b, server.parse()?, PORT)?, Arc::clone(&answerers_stop));
            Ok(thread::spawn(move || answer(&socket, &stop)))
        });
        let answerers = answerers.collect::<Result<_>>()?;
        let askers = clients.iter().step_by(UDP_STEP).map(|(client, server)| {
            let (socket, stop) = (udp(&lab.a, *client, 0)?, Arc::clone(&stop));
            socket.connect(SocketAddr::new(*server, PORT))?;
            Ok(Watched::start(move |so_far| ask(&socket, &stop, so_far)))
        });
        let askers = askers.collect::<Result<_>>()?;
        let ftp = ftp(&lab.a, servers)?;
        Ok(Self { stop, senders, transfers, askers, answerers, answerers_stop, ftp })
    }

    /// Waits until each flow has got something.
    fn flows(&self) -> Result<()> {
        wait_until("traffic of each flow", Duration::from_secs(10), || {
            let transfers = self.transfers.iter().chain(&self.ftp).map(|flow| &flow.so_far);
            let mut all = transfers.chain(self.askers.iter().map(|flow| &flow.so_far));
            Ok(all.all(|so_far| so_far.load(Ordering::Relaxed) >= UNDER_WAY))
        })
    }

    /// Lets the transfers come to their ends.
    fn finish(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let sent: Vec<_> = self.senders.into_iter().map(|sender| sender.join().expect("no panic")).collect();
        let mut tcp: Vec<Transfer> = self.transfers.into_iter().map(Watched::end).collect();
        for (transfer, sent) in tcp.iter_mut().zip(sent) {
            match sent {
                Ok(sent) if transfer.end == End::Whole && sent != transfer.bytes => {
                    transfer.end = End::Damaged
                }
                Err(error) if transfer.end == End::Whole => transfer.end = End::Broken(error.to_string()),
                _ => {}
            }
        }
        let udp = self.askers.into_iter().map(Watched::end).collect();
        let ftp = self.ftp.into_iter().map(Watched::end).collect();
        self.answerers_stop.store(true, Ordering::Relaxed);
        let doubled = self.answerers.into_iter().map(|answerer| answerer.join().expect("no panic"));
        Report { tcp, udp, ftp, questions_doubled: doubled.sum() }
    }
}

impl Report {
    /// Transfers of both kinds that did not end well.
    pub(crate) fn broken(&self) -> Vec<&End> {
        self.tcp
            .iter()
            .chain(&self.ftp)
            .map(|transfer| &transfer.end)
            .filter(|end| **end != End::Whole)
            .collect()
    }

    /// All flows ended well, and no UDP question or answer came twice.
    pub(crate) fn assert_unbroken(&self) {
        assert_eq!(self.broken(), Vec::<&End>::new());
        assert!(self.udp.iter().all(|flow| flow.alive), "UDP flows died: {:?}", self.udp);
        let doubled: usize = self.udp.iter().map(|flow| flow.doubled).sum();
        assert_eq!((self.questions_doubled, doubled), (0, 0), "UDP questions and answers came twice");
    }

    /// UDP questions without an answer, of all flows.
    pub(crate) fn unanswered(&self) -> usize {
        self.udp.iter().map(|flow| flow.unanswered).sum()
    }
}

/// All clients, each with the server of its family.
fn clients() -> Result<Vec<(IpAddr, IpAddr)>> {
    let of = |server: &'static str| move |client: String| Ok((client.parse()?, server.parse()?));
    clients4().map(of(B4)).chain(clients6().map(of(B6))).collect()
}

/// A connection for each client: its end and the server's.
fn connect(lab: &Lab, clients: &[(IpAddr, IpAddr)]) -> Result<Vec<(TcpStream, TcpStream)>> {
    let listen = |server: &str| {
        let address = SocketAddr::new(server.parse()?, PORT);
        lab.b.inside(|| Ok(TcpListener::bind(address)?))
    };
    let (listener4, listener6) = (listen(B4)?, listen(B6)?);
    lab.a.inside(|| {
        let connect = |(client, server): &(IpAddr, IpAddr)| {
            let socket = socket2::Socket::new(domain(*client), socket2::Type::STREAM, None)?;
            socket.bind(&SocketAddr::new(*client, 0).into())?;
            let place = SocketAddr::new(*server, PORT).into();
            socket
                .connect_timeout(&place, Duration::from_secs(5))
                .with_context(|| format!("from {client}"))?;
            let listener = if client.is_ipv4() { &listener4 } else { &listener6 };
            Ok((socket.into(), listener.accept()?.0))
        };
        clients.iter().map(connect).collect()
    })
}

const fn domain(address: IpAddr) -> socket2::Domain {
    if address.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 }
}

/// The byte of a transfer at a place.
const fn byte(number: usize, at: usize) -> u8 {
    (number ^ at ^ (at / 251)) as u8
}

/// Sends little by little; how many bytes in all.
pub(crate) fn send(mut stream: TcpStream, number: usize, stop: &AtomicBool) -> std::io::Result<usize> {
    stream.set_write_timeout(Some(SILENCE))?;
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let piece: Vec<u8> = (sent..sent + PIECE).map(|at| byte(number, at)).collect();
        stream.write_all(&piece)?;
        sent += PIECE;
        thread::sleep(TRANSFER_PACE);
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(sent)
}

/// Receives to the end what [`send`] sends, and compares.
pub(crate) fn receive(stream: TcpStream, number: usize, so_far: &AtomicUsize) -> Transfer {
    if let Err(error) = stream.set_read_timeout(Some(SILENCE)) {
        return Transfer { end: End::Broken(error.to_string()), gap: Duration::ZERO, bytes: 0 };
    }
    watch(stream, |at| byte(number, at), so_far)
}

/// Reads to the end and compares.
fn watch(mut from: impl Read, expected: impl Fn(usize) -> u8, so_far: &AtomicUsize) -> Transfer {
    let (mut bytes, mut gap, mut last) = (0, Duration::ZERO, None::<Instant>);
    let mut buffer = [0; 16_384];
    let end = loop {
        match from.read(&mut buffer) {
            Ok(0) => break End::Whole,
            Ok(count) => {
                gap = gap.max(last.map_or(Duration::ZERO, |last| last.elapsed()));
                last = Some(Instant::now());
                if !buffer[..count].iter().zip(bytes..).all(|(got, at)| *got == expected(at)) {
                    break End::Damaged;
                }
                bytes += count;
                so_far.store(bytes, Ordering::Relaxed);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break End::Silent,
            Err(error) => break End::Broken(error.to_string()),
        }
    };
    Transfer { end, gap, bytes }
}

fn udp(host: &Namespace, address: IpAddr, port: u16) -> Result<UdpSocket> {
    host.inside(|| Ok(UdpSocket::bind(SocketAddr::new(address, port))?))
}

/// Answers each question with itself, as often as it comes; how many came again.
fn answer(socket: &UdpSocket, stop: &AtomicBool) -> usize {
    socket.set_read_timeout(Some(UDP_PACE)).expect("a timeout can be set");
    let (mut heard, mut doubled) = (HashMap::new(), 0);
    let mut question = [0; 8];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((8, client)) = socket.recv_from(&mut question) {
            doubled += usize::from(heard.insert((client, question), ()).is_some());
            // Without a way to the client the question stays unanswered.
            let _ = socket.send_to(&question, client);
        }
    }
    doubled
}

/// Asks at an even pace, whatever comes back.
fn ask(socket: &UdpSocket, stop: &AtomicBool, so_far: &AtomicUsize) -> Asked {
    let (mut answers, mut gap, mut last) = (Vec::<usize>::new(), Duration::ZERO, Instant::now());
    let mut hear = |until: Instant, answers: &mut Vec<usize>| {
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left)).expect("a timeout can be set");
            let mut answer = [0; 8];
            // An ICMP error is no answer either.
            if let Ok(8) = socket.recv(&mut answer) {
                answers[u64::from_be_bytes(answer) as usize] += 1;
                gap = gap.max(last.elapsed());
                last = Instant::now();
                so_far.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        // What an earlier question met is reported here; this one counts all the same.
        let _ = socket.send(&(answers.len() as u64).to_be_bytes());
        answers.push(0);
        due += UDP_PACE;
        hear(due, &mut answers);
    }
    hear(due + UDP_LAST, &mut answers);
    Asked {
        asked: answers.len(),
        unanswered: answers.iter().filter(|times| **times == 0).count(),
        doubled: answers.iter().map(|times| times.saturating_sub(1)).sum(),
        gap,
        alive: answers.last().is_some_and(|times| *times > 0),
    }
}

/// Downloads from two clients of each family; of each the client opens one and the server the other.
fn ftp(a: &Namespace, servers: &Servers) -> Result<Vec<Watched<Transfer>>> {
    let novel = Arc::new(servers.file("novel")?);
    let clients = clients4().take(2).map(|c| (c, B4)).chain(clients6().take(2).map(|c| (c, B6)));
    let start = |(number, (client, server)): (usize, (String, &str))| {
        let mut command = a.command("curl");
        command.args([
            "--silent",
            "--show-error",
            "--fail",
            "--globoff",
            "--no-buffer",
            "--speed-limit",
            "1",
        ]);
        command.args(["--speed-time", &SILENCE.as_secs().to_string(), "--interface", &client]);
        // A node that learns does not hear of a control connection that is silent meanwhile.
        command.args(["--keepalive-time", "1"]);
        command.args(if number % 2 == 0 { &["--ftp-pasv"][..] } else { &["--ftp-port", "-"] });
        command.arg(format!("ftp://{}/novel", in_url(server)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pages = child.stdout.take().context("no standard output")?;
        let novel = Arc::clone(&novel);
        Ok(Watched::start(move |so_far| {
            let mut transfer = watch(pages, |at| novel.get(at).copied().unwrap_or_default(), so_far);
            let ended = child.wait_with_output();
            if transfer.end == End::Whole {
                transfer.end = match ended {
                    Ok(output) if output.status.success() && transfer.bytes == novel.len() => End::Whole,
                    Ok(output) if output.status.success() => End::Damaged,
                    // "Operation timed out": there was nothing for too long.
                    Ok(output) if output.status.code() == Some(28) => End::Silent,
                    Ok(output) => End::Broken(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                    Err(error) => End::Broken(error.to_string()),
                };
            }
            transfer
        }))
    };
    let ftp = clients.enumerate().map(start).collect::<Result<Vec<_>>>()?;
    ensure!(ftp.len() == 4, "too few clients");
    Ok(ftp)
}
