//! Linux as the oracle: what conntrack, its helpers and the cluster match say of each frame of a capture.
//!
//! The frames go one by one into one port of a two-port bridge in a namespace of its own, with bridge netfilter
//! on. Rules in PREROUTING write what Linux thinks of the packet into its mark, and log the mark to us; what
//! leaves the other port is counted. Behind every frame goes a *fence*, a frame of an ethertype that nobody
//! looks at: the kernel handles both in order, so when the fence has arrived, everything that was logged and
//! received before it is the answer to the frame.
//!
//! Time stands still: every timeout is raised far beyond the length of a run, all by the same factor. Needs root.

mod flow;
mod netlink;
mod nflog;
mod rules;
mod wire;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use netlink_sys::Socket;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use crate::conformance::{LinuxAnswer, LinuxVerdict};
use crate::netns::{MTU_MAX, Namespace, veth};

pub use flow::Flow;
use nflog::Nflog;
pub use rules::{EVERY_HELPER, FTP, Helper, Rules, TIMEOUT_FACTOR, TIMEOUT_MAX_S};
use wire::{Fence, In, Out};

/// How long a fence may take before the oracle gives up: the kernel dropped it, or hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A bridge of Linux's with conntrack and the cluster match, empty of flows when made.
pub struct Oracle {
    input: In,
    output: Out,
    log: Nflog,
    netfilter: Socket,
    fences: u64,
    bridge: Namespace,
    _wire: Namespace,
}

impl Oracle {
    /// Sets one up that answers by `rules`.
    ///
    /// # Errors
    /// Without root, or when the kernel lacks bridge netfilter, conntrack, the cluster match or NFLOG.
    pub fn new(rules: &Rules) -> Result<Self> {
        let bridge = Namespace::create("oracle")?;
        // The far ends are in a namespace without rules, or packets would meet PREROUTING a second time there.
        let wire = Namespace::create("wire")?;
        veth((&bridge, "in"), (&wire, "in"), MTU_MAX)?;
        veth((&bridge, "out"), (&wire, "out"), MTU_MAX)?;
        bridge.hub("hub", &["in", "out"])?;
        rules.apply(&bridge)?;
        rules::freeze(&bridge)?;
        let (log, netfilter) = bridge.inside(|| Ok((Nflog::bind(rules::NFLOG_GROUP)?, netlink::open()?)))?;
        let (input, output) = wire.inside(|| Ok((In::open("in")?, Out::open("out", PATIENCE)?)))?;
        Ok(Self { input, output, log, netfilter, fences: 0, bridge, _wire: wire })
    }

    /// Forgets every flow and expectation. Fragments that wait for the rest stay.
    pub fn forget(&mut self) -> Result<()> {
        netlink::flush(&self.netfilter)
    }

    /// The flows that are tracked now.
    pub fn flows(&self) -> Result<Vec<Flow>> {
        self.bridge.inside(flow::list)
    }

    /// Sends the frames and tells of each what Linux made of it. Answers are numbered from 1.
    pub fn answers<'a>(&mut self, frames: impl Iterator<Item = &'a [u8]> + Send) -> Result<Vec<LinuxAnswer>> {
        let ask_all = || -> Result<Vec<LinuxAnswer>> {
            pin_to_one_cpu()?;
            frames.zip(1..).map(|(frame, number)| self.ask(number, frame)).collect()
        };
        thread::scope(|scope| match scope.spawn(ask_all).join() {
            Ok(answers) => answers,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    fn ask(&mut self, number: usize, frame: &[u8]) -> Result<LinuxAnswer> {
        let unsent = self.input.send(frame).err().map(|errno| errno.desc().to_owned());
        self.fences += 1;
        let fence = Fence::new(self.fences);
        self.input.send(fence.as_bytes()).context("cannot send a fence")?;
        let out = self.output.frames_before(&fence).with_context(|| format!("frame {number}"))?;
        let verdicts =
            self.log.drain()?.into_iter().map(rules::verdict).collect::<Result<Vec<LinuxVerdict>>>()?;
        Ok(LinuxAnswer { frame: number, verdicts, out, unsent })
    }
}

/// Each CPU has a queue of its own for received frames: a frame and its fence must go through the same one.
fn pin_to_one_cpu() -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("cannot pin the oracle to a CPU")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Mode;
    use crate::netns;

    #[test]
    fn a_frame_that_is_not_ip_passes_and_a_short_one_is_not_sent() {
        if !netns::available("oracle") {
            return;
        }
        let mut oracle = Oracle::new(&Rules::new(Mode::Own)).unwrap();
        let mut frame = [0x02; 60];
        frame[12..14].copy_from_slice(&[0x88, 0xb6]);
        let answers = oracle.answers([&frame[..], &frame[..9], &frame[..]].into_iter()).unwrap();
        let seen: Vec<_> =
            answers.iter().map(|a| (a.frame, a.verdicts.len(), a.out, a.unsent.is_some())).collect();
        assert_eq!(seen, [(1, 0, 1, false), (2, 0, 0, true), (3, 0, 1, false)]);
    }
}
