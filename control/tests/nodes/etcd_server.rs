//! A real etcd on the loopback, with its own data, and what can be done to it.

use super::tcp_port;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Whether the tests can run here; says so where they cannot.
///
/// # Panics
/// With `CI=true`, where a test that does not run is one that fails.
pub(crate) fn ready() -> bool {
    if Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
        return true;
    }
    weir_tests::cannot_run("there is no etcd; install it with `scripts/setup.sh test`");
    false
}

/// An etcd; killed on drop.
pub(crate) struct Etcd {
    child: Child,
    data: TempDir,
    client_port: u16,
    peer_port: u16,
    tls: Option<Vec<String>>,
}

impl Etcd {
    /// Starts one that speaks plain HTTP.
    pub(crate) async fn start() -> Self {
        Self::launch(None).await
    }

    /// Starts one that proves itself with `certificate` and `key`, and wants proof of `ca` from its clients.
    pub(crate) async fn start_with_tls(ca: &Path, certificate: &Path, key: &Path) -> Self {
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let mut flags =
            vec![flag("cert-file", certificate), flag("key-file", key), flag("trusted-ca-file", ca)];
        flags.push("--client-cert-auth".to_owned());
        Self::launch(Some(flags)).await
    }

    async fn launch(tls: Option<Vec<String>>) -> Self {
        let data = TempDir::new().unwrap();
        let (client_port, peer_port) = (tcp_port(), tcp_port());
        let child = spawn(data.path(), client_port, peer_port, tls.as_deref());
        let etcd = Self { child, data, client_port, peer_port, tls };
        etcd.answers().await;
        etcd
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.client_port)
    }

    /// As by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Forgets all that it knew, while it is not running.
    pub(crate) fn wipe(&self) {
        std::fs::remove_dir_all(self.data.path().join("member")).unwrap();
    }

    /// Starts it again, with the data that it left.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.data.path(), self.client_port, self.peer_port, self.tls.as_deref());
        self.answers().await;
    }

    async fn answers(&self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.client_port)).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "etcd does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &Path, client_port: u16, peer_port: u16, tls: Option<&[String]>) -> Child {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let client = format!("{scheme}://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    Command::new("etcd")
        .arg("--name=test")
        .arg(format!("--data-dir={}", data.display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=test={peer}"))
        .args(tls.unwrap_or_default())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A cable to etcd that can be cut: then nothing comes through, and no end hears of it.
pub(crate) struct Cable {
    cut: watch::Sender<bool>,
    port: u16,
}

impl Cable {
    /// A cable to `etcd`.
    pub(crate) async fn to(etcd: &Etcd) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, is_cut) = watch::channel(false);
        let is_cut = Arc::new(is_cut);
        let server = etcd.client_port;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, (*is_cut).clone()));
            }
        });
        Self { cut, port }
    }

    /// Its near end.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cuts it, or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn carry(mut client: TcpStream, server: u16, mut is_cut: watch::Receiver<bool>) {
    if !*is_cut.borrow() {
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = is_cut.wait_for(|cut| *cut) => {}
        }
        // What was on its way is lost; the ends believe in their connection until the cable is mended.
        let _ = is_cut.wait_for(|cut| !*cut).await;
        drop(server);
    } else {
        let _ = is_cut.wait_for(|cut| !*cut).await;
    }
}
