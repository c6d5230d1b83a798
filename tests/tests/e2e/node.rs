//! The nodes between the hubs: a gateway of ours, or Linux with its cluster match.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use weir_tests::conformance::{Mode, replay};
use weir_tests::netns::{Namespace, output};
use weir_tests::oracle::{EVERY_HELPER, Rules};
use weir_tests::process::{Background, wait_until};

use crate::lab::{Between, Lab};
use crate::store::{self, write_credentials};

/// How long leases are in etcd.
pub(crate) const LEASE: Duration = Duration::from_secs(6);
/// DPDK and its memory take their time on a busy machine.
const START: Duration = Duration::from_secs(20);

/// What a gateway of a two-node cluster is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Its number, 1 or 2.
    pub(crate) number: usize,
    /// Whose flows it tracks.
    pub(crate) tracking: Mode,
    /// What becomes of frames that are not IP, and of packets that are never tracked.
    pub(crate) share: &'static str,
    /// What the nodes are together.
    pub(crate) between: Between,
    /// How they know of each other.
    pub(crate) membership: Membership,
}

/// How the nodes know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// They do not: each of two has its part of the hash space.
    Numbers,
    /// By gossip over the laboratory's third hub.
    Gossip,
    /// By leases of [`LEASE`] in the [etcd](crate::store) at the laboratory's third hub.
    Etcd,
}

/// A running gateway of ours; ended on drop.
pub(crate) struct Weir<'a> {
    namespace: &'a Namespace,
    folder: TempDir,
    gateway: Background,
}

/// What a gateway counted, over all workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Frames by outcome.
    pub(crate) verdicts: BTreeMap<String, u64>,
    /// Dropped frames by reason.
    pub(crate) drops: BTreeMap<String, u64>,
    /// Frames that were left to control, by reason.
    pub(crate) punts: BTreeMap<String, u64>,
}

impl Counts {
    /// Frames that it forwarded.
    pub(crate) fn forwarded(&self) -> u64 {
        self.verdicts.get("forward").copied().unwrap_or(0)
    }
}

impl<'a> Weir<'a> {
    /// Starts one and waits until it answers.
    pub(crate) fn start(namespace: &'a Namespace, plan: Plan) -> Result<Self> {
        Self::start_with(namespace, plan, |side| af_packet(plan, side))
    }

    /// The same, with what `edit` makes of its configuration.
    pub(crate) fn start_edited(
        namespace: &'a Namespace,
        plan: Plan,
        edit: impl Fn(String) -> String,
    ) -> Result<Self> {
        Self::start_by(namespace, plan.number, |socket| edit(configuration(plan, socket)))
    }

    /// The same, on the devices that `device` names for `lan` and `wan`.
    pub(crate) fn start_with(
        namespace: &'a Namespace,
        plan: Plan,
        device: impl Fn(&str) -> String,
    ) -> Result<Self> {
        Self::start_by(namespace, plan.number, |socket| configuration_with(plan, socket, device))
    }

