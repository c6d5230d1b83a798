//! A frame's headers as far as they can be read: nothing is checked, so that broken frames can be traced as well.

use crate::key::{Address, Family};
use crate::units::VlanId;
use crate::wire::{Arp, EtherType, Ethernet, IpProtocol, Ipv4, Ipv6, MacAddr, Pppoe, Vlan, pppoe};

/// Tags that are looked behind: a provider's and a customer's.
const TAGS_MAX: usize = 2;

/// A frame's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Who sent it on this link.
    pub source: MacAddr,
    /// To whom.
    pub destination: MacAddr,
    /// Of its outer tag, if that says more than a priority.
    pub vlan: Option<VlanId>,
    /// What it carries behind its tags.
    pub ethertype: EtherType,
    /// Whose addresses it bears.
    pub ends: Option<Ends>,
}

/// From where to where a packet goes, or who asks for whom in ARP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// IP version.
    pub family: Family,
    /// Source, or the sender of an ARP message.
    pub source: Address,
    /// Destination, or the target of an ARP message.
    pub destination: Address,
    /// What IP carries: of IPv6, what follows its first header.
    pub protocol: Option<IpProtocol>,
    /// Time to live, or hop limit.
    pub hops_left: Option<u8>,
}

impl Head {
    /// `None` for what is shorter than an Ethernet header.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let ethernet = Ethernet::new(frame)?;
        let (source, destination) = (ethernet.source(), ethernet.destination());
        let (mut ethertype, mut rest, mut vlan) = (ethernet.ethertype(), ethernet.payload(), None);
        for _ in 0..TAGS_MAX {
            let Some(tag) = Vlan::new(rest).filter(|_| ethertype.is_vlan()) else { break };
            vlan = vlan.or_else(|| VlanId::new(tag.id()));
            (ethertype, rest) = (tag.ethertype(), tag.payload());
        }
        if ethertype == EtherType::PPPOE_SESSION
            && let Some(inner) = Pppoe::new(rest).and_then(|session| session.ethertype())
        {
            (ethertype, rest) = (inner, rest.get(pppoe::HEADER_LEN..).unwrap_or_default());
        }
        Some(Self { source, destination, vlan, ethertype, ends: Ends::read(ethertype, rest) })
    }
}

impl Ends {
    fn read(ethertype: EtherType, packet: &[u8]) -> Option<Self> {
        match ethertype {
            EtherType::IPV4 => Ipv4::new(packet).map(|ip| Self {
                family: Family::V4,
                source: Address::v4(ip.source().octets()),
                destination: Address::v4(ip.destination().octets()),
                protocol: Some(ip.protocol()),
                hops_left: Some(ip.ttl()),
            }),
            EtherType::IPV6 => Ipv6::new(packet).map(|ip| Self {
                family: Family::V6,
                source: Address::v6(ip.source().octets()),
                destination: Address::v6(ip.destination().octets()),
                protocol: Some(ip.next_header()),
                hops_left: Some(ip.hop_limit()),
            }),
            EtherType::ARP => Arp::new(packet).map(|arp| Self {
                family: Family::V4,
                source: Address::v4(arp.sender_ip().octets()),
                destination: Address::v4(arp.target_ip().octets()),
                protocol: None,
                hops_left: None,
            }),
            _ => None,
        }
    }
}
