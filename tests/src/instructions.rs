//! Instructions a packet, stage by stage, beside those that are recorded in `bench/instructions.json`.
//!
//! Callgrind counts the same at each run and on each processor; another compiler builds other instructions. So a count
//! is held to a narrow margin where the tools are those of the record, to a wide one where they are not, and to none
//! on another architecture. A drop beyond the margin is an offence like a rise: unrecorded, it could be lost again
//! unseen.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

/// Packets, or flows, that each benchmark does its work on.
pub const ITEMS: u32 = 1024;

/// Instructions a packet, by the name of the stage.
pub type Counts = BTreeMap<String, f64>;

/// What decides about a count beside the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tools {
    /// The architecture and system that is built for.
    pub target: String,
    /// The compiler, by `rustc --version`.
    pub rustc: String,
    /// Flags for it that the environment adds.
    pub rustflags: String,
    /// By `valgrind --version`.
    pub valgrind: String,
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, rustc, rustflags, valgrind } = self;
        write!(f, "{rustc} for {target}, {valgrind}")?;
        if rustflags.is_empty() { Ok(()) } else { write!(f, ", RUSTFLAGS={rustflags}") }
    }
}

/// The figures in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What they were made with.
    pub tools: Tools,
    /// How far a count may be off with the same tools.
    pub margin_percent: f64,
    /// And with other ones.
    pub other_tools_margin_percent: f64,
    /// The figures.
    pub instructions: Counts,
}

impl Record {
    /// How far a count made with `tools` may be off; `None` where it says nothing.
    pub fn margin_percent(&self, tools: &Tools) -> Option<f64> {
        if *tools == self.tools {
            Some(self.margin_percent)
        } else {
            (tools.target == self.tools.target).then_some(self.other_tools_margin_percent)
        }
    }

    /// Where `counts` are not as recorded, within `margin_percent`.
    pub fn offences(&self, counts: &Counts, margin_percent: f64) -> Vec<Offence> {
        let mut offences = Vec::new();
        for (stage, now) in counts {
            let Some(before) = self.instructions.get(stage) else {
                offences.push(Offence::Unrecorded { stage: stage.clone() });
                continue;
            };
            let change = Change { stage: stage.clone(), before: *before, now: *now, margin_percent };
            if change.percent() > margin_percent {
                offences.push(Offence::Rise(change));
            } else if change.percent() < -margin_percent {
                offences.push(Offence::Drop(change));
            }
        }
        let lost = self.instructions.keys().filter(|stage| !counts.contains_key(*stage));
        offences.extend(lost.map(|stage| Offence::Unmeasured { stage: stage.clone() }));
        offences
    }

    /// Stage by stage: recorded, counted, and the change.
    pub fn table(&self, counts: &Counts) -> String {
        let mut table =
            format!("{:<34}{:>10}{:>10}{:>9}\n", "instructions a packet", "recorded", "now", "change");
        for (stage, now) in counts {
            let (before, change) = self.instructions.get(stage).map_or_else(Default::default, |before| {
                (format!("{before:.1}"), format!("{:+.1} %", percent(*before, *now)))
            });
            table += &format!("{stage:<34}{before:>10}{now:>10.1}{change:>9}\n");
        }
        table
    }
}

fn percent(before: f64, now: f64) -> f64 {
    (now - before) / before * 100.0
}

/// A count beside the recorded one.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    stage: String,
    before: f64,
    now: f64,
    margin_percent: f64,
}

impl Change {
    fn percent(&self) -> f64 {
        percent(self.before, self.now)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, now, margin_percent, .. } = self;
        let percent = self.percent();
        write!(
            f,
            "from {before:.1} to {now:.1} instructions a packet, {percent:+.1} % (margin {margin_percent} %)"
        )
    }
}

/// A stage that is not as recorded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Offence {
    /// It has become dearer.
    #[error("{} rose {_0}", _0.stage)]
    Rise(Change),
    /// It has become cheaper.
    #[error("{} dropped {_0}: unrecorded, that could be lost again unseen", _0.stage)]
    Drop(Change),
    /// It is new.
    #[error("{stage} is not recorded")]
    Unrecorded {
        /// Its name.
        stage: String,
    },
    /// It has not been counted.
    #[error("{stage} is recorded and was not counted")]
    Unmeasured {
        /// Its name.
        stage: String,
    },
}

/// What to do about offences.
pub const ADVICE: &str = "\
find what a rise is made of: callgrind_annotate target/gungraun/weir-bench/instructions/stages/*/callgrind.NAME.out
where the change is meant, record it and commit bench/instructions.json: make instructions RECORD=1";

