//! PPTP: pptpd on host B, pptp on host A. In pppd's place stands a program that needs no /dev/ppp; the control
//! connection and the GRE between the hosts are the real programs'.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

const PPP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/ppp.py");

/// A running server; ended on drop.
pub(crate) struct Pptp {
    _folder: TempDir,
    _server: Background,
}

impl Pptp {
    /// Starts one and waits until it listens.
    pub(crate) fn start(host: &Namespace) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("pptpd.conf");
        fs::write(&config, "localip 172.31.0.1\nremoteip 172.31.0.2-9\n")?;
        let mut command = host.command("pptpd");
        command.args(["--fg", "--ppp", PPP, "--option", "/dev/null", "--conf"]).arg(config);
        command.arg("--pidfile").arg(folder.path().join("pid"));
        let server = Background::start("pptpd", &mut command)?;
        wait_until("pptpd", Duration::from_secs(5), || Ok(!host.run("ss -Hlnt sport = :1723")?.is_empty()))
            .with_context(|| server.log())?;
        Ok(Self { _folder: folder, _server: server })
    }
}

/// A tunnel from `client` on host A to `server`, with frames through it both ways.
pub(crate) fn tunnel(a: &Namespace, client: &str, server: &str) -> Result<()> {
    a.run(&format!("python3 {PPP} {client} {server}"))?;
    Ok(())
}
