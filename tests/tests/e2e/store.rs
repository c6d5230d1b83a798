//! A real etcd on the nodes' own network, which the nodes and it prove themselves to.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::lab::{Lab, STATION};

const START: Duration = Duration::from_secs(20);

/// An etcd in a namespace of its own; ended on drop.
pub(crate) struct Etcd {
    data: TempDir,
    namespace: Namespace,
    server: Option<Background>,
}

/// Where it is asked.
pub(crate) fn endpoint() -> String {
    format!("https://{STATION}:2379")
}

impl Etcd {
    /// Starts one and waits until it can be asked.
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let data = tempfile::tempdir()?;
        write_credentials(data.path())?;
        let mut etcd = Self { data, namespace: lab.station("etcd")?, server: None };
        etcd.restart()?;
        Ok(etcd)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut server = self.server.take().context("etcd runs")?;
        server.signal(Signal::SIGKILL)?;
        server.wait(START)?;
        Ok(())
    }

    /// Starts it again, with the data that it left.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let folder = self.data.path();
        let mut command = self.namespace.command("etcd");
        command.args(["--name=store", "--listen-peer-urls=http://127.0.0.1:2380"]);
        command.args([
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=store=http://127.0.0.1:2380",
        ]);
        command.arg(format!("--data-dir={}", folder.join("data").display()));
        command
            .arg(format!("--listen-client-urls={0}", endpoint()))
            .arg(format!("--advertise-client-urls={0}", endpoint()));
        command.arg("--client-cert-auth");
        for (flag, file) in [("trusted-ca-file", CA), ("cert-file", CERTIFICATE), ("key-file", KEY)] {
            command.arg(format!("--{flag}={}", folder.join(file).display()));
        }
        let server = Background::start("etcd", &mut command)?;
        wait_until("etcd", START, || Ok(server.log().contains("serving client requests on")))
            .with_context(|| server.log())?;
        self.server = Some(server);
        Ok(())
    }
}

/// The files with which the nodes and etcd prove themselves.
pub(crate) const CA: &str = "ca.pem";
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";

/// Writes them: one certificate, of one authority, for all nodes and etcd.
pub(crate) fn write_credentials(folder: &Path) -> Result<()> {
    static MADE: OnceLock<[(&str, String); 3]> = OnceLock::new();
    for (name, pem) in MADE.get_or_init(|| credentials().expect("an authority")) {
        fs::write(folder.join(name), pem)?;
    }
    Ok(())
}

fn credentials() -> Result<[(&'static str, String); 3]> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![STATION.to_owned()])?.signed_by(&key, &ca)?;
    Ok([(CA, ca.pem()), (CERTIFICATE, leaf.pem()), (KEY, key.serialize_pem())])
}
