//! A service over IPv6: servers that share an address which they answer no neighbour discovery for, and one that gets
//! packets in packets.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};

use crate::backends::Web;
use crate::farm::{Answers, Farm, configuration};
use crate::node::Weir;
use crate::ready;
use crate::servers::content;
use crate::visiting::visit;

const SERVERS: usize = 3;
const CLIENTS: usize = 12;
/// What all servers have.
const SHARED6: &str = "fd00:80::80";
/// Where the first server takes datagrams.
const PORT: u16 = 7200;
/// Of a page, so that it takes many packets.
const LENGTH: usize = 200_000;
const IPV6: usize = 40;
const UDP: usize = 8;
/// IPv6 in another packet.
const IPV6_IN_IP: i32 = 41;
const SOON: Duration = Duration::from_secs(3);

const SERVICES: &str = "\
services:
  - name: web
    protocol: tcp
    address: 'fd00:80::80'
    port: 80
    scheduler: rr
    servers: [{ name: a, address: 'fd00:82::1' }, { name: b, address: 'fd00:82::2' }, { name: c, address: 'fd00:82::3' }]
  - name: tunnel
    protocol: udp
    address: 'fd00:80::80'
    port: 7200
    servers: [{ name: a, address: 'fd00:82::1', method: ipip }]
";

fn client6(n: usize) -> String {
    format!("fd00:81::{:x}", n + 1)
}

/// Gives everybody addresses of IPv6 beside those of IPv4. What a host has on its loopback it answers no solicitation
/// for.
fn number(farm: &Farm) -> Result<()> {
    farm.clients.enable_ipv6("eth0")?;
    for n in 0..CLIENTS {
        farm.clients.ip(&format!("addr add {}/64 dev eth0 nodad", client6(n)))?;
    }
    farm.clients.ip("-6 route add default via fd00:81::fe")?;
    for (n, server) in farm.servers.iter().enumerate() {
        server.enable_ipv6("lo")?;
        server.enable_ipv6("eth0")?;
        server.ip(&format!("addr add fd00:82::{:x}/64 dev eth0 nodad", n + 1))?;
        server.ip(&format!("addr add {SHARED6}/128 dev lo nodad"))?;
        server.ip("-6 route add default via fd00:82::fe")?;
    }
    Ok(())
}

/// The farm's gateway with addresses of both versions.
fn weir(farm: &Farm) -> Result<Weir<'_>> {
    let with6 = |text: String, network: u8| {
        let own = format!("10.{network}.0.254/24]");
        text.replace(&own, &format!("10.{network}.0.254/24, 'fd00:{network}::fe/64']"))
    };
    Weir::start_by(&farm.gateway, 1, |socket| {
        [81, 82].into_iter().fold(configuration(socket, SERVICES), with6)
    })
}

/// Each client gets a long page, and all servers have clients.
fn read_pages(farm: &Farm) -> Result<()> {
    let mut servers = BTreeSet::new();
    for n in 0..CLIENTS {
        let page = visit(&farm.clients, &client6(n), SHARED6, &format!("/bytes/{LENGTH}"))?;
        ensure!(page.length() > LENGTH, "{} bytes", page.length());
        ensure!(page.says(&format!("{} {SHARED6} /bytes/{LENGTH}", page.server())), "another page");
        servers.insert(page.server().to_owned());
    }
    ensure!(servers.len() == SERVERS, "servers with clients: {servers:?}");
    Ok(())
}

/// Datagrams reach the first server inside packets to its own address.
fn send_through_tunnel(farm: &Farm) -> Result<()> {
    let raw = || Ok(Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(IPV6_IN_IP)))?);
    let mut end = farm.servers[0].inside(raw)?;
    end.set_read_timeout(Some(SOON))?;
    let flow = farm.clients.inside(|| Ok(UdpSocket::bind((client6(0).as_str(), 0))?))?;
    flow.connect((SHARED6, PORT))?;
    for length in [100, 1500 - 2 * IPV6 - UDP] {
        let (question, mut got) = (content(&length.to_string(), length), vec![0; 2048]);
        flow.send(&question)?;
        let came = end.read(&mut got).with_context(|| format!("{length} bytes"))?;
        ensure!(got[IPV6 + UDP..came] == question, "{length} bytes: {came} others came");
    }
    Ok(())
}

#[test]
fn servers_that_share_an_ipv6_address_answer_their_clients() {
    if !ready() {
        return;
    }
    let farm = Farm::new(SERVERS, Answers::Through).unwrap();
    number(&farm).unwrap();
    let start = |(n, host)| Web::start6(host, ["a", "b", "c"][n], Duration::ZERO);
    let _web: Vec<Web> = farm.servers.iter().enumerate().map(start).collect::<Result<_>>().unwrap();
    let weir = weir(&farm).unwrap();
    read_pages(&farm).with_context(|| format!("{:#?}{}", weir.counts(), weir.log())).unwrap();
    send_through_tunnel(&farm).with_context(|| format!("{:#?}{}", weir.counts(), weir.log())).unwrap();
    weir.stop().unwrap();
}
