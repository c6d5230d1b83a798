//! Of whom a node must hear a majority to own anything, where the minority yields.
//!
//! They are those that had a seat in the last map that a majority of those before had released by. A minority can make
//! maps, and does not become a majority by it. A node that has never followed a map knows of none, and may found a
//! cluster.
//!
//! Nodes tell each other, and all go by one of what they hear: that of the cluster that was founded first, and of that
//! one's the last. So nodes that hear each other count the same votes, and all of them may own or all wait. Who starts
//! among nodes that wait knows from them that others may serve unheard, and waits as well; so does who has founded a
//! cluster of its own while it heard nobody.

use super::member::{Incarnation, MemberError, NodeName};
use super::proposal::{MapEpoch, Seat};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Those who vote. Its text is when their cluster was founded, the epoch and the names, each after a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Electorate {
    /// The first life of those that had a seat in the first map of all.
    founded: Incarnation,
    /// The map that they have their seats by.
    epoch: MapEpoch,
    /// By name, ascending.
    voters: Arc<[NodeName]>,
}

impl Electorate {
    /// Those who have `seats`, in order of their names, in the map `epoch` that follows on `before`.
    pub(super) fn new(before: Option<&Self>, epoch: &MapEpoch, seats: &[Seat]) -> Self {
        let first = || seats.iter().map(|seat| seat.incarnation).min().unwrap_or_default();
        Self {
            founded: before.map_or_else(first, |before| before.founded),
            epoch: epoch.clone(),
            voters: seats.iter().map(|seat| seat.name.clone()).collect(),
        }
    }

    /// The map that they have their seats by.
    pub(super) const fn epoch(&self) -> &MapEpoch {
        &self.epoch
    }

    /// Who they are, in order of their names.
    pub(super) fn voters(&self) -> &[NodeName] {
        &self.voters
    }

    /// Whether this one holds where `other` is known as well.
    pub(super) fn overrules(&self, other: &Self) -> bool {
        self.founded < other.founded || self.founded == other.founded && self.epoch > other.epoch
    }

    /// Whether `does` says so of more than half of them, or of the half that has the first by name.
    pub(super) fn majority(&self, does: impl Fn(&NodeName) -> bool) -> bool {
        let (all, doing) = (self.voters.len(), self.voters.iter().filter(|name| does(name)).count());
        2 * doing > all || 2 * doing == all && self.voters.first().is_some_and(does)
    }
}

impl fmt::Display for Electorate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.founded.0, self.epoch)?;
        self.voters.iter().try_for_each(|name| write!(f, " {name}"))
    }
}

impl FromStr for Electorate {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let wrong = || MemberError::Value { key: "electorate", text: text.chars().take(40).collect() };
        let mut parts = text.split(' ');
        let (Some(founded), Some(epoch)) = (parts.next(), parts.next()) else { return Err(wrong()) };
        let voters: Arc<[NodeName]> = parts.map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        if voters.is_empty() || !voters.is_sorted_by(|a, b| a < b) {
            return Err(wrong());
        }
        Ok(Self {
            founded: Incarnation(founded.parse().map_err(|_| wrong())?),
            epoch: epoch.parse().map_err(|_| wrong())?,
            voters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn electorate(text: &str) -> Electorate {
        text.parse().unwrap()
    }

    #[test]
    fn more_than_half_are_a_majority_and_so_is_the_half_with_the_first() {
        let majority = |names: &str, doing: &[&str]| {
            electorate(&format!("9 7/a/ff {names}")).majority(|name| doing.contains(&name.as_str()))
        };
        assert!(majority("a b c", &["b", "c"]) && !majority("a b c", &["a", "x"]));
        assert!(majority("a b", &["a"]) && !majority("a b", &["b", "x"]));
        assert!(majority("a", &["a"]) && !majority("a", &["b"]));
    }

    #[test]
    fn of_two_the_one_of_the_older_cluster_holds_and_of_one_clusters_the_later() {
        let overrules = |one: &str, other: &str| {
            let (one, other) = (electorate(one), electorate(other));
            assert!(!one.overrules(&one) && one.overrules(&other) != other.overrules(&one));
            one.overrules(&other)
        };
        assert!(overrules("9 8/a/ff a", "9 7/a/ff a b"));
        assert!(overrules("9 7/b/ff b", "9 7/a/ff a"), "made at once");
        assert!(overrules("9 1/a/ff a b", "10 8/c/ff c"), "however many maps the younger one has made");
    }

    #[test]
    fn an_electorate_survives_its_text_and_nothing_else_is_one() {
        let two = electorate("1700000000000 7/gw-0/00000000000000ff gw-0 gw-2");
        assert_eq!(two.to_string(), "1700000000000 7/gw-0/00000000000000ff gw-0 gw-2");
        assert_eq!(two.to_string().parse(), Ok(two));
        for text in
            ["9 7/a/0", "9 7/a/0 ", "9 7/a a", "9 7/a/0 b a", "9 7/a/0 a a", "9 7/a/0 a/b", "x 7/a/0 a", "9"]
        {
            assert!(text.parse::<Electorate>().is_err(), "{text:?}");
        }
    }
}
