//! A service of several protocols at the address that servers share: FTP and its data connections, datagrams in
//! fragments, and errors of both sides.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use weir_tests::netns::Namespace;
use weir_tests::process::wait_until;

use crate::backends::{Ftp, Web};
use crate::clients::{Opener, curl};
use crate::farm::{Answers, Farm, SHARED, client};
use crate::ready;
use crate::routing::Behind;
use crate::servers::content;
use crate::visiting::visit;

const SERVERS: usize = 3;
/// Where servers take datagrams.
const PORT: u16 = 7200;
/// Clients of each protocol.
const CLIENTS: usize = 30;
/// The length of a datagram that takes three fragments.
const LONG: usize = 4000;
/// Of all networks, and of the headers in front of a datagram.
const MTU: usize = 1500;
const IP: usize = 20;
const UDP: usize = 8;
const IPIP: i32 = 4;
const SOON: Duration = Duration::from_secs(3);

/// One service for all that goes to the shared address; who has been to a server comes to it again.
const BY_MARK: &str = "\
marks: [{ port: lan, destination: 192.0.2.80/32, mark: 1 }]
services:
  - name: all
    mark: 1
    scheduler: rr
    persistence: { timeout_s: 60, ipv4_prefix_len: 32 }
    servers:
      - { name: a, address: 10.82.0.1 }
      - { name: b, address: 10.82.0.2 }
      - { name: c, address: 10.82.0.3 }
";

/// FTP's port alone: its data connections go where its control connection went, since a helper reads along. And
/// datagrams that travel to their server in packets.
const BY_HELPER: &str = "\
services:
  - name: tunnel
    protocol: udp
    address: 192.0.2.80
    port: 7200
    servers: [{ name: a, address: 10.82.0.1, method: ipip }]
  - name: ftp
    protocol: tcp
    address: 192.0.2.80
    port: 21
    scheduler: sh
    servers: [{ name: a, address: 10.82.0.1 }, { name: b, address: 10.82.0.2 }, { name: c, address: 10.82.0.3 }]
";

/// All ports of the address.
const BY_ADDRESS: &str = "\
services:
  - name: ftp
    protocol: tcp
    address: 192.0.2.80
    port: 0
    scheduler: rr
    persistence: { timeout_s: 60 }
    servers: [{ name: a, address: 10.82.0.1 }, { name: b, address: 10.82.0.2 }, { name: c, address: 10.82.0.3 }]
  - name: tunnel
    protocol: udp
    address: 192.0.2.80
    port: 7200
    scheduler: rr
    servers: [{ name: a, address: 10.82.0.1, method: ipip }]
";

/// A farm whose servers run everything that these tests ask for.
struct Town {
    farm: Farm,
    ftp: Vec<Ftp>,
    _web: Vec<Web>,
    /// Someone far behind the first client, and a narrow link on the way.
    far: Behind,
}

impl Town {
    fn new() -> Result<Self> {
        let farm = Farm::new(SERVERS, Answers::Through)?;
        let hosts = || farm.servers.iter().enumerate();
        let ftp = hosts().map(|(n, host)| Ftp::start(host, &n.to_string())).collect::<Result<_>>()?;
        let web = |(n, host): (usize, &Namespace)| Web::start(host, &n.to_string(), Duration::ZERO);
        let web = hosts().map(web).collect::<Result<_>>()?;
        let far = Behind::new(&farm.clients, 84)?;
        Ok(Self { farm, ftp, _web: web, far })
    }

    /// All that a service is to carry.
    fn live(&self) -> Result<()> {
        self.transfer("").context("FTP")?;
        self.send_fragments().context("datagrams in fragments")?;
        self.hang_up_early().context("errors of clients")?;
        self.ask_nobody().context("errors of servers")?;
        self.read_from_afar().context("errors of routers")
    }

    /// Files in all ways of FTP: each client stays with one server, and all servers have clients. No server takes a file
    /// twice: `label` is in the names of all uploads.
    fn transfer(&self, label: &str) -> Result<()> {
        let mut used = BTreeSet::new();
        for n in 0..CLIENTS / 5 {
            let client = client(n);
            let mut servers = BTreeSet::new();
            for (k, way) in [Opener::Client, Opener::Server].iter().flat_map(|o| o.ways4()).enumerate() {
                let server = self.transfer_as(&client, way, &format!("{label}{n}-{k}"));
                servers.insert(server.with_context(|| format!("{client} with {way:?}"))?);
            }
            ensure!(servers.len() == 1, "{client} was at the servers {servers:?}");
            used.append(&mut servers);
        }
        ensure!(used.len() == SERVERS, "servers with clients: {used:?}");
        Ok(())
    }

