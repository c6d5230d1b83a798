//! The words that a selection of flows is made of: names for numbers and sets, on the command line and in a query.

use crate::observe::protocol::state_name;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use weir_dataplane::config::HelperKind;
use weir_dataplane::counters::FlowClass;
use weir_dataplane::key::Family;
use weir_dataplane::track::filter::ClassSet;

/// An IP version by the name that `conntrack` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum FamilyName {
    /// IPv4
    Ipv4,
    /// IPv6
    Ipv6,
}

impl From<FamilyName> for Family {
    fn from(name: FamilyName) -> Self {
        match name {
            FamilyName::Ipv4 => Self::V4,
            FamilyName::Ipv6 => Self::V6,
        }
    }
}

/// A state of a protocol, by Linux's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    name: String,
    classes: ClassSet,
}

impl State {
    /// The flows that are in it: TCP and SCTP share words.
    pub(super) fn classes(&self) -> ClassSet {
        self.classes
    }
}

/// A text that is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a state is wanted: {}", listed(FlowClass::ALL.iter().filter_map(|class| state_name(*class))))]
pub struct NotAState;

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        let name = text.to_ascii_uppercase();
        let is_meant = |class: &FlowClass| state_name(*class).as_ref() == Some(&name);
        let classes: ClassSet = FlowClass::ALL.iter().copied().filter(is_meant).collect();
        if classes == ClassSet::default() { Err(NotAState) } else { Ok(Self { name, classes }) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What may be true of a flow, as in `conntrack --status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Assured,
    SeenReply,
    Expected,
    Unreplied,
}

impl Status {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Assured, "ASSURED"),
        (Self::SeenReply, "SEEN_REPLY"),
        (Self::Expected, "EXPECTED"),
        (Self::Unreplied, "UNREPLIED"),
    ];
}

/// Things that are all to be true of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<Status>);

impl Statuses {
    pub(super) fn contains(&self, status: Status) -> bool {
        self.0.contains(&status)
    }
}

/// A text that is no list of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statuses are wanted, with commas between them: ASSURED, SEEN_REPLY, EXPECTED, UNREPLIED")]
pub struct NotAStatus;

impl FromStr for Statuses {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        let status = |word: &str| {
            let found = Status::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(word));
            found.map(|(status, _)| *status).ok_or(NotAStatus)
        };
        text.split(',').map(status).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Status::ALL.iter().filter(|(status, _)| self.0.contains(status)).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}

/// A helper by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperName(HelperKind);

impl HelperName {
    pub(super) fn kind(self) -> HelperKind {
        self.0
    }
}

/// A text that is no helper's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a helper is wanted: {}", listed(HelperKind::ALL.iter().map(ToString::to_string)))]
pub struct NotAHelper;

impl FromStr for HelperName {
    type Err = NotAHelper;

    fn from_str(text: &str) -> Result<Self, NotAHelper> {
        let kind = HelperKind::ALL.iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        kind.copied().map(Self).ok_or(NotAHelper)
    }
}

impl fmt::Display for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Each word once, in order.
fn listed(words: impl Iterator<Item = String>) -> String {
    let mut each = Vec::new();
    for word in words {
        if !each.contains(&word) {
            each.push(word);
        }
    }
    each.join(", ")
}

/// Values that a query carries as their text.
pub(super) mod text {
    use core::fmt::Display;
    use core::str::FromStr;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::api) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(in crate::api) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
    }
}
