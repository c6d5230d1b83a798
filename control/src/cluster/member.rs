//! What a node publishes of itself.
//!
//! A member travels as a small set of text pairs, one for each field, which gossip and etcd both carry as they are.
//! Every field is always there; one that has no value is empty. A pair changes as a whole, a member need not: what must
//! not be torn apart, the map with its epoch, is one pair.

use super::electorate::Electorate;
use super::handover::Handover;
use super::proposal::{MapEpoch, Proposal};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// A node's name, unique in its cluster: 1 to 63 of letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=63).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(MemberError::Name(text.into()))
        }
    }
}

impl TryFrom<String> for NodeName {
    type Error = MemberError;

    fn try_from(text: String) -> Result<Self, MemberError> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0.as_ref().into()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which life of a node this is: grows with each start, and by one when it loses what it owns. Milliseconds of the wall
/// clock at the start will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// A node's share of the buckets beside the weights of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Weight(NonZeroU16);

impl Weight {
    /// `None` for 0.
    pub const fn new(weight: u16) -> Option<Self> {
        match NonZeroU16::new(weight) {
            Some(weight) => Some(Self(weight)),
            None => None,
        }
    }

    /// As a plain number, never 0.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

/// A hash of everything that must be the same on all nodes, written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Digest(pub u64);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It listens who else is there.
    Joining,
    /// It tracks the flows of the others and owns nothing.
    Learning,
    /// It may own buckets.
    Active,
    /// It keeps the flows it has and takes no new ones once the map says so.
    Draining,
    /// It has stopped owning anything; others go on with what it had.
    Leaving,
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 5] = [Self::Joining, Self::Learning, Self::Active, Self::Draining, Self::Leaving];

    /// The name in gossip, metrics and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Learning => "learning",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Leaving => "leaving",
        }
    }

    /// Whether flows may be such a node's.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a node publishes of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub name: NodeName,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Where in its life.
    pub state: State,
    /// Its share beside those of the others.
    pub weight: Weight,
    /// Where operators reach it.
    pub address: IpAddr,
    /// Linux's `--cluster-hash-seed`.
    pub hash_seed: u32,
    /// Into how many buckets it cuts the hash space. Linux's `--cluster-total-nodes`.
    pub total_nodes: u16,
    /// Of the parts of its configuration that must be the same everywhere.
    pub config_digest: Digest,
    /// Weir's version.
    pub version: Arc<str>,
    /// The latest map it knows of, whole. To publish it is to acknowledge it.
    pub proposal: Option<Proposal>,
    /// The latest map by which it has given up all that the map takes from it.
    pub released: Option<MapEpoch>,
    /// The latest map by which it owns what the map gives to it.
    pub active: Option<MapEpoch>,
    /// Of whom it must hear a majority to own anything, where the minority yields.
    pub electorate: Option<Electorate>,
    /// While draining: how many flows are still its own.
    pub flows_left: Option<u64>,
    /// How far its leave has got, if it hands its flows over.
    pub handover: Option<Handover>,
    /// Another node that is to leave, and which life of it: the frames of its flows are held here.
    pub holds_for: Option<(NodeName, Incarnation)>,
}

/// The keys of a member's pairs.
mod key {
    pub(super) const NAME: &str = "name";
    pub(super) const INCARNATION: &str = "incarnation";
    pub(super) const STATE: &str = "state";
    pub(super) const WEIGHT: &str = "weight";
    pub(super) const ADDRESS: &str = "address";
    pub(super) const HASH_SEED: &str = "hash_seed";
    pub(super) const TOTAL_NODES: &str = "total_nodes";
    pub(super) const CONFIG_DIGEST: &str = "config_digest";
    pub(super) const VERSION: &str = "version";
    pub(super) const PROPOSAL: &str = "proposal";
    pub(super) const RELEASED: &str = "released";
    pub(super) const ACTIVE: &str = "active";
    pub(super) const ELECTORATE: &str = "electorate";
    pub(super) const FLOWS_LEFT: &str = "flows_left";
    pub(super) const HANDOVER: &str = "handover";
    pub(super) const HOLDS_FOR: &str = "holds_for";
}