    /// A download and an upload; the server that has done both.
    fn transfer_as(&self, client: &str, way: &[&str], label: &str) -> Result<usize> {
        let place = format!("ftp://{SHARED}");
        let way = [&["--interface", client], way].concat();
        let name = curl(&self.farm.clients, &[&way[..], &[&format!("{place}/name")]].concat())?;
        let server: usize = String::from_utf8(name)?.parse()?;
        let book = curl(&self.farm.clients, &[&way[..], &[&format!("{place}/book")]].concat())?;
        ensure!(book == Ftp::book(), "the download differs: {} bytes", book.len());
        let letter = content(label, 70_000);
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &letter)?;
        let path = file.path().to_str().context("a path that is not text")?;
        let to = format!("{place}/upload/{label}");
        curl(&self.farm.clients, &[&way[..], &["--upload-file", path, &to]].concat())?;
        ensure!(self.ftp[server].uploaded(label)? == letter, "the upload differs");
        Ok(server)
    }

    /// Long datagrams of many flows at once, each to the server that had the flow's first one, and the answers.
    fn send_fragments(&self) -> Result<()> {
        let servers = self.listeners()?;
        let flows = self.flows()?;
        let mut homes = vec![BTreeSet::new(); flows.len()];
        for round in 0..4 {
            let question = |n: usize| content(&format!("{n}-{round}"), LONG);
            for (n, flow) in flows.iter().enumerate() {
                flow.send(&question(n))?;
            }
            for _ in &flows {
                let (server, asker, asked) = receive(&servers)?;
                let n = flows.iter().position(|flow| flow.local_addr().ok() == Some(asker));
                let n = n.with_context(|| format!("{asker} has not asked"))?;
                ensure!(asked == question(n), "{asker}: {} other bytes", asked.len());
                homes[n].insert(server);
                servers[server].send_to(&asked, asker)?;
            }
            for (n, flow) in flows.iter().enumerate() {
                let mut answer = vec![0; 2 * LONG];
                let length = flow.recv(&mut answer).with_context(|| format!("flow {n}, round {round}"))?;
                ensure!(answer[..length] == question(n), "another answer in flow {n}");
            }
        }
        ensure!(homes.iter().all(|home| home.len() == 1), "servers of each flow: {homes:?}");
        ensure!(
            homes.iter().flatten().collect::<BTreeSet<_>>().len() == SERVERS,
            "servers with flows: {homes:?}"
        );
        Ok(())
    }

    /// Clients that are gone when the answer comes: the server that has answered is told.
    fn hang_up_early(&self) -> Result<()> {
        for n in 0..CLIENTS {
            let servers = self.listeners()?;
            let flow = self.flow(n)?;
            flow.send(b"hello")?;
            let (server, asker, _) = receive(&servers)?;
            drop(flow);
            let server = &servers[server];
            server.connect(asker)?;
            server.send(b"hello yourself")?;
            refused(server).with_context(|| format!("the server of {asker}"))?;
        }
        Ok(())
    }

    /// A port where no server listens: the client is told.
    fn ask_nobody(&self) -> Result<()> {
        for n in 0..CLIENTS {
            let flow = self.flow(n)?;
            flow.send(b"is anybody there?")?;
            refused(&flow).with_context(|| client(n))?;
        }
        Ok(())
    }

    /// Pages that are too big for the way: their server is told, and sends smaller packets. Nothing else of them
    /// would arrive.
    fn read_from_afar(&self) -> Result<()> {
        for _ in 0..2 * SERVERS {
            let page = visit(&self.far.end, &self.far.address[0], SHARED, "/bytes/200000")?;
            ensure!(page.length() > 200_000, "{} bytes", page.length());
        }
        Ok(())
    }

    /// A datagram that fills a frame does not fit into a tunnel: its sender is told.
    fn fill_a_tunnel(&self) -> Result<()> {
        let flow = self.flow(0)?;
        wait_until("fragmentation needed", SOON, || match flow.send(&[0; 1500 - 28]) {
            Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) => bail!("{error}"),
        })
    }

    /// Datagrams that travel to the first server in packets, of which the last is too long for that and may be fragmented:
    /// all arrive as they were sent.
    fn send_through_tunnel(&self) -> Result<()> {
        let raw = || Ok(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(IPIP)))?);
        let mut end = self.farm.servers[0].inside(raw)?;
        end.set_read_timeout(Some(SOON))?;
        self.farm.clients.sysctl("net/ipv4/ip_no_pmtu_disc", 1)?;
        for length in [100, MTU - 2 * IP - UDP, MTU - IP - UDP] {
            let (question, mut got) = (content(&length.to_string(), length), vec![0; 2 * LONG]);
            self.flow(0)?.send(&question)?;
            let came = end.read(&mut got).with_context(|| format!("{length} bytes"))?;
            ensure!(got[2 * IP + UDP..came] == question, "{length} bytes: {came} others came");
        }
        self.farm.clients.sysctl("net/ipv4/ip_no_pmtu_disc", 0)
    }

    /// A socket on each server.
    fn listeners(&self) -> Result<Vec<UdpSocket>> {
        let listen = |host: &Namespace| {
            let socket = host.inside(|| Ok(UdpSocket::bind((SHARED, PORT))?))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        self.farm.servers.iter().map(listen).collect()
    }

    fn flows(&self) -> Result<Vec<UdpSocket>> {
        (0..CLIENTS).map(|n| self.flow(n)).collect()
    }

    /// A flow of client `n`.
    fn flow(&self, n: usize) -> Result<UdpSocket> {
        let address: IpAddr = client(n).parse()?;
        let socket = self.farm.clients.inside(|| Ok(UdpSocket::bind((address, 0))?))?;
        socket.connect((SHARED, PORT))?;
        socket.set_read_timeout(Some(SOON))?;
        Ok(socket)
    }
}

