//! How long the cluster waits for what.

/// Times, all in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who decides what is whose.
    pub agreement: Agreement,
    /// What the smaller part of a parted cluster does; with [`Agreement::Liveness`] alone.
    pub minority: Minority,
    /// After this time without a word the engine calls a node dead. Only the bounds below are counted from it: the
    /// engine does the detecting.
    pub detection_ms: u64,
    /// How long a living node may leave a map without an answer before the others go on without it.
    pub answer_ms: u64,
    /// How long membership must have been the same before a new map is proposed. It saves maps while nodes come and go
    /// together; the dead are inherited from at once, without a new map.
    pub settle_ms: u64,
    /// How long a node that starts listens for others before it believes to be alone.
    pub formation_ms: u64,
    /// How long a joiner tracks the flows of the others before it gets any: the longest timeout of a flow that no
    /// handshake begins, and a margin.
    pub learning_ms: u64,
    /// How long a leaver waits for its flows to end, where the operator names no time.
    pub drain_ms: u64,
    /// Workers can hold the frames of a node that is to leave, so that none is lost.
    pub hand_over: bool,
}

/// Who decides what is whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The operator, on each node by hand. Nodes know of each other only from their configuration.
    ByHand,
    /// The nodes. One that falls silent is dead to the others, even if it only cannot be heard.
    Liveness,
    /// The nodes, with leases: no bucket has two owners, at the price of none while a lease runs out.
    Leases {
        /// A node stops so long before its lease ends, and others claim so long after: for the difference of clocks
        /// over a lease's time, for the lag of what is read from the store, and for the time from a decision to the last
        /// worker.
        margin_ms: u64,
    },
}

/// What those do who hear fewer than half of the nodes that had a seat in the last map that a majority agreed on; of
/// two equal halves, the one without the first of them by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Minority {
    /// They go on for all. A cluster outlives all of its nodes but one, and one that is parted forwards frames twice.
    Serves,
    /// They own nothing until they hear enough of the others. A cluster that is parted forwards frames twice for no
    /// longer than [`Settings::doubled_apart_ms`], and one that loses half of its nodes at once stops.
    Yields,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            agreement: Agreement::Liveness,
            minority: Minority::Serves,
            detection_ms: 1000,
            answer_ms: 1000,
            settle_ms: 200,
            formation_ms: 3000,
            learning_ms: 130_000,
            drain_ms: 120_000,
            hand_over: false,
        }
    }
}

impl Settings {
    /// The longest time from when all nodes hear each other to when each bucket has one owner: they notice, settle,
    /// and go through the map that had gone furthest and through one new one, each in two steps.
    pub const fn convergence_ms(&self) -> u64 {
        self.detection_ms + self.settle_ms + 4 * self.answer_ms
    }

    /// The longest time for which two nodes that hear each other may both own a bucket: from when the one hears of the
    /// other's map until it follows, or until a new map has been released by.
    pub const fn doubled_ms(&self) -> u64 {
        self.settle_ms + 2 * self.answer_ms
    }

    /// The longest time for which any two nodes may both own a bucket where the minority yields: the one may notice a
    /// detection time later that they are parted, and a change may be under way.
    pub const fn doubled_apart_ms(&self) -> u64 {
        self.detection_ms + self.doubled_ms()
    }

    /// How long membership must have been the same. With leases no shorter than the margin, so that two nodes that
    /// begin to serve at once have read of each other before either proposes.
    pub(super) fn settle_ms(&self) -> u64 {
        match self.agreement {
            Agreement::Leases { margin_ms } => self.settle_ms.max(margin_ms),
            Agreement::ByHand | Agreement::Liveness => self.settle_ms,
        }
    }

    /// How long a node waits for the answers of those that live; `None`: until they answer or are dead.
    pub(super) const fn patience_ms(&self) -> Option<u64> {
        match self.agreement {
            Agreement::Leases { .. } => None,
            Agreement::ByHand | Agreement::Liveness => Some(self.answer_ms),
        }
    }
}