impl Member {
    /// All fields as pairs, always the same keys in the same order.
    pub fn pairs(&self) -> [(&'static str, String); 16] {
        fn text<T: fmt::Display>(value: Option<&T>) -> String {
            value.map(T::to_string).unwrap_or_default()
        }
        [
            (key::NAME, self.name.to_string()),
            (key::INCARNATION, self.incarnation.0.to_string()),
            (key::STATE, self.state.to_string()),
            (key::WEIGHT, self.weight.number().to_string()),
            (key::ADDRESS, self.address.to_string()),
            (key::HASH_SEED, self.hash_seed.to_string()),
            (key::TOTAL_NODES, self.total_nodes.to_string()),
            (key::CONFIG_DIGEST, self.config_digest.to_string()),
            (key::VERSION, self.version.to_string()),
            (key::PROPOSAL, text(self.proposal.as_ref())),
            (key::RELEASED, text(self.released.as_ref())),
            (key::ACTIVE, text(self.active.as_ref())),
            (key::ELECTORATE, text(self.electorate.as_ref())),
            (key::FLOWS_LEFT, text(self.flows_left.as_ref())),
            (key::HANDOVER, text(self.handover.as_ref())),
            (key::HOLDS_FOR, self.holds_for.as_ref().map(life_text).unwrap_or_default()),
        ]
    }

    /// Reads what [`Self::pairs`] wrote, in any order; keys it does not know are left alone.
    ///
    /// # Errors
    ///
    /// [`MemberError::Missing`] while some keys have not arrived; others name the pair that cannot be read.
    pub fn from_pairs<'a, I>(pairs: I) -> Result<Self, MemberError>
    where
        I: IntoIterator<Item = (&'a str, &'a str)>,
    {
        let pairs = Pairs(pairs.into_iter().collect());
        let state: String = pairs.field(key::STATE)?;
        let weight: u16 = pairs.field(key::WEIGHT)?;
        let digest: String = pairs.field(key::CONFIG_DIGEST)?;
        let wrong = |key: &'static str, text: &str| MemberError::Value { key, text: text.into() };
        Ok(Self {
            name: pairs.text(key::NAME)?.parse()?,
            incarnation: Incarnation(pairs.field(key::INCARNATION)?),
            state: State::ALL
                .into_iter()
                .find(|known| known.name() == state)
                .ok_or_else(|| wrong(key::STATE, &state))?,
            weight: Weight::new(weight).ok_or_else(|| wrong(key::WEIGHT, "0"))?,
            address: pairs.field(key::ADDRESS)?,
            hash_seed: pairs.field(key::HASH_SEED)?,
            total_nodes: pairs.field(key::TOTAL_NODES)?,
            config_digest: u64::from_str_radix(&digest, 16)
                .map(Digest)
                .map_err(|_| wrong(key::CONFIG_DIGEST, &digest))?,
            version: pairs.text(key::VERSION)?.into(),
            proposal: pairs.optional(key::PROPOSAL)?,
            released: pairs.optional(key::RELEASED)?,
            active: pairs.optional(key::ACTIVE)?,
            electorate: pairs.optional(key::ELECTORATE)?,
            flows_left: pairs.optional(key::FLOWS_LEFT)?,
            handover: pairs.optional(key::HANDOVER)?,
            holds_for: pairs.life(key::HOLDS_FOR)?,
        })
    }
}

/// A life of a node, as `NAME/INCARNATION`: no name has a slash.
fn life_text((name, incarnation): &(NodeName, Incarnation)) -> String {
    format!("{name}/{}", incarnation.0)
}

/// A member's pairs while they are read.
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl Pairs<'_> {
    fn text(&self, key: &'static str) -> Result<&str, MemberError> {
        let pair = self.0.iter().find(|(known, _)| *known == key);
        pair.map(|(_, value)| *value).ok_or(MemberError::Missing(key))
    }

