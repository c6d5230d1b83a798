//! Programs in the background, and waiting for what they do, always with a deadline.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, fs, thread};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

const GRACE: Duration = Duration::from_secs(15);

/// A program running in the background; ended on drop, by its own process id and nothing else.
#[derive(Debug)]
pub struct Background {
    name: String,
    child: Child,
    log: NamedTempFile,
}

impl Background {
    /// Starts `command`; what it prints, on either output, is kept in [`log`](Self::log).
    pub fn start(name: impl Into<String>, command: &mut Command) -> Result<Self> {
        let name = name.into();
        let log = NamedTempFile::new()?;
        let writer = || -> Result<File> { Ok(log.as_file().try_clone()?) };
        let child = command
            .stdin(Stdio::null())
            .stdout(writer()?)
            .stderr(writer()?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read(self.log.path()).map_or_else(
            |error| format!("its log cannot be read: {error}"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Its exit status, when it has ended.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it has not ended after `timeout`; with its log.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let mut status = None;
        let ended = wait_until(&format!("the end of {}", self.name), timeout, || {
            status = self.status()?;
            Ok(status.is_some())
        });
        ended.with_context(|| format!("log of {}:\n{}", self.name, self.log()))?;
        status.context("no status")
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(GRACE)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if matches!(self.status(), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.terminate() {
            eprintln!("{} is killed: {error:#}", self.name);
            // It may have ended by itself since; nothing is left to do then.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Asks every few milliseconds until `done` says true.
///
/// # Errors
/// What `done` fails with, or that `what` did not come within `timeout`.
pub fn wait_until(
    what: &(impl fmt::Display + ?Sized),
    timeout: Duration,
    mut done: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + timeout;
    while !done()? {
        if Instant::now() > deadline {
            bail!("{what} did not come within {timeout:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_background_program_is_logged_and_ended() {
        let mut echo =
            Background::start("sh", Command::new("sh").args(["-c", "echo there; exit 3"])).unwrap();
        assert_eq!(echo.wait(GRACE).unwrap().code(), Some(3));
        assert_eq!(echo.log(), "there\n");

        let sleep = Background::start("sleep", Command::new("sleep").arg("60")).unwrap();
        let proc = format!("/proc/{}", sleep.pid());
        assert!(fs::exists(&proc).unwrap());
        drop(sleep);
        assert!(!fs::exists(&proc).unwrap());
    }

    #[test]
    fn waiting_has_an_end() {
        let error = wait_until("the moon", Duration::from_millis(20), || Ok(false)).unwrap_err();
        assert_eq!(error.to_string(), "the moon did not come within 20ms");
    }
}
