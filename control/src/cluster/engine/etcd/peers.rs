//! What is known of the other nodes from etcd's keys.
//!
//! A key that etcd deletes before our eyes belonged to a lease that has ended: the node is dead at once. A key that is
//! merely not there when we come back from an outage tells less, for the store may have been wiped: its node is dead
//! when it does not come back for the length of its lease, by which time it has stopped on its own.

use super::record::Record;
use crate::cluster::engine::Clock;
use crate::cluster::{Incarnation, Liveness, NodeName, Peer};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// For how long the dead are remembered.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// The other nodes.
#[derive(Debug)]
pub(super) struct Peers {
    own: (NodeName, Incarnation),
    clock: Clock,
    known: BTreeMap<NodeName, Known>,
}

#[derive(Debug)]
struct Known {
    record: Record,
    presence: Presence,
}

#[derive(Clone, Copy, Debug)]
enum Presence {
    There,
    /// There when etcd was last in reach.
    OutOfReach {
        since: Instant,
    },
    /// Not there, nobody has seen it go.
    Missing {
        since: Instant,
        until: Instant,
    },
    Gone {
        since: Instant,
    },
}

impl Peers {
    pub(super) fn new(own: (NodeName, Incarnation), clock: Clock) -> Self {
        Self { own, clock, known: BTreeMap::new() }
    }

    /// A key was written. What this life of this node wrote says nothing about others.
    pub(super) fn written(&mut self, record: Record) {
        let name = record.member.name.clone();
        if (&name, record.member.incarnation) == (&self.own.0, self.own.1) {
            self.known.remove(&name);
        } else {
            self.known.insert(name, Known { record, presence: Presence::There });
        }
    }

    /// A key was deleted: the lease has ended.
    pub(super) fn deleted(&mut self, name: &NodeName, now: Instant) {
        if *name == self.own.0 {
            self.known.remove(name);
        } else if let Some(known) = self.known.get_mut(name) {
            known.presence = Presence::Gone { since: now };
        }
    }

    /// These and no other keys are there.
    pub(super) fn all(&mut self, there: &BTreeSet<NodeName>, now: Instant) {
        self.known.retain(|name, _| *name != self.own.0 || there.contains(name));
        for (_, known) in self.known.iter_mut().filter(|(name, _)| !there.contains(*name)) {
            if let Presence::There | Presence::OutOfReach { .. } = known.presence {
                known.presence = Presence::Missing { since: now, until: now + known.record.lease };
            }
        }
    }

    /// etcd is out of reach: nobody comes and nobody goes, as far as this node can know.
    pub(super) fn out_of_reach(&mut self, now: Instant) {
        for known in self.known.values_mut() {
            known.presence = match known.presence {
                Presence::There => Presence::OutOfReach { since: now },
                // It may have come back since.
                Presence::Missing { since, .. } => Presence::OutOfReach { since },
                presence => presence,
            };
        }
    }

    /// When [`Self::peers`] will say something new by itself.
    pub(super) fn next_change(&self) -> Option<Instant> {
        let changes = self.known.values().filter_map(|known| match known.presence {
            Presence::Missing { until, .. } => Some(until),
            Presence::Gone { since } => Some(since + FORGET_AFTER),
            Presence::There | Presence::OutOfReach { .. } => None,
        });
        changes.min()
    }

    /// The others now.
    pub(super) fn peers(&mut self, now: Instant) -> BTreeMap<NodeName, Peer> {
        for known in self.known.values_mut() {
            if let Presence::Missing { until, .. } = known.presence
                && until <= now
            {
                known.presence = Presence::Gone { since: now };
            }
        }
        self.known.retain(|_, known| match known.presence {
            Presence::Gone { since } => now < since + FORGET_AFTER,
            _ => true,
        });
        let peer = |known: &Known| Peer {
            member: known.record.member.clone(),
            liveness: self.liveness(known.presence),
            deaf: false,
        };
        self.known.iter().map(|(name, known)| (name.clone(), peer(known))).collect()
    }

