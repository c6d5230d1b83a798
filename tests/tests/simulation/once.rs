//! Where nodes leave as planned and nothing else befalls them: each packet of an answered flow is forwarded once, however
//! long it was held, also while nodes change places.

use std::collections::BTreeMap;

/// What has become of a frame that a host has sent.
#[derive(Clone, Copy, Default)]
struct Fate {
    /// A node knows its flow, and that it has been answered.
    known: bool,
    /// A node that came later than its flow has heard it: that may be wrong about it.
    guessed: bool,
    forwarded: u32,
}

/// All frames, by transmission.
#[derive(Default)]
pub(super) struct Once {
    fates: BTreeMap<u64, Fate>,
    /// Frames that were held and then forwarded.
    pub(super) taken_over: u64,
}

impl Once {
    /// A node has heard a frame.
    pub(super) fn hears(&mut self, transmission: u64, known: bool, guesses: bool, forwarded: bool) {
        let fate = self.fates.entry(transmission).or_default();
        fate.known |= known;
        fate.guessed |= guesses;
        fate.forwarded += u32::from(forwarded);
    }

    /// A node forwards what it has held.
    pub(super) fn takes_over(&mut self, transmission: u64) {
        self.taken_over += 1;
        self.fates.entry(transmission).or_default().forwarded += 1;
    }

    /// How many have been forwarded once, and those that have not: which, and how often.
    pub(super) fn judge(&self) -> (usize, Vec<(u64, u32)>) {
        let judged = self.fates.iter().filter(|(_, fate)| fate.known && !fate.guessed);
        let (once, otherwise): (Vec<_>, Vec<_>) =
            judged.map(|(number, fate)| (*number, fate.forwarded)).partition(|(_, times)| *times == 1);
        (once.len(), otherwise)
    }
}
