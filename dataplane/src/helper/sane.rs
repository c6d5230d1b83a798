//! SANE, the scanner access: the data connection that the server opens for a scan.
//!
//! Reads as Linux's helper does. A request to start is a segment of exactly eight bytes; the next segment of the
//! server's is taken for the answer, which names the port, if it is one of success.

use super::{Book, Class, Expected, Outcome, Segment, Source};
use crate::units::Direction;
use crate::wire::IpProtocol;
use core::net::SocketAddr;

/// One scan at a time; five minutes for its connection to open.
static DATA: Class = Class::new(0, 1, 300);

/// The procedure `SANE_NET_START`.
const NET_START: [u8; 4] = 7u32.to_be_bytes();
const SUCCESS: [u8; 4] = 0u32.to_be_bytes();

/// What is remembered of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The client has asked for a scan, and the server has said nothing since.
    start_requested: bool,
}

/// Looks into one segment.
pub fn inspect<B: Book>(state: &mut State, segment: &Segment<'_>, book: &mut B) -> Outcome {
    if !segment.established || segment.payload.is_empty() {
        return Outcome::Pass;
    }
    match segment.direction {
        Direction::Original => {
            // Procedure and handle.
            if let [a, b, c, d, _, _, _, _] = *segment.payload {
                state.start_requested = [a, b, c, d] == NET_START;
            }
            Outcome::Pass
        }
        Direction::Reply if core::mem::take(&mut state.start_requested) => match port(segment.payload) {
            Some(port) => {
                let (client, server) = (segment.destination.ip(), segment.source.ip());
                let place = SocketAddr::new(server, port);
                Outcome::of(book.expect(&Expected::once(IpProtocol::TCP, Source::Host(client), place, &DATA)))
            }
            None => Outcome::Pass,
        },
        Direction::Reply => Outcome::Pass,
    }
}

/// The port in a successful answer: status, two bytes of zero, port. 0 is not refused.
fn port(answer: &[u8]) -> Option<u16> {
    let [a, b, c, d, 0, 0, high, low] = *answer.first_chunk()? else { return None };
    ([a, b, c, d] == SUCCESS).then_some(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::super::book::Notes;
    use super::super::tests::{CLIENT, SERVER, segment};
    use super::*;
    use crate::config::HelperKind;
    use crate::helper::Refused;
    use Direction::{Original, Reply};
    use core::net::IpAddr;
    use proptest::prelude::*;

    const START: &[u8] = &[0, 0, 0, 7, 0, 0, 0, 0];
    const STOP: &[u8] = &[0, 0, 0, 8, 0, 0, 0, 0];
    const ANSWER: &[u8] = &[0, 0, 0, 0, 0, 0, 4, 210];

    fn ports(said: &[(Direction, &[u8])]) -> Vec<u16> {
        let mut book = Notes::of(HelperKind::Sane);
        let mut state = State::default();
        for (direction, payload) in said {
            assert_eq!(inspect(&mut state, &segment(*direction, 6566, payload), &mut book), Outcome::Pass);
        }
        let client = Source::Host(IpAddr::V4(CLIENT));
        for one in book.waiting() {
            let place = (SERVER, one.destination_port).into();
            assert_eq!(one, Expected::once(IpProtocol::TCP, client, place, &DATA));
        }
        book.waiting().iter().map(|one| one.destination_port).collect()
    }

    #[test]
    fn the_answer_to_a_start_names_the_port() {
        assert_eq!(ports(&[(Original, START), (Reply, ANSWER)]), [1234]);
        assert_eq!(ports(&[(Original, START), (Reply, &[ANSWER, b"more"].concat())]), [1234]);
        assert_eq!(ports(&[(Original, START), (Reply, &[0; 8])]), [0]);
        assert_eq!(ports(&[(Original, START), (Original, b"1234"), (Reply, ANSWER)]), [1234]);
        assert_eq!(ports(&[(Original, START), (Reply, b""), (Reply, ANSWER)]), [1234]);
    }

    #[test]
    fn only_the_next_segment_of_the_server_answers() {
        assert_eq!(ports(&[(Reply, ANSWER)]), []);
        assert_eq!(ports(&[(Original, START), (Reply, &ANSWER[..7]), (Reply, ANSWER)]), []);
        assert_eq!(ports(&[(Original, START), (Original, STOP), (Reply, ANSWER)]), []);
        assert_eq!(ports(&[(Original, &[START, b"x"].concat()), (Reply, ANSWER)]), []);
        assert_eq!(ports(&[(Original, &START[..7]), (Reply, ANSWER)]), []);
    }

    #[test]
    fn an_answer_of_failure_names_no_port() {
        assert_eq!(ports(&[(Original, START), (Reply, &[0, 0, 0, 1, 0, 0, 4, 210])]), []);
        assert_eq!(ports(&[(Original, START), (Reply, &[0, 0, 0, 0, 0, 1, 4, 210])]), []);
    }

    #[test]
    fn what_cannot_be_expected_is_dropped() {
        let mut book = Notes::of(HelperKind::Sane);
        book.refuse = Some(Refused::Full);
        let mut state = State { start_requested: true };
        assert_eq!(inspect(&mut state, &segment(Reply, 6566, ANSWER), &mut book), Outcome::Drop);
    }

    proptest! {
        #[test]
        fn any_bytes_announce_at_most_one_port_an_answer(
            said in proptest::collection::vec(
                (any::<bool>(), prop_oneof![
                    Just(START.to_vec()), Just(ANSWER.to_vec()), proptest::collection::vec(any::<u8>(), 0..12),
                ]),
                0..12,
            ),
        ) {
            let directed: Vec<_> =
                said.iter().map(|(reply, bytes)| (if *reply { Reply } else { Original }, bytes.as_slice())).collect();
            let starts = said.iter().filter(|(reply, bytes)| !*reply && bytes == START).count();
            prop_assert!(ports(&directed).len() <= starts);
        }
    }
}
