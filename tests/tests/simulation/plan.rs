//! What a seed is about.

use crate::store::{MARGIN_MS, TTL_MS};
use weir_control::cluster::{Agreement, Minority, Settings};
use weir_tests::rng::Rng;

/// What a seed is about.
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) settings: Settings,
    pub(super) events: u64,
    /// The longest time between two of them, for most of them.
    pub(super) pause_max_ms: u64,
    pub(super) partitions: bool,
    /// Nothing else happens to a cluster that has agreed, and it agrees again before the next one.
    pub(super) only_partitions: bool,
    /// Nobody crashes: nodes leave as planned, and come back.
    pub(super) planned: bool,
    /// Of what nodes tell each other.
    pub(super) loss_percent: u64,
    pub(super) delay_max_ms: u64,
    pub(super) air: Air,
}

/// How frames fare on their way to those who listen.
#[derive(Clone, Copy)]
pub(super) struct Air {
    /// Each who listens misses so many of a thousand frames by itself.
    pub(super) loss_per_mille: u64,
    /// So many of a hundred are late at one who listens.
    pub(super) late_percent: u64,
    /// So many of a hundred are sent twice.
    pub(super) twice_percent: u64,
    /// Nodes hear what the others have forwarded too, as on a hub.
    pub(super) floods: bool,
}

impl Plan {
    fn settings(agreement: Agreement) -> Settings {
        Settings {
            agreement,
            minority: Minority::Serves,
            detection_ms: 400,
            answer_ms: 300,
            settle_ms: 60,
            formation_ms: 300,
            learning_ms: 700,
            drain_ms: 400,
            hand_over: true,
        }
    }

    /// Everything that can happen.
    pub(super) fn gossip(rng: &mut Rng) -> Self {
        let minority = if rng.chance(30) { Minority::Yields } else { Minority::Serves };
        Self {
            nodes: 2 + rng.index(4),
            settings: Settings { minority, ..Self::settings(Agreement::Liveness) },
            events: 2 + rng.below(7),
            pause_max_ms: 1800,
            partitions: true,
            only_partitions: false,
            planned: false,
            loss_percent: rng.below(21),
            delay_max_ms: 5 + rng.below(56),
            air: Air {
                loss_per_mille: if rng.chance(50) { 1 + rng.below(30) } else { 0 },
                late_percent: rng.below(6),
                twice_percent: rng.below(4),
                floods: rng.chance(70),
            },
        }
    }

    /// Nodes come and go on a network that does what it should.
    pub(super) fn gentle(rng: &mut Rng) -> Self {
        let all = Self::gossip(rng);
        let air = Air { loss_per_mille: 0, ..all.air };
        Self { loss_percent: 0, delay_max_ms: 1 + rng.below(15), partitions: false, air, ..all }
    }

    /// Nodes drain, leave and come back, one after the other or at once, and hear all of everything in time.
    pub(super) fn planned(rng: &mut Rng) -> Self {
        let all = Self::gentle(rng);
        let settings = Settings { minority: Minority::Serves, ..all.settings };
        let air = Air { late_percent: 0, ..all.air };
        Self { nodes: 2 + rng.index(3), planned: true, settings, air, ..all }
    }

    /// A cluster is parted in one way after the other, and its minority yields.
    pub(super) fn parted(rng: &mut Rng) -> Self {
        let settings = Settings { minority: Minority::Yields, ..Self::settings(Agreement::Liveness) };
        Self { settings, events: 1 + rng.below(4), only_partitions: true, ..Self::gossip(rng) }
    }

    /// Nodes come and go on a network that does what it should, with time to agree or to find that they cannot, and the
    /// minority yields.
    pub(super) fn voting(rng: &mut Rng) -> Self {
        let settings = Settings { minority: Minority::Yields, ..Self::settings(Agreement::Liveness) };
        Self { settings, events: 4 + rng.below(9), pause_max_ms: 5000, ..Self::gentle(rng) }
    }

    /// Everything that can happen to a store with leases.
    pub(super) fn store(rng: &mut Rng) -> Self {
        let strict = Self::settings(Agreement::Leases { margin_ms: MARGIN_MS });
        let settings = Settings { detection_ms: TTL_MS + MARGIN_MS, ..strict };
        Self { settings, ..Self::gossip(rng) }
    }
}
