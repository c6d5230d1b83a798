//! What replay says of one frame: a line of JSON.

use serde::Serialize;
use weir_dataplane::counters::Verdict;
use weir_dataplane::pipeline::Sight;

/// One frame's outcome.
#[derive(Debug, Serialize)]
pub(super) struct VerdictLine<'a> {
    /// Its number within its input, from 1.
    frame: u64,
    /// The port it came in by.
    port: &'a str,
    /// What tracking said of it; nothing where it was not tracked.
    state: Option<&'static str>,
    /// Whether it goes in its flow's reply direction.
    reply: bool,
    /// Whether this node owns it.
    cluster: bool,
    /// Its outcome.
    verdict: &'static str,
    /// The port it leaves by.
    out: Option<&'a str>,
    /// Why it was dropped.
    reason: Option<&'static str>,
}

impl<'a> VerdictLine<'a> {
    /// The line for frame number `frame` of its input. `port_names` is in the order of the configuration.
    pub(super) fn new(frame: u64, sight: &Sight, port_names: &'a [String]) -> Self {
        let name = |port: weir_dataplane::units::PortId| &*port_names[port.index()];
        let (out, reason) = match sight.verdict {
            Verdict::Forward(port) | Verdict::Hairpin(port) => (Some(name(port)), None),
            Verdict::Drop(reason) => (None, Some(reason.name())),
            Verdict::Punt | Verdict::Shadow | Verdict::Hold => (None, None),
        };
        Self {
            frame,
            port: name(sight.port),
            state: sight.state.map(|state| state.name()),
            reply: sight.reply,
            cluster: sight.owned,
            verdict: sight.verdict.name(),
            out,
            reason,
        }
    }
}
