//! The box itself: real servers and a real routing daemon in a gateway's namespace, on its taps.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::conformance::Mode;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::frr::Frr;
use crate::lab::{A4, B4, B6, LAN4, LAN6, Lab, WAN4, client_of};
use crate::node::{self, Membership, Plan, Weir};
use crate::ready;

/// Where the nodes serve their names.
pub(crate) const PORT: u16 = 8080;

/// What FRR on host B tells of.
const NETWORK: &str = "10.88.0.0/24";
const INSIDE: &str = "10.88.0.1";

/// A route takes this long from a daemon to the workers at most, on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// A node's own address on the LAN side.
fn management(node: usize, family: char) -> String {
    if family == '4' { format!("10.77.1.{}", 240 + node) } else { format!("fd77:ffff::f{node}") }
}

/// The configuration of a routing node, with a tap for each port and addresses of its own.
fn configuration(plan: Plan, socket: &Path) -> String {
    let [four, six] = ['4', '6'].map(|family| management(plan.number, family));
    node::configuration(plan, socket)
        .replace("name: lan,", &format!("name: lan, tap: weir-lan, management: [{four}/24, '{six}/64'],"))
        .replace("name: wan,", "name: wan, tap: weir-wan,")
        .replace("{ mode: route }", "{ mode: route, kernel_routes: true, kernel_packets_per_s: 500 }")
}

fn start(lab: &Lab, number: usize) -> Result<Weir<'_>> {
    let plan = Plan {
        number,
        tracking: Mode::All,
        share: "owner",
        between: lab.between,
        membership: Membership::Numbers,
    };
    let node = Weir::start_by(&lab.nodes[number - 1], number, |socket| configuration(plan, socket))?;
    let namespace = &lab.nodes[number - 1];
    wait_until("the gateway's addresses on the taps", SOON, || {
        let lan = namespace.run("ip addr show dev weir-lan")?;
        let all = [LAN4, LAN6, &management(number, '4'), &management(number, '6')];
        Ok(all.iter().all(|address| lan.contains(&format!(" {address}/"))) && !lan.contains("fe80:"))
    })?;
    // The file's routes are not the kernel's.
    namespace.ip("route add fd77::/16 dev weir-lan")?;
    Ok(node)
}

/// A web server of the node's own, which says the node's name.
pub(crate) struct NameServer {
    folder: tempfile::TempDir,
    _server: Background,
}

impl NameServer {
    pub(crate) fn start(namespace: &Namespace, name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("name"), name)?;
        std::fs::write(folder.path().join("book"), vec![b'x'; 300_000])?;
        let mut command = namespace.command("python3");
        // As many may ask at once as there are clients; by itself it lets five wait.
        let program = "import runpy, socketserver\n\
                       socketserver.TCPServer.request_queue_size = 256\n\
                       runpy.run_module('http.server', run_name='__main__')";
        command.args(["-c", program, "--bind", "::", &PORT.to_string(), "--directory"]);
        let server = Background::start("http.server", command.arg(folder.path()))?;
        wait_until("the node's server", SOON, || {
            Ok(!namespace.run(&format!("ss -Hlnt sport = :{PORT}"))?.trim().is_empty())
        })?;
        Ok(Self { folder, _server: server })
    }
}

/// What is served to `client` at `address`.
fn read(lab: &Lab, client: &str, address: &str, page: &str) -> Result<String> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let url = format!("http://{host}:{PORT}/{page}");
    let page = lab.a.run(&format!("curl --silent --show-error --max-time 5 --interface {client} {url}"));
    page.with_context(|| lab.nodes.iter().map(of_kernel).collect::<String>())
}

/// What a node's kernel knows, to find out why it does not answer.
fn of_kernel(namespace: &Namespace) -> String {
    let ask = |words: &str| namespace.run(words).unwrap_or_else(|error| error.to_string());
    ["ip addr", "ip -4 route", "ip -6 route", "ip neigh", "ip -s link show dev weir-lan"].map(ask).join("\n")
}

/// What a node's LAN tap has carried.
fn tap(node: &Weir<'_>, key: &str) -> Result<u64> {
    let status = node.ask(&["status"])?;
    status["ports"][0]["tap"][key].as_u64().with_context(|| format!("no {key} in {status}"))
}

/// The MAC address that host A has learned.
pub(crate) fn learned(lab: &Lab, address: &str) -> Result<Value> {
    let known: Value = serde_json::from_str(&lab.a.run(&format!("ip -json neigh show to {address}"))?)?;
    Ok(known[0]["lladdr"].clone())
}

