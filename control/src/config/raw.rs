//! The configuration as it is written: every key with its type, range, default and description.
//!
//! The JSON Schema and the reference are made from these types, so that the three cannot disagree. A value that
//! fits them may still be wrong; [`validate`](super::validate) turns them into the domain types.
//!
//! A key that the schema requires is an `Option` here, and so is each item of a list: what does not fit the schema
//! is told and taken out, and the rest can still be checked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use weir_dataplane::config as domain;

/// A list; an item that did not fit the schema is `None`, so that the others keep their positions.
pub(super) type Items<T> = Vec<Option<T>>;

/// Configuration of one Weir gateway.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    /// Name of this node: letters, digits, `.`, `_`, `-`. Labels its metrics.
    #[schemars(required, example = &"gw1")]
    pub(super) node: Option<String>,
    /// The ports, each with a name and a device at least. Their order is the order in status and metrics.
    #[schemars(required, length(min = 2, max = 64))]
    pub(super) ports: Option<Items<Port>>,
    /// Which way frames go.
    pub(super) forwarding: Option<Forwarding>,
    /// The threads that carry frames.
    #[serde(default)]
    pub(super) workers: Workers,
    /// Packet memory.
    #[serde(default)]
    pub(super) memory: Memory,
    /// Connection tracking. Linux's settings under Linux's names, with Linux's defaults except `tcp.loose`.
    #[serde(default)]
    pub(super) conntrack: Conntrack,
    /// The cluster match: this node's share of the flows. Without it the node owns every flow.
    pub(super) cluster: Option<Cluster>,
    /// Prometheus metrics.
    #[serde(default)]
    pub(super) metrics: Metrics,
    /// How `weir status` and its siblings reach the gateway.
    #[serde(default)]
    pub(super) control: Control,
}

/// A port.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Port {
    /// Its name in this file, in metrics and in commands: a letter, then letters, digits, `_`, `-`.
    #[schemars(required, example = &"lan")]
    pub(super) name: Option<String>,
    /// The DPDK device: a PCI address or a virtual device with its arguments.
    #[schemars(required, example = &"0000:03:00.0", example = &"net_af_packet0,iface=eth1")]
    pub(super) device: Option<String>,
    /// Largest IP packet in bytes. Link header and VLAN tags come on top.
    #[serde(default = "Port::default_mtu")]
    #[schemars(range(min = 68, max = 16110))]
    pub(super) mtu: u16,
    /// Receive and transmit queues. `auto` gives each worker one, as far as the device has them.
    #[serde(default)]
    pub(super) queues: Queues,
    /// What the device hashes to choose a queue. The key is symmetric: both directions of a flow meet.
    #[serde(default)]
    pub(super) rss: Rss,
    /// Multicast MAC addresses to accept, such as the one a cluster shares.
    #[serde(default)]
    #[schemars(example = &["01:00:5e:00:01:01"])]
    pub(super) multicast_macs: Items<String>,
    /// Whether frames to any MAC address are accepted.
    #[serde(default)]
    pub(super) promiscuous: Promiscuous,
    /// Lets the device verify checksums where it can. Software verifies what the device does not.
    #[serde(default = "yes")]
    pub(super) checksum_offload: bool,
    /// Length of each queue.
    #[serde(default)]
    pub(super) descriptors: Descriptors,
}

impl Port {
    const fn default_mtu() -> u16 {
        1500
    }
}

const fn yes() -> bool {
    true
}

/// `auto`, or how many.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Queues {
    Word(Auto),
    Count(#[schemars(range(min = 1, max = 128))] u16),
}

