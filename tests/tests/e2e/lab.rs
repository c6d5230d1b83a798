//! The laboratory: host A – hub – {nodes} – hub – host B, each in a namespace of its own.
//!
//! The hubs give every frame to everybody, as the switches of a cluster do. Where the nodes hear each other, too,
//! a node that forwards what is not its own starts a storm at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;
use weir_dataplane::config::Tracking;
use weir_dataplane::gate::cluster_match::ClusterMatch;
use weir_tests::netns::{Namespace, output, veth};
use weir_tests::node::member;

use crate::node::gossip_address;

/// Addresses of each family that host A has beside its first: clients enough to fall to every node.
pub(crate) const CLIENTS: u8 = 100;

/// Largest packet on the WAN side of routers.
pub(crate) const NARROW: u32 = 1400;
const MTU: u32 = 1500;

/// Two hosts with two hubs between them, and the namespaces for the nodes.
pub(crate) struct Lab {
    /// Where the clients are.
    pub(crate) a: Namespace,
    /// Where the servers are.
    pub(crate) b: Namespace,
    /// Each with the interfaces `lan` (to A) and `wan` (to B).
    pub(crate) nodes: Vec<Namespace>,
    /// What is between the hosts: one network, or a router.
    pub(crate) between: Between,
    hubs: Namespace,
    _turn: MutexGuard<'static, ()>,
}

/// What is between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// One network, which the nodes bridge.
    Bridge,
    /// A router, which the nodes are together.
    Router,
}

/// Whether the nodes get the frames that other nodes forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// They do, as on a plain switch that floods.
    HearEachOther,
    /// The switch keeps their ports apart (a private VLAN). What nodes double that track their own flows alone
    /// would go round between them otherwise.
    Isolated,
}

/// Host A's first IPv4 address.
pub(crate) const A4: &str = "10.77.0.1";
/// Host B's IPv4 address.
pub(crate) const B4: &str = "10.77.0.2";
/// Host A's first IPv6 address.
pub(crate) const A6: &str = "fd77::1";
/// Host B's IPv6 address.
pub(crate) const B6: &str = "fd77::2";

/// The router's addresses towards host A.
pub(crate) const LAN4: &str = "10.77.1.254";
pub(crate) const LAN6: &str = "fd77:ffff::fe";
/// Host A's addresses in the router's own networks.
pub(crate) const NEAR4: &str = "10.77.1.253";
pub(crate) const NEAR6: &str = "fd77:ffff::fd";
/// The router's addresses towards host B.
pub(crate) const WAN4: &str = "10.77.0.254";
pub(crate) const WAN6: &str = "fd77::fe";

/// Of a host on the nodes' own network that is none of them.
pub(crate) const STATION: &str = "10.99.0.200";

/// Host A's further IPv4 addresses.
pub(crate) fn clients4() -> impl Iterator<Item = String> {
    (1..=CLIENTS).map(|n| format!("10.77.1.{n}"))
}

/// Host A's further IPv6 addresses. Linux's cluster match looks at the first 32 bits: they differ there.
pub(crate) fn clients6() -> impl Iterator<Item = String> {
    (1..=CLIENTS).map(|n| format!("fd77:{n:x}::1"))
}

/// The number of the node that an address falls to, of the two that the laboratory's clusters have.
pub(crate) fn owner(address: &str) -> usize {
    let config = member(2, 0..1, Tracking::All);
    let table = ClusterMatch::compile(config.cluster.as_ref().expect("a member is in a cluster"));
    let address: IpAddr = address.parse().expect("an address");
    table.bucket(address).index() + 1
}

/// The first client of `server`'s family that falls to this node.
pub(crate) fn client_of(node: usize, server: &str) -> String {
    let mut clients: Box<dyn Iterator<Item = String>> =
        if server == B4 { Box::new(clients4()) } else { Box::new(clients6()) };
    clients.find(|client| owner(client) == node).expect("every node has clients")
}

