//! When a new map is called for, and what it is made of.
//!
//! The first by name of those that may own flows proposes. Others do only for what that one need not know of: pins that
//! an operator set here, and a node that was given up here and came back.

use super::change::Change;
use super::company::Company;
use super::member::NodeName;
use super::proposal::{Proposal, Roster};
use super::settings::Settings;
use std::collections::BTreeMap;

/// Who is overruled waits twice as long as the time before, up to 2^this times: nodes that see different members for
/// long must not drive maps through the cluster at full speed.
const BACK_OFF_MAX: u32 = 6;

/// What this node would have the map say.
#[derive(Debug, Default)]
pub(super) struct Proposer {
    /// Pins ordered here, until a map has them; `None` takes one off.
    pins: BTreeMap<u16, Option<NodeName>>,
    /// A map above this number has to settle whose the flows are.
    unsettled: Option<u64>,
    differs_since_ms: Option<u64>,
    /// When the last one was made, and how often in a row this node was overruled.
    last: Option<(u64, u32)>,
}

impl Proposer {
    /// Pins `bucket` to a node, or to none.
    pub(super) fn pin(&mut self, bucket: u16, node: Option<NodeName>) {
        self.pins.insert(bucket, node);
    }

    /// Calls for a map that has flows decided anew.
    pub(super) fn unsettle(&mut self, change: &Change) {
        self.unsettled = Some(change.latest().map_or(0, |latest| latest.epoch().number()));
    }

    /// Whether such a map is being waited for.
    pub(super) const fn is_unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    /// The map to announce now, if any.
    pub(super) fn propose(
        &mut self,
        change: &Change,
        company: &Company<'_>,
        settings: &Settings,
        now_ms: u64,
    ) -> Option<Proposal> {
        self.forget_what_is_done(change);
        let Some(roster) = self.roster(change, company) else {
            self.differs_since_ms = None;
            return None;
        };
        let differs_ms = now_ms.saturating_sub(*self.differs_since_ms.get_or_insert(now_ms));
        let uniform = change.under_way().is_none() && company.act_by(change.active());
        let settle_ms = settings.settle_ms();
        let patience_ms = if company.leads() { settle_ms } else { settle_ms + settings.answer_ms };
        let (last_ms, series) = self.last.unwrap_or_default();
        let rested_ms = now_ms.saturating_sub(last_ms);
        let back_off_ms = if series > 0 { settle_ms << series } else { 0 };
        let stuck = differs_ms >= settle_ms + 2 * settings.answer_ms && change.under_way().is_none();
        if differs_ms < patience_ms || rested_ms < back_off_ms || !(uniform || stuck) {
            return None;
        }
        let overruled = change.latest().is_some_and(|latest| *latest.epoch().proposer() != company.me().name);
        let recently = self.last.is_some() && rested_ms < 2 * settings.convergence_ms();
        let series = if overruled && recently { (series + 1).min(BACK_OFF_MAX) } else { 0 };
        (self.last, self.differs_since_ms) = (Some((now_ms, series)), None);
        let number = change.latest().map_or(0, |latest| latest.epoch().number());
        Some(Proposal::after(number, &company.me().name, roster))
    }

    /// What the map should be made of; `None` when the highest one says the same, or it is not for this node to say.
    fn roster(&self, change: &Change, company: &Company<'_>) -> Option<Roster> {
        let settles = self.is_unsettled() && company.serving();
        if !company.leads() && !settles && self.pins.is_empty() {
            return None;
        }
        let seats = company.seats();
        if seats.is_empty() {
            return None;
        }
        let latest = change.latest().map(Proposal::roster);
        let same_seats = change.active().is_some() && latest.is_some_and(|latest| latest.seats == seats);
        if same_seats && !settles && self.pins.is_empty() {
            return None;
        }
        let mut pins = latest.map(|latest| latest.pins.clone()).unwrap_or_default();
        for (bucket, node) in &self.pins {
            match node {
                Some(node) => pins.insert(*bucket, node.clone()),
                None => pins.remove(bucket),
            };
        }
        Some(Roster { total_nodes: company.me().total_nodes, seats, pins, settles })
    }

    fn forget_what_is_done(&mut self, change: &Change) {
        let (Some(latest), None) = (change.latest(), change.under_way()) else { return };
        let (roster, number) = (latest.roster(), latest.epoch().number());
        self.pins.retain(|bucket, node| roster.pins.get(bucket) != node.as_ref());
        if roster.settles {
            self.unsettled = self.unsettled.filter(|above| number <= *above);
        }
    }
}