    fn liveness(&self, presence: Presence) -> Liveness {
        match presence {
            Presence::There => Liveness::Alive,
            Presence::OutOfReach { since } | Presence::Missing { since, .. } => {
                Liveness::Suspected { since_ms: self.clock.ms(since) }
            }
            Presence::Gone { since } => Liveness::Dead { since_ms: self.clock.ms(since) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::engine::test_member as member;

    const LEASE: Duration = Duration::from_secs(10);

    fn record(name: &str, incarnation: u64) -> Record {
        Record { member: member(name, incarnation), lease: LEASE }
    }

    fn names(names: &[&str]) -> BTreeSet<NodeName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// `n2` and `n3` as `n1` sees them, at 0 s.
    fn peers() -> (Peers, Instant) {
        let begun = Instant::now();
        let mut peers = Peers::new(("n1".parse().unwrap(), Incarnation(1)), Clock::new(begun));
        for name in ["n1", "n2", "n3"] {
            peers.written(record(name, 1));
        }
        (peers, begun)
    }

    fn liveness(peers: &mut Peers, name: &str, now: Instant) -> Option<Liveness> {
        peers.peers(now).get(&name.parse().unwrap()).map(|peer| peer.liveness)
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_deleted_before_our_eyes_is_a_death_until_it_is_forgotten() {
        let (mut peers, begun) = peers();
        peers.deleted(&"n2".parse().unwrap(), begun + s(1));
        assert_eq!(liveness(&mut peers, "n2", begun + s(1)), Some(Liveness::Dead { since_ms: 1000 }));
        assert_eq!(liveness(&mut peers, "n3", begun + s(1)), Some(Liveness::Alive));
        assert_eq!(peers.next_change(), Some(begun + s(601)));
        assert_eq!(liveness(&mut peers, "n2", begun + s(601)), None);
        assert_eq!(peers.next_change(), None);
    }

    #[test]
    fn a_key_missing_after_an_outage_is_a_death_only_after_its_lease() {
        let (mut peers, begun) = peers();
        peers.out_of_reach(begun + s(1));
        assert_eq!(liveness(&mut peers, "n2", begun + s(100)), Some(Liveness::Suspected { since_ms: 1000 }));
        peers.all(&names(&["n3"]), begun + s(100));
        peers.written(record("n3", 1));
        assert_eq!(liveness(&mut peers, "n3", begun + s(100)), Some(Liveness::Alive));
        assert_eq!(peers.next_change(), Some(begun + s(110)));
        assert_eq!(
            liveness(&mut peers, "n2", begun + s(109)),
            Some(Liveness::Suspected { since_ms: 100_000 })
        );
        assert_eq!(liveness(&mut peers, "n2", begun + s(110)), Some(Liveness::Dead { since_ms: 110_000 }));
    }

    #[test]
    fn nobody_dies_of_our_own_outage() {
        let (mut peers, begun) = peers();
        peers.all(&names(&["n3"]), begun + s(1));
        // n2 is missing; before its lease is over, etcd goes out of reach.
        peers.out_of_reach(begun + s(2));
        assert_eq!(peers.next_change(), None);
        assert!(liveness(&mut peers, "n2", begun + s(500)).unwrap().lives());
        assert!(liveness(&mut peers, "n3", begun + s(500)).unwrap().lives());
    }

    #[test]
    fn the_dead_may_come_again() {
        let (mut peers, begun) = peers();
        peers.deleted(&"n2".parse().unwrap(), begun + s(1));
        peers.written(record("n2", 2));
        assert_eq!(liveness(&mut peers, "n2", begun + s(2)), Some(Liveness::Alive));
    }

    #[test]
    fn this_life_of_this_node_is_no_peer_and_another_one_is() {
        let (mut peers, begun) = peers();
        assert_eq!(liveness(&mut peers, "n1", begun), None);
        peers.written(record("n1", 2));
        assert_eq!(liveness(&mut peers, "n1", begun), Some(Liveness::Alive));
        peers.deleted(&"n1".parse().unwrap(), begun);
        assert_eq!(liveness(&mut peers, "n1", begun), None);
        peers.written(record("n1", 2));
        peers.all(&names(&["n2", "n3"]), begun);
        assert_eq!(liveness(&mut peers, "n1", begun), None);
    }
}