#[test]
fn the_box_is_reached_at_shared_addresses_by_their_owner_and_at_its_own_always() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = [start(&lab, 1).unwrap(), start(&lab, 2).unwrap()];
    let servers: Vec<_> =
        (1..=2).map(|n| NameServer::start(&lab.nodes[n - 1], &format!("gw{n}")).unwrap()).collect();
    // ARP that says where the shared address is, and not that it is at the cluster's MAC address.
    let wrong = format!(
        "arp and arp[14:4] = {:#x} and not (arp[8:4] = 0x01005e00 and arp[12:2] = 0x0101)",
        u32::from(LAN4.parse::<std::net::Ipv4Addr>().unwrap())
    );
    let mut leak = lab.a.command("tcpdump");
    let mut leak = Background::start("tcpdump", leak.args(["-n", "-l", "-i", "eth0", &wrong])).unwrap();
    wait_until("tcpdump", SOON, || Ok(leak.log().contains("listening on"))).unwrap();

    for (shared, family, server) in [(LAN4, '4', B4), (LAN6, '6', B6)] {
        // Asked for from host A's address in the network: a stranger's question is not answered.
        for address in [shared.to_owned(), management(1, family), management(2, family)] {
            lab.a.run(&format!("ping -n -c 1 -W 2 {address}")).unwrap();
        }
        for owner in 1..=2 {
            let client = client_of(owner, server);
            let before = [tap(&nodes[0], "to_kernel").unwrap(), tap(&nodes[1], "to_kernel").unwrap()];
            let name = read(&lab, &client, shared, "name").unwrap();
            assert_eq!(name, format!("gw{owner}"), "{client} at {shared}");
            let other = 2 - owner;
            assert!(tap(&nodes[owner - 1], "to_kernel").unwrap() > before[owner - 1]);
            assert_eq!(tap(&nodes[other], "to_kernel").unwrap(), before[other], "the other node's");
            for node in 1..=2 {
                let address = management(node, family);
                assert_eq!(read(&lab, &client, &address, "name").unwrap(), format!("gw{node}"), "{client}");
                let said = lab.a.run(&format!("ping -n -c 3 -i 0.1 -W 2 -I {client} {address}")).unwrap();
                assert!(said.contains(" 0% packet loss") && !said.contains("duplicates"), "{said}");
            }
        }
    }
    let book = std::fs::read_to_string(servers[0].folder.path().join("book")).unwrap();
    assert!(read(&lab, &client_of(1, B4), LAN4, "book").unwrap() == book, "a longer file");
    assert_eq!(learned(&lab, LAN4).unwrap(), "01:00:5e:00:01:01");
    for (i, node) in nodes.iter().enumerate() {
        let own = node.ask(&["status"]).unwrap()["ports"][0]["mac"].clone();
        assert_eq!(learned(&lab, &management(i + 1, '4')).unwrap(), own);
    }
    leak.terminate().unwrap();
    assert!(!leak.log().contains("ARP,"), "{}", leak.log());

    // Many more than 500 in a moment; the gateway answers while they come.
    let limited = tap(&nodes[0], "limited").unwrap();
    let flood = format!(
        "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('{}',0))\n\
         for _ in range(5000): s.sendto(b'x',('{LAN4}',9))\n",
        client_of(1, B4)
    );
    lab.a.feed("python3 -", &flood).unwrap();
    let said = lab.a.run(&format!("ping -n -c 3 -i 0.1 -W 2 -I {} {LAN4}", client_of(1, B4))).unwrap();
    assert!(said.contains(" 0% packet loss"), "{said}");
    assert!(tap(&nodes[0], "limited").unwrap() > limited, "{}", nodes[0].ask(&["status"]).unwrap());
    assert_eq!(read(&lab, &client_of(2, B4), LAN4, "name").unwrap(), "gw2");
}

/// The origin and the next hops of a route of the gateway's; `None`: there is none.
fn route(node: &Weir<'_>, to: &str) -> Result<Option<(String, Vec<String>)>> {
    let answer = node.ask(&["routes"])?;
    let all = answer["routes"].as_array().context("no routes")?;
    let Some(route) = all.iter().find(|route| route["to"] == to) else { return Ok(None) };
    let hops = route["next_hops"].as_array().context("no next hops")?;
    let via = hops.iter().map(|hop| hop["via"].as_str().unwrap_or_default().to_owned());
    Ok(Some((route["origin"].as_str().unwrap_or_default().to_owned(), via.collect())))
}

