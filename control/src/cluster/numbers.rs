//! What was agreed, in the numbers by which workers know the nodes.

use super::member::NodeName;
use super::ownership::Ownership;
use std::collections::BTreeMap;
use tracing::warn;
use weir_dataplane::config::Members;
use weir_dataplane::units::{Epoch, MEMBERS_MAX, MemberId};

/// This node's numbers for the nodes: itself is the first. A number is a node's for as long as this process lives.
#[derive(Debug)]
pub struct Numbers {
    names: Vec<NodeName>,
    /// Since when each node has lived, by version of the ownership and by epoch of the workers.
    living: BTreeMap<NodeName, (u64, Epoch)>,
}

impl Numbers {
    /// For the node of this name.
    pub fn new(me: NodeName) -> Self {
        Self { names: vec![me], living: BTreeMap::new() }
    }

    /// The name behind a number.
    pub fn name(&self, id: MemberId) -> Option<&NodeName> {
        self.names.get(id.index())
    }

    /// The number of a name, if it has one.
    pub fn number(&self, name: &NodeName) -> Option<MemberId> {
        self.names.iter().position(|known| known == name).and_then(MemberId::new)
    }

    /// What the workers are to go by from `epoch` on. Each ownership is told once, in the order of their versions: since
    /// which epoch a node lives follows from the ones before.
    pub fn members(&mut self, ownership: &Ownership, epoch: Epoch) -> Members {
        let since = |(name, version): (&NodeName, &u64)| {
            let unbroken = self.living.get(name).filter(|(since, _)| since == version);
            (name.clone(), (*version, unbroken.map_or(epoch, |(_, epoch)| *epoch)))
        };
        let living: BTreeMap<_, _> = ownership.living.iter().map(since).collect();
        let told = living.iter().filter_map(|(name, (_, since))| Some((self.id(name)?, *since))).collect();
        self.living = living;
        let owners = ownership.owners.iter();
        let map = owners.map(|owner| owner.as_ref().and_then(|name| self.id(name))).collect();
        Members { me: MemberId::FIRST, map, living: told, learning: ownership.learning }
    }

    /// A node's number; a node that there is no number for owns nothing here.
    fn id(&mut self, name: &NodeName) -> Option<MemberId> {
        let known = self.names.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            if self.names.len() < MEMBERS_MAX {
                self.names.push(name.clone());
            } else {
                warn!(node = %name, "more nodes than this one has numbers for: what it owns counts as nobody's");
            }
            self.names.len() - 1
        });
        MemberId::new(index).filter(|_| self.names.get(index) == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ownership(version: u64, living: &[(&str, u64)], owners: &[Option<&str>]) -> Ownership {
        let name = |name: &str| name.parse().unwrap();
        Ownership {
            version,
            owners: owners.iter().map(|owner| owner.map(name)).collect(),
            living: living.iter().map(|(node, since)| (name(node), *since)).collect(),
            learning: false,
        }
    }

    #[test]
    fn a_node_keeps_its_number_and_lives_since_the_epoch_that_first_said_so() {
        let mut numbers = Numbers::new("b".parse().unwrap());
        let [first, second, third] = [1, 2, 3].map(|n| (1..n).fold(Epoch::FIRST, |epoch, _| epoch.next()));
        let (me, other) = (MemberId::FIRST, MemberId::new(1).unwrap());
        let told = numbers.members(&ownership(1, &[("a", 1), ("b", 1)], &[Some("a"), None]), first);
        assert_eq!((told.me, told.map), (me, vec![Some(other), None]));
        assert_eq!(told.living, BTreeMap::from([(me, first), (other, first)]));
        let told = numbers.members(&ownership(2, &[("b", 1)], &[Some("b"), Some("b")]), second);
        assert_eq!(told.living, BTreeMap::from([(me, first)]));
        let told = numbers.members(&ownership(3, &[("a", 3), ("b", 1)], &[Some("a"), Some("b")]), third);
        assert_eq!(told.map, [Some(other), Some(me)]);
        assert_eq!(told.living, BTreeMap::from([(me, first), (other, third)]));
        assert_eq!(numbers.name(other).map(NodeName::as_str), Some("a"));
    }

    #[test]
    fn a_node_beyond_the_last_number_owns_nothing() {
        let mut numbers = Numbers::new("0".parse().unwrap());
        let names: Vec<String> = (0..=MEMBERS_MAX).map(|n| n.to_string()).collect();
        let owners: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
        let told = numbers.members(&ownership(1, &[], &owners), Epoch::FIRST);
        assert_eq!(told.map.iter().filter(|owner| owner.is_none()).count(), 1);
    }
}
