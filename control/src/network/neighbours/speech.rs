//! What the gateway says: questions, answers and announcements of its own addresses.
//!
//! Inside stands what the link announces, outside what it sends from.

use super::frame::{
    ALL_NODES, ArpFrame, ArpOperation, FLAG_OVERRIDE, FLAG_ROUTER, FLAG_SOLICITED, NdFrame, OPTION_SOURCE,
    OPTION_TARGET, group_mac, solicited_node,
};
use super::link::Link;
use super::message::Message;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weir_dataplane::wire::{Icmpv6Type, MacAddr};

/// Asks who has `target`: all of the link, or the one that had it. `None` when the link has no address to ask from.
pub(super) fn question(link: &Link, target: IpAddr, known: Option<MacAddr>) -> Option<Vec<u8>> {
    match (link.asks_from(target)?, target) {
        (IpAddr::V4(from), IpAddr::V4(target)) => Some(request(link, from, target, known)),
        (IpAddr::V6(from), IpAddr::V6(target)) => Some(solicitation(link, from, target, known)),
        _ => None,
    }
}

/// Answers a question for `target`, an address of ours.
pub(super) fn answer(link: &Link, question: &Message, target: IpAddr) -> Option<Vec<u8>> {
    let to = question.mac.unwrap_or(question.source);
    match (target, question.speaker) {
        (IpAddr::V4(target), asker) => {
            let asker = match asker {
                Some(IpAddr::V4(asker)) => asker,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            let arp = ArpFrame {
                destination: to,
                source: link.source(),
                operation: ArpOperation::Reply,
                sender: (link.announced_as(target.into()), target),
                target: (to, asker),
            };
            Some(arp.bytes())
        }
        (IpAddr::V6(target), Some(IpAddr::V6(asker))) => {
            Some(advertisement(link, target, (to, asker), FLAG_SOLICITED))
        }
        // One that wants the address has none yet to be told by.
        (IpAddr::V6(target), None) => Some(advertisement(link, target, (group_mac(ALL_NODES), ALL_NODES), 0)),
        _ => None,
    }
}

/// Tells all of the link of an address of ours (RFC 5227 2.3, RFC 4861 7.2.6).
pub(super) fn announcement(link: &Link, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => request(link, address, address, None),
        IpAddr::V6(address) => advertisement(link, address, (group_mac(ALL_NODES), ALL_NODES), 0),
    }
}

fn request(link: &Link, from: Ipv4Addr, target: Ipv4Addr, known: Option<MacAddr>) -> Vec<u8> {
    let arp = ArpFrame {
        destination: known.unwrap_or(MacAddr::BROADCAST),
        source: link.source(),
        operation: ArpOperation::Request,
        sender: (link.announced_as(from.into()), from),
        target: (MacAddr::default(), target),
    };
    arp.bytes()
}

fn solicitation(link: &Link, from: Ipv6Addr, target: Ipv6Addr, known: Option<MacAddr>) -> Vec<u8> {
    let group = solicited_node(target);
    let (destination, to) = match known {
        Some(mac) => (mac, target),
        None => (group_mac(group), group),
    };
    let nd = NdFrame {
        destination,
        source: link.source(),
        from,
        to,
        kind: Icmpv6Type::NEIGHBOUR_SOLICITATION,
        flags: 0,
        target,
        option: Some((OPTION_SOURCE, link.announced_as(from.into()))),
    };
    nd.bytes()
}

fn advertisement(link: &Link, address: Ipv6Addr, to: (MacAddr, Ipv6Addr), flags: u8) -> Vec<u8> {
    let nd = NdFrame {
        destination: to.0,
        source: link.source(),
        from: address,
        to: to.1,
        kind: Icmpv6Type::NEIGHBOUR_ADVERTISEMENT,
        flags: FLAG_ROUTER | FLAG_OVERRIDE | flags,
        target: address,
        option: Some((OPTION_TARGET, link.announced_as(address.into()))),
    };
    nd.bytes()
}
