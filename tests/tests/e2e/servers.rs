//! The servers on host B: real ones, each with a folder of files or a zone to serve.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

/// Where the HTTP server listens.
pub(crate) const HTTP_PORT: u16 = 8080;
/// What the DNS server knows.
pub(crate) const DNS_NAME: &str = "gateway.weir.test";
/// What it answers.
pub(crate) const DNS_ANSWER: &str = "192.0.2.77";

/// At what rate a slow FTP server sends, in bytes a second, and how much at once.
pub(crate) const FTP_RATE: usize = 200_000;
const FTP_CHUNK: usize = 4096;

const READY: Duration = Duration::from_secs(10);

/// Everything that runs on host B; ended on drop.
pub(crate) struct Servers {
    files: TempDir,
    _running: Vec<Background>,
}

impl Servers {
    /// Starts all of them and waits until they listen.
    pub(crate) fn start(host: &Namespace) -> Result<Self> {
        Self::start_with(host, &[("page", 2_000), ("book", 300_000)], "")
    }

    /// The same with an FTP server that takes `duration` to send `novel`, little by little.
    pub(crate) fn start_slow(host: &Namespace, duration: Duration) -> Result<Self> {
        let novel = FTP_RATE * duration.as_millis() as usize / 1000;
        // A node that comes in the middle takes the end with the higher port for the client.
        let (low, high) = (20_000, 20_999);
        let slowly = format!(
            "anon_max_rate={FTP_RATE}\ntrans_chunk_size={FTP_CHUNK}\npasv_min_port={low}\npasv_max_port={high}\n"
        );
        Self::start_with(host, &[("novel", novel)], &slowly)
    }

    fn start_with(host: &Namespace, offered: &[(&str, usize)], ftp_settings: &str) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let root = files.path().join("ftp");
        fs::create_dir_all(root.join("upload"))?;
        open_to_all(files.path(), 0o755)?;
        open_to_all(&root.join("upload"), 0o777)?;
        for (name, size) in offered {
            fs::write(root.join(name), content(name, *size))?;
        }
        let running =
            vec![http(host, &root)?, dns(host)?, ftp(host, files.path(), &root, ftp_settings)?, iperf(host)?];
        let servers = Self { files, _running: running };
        let wanted = [(HTTP_PORT, 't'), (53, 'u'), (21, 't'), (5201, 't')];
        wait_until("a server", READY, || {
            Ok(wanted.iter().all(|(port, kind)| {
                host.run(&format!("ss -Hln{kind} sport = :{port}")).is_ok_and(|out| !out.trim().is_empty())
            }))
        })
        .with_context(|| servers.logs())?;
        Ok(servers)
    }

    /// The content of a file that the servers offer.
    pub(crate) fn file(&self, name: &str) -> Result<Vec<u8>> {
        self.read(name)
    }

    /// The content of a file that a client uploaded.
    pub(crate) fn uploaded(&self, name: &str) -> Result<Vec<u8>> {
        self.read(&format!("upload/{name}"))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path: PathBuf = self.files.path().join("ftp").join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn logs(&self) -> String {
        self._running.iter().map(Background::log).collect()
    }
}

/// `size` bytes that differ from file to file and from place to place.
pub(crate) fn content(name: &str, size: usize) -> Vec<u8> {
    name.bytes().chain([b'\n']).cycle().zip(0..size).map(|(byte, i)| byte ^ (i / 251 % 256) as u8).collect()
}

fn http(host: &Namespace, root: &Path) -> Result<Background> {
    let mut command = host.command("python3");
    command.args(["-m", "http.server", &HTTP_PORT.to_string(), "--bind", "::", "--directory"]).arg(root);
    Background::start("http.server", &mut command)
}

fn dns(host: &Namespace) -> Result<Background> {
    let mut command = host.command("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
    ]);
    command.args(["--pid-file=", "--log-facility=-", "--bind-interfaces", "--interface=eth0"]);
    command.arg(format!("--address=/{DNS_NAME}/{DNS_ANSWER}"));
    Background::start("dnsmasq", &mut command)
}

/// A server of the files below `root`, with `more` settings beside its own, which are kept in `folder`.
pub(crate) fn ftp(host: &Namespace, folder: &Path, root: &Path, more: &str) -> Result<Background> {
    let empty = folder.join("empty");
    fs::create_dir(&empty)?;
    let settings = format!(
        "listen=NO\nlisten_ipv6=YES\nbackground=NO\nseccomp_sandbox=NO\nanonymous_enable=YES\nlocal_enable=NO\n\
         no_anon_password=YES\nwrite_enable=YES\nanon_upload_enable=YES\nanon_umask=022\nport_enable=YES\n\
         pasv_enable=YES\nconnect_from_port_20=YES\nxferlog_enable=NO\nanon_root={}\nsecure_chroot_dir={}\n{more}",
        root.display(),
        empty.display()
    );
    let path = folder.join("vsftpd.conf");
    fs::write(&path, settings)?;
    Background::start("vsftpd", host.command("vsftpd").arg(&path))
}

fn iperf(host: &Namespace) -> Result<Background> {
    Background::start("iperf3 server", host.command("iperf3").args(["--server", "--forceflush"]))
}

/// Gives a file or folder other rights than those that it was made with.
pub(crate) fn open_to_all(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// An address as it stands in a URL.
pub(crate) fn in_url(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}