/// Waits for the tests before: they would take each other's CPU.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lab {
    /// Wires a laboratory with places for `count` nodes. One exists at a time: tests would take each other's CPU.
    pub(crate) fn new(count: usize, hearing: Nodes) -> Result<Self> {
        let lab = Self::wire(count, hearing, Between::Bridge)?;
        lab.number()?;
        Ok(lab)
    }

    /// The same with a router between the hosts, though their addresses are the same: all of host A's are behind one
    /// of its interfaces and B's behind the other, and each host sends everything to the router.
    pub(crate) fn routed(count: usize) -> Result<Self> {
        let lab = Self::wire(count, Nodes::HearEachOther, Between::Router)?;
        lab.number_routed()?;
        Ok(lab)
    }

    fn wire(count: usize, hearing: Nodes, between: Between) -> Result<Self> {
        let turn = turn();
        let (a, b, hubs) = (Namespace::create("a")?, Namespace::create("b")?, Namespace::create("hubs")?);
        let nodes =
            (1..=count).map(|n| Namespace::create(&format!("node{n}"))).collect::<Result<Vec<_>>>()?;
        for (side, host) in [("lan", &a), ("wan", &b)] {
            let port = format!("{side}-host");
            veth((host, "eth0"), (&hubs, &port), MTU)?;
            let mut ports = vec![port];
            for (n, node) in nodes.iter().enumerate() {
                let port = format!("{side}-node{}", n + 1);
                veth((node, side), (&hubs, &port), MTU)?;
                ports.push(port);
            }
            hubs.hub(side, &ports.iter().map(String::as_str).collect::<Vec<_>>())?;
            for port in ports.iter().skip(1).filter(|_| hearing == Nodes::Isolated) {
                hubs.ip(&format!("link set {port} type bridge_slave isolated on"))?;
            }
        }
        for host in [&a, &b] {
            // What a host says unasked when its interface comes up is to be over when the test begins.
            host.sysctl("net/ipv6/conf/eth0/router_solicitations", 0)?;
            host.sysctl("net/ipv6/conf/eth0/mldv2_unsolicited_report_interval", 10)?;
            host.enable_ipv6("eth0")?;
        }
        Ok(Self { a, b, nodes, between, hubs, _turn: turn })
    }

    /// A network of their own for the nodes: `mgmt`, where each has the address that it gossips at.
    fn introduce_nodes(&self) -> Result<()> {
        let mut ports = Vec::new();
        for (n, node) in self.nodes.iter().enumerate() {
            let port = format!("mgmt-node{}", n + 1);
            veth((node, "mgmt"), (&self.hubs, &port), MTU)?;
            node.ip(&format!("addr add {}/24 dev mgmt", gossip_address(n + 1)))?;
            ports.push(port);
        }
        self.hubs.hub("mgmt", &ports.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A host more on the nodes' own network, at [`STATION`].
    pub(crate) fn station(&self, role: &str) -> Result<Namespace> {
        let station = Namespace::create(role)?;
        veth((&station, "eth0"), (&self.hubs, "mgmt-station"), MTU)?;
        self.hubs.ip("link set mgmt-station master mgmt")?;
        self.hubs.ip("link set mgmt-station type bridge_slave learning off flood on")?;
        station.ip(&format!("addr add {STATION}/24 dev eth0"))?;
        Ok(station)
    }

    fn number_routed(&self) -> Result<()> {
        self.introduce_nodes()?;
        self.b.ip(&format!("link set eth0 mtu {NARROW}"))?;
        for host in [&self.a, &self.b] {
            // Each probe is answered.
            host.sysctl("net/ipv4/icmp_ratelimit", 0)?;
            host.sysctl("net/ipv4/icmp_msgs_per_sec", 100_000)?;
            host.sysctl("net/ipv6/icmp/ratelimit", 0)?;
        }
        let mut batch = format!("addr add {A4}/32 dev eth0\naddr add {A6}/128 dev eth0\n");
        batch += &format!("addr add {NEAR4}/24 dev eth0\naddr add {NEAR6}/64 dev eth0\n");
        for address in clients4() {
            batch += &format!("addr add {address}/24 dev eth0\n");
        }
        for address in clients6() {
            batch += &format!("addr add {address}/128 dev eth0\n");
        }
        batch += &format!("route add default via {LAN4} src {A4}\nroute add default via {LAN6}\n");
        self.a.feed(&format!("ip -n {} -batch -", self.a.name()), &batch)?;
        let batch = format!(
            "addr add {B4}/24 dev eth0\naddr add {B6}/64 dev eth0\n\
             route add default via {WAN4}\nroute add default via {WAN6}\n\
             route add {A4}/32 via {WAN4}\nroute add {A6}/128 via {WAN6}\n"
        );
        self.b.feed(&format!("ip -n {} -batch -", self.b.name()), &batch)
    }

    fn number(&self) -> Result<()> {
        let mut addresses: Vec<_> = clients4().map(|ip| format!("{ip}/16")).collect();
        addresses.extend(clients6().map(|ip| format!("{ip}/16")));
        let mut batch = format!("addr add {A4}/16 dev eth0\naddr add {A6}/16 dev eth0\n");
        for address in addresses {
            batch += &format!("addr add {address} dev eth0\n");
        }
        self.a.feed(&format!("ip -n {} -batch -", self.a.name()), &batch)?;
        self.b.ip(&format!("addr add {B4}/16 dev eth0"))?;
        self.b.ip(&format!("addr add {B6}/16 dev eth0"))
    }

    /// Whose each MAC address of the nodes is, by number.
    pub(crate) fn stations(&self) -> Result<BTreeMap<Mac, usize>> {
        let mut stations = BTreeMap::new();
        for (n, node) in self.nodes.iter().enumerate() {
            for side in ["lan", "wan"] {
                let text = mac(node, side)?;
                let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16));
                let bytes = bytes.collect::<Result<Vec<_>, _>>()?;
                stations.insert(bytes.try_into().ok().context("no MAC address")?, n + 1);
            }
        }
        Ok(stations)
    }

    /// Tells both hosts the other's MAC address for good: from now on nobody asks, and all that crosses is IP.
    pub(crate) fn introduce(&self) -> Result<()> {
        let (a, b) = (mac(&self.a, "eth0")?, mac(&self.b, "eth0")?);
        let clients = clients4().chain(clients6()).chain([A4, A6].map(str::to_owned));
        for (host, mac, addresses) in
            [(&self.b, &a, clients.collect::<Vec<_>>()), (&self.a, &b, [B4, B6].map(str::to_owned).to_vec())]
        {
            let know =
                |address: &String| format!("neigh replace {address} lladdr {mac} dev eth0 nud permanent\n");
            host.feed(
                &format!("ip -n {} -batch -", host.name()),
                &addresses.iter().map(know).collect::<String>(),
            )?;
        }
        Ok(())
    }
}

/// A station's address on its link.
pub(crate) type Mac = [u8; 6];

/// The MAC address of a namespace's interface, as text.
pub(crate) fn mac(namespace: &Namespace, interface: &str) -> Result<String> {
    let mut command = namespace.command("ip");
    let links: Value = serde_json::from_str(&output(command.args(["-json", "link", "show", interface]))?)?;
    Ok(links[0]["address"].as_str().context("no MAC address")?.to_owned())
}
