//! `services`, as it is written.

use super::{Health, Items, Place, Seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_dataplane::config::service as domain;

/// Connections that are spread over servers. Either `mark`, or `protocol`, `address` and `port`, say which ones.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Service {
    /// Its name: a letter, then letters, digits, `_`, `-`, `.`.
    #[schemars(required, example = &"cache")]
    pub(in crate::config) name: Option<String>,
    /// Flows with this mark, wherever they go. `ipvsadm`'s `--fwmark-service`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub(in crate::config) mark: Option<u32>,
    /// Flows of this protocol to `address` and `port`.
    #[serde(default)]
    #[schemars(example = &"tcp")]
    pub(in crate::config) protocol: Option<Transport>,
    /// The address that clients connect to.
    #[serde(default)]
    #[schemars(example = &"192.0.2.80")]
    pub(in crate::config) address: Option<String>,
    /// The port that clients connect to; 0: any, which needs `persistence`.
    #[serde(default)]
    #[schemars(example = &80)]
    pub(in crate::config) port: Option<u16>,
    /// Who of the servers gets a new connection. The names are `ipvsadm`'s.
    #[serde(default)]
    pub(in crate::config) scheduler: Scheduler,
    /// How `sh` hashes.
    #[serde(default)]
    pub(in crate::config) sh: Option<Sh>,
    /// How `mh` hashes.
    #[serde(default)]
    pub(in crate::config) mh: Option<Mh>,
    /// What `lblc` and `lblcr` remember.
    #[serde(default)]
    pub(in crate::config) locality: Option<Locality>,
    /// Which server stands first, where that matters: `dh`, `sh`, `mh`, and ties elsewhere.
    #[serde(default)]
    pub(in crate::config) order: Order,
    /// A client's new connections go to the server that has its others. Without it each is scheduled.
    #[serde(default)]
    pub(in crate::config) persistence: Option<Persistence>,
    /// What becomes of a new connection that no server can take.
    #[serde(default)]
    pub(in crate::config) fallback: Fallback,
    /// Who gets the connections.
    #[serde(default)]
    pub(in crate::config) servers: Items<Server>,
    /// How servers are known to live. Without it they are taken to.
    #[serde(default)]
    pub(in crate::config) health: Option<Health>,
    /// How long a server may keep its connections once it is drained. Without it as long as they last.
    #[serde(default)]
    pub(in crate::config) drain_timeout_s: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Transport {
    Tcp,
    Udp,
    Sctp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Scheduler {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Least connections.
    Lc,
    /// Weighted least connections.
    #[default]
    Wlc,
    /// Shortest expected delay.
    Sed,
    /// Never queue: an idle server first, else as `sed`.
    Nq,
    /// The server with the highest weight, as long as it lives.
    Fo,
    /// The server with the highest weight, until it has as many connections; then the next.
    Ovf,
    /// By the destination's address.
    Dh,
    /// By the client's address.
    Sh,
    /// By the client's address, Maglev hashing.
    Mh,
    /// The less loaded of two that are picked at random.
    Twos,
    /// The server that has had the destination's address, unless it is overloaded.
    Lblc,
    /// One of the servers that have had the destination's address; when these are overloaded another joins them.
    Lblcr,
}

/// How `sh` hashes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Sh {
    /// Its table has 2^`bits` buckets. Linux's `CONFIG_IP_VS_SH_TAB_BITS`.
    #[schemars(range(min = 4, max = 20))]
    pub(in crate::config) bits: u32,
    /// The source port counts as well. The flag `sh-port`.
    pub(in crate::config) port: bool,
    /// Instead of a server that cannot be used another one is taken. The flag `sh-fallback`.
    pub(in crate::config) fallback: bool,
}

impl Default for Sh {
    fn default() -> Self {
        let domain::SourceHashing { bits, port, fallback } = domain::SourceHashing::default();
        Self { bits, port, fallback }
    }
}

/// How `mh` hashes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Mh {
    /// Slots of its table: 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521 or 131071. Linux's
    /// `CONFIG_IP_VS_MH_TAB_INDEX` 8 to 17.
    #[schemars(range(min = 251, max = 131_071))]
    pub(in crate::config) size: u32,
    /// The source port counts as well. The flag `mh-port`.
    pub(in crate::config) port: bool,
    /// Instead of a server that cannot be used another one is taken. The flag `mh-fallback`.
    pub(in crate::config) fallback: bool,
}

