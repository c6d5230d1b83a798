//! What NetBIOS and SNMP have in common: a question by broadcast, which every host of the network may answer.
//!
//! The answers come from other addresses than the question went to. As in Linux, they are expected only for a
//! question that the box itself sends, to the broadcast address of the interface it leaves by: for one that is
//! forwarded nobody knows the network. The expectation stays for all who answer in time, and so does the flow.

use super::{Book, Class, Expected, Segment, Source, Subnet};
use crate::units::Direction;
use crate::wire::IpProtocol;
use core::net::{IpAddr, Ipv4Addr};

/// Looks into one datagram of a service at `port`, wherever its helper is attached. It always passes.
pub(super) fn inspect<B: Book>(segment: &Segment<'_>, port: u16, class: &'static Class, book: &mut B) {
    let Some(network) = segment.local else { return };
    let asked = segment.destination.ip();
    if segment.direction == Direction::Reply || broadcast(network) != Some(asked) {
        return;
    }
    let hosts = Source::Net(Subnet { address: asked, ..network });
    let answers = Expected::once(IpProtocol::UDP, hosts, segment.source, class);
    let answers = Expected { source_port: Some(port), permanent: true, ..answers };
    // Refused or not: the question is let out.
    let _ = book.expect(&answers);
    book.refresh(class.timeout);
}

/// The broadcast address of an IPv4 network; IPv6 has none.
fn broadcast(network: Subnet) -> Option<IpAddr> {
    let IpAddr::V4(address) = network.address else { return None };
    let hosts = u32::MAX.checked_shr(u32::from(network.prefix_len)).unwrap_or(0);
    (hosts > 1).then(|| Ipv4Addr::from_bits(address.to_bits() | hosts).into())
}

#[cfg(test)]
mod tests {
    use super::super::book::Notes;
    use super::super::tests::{CLIENT, datagram};
    use super::*;
    use crate::config::HelperKind;
    use crate::helper::Refused;

    static CLASS: Class = Class::new(0, 1, 3);

    /// From the box, 10.0.0.1/24.
    fn question(destination: [u8; 4]) -> Segment<'static> {
        let network = Subnet { address: CLIENT.into(), prefix_len: 24 };
        let destination = (IpAddr::from(destination), 137).into();
        Segment { destination, local: Some(network), ..datagram(Direction::Original, 137, b"question") }
    }

    fn told(segment: &Segment<'_>) -> (Vec<Expected>, bool) {
        let mut book = Notes::of(HelperKind::NetbiosNs);
        inspect(segment, 137, &CLASS, &mut book);
        (book.waiting(), book.refreshed == Some(CLASS.timeout))
    }

    #[test]
    fn every_host_of_the_network_may_answer_the_box() {
        let hosts = Source::Net(Subnet { address: [10, 0, 0, 255].into(), prefix_len: 24 });
        let once = Expected::once(IpProtocol::UDP, hosts, (CLIENT, 4000).into(), &CLASS);
        let answers = Expected { source_port: Some(137), permanent: true, ..once };
        assert_eq!(told(&question([10, 0, 0, 255])), (vec![answers], true));
        for (answers_from, port, fits) in
            [([10, 0, 0, 9], 137, true), ([10, 0, 1, 9], 137, false), ([10, 0, 0, 9], 138, false)]
        {
            assert_eq!(answers.fits(answers_from.into(), port), fits);
        }
    }

    #[test]
    fn nothing_else_is_answered_by_everybody() {
        let nothing = (vec![], false);
        assert_eq!(told(&question([10, 0, 0, 9])), nothing);
        assert_eq!(told(&question([10, 0, 1, 255])), nothing);
        assert_eq!(told(&question([255; 4])), nothing);
        let asked = question([10, 0, 0, 255]);
        assert_eq!(told(&Segment { local: None, ..asked }), nothing, "forwarded");
        assert_eq!(told(&Segment { direction: Direction::Reply, ..asked }), nothing);
        for prefix_len in [31, 32] {
            let network = Some(Subnet { address: CLIENT.into(), prefix_len });
            assert_eq!(told(&Segment { local: network, ..question([10, 0, 0, 1]) }), nothing, "no broadcast");
        }
    }

    #[test]
    fn a_question_that_expects_nothing_is_let_out() {
        let mut book = Notes::of(HelperKind::NetbiosNs);
        book.refuse = Some(Refused::Full);
        inspect(&question([10, 0, 0, 255]), 137, &CLASS, &mut book);
        assert_eq!((book.waiting(), book.refreshed), (vec![], Some(CLASS.timeout)));
    }
}
