//! The traced frames of a replay, as `weir trace` shows those of a gateway.

use crate::observe::{TraceEvent, trace_text};
use crate::runtime::traced::{self, Names};
use std::io::{self, Write};
use std::sync::Arc;
use weir_dataplane::pipeline::Tracer;
use weir_dataplane::trace::{Filter, Told, Trace};

/// Frames and releases of one turn: a burst, and all that may be held.
const ROOM: usize = 1 << 16;

/// Replay has one worker.
const WORKER: usize = 0;

/// What is to be traced, and where it is written.
pub struct Tracing {
    /// Which frames.
    pub filter: Filter,
    /// Where their text goes.
    pub out: Box<dyn Write>,
}

/// A trace at work.
pub(super) struct Traces<'a> {
    /// Looks on.
    pub(super) tracer: Tracer,
    trace: Option<(Arc<Trace>, Box<dyn Write>)>,
    names: Names<'a>,
}

impl<'a> Traces<'a> {
    /// Of nothing without `tracing`.
    pub(super) fn new(tracing: Option<Tracing>, names: Names<'a>) -> Self {
        let mut tracer = Tracer::default();
        let trace = tracing.map(|Tracing { filter, out }| {
            let trace = Trace::new(ROOM, filter);
            tracer.add(Arc::clone(&trace));
            (trace, out)
        });
        Self { tracer, trace, names }
    }

    /// Writes what the turn at `time_ms` after the captures' start has told.
    pub(super) fn write(&mut self, time_ms: u64) -> io::Result<()> {
        let Some((trace, out)) = &mut self.trace else { return Ok(()) };
        while let Some(told) = trace.pop() {
            let event = match told {
                Told::Frame(passage) => {
                    TraceEvent::Frame(Box::new(traced::frame(WORKER, time_ms, &passage, &self.names)))
                }
                Told::Released { number, verdict } => {
                    let outcome = traced::outcome(verdict, &self.names);
                    TraceEvent::Released { time_ms, worker: WORKER, number, outcome }
                }
                // There is no control that could send any.
                Told::Sent(_) => continue,
            };
            out.write_all(trace_text::event(&event).unwrap_or_default().as_bytes())?;
        }
        out.flush()
    }
}
