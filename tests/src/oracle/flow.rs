//! The kernel's list of flows, `/proc/net/nf_conntrack`.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A tracked flow, Linux's or ours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Protocol number and original tuple, in the words of `conntrack -L`.
    pub name: String,
    /// Of a protocol that has states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// It has seen no answer.
    pub unreplied: bool,
    /// Pressure does not evict it.
    pub assured: bool,
    /// Time until it expires.
    pub remaining_s: u32,
}

/// What a tuple consists of, by protocol some of these.
const TUPLE: [&str; 9] = ["src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey"];

impl Flow {
    /// A flow's name from its protocol number and the `key=value` words of its tuple.
    pub fn name<'a>(protocol: u8, words: impl IntoIterator<Item = (&'a str, String)>) -> String {
        let words: BTreeMap<&str, String> = words.into_iter().collect();
        let words = TUPLE.iter().filter_map(|key| Some(format!(" {key}={}", words.get(key)?)));
        format!("{protocol}{}", words.collect::<String>())
    }

    /// Reads a line such as
    /// `ipv4 2 tcp 6 431999 ESTABLISHED src=10.0.0.1 … [UNREPLIED] src=… [ASSURED] mark=0 zone=0 use=2`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let protocol = words.nth(3)?.parse().ok()?;
        let remaining_s = words.next()?.parse().ok()?;
        let mut words = words.peekable();
        let state = words.next_if(|word| !word.contains(['=', '['])).map(str::to_owned);
        let mut tuple: Vec<(&str, String)> = Vec::new();
        // GRE has timeouts in front.
        let words = words.skip_while(|word| !word.starts_with("src="));
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            // The reply's tuple begins.
            if key == "src" && !tuple.is_empty() {
                break;
            }
            // The kernel writes IPv6 addresses out in full.
            let address: Option<IpAddr> = value.parse().ok();
            tuple.push((key, address.map_or_else(|| value.to_owned(), |address| address.to_string())));
        }
        Some(Self {
            name: Self::name(protocol, tuple),
            state,
            unreplied: line.contains("[UNREPLIED]"),
            assured: line.contains("[ASSURED]"),
            remaining_s,
        })
    }
}

/// The flows of the calling thread's namespace.
pub(super) fn list() -> Result<Vec<Flow>> {
    let path = "/proc/thread-self/net/nf_conntrack";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let parse = |line| Flow::parse(line).with_context(|| format!("{path}: {line:?} is no flow"));
    text.lines().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernels_is_read() {
        let flow = Flow::parse(
            "ipv4     2 tcp      6 119 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] \
             src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 mark=0 zone=0 use=2",
        );
        let expected = Flow {
            name: "6 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2".into(),
            state: Some("SYN_SENT".into()),
            unreplied: true,
            assured: false,
            remaining_s: 119,
        };
        assert_eq!(flow, Some(expected));
        let flow = Flow::parse(
            "ipv6     10 icmpv6   58 29 src=fe80:0000:0000:0000:0000:0000:0000:0001 dst=fe80::2 type=128 code=0 id=7 src=fe80::2 dst=fe80::1 \
             type=129 code=0 id=7 mark=0 zone=0 use=2",
        );
        let flow = flow.unwrap();
        assert_eq!(
            (flow.name.as_str(), flow.state),
            ("58 src=fe80::1 dst=fe80::2 type=128 code=0 id=7", None)
        );
    }
}
