//! `conntrack`, as it is written.

use super::{Fragments, Items, Seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_dataplane::config as domain;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Conntrack {
    /// Flows at most; the workers share them evenly. Linux's `nf_conntrack_max`.
    #[schemars(range(min = 128, max = 134217728))]
    pub(in crate::config) flows_max: u32,
    /// Expected related flows at most. Linux's `nf_conntrack_expect_max`.
    #[schemars(range(min = 128, max = 1048576))]
    pub(in crate::config) expectations_max: u32,
    /// Verify checksums; a packet with a wrong one is INVALID. Linux's `nf_conntrack_checksum`.
    pub(in crate::config) checksum: bool,
    /// VLAN tags to look behind. A frame with more is not IP to Weir. A Linux bridge looks behind one.
    #[schemars(range(min = 0, max = 2))]
    pub(in crate::config) vlan_tags_max: u8,
    /// Fragments, which wait until their datagram is complete.
    pub(in crate::config) fragments: Fragments,
    /// TCP.
    pub(in crate::config) tcp: Tcp,
    /// UDP and UDP-Lite.
    pub(in crate::config) udp: Udp,
    /// ICMP queries.
    pub(in crate::config) icmp: Icmp,
    /// ICMPv6 queries.
    pub(in crate::config) icmpv6: Icmpv6,
    /// SCTP.
    pub(in crate::config) sctp: Sctp,
    /// GRE.
    pub(in crate::config) gre: Gre,
    /// Every other protocol.
    pub(in crate::config) generic: Generic,
    /// Which helpers look into which flows. A helper finds related flows; none works unless it is named.
    pub(in crate::config) helpers: Helpers,
}

impl Default for Conntrack {
    fn default() -> Self {
        let domain = domain::Conntrack::default();
        Self {
            flows_max: domain.flows_max,
            expectations_max: domain.expectations_max,
            checksum: domain.checksum,
            vlan_tags_max: domain.vlan_tags_max,
            fragments: Fragments::default(),
            tcp: Tcp::default(),
            udp: Udp::default(),
            icmp: Icmp::default(),
            icmpv6: Icmpv6::default(),
            sctp: Sctp::default(),
            gre: Gre::default(),
            generic: Generic::default(),
            helpers: Helpers::default(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Tcp {
    /// An ACK in mid-stream may open a flow. Linux's `nf_conntrack_tcp_loose`, but off by default: in a cluster
    /// it would let a node adopt what another node owns.
    pub(in crate::config) loose: bool,
    /// Segments outside the window are let through. Linux's `nf_conntrack_tcp_be_liberal`.
    pub(in crate::config) be_liberal: bool,
    /// RSTs below the acknowledged sequence are let through. Linux's `nf_conntrack_tcp_ignore_invalid_rst`.
    pub(in crate::config) ignore_invalid_rst: bool,
    /// Retransmissions before `timeouts_s.max_retrans` holds. Linux's `nf_conntrack_tcp_max_retrans`.
    #[schemars(range(min = 0, max = 255))]
    pub(in crate::config) max_retrans: u8,
    /// How long each state lasts without a segment, in seconds.
    pub(in crate::config) timeouts_s: TcpTimeouts,
}

impl Default for Tcp {
    fn default() -> Self {
        let domain::Tcp { loose, be_liberal, ignore_invalid_rst, max_retrans, .. } = domain::Tcp::default();
        Self { loose, be_liberal, ignore_invalid_rst, max_retrans, timeouts_s: TcpTimeouts::default() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct TcpTimeouts {
    /// A SYN was seen. Linux's `nf_conntrack_tcp_timeout_syn_sent`.
    pub(in crate::config) syn_sent: Seconds,
    /// A SYN was answered. Linux's `nf_conntrack_tcp_timeout_syn_recv`.
    pub(in crate::config) syn_recv: Seconds,
    /// The handshake is done. Linux's `nf_conntrack_tcp_timeout_established`.
    pub(in crate::config) established: Seconds,
    /// One side closed. Linux's `nf_conntrack_tcp_timeout_fin_wait`.
    pub(in crate::config) fin_wait: Seconds,
    /// The FIN was acknowledged. Linux's `nf_conntrack_tcp_timeout_close_wait`.
    pub(in crate::config) close_wait: Seconds,
    /// Both sides closed. Linux's `nf_conntrack_tcp_timeout_last_ack`.
    pub(in crate::config) last_ack: Seconds,
    /// Everything is acknowledged. Linux's `nf_conntrack_tcp_timeout_time_wait`.
    pub(in crate::config) time_wait: Seconds,
    /// A RST was seen. Linux's `nf_conntrack_tcp_timeout_close`.
    pub(in crate::config) close: Seconds,
    /// After too many retransmissions. Linux's `nf_conntrack_tcp_timeout_max_retrans`.
    pub(in crate::config) max_retrans: Seconds,
    /// Data waits for its acknowledgement. Linux's `nf_conntrack_tcp_timeout_unacknowledged`.
    pub(in crate::config) unacknowledged: Seconds,
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
pub(in crate::config) struct Udp {
    /// Before an answer, in seconds. Linux's `nf_conntrack_udp_timeout`.
    pub(in crate::config) timeout_s: Seconds,
    /// Answered and older than two seconds (UDP-Lite: answered), in seconds. Linux's
    /// `nf_conntrack_udp_timeout_stream`.
    pub(in crate::config) timeout_stream_s: Seconds,
}

impl Default for Udp {
    fn default() -> Self {
        let domain = domain::Conntrack::default();
        Self { timeout_s: domain.udp_timeout.into(), timeout_stream_s: domain.udp_timeout_stream.into() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Icmp {
    /// Without a packet, in seconds. Linux's `nf_conntrack_icmp_timeout`.
    pub(in crate::config) timeout_s: Seconds,
}

impl Default for Icmp {
    fn default() -> Self {
        Self { timeout_s: domain::Conntrack::default().icmp_timeout.into() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Icmpv6 {
    /// Without a packet, in seconds. Linux's `nf_conntrack_icmpv6_timeout`.
    pub(in crate::config) timeout_s: Seconds,
}

impl Default for Icmpv6 {
    fn default() -> Self {
        Self { timeout_s: domain::Conntrack::default().icmpv6_timeout.into() }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Sctp {
    /// How long each state lasts without a packet, in seconds.
    pub(in crate::config) timeouts_s: SctpTimeouts,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SctpTimeouts {
    /// An INIT was seen, or the end. Linux's `nf_conntrack_sctp_timeout_closed`.
    pub(in crate::config) closed: Seconds,
    /// The INIT was answered. Linux's `nf_conntrack_sctp_timeout_cookie_wait`.
    pub(in crate::config) cookie_wait: Seconds,
    /// A COOKIE ECHO was seen. Linux's `nf_conntrack_sctp_timeout_cookie_echoed`.
    pub(in crate::config) cookie_echoed: Seconds,
    /// The handshake is done. Linux's `nf_conntrack_sctp_timeout_established`.
    pub(in crate::config) established: Seconds,
    /// The side that opened wants to close. Linux's `nf_conntrack_sctp_timeout_shutdown_sent`.
    pub(in crate::config) shutdown_sent: Seconds,
    /// The other side wants to close. Linux's `nf_conntrack_sctp_timeout_shutdown_recd`.
    pub(in crate::config) shutdown_recd: Seconds,
    /// Both want to close. Linux's `nf_conntrack_sctp_timeout_shutdown_ack_sent`.
    pub(in crate::config) shutdown_ack_sent: Seconds,
    /// A HEARTBEAT was seen on a new path. Linux's `nf_conntrack_sctp_timeout_heartbeat_sent`.
    pub(in crate::config) heartbeat_sent: Seconds,
}

impl Default for SctpTimeouts {
    fn default() -> Self {
        let domain = domain::SctpTimeouts::default();
        Self {
            closed: domain.closed.into(),
            cookie_wait: domain.cookie_wait.into(),
            cookie_echoed: domain.cookie_echoed.into(),
            established: domain.established.into(),
            shutdown_sent: domain.shutdown_sent.into(),
            shutdown_recd: domain.shutdown_recd.into(),
            shutdown_ack_sent: domain.shutdown_ack_sent.into(),
            heartbeat_sent: domain.heartbeat_sent.into(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Gre {
    /// Before an answer, in seconds. Linux's `nf_conntrack_gre_timeout`.
    pub(in crate::config) timeout_s: Seconds,
    /// Answered, in seconds. Linux's `nf_conntrack_gre_timeout_stream`.
    pub(in crate::config) timeout_stream_s: Seconds,
}

impl Default for Gre {
    fn default() -> Self {
        let domain = domain::Conntrack::default();
        Self { timeout_s: domain.gre_timeout.into(), timeout_stream_s: domain.gre_timeout_stream.into() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Generic {
    /// Without a packet, in seconds. Linux's `nf_conntrack_generic_timeout`.
    pub(in crate::config) timeout_s: Seconds,
}

impl Default for Generic {
    fn default() -> Self {
        Self { timeout_s: domain::Conntrack::default().generic_timeout.into() }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Helpers {
    /// TCP ports of FTP servers (PORT, PASV, EPRT, EPSV).
    #[schemars(example = &[21], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) ftp: Items<u16>,
    /// UDP ports of TFTP servers.
    #[schemars(example = &[69], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) tftp: Items<u16>,
    /// TCP ports of IRC servers (DCC).
    #[schemars(example = &[6667], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) irc: Items<u16>,
    /// UDP and TCP ports of SIP servers and phones.
    #[schemars(example = &[5060], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) sip: Items<u16>,
    /// TCP ports of H.323 call signalling (Q.931, and H.245 behind it).
    #[schemars(example = &[1720], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) q931: Items<u16>,
    /// UDP ports of H.323 gatekeepers (RAS).
    #[schemars(example = &[1719], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) ras: Items<u16>,
    /// TCP ports of PPTP servers; IPv4.
    #[schemars(example = &[1723], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) pptp: Items<u16>,
    /// UDP ports of Amanda clients, the backup system.
    #[schemars(example = &[10080], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) amanda: Items<u16>,
    /// TCP ports of SANE servers, the scanner access.
    #[schemars(example = &[6566], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) sane: Items<u16>,
    /// UDP ports of the NetBIOS name service. As on Linux, only what the box itself asks by broadcast counts.
    #[schemars(example = &[137], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) netbios_ns: Items<u16>,
    /// UDP ports of SNMP agents. As on Linux, only what the box itself asks by broadcast counts.
    #[schemars(example = &[161], inner(range(min = 1, max = 65535)))]
    pub(in crate::config) snmp: Items<u16>,
}
