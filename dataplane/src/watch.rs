//! Things that happen in a worker, told to whoever listens.
//!
//! A listener is a bounded ring that control made. A worker adds to it and never waits: what finds no room is lost
//! and counted. Nobody listening costs a worker one branch where there would be something to tell.

use crate::counters::Cell;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicBool, Ordering};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// Listeners of one kind that a worker tells at once.
pub const WATCHES_MAX: usize = 4;

/// Events on their way from one worker to one listener, who has said by a filter what it wants to hear.
#[derive(Debug)]
pub struct Watch<F, E> {
    filter: F,
    events: ArrayQueue<E>,
    /// Written by the worker.
    lost: Cell,
    closed: AtomicBool,
}

impl<F, E> Watch<F, E> {
    /// Room for `room` events (at least one) of what `filter` means.
    pub fn new(room: usize, filter: F) -> Arc<Self> {
        let events = ArrayQueue::new(room.max(1));
        Arc::new(Self { filter, events, lost: Cell::default(), closed: AtomicBool::new(false) })
    }

    /// What is meant.
    pub fn filter(&self) -> &F {
        &self.filter
    }

    /// Takes the oldest out.
    pub fn pop(&self) -> Option<E> {
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

    pub(crate) fn has_room(&self) -> bool {
        !self.events.is_full()
    }

    /// Tells of something that is meant and found no room before it was made.
    pub(crate) fn lose(&self) {
        self.lost.add(1);
    }

    pub(crate) fn tell(&self, event: E) {
        if self.events.push(event).is_err() {
            self.lose();
        }
    }
}

/// All who listen to one worker for one kind of event.
#[derive(Debug)]
pub(crate) struct Watches<F, E>(ArrayVec<Arc<Watch<F, E>>, WATCHES_MAX>);

impl<F, E> Default for Watches<F, E> {
    fn default() -> Self {
        Self(ArrayVec::new())
    }
}

impl<F, E> Watches<F, E> {
    /// Whether nobody listens.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one; one too many is closed and told nothing.
    pub(crate) fn add(&mut self, watch: Arc<Watch<F, E>>) {
        if let Err(refused) = self.0.try_push(watch) {
            refused.element().close();
        }
    }

    /// Lets go of those that are closed.
    #[inline]
    pub(crate) fn sweep(&mut self) {
        if !self.is_empty() {
            self.0.retain(|watch| !watch.is_closed());
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Arc<Watch<F, E>>> {
        self.0.iter()
    }
}
