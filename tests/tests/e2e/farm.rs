//! The server farm: clients – gateway – servers that share an address; behind the gateway's third port, the sites of
//! the internet.
//!
//! Servers have [`SHARED`] beside their own address and keep it from ARP, as direct routing wants it.

use std::path::Path;
use std::sync::MutexGuard;

use anyhow::{Context, Result};
use weir_tests::netns::{Namespace, veth};

use crate::cluster::agreed;
use crate::lab::turn;
use crate::node::{CLUSTER_MACS, Weir, gossip, gossip_address};

/// Addresses of clients.
pub(crate) const CLIENTS: usize = 200;
/// What all servers have.
pub(crate) const SHARED: &str = "192.0.2.80";
/// Sites of the internet.
pub(crate) const SITES: usize = 20;

/// What may lie behind the first client.
const BEHIND: &str = "10.84.0.0/16";

const MTU: u32 = 1500;
/// The gateway's ports, each with the network behind it.
const PORTS: [(&str, &str); 3] = [("lan", "10.81.0"), ("servers", "10.82.0"), ("wan", "10.83.0")];
/// The host of a gateway in each of its networks.
const GATEWAY: u8 = 254;

/// A wired farm. One laboratory exists at a time: tests would take each other's CPU.
pub(crate) struct Farm {
    pub(crate) clients: Namespace,
    /// With the interfaces `lan`, `servers` and `wan`.
    pub(crate) gateway: Namespace,
    /// The other one of two gateways, with the interfaces `lan` and `servers`; [`cluster`](Self::cluster) starts both.
    other: Option<Namespace>,
    pub(crate) servers: Vec<Namespace>,
    pub(crate) internet: Namespace,
    _hubs: Namespace,
    _turn: MutexGuard<'static, ()>,
}

/// By which way servers answer clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// By the gateway, which sees both sides of a connection.
    Through,
    /// By an interface of their own in the clients' network: the gateway sees the clients' side alone.
    Past,
}

/// Client `n`, counted from 0.
pub(crate) fn client(n: usize) -> String {
    assert!(n < CLIENTS, "there is no client {n}");
    format!("10.81.0.{}", n + 1)
}

/// The own address of server `n`, counted from 0.
pub(crate) fn server(n: usize) -> String {
    format!("10.82.0.{}", n + 1)
}

/// Site `n`, counted from 0.
pub(crate) fn site(n: usize) -> String {
    assert!(n < SITES, "there is no site {n}");
    format!("198.51.100.{}", n + 1)
}

impl Farm {
    /// Wires a farm of `count` servers.
    pub(crate) fn new(count: usize, answers: Answers) -> Result<Self> {
        Self::wire(count, answers, false)
    }

    /// The same with two gateways that know each other.
    pub(crate) fn of_two(count: usize, answers: Answers) -> Result<Self> {
        Self::wire(count, answers, true)
    }

