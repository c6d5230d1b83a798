//! What a frame says in ARP or neighbour discovery: read once, and checked as far as the frame alone allows.

use super::counters::Ignored;
use super::frame::{FLAG_OVERRIDE, FLAG_SOLICITED, HOP_LIMIT, OPTION_SOURCE, OPTION_TARGET, solicited_node};
use std::net::{IpAddr, Ipv6Addr};
use weir_dataplane::wire::arp::Operation;
use weir_dataplane::wire::checksum::Sum;
use weir_dataplane::wire::{
    Arp, EtherType, Ethernet, Icmpv6, Icmpv6Type, IpProtocol, Ipv6, MacAddr, Vlan, icmpv6,
};

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// To whom the frame came.
    pub(super) destination: MacAddr,
    /// From whom the frame came.
    pub(super) source: MacAddr,
    /// Whom it speaks of: who asks, or who was asked for. `None`: one that asks whether an address is free
    /// (RFC 5227 2.1.1, RFC 4862 5.4).
    pub(super) speaker: Option<IpAddr>,
    /// The speaker's link-layer address.
    pub(super) mac: Option<MacAddr>,
    /// What it says.
    pub(super) kind: Kind,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who has this address?
    Question { target: IpAddr },
    /// The speaker is there, told to whom asked; `None`: told to all, unasked.
    Answer { told: Option<IpAddr>, weight: Weight },
}

/// Against what is known, a message that says otherwise...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// does not hold. An advertisement without its override flag.
    Weak,
    /// holds, unless what is known is very young. An ARP reply: of two that answer, the first is believed.
    First,
    /// holds.
    Strong,
}

impl Message {
    /// Reads a frame, with or without VLAN tags.
    pub(super) fn parse(frame: &[u8]) -> Result<Self, Ignored> {
        let ethernet = Ethernet::new(frame).ok_or(Ignored::Malformed)?;
        if ethernet.source().is_group() || ethernet.source() == MacAddr::default() {
            return Err(Ignored::GroupMac);
        }
        let (mut ethertype, mut payload) = (ethernet.ethertype(), ethernet.payload());
        while ethertype.is_vlan() {
            let tag = Vlan::new(payload).ok_or(Ignored::Malformed)?;
            (ethertype, payload) = (tag.ethertype(), tag.payload());
        }
        let (speaker, mac, kind) = match ethertype {
            EtherType::ARP => arp(payload)?,
            EtherType::IPV6 => discovery(payload)?,
            _ => return Err(Ignored::NotDiscovery),
        };
        Ok(Self { destination: ethernet.destination(), source: ethernet.source(), speaker, mac, kind })
    }
}

type Parts = (Option<IpAddr>, Option<MacAddr>, Kind);

fn arp(bytes: &[u8]) -> Result<Parts, Ignored> {
    if bytes.len() < weir_dataplane::wire::arp::HEADER_LEN {
        return Err(Ignored::Malformed);
    }
    let arp = Arp::new(bytes).ok_or(Ignored::NotDiscovery)?;
    let (sender, target) = (arp.sender_ip(), arp.target_ip());
    let kind = match arp.operation() {
        // An announcement, whichever way it is put (RFC 5227 3).
        _ if sender == target => Kind::Answer { told: None, weight: Weight::Strong },
        Operation::Request => Kind::Question { target: target.into() },
        Operation::Reply => Kind::Answer { told: Some(target.into()), weight: Weight::First },
        Operation::Other(_) => return Err(Ignored::NotDiscovery),
    };
    let speaker = (!sender.is_unspecified()).then_some(sender.into());
    match (speaker, kind) {
        (None, Kind::Answer { .. }) => Err(Ignored::Address),
        _ => Ok((speaker, Some(arp.sender_mac()), kind)),
    }
}

