//! What a server is said to be.

use crate::config::services::Node;
use core::fmt;
use core::net::IpAddr;
use weir_dataplane::config::service::{Method, Place};

pub use crate::config::services::Server as Definition;

impl Definition {
    /// A server of weight and cost 1, without thresholds, reached directly.
    pub const fn new(name: String, address: IpAddr) -> Self {
        Self {
            name,
            place: Place::Address(address),
            port: 0,
            method: Method::Direct,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            cost: 1,
            drain: false,
        }
    }

    /// Whether connections of one may go on as the other's: a server that has moved is another one.
    pub(super) fn is_same_server(&self, other: &Self) -> bool {
        let identity = |one: &Self| (one.place, one.port, one.method);
        self.name == other.name && identity(self) == identity(other)
    }

    /// Whether both would answer for the same.
    pub(super) fn is_at_same_place(&self, other: &Self) -> bool {
        (self.place, self.port) == (other.place, other.port)
    }
}

impl From<&Node> for Definition {
    fn from(node: &Node) -> Self {
        let Node { name, place, up, cost } = node;
        Self { place: *place, cost: *cost, drain: !up, ..Self::new(name.clone(), place.address()) }
    }
}

/// What an operator has said of a server since; `None`: nothing, and its definition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// See [`Definition::weight`].
    pub weight: Option<u16>,
    /// See [`Definition::upper_threshold`].
    pub upper_threshold: Option<u32>,
    /// See [`Definition::lower_threshold`].
    pub lower_threshold: Option<u32>,
    /// See [`Definition::cost`].
    pub cost: Option<u16>,
    /// See [`Definition::drain`].
    pub drain: Option<bool>,
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { weight, upper_threshold, lower_threshold, cost, drain } = *self;
        let numbers = [
            ("weight", weight.map(u32::from)),
            ("upper_threshold", upper_threshold),
            ("lower_threshold", lower_threshold),
            ("cost", cost.map(u32::from)),
        ];
        for (name, number) in numbers {
            number.map_or(Ok(()), |number| write!(f, " {name} {number}"))?;
        }
        drain.map_or(Ok(()), |drain| f.write_str(if drain { " drain" } else { " undrain" }))
    }
}

impl Settings {
    /// These, and where they say nothing, those of before.
    #[must_use]
    pub(super) fn or(self, before: Self) -> Self {
        Self {
            weight: self.weight.or(before.weight),
            upper_threshold: self.upper_threshold.or(before.upper_threshold),
            lower_threshold: self.lower_threshold.or(before.lower_threshold),
            cost: self.cost.or(before.cost),
            drain: self.drain.or(before.drain),
        }
    }

    /// Those of them that are otherwise than the definition.
    #[must_use]
    pub(super) fn beyond(self, definition: &Definition) -> Self {
        Self {
            weight: self.weight.filter(|weight| *weight != definition.weight),
            upper_threshold: self.upper_threshold.filter(|upper| *upper != definition.upper_threshold),
            lower_threshold: self.lower_threshold.filter(|lower| *lower != definition.lower_threshold),
            cost: self.cost.filter(|cost| *cost != definition.cost),
            drain: self.drain.filter(|drain| *drain != definition.drain),
        }
    }

    /// What is left of them when a definition gives way to another: where that says something new, it holds.
    #[must_use]
    pub(super) fn after(self, old: &Definition, new: &Definition) -> Self {
        fn kept<T>(setting: Option<T>, is_same: bool) -> Option<T> {
            setting.filter(|_| is_same)
        }
        Self {
            weight: kept(self.weight, old.weight == new.weight),
            upper_threshold: kept(self.upper_threshold, old.upper_threshold == new.upper_threshold),
            lower_threshold: kept(self.lower_threshold, old.lower_threshold == new.lower_threshold),
            cost: kept(self.cost, old.cost == new.cost),
            drain: kept(self.drain, old.drain == new.drain),
        }
    }
}
