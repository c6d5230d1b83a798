//! How servers and nodes are known to live, as it is written.

use super::{Items, Numbers, Seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How servers are known to live.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Health {
    /// What each server is asked, through the gateway's own ports. Without it, nothing: connections alone show it.
    pub(in crate::config) check: Option<Check>,
    /// The port that is asked. Without it the service's; else 80, 443 or 53 as is usual for `check`.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) port: Option<u16>,
    /// Which page. For `check: http` and `https`; without it `/`.
    #[schemars(example = &"/health")]
    pub(in crate::config) path: Option<String>,
    /// Of which host. For `check: http` and `https`; without it the server's address.
    #[schemars(example = &"www.example.com")]
    pub(in crate::config) host: Option<String>,
    /// Which status is good, or a range of them. For `check: http` and `https`; without it `200-399`.
    #[schemars(example = &"200-399")]
    pub(in crate::config) status: Option<Numbers>,
    /// What the page contains. For `check: http` and `https`.
    pub(in crate::config) body: Option<String>,
    /// Which name is asked for. For `check: dns`.
    #[schemars(example = &"www.example.com")]
    pub(in crate::config) name: Option<String>,
    /// Which program is called. For `check: script`.
    #[schemars(example = &"/usr/local/lib/weir/check")]
    pub(in crate::config) program: Option<String>,
    /// Its arguments; the server's name, address and port come behind them. For `check: script`.
    pub(in crate::config) arguments: Items<String>,
    /// How often.
    pub(in crate::config) interval_s: Seconds,
    /// For how long an answer counts.
    pub(in crate::config) timeout_s: Seconds,
    /// So many good answers in a row bring a dead server back.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) rise: u32,
    /// So many bad ones in a row make a server dead.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) fall: u32,
    /// So many connections in a row without an answer, or refused, make a server dead. Where there is a `check` they only
    /// hasten it. Without it they do not matter.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) passive_fall: Option<u32>,
    /// With fewer of the servers alive than this all of them count as alive: then the check is more likely to be wrong
    /// than the servers. 0: never.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) panic_threshold_percent: u8,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            check: None,
            port: None,
            path: None,
            host: None,
            status: None,
            body: None,
            name: None,
            program: None,
            arguments: Vec::new(),
            interval_s: Seconds(2.0),
            timeout_s: Seconds(1.0),
            rise: 2,
            fall: 3,
            passive_fall: None,
            panic_threshold_percent: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Check {
    /// It answers an echo.
    Icmp,
    /// It accepts a connection.
    Tcp,
    /// It gives a page.
    Http,
    /// It gives a page over TLS; the certificate does not matter.
    Https,
    /// It answers for a name without an error.
    Dns,
    /// A program says so with status 0.
    Script,
}

impl Check {
    /// The word.
    pub(in crate::config) const fn name(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
            Self::Dns => "dns",
            Self::Script => "script",
        }
    }
}
