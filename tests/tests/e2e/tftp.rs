//! TFTP: tftpd-hpa on host B. Each transfer goes over a port that the server chooses.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::clients::curl;
use crate::servers::{content, in_url};

/// Bytes of a file: some tens of blocks of 512.
const SIZE: usize = 30_000;

/// A running server; ended on drop.
pub(crate) struct Tftp {
    files: TempDir,
    _server: Background,
}

impl Tftp {
    /// Starts one and waits until it listens.
    pub(crate) fn start(host: &Namespace) -> Result<Self> {
        let files = tempfile::tempdir()?;
        fs::write(files.path().join("book"), content("book", SIZE))?;
        let mut command = host.command("in.tftpd");
        command.args(["--foreground", "--create", "--permissive", "--user", "root", "--secure"]);
        let server = Background::start("in.tftpd", command.arg(files.path()))?;
        wait_until("in.tftpd", Duration::from_secs(5), || Ok(!host.run("ss -Hlnu sport = :69")?.is_empty()))
            .with_context(|| server.log())?;
        Ok(Self { files, _server: server })
    }

    /// A file down and another one up, both whole.
    pub(crate) fn transfer(&self, a: &Namespace, client: &str, server: &str) -> Result<()> {
        let place = format!("tftp://{}", in_url(server));
        let book = curl(a, &["--interface", client, &format!("{place}/book")])?;
        ensure!(book == content("book", SIZE), "the download differs: {} bytes", book.len());

        let name = format!("letter-{}", client.replace([':', '.'], "-"));
        let letter = content(&name, SIZE);
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), &letter)?;
        let path = file.path().to_str().context("a path that is not text")?;
        curl(a, &["--interface", client, "--upload-file", path, &format!("{place}/{name}")])?;
        ensure!(fs::read(self.files.path().join(&name))? == letter, "the upload differs");
        Ok(())
    }
}
