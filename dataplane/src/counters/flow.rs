//! What flows are counted by: their protocol, and the state that it is in.

use super::named_enum;

named_enum! {
    /// What a flow is counted as while it lives: its protocol, and for TCP and SCTP its state.
    pub enum FlowClass {
        /// TCP, the client's SYN seen.
        TcpSynSent = "syn_sent",
        /// TCP, the server's SYN and ACK seen.
        TcpSynRecv = "syn_recv",
        /// TCP, open.
        TcpEstablished = "established",
        /// TCP, one FIN seen.
        TcpFinWait = "fin_wait",
        /// TCP, the FIN acknowledged.
        TcpCloseWait = "close_wait",
        /// TCP, the second FIN seen.
        TcpLastAck = "last_ack",
        /// TCP, both FINs acknowledged.
        TcpTimeWait = "time_wait",
        /// TCP, reset.
        TcpClose = "close",
        /// TCP, both ends opened at once.
        TcpSynSent2 = "syn_sent2",
        /// UDP.
        Udp = "udp",
        /// UDP-Lite.
        UdpLite = "udplite",
        /// ICMP queries.
        Icmp = "icmp",
        /// ICMPv6 queries.
        Icmpv6 = "icmpv6",
        /// SCTP, INIT seen, or ended.
        SctpClosed = "closed",
        /// SCTP, INIT ACK seen.
        SctpCookieWait = "cookie_wait",
        /// SCTP, COOKIE ECHO seen.
        SctpCookieEchoed = "cookie_echoed",
        /// SCTP, open.
        SctpEstablished = "established",
        /// SCTP, SHUTDOWN seen from the original source.
        SctpShutdownSent = "shutdown_sent",
        /// SCTP, SHUTDOWN seen from the other end.
        SctpShutdownRecd = "shutdown_recd",
        /// SCTP, SHUTDOWN ACK seen.
        SctpShutdownAckSent = "shutdown_ack_sent",
        /// SCTP, HEARTBEAT seen on a path that is new.
        SctpHeartbeatSent = "heartbeat_sent",
        /// GRE.
        Gre = "gre",
        /// Every other protocol.
        Generic = "generic",
    }
}

named_enum! {
    /// A protocol as flows are counted by.
    pub enum FlowProtocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// UDP-Lite.
        UdpLite = "udplite",
        /// ICMP queries.
        Icmp = "icmp",
        /// ICMPv6 queries.
        Icmpv6 = "icmpv6",
        /// SCTP.
        Sctp = "sctp",
        /// GRE.
        Gre = "gre",
        /// Every other protocol.
        Generic = "generic",
    }
}

impl FlowClass {
    /// The protocol.
    pub const fn kind(self) -> FlowProtocol {
        match self {
            Self::TcpSynSent
            | Self::TcpSynRecv
            | Self::TcpEstablished
            | Self::TcpFinWait
            | Self::TcpCloseWait
            | Self::TcpLastAck
            | Self::TcpTimeWait
            | Self::TcpClose
            | Self::TcpSynSent2 => FlowProtocol::Tcp,
            Self::Udp => FlowProtocol::Udp,
            Self::UdpLite => FlowProtocol::UdpLite,
            Self::Icmp => FlowProtocol::Icmp,
            Self::Icmpv6 => FlowProtocol::Icmpv6,
            Self::SctpClosed
            | Self::SctpCookieWait
            | Self::SctpCookieEchoed
            | Self::SctpEstablished
            | Self::SctpShutdownSent
            | Self::SctpShutdownRecd
            | Self::SctpShutdownAckSent
            | Self::SctpHeartbeatSent => FlowProtocol::Sctp,
            Self::Gre => FlowProtocol::Gre,
            Self::Generic => FlowProtocol::Generic,
        }
    }

    /// The protocol's name: the first label of the flow gauge ([`FlowClass::name`] is the second: the state, where
    /// the protocol has any).
    pub const fn protocol(self) -> &'static str {
        self.kind().name()
    }

    /// Whether the flow is being closed: then it may end early when the table is nearly full, as in Linux, even one
    /// that has proven itself.
    pub const fn is_closing(self) -> bool {
        matches!(
            self,
            Self::TcpFinWait
                | Self::TcpCloseWait
                | Self::TcpLastAck
                | Self::TcpTimeWait
                | Self::TcpClose
                | Self::SctpShutdownSent
                | Self::SctpShutdownRecd
                | Self::SctpShutdownAckSent
        )
    }
}
