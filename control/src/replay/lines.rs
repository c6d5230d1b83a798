//! The lines of replay: one a frame, in order, each written once the frame waits no longer.

use super::verdict_line::VerdictLine;
use std::collections::VecDeque;
use std::io::{self, Write};
use weir_dataplane::counters::Verdict;
use weir_dataplane::pipeline::{Observer, Opening, Release, Scene, Sight, Tracer};
use weir_dataplane::port::Frame;

/// What is known of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its number within its input, from 1.
    pub(super) frame: u64,
    /// What became of it when it came.
    pub(super) sight: Sight,
    /// What became of it later, if it was held.
    pub(super) release: Option<Release>,
}

impl Row {
    fn waits(&self) -> bool {
        self.sight.verdict == Verdict::Hold && self.release.is_none()
    }
}

/// Frames whose lines have not been written.
pub(super) struct Lines<'a> {
    /// The ports, in the order of the configuration.
    names: &'a [String],
    rows: VecDeque<Row>,
    /// [`Sight::number`] of the first row.
    first: u64,
}

impl<'a> Lines<'a> {
    /// None yet.
    pub(super) const fn new(names: &'a [String]) -> Self {
        Self { names, rows: VecDeque::new(), first: 0 }
    }

    /// Writes lines up to the first frame that waits.
    pub(super) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        while self.rows.front().is_some_and(|row| !row.waits()) {
            self.write_one(out)?;
        }
        Ok(())
    }

    /// Writes all lines: nothing comes that could release a frame.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        while !self.rows.is_empty() {
            self.write_one(out)?;
        }
        out.flush()
    }

    fn write_one(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(row) = self.rows.front() else { return Ok(()) };
        // A frame is released by a later one, whose row is still here.
        let by = row.release.and_then(|release| self.row(release.with?));
        serde_json::to_writer(&mut *out, &VerdictLine::new(row, by, self.names))?;
        out.write_all(b"\n")?;
        self.rows.pop_front();
        self.first += 1;
        Ok(())
    }

    fn row(&self, number: u64) -> Option<&Row> {
        self.rows.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

/// Notes what becomes of the frames of one batch.
pub(super) struct Watch<'a, 'b> {
    /// `None`: nobody wants to know.
    pub(super) lines: Option<&'a mut Lines<'b>>,
    /// Each frame's number within its input.
    pub(super) numbers: Vec<u64>,
    /// Copies what is to be traced.
    pub(super) tracer: &'a mut Tracer,
}

impl Observer for Watch<'_, '_> {
    const BEGINS: bool = true;

    fn begin<F: Frame>(&mut self, opening: &Opening<'_, F>) {
        self.tracer.begin(opening);
    }

    fn observe(&mut self, sight: &Sight, scene: &Scene<'_>) {
        self.tracer.observe(sight, scene);
        if let Some(lines) = &mut self.lines {
            lines.rows.push_back(Row { frame: self.numbers[sight.index], sight: *sight, release: None });
        }
    }

    fn release(&mut self, release: &Release) {
        self.tracer.release(release);
        let Some(lines) = &mut self.lines else { return };
        let at = release.number.checked_sub(lines.first).and_then(|at| usize::try_from(at).ok());
        if let Some(row) = at.and_then(|at| lines.rows.get_mut(at)) {
            row.release = Some(*release);
        }
    }
}
