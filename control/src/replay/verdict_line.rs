//! What replay says of one frame: a line of JSON.

use super::lines::Row;
use serde::Serialize;
use weir_dataplane::counters::Verdict;
use weir_dataplane::units::PortId;

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
    #[serde(flatten)]
    outcome: Outcome<'a>,
    /// Of a frame that was held: what became of it; null when it waits at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<Option<Released<'a>>>,
}

/// Where a frame goes.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    /// Its name.
    verdict: &'static str,
    /// The port it leaves by.
    out: Option<&'a str>,
    /// Why it was dropped.
    reason: Option<&'static str>,
}

/// What became of a frame that was held.
#[derive(Debug, Serialize)]
struct Released<'a> {
    /// The frame with which it was released, as that frame's line names it; nothing when its time ran out.
    frame: Option<u64>,
    port: Option<&'a str>,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

impl<'a> VerdictLine<'a> {
    /// The line for `row`; `by` is the frame that released it. `names` are the ports', in the order of the
    /// configuration.
    pub(super) fn new(row: &Row, by: Option<&Row>, names: &'a [String]) -> Self {
        let released = row.release.map(|release| Released {
            frame: by.map(|row| row.frame),
            port: by.map(|row| name(row.sight.port, names)),
            outcome: Outcome::new(release.verdict, names),
        });
        let sight = &row.sight;
        Self {
            frame: row.frame,
            port: name(sight.port, names),
            state: sight.state.map(|state| state.name()),
            reply: sight.reply,
            cluster: sight.owned,
            outcome: Outcome::new(sight.verdict, names),
            released: (sight.verdict == Verdict::Hold).then_some(released),
        }
    }
}

impl<'a> Outcome<'a> {
    fn new(verdict: Verdict, names: &'a [String]) -> Self {
        let (out, reason) = match verdict {
            Verdict::Forward(port) | Verdict::Hairpin(port) => (Some(name(port, names)), None),
            Verdict::Drop(reason) => (None, Some(reason.name())),
            Verdict::Punt(reason) => (None, Some(reason.name())),
            Verdict::Shadow | Verdict::Hold => (None, None),
        };
        Self { verdict: verdict.name(), out, reason }
    }
}

fn name(port: PortId, names: &[String]) -> &str {
    &names[port.index()]
}
