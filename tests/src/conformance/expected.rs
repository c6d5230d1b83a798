//! The differences that are known, each with its reason.

use super::{Mode, Report};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;

/// Frames of one capture and mode that may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The capture's name.
    pub capture: String,
    /// Whose flows were tracked.
    pub mode: Mode,
    /// Which frames.
    pub frames: BTreeSet<usize>,
    /// Why.
    pub reason: String,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Expectations(Vec<Expected>);

/// The document that lists them.
const DOCUMENT: &str = include_str!("../../../docs/conformance.md");
const FENCE: &str = "```";

impl Expectations {
    /// Those that `docs/conformance.md` lists.
    pub fn listed() -> Result<Self> {
        Self::parse(DOCUMENT).context("docs/conformance.md")
    }

    /// Reads the lines in a document's fenced block, `CAPTURE MODE FRAMES REASON`, where FRAMES is like `3,7-9`.
    fn parse(document: &str) -> Result<Self> {
        let lines = document.lines().enumerate().skip_while(|(_, line)| !line.starts_with(FENCE)).skip(1);
        let lines = lines.take_while(|(_, line)| !line.starts_with(FENCE));
        let parse = |(n, line)| expected(line).with_context(|| format!("line {}: {line}", n + 1));
        Ok(Self(lines.map(parse).collect::<Result<_>>()?))
    }

    /// The frames of a capture that may differ.
    pub fn frames(&self, capture: &str, mode: Mode) -> BTreeSet<usize> {
        let ours = self.0.iter().filter(|one| one.capture == capture && one.mode == mode);
        ours.flat_map(|one| one.frames.iter().copied()).collect()
    }

    /// What is wrong with a report: differences that are not expected, and expected ones that are gone.
    pub fn judge(&self, report: &Report) -> Vec<String> {
        let expected = self.frames(&report.capture, report.mode);
        let place = format!("{} {}", report.capture, report.mode.name());
        let news = report.differences.iter().filter(|(frame, _)| !expected.contains(frame)).map(
            |(frame, difference)| {
                format!("{place} frame {frame}: Linux: {}; weir: {}", difference.linux, difference.weir)
            },
        );
        let gone = expected
            .iter()
            .filter(|frame| !report.differences.contains_key(frame))
            .map(|frame| format!("{place} frame {frame}: agrees now: take it off the list of differences"));
        news.chain(gone).collect()
    }
}

fn expected(line: &str) -> Result<Expected> {
    let mut words = line.splitn(4, char::is_whitespace).map(str::trim);
    let mut word =
        |what| words.next().filter(|word| !word.is_empty()).with_context(|| format!("the {what} is missing"));
    let (capture, mode, frames, reason) = (word("capture")?, word("mode")?, word("frames")?, word("reason")?);
    let Some(mode) = Mode::ALL.into_iter().find(|known| known.name() == mode) else {
        bail!("the mode {mode} is neither own nor all")
    };
    Ok(Expected { capture: capture.into(), mode, frames: ranges(frames)?, reason: reason.into() })
}

fn ranges(text: &str) -> Result<BTreeSet<usize>> {
    let mut frames = BTreeSet::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number =
            |text: &str| text.parse::<usize>().with_context(|| format!("{text:?} is no frame number"));
        let (first, last) = (number(first)?, number(last)?);
        ensure!(1 <= first && first <= last, "{range} is no range of frames");
        frames.extend(first..=last);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
    use super::*;

    fn report(frames: &[usize]) -> Report {
        let difference = Difference { linux: "NEW".into(), weir: "INVALID".into() };
        let differences = frames.iter().map(|frame| (*frame, difference.clone())).collect();
        Report { capture: "dns".into(), mode: Mode::Own, compared: 9, skipped: 0, differences }
    }

    #[test]
    fn a_new_difference_and_one_that_is_gone_are_both_wrong() {
        let list = Expectations::parse(
            "# Title\n\n```text\ndns own 2,4-5 the windows\ndns all 7 other mode\n```\nmore\n",
        )
        .unwrap();
        assert!(list.judge(&report(&[2, 4, 5])).is_empty());
        assert_eq!(list.judge(&report(&[2, 4, 5, 6])).len(), 1);
        assert_eq!(list.judge(&report(&[4])).len(), 2);
    }

    #[test]
    fn a_line_without_a_reason_is_refused() {
        for line in ["dns own 2", "dns some 2 why", "dns own 5-4 why", "dns own x why"] {
            assert!(Expectations::parse(&format!("```text\n{line}\n```\n")).is_err(), "{line}");
        }
    }
}