    /// Starts node `number` of the configuration that is made for its control socket, and waits until it answers.
    pub(crate) fn start_by(
        namespace: &'a Namespace,
        number: usize,
        configuration: impl FnOnce(&Path) -> String,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("weir.yaml"), configuration(&folder.path().join("weir.sock")))?;
        write_key(&folder.path().join("cluster.key"))?;
        write_credentials(folder.path())?;
        let gateway = run(namespace, &folder.path().join("weir.yaml"), number)?;
        let mut weir = Self { namespace, folder, gateway };
        wait_until("the gateway's socket", START, || {
            anyhow::ensure!(weir.gateway.status()?.is_none(), "the gateway ended");
            Ok(weir.ask(&["status"]).is_ok())
        })
        .with_context(|| weir.gateway.log())?;
        Ok(weir)
    }

    /// Runs `weir WORDS --socket … --json` and returns what it printed.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Value> {
        let mut command = self.namespace.command(binary()?.as_str());
        command.args(words).arg("--json").arg("--socket").arg(self.socket());
        Ok(serde_json::from_str(&output(&mut command)?)?)
    }

    /// Runs `weir WORDS --socket …` and returns what it printed.
    pub(crate) fn print(&self, words: &[&str]) -> Result<String> {
        let mut command = self.namespace.command(binary()?.as_str());
        output(command.args(words).arg("--socket").arg(self.socket()))
    }

    /// Starts `weir flows --events WORDS`.
    pub(crate) fn follow(&self, words: &[&str]) -> Result<Background> {
        let mut command = self.namespace.command(binary()?.as_str());
        command.args(["flows", "--events"]).args(words).arg("--socket").arg(self.socket());
        Background::start("weir flows --events", &mut command)
    }

    /// Starts `weir trace WORDS`.
    pub(crate) fn trace(&self, words: &[&str]) -> Result<Background> {
        let mut command = self.namespace.command(binary()?.as_str());
        command.arg("trace").args(words).arg("--socket").arg(self.socket());
        Background::start("weir trace", &mut command)
    }

    /// What it has counted so far.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        let answer = self.ask(&["counters"])?;
        for worker in answer["workers"].as_array().context("no workers")? {
            let Counts { verdicts, drops, punts } = &mut counts;
            for (key, into) in [("verdicts", verdicts), ("drops", drops), ("punts", punts)] {
                for (name, count) in worker[key].as_object().with_context(|| format!("no {key}"))? {
                    *into.entry(name.clone()).or_default() += count.as_u64().context("no number")?;
                }
            }
        }
        Ok(counts)
    }

    /// Handles the flows of node `number` too, or no longer.
    pub(crate) fn cluster(&self, action: &str, number: usize) -> Result<()> {
        self.ask(&["cluster", action, &number.to_string()])?;
        Ok(())
    }

    /// The configuration in force, as it stands in its file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("weir.yaml")
    }

    /// Its control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("weir.sock")
    }

    /// Makes it read its configuration again, and waits for the next epoch.
    pub(crate) fn reload(&self) -> Result<()> {
        let epoch = |status: Value| status["epoch"].as_u64().context("no epoch");
        let before = epoch(self.ask(&["status"])?)?;
        self.hang_up()?;
        wait_until("the next epoch", START, || Ok(epoch(self.ask(&["status"])?)? > before))
            .with_context(|| self.gateway.log())
    }

    /// Sends it SIGHUP.
    pub(crate) fn hang_up(&self) -> Result<()> {
        self.gateway.signal(Signal::SIGHUP)
    }

    /// Sends it any other.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.gateway.signal(signal)
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.gateway.log()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.gateway.signal(Signal::SIGKILL)?;
        self.gateway.wait(START)?;
        Ok(())
    }

    /// Ends it as a service manager does; its exit status and everything it said.
    pub(crate) fn stop(mut self) -> Result<(ExitStatus, String)> {
        let status = self.gateway.terminate()?;
        Ok((status, self.gateway.log()))
    }
}

/// The cluster's key, which nobody else may read.
fn write_key(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, "5e".repeat(32))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

/// Starts a gateway of `config`.
pub(crate) fn run(namespace: &Namespace, config: &Path, number: usize) -> Result<Background> {
    let mut command = namespace.command(binary()?.as_str());
    command.args(["run", "--config"]).arg(config);
    Background::start(format!("weir node {number}"), &mut command)
}

/// A gateway's configuration between the interfaces `lan` and `wan`.
pub(crate) fn configuration(plan: Plan, socket: &Path) -> String {
    configuration_with(plan, socket, |side| af_packet(plan, side))
}

/// Two workers: node 1 has a queue for each, which the kernel fills by a hash of its own; of node 2's, one has both
/// ports and shares with the other.
fn af_packet(plan: Plan, side: &str) -> String {
    let queues = if plan.number == 1 { ",qpairs=2" } else { "" };
    format!("net_af_packet_{side},iface={side}{queues}")
}

fn configuration_with(plan: Plan, socket: &Path, device: impl Fn(&str) -> String) -> String {
    let Plan { number, tracking, share, between, membership } = plan;
    let (lan, wan) = (device("lan"), device("wan"));
    let (lan_extra, wan_extra, routes) = if between == Between::Router { ROUTER } else { ("", "", "") };
    let membership = match membership {
        Membership::Numbers => format!("\x20 total_nodes: 2\n\x20 local_nodes: [{number}]\n"),
        Membership::Gossip => gossip(number, socket.with_file_name("cluster.key").as_path()),
        Membership::Etcd => etcd(socket),
    };
    format!(
        "node: gw{number}\n\
         ports:\n\
         \x20 - {{ name: lan, device: '{lan}'{lan_extra} }}\n\
         \x20 - {{ name: wan, device: '{wan}'{wan_extra} }}\n\
         {routes}\
         workers: {{ count: 2 }}\n\
         conntrack:\n\
         \x20 flows_max: 65536\n\
         \x20 helpers: {{ ftp: [21], tftp: [69], sip: [5060], pptp: [1723] }}\n\
         cluster:\n\
         {membership}\
         \x20 hash_seed: 0xdeadbeef\n\
         \x20 tracking: {}\n\
         \x20 non_ip: {share}\n\
         \x20 untracked: {share}\n\
         control: {{ socket: {} }}\n",
        tracking.name(),
        socket.display()
    )
}

