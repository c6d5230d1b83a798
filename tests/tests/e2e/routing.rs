//! Routers behind both hosts, a narrow link behind each router: what ICMP errors say about flows gets through.
//!
//! end – router – host A – {nodes} – host B – router – end: both hosts route here.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_tests::netns::{Namespace, veth};
use weir_tests::process::{Background, wait_until};

use crate::clients::curl;
use crate::lab::{A4, A6, B4, B6, Lab, Nodes, clients4, clients6};
use crate::node;
use crate::ready;
use crate::servers::{HTTP_PORT, content, in_url};
use crate::tap::Taps;

const MTU: u32 = 1500;
/// Of the links between the hosts and their routers.
const NARROW: u32 = 1300;
/// Bytes that a host serves.
const PAGE: usize = 200_000;

/// What lies behind a host.
pub(crate) struct Behind {
    _router: Namespace,
    pub(crate) end: Namespace,
    /// The router's addresses towards the host, and the end's; IPv4 and IPv6.
    router: [String; 2],
    pub(crate) address: [String; 2],
}

impl Behind {
    /// Puts a router and an end behind `host`. `net` begins their addresses: `10.net.0.0/16`, `fdnet::/32`.
    pub(crate) fn new(host: &Namespace, net: u8) -> Result<Self> {
        let (router, end) = (Namespace::create("router")?, Namespace::create("end")?);
        veth((host, "inner"), (&router, "outer"), NARROW)?;
        veth((&router, "inner"), (&end, "eth0"), MTU)?;
        let v4 = |link: u8, place: u8| format!("10.{net}.{link}.{place}");
        let v6 = |link: u8, place: u8| format!("fd{net}:0:{link}::{place}");
        for (namespace, interface, link, place) in
            [(host, "inner", 1, 1), (&router, "outer", 1, 2), (&router, "inner", 2, 1), (&end, "eth0", 2, 2)]
        {
            namespace.enable_ipv6(interface)?;
            namespace.ip(&format!("addr add {}/24 dev {interface}", v4(link, place)))?;
            namespace.ip(&format!("addr add {}/48 dev {interface}", v6(link, place)))?;
        }
        for (namespace, to, link, place) in
            [(host, [v4(2, 0) + "/24", v6(2, 0) + "/48"], 1, 2), (&router, both_defaults(), 1, 1)]
        {
            route(namespace, &to, &[v4(link, place), v6(link, place)])?;
        }
        route(&end, &both_defaults(), &[v4(2, 1), v6(2, 1)])?;
        forward(host)?;
        forward(&router)?;
        Ok(Self { _router: router, end, router: [v4(1, 2), v6(1, 2)], address: [v4(2, 2), v6(2, 2)] })
    }
}

fn both_defaults() -> [String; 2] {
    ["default", "default"].map(str::to_owned)
}

fn route(namespace: &Namespace, to: &[String; 2], via: &[String; 2]) -> Result<()> {
    namespace.ip(&format!("route add {} via {}", to[0], via[0]))?;
    namespace.ip(&format!("-6 route add {} via {}", to[1], via[1]))
}

/// Makes it a router that answers every packet that it must not forward.
fn forward(namespace: &Namespace) -> Result<()> {
    for (key, value) in [
        ("net/ipv4/ip_forward", 1),
        ("net/ipv6/conf/all/forwarding", 1),
        ("net/ipv4/icmp_ratelimit", 0),
        ("net/ipv4/icmp_msgs_per_sec", 100_000),
        ("net/ipv6/icmp/ratelimit", 0),
    ] {
        namespace.sysctl(key, value)?;
    }
    Ok(())
}

/// What lies behind A, and behind B, each with routes to the other.
fn behind_both(lab: &Lab) -> Result<[Behind; 2]> {
    let behind = [Behind::new(&lab.a, 78)?, Behind::new(&lab.b, 79)?];
    let nets = |net: u8| [format!("10.{net}.0.0/16"), format!("fd{net}::/32")];
    route(&lab.a, &nets(79), &[B4, B6].map(str::to_owned))?;
    route(&lab.b, &nets(78), &[A4, A6].map(str::to_owned))?;
    Ok(behind)
}