/// Why there are no counts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not what gungraun writes.
    #[error("line {line} of the counts is no summary by gungraun with a count of instructions: {cause}")]
    Summary {
        /// From 1.
        line: usize,
        /// Why not.
        cause: serde_json::Error,
    },
    /// No benchmark was run.
    #[error("there are no counts")]
    Nothing,
}

/// Reads gungraun's summaries, one a line.
///
/// # Errors
/// When a line is something else, or there is none.
pub fn counts(summaries: &str) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    for (i, line) in summaries.lines().enumerate() {
        let Summary { function_name, id, profiles: [profile] } =
            serde_json::from_str(line).map_err(|cause| Error::Summary { line: i + 1, cause })?;
        let total = f64::from(profile.data.total.metrics.instructions.values.new.get());
        counts.insert(format!("{function_name}::{id}"), (total * 100.0 / f64::from(ITEMS)).round() / 100.0);
    }
    if counts.is_empty() { Err(Error::Nothing) } else { Ok(counts) }
}

/// What is read of a summary, whose schema gungraun documents: version 7.
#[derive(Deserialize)]
struct Summary {
    function_name: String,
    id: String,
    profiles: [Profile; 1],
}

#[derive(Deserialize)]
struct Profile {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metrics {
    #[serde(rename = "Ir")]
    instructions: Metric,
}

#[derive(Deserialize)]
struct Metric {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    /// Of this run; zero means that callgrind has counted nothing.
    new: NonZeroU32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(rustc: &str, target: &str) -> Tools {
        Tools {
            target: target.into(),
            rustc: rustc.into(),
            rustflags: String::new(),
            valgrind: "valgrind-3.19.0".into(),
        }
    }

    fn counts_of<const N: usize>(counts: [(&str, f64); N]) -> Counts {
        counts.map(|(stage, count)| (stage.into(), count)).into()
    }

    fn record() -> Record {
        Record {
            tools: tools("rustc 1", "x86_64"),
            margin_percent: 3.0,
            other_tools_margin_percent: 15.0,
            instructions: counts_of([("parse::tcp4", 100.0), ("table::look_up", 50.0)]),
        }
    }

    #[test]
    fn the_margin_holds_both_ways() {
        for (now, offence) in [(103.0, ""), (97.0, ""), (103.1, "rose"), (96.9, "dropped")] {
            let offences =
                record().offences(&counts_of([("parse::tcp4", now), ("table::look_up", 50.0)]), 3.0);
            assert_eq!(offences.is_empty(), offence.is_empty(), "{now}: {offences:?}");
            for message in offences.iter().map(ToString::to_string) {
                let begin = format!("parse::tcp4 {offence} from 100.0 to {now:.1} instructions a packet, ");
                assert!(message.starts_with(&begin), "{message}");
            }
        }
    }

    #[test]
    fn stages_come_and_go_by_the_record_only() {
        let offences = record().offences(&counts_of([("parse::tcp4", 100.0), ("new", 1.0)]), 3.0);
        let [unrecorded, unmeasured] = ["new", "table::look_up"].map(Into::into);
        assert_eq!(
            offences,
            [Offence::Unrecorded { stage: unrecorded }, Offence::Unmeasured { stage: unmeasured }]
        );
    }

    #[test]
    fn other_tools_have_a_wider_margin_and_another_architecture_has_none() {
        assert_eq!(record().margin_percent(&tools("rustc 1", "x86_64")), Some(3.0));
        assert_eq!(record().margin_percent(&tools("rustc 2", "x86_64")), Some(15.0));
        assert_eq!(record().margin_percent(&tools("rustc 1", "aarch64")), None);
    }

    #[test]
    fn counts_are_read_from_a_summary_and_divided() {
        let line = |values: &str| {
            let metrics = format!(r#"{{"Ir":{{"values":{values}}}}}"#);
            let total = format!(r#"{{"metrics":{metrics},"regressions":[]}}"#);
            let profile = format!(r#"{{"data":{{"parts":[],"total":{total}}},"tool":"Callgrind"}}"#);
            format!(r#"{{"function_name":"parse","id":"tcp4","profiles":[{profile}],"version":"7"}}"#)
        };
        let read = counts(&line(r#"{"new":2053,"old":9}"#)).unwrap();
        assert_eq!(read, counts_of([("parse::tcp4", 2.0)]));
        for nothing in [&line(r#"{"new":0}"#), &line(r#"{"old":2052}"#), "Instructions: 5"] {
            assert!(matches!(counts(nothing), Err(Error::Summary { line: 1, .. })), "{nothing}");
        }
        assert!(matches!(counts(""), Err(Error::Nothing)));
    }
}