impl Default for Queues {
    fn default() -> Self {
        Self::Word(Auto::Auto)
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Auto {
    Auto,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rss {
    /// The pair of IP addresses: a related flow between two hosts meets its master on one worker.
    #[default]
    Ip,
    /// Addresses and ports: spreads the flows of few hosts.
    IpPorts,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Promiscuous {
    /// As forwarding needs it: a bridge port accepts everything.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Length of each queue, in frames.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Descriptors {
    /// Of each receive queue. The device may round it.
    #[schemars(range(min = 32, max = 32768))]
    pub(super) rx: u16,
    /// Of each transmit queue. The device may round it.
    #[schemars(range(min = 32, max = 32768))]
    pub(super) tx: u16,
}

impl Default for Descriptors {
    fn default() -> Self {
        Self { rx: 1024, tx: 1024 }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Forwarding {
    /// How the way out is found.
    pub(super) mode: Mode,
    /// Pairs of ports: what comes in by one leaves by the other. Not needed with exactly two ports.
    #[schemars(example = &[["lan", "wan"]], inner(length(min = 2, max = 2)))]
    pub(super) pairs: Option<Items<Items<String>>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// By the other port of the pair, unchanged.
    #[default]
    Bridge,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Workers {
    /// How many workers; the gateway chooses their cores. Default 1. Not together with `cores`.
    #[schemars(range(min = 1, max = 128))]
    pub(super) count: Option<u16>,
    /// One worker on each of these cores, as Linux numbers them. Not together with `count`.
    #[schemars(example = &[1, 2], length(min = 1, max = 128), inner(range(min = 0, max = 1023)))]
    pub(super) cores: Option<Items<u16>>,
    /// What a worker does when nothing arrives. Default `poll` with a PCI device, `backoff` with virtual devices alone.
    pub(super) idle: Option<Idle>,
    /// Frames taken from a queue at once.
    #[schemars(range(min = 1, max = 64))]
    pub(super) burst: u8,
}

impl Default for Workers {
    fn default() -> Self {
        Self { count: None, cores: None, idle: None, burst: 32 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Idle {
    /// Asks again at once: lowest delay, and the core is always busy.
    Poll,
    /// Sleeps a little, longer the longer nothing comes.
    Backoff,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Memory {
    /// Whether DPDK takes huge pages. Default `true` with a PCI device, `false` with virtual devices alone.
    pub(super) huge_pages: Option<bool>,
    /// Memory that DPDK takes at start, in MiB. Default: as much as the buffers need.
    #[schemars(range(min = 16, max = 1048576))]
    pub(super) size_mib: Option<u32>,
    /// Packet buffers. Default: as many as the queues and workers can hold at once.
    #[schemars(range(min = 512, max = 16777216))]
    pub(super) buffers: Option<u32>,
    /// Bytes of a packet buffer, with 128 bytes of headroom. Default: what the largest MTU needs.
    #[schemars(range(min = 256, max = 65472))]
    pub(super) buffer_size: Option<u16>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Conntrack {
    /// Flows at most; the workers share them evenly. Linux's `nf_conntrack_max`.
    #[schemars(range(min = 128, max = 134217728))]
    pub(super) flows_max: u32,
    /// Expected related flows at most. Linux's `nf_conntrack_expect_max`.
    #[schemars(range(min = 128, max = 1048576))]
    pub(super) expectations_max: u32,
    /// Verify checksums; a packet with a wrong one is INVALID. Linux's `nf_conntrack_checksum`.
    pub(super) checksum: bool,
    /// VLAN tags to look behind. A frame with more is not IP to Weir. A Linux bridge looks behind one.
    #[schemars(range(min = 0, max = 2))]
    pub(super) vlan_tags_max: u8,
    /// TCP.
    pub(super) tcp: Tcp,
    /// UDP.
    pub(super) udp: Udp,
    /// ICMP queries.
    pub(super) icmp: Icmp,
    /// ICMPv6 queries.
    pub(super) icmpv6: Icmpv6,
    /// Every other protocol.
    pub(super) generic: Generic,
    /// Which helpers look into which flows. A helper finds related flows; none works unless it is named.
    pub(super) helpers: Helpers,
}

impl Default for Conntrack {
    fn default() -> Self {
        let domain = domain::Conntrack::default();
        Self {
            flows_max: domain.flows_max,
            expectations_max: domain.expectations_max,
            checksum: domain.checksum,
            vlan_tags_max: domain.vlan_tags_max,
            tcp: Tcp::default(),
            udp: Udp::default(),
            icmp: Icmp::default(),
            icmpv6: Icmpv6::default(),
            generic: Generic::default(),
            helpers: Helpers::default(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tcp {
    /// An ACK in mid-stream may open a flow. Linux's `nf_conntrack_tcp_loose`, but off by default: in a cluster
    /// it would let a node adopt what another node owns.
    pub(super) loose: bool,
    /// Segments outside the window are let through. Linux's `nf_conntrack_tcp_be_liberal`.
    pub(super) be_liberal: bool,
    /// RSTs below the acknowledged sequence are let through. Linux's `nf_conntrack_tcp_ignore_invalid_rst`.
    pub(super) ignore_invalid_rst: bool,
    /// Retransmissions before `timeouts_s.max_retrans` holds. Linux's `nf_conntrack_tcp_max_retrans`.
    #[schemars(range(min = 0, max = 255))]
    pub(super) max_retrans: u8,
    /// How long each state lasts without a segment, in seconds.
    pub(super) timeouts_s: TcpTimeouts,
}

impl Default for Tcp {
    fn default() -> Self {
        let domain::Tcp { loose, be_liberal, ignore_invalid_rst, max_retrans, .. } = domain::Tcp::default();
        Self { loose, be_liberal, ignore_invalid_rst, max_retrans, timeouts_s: TcpTimeouts::default() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TcpTimeouts {
    /// A SYN was seen. Linux's `nf_conntrack_tcp_timeout_syn_sent`.
    pub(super) syn_sent: Seconds,
    /// A SYN was answered. Linux's `nf_conntrack_tcp_timeout_syn_recv`.
    pub(super) syn_recv: Seconds,
    /// The handshake is done. Linux's `nf_conntrack_tcp_timeout_established`.
    pub(super) established: Seconds,
    /// One side closed. Linux's `nf_conntrack_tcp_timeout_fin_wait`.
    pub(super) fin_wait: Seconds,
    /// The FIN was acknowledged. Linux's `nf_conntrack_tcp_timeout_close_wait`.
    pub(super) close_wait: Seconds,
    /// Both sides closed. Linux's `nf_conntrack_tcp_timeout_last_ack`.
    pub(super) last_ack: Seconds,
    /// Everything is acknowledged. Linux's `nf_conntrack_tcp_timeout_time_wait`.
    pub(super) time_wait: Seconds,
    /// A RST was seen. Linux's `nf_conntrack_tcp_timeout_close`.
    pub(super) close: Seconds,
    /// After too many retransmissions. Linux's `nf_conntrack_tcp_timeout_max_retrans`.
    pub(super) max_retrans: Seconds,
    /// Data waits for its acknowledgement. Linux's `nf_conntrack_tcp_timeout_unacknowledged`.
    pub(super) unacknowledged: Seconds,
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        let domain = domain::TcpTimeouts::default();
        Self {
            syn_sent: domain.syn_sent.into(),
            syn_recv: domain.syn_recv.into(),
            established: domain.established.into(),
            fin_wait: domain.fin_wait.into(),
            close_wait: domain.close_wait.into(),
            last_ack: domain.last_ack.into(),
            time_wait: domain.time_wait.into(),
            close: domain.close.into(),
            max_retrans: domain.max_retrans.into(),
            unacknowledged: domain.unacknowledged.into(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Udp {
    /// Before an answer, in seconds. Linux's `nf_conntrack_udp_timeout`.
    pub(super) timeout_s: Seconds,
    /// Answered and older than two seconds, in seconds. Linux's `nf_conntrack_udp_timeout_stream`.
    pub(super) timeout_stream_s: Seconds,
}

impl Default for Udp {
    fn default() -> Self {
        let domain = domain::Conntrack::default();
        Self { timeout_s: domain.udp_timeout.into(), timeout_stream_s: domain.udp_timeout_stream.into() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Icmp {
    /// Without a packet, in seconds. Linux's `nf_conntrack_icmp_timeout`.
    pub(super) timeout_s: Seconds,
}

impl Default for Icmp {
    fn default() -> Self {
        Self { timeout_s: domain::Conntrack::default().icmp_timeout.into() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Icmpv6 {
    /// Without a packet, in seconds. Linux's `nf_conntrack_icmpv6_timeout`.
    pub(super) timeout_s: Seconds,
}

impl Default for Icmpv6 {
    fn default() -> Self {
        Self { timeout_s: domain::Conntrack::default().icmpv6_timeout.into() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Generic {
    /// Without a packet, in seconds. Linux's `nf_conntrack_generic_timeout`.
    pub(super) timeout_s: Seconds,
}

impl Default for Generic {
    fn default() -> Self {
        Self { timeout_s: domain::Conntrack::default().generic_timeout.into() }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Helpers {
    /// TCP ports of FTP servers (PORT, PASV, EPRT, EPSV).
    #[schemars(example = &[21], inner(range(min = 1, max = 65535)))]
    pub(super) ftp: Items<u16>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    /// Into how many shares the flows are cut. Linux's `--cluster-total-nodes`, which stops at 32.
    #[schemars(required, example = &2, range(min = 1, max = 1024))]
    pub(super) total_nodes: Option<u16>,
    /// Which shares are this node's, from 1. Linux's `--cluster-local-node`. Either this or `node_mask`.
    #[serde(default)]
    #[schemars(example = &[1], inner(range(min = 1, max = 1024)))]
    pub(super) local_nodes: Option<Items<u16>>,
    /// The same as bits, such as `0x3` for nodes 1 and 2. Linux's `--cluster-local-nodemask`. Either this or
    /// `local_nodes`.
    #[serde(default)]
    #[schemars(range(max = 0xffff_ffff_u32))]
    pub(super) node_mask: Option<u32>,
    /// Where the hash starts, such as `0xdeadbeef`; the same on all nodes. Linux's `--cluster-hash-seed`.
    #[schemars(required, range(max = 0xffff_ffff_u32))]
    pub(super) hash_seed: Option<u32>,
    /// Owns what it would not, and the other way round. Linux's `!` before `--cluster-local-node`.
    #[serde(default)]
    pub(super) invert: bool,
    /// Whose flows are tracked.
    #[serde(default)]
    pub(super) tracking: Tracking,
    /// Frames that are not IP.
    #[serde(default)]
    pub(super) non_ip: Share,
    /// IP packets that are never tracked: neighbour discovery, multicast listener discovery.
    #[serde(default)]
    pub(super) untracked: Share,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tracking {
    /// Its own, as Linux does: what belongs to others is dropped before it is tracked. For clusters with a Linux node.
    Own,
    /// Everybody's: those of others as shadows, so that each valid frame has exactly one owner.
    #[default]
    All,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Share {
    /// One node forwards them: the owner of the source MAC's hash.
    #[default]
    Owner,
    /// This node forwards them, whatever the others do.
    Forward,
    /// This node drops them.
    Drop,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    /// Address and port that serve `/metrics`, or `off`.
    #[schemars(example = &"127.0.0.1:9475", example = &"off")]
    pub(super) listen: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9475".to_owned() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Control {
    /// Path of the unix socket. Whoever may write to it may operate the gateway.
    pub(super) socket: String,
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: "/run/weir/weir.sock".to_owned() }
    }
}

/// A length of time in seconds; hundredths count.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Seconds(#[schemars(range(min = 0.01, max = 21_000_000))] pub(super) f64);

impl From<weir_dataplane::units::Span> for Seconds {
    fn from(span: weir_dataplane::units::Span) -> Self {
        Self(f64::from(span.count()) * f64::from(weir_dataplane::units::TICK_MS) / 1000.0)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}
