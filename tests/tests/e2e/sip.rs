//! SIP: SIPp on both hosts. The phone on host B talks first, over RTP, to the port that the caller's SDP names.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_tests::netns::Namespace;
use weir_tests::process::{Background, wait_until};

use crate::servers::{content, in_url};

const PORT: &str = "5060";
const CALLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/caller.xml");
const PHONE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/phone.xml");
/// Bytes of voice: 25 packets of 20 ms.
const VOICE: usize = 25 * 160;

/// What carries the signalling.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

impl Over {
    /// SIPp's word for one socket.
    const fn word(self) -> &'static str {
        match self {
            Self::Udp => "u1",
            Self::Tcp => "t1",
        }
    }

    /// The kind of socket that `ss` is to list.
    const fn listing(self) -> char {
        match self {
            Self::Udp => 'u',
            Self::Tcp => 't',
        }
    }
}

/// One call from `client` on host A to `server` on host B; both ends are content with it.
pub(crate) fn call(a: &Namespace, b: &Namespace, over: Over, client: &str, server: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("voice.raw"), content("voice", VOICE))?;
    let sipp = |host: &Namespace, scenario, address: &str, ports: [&str; 2]| {
        let mut command = host.command("sipp");
        let [signalling, media] = ports;
        command.current_dir(folder.path()).args(["-sf", scenario, "-t", over.word()]);
        command.args(["-i", &in_url(address), "-p", signalling, "-mi", &in_url(address), "-mp", media]);
        command.args(["-m", "1", "-nostdin", "-trace_err", "-timeout", "10"]);
        command
    };
    let mut phone = Background::start("the phone", &mut sipp(b, PHONE, server, [PORT, "42000"]))?;
    let listening = format!("ss -Hln{} sport = :{PORT}", over.listing());
    wait_until("the phone", Duration::from_secs(5), || Ok(!b.run(&listening)?.is_empty()))
        .with_context(|| phone.log())?;
    let mut command = sipp(a, CALLER, client, ["40000", "41000"]);
    command.args(["-rtp_echo", &format!("{}:{PORT}", in_url(server))]);
    let mut caller = Background::start("the caller", &mut command)?;
    for end in [&mut caller, &mut phone] {
        let status = end.wait(Duration::from_secs(15))?;
        ensure!(status.success(), "a call over {over:?} from {client}: {status}: {}", end.log());
    }
    Ok(())
}
