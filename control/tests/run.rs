//! `weir run` on devices that need neither root nor hardware: asked, changed, reloaded, stopped.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod common;

use common::{frames_of, pcap, stderr, udp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const QUIET_PORTS: &str =
    "ports:\n  - {name: lan, device: 'net_null0,no-rx=1'}\n  - {name: wan, device: 'net_null1,no-rx=1'}\n";
const CLUSTER: &str = "cluster: {total_nodes: 2, local_nodes: [1], hash_seed: 1}\n";

/// A running gateway in a directory of its own; killed when the test ends before it does.
struct Gateway {
    process: Child,
    directory: TempDir,
}

impl Gateway {
    /// Starts one with these ports and settings, and waits until it answers.
    fn start(directory: TempDir, settings: &str) -> Self {
        Self::start_named("gw1", directory, settings)
    }

    /// The same, of this name.
    fn start_named(node: &str, directory: TempDir, settings: &str) -> Self {
        write_config_of(node, directory.path(), settings);
        let log = File::create(directory.path().join("log")).unwrap();
        let totals = File::create(directory.path().join("totals")).unwrap();
        let process = weir_run(directory.path()).stdout(totals).stderr(log).spawn().unwrap();
        let mut gateway = Self { process, directory };
        gateway.wait(|gateway| gateway.ask(&["status"]).status.success());
        gateway
    }

    fn wait(&mut self, until: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !until(self) {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {}", self.read("log"));
            sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).arg("--json").arg("--socket").arg(self.path("weir.sock")).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    /// Sends SIGTERM; answers the exit code.
    fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.process.wait().unwrap().code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_config(directory: &Path, settings: &str) {
    write_config_of("gw1", directory, settings);
}

fn write_config_of(node: &str, directory: &Path, settings: &str) {
    let socket = directory.join("weir.sock");
    let text = format!(
        "node: {node}\nmetrics: {{listen: off}}\ncontrol: {{socket: {}}}\n{settings}",
        socket.display()
    );
    fs::write(directory.join("gw.yaml"), text).unwrap();
}

fn weir_run(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["run", "--config"]).arg(directory.join("gw.yaml")).stdin(Stdio::null());
    command
}

#[test]
fn a_gateway_is_changed_reloaded_and_stopped() {
    let mut gateway = Gateway::start(tempfile::tempdir().unwrap(), &format!("{QUIET_PORTS}{CLUSTER}"));
    let local = |cluster: &Value, node: usize| cluster["buckets"][node - 1]["local"].as_bool().unwrap();
    assert!(local(&gateway.json(&["cluster", "add", "2"]), 2));
    assert_eq!(gateway.json(&["status"])["workers"][0]["epoch"], 2);
    let again = gateway.ask(&["cluster", "add", "2"]);
    assert_eq!((again.status.code(), stderr(&again).contains("node 2 is here already")), (Some(1), true));
    assert_eq!(gateway.ask(&["cluster", "add", "3"]).status.code(), Some(2));
    assert!(!local(&gateway.json(&["cluster", "del", "1"]), 1));

    // The file is what counts after a reload.
    assert_eq!(gateway.json(&["reload"])["epoch"], 4);
    assert!(local(&gateway.json(&["cluster", "show"]), 1));
    write_config(gateway.directory.path(), &format!("{QUIET_PORTS}{CLUSTER}workers: {{count: 2}}\n"));
    let refused = gateway.ask(&["reload"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("workers.count"), "{}", stderr(&refused));
    fs::write(gateway.path("gw.yaml"), "node: [\n").unwrap();
    assert_eq!(gateway.ask(&["reload"]).status.code(), Some(2));
    gateway.signal(Signal::SIGHUP);
    gateway.wait(|gateway| gateway.read("log").contains("configuration not reloaded"));
    assert_eq!(gateway.json(&["status"])["epoch"], 4);

    assert_eq!(gateway.stop(), Some(0), "{}", gateway.read("log"));
    assert!(gateway.read("totals").contains("forward"));
    assert!(!gateway.path("weir.sock").exists());
}

#[test]
fn a_static_cluster_is_run_by_hand() {
    let members = |pins: &str| {
        format!(
            "cluster:\n  total_nodes: 16\n  hash_seed: 1\n  static:\n    members:\n      \
             - {{name: gw1, address: 192.0.2.11}}\n      - {{name: gw2, weight: 2}}\n      - {{name: gw3}}\n{pins}"
        )
    };
    let mut gateway = Gateway::start(
        tempfile::tempdir().unwrap(),
        &format!("{QUIET_PORTS}{}", members("    pins: [{bucket: 3, node: gw3}]\n")),
    );
    let owned = |status: &Value, node: &str| {
        let owners = status["agreed"]["owners"].as_array().unwrap();
        owners.iter().filter(|owner| owner.as_str() == Some(node)).count()
    };
    gateway.wait(|gateway| owned(&gateway.json(&["cluster", "show"]), "gw1") > 0);
    let before = gateway.json(&["cluster", "show"]);
    assert_eq!(before["agreed"]["owners"][2], "gw3");
    assert_eq!(before["agreed"]["members"][0]["address"], "192.0.2.11");

    let taken = gateway.json(&["cluster", "take", "gw2"]);
    assert_eq!(taken["agreed"]["members"][1]["liveness"], "dead");
    assert_eq!((owned(&taken, "gw2"), owned(&taken, "gw1") + owned(&taken, "gw3")), (0, 16));
    let deleted = gateway.json(&["cluster", "add", "3"]);
    assert_eq!(deleted["agreed"]["owners"][2], "gw1");
    for (order, code, says) in [
        (["cluster", "take", "gw2"], 1, "take gw2: nothing has changed, for it is so already"),
        (["cluster", "take", "gw9"], 1, "node gw9: this cluster has none of that name"),
        (["cluster", "add", "17"], 1, "bucket 17: there are 16, counted from 1"),
        (["cluster", "unpin", "3"], 1, "unpin 3: not with static membership; use add, del, take or give"),
    ] {
        let refused = gateway.ask(&order);
        assert_eq!(refused.status.code(), Some(code), "{order:?}");
        assert!(stderr(&refused).contains(says), "{order:?}: {}", stderr(&refused));
    }

    // Orders hold whatever the file says of the rest.
    gateway.json(&["reload"]);
    let kept = gateway.json(&["cluster", "show"]);
    assert_eq!(kept["agreed"]["owners"], deleted["agreed"]["owners"]);
    assert_eq!(kept["agreed"]["orders"], serde_json::json!(["take gw2", "add 3"]));
    assert_eq!(kept["agreed"]["alarms"], serde_json::json!([]));

    gateway.json(&["cluster", "del", "3"]);
    gateway.json(&["cluster", "give", "gw2"]);
    let itself = gateway.json(&["cluster", "take", "gw1"]);
    assert_eq!((owned(&itself, "gw1"), owned(&itself, "gw2") > 0), (0, true));
    assert_eq!(itself["agreed"]["members"][0]["state"], "leaving");
    assert!(owned(&gateway.json(&["cluster", "give", "gw1"]), "gw1") > 0);
    assert_eq!(gateway.stop(), Some(0), "{}", gateway.read("log"));
}

/// Two nodes that gossip on the loopback, with a key file each.
fn gossiping_pair(key: &str) -> [Gateway; 2] {
    let at: [_; 2] = std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    ["gw1", "gw2"].map(|node| {
        let directory = tempfile::tempdir().unwrap();
        let key_file = write_keys(directory.path(), key);
        let listen = at[usize::from(node == "gw2")];
        let settings = format!(
            "{QUIET_PORTS}cluster:\n  total_nodes: 16\n  hash_seed: 1\n  learning_s: 0.5\n  gossip:\n    listen: {listen}\n    \
             seeds: ['{}', '{}']\n    key_file: {}\n",
            at[0],
            at[1],
            key_file.display()
        );
        Gateway::start_named(node, directory, &settings)
    })
}

fn write_keys(directory: &Path, keys: &str) -> PathBuf {
    let path = directory.join("cluster.key");
    fs::write(&path, keys).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn the_key_of_a_cluster_is_changed_by_reloads_and_nobody_dies() {
    let [old, new] = ["0a", "0b"].map(|byte| byte.repeat(32));
    let mut nodes = gossiping_pair(&old);
    let agree = |gateway: &Gateway| {
        let agreed = gateway.json(&["cluster", "show"])["agreed"].clone();
        let owns = |node| agreed["owners"].as_array().unwrap().iter().any(|owner| owner == node);
        owns("gw1") && owns("gw2") && agreed["next_map"].is_null()
    };
    for node in &mut nodes {
        node.wait(agree);
    }
    let maps = nodes.each_ref().map(|node| node.json(&["cluster", "show"])["agreed"]["map"].clone());
    let [first, second] = &nodes;
    for keys in [format!("{old}\n{new}\n"), format!("{new}\n{old}\n"), new] {
        write_keys(first.directory.path(), &keys);
        write_keys(second.directory.path(), &keys);
        first.json(&["reload"]);
        let before = second.json(&["status"])["epoch"].clone();
        second.signal(Signal::SIGHUP);
        let deadline = Instant::now() + Duration::from_secs(10);
        while second.json(&["status"])["epoch"] == before {
            assert!(Instant::now() < deadline, "{}", second.read("log"));
            sleep(Duration::from_millis(20));
        }
    }
    // Longer than a death takes to be noticed: they hear each other by the new key.
    sleep(Duration::from_millis(1500));
    assert_eq!(maps, nodes.each_ref().map(|node| node.json(&["cluster", "show"])["agreed"]["map"].clone()));
    assert!(nodes.iter().all(|node| !node.read("log").contains("is dead")));

    // A file that is wrong changes nothing, and a node that has the old key alone is not heard.
    write_keys(nodes[0].directory.path(), "no key");
    let refused = nodes[0].ask(&["reload"]);
    assert!(stderr(&refused).contains("is not a key"), "{}", stderr(&refused));
    write_keys(nodes[0].directory.path(), &old);
    nodes[0].json(&["reload"]);
    nodes[1].wait(|node| node.read("log").contains("gw1 is dead"));
}

#[test]
fn control_goes_on_while_a_reload_is_prepared() {
    let settings = |routes: usize| {
        let mut text = "forwarding: {mode: route}\nports:\n  \
             - {name: lan, device: 'net_null0,no-rx=1', addresses: [192.0.2.1/24]}\n  \
             - {name: wan, device: 'net_null1,no-rx=1', addresses: [198.51.100.1/24]}\nroutes:\n"
            .to_owned();
        for route in 0..routes {
            let (a, b) = (route / 256, route % 256);
            text += &format!("  - {{to: 10.{a}.{b}.0/24, via: 198.51.100.{}}}\n", 2 + route % 4);
        }
        text
    };
    let gateway = Gateway::start(tempfile::tempdir().unwrap(), &settings(1));
    write_config(gateway.directory.path(), &settings(10_000));
    let begun = Instant::now();
    let reload = std::thread::scope(|scope| {
        let reload = scope.spawn(|| gateway.json(&["reload"]));
        let mut answers = 0;
        while !reload.is_finished() {
            gateway.json(&["status"]);
            answers += usize::from(!reload.is_finished());
        }
        // Had it been in the way, the first answer would have come with the reload's.
        assert!(answers >= 3, "{answers} answers in {:?}", begun.elapsed());
        reload.join().unwrap()
    });
    assert_eq!(reload["epoch"], 2);
}

#[test]
fn two_workers_on_one_queue_carry_every_frame_and_list_their_flows() {
    let directory = tempfile::tempdir().unwrap();
    let frames: Vec<_> = (1..=200).map(|client| udp((client, 5000), (250, 53), 64)).collect();
    let timed = (0..).zip(&frames).map(|(time_ms, frame)| (time_ms, &**frame));
    fs::write(directory.path().join("in.pcap"), pcap(timed)).unwrap();
    let [input, output] = ["in.pcap", "out.pcap"].map(|name| directory.path().join(name));
    let ports = format!(
        "ports:\n  - {{name: lan, device: 'net_pcap_lan,rx_pcap={}'}}\n  - {{name: wan, device: 'net_pcap_wan,tx_pcap={}'}}\n",
        input.display(),
        output.display()
    );
    let mut gateway = Gateway::start(directory, &format!("{ports}workers: {{count: 2}}\n"));
    gateway.wait(|gateway| {
        let workers = gateway.json(&["counters"])["workers"].clone();
        let forwarded = |worker: usize| workers[worker]["verdicts"]["forward"].as_u64().unwrap();
        forwarded(0) > 0 && forwarded(1) > 0 && forwarded(0) + forwarded(1) == 200
    });
    let flows = gateway.json(&["flows"]);
    assert_eq!(flows["flows"].as_array().unwrap().len(), 200);
    let part = gateway.json(&["flows", "--limit", "5"]);
    assert_eq!((part["flows"].as_array().unwrap().len(), part["more"].as_bool()), (5, Some(true)));
    flows_are_chosen_and_deleted(&gateway);
    assert_eq!(gateway.stop(), Some(0), "{}", gateway.read("log"));
    let mut carried = frames_of(&output);
    carried.sort();
    let mut expected = frames;
    expected.sort();
    assert_eq!(carried, expected);
}

/// Clients 1 to 200 have asked server 250 and got no answer.
fn flows_are_chosen_and_deleted(gateway: &Gateway) {
    let say = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        let output = command.args(words).arg("--socket").arg(gateway.path("weir.sock")).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let line = say(&["flows", "--output", "conntrack", "--src", "10.0.0.7"]);
    let (before, after) = line.split_once("udp      17 ").unwrap();
    assert_eq!(before, "ipv4     2 ");
    let (timeout, after) = after.split_once(' ').unwrap();
    assert!(timeout.parse::<u32>().unwrap() <= 30);
    assert_eq!(
        after,
        "src=10.0.0.7 dst=10.0.0.250 sport=5000 dport=53 [UNREPLIED] src=10.0.0.250 dst=10.0.0.7 sport=53 dport=5000 mark=0 use=1\n"
    );
    assert_eq!(say(&["flows", "-o", "conntrack", "--address", "10.0.0.128/25"]).lines().count(), 200);
    assert!(say(&["flows", "--src", "10.0.0.7"]).contains("10.0.0.7:5000"));
    assert_eq!(say(&["flows", "-o", "conntrack", "--status", "ASSURED"]), "");
    assert_eq!(say(&["flows", "delete", "--src", "10.0.0.128/25"]), "73 flows deleted\n");
    assert_eq!(say(&["flows", "delete", "--all", "--json"]).trim(), "{\n  \"deleted\": 127\n}");
    assert_eq!(say(&["flows", "-o", "conntrack"]), "");
    assert_eq!(say(&["expectations", "-o", "conntrack"]), "");
    assert!(say(&["expectations"]).ends_with("0 expectations\n"));
}

#[test]
fn what_happens_to_flows_is_followed_until_the_gateway_stops() {
    let directory = tempfile::tempdir().unwrap();
    let frames: Vec<_> = (1..=3).map(|client| udp((client, 5000), (250, 53), 64)).collect();
    fs::write(directory.path().join("in.pcap"), pcap((0..).zip(&frames).map(|(ms, frame)| (ms, &**frame))))
        .unwrap();
    // The capture is read over and over: what is deleted comes again.
    let device = format!("net_pcap_lan,rx_pcap={},infinite_rx=1", directory.path().join("in.pcap").display());
    let ports = format!(
        "ports:\n  - {{name: lan, device: '{device}'}}\n  - {{name: wan, device: 'net_null1,no-rx=1'}}\n"
    );
    let mut gateway = Gateway::start(directory, &ports);
    gateway.wait(|gateway| gateway.json(&["flows"])["flows"].as_array().unwrap().len() == 3);
    let told = File::create(gateway.path("told")).unwrap();
    let mut follower = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["flows", "--events", "--output", "conntrack", "--src", "10.0.0.2", "--socket"])
        .arg(gateway.path("weir.sock"))
        .stdout(told)
        .stderr(File::create(gateway.path("complaint")).unwrap())
        .spawn()
        .unwrap();
    let words = |gateway: &Gateway| -> Vec<String> {
        gateway.read("told").lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    // Until the follower is there nothing is told; deleting goes on until it is.
    gateway.wait(|gateway| {
        gateway.ask(&["flows", "delete", "--all"]);
        words(gateway).len() >= 4
    });
    let heard = words(&gateway);
    assert!(heard.windows(2).all(|pair| pair[0] != pair[1]), "{heard:?}");
    assert!(heard.iter().all(|word| ["[NEW]", "[DESTROY]"].contains(&&**word)), "{heard:?}");
    assert!(
        gateway.read("told").lines().all(|line| line.contains(" src=10.0.0.2 dst=10.0.0.250 sport=5000 "))
    );
    assert_eq!(gateway.stop(), Some(0), "{}", gateway.read("log"));
    assert_eq!(follower.wait().unwrap().code(), Some(1));
    assert!(gateway.read("complaint").contains("weir.sock stopped"), "{}", gateway.read("complaint"));
}

#[test]
fn what_cannot_run_says_why() {
    let gateway = Gateway::start(tempfile::tempdir().unwrap(), QUIET_PORTS);
    let second = weir_run(gateway.directory.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("another gateway is running on"), "{}", stderr(&second));
    assert!(gateway.ask(&["status"]).status.success(), "the first goes on");

    let directory = tempfile::tempdir().unwrap();
    let refused = |settings: &str, code: i32, text: &str| {
        write_config(directory.path(), settings);
        let output = weir_run(directory.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(text), "{text} in\n{}", stderr(&output));
        assert!(!directory.path().join("weir.sock").exists());
    };
    refused(&QUIET_PORTS.replace("net_null1,no-rx=1", "net_pcap9,rx_pcap=/nonexistent"), 1, "net_pcap9");
    refused(&QUIET_PORTS.replace("net_null1,no-rx=1", "net_nowhere0"), 1, "net_nowhere0");
    refused("ports: none\n", 2, "gw.yaml:4:");
}
