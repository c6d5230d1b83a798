//! From one map to the next, in two steps.
//!
//! 1. A map is **announced**: whoever hears of one higher than all it knew passes it on with its own member, which
//!    acknowledges it.
//! 2. When all nodes that live and may own flows have acknowledged it, each **releases** what it loses by it, and
//!    says so. From then on it owns what *both* maps give to it.
//!
//! The map is **active** on a node that has seen all the others release: then it owns what it gains. So a bucket that
//! moves between living nodes is nobody's for the time of one message, and never two nodes'. Nodes that live and stay
//! silent are waited for no longer than a set time for each step. The dead are not waited for at all: at any moment a
//! bucket of a dead node is that of the next in rank who lives, by each map that is in force.
//!
//! A higher map may come while one is under way. What has been released stays released, because others may own it
//! already; so a node owns what all the maps give to it that it has released by since the last one that was active.
//! Maps are totally ordered and each node follows the highest one, so the order of messages does not matter.

use super::company::Company;
use super::electorate::Electorate;
use super::map::OwnershipMap;
use super::member::{Member, NodeName};
use super::proposal::{MapEpoch, Proposal};
use weir_dataplane::units::BucketId;

/// Maps that can be released by without one of them becoming active. Beyond that the oldest is forgotten; a cluster
/// that gets there has been without agreement for minutes.
const LAYERS_MAX: usize = 8;

/// The maps that are in force on a node.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// What it owns, it owns by all of these. Empty on a newcomer.
    layers: Vec<OwnershipMap>,
    next: Option<Next>,
    latest: Option<Proposal>,
    active: Option<MapEpoch>,
    released: Option<MapEpoch>,
    electorate: Option<Electorate>,
}

#[derive(Debug)]
struct Next {
    map: OwnershipMap,
    released: bool,
    announced_ms: u64,
    step_ms: u64,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is a new map.
    Announced(MapEpoch),
    /// What it takes has been given up.
    Released(MapEpoch),
    /// What it gives is owned.
    Active {
        /// Which map.
        epoch: MapEpoch,
        /// Whether flows decided before are to be decided anew.
        settles: bool,
        /// How long it took.
        took_ms: u64,
    },
}

impl Change {
    /// The highest map known.
    pub(super) const fn latest(&self) -> Option<&Proposal> {
        self.latest.as_ref()
    }

    /// The last map by which this node released.
    pub(super) const fn released(&self) -> Option<&MapEpoch> {
        self.released.as_ref()
    }

    /// The last map that was active here.
    pub(super) const fn active(&self) -> Option<&MapEpoch> {
        self.active.as_ref()
    }

    /// The map that is under way, and since when.
    pub(super) fn under_way(&self) -> Option<(&MapEpoch, u64)> {
        self.next.as_ref().map(|next| (next.map.epoch(), next.announced_ms))
    }

