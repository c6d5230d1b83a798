//! Flows as they come, change and go, told to whoever listens.
//!
//! A listener is a bounded ring that control made. A worker adds to it and never waits: what finds no room is lost
//! and counted. Nobody listening costs a worker one branch where a flow comes, changes or goes, and nothing for
//! the packets in between.

use super::filter::Filter;
use super::view::FlowView;
use crate::counters::{Cell, named_enum};
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicBool, Ordering};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// Listeners that a worker tells at once.
pub const WATCHES_MAX: usize = 4;

named_enum! {
    /// What happened to a flow; the words of `conntrack -E`.
    pub enum Happening {
        /// It came.
        New = "NEW",
        /// Its state changed, it was answered, or it has proven itself.
        Update = "UPDATE",
        /// It went.
        Destroy = "DESTROY",
    }
}

/// Something happened to a flow, which is shown as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEvent {
    /// What.
    pub happening: Happening,
    /// To which.
    pub flow: FlowView,
}

/// Events on their way from one worker to one listener.
#[derive(Debug)]
pub struct Watch {
    filter: Filter,
    events: ArrayQueue<FlowEvent>,
    /// Written by the worker.
    lost: Cell,
    closed: AtomicBool,
}

impl Watch {
    /// Room for `room` events (at least one) about flows that `filter` means.
    pub fn new(room: usize, filter: Filter) -> Arc<Self> {
        let events = ArrayQueue::new(room.max(1));
        Arc::new(Self { filter, events, lost: Cell::default(), closed: AtomicBool::new(false) })
    }

    /// Takes the oldest out.
    pub fn pop(&self) -> Option<FlowEvent> {
        self.events.pop()
    }

    /// Events that found no room, so far.
    pub fn lost(&self) -> u64 {
        self.lost.read()
    }

    /// Says that nobody listens any more. The worker lets go of it in its next turn; who made it keeps it until
    /// then, so that its memory is not the worker's to free.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn offer(&self, event: FlowEvent) {
        if self.filter.matches(&event.flow) && self.events.push(event).is_err() {
            self.lost.add(1);
        }
    }
}

/// All who listen to one worker.
#[derive(Debug, Default)]
pub(super) struct Watches(ArrayVec<Arc<Watch>, WATCHES_MAX>);

impl Watches {
    /// Whether nobody listens.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one; one too many is closed and told nothing.
    pub(super) fn add(&mut self, watch: Arc<Watch>) {
        if let Err(refused) = self.0.try_push(watch) {
            refused.element().close();
        }
    }

    /// Lets go of those that are closed.
    #[inline]
    pub(super) fn sweep(&mut self) {
        if !self.is_empty() {
            self.0.retain(|watch| !watch.is_closed());
        }
    }

    #[cold]
    pub(super) fn tell(&self, event: FlowEvent) {
        for watch in &self.0 {
            watch.offer(event);
        }
    }
}
