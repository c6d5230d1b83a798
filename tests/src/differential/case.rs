//! Regression cases: a stream that once showed a difference, as a capture with Linux's answers beside it.
//!
//! `NAME.pcap` is the stream; `NAME.SETTING.jsonl` says what Linux, so set, answered to each frame, and
//! `NAME.SETTING.flows.jsonl` which flows there were at the end. One JSON line each.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Said, Setting, Stream};
use crate::{capture, conformance};

/// A stream with what Linux said of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// How Linux was set.
    pub setting: Setting,
    /// The frames.
    pub stream: Stream,
    /// Linux's answers.
    pub said: Said,
}

const ANSWERS: &str = ".jsonl";
const FLOWS: &str = ".flows.jsonl";

impl Case {
    /// Writes its files into `folder`, and says where the capture lies.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let pcap = folder.join(format!("{}.pcap", self.name));
        capture::write(&pcap, self.stream.iter().map(|frame| (0, frame.as_slice())))?;
        let stem = format!("{}.{}", self.name, self.setting.name());
        write_lines(&folder.join(stem.clone() + ANSWERS), &self.said.answers)?;
        if let Some(flows) = &self.said.flows {
            write_lines(&folder.join(stem + FLOWS), flows)?;
        }
        Ok(pcap)
    }

    fn read(folder: &Path, name: &str, setting: &str) -> Result<Self> {
        let stem = format!("{name}.{setting}");
        let frames = capture::read(&folder.join(format!("{name}.pcap")))?;
        let answers = read_lines(&folder.join(stem.clone() + ANSWERS))?;
        let flows = folder.join(stem + FLOWS);
        let flows = if flows.exists() { Some(read_lines(&flows)?) } else { None };
        Ok(Self {
            name: name.to_owned(),
            setting: Setting::parse(setting)?,
            stream: frames.into_iter().map(|record| record.bytes).collect(),
            said: Said { answers, flows },
        })
    }
}

/// All cases of `folder`, by name and setting.
pub fn read_all(folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let Some((name, setting)) = file.strip_suffix(ANSWERS).and_then(|stem| stem.split_once('.')) else {
            continue;
        };
        if !file.ends_with(FLOWS) {
            cases.push(Case::read(folder, name, setting).with_context(|| file.clone())?);
        }
    }
    cases.sort_by_key(|case| (case.name.clone(), case.setting.name()));
    Ok(cases)
}

fn write_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<()> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value)?;
        writeln!(text)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    conformance::lines(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Mode;
    use crate::oracle::Flow;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let flow = Flow { name: "6".into(), state: None, unreplied: true, assured: false, remaining_s: 7 };
        let case = Case {
            name: "one".into(),
            setting: Setting { loose: true, ..Setting::new(Mode::Own) },
            stream: vec![vec![1; 60]],
            said: Said { answers: Vec::new(), flows: Some(vec![flow]) },
        };
        case.write(folder.path()).unwrap();
        let read = read_all(folder.path()).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!((&read[0].name, read[0].setting, &read[0].said), (&case.name, case.setting, &case.said));
        assert_eq!(read[0].stream, case.stream);
    }
}
