//! What a worker counts, and the one list of reasons for dropping a frame.
//!
//! Every cell has one writer, its worker, and any number of readers in control. Adding is a load and a store of
//! the worker's own cache line: no bus lock, nothing shared is written.

use crate::units::{BURST_MAX, MEMBERS_MAX, MemberId, PORTS_MAX, PortId};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Worker only.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Worker only.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Worker only.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Anybody.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Declares a field-less enum together with its names: one spelling in code, metrics, replay and documents.
macro_rules! named_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in configuration, metrics, replay and documents.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named_enum;

named_enum! {
    /// Why a frame was dropped. Counters, metrics, replay and traces share this list.
    pub enum DropReason {
        /// The device scattered the frame over several buffers.
        Segmented = "segmented",
        /// Longer than the port's MTU and its link header.
        Oversize = "oversize",
        /// Shorter than the link header that it announces.
        Runt = "runt",
        /// From a group address or from none: no station sends that.
        SourceMac = "source_mac",
        /// To 01:80:c2:00:00:00..0f: LACP, STP, LLDP and their kin never cross a bridge.
        LinkLocal = "link_local",
        /// IPv4 version or header length is wrong.
        Ipv4Header = "ipv4_header",
        /// The IPv4 header's checksum is wrong.
        Ipv4Checksum = "ipv4_checksum",
        /// The IPv4 total length is below the header's or beyond the frame.
        Ipv4Length = "ipv4_length",
        /// IPv6 version is wrong or the header is cut.
        Ipv6Header = "ipv6_header",
        /// The IPv6 payload length is beyond the frame.
        Ipv6Length = "ipv6_length",
        /// A hop-by-hop header that runs past the packet or carries a broken option.
        Ipv6HopByHop = "ipv6_hop_by_hop",
        /// A fragment whose header is cut, that carries nothing, or that contradicts what is known of its datagram.
        FragmentInvalid = "fragment_invalid",
        /// A fragment whose place in the datagram is partly taken; its whole datagram goes with it (RFC 5722).
        FragmentOverlap = "fragment_overlap",
        /// A fragment that is there already.
        FragmentDuplicate = "fragment_duplicate",
        /// A fragment of a datagram that would be longer than IP allows.
        FragmentOversize = "fragment_oversize",
        /// A fragment whose datagram was given up, because too many others of its source came in between.
        FragmentDistance = "fragment_distance",
        /// A fragment that there is no room for to wait.
        FragmentLimit = "fragment_limit",
        /// A fragment that waited in vain for the rest of its datagram.
        FragmentTimeout = "fragment_timeout",
        /// The extension headers, or the header of TCP or UDP, are cut, and helpers are attached over it.
        HeaderCut = "header_cut",
        /// INVALID: the transport header is cut or contradicts itself.
        InvalidHeader = "invalid_header",
        /// INVALID: the transport checksum is wrong.
        InvalidChecksum = "invalid_checksum",
        /// INVALID: TCP flags that cannot stand together.
        InvalidTcpFlags = "invalid_tcp_flags",
        /// INVALID: no flow, and this packet may not open one.
        InvalidNoFlow = "invalid_no_flow",
        /// INVALID: the TCP state has no place for this segment.
        InvalidTcpState = "invalid_tcp_state",
        /// INVALID: the TCP sequence or acknowledgement is outside the window.
        InvalidTcpWindow = "invalid_tcp_window",
        /// INVALID: an SCTP packet without chunks, or with chunks that cannot stand together.
        InvalidSctpChunk = "invalid_sctp_chunk",
        /// INVALID: the SCTP verification tag is not the flow's.
        InvalidSctpTag = "invalid_sctp_tag",
        /// INVALID: the SCTP state has no place for this chunk.
        InvalidSctpState = "invalid_sctp_state",
        /// INVALID: an ICMP type that exists in no table, or ICMP of the other IP version.
        InvalidIcmpType = "invalid_icmp_type",
        /// INVALID: an ICMP error that quotes no known flow, or comes to the wrong host.
        InvalidIcmpQuote = "invalid_icmp_quote",
        /// INVALID: the extension headers end in nothing that can be tracked.
        InvalidExtension = "invalid_extension",
        /// A helper saw only part of a message that it must see whole, or could not expect what it announced.
        Helper = "helper",
        /// The flow table is full of flows that may not be evicted.
        TableFull = "table_full",
        /// Another node of the cluster owns it (`tracking: own`: it was not tracked).
        NotOwner = "not_owner",
        /// The configuration says to drop frames that are not IP.
        NonIp = "non_ip",
        /// The configuration says to drop packets that are never tracked.
        Untracked = "untracked",
        /// The port it came from has no partner to leave by.
        NoPeer = "no_peer",
        /// The transmit queue had no room.
        TxFull = "tx_full",
        /// The ring to the worker that owns its flow had no room.
        RingFull = "ring_full",
        /// The ring to control had no room.
        PuntFull = "punt_full",
        /// It is addressed to another station.
        OtherHost = "other_host",
        /// It came in by a VLAN on which the gateway has no address.
        NoInterface = "no_interface",
        /// A source or destination address that no router may pass on.
        Martian = "martian",
        /// There is no way back to its source, or not by where it came from.
        ReversePath = "reverse_path",
        /// To a group of hosts: groups are not routed.
        Multicast = "multicast",
        /// Its route says that it ends here.
        Blackhole = "blackhole",
        /// An IPv4 option that a router must refuse: a source route.
        SourceRoute = "source_route",
    }
}