    fn wire(count: usize, answers: Answers, two: bool) -> Result<Self> {
        let turn = turn();
        let [clients, gateway, internet, hubs] =
            ["clients", "gateway", "internet", "hubs"].map(Namespace::create);
        let (clients, gateway, internet, hubs) = (clients?, gateway?, internet?, hubs?);
        let servers =
            (0..count).map(|n| Namespace::create(&format!("server{n}"))).collect::<Result<Vec<_>>>()?;
        veth((&gateway, "wan"), (&internet, "eth0"), MTU)?;
        let mut lan =
            vec![plug(&hubs, &gateway, "lan", "lan-gateway")?, plug(&hubs, &clients, "eth0", "clients")?];
        let mut inner = vec![plug(&hubs, &gateway, "servers", "gateway")?];
        let other = two.then(|| Namespace::create("other")).transpose()?;
        if let Some(other) = &other {
            lan.push(plug(&hubs, other, "lan", "lan-other")?);
            inner.push(plug(&hubs, other, "servers", "other")?);
            veth((&gateway, "mgmt"), (other, "mgmt"), MTU)?;
            for (n, gateway) in [&gateway, other].into_iter().enumerate() {
                gateway.ip(&format!("addr add {}/24 dev mgmt", gossip_address(n + 1)))?;
            }
        }
        for (n, server) in servers.iter().enumerate() {
            inner.push(plug(&hubs, server, "eth0", &format!("server{n}"))?);
            if answers == Answers::Past {
                lan.push(plug(&hubs, server, "lan", &format!("lan-server{n}"))?);
            }
        }
        for (hub, ports) in [("lan", lan), ("servers", inner)] {
            hubs.hub(hub, &ports.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        let farm = Self { clients, gateway, other, servers, internet, _hubs: hubs, _turn: turn };
        farm.number(answers)?;
        Ok(farm)
    }

    fn number(&self, answers: Answers) -> Result<()> {
        let addresses = (0..CLIENTS).map(|n| format!("addr add {}/24 dev eth0\n", client(n)));
        batch(&self.clients, &(addresses.collect::<String>() + &by_gateway("lan")))?;
        let sites = (0..SITES).map(|n| format!("addr add {}/32 dev lo\n", site(n)));
        let own = "addr add 10.83.0.1/24 dev eth0\n".to_owned() + &by_gateway("wan");
        batch(&self.internet, &(sites.collect::<String>() + &own))?;
        for (n, namespace) in self.servers.iter().enumerate() {
            namespace.sysctl("net/ipv4/conf/all/arp_ignore", 1)?;
            namespace.sysctl("net/ipv4/conf/all/arp_announce", 2)?;
            let shared = format!("addr add {}/24 dev eth0\naddr add {SHARED}/32 dev lo\n", server(n));
            batch(namespace, &(shared + &by_gateway("servers")))?;
            if answers == Answers::Past {
                namespace.ip(&format!("addr add 10.81.0.{}/24 dev lan", CLIENTS + 1 + n))?;
            }
        }
        for host in [&self.clients, &self.internet].into_iter().chain(&self.servers) {
            // Each probe is answered.
            host.sysctl("net/ipv4/icmp_ratelimit", 0)?;
            host.sysctl("net/ipv4/icmp_msgs_per_sec", 100_000)?;
        }
        Ok(())
    }

    /// Starts a gateway of ours that routes, with `services` in its configuration.
    pub(crate) fn weir(&self, services: &str) -> Result<Weir<'_>> {
        Weir::start_by(&self.gateway, 1, |socket| configuration(socket, services))
    }

    /// The same with one worker, which knows all that is known of services.
    pub(crate) fn weir_alone(&self, services: &str) -> Result<Weir<'_>> {
        let alone = |text: String| text.replace("workers: { count: 2 }", "workers: { count: 1 }");
        Weir::start_by(&self.gateway, 1, |socket| alone(configuration(socket, services)))
    }

    /// Starts both gateways and waits until they agree.
    pub(crate) fn cluster(&self, services: &str) -> Result<[Weir<'_>; 2]> {
        let other = self.other.as_ref().context("there is one gateway")?;
        let start =
            |number, gateway| Weir::start_by(gateway, number, |socket| of_cluster(number, socket, services));
        let both = [start(1, &self.gateway)?, start(2, other)?];
        both.iter().try_for_each(|node| agreed(node, &["gw1", "gw2"]))?;
        Ok(both)
    }

