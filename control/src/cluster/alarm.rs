//! What is wrong with the cluster, since when, and what to do about it.

use super::member::NodeName;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What is wrong. Two that are equal are the same alarm going on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "alarm")]
pub enum Trouble {
    /// Buckets have no owner: nobody forwards their new flows.
    Hole,
    /// Two nodes act by different maps: both may own a bucket, or neither.
    Overlap {
        /// The other one.
        node: NodeName,
    },
    /// A node hashes with another seed.
    HashSeed {
        /// Which.
        node: NodeName,
    },
    /// A node cuts the hash space into another number of buckets.
    TotalNodes {
        /// Which.
        node: NodeName,
    },
    /// A node is configured in another way.
    ConfigDigest {
        /// Which.
        node: NodeName,
    },
    /// A node runs another version.
    Version {
        /// Which.
        node: NodeName,
    },
    /// Another node has this one's name.
    Twin,
    /// A node served while it could not be heard: flows may have been forwarded twice.
    SplitBrain {
        /// Which.
        node: NodeName,
    },
    /// Half of the cluster or more died at once: perhaps they live, and only cannot be heard.
    Isolated,
    /// A node lives and does not answer.
    Silent {
        /// Which.
        node: NodeName,
    },
    /// A node is heard and does not hear this one.
    Deaf {
        /// Which.
        node: NodeName,
    },
    /// This node has no lease and may own nothing.
    NoLease,
    /// This node hears too few of those who vote and may own nothing.
    NoMajority {
        /// Those of them that it does not hear.
        missing: Vec<NodeName>,
    },
}

impl Trouble {
    /// All names in metrics.
    pub const NAMES: [&str; 13] = [
        "hole",
        "overlap",
        "hash_seed",
        "total_nodes",
        "config_digest",
        "version",
        "twin",
        "split_brain",
        "isolated",
        "silent",
        "deaf",
        "no_lease",
        "no_majority",
    ];

    /// The name in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hole => "hole",
            Self::Overlap { .. } => "overlap",
            Self::HashSeed { .. } => "hash_seed",
            Self::TotalNodes { .. } => "total_nodes",
            Self::ConfigDigest { .. } => "config_digest",
            Self::Version { .. } => "version",
            Self::Twin => "twin",
            Self::SplitBrain { .. } => "split_brain",
            Self::Isolated => "isolated",
            Self::Silent { .. } => "silent",
            Self::Deaf { .. } => "deaf",
            Self::NoLease => "no_lease",
            Self::NoMajority { .. } => "no_majority",
        }
    }

    /// What to do about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Hole => "let a node join or resume; with static membership `weir cluster give` one",
            Self::Overlap { .. } => "look for loss between the nodes; if it stays, drain one of the two",
            Self::HashSeed { .. } => "give all nodes the same hash_seed and restart the one that differs",
            Self::TotalNodes { .. } => "give all nodes the same total_nodes and restart the one that differs",
            Self::ConfigDigest { .. } => "compare the two configurations and reload the one that is behind",
            Self::Version { .. } => {
                "finish the upgrade: drain, restart and let join one node after the other"
            }
            Self::Twin => "give each node a name of its own; after a quick restart this ends by itself",
            Self::SplitBrain { .. } => {
                "repair the network between the nodes; what was doubled is settled by itself"
            }
            Self::Isolated => "see whether those nodes run; if they do, repair the network or stop this one",
            Self::Silent { .. } => "look at that node's log and load; if it hangs, kill it: others go on",
            Self::Deaf { .. } => {
                "repair the way from this node to that one, which takes it for dead and its flows for its own"
            }
            Self::NoMajority { .. } => "repair the network between the nodes, or start those that are down",
            Self::NoLease => "see that the lease's store runs and can be reached from here",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole => f.write_str("some buckets have no owner"),
            Self::Overlap { node } => write!(f, "{node} and this node act by different maps"),
            Self::HashSeed { node } => write!(f, "{node} has another hash_seed"),
            Self::TotalNodes { node } => write!(f, "{node} has another total_nodes"),
            Self::ConfigDigest { node } => write!(f, "{node} is configured in another way"),
            Self::Version { node } => write!(f, "{node} runs another version"),
            Self::Twin => f.write_str("another node has this one's name"),
            Self::SplitBrain { node } => write!(f, "{node} served while it could not be heard"),
            Self::Isolated => f.write_str("half of the cluster or more died at once"),
            Self::Silent { node } => write!(f, "{node} lives and does not answer"),
            Self::Deaf { node } => write!(f, "{node} does not hear this node"),
            Self::NoMajority { missing } => {
                let names: Vec<_> = missing.iter().map(NodeName::as_str).collect();
                let names = names.join(", ");
                write!(f, "too few nodes are heard: this one owns nothing, and misses {names}")
            }
            Self::NoLease => f.write_str("there is no lease: this node owns nothing"),
        }
    }
}

/// One alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// What is wrong.
    #[serde(flatten)]
    pub trouble: Trouble,
    /// Since when, in milliseconds of this node's monotonic clock.
    pub since_ms: u64,
    /// What is wrong, in words.
    pub text: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.advice)
    }
}

/// The troubles there are. One that is over soon, such as a hole during a change, is never an alarm.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    since_ms: BTreeMap<Trouble, u64>,
}

impl Alarms {
    /// Takes in all that is wrong now.
    pub(super) fn update(&mut self, troubles: Vec<Trouble>, now_ms: u64) {
        if troubles.is_empty() {
            return self.since_ms.clear();
        }
        self.since_ms.retain(|known, _| troubles.contains(known));
        for trouble in troubles {
            self.since_ms.entry(trouble).or_insert(now_ms);
        }
    }

    /// What has been wrong for at least `patience_ms`, or at all where it cannot be a change's passing effect.
    pub(super) fn raised(&self, patience_ms: u64, now_ms: u64) -> impl Iterator<Item = Alarm> {
        let passing = |trouble: &Trouble| {
            matches!(
                trouble,
                Trouble::Hole
                    | Trouble::Overlap { .. }
                    | Trouble::Silent { .. }
                    | Trouble::Deaf { .. }
                    | Trouble::Twin
            )
        };
        let raised = move |(trouble, since_ms): &(&Trouble, &u64)| {
            !passing(trouble) || now_ms.saturating_sub(**since_ms) >= patience_ms
        };
        self.since_ms.iter().filter(raised).map(|(trouble, since_ms)| Alarm {
            trouble: trouble.clone(),
            since_ms: *since_ms,
            text: trouble.to_string(),
            advice: trouble.advice(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_know_each_trouble() {
        let node = || "gw".parse().unwrap();
        let all = [
            Trouble::Hole,
            Trouble::Overlap { node: node() },
            Trouble::HashSeed { node: node() },
            Trouble::TotalNodes { node: node() },
            Trouble::ConfigDigest { node: node() },
            Trouble::Version { node: node() },
            Trouble::Twin,
            Trouble::SplitBrain { node: node() },
            Trouble::Isolated,
            Trouble::Silent { node: node() },
            Trouble::Deaf { node: node() },
            Trouble::NoLease,
            Trouble::NoMajority { missing: vec![node()] },
        ];
        assert_eq!(all.each_ref().map(Trouble::name), Trouble::NAMES);
    }
}
