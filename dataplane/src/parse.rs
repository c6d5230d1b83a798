//! From a frame's bytes to what the tracker needs: the flow's key and the transport's place, or the reason why not.
//!
//! Header and checksum checks are those of a Linux bridge with netfilter behind it: a broken IP header is dropped,
//! a broken transport header is INVALID. Nothing here knows flows.

pub mod fragment;
mod icmp;
mod ip;
mod plain;
mod transport;

pub use crate::port::Offload;

use crate::counters::{DropReason, PuntReason};
use crate::key::{Address, Family, FlowKey, Side};
use crate::wire::{EtherType, Ethernet, IpProtocol, MacAddr, Pppoe, Vlan};
use core::net::{Ipv4Addr, Ipv6Addr};

/// What is to be done with a frame, as far as its own bytes say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Not IP, or behind more VLAN tags than are looked behind.
    #[default]
    NonIp,
    /// Dropped before it is tracked.
    Drop(DropReason),
    /// Left to control before it is tracked.
    Punt(PuntReason),
    /// A part of an IP datagram, to be read by [`fragment::Fragment::new`].
    Fragment,
    /// INVALID for everybody. Where it could be read, [`Parsed::key`] is that of the flow it would belong to.
    Invalid(DropReason),
    /// IP that is never tracked: neighbour and multicast listener discovery.
    Untracked,
    /// A packet of the flow [`Parsed::key`].
    Flow(Transport),
    /// An ICMP error about the flow [`Parsed::key`]: side and key are those of the packet that it quotes.
    IcmpError,
}

/// What follows IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with sane header and flags.
    Tcp,
    /// UDP.
    Udp,
    /// UDP-Lite.
    UdpLite,
    /// An ICMP query or its answer.
    Icmp {
        /// A query: it may open a flow.
        query: bool,
    },
    /// An ICMPv6 query or its answer.
    Icmpv6 {
        /// A query: it may open a flow.
        query: bool,
    },
    /// SCTP, with its header whole.
    Sctp,
    /// GRE. Version 1, PPTP's, has the receiver's call as the key's destination port; the sender's call stands in
    /// no packet, so its source port is 0. Every other version has no ports, whatever its key field says.
    Gre,
    /// Everything else; DCCP too, whose tracker Linux has given up.
    Generic,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What to do with it.
    pub class: Class,
    /// The flow's name, for [`Class::Flow`] and [`Class::IcmpError`]; may be [`FlowKey::NONE`] for the others.
    pub key: FlowKey,
    /// Which side of the key the packet comes from.
    pub side: Side,
    /// Where the transport header begins in the frame; the IP header of a [`Class::Fragment`].
    pub at: u16,
    /// Bytes from there to the end of the IP packet; padding may follow.
    pub len: u16,
}

impl Parsed {
    const fn of(class: Class) -> Self {
        Self { class, key: FlowKey::NONE, side: Side::First, at: 0, len: 0 }
    }

    /// A frame that is dropped before it is looked into.
    pub const fn drop(reason: DropReason) -> Self {
        Self::of(Class::Drop(reason))
    }

    /// A frame that is left to control before it is tracked.
    pub const fn punt(reason: PuntReason) -> Self {
        Self::of(Class::Punt(reason))
    }

    const fn invalid(reason: DropReason) -> Self {
        Self::of(Class::Invalid(reason))
    }

    /// Transport header and payload in the frame it was parsed from; the IP packet of a [`Class::Fragment`].
    #[inline]
    pub fn transport<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let at = usize::from(self.at);
        frame.get(at..at + usize::from(self.len)).unwrap_or_default()
    }

    /// IP version of a packet that has a key.
    #[inline]
    pub fn family(&self) -> Family {
        self.key.family()
    }
}

/// What to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Verify transport checksums.
    pub checksum: bool,
    /// VLAN tags to look behind.
    pub vlan_tags_max: u8,
    /// Let spanning tree frames pass.
    pub forward_stp: bool,
    /// Helpers are attached over TCP. Then iptables looks at the ports before there is a state, and drops what ends
    /// within the header.
    pub tcp_helpers: bool,
    /// The same over UDP.
    pub udp_helpers: bool,
}