fn wait_for_route(node: &Weir<'_>, to: &str, via: Option<&[&str]>) -> Result<()> {
    let wanted = via.map(|via| ("kernel".to_owned(), via.iter().map(ToString::to_string).collect()));
    wait_until(&format!("the route to {to}"), SOON, || Ok(route(node, to)? == wanted))
}

/// Packets that a namespace's kernel has forwarded.
fn forwarded_by_kernel(namespace: &Namespace) -> Result<u64> {
    let said = namespace.run("nstat -asz IpForwDatagrams Ip6OutForwDatagrams")?;
    let counts = said.lines().filter(|line| !line.starts_with('#'));
    counts.map(|line| Ok(line.split_whitespace().nth(1).context("no count")?.parse::<u64>()?)).sum()
}

fn ping(lab: &Lab, target: &str) -> Result<String> {
    lab.a.run(&format!("ping -n -c 20 -i 0.02 -W 2 {target}"))
}

#[test]
fn frr_beside_the_gateway_gives_it_routes_and_takes_them_back() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(1).unwrap();
    let node = start(&lab, 1).unwrap();
    node.cluster("add", 2).unwrap();
    let namespace = &lab.nodes[0];
    lab.b.ip(&format!("addr add {INSIDE}/24 dev lo")).unwrap();
    lab.b.enable_ipv6("lo").unwrap();
    lab.b.ip("addr add fd88::1/64 dev lo").unwrap();
    assert!(lab.a.run(&format!("ping -n -c 1 -W 2 {INSIDE}")).is_err(), "there is no route yet");

    let speaker = |asn: u32, peer: &str, peer_asn: u32| {
        format!(
            "router bgp {asn}\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
             timers bgp 1 3\n neighbor {peer} remote-as {peer_asn}\n neighbor {peer} timers connect 1\n"
        )
    };
    let beside = Frr::start(namespace, &speaker(65001, B4, 65002)).unwrap();
    let far = Frr::start(&lab.b, &(speaker(65002, WAN4, 65001) + &format!(" network {NETWORK}\n"))).unwrap();
    wait_for_route(&node, NETWORK, Some(&[B4]))
        .with_context(|| format!("{}\n{}", beside.log(), namespace.run("ip route").unwrap()))
        .unwrap();

    let (before, passed) = (node.counts().unwrap().forwarded(), tap(&node, "to_kernel").unwrap());
    let said = ping(&lab, INSIDE).unwrap();
    assert!(said.contains(" 0% packet loss"), "{said}");
    let carried = node.counts().unwrap().forwarded() - before;
    assert!(carried >= 40, "{carried} frames by the workers");
    assert_eq!(forwarded_by_kernel(namespace).unwrap(), 0);
    assert!(tap(&node, "to_kernel").unwrap() < passed + 20, "the LAN's tap carries no transit");

    far.bgp(&["configure terminal", "router bgp 65002", &format!("no network {NETWORK}")]).unwrap();
    wait_for_route(&node, NETWORK, None).unwrap();
    unreachable(&lab, INSIDE).unwrap();

    // Routes of an administrator's: IPv6, several next hops, less than the file's.
    namespace.ip(&format!("-6 route add fd88::/64 via {B6} dev weir-wan")).unwrap();
    wait_for_route(&node, "fd88::/64", Some(&[B6])).unwrap();
    lab.a.run(&format!("ping -n -c 1 -W 2 {LAN6}")).unwrap();
    let said = ping(&lab, "fd88::1").unwrap();
    assert!(said.contains(" 0% packet loss"), "{said}");
    let hops = format!("nexthop via {B4} dev weir-wan nexthop via 10.77.0.9 dev weir-wan weight 3");
    namespace.ip(&format!("route add {NETWORK} {hops}")).unwrap();
    wait_for_route(&node, NETWORK, Some(&[B4, "10.77.0.9"])).unwrap();
    namespace.ip(&format!("route add {A4}/32 via {B4} dev weir-wan")).unwrap();
    namespace.ip(&format!("route del {NETWORK}")).unwrap();
    wait_for_route(&node, NETWORK, None).unwrap();
    assert_eq!(route(&node, &format!("{A4}/32")).unwrap().unwrap().0, "static");
    namespace.ip("link set weir-wan down").unwrap();
    wait_for_route(&node, "fd88::/64", None).unwrap();
}

/// Host A is told that there is no way.
fn unreachable(lab: &Lab, target: &str) -> Result<()> {
    let mut command = lab.a.command("ping");
    let said = command.args(["-n", "-c", "2", "-W", "2", target]).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains(&format!("From {LAN4}")) && said.contains("Unreachable"), "{said}");
    Ok(())
}
