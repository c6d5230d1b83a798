//! What a router reads at the head of a frame: the link header, and from where to where an IP packet goes.

use crate::key::{Address, Family};
use crate::units::VlanId;
use crate::wire::{EtherType, Ethernet, Ipv4, Ipv6, Vlan, ethernet};

/// A frame's link header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The VLAN of its tag, if it has one that says more than a priority.
    pub(super) vlan: Option<VlanId>,
    pub(super) tagged: bool,
    pub(super) ethertype: EtherType,
    /// Where what it carries begins.
    pub(super) at: usize,
}

impl Link {
    #[inline(always)]
    pub(super) fn read(frame: &[u8]) -> Option<(Ethernet<'_>, Self)> {
        let ethernet = Ethernet::new(frame)?;
        let ethertype = ethernet.ethertype();
        if !ethertype.is_vlan() {
            return Some((ethernet, Self { vlan: None, tagged: false, ethertype, at: ethernet::HEADER_LEN }));
        }
        let tag = Vlan::new(ethernet.payload())?;
        let at = ethernet::HEADER_LEN + crate::wire::vlan::HEADER_LEN;
        Some((ethernet, Self { vlan: VlanId::new(tag.id()), tagged: true, ethertype: tag.ethertype(), at }))
    }
}

/// From where to where an IP packet goes, and how far it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) family: Family,
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) hops_left: u8,
    /// Bytes of the IP packet.
    pub(super) len: usize,
}

impl Ends {
    #[inline(always)]
    pub(super) fn read(frame: &[u8], link: Link) -> Option<Self> {
        let packet = frame.get(link.at..)?;
        match link.ethertype {
            EtherType::IPV4 => {
                let ip = Ipv4::new(packet)?;
                let [source, destination] =
                    [ip.source(), ip.destination()].map(|ip| Address::v4(ip.octets()));
                Some(Self {
                    family: Family::V4,
                    source,
                    destination,
                    hops_left: ip.ttl(),
                    len: ip.total_len(),
                })
            }
            EtherType::IPV6 => {
                let ip = Ipv6::new(packet)?;
                let [source, destination] =
                    [ip.source(), ip.destination()].map(|ip| Address::v6(ip.octets()));
                let len = crate::wire::ipv6::HEADER_LEN + ip.payload_len();
                Some(Self { family: Family::V6, source, destination, hops_left: ip.hop_limit(), len })
            }
            _ => None,
        }
    }
}