impl Default for Mh {
    fn default() -> Self {
        let domain::MaglevHashing { size, port, fallback } = domain::MaglevHashing::default();
        Self { size, port, fallback }
    }
}

/// What `lblc` and `lblcr` remember.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Locality {
    /// Destination addresses, at most.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(in crate::config) entries_max: u32,
    /// Servers of all addresses together, at most: an address may have several with `lblcr`.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(in crate::config) members_max: u32,
    /// An address that nobody has asked for in this time is forgotten; with `lblcr` a set of servers that has not
    /// changed in this time loses its most loaded one. Linux's `lblc_expiration` and `lblcr_expiration`.
    pub(in crate::config) expiration_s: Seconds,
    /// The time after which an address is forgotten while there are too many.
    pub(in crate::config) idle_s: Seconds,
}

impl Default for Locality {
    fn default() -> Self {
        let domain::Locality { entries_max, members_max, expiration, idle } = domain::Locality::default();
        Self { entries_max, members_max, expiration_s: expiration.into(), idle_s: idle.into() }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Order {
    /// The last that is listed, as in IPVS, which puts each new server before the others.
    #[default]
    NewestFirst,
    /// The one with the lowest address, then port: however the list is written, all gateways agree.
    Address,
}

/// A client's new connections go to the server that has its others. `ipvsadm`'s `--persistent`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Persistence {
    /// For so long after the client's last new connection.
    pub(in crate::config) timeout_s: Seconds,
    /// IPv4 clients that agree in so many bits are one. `ipvsadm`'s `--netmask`.
    #[schemars(range(min = 1, max = 32))]
    pub(in crate::config) ipv4_prefix_len: u8,
    /// IPv6 clients that agree in so many bits are one.
    #[schemars(range(min = 1, max = 128))]
    pub(in crate::config) ipv6_prefix_len: u8,
    /// Clients that each worker remembers, at most; one takes 24 bytes. Of more than that, those are forgotten that have
    /// been away longest.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(in crate::config) clients_max: u32,
}

impl Default for Persistence {
    fn default() -> Self {
        Self { timeout_s: Seconds(300.0), ipv4_prefix_len: 32, ipv6_prefix_len: 128, clients_max: 65_536 }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Fallback {
    /// Its sender is told: RST, or ICMP port unreachable.
    #[default]
    Reject,
    /// It goes where it would go without this entry. Linux's `cache_bypass`.
    Bypass,
    /// Nothing.
    Drop,
}

/// A server of a service.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(in crate::config) struct Server {
    /// Its name: a letter, then letters, digits, `_`, `-`, `.`.
    #[schemars(required, example = &"squid1")]
    pub(in crate::config) name: Option<String>,
    #[serde(flatten)]
    pub(in crate::config) place: Place,
    /// Its port; 0: that of the service. Neither method changes a packet's port: `mh` and `order` take it into account.
    #[serde(default)]
    pub(in crate::config) port: u16,
    /// How packets get there.
    #[serde(default)]
    pub(in crate::config) method: Method,
    /// Its share of new connections beside the others'; 0: none, and it keeps those that it has (quiesced).
    #[serde(default = "one")]
    pub(in crate::config) weight: u16,
    /// With so many connections it gets no new ones; 0: however many it has. `ipvsadm`'s `--u-threshold`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub(in crate::config) upper_threshold: u32,
    /// With fewer than these it gets new ones again; 0: with fewer than three quarters of `upper_threshold`.
    /// `ipvsadm`'s `--l-threshold`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub(in crate::config) lower_threshold: u32,
    /// It keeps its connections until they end, `drain_timeout_s` at most, and gets no new ones.
    #[serde(default)]
    pub(in crate::config) drain: bool,
}

const fn one() -> u16 {
    1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Method {
    /// By its MAC address, and unchanged but for what any router changes: the server has the clients' destination among
    /// its addresses, or captures what comes. `ipvsadm`'s `--gatewaying`.
    #[default]
    Direct,
    /// In an IP packet to its address. `ipvsadm`'s `--ipip`.
    Ipip,
}
