//! A map of buckets to nodes as it travels: what it is made of, and its epoch.
//!
//! A proposal says who has a seat and with which weight; every node computes the same map from it
//! ([`OwnershipMap`](super::OwnershipMap)). Nothing is computed from what a node believes of the moment, so two nodes
//! that have the same epoch have the same map.

use super::hash::hash;
use super::member::{Incarnation, NodeName, Weight};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// Which map. Totally ordered: by number, then by who proposed it, then by what it says; so two nodes that propose at
/// once are told apart, and everybody follows the same one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapEpoch {
    number: u64,
    proposer: NodeName,
    digest: u64,
}

impl MapEpoch {
    /// Higher than that of any map the proposer knew of.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Who proposed it.
    pub const fn proposer(&self) -> &NodeName {
        &self.proposer
    }
}

impl fmt::Display for MapEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{:016x}", self.number, self.proposer, self.digest)
    }
}

impl FromStr for MapEpoch {
    type Err = ProposalError;

    fn from_str(text: &str) -> Result<Self, ProposalError> {
        let wrong = || ProposalError::Epoch(text.into());
        let mut parts = text.split('/');
        let (Some(number), Some(proposer), Some(digest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        Ok(Self {
            number: number.parse().map_err(|_| wrong())?,
            proposer: proposer.parse().map_err(|_| wrong())?,
            digest: u64::from_str_radix(digest, 16).map_err(|_| wrong())?,
        })
    }
}

impl Serialize for MapEpoch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One life of a node that may own buckets. A node that starts anew has no seat until a map gives it one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seat {
    /// Which node.
    #[serde(rename = "n")]
    pub name: NodeName,
    /// Which life of it.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// Its share beside those of the others.
    #[serde(rename = "w")]
    pub weight: Weight,
}

/// What a map is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Into how many buckets the hash space is cut.
    pub total_nodes: u16,
    /// Who may own buckets, each name once, ascending.
    pub seats: Vec<Seat>,
    /// Buckets, counted from 0, that an operator gave to a node; without effect while that node has no seat.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<u16, NodeName>,
    /// Whether flows that were decided before this map are to be decided anew by it: the nodes had disagreed on who
    /// lives, and may both own one.
    #[serde(default)]
    pub settles: bool,
}

impl Roster {
    fn digest(&self) -> u64 {
        let mut bytes = Vec::with_capacity(64 + 48 * self.seats.len() + 32 * self.pins.len());
        bytes.extend(self.total_nodes.to_le_bytes());
        bytes.push(u8::from(self.settles));
        for seat in &self.seats {
            bytes.extend(seat.name.as_str().as_bytes());
            bytes.push(0);
            bytes.extend(seat.incarnation.0.to_le_bytes());
            bytes.extend(seat.weight.number().to_le_bytes());
        }
        for (bucket, name) in &self.pins {
            bytes.extend(bucket.to_le_bytes());
            bytes.extend(name.as_str().as_bytes());
            bytes.push(0);
        }
        hash(&[&bytes])
    }
}

/// A roster with its epoch. Its text is JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    epoch: MapEpoch,
    roster: Arc<Roster>,
}

impl Proposal {
    /// The proposal of `proposer` to come after `number`; the seats are put in order.
    pub fn after(number: u64, proposer: &NodeName, mut roster: Roster) -> Self {
        roster.seats.sort();
        roster.seats.dedup_by(|later, earlier| later.name == earlier.name);
        let digest = roster.digest();
        let epoch = MapEpoch { number: number.saturating_add(1), proposer: proposer.clone(), digest };
        Self { epoch, roster: Arc::new(roster) }
    }

    /// Which map it makes.
    pub const fn epoch(&self) -> &MapEpoch {
        &self.epoch
    }

    /// What the map is made of.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }
}

/// As it travels, before its epoch is checked against its roster.
#[derive(Serialize, Deserialize)]
struct Wire {
    number: u64,
    proposer: NodeName,
    roster: Roster,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = Wire {
            number: self.epoch.number,
            proposer: self.epoch.proposer.clone(),
            roster: Roster::clone(&self.roster),
        };
        f.write_str(&serde_json::to_string(&wire).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Proposal {
    type Err = ProposalError;

    fn from_str(text: &str) -> Result<Self, ProposalError> {
        let Wire { number, proposer, roster } = serde_json::from_str(text)?;
        if !roster.seats.is_sorted_by(|a, b| a.name < b.name) {
            return Err(ProposalError::Order);
        }
        Ok(Self { epoch: MapEpoch { number, proposer, digest: roster.digest() }, roster: Arc::new(roster) })
    }
}

/// Why the text of a map or of its epoch cannot be read.
#[derive(Debug, Error)]
pub enum ProposalError {
    /// Not `number/proposer/digest`.
    #[error("map epoch {0:?}: expected NUMBER/NODE/DIGEST; the node that sent it runs another version")]
    Epoch(String),
    /// Not the JSON that it should be.
    #[error("the map that a node proposes cannot be read: {0}; that node runs another version")]
    Json(#[from] serde_json::Error),
    /// Its seats are not in ascending order of names.
    #[error("a map whose seats are out of order or double; that node runs another version")]
    Order,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(names: &[&str]) -> Roster {
        let seat = |name: &&str| Seat {
            name: name.parse().unwrap(),
            incarnation: Incarnation(9),
            weight: Weight::new(100).unwrap(),
        };
        Roster {
            total_nodes: 8,
            seats: names.iter().map(seat).collect(),
            pins: BTreeMap::from([(3, "b".parse().unwrap())]),
            settles: false,
        }
    }

    #[test]
    fn a_proposal_survives_its_text() {
        let proposal = Proposal::after(6, &"a".parse().unwrap(), roster(&["b", "a"]));
        assert_eq!(
            proposal.to_string(),
            concat!(
                r#"{"number":7,"proposer":"a","roster":{"total_nodes":8,"#,
                r#""seats":[{"n":"a","i":9,"w":100},{"n":"b","i":9,"w":100}],"pins":{"3":"b"},"settles":false}}"#
            )
        );
        assert_eq!(proposal.to_string().parse::<Proposal>().unwrap(), proposal);
        let epoch = proposal.epoch().to_string();
        assert_eq!(epoch.parse::<MapEpoch>().unwrap(), *proposal.epoch());
    }

    #[test]
    fn epochs_order_by_number_then_proposer_then_content() {
        let propose = |number, proposer: &str, names: &[&str]| {
            Proposal::after(number, &proposer.parse().unwrap(), roster(names)).epoch().clone()
        };
        assert!(propose(1, "b", &["a"]) < propose(2, "a", &["a"]));
        assert!(propose(1, "a", &["a"]) < propose(1, "b", &["a"]));
        assert_ne!(propose(1, "a", &["a"]), propose(1, "a", &["b"]));
        assert_eq!(propose(1, "a", &["a", "b"]), propose(1, "a", &["b", "a"]));
    }

    #[test]
    fn what_another_version_wrote_is_refused() {
        let wrong = |text: &str| text.parse::<Proposal>().unwrap_err();
        assert!(matches!(wrong("{}"), ProposalError::Json(_)));
        let twice = Proposal::after(6, &"a".parse().unwrap(), roster(&["a", "b"]))
            .to_string()
            .replace(r#""b","i""#, r#""a","i""#);
        assert!(matches!(wrong(&twice), ProposalError::Order));
        for text in ["7", "7/a", "x/a/0", "7/a/0/1", "7/a b/0"] {
            assert!(matches!(text.parse::<MapEpoch>(), Err(ProposalError::Epoch(_))));
        }
    }
}
