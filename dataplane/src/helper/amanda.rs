//! Amanda, the backup system: the connections that a client of its offers to the backup server.
//!
//! The server asks by UDP, and the answer's `CONNECT` line names up to four ports by what they are for; the server
//! then connects to each. Reads as Linux's helper does: the first of each name counts, and a port is the number of
//! up to five digits behind it. One that makes no sense ends the reading; one that cannot be expected drops the
//! packet, but what else it names is still expected. Answers may take long: each lets the flow live five minutes.

use super::text::Text;
use super::{Book, Class, Expected, Outcome, Segment, Source};
use crate::units::{Direction, Span};
use crate::wire::IpProtocol;
use core::net::SocketAddr;

/// Four connections at a time; three minutes for each to open.
static CONNECTION: Class = Class::new(0, 4, 180);

/// How long the asking flow lives after an answer.
const MASTER_TIMEOUT: Span = match Span::from_s(300) {
    Some(span) => span,
    None => Span::MAX,
};

const CONNECT: &[u8] = b"CONNECT ";
const NAMES: [&[u8]; 4] = [b"DATA ", b"MESG ", b"INDEX ", b"STATE "];

/// Digits of a port.
const DIGITS_MAX: usize = 5;

/// Looks into one datagram.
pub fn inspect<B: Book>(segment: &Segment<'_>, book: &mut B) -> Outcome {
    if segment.direction == Direction::Original {
        return Outcome::Pass;
    }
    book.refresh(MASTER_TIMEOUT);
    let Some(line) = connect_line(segment.payload) else { return Outcome::Pass };
    let (server, client) = (segment.destination.ip(), segment.source.ip());
    let mut outcome = Outcome::Pass;
    for behind in NAMES.iter().filter_map(|name| behind(line, name)) {
        let Some(port) = port(behind) else { break };
        let place = SocketAddr::new(client, port);
        let connection = Expected::once(IpProtocol::TCP, Source::Host(server), place, &CONNECTION);
        if book.expect(&connection).is_err() {
            outcome = Outcome::Drop;
        }
    }
    outcome
}

/// What stands behind `CONNECT` up to the end of its line.
fn connect_line(payload: &[u8]) -> Option<&[u8]> {
    Text::new(behind(payload, CONNECT)?).before(b'\n')
}

/// What stands behind the first `name`.
fn behind<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(name.len()).position(|window| window == name)?;
    bytes.get(at + name.len()..)
}

/// A port that is not 0. Numbers wrap.
#[expect(clippy::cast_possible_truncation, reason = "numbers wrap")]
fn port(bytes: &[u8]) -> Option<u16> {
    let port = Text::new(&bytes[..bytes.len().min(DIGITS_MAX)]).number() as u16;
    (port != 0).then_some(port)
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

    fn ports(answer: &[u8]) -> Vec<u16> {
        let mut book = Notes::of(HelperKind::Amanda);
        assert_eq!(inspect(&datagram(Direction::Reply, 10_080, answer), &mut book), Outcome::Pass);
        assert_eq!(book.refreshed, Some(MASTER_TIMEOUT));
        let asker = Source::Host(IpAddr::V4(CLIENT));
        for one in book.waiting() {
            let place = (SERVER, one.destination_port).into();
            assert_eq!(one, Expected::once(IpProtocol::TCP, asker, place, &CONNECTION));
        }
        book.waiting().iter().map(|one| one.destination_port).collect()
    }

    #[test]
    fn the_asker_may_connect_to_each_port_that_is_named() {
        for (answer, expected) in [
            (b"CONNECT DATA 1025 MESG 1026 INDEX 1027 STATE 1028\n".as_slice(), vec![1025, 1026, 1027, 1028]),
            (b"xx CONNECT MESG 1026 DATA 65537 INDEX 1027\nSTATE 5\n", vec![1, 1026, 1027]),
            (b"CONNECT DATA 123456 MESG 1026\n", vec![12_345, 1026]),
            (b"CONNECT DATA 1025 DATA 1026\n", vec![1025]),
            (b"CCONNECT XDATA 12\t34\n", vec![12]),
            (b"CONNECT DATA 7 MESG 7\n", vec![7]),
        ] {
            assert_eq!(ports(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_port_that_makes_no_sense_ends_the_reading() {
        for (answer, expected) in [
            (b"CONNECT DATA 65536 MESG 1026\n".as_slice(), vec![]),
            (b"CONNECT DATA x MESG 1026\n", vec![]),
            (b"CONNECT DATA \n", vec![]),
            (b"CONNECT MESG 1026 INDEX x DATA 7\n", vec![7, 1026]),
        ] {
            assert_eq!(ports(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn without_a_whole_line_nothing_is_announced() {
        for answer in [
            b"".as_slice(),
            b"CONNECT",
            b"CONNECT DATA 1025",
            b"CONNECT \nDATA 1025\n",
            b"CONNECT DATA\n1025\n",
            b"connect DATA 1025\n",
        ] {
            assert_eq!(ports(answer), [], "{answer:?}");
        }
    }

    #[test]
    fn the_asker_announces_nothing_and_prolongs_nothing() {
        let mut book = Notes::of(HelperKind::Amanda);
        let asked = datagram(Direction::Original, 10_080, b"CONNECT DATA 1025\n");
        assert_eq!(inspect(&asked, &mut book), Outcome::Pass);
        assert_eq!((book.waiting(), book.refreshed), (vec![], None));
    }

    #[test]
    fn what_cannot_be_expected_is_dropped() {
        let mut book = Notes::of(HelperKind::Amanda);
        book.refuse = Some(Refused::Taken);
        let answer = datagram(Direction::Reply, 10_080, b"CONNECT DATA 1025\n");
        assert_eq!(inspect(&answer, &mut book), Outcome::Drop);
    }

    proptest! {
        #[test]
        fn any_bytes_announce_at_most_four_ports(
            before in proptest::collection::vec(any::<u8>(), 0..40),
            after in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for begin in [b"".as_slice(), b"CONNECT ", b"CONNECT DATA 1", b"CONNECT DATA 1 MESG 2"] {
                let announced = ports(&[begin, &before, b" STATE ", &after, b"\n"].concat());
                prop_assert!(announced.len() <= 4 && !announced.contains(&0));
            }
        }
    }
}
