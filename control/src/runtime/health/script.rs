//! A program that says by its exit status whether a server lives.
//!
//! It is called with its arguments, then the server's name, address and port. Its environment is `PATH` and
//! `WEIR_DEVICE`, the network interface that the server is behind, empty where that has no tap; its folder is `/`, its input and output go nowhere. It
//! is killed with all of its process group when its time is up or the check is ended. What the kernel holds back even then
//! waits among the [`Remains`], and its server is not asked again before it is gone.

use super::trouble::Trouble;
use crate::health::{Failure, Subject, Ticket};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Where it finds programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Processes that have been killed and have not ended yet, and whose checks they were.
#[derive(Debug, Default)]
pub(super) struct Remains(Mutex<Vec<(Ticket, Child)>>);

impl Remains {
    /// Lets those go that have ended; whether there is one left of this check.
    fn has(&self, ticket: Ticket) -> bool {
        let mut all = self.all();
        all.retain_mut(|(_, child)| !matches!(child.try_wait(), Ok(Some(_))));
        all.iter().any(|(left_by, _)| *left_by == ticket)
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Ticket, Child)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `program` for the server, and has it ask at `port`.
pub(super) async fn check(
    program: &Path,
    arguments: &[String],
    port: u16,
    subject: &Subject,
    (ticket, remains): (Ticket, &Remains),
) -> Result<(), Trouble> {
    if remains.has(ticket) {
        let message = format!("the last {} was killed and has not ended", program.display());
        return Err(Trouble::Unable(message));
    }
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
    let mut running = Running { child: Some(child), ticket, remains };
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
struct Running<'a> {
    child: Option<Child>,
    ticket: Ticket,
    remains: &'a Remains,
}

impl Running<'_> {
    fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Ok(pid) = i32::try_from(child.id()) {
            // It leads its group, and has not been waited for: the number is still its own. It may have ended by now.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        // The kernel may hold a process back, and control does not wait for that.
        if !matches!(child.try_wait(), Ok(Some(_))) {
            self.remains.all().push((self.ticket, child));
        }
    }
}

#[cfg(test)]
impl Remains {
    /// As if the check of `ticket` had left this behind.
    pub(super) fn leave(&self, ticket: Ticket, child: Child) {
        self.all().push((ticket, child));
    }
}