/// Every kind of probe names every hop.
fn trace(lab: &Lab, far: &Behind) -> Result<()> {
    for (family, (clients, first)) in
        [(clients4().take(4).collect::<Vec<_>>(), B4), (clients6().take(4).collect(), B6)]
            .into_iter()
            .enumerate()
    {
        let hops = [first, &far.router[family], &far.address[family]];
        for client in clients {
            for probe in ["--udp", "--icmp", "--tcp --port=8080"] {
                let said = lab.a.run(&format!(
                    "traceroute -n --queries=1 --wait=2 --max-hops=5 --source={client} {probe} {}",
                    far.address[family]
                ))?;
                let seen: Vec<&str> =
                    said.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
                ensure!(seen == hops, "{probe} from {client}:\n{said}");
            }
        }
    }
    Ok(())
}

fn serve(host: &Namespace, folder: &std::path::Path) -> Result<Background> {
    std::fs::write(folder.join("page"), content("page", PAGE))?;
    let mut command = host.command("python3");
    command.args(["-m", "http.server", &HTTP_PORT.to_string(), "--bind", "::", "--directory"]).arg(folder);
    let server = Background::start("http.server", &mut command)?;
    wait_until("http.server", Duration::from_secs(10), || {
        Ok(!host.run(&format!("ss -Hlnt sport = :{HTTP_PORT}"))?.is_empty())
    })?;
    Ok(server)
}

/// What a host across sends to `end` must first be told, through the gateway, that it is too big.
fn adapt(host: &Namespace, addresses: [&str; 2], far: &Behind) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let _server = serve(host, folder.path())?;
    for (family, (address, end)) in addresses.into_iter().zip(&far.address).enumerate() {
        let page = curl(&far.end, &[&format!("http://{}:{HTTP_PORT}/page", in_url(address))])?;
        ensure!(page == content("page", PAGE), "{end} got another page: {} bytes", page.len());
        let learned = host.run(&format!("ip route get {end}"))?;
        ensure!(learned.contains(&format!("mtu {NARROW}")), "TCP has learned nothing: {learned}");

        host.run(&format!("ip -{} route flush cache", [4, 6][family]))?;
        let said = host.run(&format!("traceroute -n --mtu --queries=1 --wait=2 --max-hops=5 {end}"))?;
        ensure!(said.contains(&format!("F={NARROW}")), "UDP has learned nothing:\n{said}");
    }
    Ok(())
}

/// All of it, with the taps running.
fn traffic(lab: &Lab) {
    let [behind_a, behind_b] = behind_both(lab).unwrap();
    lab.introduce().unwrap();
    let taps = Taps::start(lab).unwrap();
    trace(lab, &behind_b).unwrap();
    adapt(&lab.b, [B4, B6], &behind_a).unwrap();
    adapt(&lab.a, [A4, A6], &behind_b).unwrap();
    let ledger = taps.ledger().unwrap();
    println!("{ledger:?}");
    ledger.assert_exactly_once();
}

#[test]
fn routes_are_traced_and_paths_are_measured_through_two_nodes() {
    if !ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::HearEachOther).unwrap();
    let nodes = node::two(&lab).unwrap();
    traffic(&lab);
    assert!(nodes.iter().all(|node| node.counts().unwrap().forwarded() > 0));
}

#[test]
fn routes_are_traced_and_paths_are_measured_beside_linux() {
    if !ready() {
        return;
    }
    let lab = Lab::new(2, Nodes::Isolated).unwrap();
    let weir = node::beside_linux(&lab, 1).unwrap();
    traffic(&lab);
    assert!(weir.counts().unwrap().forwarded() > 0);
}
