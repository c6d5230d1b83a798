//! A member as it stands in etcd: under `PREFIX/CLUSTER/NODE`, its pairs as one JSON object, and its lease's length.

use crate::cluster::{Member, MemberError, NodeName};
use std::collections::BTreeMap;
use std::time::Duration;

/// The key of the lease's length among the member's.
const LEASE_S: &str = "lease_s";

/// What a node writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) member: Member,
    /// For how long the node may own on without a word from etcd.
    pub(super) lease: Duration,
}

/// Why what stands in etcd is no member.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("the key {0:?} is not the prefix and a node's name")]
    Key(String),
    #[error("{0:?} holds no JSON object of texts: {1}")]
    Json(String, serde_json::Error),
    #[error("{0:?}: {1}")]
    Member(String, MemberError),
    #[error("{0:?} holds the member {1}")]
    OtherName(String, NodeName),
    #[error("{0:?} does not say how long its lease is")]
    Lease(String),
}

impl Record {
    /// The value to write.
    pub(super) fn value(&self) -> String {
        let mut pairs = BTreeMap::from(self.member.pairs());
        pairs.insert(LEASE_S, self.lease.as_secs().to_string());
        // Texts by texts: there is nothing in it that JSON could not say.
        serde_json::to_string(&pairs).unwrap_or_default()
    }

    /// What stands under `key` of the keys that begin with `prefix`.
    pub(super) fn read(prefix: &str, key: &[u8], value: &[u8]) -> Result<Self, RecordError> {
        let name = node(prefix, key)?;
        let text = || name.to_string();
        let pairs: BTreeMap<String, String> =
            serde_json::from_slice(value).map_err(|error| RecordError::Json(text(), error))?;
        let member = Member::from_pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .map_err(|error| RecordError::Member(text(), error))?;
        if member.name != name {
            return Err(RecordError::OtherName(text(), member.name));
        }
        let lease_s = pairs.get(LEASE_S).and_then(|lease| lease.parse().ok());
        Ok(Self {
            member,
            lease: lease_s.map(Duration::from_secs).ok_or_else(|| RecordError::Lease(text()))?,
        })
    }
}

/// The node that `key` belongs to.
pub(super) fn node(prefix: &str, key: &[u8]) -> Result<NodeName, RecordError> {
    let text = String::from_utf8_lossy(key);
    let name = text.strip_prefix(prefix).and_then(|name| name.parse().ok());
    name.ok_or_else(|| RecordError::Key(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::engine::test_member as member;

    const PREFIX: &str = "/weir/gw/";

    #[test]
    fn a_member_is_read_as_it_was_written() {
        let record = Record { member: member("n1", 7), lease: Duration::from_secs(10) };
        assert_eq!(Record::read(PREFIX, b"/weir/gw/n1", record.value().as_bytes()).unwrap(), record);
    }

    #[test]
    fn what_is_no_member_says_why() {
        let value = Record { member: member("n1", 7), lease: Duration::from_secs(10) }.value();
        let without_lease = value.replace("lease_s", "rent_s");
        let wrong: [(&[u8], &str, &str); 8] = [
            (b"/weir/other/n1", &value, "the key \"/weir/other/n1\" is not the prefix and a node's name"),
            (b"/weir/gw/", &value, "the key \"/weir/gw/\" is not the prefix and a node's name"),
            (b"/weir/gw/\xff", &value, "the key \"/weir/gw/\u{fffd}\" is not the prefix and a node's name"),
            (b"/weir/gw/n2", &value, "\"n2\" holds the member n1"),
            (b"/weir/gw/n1", &without_lease, "\"n1\" does not say how long its lease is"),
            (b"/weir/gw/n1", "{}", "\"n1\": a member without"),
            (b"/weir/gw/n1", "[1]", "\"n1\" holds no JSON object of texts"),
            (b"/weir/gw/n1", "", "\"n1\" holds no JSON object of texts"),
        ];
        for (key, value, message) in wrong {
            let error = Record::read(PREFIX, key, value.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
