//! What has become of the frames, by class.

use std::collections::BTreeMap;
use std::fmt;

/// Why a frame is not forwarded by its owner alone while the cluster stands: what docs/cluster.md names as a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Excuse {
    /// A node that missed a flow's first datagrams takes the answer for the first.
    Mistaken,
    /// A node that missed a packet by which a connection is opened or announced, or heard it too late, does not know it
    /// or not for what it is.
    Unknown,
    /// A node that came while a connection was silent does not know it.
    Silent,
    /// A node that came later takes a flow for its bucket's, or its opener for the other end.
    Guessed,
    /// The first packet after its owner's end came while its bucket was on its way.
    OnTheWay,
    /// A node that missed the answer lets a new map decide, when the opener speaks again, what the answer has fixed.
    Unanswered,
    /// Some nodes had been wrong about who lives.
    Apart,
}

/// How many frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Forwarded by their owner alone.
    pub(super) once: u64,
    /// Missed by their owner.
    pub(super) missed: u64,
    /// Sent while nodes did not agree.
    pub(super) changing: u64,
    /// By why they were forwarded otherwise.
    pub(super) excused: BTreeMap<Excuse, u64>,
    /// Flows that another node went on with when their owner had ended.
    pub(super) inherited: u64,
    /// Where nodes leave as planned: packets of answered flows, each forwarded once; of all those that were held first; and
    /// talks of which some were forwarded by nobody.
    pub(super) planned: (u64, u64, u64),
    /// Talks that both ends have ended, and that one has given up.
    pub(super) talks: [u64; 2],
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.once += other.once;
        self.missed += other.missed;
        self.changing += other.changing;
        for (excuse, count) in &other.excused {
            *self.excused.entry(*excuse).or_default() += count;
        }
        self.inherited += other.inherited;
        let ((a, b, c), (d, e, f)) = (self.planned, other.planned);
        self.planned = (a + d, b + e, c + f);
        (0..2).for_each(|i| self.talks[i] += other.talks[i]);
    }

    /// Frames so excused, of a million.
    pub(super) fn of(&self, excuse: Excuse) -> u64 {
        self.excused.get(&excuse).copied().unwrap_or(0) * 1_000_000 / self.once.max(1)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { once, missed, changing, excused, inherited, planned, talks } = self;
        write!(
            f,
            "{once} frames once, {missed} missed by their owner, {changing} while the cluster changed, otherwise \
             {excused:?}; {inherited} flows inherited; {planned:?} once, held, lost; {} talks ended, {} broken off",
            talks[0], talks[1]
        )
    }
}
