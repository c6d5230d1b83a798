//! Ports in memory, for tests and simulations.

use super::{Burst, Clock, Frame, FrameDefect, RxQueue, TxQueue};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A frame in a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemFrame {
    bytes: Vec<u8>,
    defect: Option<FrameDefect>,
}

impl MemFrame {
    /// A frame of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), defect: None }
    }

    /// A frame that the device could not deliver whole.
    #[must_use]
    pub fn with_defect(mut self, defect: FrameDefect) -> Self {
        self.defect = Some(defect);
        self
    }

    /// Its bytes, for keeps.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Frame for MemFrame {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn grow_front(&mut self, len: usize) -> bool {
        self.bytes.splice(..0, core::iter::repeat_n(0, len));
        true
    }

    fn shrink_front(&mut self, len: usize) -> bool {
        let there = len <= self.bytes.len();
        self.bytes.drain(..if there { len } else { 0 });
        there
    }

    fn defect(&self) -> Option<FrameDefect> {
        self.defect
    }
}

/// A queue that both a test and a worker hold an end of.
#[derive(Clone, Debug, Default)]
pub struct MemQueue {
    frames: Arc<Mutex<VecDeque<MemFrame>>>,
    room: Option<usize>,
}

impl MemQueue {
    /// A queue that takes any number of frames.
    pub fn new() -> Self {
        Self::default()
    }

    /// A queue that refuses frames while it holds `room` of them, as a full NIC ring does.
    pub fn with_room(room: usize) -> Self {
        Self { room: Some(room), ..Self::default() }
    }

    /// Adds a frame at the end, whatever the room.
    pub fn push(&self, frame: MemFrame) {
        self.lock().push_back(frame);
    }

    /// Takes the oldest frame.
    pub fn pop(&self) -> Option<MemFrame> {
        self.lock().pop_front()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<MemFrame>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RxQueue for MemQueue {
    type Frame = MemFrame;

    fn receive(&mut self, burst: &mut Burst<MemFrame>) -> usize {
        let before = burst.len();
        let mut frames = self.lock();
        while !burst.is_full() {
            let Some(frame) = frames.pop_front() else { break };
            burst.push(frame);
        }
        burst.len() - before
    }
}

impl TxQueue for MemQueue {
    type Frame = MemFrame;

    fn transmit(&mut self, burst: &mut Burst<MemFrame>) -> usize {
        let mut frames = self.lock();
        let room = self.room.map_or(usize::MAX, |room| room.saturating_sub(frames.len()));
        let taken = room.min(burst.len());
        frames.extend(burst.drain(..taken));
        taken
    }
}

/// A clock that a test sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemClock {
    /// What [`Clock::now_ms`] answers.
    pub now_ms: u64,
}

impl Clock for MemClock {
    fn now_ms(&mut self) -> u64 {
        self.now_ms
    }

    fn cycles(&self) -> u64 {
        self.now_ms
    }

    fn ns(&self, cycles: u64) -> u64 {
        cycles * 1_000_000
    }

    fn rest(&mut self, _: u32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_grows_and_shrinks_at_its_front() {
        let mut frame = MemFrame::new([1, 2, 3]);
        assert!(frame.grow_front(2));
        assert_eq!((frame.bytes().len(), &frame.bytes()[2..]), (5, [1, 2, 3].as_slice()));
        assert!(frame.shrink_front(4));
        assert!(!frame.shrink_front(2), "it has one byte");
        assert_eq!(frame.bytes(), [3]);
        assert!(frame.shrink_front(1));
        assert!(frame.bytes().is_empty());
    }
}
