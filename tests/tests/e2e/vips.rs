//! Addresses that two gateways have, and behind each real servers: what CLUSTERIP did, and what it could not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_dataplane::config::vip::HashMode;
use weir_dataplane::gate::vip::NodeHash;
use weir_tests::conformance::Mode;
use weir_tests::process::{Background, wait_until};

use crate::clients::curl;
use crate::cluster;
use crate::host::{self, NameServer};
use crate::lab::{LAN4, Lab, clients4, clients6};
use crate::node::{self, Membership, Plan, Weir};
use crate::ready;
use crate::servers::{self, in_url};

const VIP4: &str = "10.77.1.200";
const VIP6: &str = "fd77:ffff::200";
const VIP_MAC: &str = "01:00:5e:00:00:20";
/// One whose nodes are the cluster's.
const OF_CLUSTER: &str = "10.77.1.201";
const HASH_INIT: u32 = 77;

/// How long the clients of the hand-over go on between its steps.
const LOAD: Duration = Duration::from_secs(3);

/// A client's first SYN and the next, which its kernel sends a second later, and what a busy machine adds.
const RETRY_S: f64 = 2.5;

/// A wait that ends earlier but on a broken machine.
const SOON: Duration = Duration::from_secs(15);

fn configuration(plan: Plan, socket: &Path) -> String {
    let number = plan.number;
    let vips: String = [VIP4, VIP6]
        .iter()
        .map(|address| {
            format!(
                "\x20 - {{ port: lan, address: '{address}', mac: '{VIP_MAC}', hash_mode: sourceip, \
                 total_nodes: 2, local_nodes: [{number}], hash_init: {HASH_INIT} }}\n"
            )
        })
        .collect();
    let of_cluster = format!(
        "\x20 - {{ port: lan, address: {OF_CLUSTER}, mac: '01:00:5e:00:00:21', hash_mode: sourceip-sourceport }}\n"
    );
    node::configuration(plan, socket).replace("name: lan,", "name: lan, tap: weir-lan,")
        + "vips:\n"
        + &vips
        + &of_cluster
}

fn start(lab: &Lab, number: usize) -> Result<Weir<'_>> {
    let plan = Plan {
        number,
        tracking: Mode::All,
        share: "owner",
        between: lab.between,
        membership: Membership::Gossip,
    };
    let namespace = &lab.nodes[number - 1];
    let node = Weir::start_by(namespace, number, |socket| configuration(plan, socket))?;
    wait_until("the VIPs on the tap", SOON, || {
        let lan = namespace.run("ip addr show dev weir-lan")?;
        Ok([VIP4, VIP6, OF_CLUSTER].iter().all(|address| lan.contains(&format!(" {address}/"))))
    })?;
    namespace.ip("route add fd77::/16 dev weir-lan")?;
    Ok(node)
}

/// The name of the gateway that the hash says.
fn by_hash(client: &str) -> String {
    let hash = NodeHash::compile(HashMode::Source, 2, HASH_INIT);
    let client: IpAddr = client.parse().expect("an address");
    format!("gw{}", hash.bucket(client, (0, 0)).number())
}

