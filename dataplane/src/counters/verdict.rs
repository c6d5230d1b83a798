//! The one outcome of a frame: the one list of reasons for dropping it, and that for leaving it to control.

use super::named_enum;
use crate::units::PortId;

/// The same, and each variant's documentation as its sentence, for the reference.
macro_rules! explained_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+ }) => {
        named_enum! { $(#[$meta])* pub enum $name { $($(#[doc = $doc])+ $variant = $text,)+ } }

        impl $name {
            /// What it means, with a blank before each line of it.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

explained_enum! {
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
        /// Another node of the cluster owns it (`tracking: own`: it was not tracked), or came to own it before the frame
        /// left.
        NotOwner = "not_owner",
        /// To a VIP, and another node's by its hash.
        VipNotOwner = "vip_not_owner",
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
        /// No server of its service can take it, and the service says to drop it.
        NoServer = "no_server",
        /// The MAC address of its server is not known.
        ServerUnresolved = "server_unresolved",
    }
}

explained_enum! {
    /// Why a frame is left to control.
    pub enum PuntReason {
        /// ARP.
        Arp = "arp",
        /// Neighbour discovery.
        NeighbourDiscovery = "neighbour_discovery",
        /// To one of the gateway's addresses.
        Local = "local",
        /// To a VIP, and this node's by its hash, or all nodes'.
        Vip = "vip",
        /// To a group, or to all stations, of a link on which the kernel has a tap.
        Group = "group",
        /// Its time to live, or hop limit, runs out here.
        TimeExceeded = "time_exceeded",
        /// Longer than its way out lets pass.
        TooBig = "too_big",
        /// In a packet to its server it is longer than the way there lets pass, and that packet may be fragmented.
        TunnelTooBig = "tunnel_too_big",
        /// There is no route to its destination, or one that says so.
        Unreachable = "unreachable",
        /// The MAC address of its next hop is not known.
        Unresolved = "unresolved",
        /// No server of its service can take it, and its sender is to be told.
        NoServer = "no_server",
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