    /// Whose answers the map under way still wants.
    pub(super) fn wanting<'a>(&'a self, company: &'a Company<'a>) -> impl Iterator<Item = &'a NodeName> {
        let wants = |next: &Next, other: &Member| {
            if next.released {
                !has_released(other, next.map.epoch())
            } else {
                !acknowledges(other, next.map.epoch())
            }
        };
        let silent = move |next| company.other_servers().filter(move |other| wants(next, other));
        self.next.iter().flat_map(silent).map(|member| &member.name)
    }

    /// Whether the highest map has a seat for this node.
    pub(super) fn seats(&self, me: &Member) -> bool {
        let seat = |latest: &Proposal| {
            latest
                .roster()
                .seats
                .iter()
                .any(|seat| seat.name == me.name && seat.incarnation == me.incarnation)
        };
        self.latest.as_ref().is_some_and(seat)
    }

    /// Of whom a majority is needed, where one is.
    pub(super) const fn electorate(&self) -> Option<&Electorate> {
        self.electorate.as_ref()
    }

    /// Goes by what another node says of that, if it overrules what is known.
    pub(super) fn hear_electorate(&mut self, heard: &Electorate) {
        if self.electorate.as_ref().is_none_or(|known| heard.overrules(known)) {
            self.electorate = Some(heard.clone());
        }
    }

    /// Whether those for whom `lives` are the majority that is needed.
    pub(super) fn has_majority(&self, lives: impl Fn(&NodeName) -> bool) -> bool {
        self.electorate.as_ref().is_none_or(|electorate| electorate.majority(lives))
    }

    /// Takes those who have seats in the active map for the electorate, once a majority of those before is heard to have
    /// released by it. Those may have left by now, or not serve again yet.
    fn renew_electorate(&mut self, company: &Company<'_>) {
        let Some(active) = self.layers.iter().find(|map| Some(map.epoch()) == self.active.as_ref()) else {
            return;
        };
        let (epoch, before) = (active.epoch(), self.electorate.as_ref());
        let agrees = |name: &NodeName| {
            let mut others = company.others().filter(|other| other.name == *name);
            *name == company.me().name || others.any(|other| has_released(other, epoch))
        };
        if before.is_none_or(|before| before.epoch() < epoch && before.majority(agrees)) {
            self.electorate = Some(Electorate::new(before, epoch, active.seats()));
        }
    }

    /// Follows `proposal` if it is higher than all before. One that cuts the hash space into another number of
    /// buckets than `total_nodes` is not followed.
    pub(super) fn follow(&mut self, proposal: &Proposal, total_nodes: u16, now_ms: u64) -> Option<Step> {
        let without = self.active.is_none() && self.next.is_none();
        let higher = |latest: &Proposal| {
            latest.epoch() < proposal.epoch() || without && latest.epoch() == proposal.epoch()
        };
        if !self.latest.as_ref().is_none_or(higher) || proposal.roster().total_nodes != total_nodes {
            return None;
        }
        if let Some(next) = self.next.take().filter(|next| next.released) {
            self.layers.push(next.map);
            let surplus = self.layers.len().saturating_sub(LAYERS_MAX);
            self.layers.drain(..surplus);
        }
        self.latest = Some(proposal.clone());
        let map = OwnershipMap::compute(proposal);
        self.next = Some(Next { map, released: false, announced_ms: now_ms, step_ms: now_ms });
        Some(Step::Announced(proposal.epoch().clone()))
    }

    /// Owns nothing any more, and follows as a newcomer does.
    pub(super) fn forget(&mut self) {
        let (latest, electorate) = (self.latest.take(), self.electorate.take());
        *self = Self { latest, electorate, ..Self::default() };
    }

    /// Takes the next step that can be taken; `None` when there is none. `patience_ms` is how long those that live and
    /// stay silent are waited for; without it, until they answer or die.
    pub(super) fn advance(
        &mut self,
        company: &Company<'_>,
        patience_ms: Option<u64>,
        now_ms: u64,
    ) -> Option<Step> {
        self.renew_electorate(company);
        let heard =
            company.others().filter_map(|other| other.proposal.as_ref()).max_by_key(|known| known.epoch());
        if let Some(step) = heard.and_then(|heard| self.follow(heard, company.me().total_nodes, now_ms)) {
            return Some(step);
        }
        let next = self.next.as_mut()?;
        let epoch = next.map.epoch();
        let late = patience_ms.is_some_and(|patience| now_ms.saturating_sub(next.step_ms) >= patience);
        if !next.released {
            // Whoever has released has seen that all acknowledged.
            let agreed = company.other_servers().all(|other| acknowledges(other, epoch))
                || company.other_servers().any(|other| has_released(other, epoch));
            if !agreed && !late {
                return None;
            }
            (next.released, next.step_ms) = (true, now_ms);
            self.released = Some(epoch.clone());
            return Some(Step::Released(epoch.clone()));
        }
        if !late && !company.other_servers().all(|other| has_released(other, epoch)) {
            return None;
        }
        let Next { map, announced_ms, .. } = self.next.take()?;
        let (epoch, settles) = (map.epoch().clone(), map.settles());
        self.active = Some(epoch.clone());
        self.layers = vec![map];
        Some(Step::Active { epoch, settles, took_ms: now_ms.saturating_sub(announced_ms) })
    }

    /// Whose a bucket is, as far as this node may know; `None` when nobody who has a seat lives. While the bucket is on
    /// its way, whoever loses it names nobody, and whoever gains it still names the one it comes from.
    pub(super) fn owner(&self, bucket: BucketId, company: &Company<'_>) -> Option<&NodeName> {
        let by = |map| OwnershipMap::owner(map, bucket, |seat| company.serves(seat)).map(|seat| &seat.name);
        let mine = |owner: Option<&NodeName>| owner == Some(&company.me().name);
        let others = |owner: &Option<&NodeName>| !mine(*owner);
        let Some((first, later)) = self.layers.split_first() else {
            // A newcomer knows whose the rest is, and owns nothing yet.
            return self.next.as_ref().map(|next| by(&next.map)).filter(others).flatten();
        };
        let released = self.next.as_ref().filter(|next| next.released).map(|next| &next.map);
        if released.is_some_and(|map| !mine(by(map))) && self.layers.iter().all(|map| mine(by(map))) {
            return None;
        }
        let mut newest_first = released.into_iter().chain(later.iter().rev()).map(by);
        newest_first.find(others).unwrap_or_else(|| by(first))
    }
}

/// Whether `member` knows the map; to be past it is to know it.
fn acknowledges(member: &Member, epoch: &MapEpoch) -> bool {
    member.proposal.as_ref().is_some_and(|proposal| proposal.epoch() == epoch) || has_released(member, epoch)
}

fn has_released(member: &Member, epoch: &MapEpoch) -> bool {
    member.released.as_ref() == Some(epoch)
}
