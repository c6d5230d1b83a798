//! Connection tracking: Linux's settings under Linux's names, with Linux's defaults except `tcp_loose`.

use super::Fragments;
use crate::counters::named_enum;
use crate::units::Span;
use crate::wire::IpProtocol;

/// How flows are tracked.
#[derive(Clone, Debug)]
pub struct Conntrack {
    /// Flows of the whole node, at most; the workers share it evenly. Linux's `nf_conntrack_max`.
    pub flows_max: u32,
    /// Expectations of the whole node, at most. Linux's `nf_conntrack_expect_max`.
    pub expectations_max: u32,
    /// Verify transport checksums. Linux's `nf_conntrack_checksum`.
    pub checksum: bool,
    /// VLAN tags to look behind, 0 to 2; a frame with more is not IP. A Linux bridge looks behind one.
    pub vlan_tags_max: u8,
    /// Fragments.
    pub fragments: Fragments,
    /// TCP.
    pub tcp: Tcp,
    /// UDP and UDP-Lite before an answer. `nf_conntrack_udp_timeout`.
    pub udp_timeout: Span,
    /// UDP answered and older than two seconds, UDP-Lite answered. `nf_conntrack_udp_timeout_stream`.
    pub udp_timeout_stream: Span,
    /// ICMP queries. `nf_conntrack_icmp_timeout`.
    pub icmp_timeout: Span,
    /// ICMPv6 queries. `nf_conntrack_icmpv6_timeout`.
    pub icmpv6_timeout: Span,
    /// SCTP: how long each state lasts without a packet.
    pub sctp: SctpTimeouts,
    /// GRE before an answer. `nf_conntrack_gre_timeout`.
    pub gre_timeout: Span,
    /// GRE answered. `nf_conntrack_gre_timeout_stream`.
    pub gre_timeout_stream: Span,
    /// Every other protocol. `nf_conntrack_generic_timeout`.
    pub generic_timeout: Span,
    /// Which helpers look into which flows. None unless named.
    pub helpers: HelperRules,
}

/// How TCP is tracked.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// An ACK in mid-stream may open a flow. `nf_conntrack_tcp_loose`; off here, since in a cluster it would
    /// let a node adopt what another node owns.
    pub loose: bool,
    /// Segments outside the window are let through. `nf_conntrack_tcp_be_liberal`.
    pub be_liberal: bool,
    /// RSTs below the acknowledged sequence are let through. `nf_conntrack_tcp_ignore_invalid_rst`.
    pub ignore_invalid_rst: bool,
    /// Retransmissions before the timeout shrinks. `nf_conntrack_tcp_max_retrans`.
    pub max_retrans: u8,
    /// How long each state lasts without a segment.
    pub timeouts: TcpTimeouts,
}

/// `nf_conntrack_tcp_timeout_*`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the sysctl of that name")]
pub struct TcpTimeouts {
    pub syn_sent: Span,
    pub syn_recv: Span,
    pub established: Span,
    pub fin_wait: Span,
    pub close_wait: Span,
    pub last_ack: Span,
    pub time_wait: Span,
    pub close: Span,
    pub max_retrans: Span,
    pub unacknowledged: Span,
}

/// `nf_conntrack_sctp_timeout_*`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the sysctl of that name")]
pub struct SctpTimeouts {
    pub closed: Span,
    pub cookie_wait: Span,
    pub cookie_echoed: Span,
    pub established: Span,
    pub shutdown_sent: Span,
    pub shutdown_recd: Span,
    pub shutdown_ack_sent: Span,
    pub heartbeat_sent: Span,
}

named_enum! {
    /// The helpers, by Linux's names.
    pub enum HelperKind {
        /// FTP: PORT, PASV, EPRT, EPSV (RFC 959, RFC 2428).
        Ftp = "ftp",
        /// TFTP: the transfer's own ports (RFC 1350).
        Tftp = "tftp",
        /// IRC: DCC.
        Irc = "irc",
        /// SIP: media by SDP, calls to registered phones (RFC 3261, RFC 4566).
        Sip = "sip",
        /// H.323: call signalling (H.225.0).
        Q931 = "Q.931",
        /// H.323: media control (H.245). It follows from call signalling and is not named in a configuration.
        H245 = "H.245",
        /// H.323: registration, admission and status (H.225.0).
        Ras = "RAS",
        /// PPTP: the GRE of its calls (RFC 2637).
        Pptp = "pptp",
        /// Amanda, the backup system.
        Amanda = "amanda",
        /// SANE, the scanner access.
        Sane = "sane",
        /// NetBIOS name service: the answers to what the box itself asks by broadcast.
        NetbiosNs = "netbios-ns",
        /// SNMP: the answers to what the box itself asks by broadcast.
        Snmp = "snmp",
    }
}

