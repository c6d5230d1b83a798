//! A planned hand-over: what a node that leaves tells its heirs, so that each frame is forwarded once.
//!
//! All nodes hear the same frames, and each works on them in its own time: nobody can say at which frame another one
//! has stopped. So a leaver **notes** the frames that it forwards from before it says that it will leave, the others
//! **hold** those of its flows that they hear from then on. It forwards what it had heard until then, stops, and tells
//! the others what it has noted. What they hold besides is theirs. No clock and no order of frames between nodes comes into
//! it.

use crate::units::MemberId;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// Frames that a leaver can tell of, at most, all workers together: what fits into one message of the cluster.
pub const DIGESTS_MAX: usize = 3072;

/// Rounds of [`Step::Settle`] after which no worker has anything left from before the first: in the first they empty their
/// queues, in the second what others have given them from those.
pub const SETTLE_ROUNDS: u8 = 2;

/// Frames of a leaver's flows that a worker has room to hold.
pub const HELD_MAX: usize = 2048;

/// Knows a frame again, from its destination MAC on, on any node and in any version. Two frames that differ have the
/// same digest once in 2^64.
pub fn digest(frame: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = frame.len() as u64;
    for piece in frame.chunks(size_of::<u64>()) {
        let mut word = [0; size_of::<u64>()];
        word[..piece.len()].copy_from_slice(piece);
        // Each step is a permutation: frames that differ in one word never meet.
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(ODD);
        state ^= state >> 32;
    }
    state
}

/// What one worker of a leaver has forwarded since it was told to note it. The worker writes, control reads.
#[derive(Debug)]
pub struct Notes {
    begun: AtomicBool,
    noted: AtomicU64,
    digests: Vec<AtomicU64>,
}

impl Notes {
    /// Nothing noted; the worker has yet to begin.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicBool::new(false),
            noted: AtomicU64::new(0),
            digests: (0..DIGESTS_MAX).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Whether each frame that the worker forwards is noted from now on.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// How many frames there were: there may be more than there is room for.
    pub fn count(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// The digests of those that there was room for, once the worker has stopped to add any.
    pub fn digests(&self) -> impl Iterator<Item = u64> + '_ {
        let count = usize::try_from(self.count()).unwrap_or(DIGESTS_MAX);
        self.digests.iter().take(count).map(|digest| digest.load(Ordering::Relaxed))
    }

    /// Worker: begins.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Worker: notes a frame.
    pub(crate) fn note(&self, digest: u64) {
        let noted = self.noted.load(Ordering::Relaxed);
        if let Some(room) = usize::try_from(noted).ok().and_then(|index| self.digests.get(index)) {
            room.store(digest, Ordering::Relaxed);
        }
        self.noted.store(noted + 1, Ordering::Release);
    }
}

/// What a leaver has forwarded, as its heirs are told.
#[derive(Debug)]
pub struct Passed {
    /// In order.
    digests: Vec<u64>,
}

impl Passed {
    /// These, in any order; `None`: more than [`DIGESTS_MAX`], which no leaver tells of.
    pub fn compile(digests: impl IntoIterator<Item = u64>) -> Option<Arc<Self>> {
        let mut digests: Vec<u64> = digests.into_iter().collect();
        digests.sort_unstable();
        (digests.len() <= DIGESTS_MAX).then(|| Arc::new(Self { digests }))
    }

    /// The places of a digest.
    pub(crate) fn places(&self, digest: u64) -> impl Iterator<Item = usize> + '_ {
        let first = self.digests.partition_point(|known| *known < digest);
        let same = self.digests.get(first..).unwrap_or_default().iter();
        (first..).zip(same.take_while(move |known| **known == digest)).map(|(place, _)| place)
    }
}

/// What control asks of a worker in a hand-over. One is under way at a time.
#[derive(Clone, Debug)]
pub enum Step {
    /// A leaver's: note what is forwarded.
    Note(Arc<Notes>),
    /// An heir's: hold the frames of a leaver's flows, once [`SETTLE_ROUNDS`] have been answered.
    Hold {
        /// The leaver.
        leaver: MemberId,
        /// How many of them at a time, at most; of more than [`HELD_MAX`] that many.
        frames_max: usize,
    },
    /// An heir's: this has been forwarded. It counts with the snapshot in which that node lives no more.
    Inherit(Arc<Passed>),
    /// Say when all has been worked on that waited when this was asked: frames in receive queues, and after all
    /// workers have said so once, those that one has given another.
    Settle,
    /// It is over.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_frames_and_their_lengths_apart() {
        let frame: Vec<u8> = (0..61).collect();
        let mut seen = vec![digest(&[]), digest(&[0]), digest(&[0, 0]), digest(&[0; 8]), digest(&frame)];
        for bit in 0..frame.len() * 8 {
            let mut other = frame.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            seen.push(digest(&other));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn a_digest_is_the_same_in_every_version() {
        assert_eq!(digest(b"frame by frame"), 0xff62_5549_9ffc_0934);
    }

    #[test]
    fn notes_that_find_no_room_are_counted() {
        let notes = Notes::new();
        assert!(!notes.has_begun());
        notes.begin();
        (0..DIGESTS_MAX as u64).for_each(|digest| notes.note(digest));
        assert!(notes.has_begun() && notes.digests().eq(0..DIGESTS_MAX as u64));
        notes.note(7);
        assert_eq!(notes.count(), DIGESTS_MAX as u64 + 1);
    }

    #[test]
    fn a_digest_has_a_place_for_each_time() {
        let passed = Passed::compile([5, 3, 5, 9]).unwrap();
        assert!(passed.places(5).eq([1, 2]) && passed.places(9).eq([3]) && passed.places(4).next().is_none());
    }
}