named_enum! {
    /// Why a frame is left to control.
    pub enum PuntReason {
        /// ARP.
        Arp = "arp",
        /// Neighbour discovery.
        NeighbourDiscovery = "neighbour_discovery",
        /// To one of the gateway's addresses.
        Local = "local",
        /// Its time to live, or hop limit, runs out here.
        TimeExceeded = "time_exceeded",
        /// Longer than its way out lets pass.
        TooBig = "too_big",
        /// There is no route to its destination, or one that says so.
        Unreachable = "unreachable",
        /// The MAC address of its next hop is not known.
        Unresolved = "unresolved",
        /// Its IPv4 options are broken.
        OptionInvalid = "option_invalid",
    }
}

/// The one outcome of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves by this port.
    Forward(PortId),
    /// It goes back where it came from.
    Hairpin(PortId),
    /// It is left to control.
    Punt(PuntReason),
    /// Tracked; another node forwards it.
    Shadow,
    /// It waits in bounded memory for the rest of its datagram.
    Hold,
    /// It ends here.
    Drop(DropReason),
}

impl Verdict {
    /// The names in metrics, replay and documents; [`Verdict::index`] points into them.
    pub const NAMES: [&'static str; 6] = ["forward", "hairpin", "punt", "shadow", "hold", "drop"];

    /// Position in [`Verdict::NAMES`].
    pub const fn index(self) -> usize {
        match self {
            Self::Forward(_) => 0,
            Self::Hairpin(_) => 1,
            Self::Punt(_) => 2,
            Self::Shadow => 3,
            Self::Hold => 4,
            Self::Drop(_) => 5,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

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

/// What one worker did on one port.
#[derive(Debug, Default)]
pub struct PortCells {
    /// Frames taken from the receive queue.
    pub rx_frames: Cell,
    /// Their bytes.
    pub rx_bytes: Cell,
    /// Frames that the transmit queue took.
    pub tx_frames: Cell,
    /// Their bytes.
    pub tx_bytes: Cell,
}

/// What one worker did to the flows of one protocol.
#[derive(Debug, Default)]
pub struct FlowCells {
    /// Flows opened.
    pub created: Cell,
    /// Of those, flows that an expectation or a master announced.
    pub related: Cell,
    /// Flows whose time ran out.
    pub expired: Cell,
    /// Flows given up early to make room.
    pub evicted: Cell,
    /// Flows that an operator deleted.
    pub deleted: Cell,
    /// Flows that there was no room for.
    pub refused: Cell,
}

/// Everything one worker counts. Worker: write. Control: read.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerCounters {
    /// Outcomes by [`Verdict::index`]; their sum is the frames processed, those that control sends among them. That of [`Verdict::Hold`] is a gauge: the
    /// frames that wait now.
    pub verdicts: [Cell; Verdict::NAMES.len()],
    /// Drops by [`DropReason::index`]; their sum is the drop outcome.
    pub drops: [Cell; DropReason::COUNT],
    /// Frames left to control by [`PuntReason::index`]; their sum is the punt outcome.
    pub punts: [Cell; PuntReason::COUNT],
    /// By [`PortId::index`].
    pub ports: [PortCells; PORTS_MAX],
    /// Live flows by [`FlowClass::index`]: a gauge.
    pub flows: [Cell; FlowClass::COUNT],
    /// Live flows by owner: a gauge; read by [`WorkerCounters::flows_of`].
    pub owners: [Cell; MEMBERS_MAX + 1],
    /// Flows there is room for.
    pub flows_max: Cell,
    /// What became of flows, by [`FlowProtocol::index`].
    pub protocols: [FlowCells; FlowProtocol::COUNT],
    /// Live expectations: a gauge.
    pub expectations: Cell,
    /// Expectations made.
    pub expectations_created: Cell,
    /// Things that another worker should have been told of them and had no room for.
    pub news_lost: Cell,
    /// Looks into a receive queue that found this many frames: the burst-size histogram, by frame count.
    pub bursts: [Cell; BURST_MAX + 1],
    /// Frames handed to another worker.
    pub handed_over: Cell,
    /// Frames sent for control.
    pub from_control: Cell,
    /// Cycles of turns that moved frames.
    pub cycles_busy: Cell,
    /// Cycles of turns that found nothing, sleep included.
    pub cycles_idle: Cell,
    /// Nanoseconds of the longest turn so far, rest not included: a gauge.
    pub turn_max_ns: Cell,
    /// Epoch of the snapshot in force.
    pub epoch: Cell,
}

impl Default for WorkerCounters {
    fn default() -> Self {
        Self {
            verdicts: Default::default(),
            drops: core::array::from_fn(|_| Cell::default()),
            punts: Default::default(),
            ports: core::array::from_fn(|_| PortCells::default()),
            flows: Default::default(),
            owners: core::array::from_fn(|_| Cell::default()),
            flows_max: Cell::default(),
            protocols: Default::default(),
            expectations: Cell::default(),
            expectations_created: Cell::default(),
            news_lost: Cell::default(),
            bursts: core::array::from_fn(|_| Cell::default()),
            handed_over: Cell::default(),
            from_control: Cell::default(),
            cycles_busy: Cell::default(),
            cycles_idle: Cell::default(),
            turn_max_ns: Cell::default(),
            epoch: Cell::default(),
        }
    }
}

impl WorkerCounters {
    /// Books the outcome of one frame.
    #[inline]
    pub fn outcome(&self, verdict: Verdict) {
        self.outcomes(verdict, 1);
    }

    /// Books one outcome of many frames.
    #[inline]
    pub fn outcomes(&self, verdict: Verdict, frames: u64) {
        self.verdicts[verdict.index()].add(frames);
        match verdict {
            Verdict::Drop(reason) => self.drops[reason.index()].add(frames),
            Verdict::Punt(reason) => self.punts[reason.index()].add(frames),
            _ => {}
        }
    }

    /// Books the outcome of a frame that was held.
    #[inline]
    pub fn release(&self, verdict: Verdict) {
        self.verdicts[Verdict::Hold.index()].sub(1);
        self.outcome(verdict);
    }

    /// Books frames again that were to be forwarded and that the transmit queue, or the ring to it, did not take.
    #[inline]
    pub fn forward_refused(&self, frames: u64) {
        if frames > 0 {
            self.verdicts[Verdict::Forward(PortId::default()).index()].sub(frames);
            self.verdicts[Verdict::Drop(DropReason::TxFull).index()].add(frames);
            self.drops[DropReason::TxFull.index()].add(frames);
        }
    }

    /// Books a frame again that was to be left to control and found no room on the ring.
    #[inline]
    pub fn punt_refused(&self, reason: PuntReason) {
        self.verdicts[Verdict::Punt(reason).index()].sub(1);
        self.punts[reason.index()].sub(1);
        self.outcome(Verdict::Drop(DropReason::PuntFull));
    }

    /// What this worker did on `port`.
    #[inline]
    pub fn port(&self, port: PortId) -> &PortCells {
        &self.ports[port.index()]
    }

    /// What this worker did to the flows of `class`'s protocol.
    #[inline]
    pub fn protocol(&self, class: FlowClass) -> &FlowCells {
        &self.protocols[class.kind().index()]
    }

    /// Live flows that are `owner`'s. Those of a node that has died count as its own until their next packet comes.
    pub fn flows_of(&self, owner: Option<MemberId>) -> &Cell {
        &self.owners[owner.map_or(0, |owner| owner.index() + 1)]
    }

    /// The sum of `cell` over all protocols: `counters.flows_total(|cells| &cells.created)`.
    pub fn flows_total(&self, cell: impl Fn(&FlowCells) -> &Cell) -> u64 {
        self.protocols.iter().map(|cells| cell(cells).read()).sum()
    }

    /// Frames that have had their outcome.
    pub fn frames(&self) -> u64 {
        self.verdicts.iter().map(Cell::read).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_written_once() {
        let mut names: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::COUNT);
        assert_eq!(
            DropReason::TxFull.index(),
            DropReason::ALL.iter().position(|r| *r == DropReason::TxFull).unwrap()
        );
    }

    #[test]
    fn a_drop_is_booked_under_its_reason_and_in_the_sum() {
        let counters = WorkerCounters::default();
        counters.outcome(Verdict::Drop(DropReason::TableFull));
        counters.outcome(Verdict::Shadow);
        assert_eq!(counters.drops[DropReason::TableFull.index()].read(), 1);
        assert_eq!(counters.frames(), 2);
    }
}
