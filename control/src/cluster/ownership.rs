//! What workers need to know of the cluster: whose a new flow is, and who lives.

use super::company::{Company, Life};
use super::member::NodeName;
use std::collections::BTreeMap;

/// Whose flows are whose, as this node may know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Grows with each change.
    pub version: u64,
    /// Whose a flow is that begins now, by bucket. `None`: nobody's, because the bucket is on its way from one node to
    /// another, or because nobody lives who may own it.
    pub owners: Vec<Option<NodeName>>,
    /// Who may own flows, each with the first version that said so without a break since. A flow that was decided
    /// under an earlier version goes by its bucket, whatever it was before.
    pub living: BTreeMap<NodeName, u64>,
    /// This node came too lately to know which flows are new.
    pub learning: bool,
}

/// Keeps an [`Ownership`] and tells when it changes.
#[derive(Debug, Default)]
pub(super) struct Book {
    current: Ownership,
    lives: Vec<Life>,
}

impl Book {
    /// As of now.
    pub(super) const fn current(&self) -> &Ownership {
        &self.current
    }

    /// Whether others serve than when it was last written.
    pub(super) fn is_stale(&self, company: &Company<'_>, learning: bool) -> bool {
        let serving = company.servers().map(|member| (&member.name, member.incarnation));
        learning != self.current.learning || !serving.eq(self.lives.iter().map(|(name, life)| (name, *life)))
    }

    /// Writes it anew; with `anew` all flows go by their buckets from here on. Returns how many buckets have another
    /// owner than before.
    pub(super) fn write(
        &mut self,
        owners: Vec<Option<NodeName>>,
        company: &Company<'_>,
        learning: bool,
        anew: bool,
    ) -> usize {
        let version = self.current.version + 1;
        let lives: Vec<Life> =
            company.servers().map(|member| (member.name.clone(), member.incarnation)).collect();
        let since = |life: &Life| {
            let unbroken = self.lives.contains(life) && !anew;
            let since = if unbroken { self.current.living.get(&life.0).copied() } else { None };
            (life.0.clone(), since.unwrap_or(version))
        };
        let living = lives.iter().map(since).collect();
        let moved = if self.current.owners.len() == owners.len() {
            self.current.owners.iter().zip(&owners).filter(|(before, after)| before != after).count()
        } else {
            owners.len()
        };
        let next = Ownership { version, owners, living, learning };
        if (Ownership { version: self.current.version, ..next.clone() }) != self.current {
            self.current = next;
        }
        self.lives = lives;
        moved
    }
}