/// The next datagram that any of the servers gets, which one, and from whom.
fn receive(servers: &[UdpSocket]) -> Result<(usize, SocketAddr, Vec<u8>)> {
    let (mut got, mut buffer) = (None, vec![0; 2 * LONG]);
    wait_until("a datagram", SOON, || {
        for (n, server) in servers.iter().enumerate() {
            match server.recv_from(&mut buffer) {
                Ok((length, from)) => got = Some((n, from, buffer[..length].to_vec())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => bail!("server {n}: {error}"),
            }
            return Ok(true);
        }
        Ok(false)
    })?;
    got.context("no datagram")
}

/// Waits for the error that says that nobody listens at the other end.
fn refused(socket: &UdpSocket) -> Result<()> {
    socket.set_nonblocking(true)?;
    wait_until("port unreachable", SOON, || match socket.recv(&mut [0; 64]) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        other => bail!("{other:?}"),
    })
}

#[test]
fn linux_carries_what_goes_to_a_shared_address_by_policy_routing() {
    if !ready() {
        return;
    }
    let town = Town::new().unwrap();
    town.farm.linux(&town.farm.by_turns()).unwrap();
    town.live().unwrap();
}

#[test]
fn a_service_carries_ftp_fragments_and_errors() {
    if !ready() {
        return;
    }
    let town = Town::new().unwrap();
    let weir = town.farm.weir_of_fragments(BY_MARK).unwrap();
    town.live().with_context(|| format!("{:#?}{}", weir.counts(), weir.log())).unwrap();
}

#[test]
fn data_connections_of_ftp_go_to_the_server_of_their_control_connection() {
    if !ready() {
        return;
    }
    let town = Town::new().unwrap();
    for (label, services) in [("helper-", BY_HELPER), ("address-", BY_ADDRESS)] {
        let weir = town.farm.weir(services).unwrap();
        town.transfer(label).with_context(|| format!("{services}{}", weir.log())).unwrap();
        // The second one lets the sender know how much fits.
        if services == BY_HELPER {
            town.send_through_tunnel().with_context(|| format!("{:#?}", weir.counts())).unwrap();
            town.fill_a_tunnel().with_context(|| weir.log()).unwrap();
        }
        weir.stop().unwrap();
    }
}