    /// The same on DPDK's pcap devices: for the af_packet ones the kernel puts IPv4 fragments together.
    pub(crate) fn weir_of_fragments(&self, services: &str) -> Result<Weir<'_>> {
        let by_pcap = |port: &str| format!("net_pcap_{port},rx_iface_in={port},tx_iface={port}");
        Weir::start_by(&self.gateway, 1, |socket| configuration_with(socket, services, by_pcap))
    }

    /// Makes Linux the gateway: what has a mark by the rules in `mangle` goes to the server of that number, counted
    /// from 1.
    pub(crate) fn linux(&self, mangle: &str) -> Result<()> {
        for (port, network) in PORTS {
            self.gateway.ip(&format!("addr add {network}.{GATEWAY}/24 dev {port}"))?;
        }
        self.gateway.sysctl("net/ipv4/ip_forward", 1)?;
        self.gateway.ip("route add default via 10.83.0.1")?;
        self.gateway.ip(&format!("route add {BEHIND} via {}", client(0)))?;
        for n in 0..self.servers.len() {
            let (mark, table) = (n + 1, n + 101);
            self.gateway.ip(&format!("rule add fwmark {mark} table {table}"))?;
            self.gateway.ip(&format!("route add default via {} table {table}", server(n)))?;
        }
        let table = format!("*mangle\n{mangle}COMMIT\n");
        self.gateway.feed("iptables-legacy-restore", &table)
    }

    /// Rules for [`linux`](Self::linux): what clients send to [`SHARED`] goes to the servers by turns, each client's to
    /// one; what is sent from behind them, to the first.
    pub(crate) fn by_turns(&self) -> String {
        let mark =
            |from: &str, mark| format!("-A PREROUTING -i lan {from} -d {SHARED} -j MARK --set-mark {mark}\n");
        let clients = (0..CLIENTS).map(|n| mark(&format!("-s {}", client(n)), n % self.servers.len() + 1));
        mark("", 1) + &clients.collect::<String>()
    }
}

/// Joins an interface of `host` to the hubs; the port's name there.
fn plug(hubs: &Namespace, host: &Namespace, interface: &str, port: &str) -> Result<String> {
    veth((host, interface), (hubs, port), MTU)?;
    Ok(port.to_owned())
}

/// A default route by the gateway's `port`, for `ip -batch`.
fn by_gateway(port: &str) -> String {
    let network = PORTS.iter().find(|known| known.0 == port).expect("a port of the gateway").1;
    format!("route add default via {network}.{GATEWAY}\n")
}

fn batch(namespace: &Namespace, lines: &str) -> Result<()> {
    namespace.feed(&format!("ip -n {} -batch -", namespace.name()), lines)
}

/// The configuration of a gateway of the farm, with `services` in it.
pub(crate) fn configuration(socket: &Path, services: &str) -> String {
    configuration_with(socket, services, |port| format!("net_af_packet_{port},iface={port}"))
}

/// The same of one of two gateways, without the internet.
fn of_cluster(number: usize, socket: &Path, services: &str) -> String {
    let ports = PORTS.iter().zip(CLUSTER_MACS).map(|((port, network), mac)| {
        format!(
            "\x20 - {{ name: {port}, device: 'net_af_packet_{port},iface={port}', cluster_mac: '{mac}', \
             addresses: [{network}.{GATEWAY}/24] }}\n"
        )
    });
    format!(
        "node: gw{number}\n\
         ports:\n{}\
         forwarding: {{ mode: route }}\n\
         routes: [{{ to: {SHARED}/32, type: unreachable }}]\n\
         workers: {{ count: 2 }}\n\
         conntrack: {{ flows_max: 65536 }}\n\
         cluster:\n{}\
         \x20 hash_seed: 0\n\
         control: {{ socket: {} }}\n\
         {services}",
        ports.collect::<String>(),
        gossip(number, &socket.with_file_name("cluster.key")),
        socket.display()
    )
}

/// Servers are checked by the tap of their port.
fn configuration_with(socket: &Path, services: &str, device: impl Fn(&str) -> String) -> String {
    let ports = PORTS.map(|(port, network)| {
        let tap = if port == "servers" { ", tap: weir-servers" } else { "" };
        let device = device(port);
        format!("\x20 - {{ name: {port}, device: '{device}', addresses: [{network}.{GATEWAY}/24]{tap} }}\n")
    });
    format!(
        "node: gw1\n\
         ports:\n{}\
         forwarding: {{ mode: route }}\n\
         routes:\n\
         \x20 - {{ to: default, via: 10.83.0.1 }}\n\
         \x20 - {{ to: {BEHIND}, via: {} }}\n\
         \x20 - {{ to: {SHARED}/32, type: unreachable }}\n\
         workers: {{ count: 2 }}\n\
         conntrack: {{ flows_max: 65536, helpers: {{ ftp: [21] }} }}\n\
         control: {{ socket: {} }}\n\
         {services}",
        ports.concat(),
        client(0),
        socket.display()
    )
}
