//! What runs on the servers of the farm and at the sites: web servers, FTP servers, caches.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::User;
use tempfile::TempDir;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::servers::{content, ftp, open_to_all};

const READY: Duration = Duration::from_secs(10);

/// A web server at port 80 of all addresses of a namespace; ended on drop.
pub(crate) struct Web(Background);

impl Web {
    /// Starts one that says `name` on each page and lets each visitor wait for `delay`.
    pub(crate) fn start(host: &Namespace, name: &str, delay: Duration) -> Result<Self> {
        Self::start_as(host, name, delay, &[])
    }

    /// The same over IPv6.
    pub(crate) fn start6(host: &Namespace, name: &str, delay: Duration) -> Result<Self> {
        Self::start_as(host, name, delay, &["6"])
    }

    fn start_as(host: &Namespace, name: &str, delay: Duration, version: &[&str]) -> Result<Self> {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/web.py");
        let mut command = host.command("python3");
        command.args([program, name, &delay.as_millis().to_string()]).args(version);
        let web = Self(Background::start("web.py", &mut command)?);
        listens(host, 80).with_context(|| web.0.log())?;
        Ok(web)
    }

    /// Who has visited, at which address, for which page.
    pub(crate) fn visits(&self) -> Vec<[String; 3]> {
        let line = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            [(); 3].map(|()| words.next().unwrap_or_default())
        };
        self.0.log().lines().map(line).collect()
    }
}

/// An FTP server at all addresses of a namespace; ended on drop.
pub(crate) struct Ftp {
    files: TempDir,
    _server: Background,
}

impl Ftp {
    /// Starts one that offers its `name`, a [`book`](Self::book), and a place for uploads.
    pub(crate) fn start(host: &Namespace, name: &str) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let root = files.path().join("ftp");
        fs::create_dir_all(root.join("upload"))?;
        open_to_all(files.path(), 0o755)?;
        open_to_all(&root.join("upload"), 0o777)?;
        fs::write(root.join("name"), name)?;
        fs::write(root.join("book"), Self::book())?;
        let server = ftp(host, files.path(), &root, "")?;
        listens(host, 21).with_context(|| server.log())?;
        Ok(Self { files, _server: server })
    }

    /// What every server has.
    pub(crate) fn book() -> Vec<u8> {
        content("book", 300_000)
    }

    /// What a client uploaded here.
    pub(crate) fn uploaded(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.files.path().join("ftp/upload").join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// Where a cache takes what is redirected to it.
const INTERCEPTING: u16 = 3129;
/// Where it speaks as a proxy that one asks by name.
pub(crate) const PROXY: u16 = 3128;

/// A squid that takes all connections to web servers that come into its namespace; ended on drop.
pub(crate) struct Squid {
    folder: TempDir,
    squid: Background,
}

impl Squid {
    /// Starts one that calls itself `name`, and waits until it listens.
    pub(crate) fn start(host: &Namespace, name: &str) -> Result<Self> {
        host.run(&format!(
            "iptables-legacy -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports {INTERCEPTING}"
        ))?;
        let folder = tempfile::tempdir()?;
        // As root it gives up its privileges before it opens its files.
        let user = User::from_name("proxy")?.context("there is no user 'proxy'")?;
        chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        open_to_all(folder.path(), 0o755)?;
        let path = folder.path().join("squid.conf");
        fs::write(&path, settings(name, &folder.path().display().to_string()))?;
        let mut command = host.command("squid");
        let squid = Background::start("squid", command.args(["-N", "-f"]).arg(&path))?;
        let squid = Self { folder, squid };
        [INTERCEPTING, PROXY]
            .iter()
            .try_for_each(|port| listens(host, *port))
            .with_context(|| squid.log())?;
        Ok(squid)
    }

    /// Pages of sites that it had when it was asked for them, as its log tells.
    pub(crate) fn hits(&self) -> Result<usize> {
        let log = fs::read_to_string(self.file("access.log"))?;
        let is_hit =
            |line: &str| line.split_whitespace().nth(3).is_some_and(|word| word.contains("_HIT/200"));
        // Checks ask for a page of its own.
        let of_sites = log.lines().filter(|line| !line.contains("/squid-internal-"));
        Ok(of_sites.filter(|line| is_hit(line)).count())
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.squid.signal(Signal::SIGKILL)?;
        self.squid.wait(READY)?;
        Ok(())
    }

    fn log(&self) -> String {
        self.squid.log() + &fs::read_to_string(self.file("cache.log")).unwrap_or_default()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A cache in memory alone, which leaves nothing anywhere else and asks no name server.
fn settings(name: &str, folder: &str) -> String {
    format!(
        "http_port {PROXY}\n\
         http_port {INTERCEPTING} intercept\n\
         http_access allow all\n\
         visible_hostname {name}\n\
         cache_mem 16 MB\n\
         maximum_object_size_in_memory 1 MB\n\
         access_log stdio:{folder}/access.log\n\
         cache_log {folder}/cache.log\n\
         pid_filename {folder}/squid.pid\n\
         coredump_dir {folder}\n\
         netdb_filename none\n\
         pinger_enable off\n\
         dns_nameservers 127.0.0.1\n\
         max_filedescriptors 4096\n\
         shutdown_lifetime 0 seconds\n\
         forwarded_for delete\n"
    )
}

fn listens(host: &Namespace, port: u16) -> Result<()> {
    wait_until(&format!("a server at port {port}"), READY, || {
        Ok(!host.run(&format!("ss -Hlnt sport = :{port}"))?.trim().is_empty())
    })
}