fn discovery(bytes: &[u8]) -> Result<Parts, Ignored> {
    let ipv6 = Ipv6::new(bytes).filter(|ipv6| ipv6.version() == 6).ok_or(Ignored::Malformed)?;
    if ipv6.next_header() != IpProtocol::ICMPV6 {
        return Err(Ignored::NotDiscovery);
    }
    let payload = ipv6.payload();
    let message = Icmpv6::new(payload).ok_or(Ignored::Malformed)?;
    let option = match message.kind() {
        Icmpv6Type::NEIGHBOUR_SOLICITATION => OPTION_SOURCE,
        Icmpv6Type::NEIGHBOUR_ADVERTISEMENT => OPTION_TARGET,
        _ => return Err(Ignored::NotDiscovery),
    };
    if ipv6.hop_limit() != HOP_LIMIT {
        return Err(Ignored::HopLimit);
    }
    let len = u32::try_from(payload.len()).map_err(|_| Ignored::Malformed)?;
    if payload.len() != ipv6.payload_len() {
        return Err(Ignored::Malformed);
    }
    let sum = Sum::pseudo_ipv6(ipv6.source(), ipv6.destination(), IpProtocol::ICMPV6, len).and(payload);
    if !sum.verifies() {
        return Err(Ignored::Checksum);
    }
    if message.code() != 0 {
        return Err(Ignored::Code);
    }
    let (target, options) = message.payload().split_first_chunk::<16>().ok_or(Ignored::Malformed)?;
    let (target, mac) = (Ipv6Addr::from(*target), link_layer_address(options, option)?);
    if target.is_multicast() || target.is_unspecified() || ipv6.source().is_multicast() {
        return Err(Ignored::Address);
    }
    if message.kind() == Icmpv6Type::NEIGHBOUR_SOLICITATION {
        solicitation(ipv6, target, mac)
    } else {
        advertisement(ipv6, payload[icmpv6::HEADER_LEN - 4], target, mac)
    }
}

/// RFC 4861 7.1.1.
fn solicitation(ipv6: Ipv6<'_>, target: Ipv6Addr, mac: Option<MacAddr>) -> Result<Parts, Ignored> {
    let speaker = (!ipv6.source().is_unspecified()).then_some(ipv6.source().into());
    if speaker.is_none() && (mac.is_some() || ipv6.destination() != solicited_node(target)) {
        return Err(Ignored::Address);
    }
    Ok((speaker, mac, Kind::Question { target: target.into() }))
}

/// RFC 4861 7.1.2.
fn advertisement(
    ipv6: Ipv6<'_>,
    flags: u8,
    target: Ipv6Addr,
    mac: Option<MacAddr>,
) -> Result<Parts, Ignored> {
    let solicited = flags & FLAG_SOLICITED != 0;
    if ipv6.source().is_unspecified() || (solicited && ipv6.destination().is_multicast()) {
        return Err(Ignored::Address);
    }
    let told = solicited.then_some(ipv6.destination().into());
    let weight = if flags & FLAG_OVERRIDE != 0 { Weight::Strong } else { Weight::Weak };
    Ok((Some(target.into()), mac, Kind::Answer { told, weight }))
}

