//! Questions of the kernel for a neighbour, asked through a tap: they never leave, and are answered from the table.
//!
//! So the wire sees one asker, with the MAC address that the interface announces, and the kernel learns what the
//! workers have learned.

use super::frame::{ArpFrame, ArpOperation, FLAG_OVERRIDE, FLAG_SOLICITED, NdFrame, OPTION_TARGET};
use super::message::{Kind, Message};
use std::net::{IpAddr, Ipv4Addr};
use weir_dataplane::wire::{Icmpv6Type, MacAddr};

/// Whom a frame asks for in ARP or neighbour discovery; `None`: nobody, or it asks whether an address is free.
pub fn asked_for(frame: &[u8]) -> Option<IpAddr> {
    let message = Message::parse(frame).ok()?;
    match message.kind {
        Kind::Question { target } => message.speaker.and(Some(target)),
        Kind::Answer { .. } => None,
    }
}

/// The answer to a question, as the one that is asked for would give it; without a VLAN tag.
pub fn answer_of(question: &[u8], mac: MacAddr) -> Option<Vec<u8>> {
    let message = Message::parse(question).ok()?;
    let Kind::Question { target } = message.kind else { return None };
    match (target, message.speaker) {
        (IpAddr::V4(target), speaker) => {
            let asker = match speaker {
                Some(IpAddr::V4(asker)) => asker,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            let arp = ArpFrame {
                destination: message.source,
                source: mac,
                operation: ArpOperation::Reply,
                sender: (mac, target),
                target: (message.source, asker),
            };
            Some(arp.bytes())
        }
        (IpAddr::V6(target), Some(IpAddr::V6(asker))) => {
            let nd = NdFrame {
                destination: message.source,
                source: mac,
                from: target,
                to: asker,
                kind: Icmpv6Type::NEIGHBOUR_ADVERTISEMENT,
                flags: FLAG_SOLICITED | FLAG_OVERRIDE,
                target,
                option: Some((OPTION_TARGET, mac)),
            };
            Some(nd.bytes())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{group_mac, solicited_node};
    use super::*;

    const KERNEL: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    #[test]
    fn the_kernels_arp_is_answered_as_the_host_would() {
        let [asker, target] = [1, 9].map(|host| Ipv4Addr::new(192, 0, 2, host));
        let question = ArpFrame {
            destination: MacAddr::BROADCAST,
            source: KERNEL,
            operation: ArpOperation::Request,
            sender: (KERNEL, asker),
            target: (MacAddr::default(), target),
        };
        assert_eq!(asked_for(&question.bytes()), Some(target.into()));
        let answer = answer_of(&question.bytes(), HOST).unwrap();
        assert_eq!(asked_for(&answer), None);
        let expected = ArpFrame {
            destination: KERNEL,
            source: HOST,
            operation: ArpOperation::Reply,
            sender: (HOST, target),
            target: (KERNEL, asker),
        };
        assert_eq!(answer, expected.bytes());
    }

    #[test]
    fn the_kernels_solicitation_is_answered_as_the_host_would() {
        let [asker, target] = ["2001:db8::1", "2001:db8::9"].map(|text| text.parse().unwrap());
        let question = NdFrame {
            destination: group_mac(solicited_node(target)),
            source: KERNEL,
            from: asker,
            to: solicited_node(target),
            kind: Icmpv6Type::NEIGHBOUR_SOLICITATION,
            flags: 0,
            target,
            option: Some((super::super::frame::OPTION_SOURCE, KERNEL)),
        };
        assert_eq!(asked_for(&question.bytes()), Some(target.into()));
        let answer = Message::parse(&answer_of(&question.bytes(), HOST).unwrap()).unwrap();
        assert_eq!(
            (answer.destination, answer.speaker, answer.mac),
            (KERNEL, Some(target.into()), Some(HOST))
        );
        assert!(matches!(answer.kind, Kind::Answer { told: Some(told), .. } if told == IpAddr::V6(asker)));
    }

    #[test]
    fn who_asks_whether_an_address_is_free_gets_no_answer() {
        let target = "2001:db8::9".parse().unwrap();
        let question = NdFrame {
            destination: group_mac(solicited_node(target)),
            source: KERNEL,
            from: std::net::Ipv6Addr::UNSPECIFIED,
            to: solicited_node(target),
            kind: Icmpv6Type::NEIGHBOUR_SOLICITATION,
            flags: 0,
            target,
            option: None,
        };
        assert_eq!((asked_for(&question.bytes()), answer_of(&question.bytes(), HOST)), (None, None));
    }
}