/// Reads one frame.
pub fn parse(frame: &[u8], rules: Rules, offload: Offload) -> Parsed {
    let mut parsed = Parsed::default();
    parse_into(frame, rules, offload, &mut parsed);
    parsed
}

/// Of which kind a frame was that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Untagged, of TCP or UDP, with nothing between the link header, that of IP, and that of the transport.
    Plain,
    /// A fragment.
    Fragment,
    /// Any other.
    Other,
}

/// Reads one frame into `parsed`.
#[inline(always)]
pub fn parse_into(frame: &[u8], rules: Rules, offload: Offload, parsed: &mut Parsed) -> Kind {
    if plain::parse(frame, rules, offload, parsed).is_some() {
        return Kind::Plain;
    }
    *parsed = parse_any(frame, rules, offload);
    if parsed.class == Class::Fragment { Kind::Fragment } else { Kind::Other }
}

/// Reads one frame, whatever it is.
#[inline(never)]
fn parse_any(frame: &[u8], rules: Rules, offload: Offload) -> Parsed {
    let Some(ethernet) = Ethernet::new(frame) else { return Parsed::drop(DropReason::Runt) };
    let source = ethernet.source();
    if source.is_group() || source.0 == [0; 6] {
        return Parsed::drop(DropReason::SourceMac);
    }
    let destination = ethernet.destination();
    if destination.is_link_local() && !(rules.forward_stp && destination == MacAddr::SPANNING_TREE) {
        return Parsed::drop(DropReason::LinkLocal);
    }
    let mut ethertype = ethernet.ethertype();
    let mut rest = ethernet.payload();
    let mut tags = 0;
    while ethertype.is_vlan() && tags < rules.vlan_tags_max {
        let Some(vlan) = Vlan::new(rest) else { return Parsed::drop(DropReason::Runt) };
        ethertype = vlan.ethertype();
        rest = vlan.payload();
        tags += 1;
    }
    if ethertype == EtherType::PPPOE_SESSION {
        let Some(pppoe) = Pppoe::new(rest) else { return Parsed::of(Class::NonIp) };
        let Some(inner) = pppoe.ethertype() else { return Parsed::of(Class::NonIp) };
        ethertype = inner;
        // As far as the frame goes: IP's own length says where the packet ends.
        rest = &rest[crate::wire::pppoe::HEADER_LEN..];
    }
    let at = frame.len() - rest.len();
    match ethertype {
        EtherType::IPV4 => ip::parse_ipv4(rest, at, rules, offload),
        EtherType::IPV6 => ip::parse_ipv6(rest, at, rules, offload),
        _ => Parsed::of(Class::NonIp),
    }
}

/// Reads the IP packet at `at` of a frame as a whole datagram: one that was put together from its fragments, or a
/// fragment that Linux takes for one. Its IP header has been checked.
pub fn parse_datagram(packet: &[u8], at: usize, rules: Rules, offload: Offload) -> Parsed {
    ip::parse_datagram(packet, at, rules, offload)
}

/// A packet as IP delivers it.
#[derive(Clone, Copy)]
struct Packet<'a> {
    addresses: Addresses,
    protocol: IpProtocol,
    /// Transport header and payload.
    transport: &'a [u8],
    hop_limit: u8,
}

/// From whom, to whom.
#[derive(Clone, Copy)]
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Addresses {
    #[inline]
    fn family(self) -> Family {
        match self {
            Self::V4(..) => Family::V4,
            Self::V6(..) => Family::V6,
        }
    }

    #[inline]
    fn source(self) -> Address {
        match self {
            Self::V4(source, _) => Address::v4(source.octets()),
            Self::V6(source, _) => Address::v6(source.octets()),
        }
    }

    #[inline]
    fn destination(self) -> Address {
        match self {
            Self::V4(_, destination) => Address::v4(destination.octets()),
            Self::V6(_, destination) => Address::v6(destination.octets()),
        }
    }
}