    fn field<T: FromStr>(&self, key: &'static str) -> Result<T, MemberError> {
        let text = self.text(key)?;
        text.parse().map_err(|_| MemberError::Value { key, text: text.into() })
    }

    fn life(&self, key: &'static str) -> Result<Option<(NodeName, Incarnation)>, MemberError> {
        let text = self.text(key)?;
        let life = |(name, incarnation): (&str, &str)| {
            Some((name.parse().ok()?, Incarnation(incarnation.parse().ok()?)))
        };
        let wrong = || MemberError::Value { key, text: text.into() };
        if text.is_empty() {
            return Ok(None);
        }
        text.split_once('/').and_then(life).map(Some).ok_or_else(wrong)
    }

    fn optional<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, MemberError> {
        if self.text(key)?.is_empty() { Ok(None) } else { self.field(key).map(Some) }
    }
}

/// Why something that another node published, or an operator wrote, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MemberError {
    /// Not a name.
    #[error("node name {0:?}: use 1 to 63 letters, digits, '-', '_' or '.'")]
    Name(String),
    /// A pair has not arrived.
    #[error(
        "a member without {0:?}: it may still be on its way; if it stays so, the node runs another version"
    )]
    Missing(&'static str),
    /// A pair that makes no sense.
    #[error(
        "a member whose {key:?} is {text:?}: the node runs another version, or somebody else writes here"
    )]
    Value {
        /// Which.
        key: &'static str,
        /// What it is.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        Member {
            name: "gw-1".parse().unwrap(),
            incarnation: Incarnation(1_700_000_000_000),
            state: State::Draining,
            weight: Weight::new(100).unwrap(),
            address: "fd00::1".parse().unwrap(),
            hash_seed: 0xdead_beef,
            total_nodes: 32,
            config_digest: Digest(0x0123_4567_89ab_cdef),
            version: "0.1.0".into(),
            proposal: None,
            released: None,
            active: None,
            electorate: Some("1700000000000 7/gw-0/00000000000000ff gw-0 gw-2".parse().unwrap()),
            flows_left: Some(7),
            handover: Some(Handover::Announced),
            holds_for: Some(("gw-2".parse().unwrap(), Incarnation(8))),
        }
    }

    #[test]
    fn a_member_survives_its_pairs_in_any_order() {
        let member = member();
        let mut pairs = member.pairs();
        pairs.reverse();
        let read = Member::from_pairs(pairs.iter().map(|(key, value)| (*key, value.as_str())));
        assert_eq!(read.unwrap(), member);
    }

    #[test]
    fn each_missing_or_broken_pair_is_named() {
        let pairs = member().pairs();
        for left_out in 0..pairs.len() {
            let rest = pairs.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, pair)| pair);
            let read = Member::from_pairs(rest.map(|(key, value)| (*key, value.as_str())));
            assert_eq!(read, Err(MemberError::Missing(pairs[left_out].0)));
        }
        for (broken, text) in [
            ("weight", "0"),
            ("state", "asleep"),
            ("proposal", "{"),
            ("electorate", "7"),
            ("holds_for", "gw"),
        ] {
            let pairs = pairs.iter().map(|(key, value)| (*key, if *key == broken { text } else { value }));
            let wrong = MemberError::Value { key: broken, text: text.into() };
            assert_eq!(Member::from_pairs(pairs), Err(wrong));
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        for wrong in ["", "a b", "ä", "a/b", &"x".repeat(64)] {
            assert_eq!(wrong.parse::<NodeName>(), Err(MemberError::Name(wrong.into())));
        }
        assert_eq!("gw_1.rack-2".parse::<NodeName>().unwrap().as_str(), "gw_1.rack-2");
    }
}
