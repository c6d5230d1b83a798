//! The clients on host A: real ones, whose results are compared with what the servers hold.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::netns::Namespace;

use crate::lab::{B4, B6, clients4, clients6};
use crate::servers::{DNS_ANSWER, DNS_NAME, HTTP_PORT, Servers, content, in_url};

/// Both families answer pings; none is lost, none is doubled.
pub(crate) fn ping(a: &Namespace) -> Result<()> {
    for target in [B4, B6] {
        let said = a.run(&format!("ping -n -c 20 -i 0.02 -W 2 {target}"))?;
        ensure!(said.contains(" 0% packet loss") && !said.contains("duplicates"), "{said}");
    }
    Ok(())
}

/// Every client address of both families fetches a page.
pub(crate) fn http(a: &Namespace, servers: &Servers) -> Result<()> {
    let page = servers.file("page")?;
    for (server, clients) in [(B4, clients4().collect::<Vec<_>>()), (B6, clients6().collect())] {
        let url = format!("http://{}:{HTTP_PORT}/page", in_url(server));
        let fetch = |client| ["--next", "--globoff", "--max-time", "10", "--interface", client, &url];
        let words: Vec<_> = clients.iter().flat_map(|client| fetch(client)).collect();
        let got = curl(a, &words[1..])?;
        ensure!(got == page.repeat(clients.len()), "other pages from {server}: {} bytes", got.len());
    }
    Ok(())
}

/// Every fifth client address asks for a name over UDP.
pub(crate) fn dns(a: &Namespace) -> Result<()> {
    for (server, clients) in [(B4, clients4().collect::<Vec<_>>()), (B6, clients6().collect())] {
        for client in clients.iter().step_by(5) {
            let answer = a.run(&format!("dig +short +tries=1 +time=3 -b {client} @{server} {DNS_NAME} A"))?;
            ensure!(answer.trim() == DNS_ANSWER, "{client} was told {answer:?}");
        }
    }
    Ok(())
}

/// Who opens the data connection of an FTP transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Opener {
    /// The client: PASV and EPSV.
    Client,
    /// The server: PORT and EPRT.
    Server,
}

impl Opener {
    /// What curl is told over IPv4.
    pub(crate) fn ways4(self) -> impl Iterator<Item = &'static [&'static str]> {
        self.ways().into_iter().filter(|(server, _)| *server == B4).map(|(_, way)| way)
    }

    /// What curl is told, by address family.
    const fn ways(self) -> [(&'static str, &'static [&'static str]); 3] {
        match self {
            Self::Client => [(B4, &["--disable-epsv"]), (B4, &[]), (B6, &[])],
            Self::Server => [
                (B4, &["--ftp-port", "-", "--disable-eprt"]),
                (B4, &["--ftp-port", "-"]),
                (B6, &["--ftp-port", "-"]),
            ],
        }
    }
}

/// Downloads and uploads over both families in all ways, from `clients` addresses of each.
pub(crate) fn ftp(a: &Namespace, servers: &Servers, opener: Opener, clients: usize) -> Result<()> {
    for client in clients4().take(clients) {
        ftp_as(a, servers, opener, &client, B4)?;
    }
    for client in clients6().take(clients) {
        ftp_as(a, servers, opener, &client, B6)?;
    }
    Ok(())
}

/// Downloads and uploads in all ways of the server's family.
pub(crate) fn ftp_as(
    a: &Namespace,
    servers: &Servers,
    opener: Opener,
    client: &str,
    server: &str,
) -> Result<()> {
    let ways = opener.ways().into_iter().enumerate().filter(|(_, (family, _))| *family == server);
    for (number, (_, way)) in ways {
        ftp_both_ways(a, servers, (client, server), way, &format!("{opener:?}-{number}"))
            .with_context(|| format!("FTP from {client} with {way:?}"))?;
    }
    Ok(())
}

fn ftp_both_ways(
    a: &Namespace,
    servers: &Servers,
    (client, server): (&str, &str),
    way: &[&str],
    label: &str,
) -> Result<()> {
    let place = format!("ftp://{}", in_url(server));
    let way = [&["--interface", client], way].concat();
    let book = curl(a, &[&way[..], &[&format!("{place}/book")]].concat())?;
    ensure!(book == servers.file("book")?, "the download differs: {} bytes", book.len());

    let name = format!("{label}-{}", client.replace([':', '.'], "-"));
    let letter = content(&name, 70_000);
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), &letter)?;
    let path = file.path().to_str().context("a path that is not text")?;
    curl(a, &[&way[..], &["--upload-file", path, &format!("{place}/upload/{name}")]].concat())?;
    ensure!(servers.uploaded(&name)? == letter, "the upload differs");
    Ok(())
}

/// Two seconds of TCP each way; returns the megabits a second.
pub(crate) fn iperf(a: &Namespace, client: &str, server: &str) -> Result<[f64; 2]> {
    iperf_with(a, client, server, "")
}

/// The same at a rate that loses nothing.
pub(crate) fn iperf_paced(a: &Namespace, client: &str, server: &str) -> Result<[f64; 2]> {
    iperf_with(a, client, server, "--bitrate 10M --length 1200 --no-delay")
}

fn iperf_with(a: &Namespace, client: &str, server: &str, more: &str) -> Result<[f64; 2]> {
    let mut rates = [0.0; 2];
    for (rate, direction) in rates.iter_mut().zip(["", "--reverse"]) {
        let said =
            a.run(&format!("iperf3 --client {server} --bind {client} --time 2 --json {direction} {more}"))?;
        let report: Value = serde_json::from_str(&said)?;
        let bits = report["end"]["sum_received"]["bits_per_second"].as_f64().context("no rate")?;
        ensure!(bits > 0.0, "nothing arrived: {said}");
        *rate = bits / 1e6;
    }
    Ok(rates)
}

/// What curl fetched.
pub(crate) fn curl(host: &Namespace, words: &[&str]) -> Result<Vec<u8>> {
    let mut command = host.command("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "10", "--globoff"]).args(words);
    let output = command.output()?;
    ensure!(output.status.success(), "curl {words:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}
