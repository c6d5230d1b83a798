//! TFTP (RFC 1350): the server answers a request from a port of its own choice.
//!
//! Reads as Linux's helper does: whichever side sends a request, and in whatever state the flow is, the answer is
//! expected from the server to the client's port. One that cannot be expected is dropped.

use super::{Book, Class, Expected, Outcome, Segment, Source};
use crate::units::Direction;
use crate::wire::IpProtocol;

/// One transfer at a time; five minutes for it to begin.
static TRANSFER: Class = Class::new(0, 1, 300);

const READ_REQUEST: u16 = 1;
const WRITE_REQUEST: u16 = 2;

/// Looks into one datagram.
pub fn inspect<B: Book>(segment: &Segment<'_>, book: &mut B) -> Outcome {
    let Some(opcode) = segment.payload.first_chunk().copied().map(u16::from_be_bytes) else {
        return Outcome::Pass;
    };
    if !matches!(opcode, READ_REQUEST | WRITE_REQUEST) {
        return Outcome::Pass;
    }
    let (client, server) = match segment.direction {
        Direction::Original => (segment.source, segment.destination),
        Direction::Reply => (segment.destination, segment.source),
    };
    let answer = Expected::once(IpProtocol::UDP, Source::Host(server.ip()), client, &TRANSFER);
    Outcome::of(book.expect(&answer))
}

#[cfg(test)]
mod tests {
    use super::super::book::Notes;
    use super::super::tests::{CLIENT, SERVER, datagram};
    use super::*;
    use crate::config::HelperKind;
    use crate::helper::Refused;
    use core::net::IpAddr;
    use proptest::prelude::*;

    fn told(direction: Direction, payload: &[u8]) -> Vec<Expected> {
        let mut book = Notes::of(HelperKind::Tftp);
        assert_eq!(inspect(&datagram(direction, 69, payload), &mut book), Outcome::Pass);
        book.waiting()
    }

    #[test]
    fn a_request_lets_the_server_answer_from_any_port() {
        let server = Source::Host(IpAddr::V4(SERVER));
        let answer = Expected::once(IpProtocol::UDP, server, (CLIENT, 4000).into(), &TRANSFER);
        for payload in [b"\0\x01boot\0octet\0".as_slice(), b"\0\x02boot\0octet\0", b"\0\x01"] {
            for direction in [Direction::Original, Direction::Reply] {
                assert_eq!(told(direction, payload), [answer], "{payload:?}");
            }
        }
    }

    #[test]
    fn everything_else_announces_nothing() {
        for payload in [b"".as_slice(), b"\0", b"\0\0", b"\0\x03\0\x01data", b"\0\x05\0\0no\0", b"\x01\0"] {
            assert_eq!(told(Direction::Original, payload), [], "{payload:?}");
        }
    }

    #[test]
    fn what_cannot_be_expected_is_dropped() {
        let mut book = Notes::of(HelperKind::Tftp);
        book.refuse = Some(Refused::Taken);
        let request = datagram(Direction::Original, 69, b"\0\x01boot\0octet\0");
        assert_eq!(inspect(&request, &mut book), Outcome::Drop);
    }

    proptest! {
        #[test]
        fn any_bytes_announce_at_most_one_flow_to_the_client(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let announced = told(Direction::Original, &payload);
            prop_assert_eq!(announced.len(), usize::from(payload.starts_with(&[0, 1]) || payload.starts_with(&[0, 2])));
            prop_assert!(announced.iter().all(|one| one.destination == IpAddr::V4(CLIENT)));
        }
    }
}