impl HelperKind {
    /// The transports that it speaks, and where it listens when nobody says otherwise.
    pub const fn listens(self) -> (&'static [Transport], u16) {
        match self {
            Self::Ftp => (&[Transport::Tcp], 21),
            Self::Tftp => (&[Transport::Udp], 69),
            Self::Irc => (&[Transport::Tcp], 6667),
            Self::Sip => (&[Transport::Udp, Transport::Tcp], 5060),
            Self::Q931 => (&[Transport::Tcp], 1720),
            Self::H245 => (&[], 0),
            Self::Ras => (&[Transport::Udp], 1719),
            Self::Pptp => (&[Transport::Tcp], 1723),
            Self::Amanda => (&[Transport::Udp], 10_080),
            Self::Sane => (&[Transport::Tcp], 6566),
            Self::NetbiosNs => (&[Transport::Udp], 137),
            Self::Snmp => (&[Transport::Udp], 161),
        }
    }

    /// Whether it is attached to flows of IPv4 only, as in Linux.
    pub const fn ipv4_only(self) -> bool {
        matches!(self, Self::Irc | Self::Pptp | Self::NetbiosNs | Self::Snmp)
    }

    /// The rules that attach it to flows to `port`.
    pub fn rules(self, port: u16) -> impl Iterator<Item = HelperRule> {
        self.listens().0.iter().map(move |transport| HelperRule { kind: self, transport: *transport, port })
    }
}

named_enum! {
    /// Transports that a helper can be attached to.
    pub enum Transport {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
}

impl Transport {
    /// Its IP protocol number.
    pub const fn protocol(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::TCP,
            Self::Udp => IpProtocol::UDP,
        }
    }
}

/// Attaches a helper to the flows whose original direction goes to `port`, as a CT target rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperRule {
    /// Which.
    pub kind: HelperKind,
    /// Over what.
    pub transport: Transport,
    /// Destination port of the original direction.
    pub port: u16,
}

/// Which helper looks into which flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HelperRules {
    rules: Vec<HelperRule>,
    /// A bit for each port, modulo 64: most flows go to none of them and need not ask further.
    ports: u64,
}

impl HelperRules {
    /// The rule for flows to this port.
    #[inline]
    pub fn attached(&self, protocol: IpProtocol, port: u16) -> Option<HelperRule> {
        if self.ports & bit_of(port) == 0 {
            return None;
        }
        let fits = |rule: &&HelperRule| rule.port == port && rule.transport.protocol() == protocol;
        self.rules.iter().find(fits).copied()
    }

    /// All rules.
    pub fn iter(&self) -> impl Iterator<Item = &HelperRule> {
        self.rules.iter()
    }
}

const fn bit_of(port: u16) -> u64 {
    1 << (port % 64)
}

impl FromIterator<HelperRule> for HelperRules {
    fn from_iter<I: IntoIterator<Item = HelperRule>>(rules: I) -> Self {
        let rules: Vec<_> = rules.into_iter().collect();
        let ports = rules.iter().fold(0, |ports, rule| ports | bit_of(rule.port));
        Self { rules, ports }
    }
}

const fn s(seconds: u32) -> Span {
    match Span::from_s(seconds) {
        Some(span) => span,
        None => Span::MAX,
    }
}

impl Default for Conntrack {
    fn default() -> Self {
        Self {
            flows_max: 262_144,
            expectations_max: 4096,
            checksum: true,
            vlan_tags_max: 2,
            fragments: Fragments::default(),
            tcp: Tcp::default(),
            udp_timeout: s(30),
            udp_timeout_stream: s(120),
            icmp_timeout: s(30),
            icmpv6_timeout: s(30),
            sctp: SctpTimeouts::default(),
            gre_timeout: s(30),
            gre_timeout_stream: s(180),
            generic_timeout: s(600),
            helpers: HelperRules::default(),
        }
    }
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            loose: false,
            be_liberal: false,
            ignore_invalid_rst: false,
            max_retrans: 3,
            timeouts: TcpTimeouts::default(),
        }
    }
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        Self {
            syn_sent: s(120),
            syn_recv: s(60),
            established: s(432_000),
            fin_wait: s(120),
            close_wait: s(60),
            last_ack: s(30),
            time_wait: s(120),
            close: s(10),
            max_retrans: s(300),
            unacknowledged: s(300),
        }
    }
}

impl Default for SctpTimeouts {
    fn default() -> Self {
        Self {
            closed: s(10),
            cookie_wait: s(3),
            cookie_echoed: s(3),
            established: s(210),
            shutdown_sent: s(3),
            shutdown_recd: s(3),
            shutdown_ack_sent: s(3),
            heartbeat_sent: s(30),
        }
    }
}
