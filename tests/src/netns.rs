//! Network namespaces for tests: create one, wire it, run things inside, and have it all gone on drop.
//!
//! Every namespace has a name of its own, so tests can run beside each other. Deleting a namespace takes its
//! interfaces, addresses, rules and tracked flows with it, and a panicking test drops it as well. Needs root.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::process::wait_until;

/// The largest MTU that veth accepts, in bytes.
pub const MTU_MAX: u32 = 65_535;

/// The kernel tells a bridge once a second at most that its ports have a carrier; until then they lose every frame.
const FORWARDING: Duration = Duration::from_secs(10);

/// A network namespace; deleted on drop, and what still runs inside is ended.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates one named after its `role` in the test. Loopback is up; IPv6 stays silent until
    /// [`enable_ipv6`](Self::enable_ipv6), so nothing but the test's own traffic is on the wire.
    pub fn create(role: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("weir-{}-{number}-{role}", std::process::id());
        output(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name };
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", 1)?;
        namespace.sysctl("net/ipv6/conf/all/disable_ipv6", 1)?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// What `ip netns` calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `program` to be run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command line, words separated by spaces, to its end and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or exits with anything but 0; with what it said.
    pub fn run(&self, line: &str) -> Result<String> {
        let mut words = line.split_whitespace();
        let program = words.next().context("an empty command line")?;
        output(self.command(program).args(words))
    }

    /// Runs a command line with `input` on its standard input.
    pub fn feed(&self, line: &str, input: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        let program = words.next().context("an empty command line")?;
        let mut command = self.command(program);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {line:?}"))?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
        succeeded(&line, &child.wait_with_output()?)?;
        Ok(())
    }

    /// Runs one `ip` command line inside: `ip -n NAME …`.
    pub fn ip(&self, line: &str) -> Result<()> {
        output(Command::new("ip").args(["-n", &self.name]).args(line.split_whitespace()))?;
        Ok(())
    }

    /// Runs `task` on a thread that lives inside. Sockets it opens stay inside, whoever uses them later.
    pub fn inside<T: Send>(&self, task: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = format!("/run/netns/{}", self.name);
        let enter = || {
            let file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
            setns(&file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {path}"))?;
            task()
        };
        thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Writes one sysctl of this namespace; `key` with slashes, as below /proc/sys.
    pub fn sysctl(&self, key: &str, value: impl fmt::Display) -> Result<()> {
        let (path, value) = (format!("/proc/sys/{key}"), value.to_string());
        self.inside(|| fs::write(&path, &value).with_context(|| format!("cannot write {path}")))
    }

    /// Lets `interface` have IPv6 addresses, at once and without duplicate address detection.
    pub fn enable_ipv6(&self, interface: &str) -> Result<()> {
        self.sysctl(&format!("net/ipv6/conf/{interface}/accept_dad"), 0)?;
        self.sysctl(&format!("net/ipv6/conf/{interface}/disable_ipv6"), 0)
    }

    /// Makes a bridge that floods every frame to all its other ports, as a hub does: it never learns, never
    /// prunes multicast, and speaks for itself to nobody.
    pub fn hub(&self, name: &str, ports: &[&str]) -> Result<()> {
        self.ip(&format!("link add {name} mtu {MTU_MAX} type bridge ageing_time 0 mcast_snooping 0"))?;
        for port in ports {
            self.ip(&format!("link set {port} master {name}"))?;
            self.ip(&format!("link set {port} type bridge_slave learning off flood on"))?;
        }
        self.ip(&format!("link set {name} up"))?;
        wait_until(&format!("the ports of {name}"), FORWARDING, || {
            let links = output(
                Command::new("ip")
                    .args(["-n", &self.name, "-json", "-details"])
                    .args(["link", "show", "master", name]),
            )?;
            let links: Vec<Value> = serde_json::from_str(&links)?;
            Ok(links.iter().all(|link| link["linkinfo"]["info_slave_data"]["state"] == "forwarding"))
        })
    }
}

impl Namespace {
    /// Ends what still runs inside: sessions of servers, which outlive their server while a client hangs.
    fn clear(&self) -> Result<()> {
        for pid in output(Command::new("ip").args(["netns", "pids", &self.name]))?.lines() {
            match kill(Pid::from_raw(pid.parse()?), Signal::SIGKILL) {
                // It has ended by itself since.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => bail!("process {pid} goes on: {error}"),
            }
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("something goes on in namespace {}: {error:#}", self.name);
        }
        if let Err(error) = output(Command::new("ip").args(["netns", "del", &self.name])) {
            eprintln!("namespace {} is left behind: {error:#}", self.name);
        }
    }
}

/// Joins two namespaces by a veth pair: up at both ends, checksums finished in software (a raw socket must see
/// whole frames), no segmentation offload.
pub fn veth(a: (&Namespace, &str), b: (&Namespace, &str), mtu: u32) -> Result<()> {
    output(
        Command::new("ip").args(["link", "add", a.1, "mtu", &mtu.to_string(), "netns", a.0.name()]).args([
            "type",
            "veth",
            "peer",
            "name",
            b.1,
            "mtu",
            &mtu.to_string(),
            "netns",
            b.0.name(),
        ]),
    )?;
    for (namespace, interface) in [a, b] {
        namespace.run(&format!("ethtool -K {interface} tx off tso off gso off gro off"))?;
        namespace.ip(&format!("link set {interface} up"))?;
    }
    Ok(())
}

/// Whether namespaces can be made here; says so aloud where they cannot.
///
/// # Panics
///
/// With `CI=true`, where a test that does not run is one that fails.
pub fn available(test: &str) -> bool {
    match Namespace::create("probe") {
        Ok(_) => true,
        Err(error) => {
            crate::cannot_run(&format!("{test}: it needs root and network namespaces: {error:#}"));
            false
        }
    }
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// When it cannot be started or exits with anything but 0; with what it said.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    succeeded(command, &output)
}

fn succeeded(command: &dyn fmt::Debug, output: &Output) -> Result<String> {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{command:?}: {}: {}{}", output.status, out.trim(), err.trim());
    }
    Ok(out.into_owned())
}

/// Checks that the programs a test drives are installed; names those that are not.
pub fn installed(programs: &[&str]) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|program| output(&mut which(program)).is_err()).collect();
    ensure!(missing.is_empty(), "not installed: {missing:?}");
    Ok(())
}

fn which(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "PATH=$PATH:/usr/sbin:/sbin command -v \"$0\"", program]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn two_namespaces_reach_each_other_and_are_gone_after_a_panic() {
        if !available("netns") {
            return;
        }
        let (a, b) = (Namespace::create("a").unwrap(), Namespace::create("b").unwrap());
        let name = a.name().to_owned();
        let mut left = a.command("sleep").arg("60").spawn().unwrap();
        veth((&a, "eth0"), (&b, "eth0"), 1500).unwrap();
        a.ip("addr add 10.0.0.1/24 dev eth0").unwrap();
        b.ip("addr add 10.0.0.2/24 dev eth0").unwrap();
        a.run("ping -c 1 -W 2 10.0.0.2").unwrap();
        assert!(a.run("ping -c 1 -W 1 10.0.0.3").is_err());

        let panicked = thread::spawn(move || {
            let _held = a;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert!(!fs::exists(format!("/run/netns/{name}")).unwrap());
        assert_eq!(left.wait().unwrap().signal(), Some(9), "what was left inside is ended");
    }
}
