//! FRR: zebra and bgpd of one speaker in a namespace, with files of their own.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{User, chown};
use tempfile::TempDir;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

const READY: Duration = Duration::from_secs(10);

/// Where Debian has the daemons.
const DAEMONS: &str = "/usr/lib/frr";

/// A speaker; ended on drop.
pub(crate) struct Frr<'a> {
    host: &'a Namespace,
    folder: TempDir,
    daemons: Vec<Background>,
}

impl<'a> Frr<'a> {
    /// Starts zebra, and bgpd with this configuration.
    pub(crate) fn start(host: &'a Namespace, bgp: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("zebra.conf"), "")?;
        fs::write(folder.path().join("bgpd.conf"), bgp)?;
        let user = User::from_name("frr")?.context("there is no user frr")?;
        chown(folder.path(), Some(user.uid), Some(user.gid))?;
        let mut frr = Self { host, folder, daemons: Vec::new() };
        frr.spawn("zebra", "zserv.api")?;
        frr.spawn("bgpd", "bgpd.vty")?;
        Ok(frr)
    }

    /// Starts a daemon and waits until its socket is there.
    fn spawn(&mut self, daemon: &str, socket: &str) -> Result<()> {
        let folder = self.folder.path();
        let mut command = self.host.command(&format!("{DAEMONS}/{daemon}"));
        command.args(["-A", "127.0.0.1", "-P", "0", "--log", "stdout"]);
        command.arg("-f").arg(folder.join(format!("{daemon}.conf")));
        command.arg("-i").arg(folder.join(format!("{daemon}.pid")));
        command.arg("-z").arg(folder.join("zserv.api"));
        command.arg("--vty_socket").arg(folder);
        self.daemons.push(Background::start(daemon, &mut command)?);
        wait_until(&format!("{daemon}'s socket"), READY, || Ok(folder.join(socket).exists()))
            .with_context(|| self.log())
    }

    /// Runs commands of bgpd's command line, one after the other, and returns what they printed.
    pub(crate) fn bgp(&self, commands: &[&str]) -> Result<String> {
        let mut command = self.host.command("vtysh");
        command.arg("--vty_socket").arg(self.folder.path()).args(["-d", "bgpd"]);
        for words in commands {
            command.args(["-c", words]);
        }
        weir_tests::netns::output(&mut command).with_context(|| self.log())
    }

    /// What its daemons have said.
    pub(crate) fn log(&self) -> String {
        self.daemons.iter().map(Background::log).collect()
    }
}
