//! Where frames come from and go to: the seam between the packet path and its devices.
//!
//! The packet path is generic over these traits, so one pipeline runs over DPDK queues, over memory in tests
//! and over captures in `weir replay`. Everything is per burst; nothing here is called through a pointer.

pub mod mem;

use crate::units::BURST_MAX;
use arrayvec::ArrayVec;

/// Frames on their way from one stage to the next.
pub type Burst<F> = ArrayVec<F, BURST_MAX>;

/// Why a frame cannot be looked into, known before its first byte is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameDefect {
    /// The device scattered it over several buffers.
    Segmented,
    /// It is longer than the port's MTU with its link header.
    Oversize,
}

/// What the device says of a checksum it looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// It did not look: software must.
    #[default]
    Unchecked,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
}

/// What the device has found of a frame's checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Of the IPv4 header.
    pub ip: Checksum,
    /// Of TCP, UDP or SCTP.
    pub l4: Checksum,
}

/// One frame in a buffer that its owner may read and rewrite. Dropping it gives the buffer back.
pub trait Frame: Send + Sized {
    /// From the destination MAC on, without the frame check sequence.
    fn bytes(&self) -> &[u8];

    /// Like [`Frame::bytes`], for rewriting in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Puts `len` bytes in front of the first, of whatever content. Says no, and changes nothing, where the
    /// buffer has no room for them.
    #[must_use]
    fn grow_front(&mut self, len: usize) -> bool;

    /// Takes the first `len` bytes away. Says no, and changes nothing, where the frame has fewer.
    #[must_use]
    fn shrink_front(&mut self, len: usize) -> bool;

    /// Set when the frame must not be looked into.
    fn defect(&self) -> Option<FrameDefect>;

    /// What the device found of the frame's checksums.
    fn offload(&self) -> Offload {
        Offload::default()
    }

    /// Asks the processor for what [`Frame::bytes`] needs to find the bytes. Only a hint.
    fn prefetch(&self) {}

    /// Gives many buffers back at once and leaves `frames` empty.
    fn release(frames: &mut Burst<Self>) {
        frames.clear();
    }
}

/// A receive queue; one worker owns it.
pub trait RxQueue {
    /// What it hands out.
    type Frame: Frame;

    /// Appends what has arrived, until `burst` is full or the queue empty; never waits. Returns how many.
    fn receive(&mut self, burst: &mut Burst<Self::Frame>) -> usize;
}

/// A transmit queue; one worker owns it.
pub trait TxQueue {
    /// What it takes.
    type Frame: Frame;

    /// Takes frames from the front of `burst` as far as there is room; never waits. Returns how many;
    /// those left in `burst` are still the caller's.
    fn transmit(&mut self, burst: &mut Burst<Self::Frame>) -> usize;
}

/// The data plane's clock. Read once a turn.
pub trait Clock {
    /// Milliseconds since some start, never backwards.
    fn now_ms(&mut self) -> u64;

    /// A free-running cycle counter, for busy and idle time. Its rate is the implementor's to know.
    fn cycles(&self) -> u64;

    /// How many nanoseconds so many cycles take.
    fn ns(&self, cycles: u64) -> u64;

    /// Lets the core do something else for about so long. A worker calls it only when it has nothing to do.
    fn rest(&mut self, us: u32);
}