/// The Ethernet address in the first option of this kind (RFC 4861 4.6.1). Each option has to be there in full.
fn link_layer_address(mut options: &[u8], kind: u8) -> Result<Option<MacAddr>, Ignored> {
    let mut found = None;
    while let [option, units, ..] = *options {
        let body = options.get(2..usize::from(units) * 8).ok_or(Ignored::Malformed)?;
        if option == kind && found.is_none() {
            found = Some(MacAddr(body.try_into().map_err(|_| Ignored::Malformed)?));
        }
        options = &options[usize::from(units) * 8..];
    }
    if options.is_empty() { Ok(found) } else { Err(Ignored::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{ALL_NODES, ArpFrame, ArpOperation, NdFrame, group_mac};
    use super::*;
    use proptest::prelude::*;

    const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const GATEWAY: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn reply() -> Vec<u8> {
        let [sender, target] = [9, 1].map(|host| [192, 0, 2, host].into());
        ArpFrame {
            destination: GATEWAY,
            source: HOST,
            operation: ArpOperation::Reply,
            sender: (HOST, sender),
            target: (GATEWAY, target),
        }
        .bytes()
    }

    fn advertisement() -> NdFrame {
        NdFrame {
            destination: GATEWAY,
            source: HOST,
            from: "2001:db8::9".parse().unwrap(),
            to: "2001:db8::1".parse().unwrap(),
            kind: Icmpv6Type::NEIGHBOUR_ADVERTISEMENT,
            flags: FLAG_SOLICITED | FLAG_OVERRIDE,
            target: "2001:db8::9".parse().unwrap(),
            option: Some((OPTION_TARGET, HOST)),
        }
    }

    fn solicitation() -> NdFrame {
        let target = "2001:db8::1".parse().unwrap();
        NdFrame {
            destination: group_mac(solicited_node(target)),
            to: solicited_node(target),
            kind: Icmpv6Type::NEIGHBOUR_SOLICITATION,
            flags: 0,
            target,
            option: Some((OPTION_SOURCE, HOST)),
            ..advertisement()
        }
    }

    #[test]
    fn reads_an_arp_reply_with_and_without_a_tag() {
        let frame = reply();
        let message = Message::parse(&frame).unwrap();
        assert_eq!((message.speaker, message.mac), (Some([192, 0, 2, 9].into()), Some(HOST)));
        let told = Some([192, 0, 2, 1].into());
        assert_eq!(message.kind, Kind::Answer { told, weight: Weight::First });
        let tagged = [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
        assert_eq!(Message::parse(&tagged), Ok(message));
    }

    #[test]
    fn an_arp_message_about_its_own_sender_is_an_announcement() {
        for operation in [1, 2] {
            let mut frame = reply();
            frame[21] = operation;
            frame[41] = 9;
            let message = Message::parse(&frame).unwrap();
            assert_eq!(message.kind, Kind::Answer { told: None, weight: Weight::Strong });
        }
    }

    #[test]
    fn a_solicitation_from_nobody_asks_whether_the_address_is_free() {
        let probe = NdFrame { from: Ipv6Addr::UNSPECIFIED, option: None, ..solicitation() };
        let message = Message::parse(&probe.bytes()).unwrap();
        assert_eq!((message.speaker, message.mac), (None, None));
        assert_eq!(message.kind, Kind::Question { target: probe.target.into() });
        let with_mac = NdFrame { option: solicitation().option, ..probe };
        assert_eq!(Message::parse(&with_mac.bytes()), Err(Ignored::Address));
        let to_all = NdFrame { to: ALL_NODES, ..probe };
        assert_eq!(Message::parse(&to_all.bytes()), Err(Ignored::Address));
    }

    #[test]
    fn what_rfc_4861_demands_is_demanded() {
        let frame = advertisement().bytes();
        assert!(Message::parse(&frame).is_ok());
        let with = |at: usize, value: u8| {
            let mut frame = frame.clone();
            frame[at] = value;
            Message::parse(&frame)
        };
        assert_eq!(with(21, 254), Err(Ignored::HopLimit));
        assert_eq!(with(55, 1), Err(Ignored::Checksum));
        assert_eq!(with(19, 33), Err(Ignored::Malformed));
        assert_eq!(with(20, 17), Err(Ignored::NotDiscovery));
        assert_eq!(with(14, 0x40), Err(Ignored::Malformed));
        assert_eq!(with(6, 1), Err(Ignored::GroupMac));
        let group = NdFrame { target: ALL_NODES, ..advertisement() };
        assert_eq!(Message::parse(&group.bytes()), Err(Ignored::Address));
        let to_group = NdFrame { to: ALL_NODES, ..advertisement() };
        assert_eq!(Message::parse(&to_group.bytes()), Err(Ignored::Address));
        assert_eq!(Message::parse(&frame[..85]), Err(Ignored::Malformed));
    }

    #[test]
    fn an_option_has_a_length_and_is_there_in_full() {
        let mac = [2, 1, 2, 0, 0, 0, 0, 9];
        let other = [14, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(link_layer_address(&[], OPTION_TARGET), Ok(None));
        assert_eq!(link_layer_address(&[other, mac].concat(), OPTION_TARGET), Ok(Some(HOST)));
        assert_eq!(link_layer_address(&mac, OPTION_SOURCE), Ok(None));
        for broken in [&[2, 0, 0, 0, 0, 0, 0, 0][..], &mac[..7], &[2], &[other.as_slice(), &[2]].concat()] {
            assert_eq!(link_layer_address(broken, OPTION_TARGET), Err(Ignored::Malformed), "{broken:?}");
        }
        let two_units = [&[2, 2][..], &[0; 14]].concat();
        assert_eq!(link_layer_address(&two_units, OPTION_TARGET), Err(Ignored::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            ethertype in prop_oneof![Just([8, 6]), Just([0x86, 0xdd]), Just([0x81, 0])],
        ) {
            let mut frame = bytes;
            if frame.len() > 14 {
                frame[12..14].copy_from_slice(&ethertype);
            }
            let _ = Message::parse(&frame);
        }

        #[test]
        fn a_flipped_bit_in_an_advertisement_is_found(bit in (14 * 8)..(86 * 8usize)) {
            let mut frame = advertisement().bytes();
            frame[bit / 8] ^= 1 << (bit % 8);
            // No checksum covers the traffic class and the flow label.
            let uncovered = (15..18).contains(&(bit / 8)) || bit / 8 == 14 && bit % 8 < 4;
            prop_assert!(uncovered || Message::parse(&frame).is_err());
        }
    }
}
