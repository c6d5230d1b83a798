//! A program that says by its exit status whether a server lives.
//!
//! It is called with its arguments, then the server's name, address and port. Its environment is `PATH` and
//! `WEIR_DEVICE`, the network interface that the server is behind, empty where that has no tap; its folder is `/`, its input and output go nowhere. It
//! is killed with all of its process group when its time is up or the check is ended.

use super::trouble::Trouble;
use crate::health::{Failure, Subject};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Where it finds programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs `program` for the server, and has it ask at `port`.
pub(super) async fn check(
    program: &Path,
    arguments: &[String],
    port: u16,
    subject: &Subject,
) -> Result<(), Trouble> {
    let unable =
        |error: std::io::Error| Trouble::Unable(format!("cannot run {}: {error}", program.display()));
    let address = subject.address.map_or_else(String::new, |address| address.to_string());
    let child = Command::new(program)
        .args(arguments)
        .args([&*subject.server, &address, &port.to_string()])
        .env_clear()
        .env("PATH", PATH)
        .env("WEIR_DEVICE", subject.device.as_deref().unwrap_or_default())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(unable)?;
    let mut running = Running(Some(child));
    loop {
        if let Some(status) = running.ended().map_err(unable)? {
            return judge(status);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn judge(status: ExitStatus) -> Result<(), Trouble> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::Exit(code).into()),
        (None, signal) => Err(Failure::Signal(signal.unwrap_or_default()).into()),
    }
}

/// A process that does not outlive its check.
struct Running(Option<Child>);

impl Running {
    fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.0 else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.0 = None;
        }
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        if let Ok(pid) = i32::try_from(child.id()) {
            // It leads its group, and has not been waited for: the number is still its own. It may have ended by now.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        // The kernel may hold a process back, and control does not wait for that.
        if !matches!(child.try_wait(), Ok(Some(_))) {
            std::thread::spawn(move || child.wait());
        }
    }
}