/// Where a node gossips.
pub(crate) fn gossip_address(number: usize) -> String {
    format!("10.99.0.{number}")
}

/// A cluster that agrees by itself; joiners learn for but a moment.
pub(crate) fn gossip(number: usize, key: &Path) -> String {
    let listen = gossip_address(number);
    let seed = gossip_address(1);
    let other = gossip_address(2);
    format!(
        "\x20 total_nodes: 64\n\
         \x20 learning_s: 1\n\
         \x20 gossip: {{ listen: '{listen}:7946', seeds: ['{seed}:7946', '{other}:7946'], key_file: {} }}\n",
        key.display()
    )
}

/// The router's MAC addresses towards host A and host B.
pub(crate) const CLUSTER_MACS: [&str; 2] = ["01:00:5e:00:01:01", "01:00:5e:00:01:02"];

/// The same with leases in etcd, and the files with which a node proves itself beside its `socket`.
fn etcd(socket: &Path) -> String {
    let file = |name| socket.with_file_name(name).display().to_string();
    format!(
        "\x20 total_nodes: 64\n\
         \x20 learning_s: 3\n\
         \x20 etcd:\n\
         \x20   endpoints: ['{}']\n\
         \x20   lease_s: {}\n\
         \x20   tls: {{ ca: {}, certificate: {}, key: {} }}\n",
        store::endpoint(),
        LEASE.as_secs(),
        file(store::CA),
        file(store::CERTIFICATE),
        file(store::KEY)
    )
}

/// What makes a router of a gateway: of its ports, and beside them.
const ROUTER: (&str, &str, &str) = (
    ", addresses: [10.77.1.254/24, 'fd77:ffff::fe/64'], cluster_mac: '01:00:5e:00:01:01'",
    ", addresses: [10.77.0.254/24, 'fd77::fe/64'], cluster_mac: '01:00:5e:00:01:02', mtu: 1400",
    "forwarding: { mode: route }\n\
     routes:\n\
     \x20 - { to: 10.77.0.1/32, dev: lan }\n\
     \x20 - { to: 'fd77::1/128', dev: lan }\n\
     \x20 - { to: 'fd77::/16', dev: lan }\n",
);

/// Makes `namespace` node `number` of the same cluster, by Linux's own means. What is not IP it leaves to the
/// other node, as it does with neighbour discovery, which the match never matches.
pub(crate) fn linux(namespace: &Namespace, number: usize) -> Result<()> {
    let rules = Rules::new(Mode::Own);
    Rules { node_mask: 1 << (number - 1), helpers: EVERY_HELPER.to_vec(), ..rules }.apply(namespace)?;
    namespace.sysctl("net/bridge/bridge-nf-call-arptables", 1)?;
    namespace.run("arptables-legacy -P FORWARD DROP")?;
    namespace.hub("bridge", &["lan", "wan"])
}

/// Two gateways that track everything.
pub(crate) fn two(lab: &Lab) -> Result<[Weir<'_>; 2]> {
    let start = |number: usize| {
        Weir::start(
            &lab.nodes[number - 1],
            Plan {
                number,
                tracking: Mode::All,
                share: "owner",
                between: lab.between,
                membership: Membership::Numbers,
            },
        )
    };
    Ok([start(1)?, start(2)?])
}

/// A gateway as node `number`, and Linux as the other one; both track their own flows alone.
pub(crate) fn beside_linux(lab: &Lab, number: usize) -> Result<Weir<'_>> {
    let plan = Plan {
        number,
        tracking: Mode::Own,
        share: "forward",
        between: Between::Bridge,
        membership: Membership::Numbers,
    };
    let weir = Weir::start(&lab.nodes[number - 1], plan)?;
    let other = 3 - number;
    linux(&lab.nodes[other - 1], other)?;
    Ok(weir)
}

pub(crate) fn binary() -> Result<String> {
    let path = replay::binary();
    anyhow::ensure!(path.exists(), "there is no {}: build it, or name it in WEIR", path.display());
    Ok(path.to_string_lossy().into_owned())
}