/// Each client asks for the name of who answers.
fn names(lab: &Lab, clients: &[String], vip: &str) -> Result<Vec<String>> {
    let url = format!("http://{}:{}/name", in_url(vip), host::PORT);
    let ask = |client| ["--next", "--globoff", "--max-time", "10", "--interface", client, &url];
    let words: Vec<_> = clients.iter().flat_map(|client| ask(client)).collect();
    let said = String::from_utf8(curl(&lab.a, &words[1..])?)?;
    Ok(said.as_bytes().chunks(3).map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

/// All 200 clients are answered by the nodes that the hash says.
fn each_client_has_its_node(lab: &Lab) {
    for (clients, vip) in [(clients4().collect::<Vec<_>>(), VIP4), (clients6().collect(), VIP6)] {
        let expected: Vec<String> = clients.iter().map(|client| by_hash(client)).collect();
        assert!(["gw1", "gw2"].iter().all(|name| expected.iter().filter(|one| one == name).count() > 20));
        assert_eq!(names(lab, &clients, vip).unwrap(), expected, "{vip}");
    }
}

/// A node names whose a client is; another gateway's name it does not know.
fn says_whose(node: &Weir<'_>, number: &str) {
    let client = clients4().next().unwrap();
    let said = node.ask(&["explain", VIP4, "--src", &client]).unwrap()["vip"].clone();
    let owner = by_hash(&client);
    assert_eq!(format!("gw{}", said["node"]), owner, "{said}");
    assert_eq!(said["owner"] == *owner, owner == format!("gw{number}"), "{said}");
}

/// What tcpdump hears at host A of `filter`.
fn hear(lab: &Lab, filter: &str) -> Result<Background> {
    let mut command = lab.a.command("tcpdump");
    let heard = Background::start("tcpdump", command.args(["-n", "-e", "-S", "-l", "-i", "eth0", filter]))?;
    wait_until("tcpdump", SOON, || Ok(heard.log().contains("listening on")))?;
    Ok(heard)
}

/// Who has answered each SYN, by the MAC address that it came from.
fn answerers(log: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut all: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains("Flags [S.]")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let behind = |word: &str| words.iter().rposition(|other| *other == word).map(|at| words[at + 1]);
        if let (Some(to), Some(ack)) = (behind(">"), behind("ack")) {
            all.entry((to.to_owned(), ack.to_owned())).or_default().insert(words[1].to_owned());
        }
    }
    all
}

/// Gives node `number` of both VIPs from one gateway to another: for a moment nobody has it, and never two.
fn hand_over(from: &Weir<'_>, to: &Weir<'_>, number: &str) -> Result<()> {
    for vip in [VIP4, VIP6] {
        from.ask(&["vip", "del", vip, number])?;
        to.ask(&["vip", "add", vip, number])?;
    }
    Ok(())
}

/// By tcpdump: what accepts connections to the VIPs.
fn syn_acks() -> String {
    let four = format!("src host {VIP4} and tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)");
    // Behind the 40 bytes of an IPv6 header, in which tcpdump does not look for TCP's flags.
    let six = format!("src host {VIP6} and ip6[6] == 6 and ip6[40 + 13] & 0x12 == 0x12");
    format!("({four}) or ({six})")
}

#[test]
fn two_gateways_share_an_address_and_each_client_has_one() {
    if !ready() {
        return;
    }
    let lab = Lab::routed(2).unwrap();
    let nodes = [start(&lab, 1).unwrap(), start(&lab, 2).unwrap()];
    // Until then nobody answers a question for an address.
    nodes.iter().try_for_each(|node| cluster::agreed(node, &["gw1", "gw2"])).unwrap();
    let _servers: Vec<_> =
        (1..=2).map(|n| NameServer::start(&lab.nodes[n - 1], &format!("gw{n}")).unwrap()).collect();
    // ARP from the VIP, question or answer, that does not say the cluster's MAC address.
    let wrong = format!(
        "arp and arp[14:4] = {:#x} and not (arp[8:4] = 0x01005e00 and arp[12:2] = 0x0020)",
        u32::from(VIP4.parse::<std::net::Ipv4Addr>().unwrap())
    );
    let mut leak = hear(&lab, &wrong).unwrap();
    for vip in [VIP4, VIP6] {
        let said = lab.a.run(&format!("ping -n -c 5 -i 0.1 -W 2 {vip}")).unwrap();
        assert!(said.contains(" 0% packet loss") && !said.contains("duplicates"), "{said}");
        assert_eq!(host::learned(&lab, vip).unwrap(), VIP_MAC, "{vip}");
    }
    lab.a.run(&format!("ping -n -c 1 -W 2 {LAN4}")).unwrap();
    assert_eq!(host::learned(&lab, LAN4).unwrap(), node::CLUSTER_MACS[0], "the port's own is another");
    each_client_has_its_node(&lab);
    for (node, number) in nodes.iter().zip(["1", "2"]) {
        assert_eq!(node.print(&["vip", "show", VIP4]).unwrap(), format!("{number}\n"));
        says_whose(node, number);
        let row = &node.ask(&["vip", "list"]).unwrap()["vips"][0];
        assert!(row["taken"].as_u64() > Some(100) && row["left"].as_u64() > Some(100), "{row}");
    }

    a_node_goes_and_comes_back_under_load(&lab, &nodes);
    each_client_has_its_node(&lab);
    leak.terminate().unwrap();
    assert!(!leak.log().contains("ARP,"), "{}", leak.log());

    ftp_has_its_data_from_its_node(&lab).unwrap();
    connections_keep_their_node_when_it_drains(&lab, &nodes[0]).unwrap();
}

/// All 200 clients are there while the VIPs' second node goes to the first gateway, and back: none waits for long, and no
/// connection is answered by two.
fn a_node_goes_and_comes_back_under_load(lab: &Lab, nodes: &[Weir<'_>; 2]) {
    let mut answers = hear(lab, &syn_acks()).unwrap();
    let clients: Vec<String> = clients4().chain(clients6()).collect();
    let visitors = Visitors::start(lab, &clients).unwrap();
    thread::sleep(LOAD);
    hand_over(&nodes[1], &nodes[0], "2").unwrap();
    thread::sleep(LOAD);
    // A reload that does not change the VIP leaves it as it is.
    nodes[1].reload().unwrap();
    let some = [clients4().take(12).collect::<Vec<_>>(), clients6().take(12).collect()];
    for (vip, clients) in [VIP4, VIP6].into_iter().zip(some) {
        assert_eq!(nodes[1].print(&["vip", "show", vip]).unwrap(), "");
        assert_eq!(nodes[0].print(&["vip", "show", vip]).unwrap(), "1,2\n");
        let all = names(lab, &clients, vip).unwrap();
        assert!(all.iter().all(|name| name == "gw1"), "{all:?}");
    }
    hand_over(&nodes[0], &nodes[1], "2").unwrap();
    thread::sleep(LOAD);
    let visitors = visitors.stop().unwrap();
    println!("{visitors}");
    let count = |name: &str| visitors["answers"][name].as_u64().unwrap_or(0);
    assert_eq!(visitors["clients"], clients.len(), "{visitors}");
    assert!(count("gw1") > 500 && count("gw2") > 200, "{visitors}");
    let at = |time: &Value| time.as_f64().expect("a time");
    assert!(at(&visitors["last_s"]["gw2"]) > at(&visitors["over_s"]) - 1.0, "it has come back: {visitors}");
    assert!(visitors["longest_s"].as_f64() < Some(RETRY_S), "{visitors}");
    answers.terminate().unwrap();
    let answerers = answerers(&answers.log());
    assert!(answerers.len() as u64 >= count("gw1") + count("gw2"), "{} heard", answerers.len());
    let twice: Vec<_> = answerers.iter().filter(|(_, who)| who.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// In all ways of FTP, though each connection's own hash says one node or the other.
fn ftp_has_its_data_from_its_node(lab: &Lab) -> Result<()> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let mut running = Vec::new();
    for (node, folder) in lab.nodes.iter().zip(&folders) {
        let root = folder.path().join("ftp");
        fs::create_dir(&root)?;
        servers::open_to_all(folder.path(), 0o755)?;
        fs::write(root.join("book"), servers::content("book", 20_000))?;
        running.push(servers::ftp(node, folder.path(), &root, "")?);
        wait_until("the FTP server", SOON, || Ok(!node.run("ss -Hlnt sport = :21")?.trim().is_empty()))?;
    }
    let ways: [&[&str]; 4] =
        [&[], &["--disable-epsv"], &["--ftp-port", "-"], &["--ftp-port", "-", "--disable-eprt"]];
    for client in clients4().take(3) {
        for way in ways {
            let url = format!("ftp://{OF_CLUSTER}/book");
            let book = curl(&lab.a, &[way, &["--interface", &client, &url]].concat())
                .with_context(|| format!("FTP from {client} with {way:?}"))?;
            ensure!(book == servers::content("book", 20_000), "{} bytes with {way:?}", book.len());
        }
    }
    Ok(())
}

/// The first of two nodes gives all of its buckets away while it serves.
fn connections_keep_their_node_when_it_drains(lab: &Lab, draining: &Weir<'_>) -> Result<()> {
    let clients: Vec<String> = clients4().take(8).collect();
    let url = format!("http://{OF_CLUSTER}:{}/book", host::PORT);
    let read = |client: &String| -> Result<Child> {
        let words = ["--silent", "--limit-rate", "60k", "--max-time", "20", "--output", "/dev/null"];
        let mut command = lab.a.command("curl");
        command.args(words).args(["--write-out", "%{size_download}", "--interface", client, &url]);
        Ok(command.stdout(Stdio::piped()).spawn()?)
    };
    let readers = clients.iter().map(read).collect::<Result<Vec<_>>>()?;
    // The server may have ended its half with much of it yet to be sent.
    let open = || {
        let said = lab.nodes[0].run(&format!("ss -Htan sport = :{}", host::PORT))?;
        let is_open = |line: &&str| ["ESTAB", "FIN-WAIT-1"].iter().any(|state| line.starts_with(state));
        Ok::<_, anyhow::Error>(said.lines().filter(is_open).filter(|line| line.contains(OF_CLUSTER)).count())
    };
    wait_until("readers at the first node", SOON, || Ok(open()? > 0))?;
    draining.ask(&["cluster", "drain", "--deadline", "10"])?;
    wait_until("the other node to have all new connections", SOON, || {
        Ok(names(lab, &clients, OF_CLUSTER)?.iter().all(|name| name == "gw2"))
    })?;
    ensure!(open()? > 0, "nothing was open when the buckets had moved");
    for reader in readers {
        let output = reader.wait_with_output()?;
        let size = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && size == "300000", "a connection has ended after {size} bytes");
    }
    Ok(())
}

/// Clients that ask without an end.
struct Visitors(Child);

impl Visitors {
    fn start(lab: &Lab, clients: &[String]) -> Result<Self> {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/visitors.py");
        ensure!(fs::exists(program)?, "{program}");
        let mut command = lab.a.command("python3");
        command.args([program, VIP4, VIP6, &host::PORT.to_string()]).args(clients);
        Ok(Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
    }

    /// They stop: their report.
    fn stop(mut self) -> Result<Value> {
        // They go on as long as this is open.
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("the visitors' report")
    }
}
