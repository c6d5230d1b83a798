//! Weir beside this machine's Linux: the same frames to both, where the answers differ, and the shortest stream
//! that shows it.
//!
//! Compared are the answer to each frame and the flows that are there at the end, with their states and timeouts.
//! Time stands still on both sides. Weir's side is the pipeline in memory.

pub mod case;
mod fragments;
mod setting;
mod shrink;
mod weir;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::conformance::{LinuxAnswer, compare};
use crate::oracle::{Flow, Oracle};

pub use setting::Setting;
pub use shrink::shrink;

/// Frames, as they follow each other on the wire.
pub type Stream = Vec<Vec<u8>>;

/// What Linux said of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Said {
    /// Of each frame.
    pub answers: Vec<LinuxAnswer>,
    /// Of the flows at the end; `None` when the run took so long that time cannot be said to have stood still.
    pub flows: Option<Vec<Flow>>,
}

/// Where the two differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In what.
    pub about: About,
    /// Linux's word.
    pub linux: String,
    /// Ours.
    pub weir: String,
}

/// What a difference is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A frame, numbered from 1.
    Frame(usize),
    /// A flow that is there at the end.
    Flow(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, linux, weir } = self;
        match about {
            About::Frame(number) => write!(f, "frame {number}: Linux: {linux}; weir: {weir}"),
            About::Flow(name) => write!(f, "flow {name}: Linux: {linux}; weir: {weir}"),
        }
    }
}

/// From this age on an answered UDP flow is a stream.
const UDP_STREAM_AGE: Duration = Duration::from_millis(1900);

/// Linux and Weir, set alike.
pub struct Duel {
    setting: Setting,
    linux: Oracle,
    /// Fragments of an earlier stream may wait in Linux.
    fragments_wait: bool,
}

impl Duel {
    /// Sets both up.
    ///
    /// # Errors
    /// As [`Oracle::new`].
    pub fn new(setting: Setting) -> Result<Self> {
        Ok(Self { setting, linux: Oracle::new(&setting.rules())?, fragments_wait: false })
    }

    /// How they are set.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// What Linux says of `stream`, knowing nothing of earlier ones.
    pub fn linux(&mut self, stream: &[Vec<u8>]) -> Result<Said> {
        if self.fragments_wait {
            self.linux = Oracle::new(&self.setting.rules())?;
        } else {
            self.linux.forget()?;
        }
        self.fragments_wait = stream.iter().any(|frame| fragments::is_fragment(frame));
        let start = Instant::now();
        let answers = self.linux.answers(stream.iter().map(Vec::as_slice))?;
        let flows = if start.elapsed() < UDP_STREAM_AGE { Some(self.linux.flows()?) } else { None };
        Ok(Said { answers, flows })
    }

    /// Where they differ.
    pub fn differences(&mut self, stream: &[Vec<u8>]) -> Result<Vec<Difference>> {
        let said = self.linux(stream)?;
        differences(&self.setting, stream, &said)
    }

    /// The shortest stream within `stream` that shows a difference of the kind that is shown first.
    pub fn shortest(&mut self, stream: Stream, first: &Difference) -> Result<Stream> {
        let (stream, in_frames) = match first.about {
            About::Frame(number) => (stream[..number].to_vec(), true),
            About::Flow(_) => (stream, false),
        };
        shrink(stream, |part| {
            let differences = self.differences(part)?;
            Ok(differences.iter().any(|one| matches!(one.about, About::Frame(_)) == in_frames))
        })
    }
}

/// Where Weir differs from what Linux said of `stream`.
pub fn differences(setting: &Setting, stream: &[Vec<u8>], said: &Said) -> Result<Vec<Difference>> {
    let weir = weir::ask(setting, stream);
    ensure!(
        said.answers.len() == weir.answers.len(),
        "{} answers of Linux and {} of Weir",
        said.answers.len(),
        weir.answers.len()
    );
    let mut found = Vec::new();
    for (linux, weir) in said.answers.iter().zip(&weir.answers) {
        if let Some(difference) = compare(setting.mode, linux, weir) {
            let about = About::Frame(linux.frame);
            found.push(Difference { about, linux: difference.linux, weir: difference.weir });
        }
    }
    if let Some(flows) = &said.flows {
        found.extend(flow_differences(flows, &weir.flows));
    }
    Ok(found)
}

/// Seconds by which timeouts may differ: what a run takes, seen from both of its ends. The raised timeouts are ten
/// thousand seconds apart.
const TIME_SLACK_S: u32 = 60;

fn flow_differences(linux: &[Flow], weir: &[Flow]) -> Vec<Difference> {
    let by_name = |flows: &[Flow]| -> BTreeMap<String, Flow> {
        flows.iter().map(|flow| (flow.name.clone(), flow.clone())).collect()
    };
    let (linux, weir) = (by_name(linux), by_name(weir));
    let names = linux.keys().chain(weir.keys().filter(|name| !linux.contains_key(*name)));
    names
        .filter(|name| match (linux.get(*name), weir.get(*name)) {
            (Some(linux), Some(weir)) => !alike(linux, weir),
            _ => true,
        })
        .map(|name| Difference {
            about: About::Flow(name.clone()),
            linux: words(linux.get(name)),
            weir: words(weir.get(name)),
        })
        .collect()
}

fn alike(linux: &Flow, weir: &Flow) -> bool {
    (&linux.state, linux.unreplied, linux.assured) == (&weir.state, weir.unreplied, weir.assured)
        && linux.remaining_s.abs_diff(weir.remaining_s) <= TIME_SLACK_S
}

fn words(flow: Option<&Flow>) -> String {
    let Some(flow) = flow else { return "none".into() };
    let state = flow.state.as_deref().unwrap_or("no state");
    let unreplied = if flow.unreplied { " UNREPLIED" } else { "" };
    let assured = if flow.assured { " ASSURED" } else { "" };
    format!("{state}{unreplied}{assured}, {} s left", flow.remaining_s)
}
