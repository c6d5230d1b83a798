//! IRC: the connections that a client offers by DCC, the "direct client connection" of CTCP.
//!
//! Reads as Linux's helper does: only what the client sends, only a segment that begins with `PRIVMSG`, and of that
//! message only the first text that is a DCC offer, up to its newline. Whoever answers connects to the client, so an
//! offer that names another address than the client's own is ignored. IPv4 only: DCC writes an address as one number.

use super::text::Text;
use super::{Book, Class, Expected, Outcome, Segment, Source};
use crate::units::Direction;
use crate::wire::IpProtocol;
use core::net::{IpAddr, Ipv4Addr};

/// Eight offers at a time; five minutes for each to be taken.
static OFFER: Class = Class::new(0, 8, 300);

/// How much of a segment is read.
const READ_MAX: usize = 4095;
/// `PRIVMSG x ` and the shortest offer with the ` :` before it: with as little left, none is looked for.
const COMMAND_MIN: usize = 10;
const OFFER_MIN: usize = 26;
/// Address, port and newline at the least, which must follow the name of what is offered.
const PLACE_MIN: usize = 12;

const COMMAND: &[u8] = b"PRIVMSG ";
const CTCP_DCC: &[u8] = b"\x01DCC ";
const KINDS: [&[u8]; 5] = [b"SEND ", b"CHAT ", b"MOVE ", b"TSEND ", b"SCHAT "];

/// Looks into one segment.
pub fn inspect<B: Book>(segment: &Segment<'_>, book: &mut B) -> Outcome {
    if segment.direction == Direction::Reply || !segment.established {
        return Outcome::Pass;
    }
    let read = &segment.payload[..segment.payload.len().min(READ_MAX)];
    match offer(read) {
        Some((address, port)) if segment.source.ip() == IpAddr::V4(address) && port != 0 => {
            let place = (address, port).into();
            Outcome::of(book.expect(&Expected::once(IpProtocol::TCP, Source::Any, place, &OFFER)))
        }
        _ => Outcome::Pass,
    }
}

/// The address and port of the first offer.
fn offer(segment: &[u8]) -> Option<(Ipv4Addr, u16)> {
    let begins = segment.iter().position(|byte| !matches!(byte, b' ' | b'\r' | b'\n'))?;
    let message = segment.get(begins..).filter(|message| message.len() > COMMAND_MIN)?;
    let (command, mut rest) = message.split_at(COMMAND.len());
    if !command.eq_ignore_ascii_case(COMMAND) {
        return None;
    }
    loop {
        let text = rest.windows(2).position(|two| two == b" :")?;
        if rest.len() - text <= OFFER_MIN {
            return None;
        }
        rest = rest[text + 2..].strip_prefix(CTCP_DCC)?;
        // A text that offers nothing known may be followed by one that does.
        if let Some(named) = KINDS.iter().find_map(|kind| rest.strip_prefix(*kind)) {
            return place(named);
        }
    }
}

/// Address and port behind the name of what is offered. Numbers wrap.
#[expect(clippy::cast_possible_truncation, reason = "numbers wrap")]
fn place(named: &[u8]) -> Option<(Ipv4Addr, u16)> {
    let space = named.iter().position(|byte| *byte == b' ')?;
    if space > 0 && space + PLACE_MIN > named.len() {
        return None;
    }
    let place = &named[space + 1..];
    // The numbers must not be cut.
    place.contains(&b'\n').then_some(())?;
    let mut text = Text::new(place);
    let address = Ipv4Addr::from_bits(text.number());
    text.skip_all(b' ');
    Some((address, text.number() as u16))
}

#[cfg(test)]
mod tests {
    use super::super::book::Notes;
    use super::super::tests::{CLIENT, segment};
    use super::*;
    use crate::config::HelperKind;
    use crate::helper::Refused;
    use proptest::prelude::*;

    /// Ports announced by what the client sends. `IP` stands for its address.
    fn ports(line: &str) -> Vec<u16> {
        let line = line.replace("IP", &CLIENT.to_bits().to_string());
        let mut book = Notes::of(HelperKind::Irc);
        assert_eq!(inspect(&segment(Direction::Original, 6667, line.as_bytes()), &mut book), Outcome::Pass);
        for one in book.waiting() {
            let place = (CLIENT, one.destination_port).into();
            assert_eq!(one, Expected::once(IpProtocol::TCP, Source::Any, place, &OFFER));
        }
        book.waiting().iter().map(|one| one.destination_port).collect()
    }

    #[test]
    fn an_offer_announces_the_client() {
        for line in [
            "PRIVMSG bob :\x01DCC SEND file IP 1024\x01\r\n",
            "PRIVMSG bob :\x01DCC CHAT chat IP 1024\x01\n",
            "PRIVMSG bob :\x01DCC MOVE file IP 1024 99\x01\n",
            "PRIVMSG bob :\x01DCC TSEND file IP 1024\x01\n",
            "PRIVMSG bob :\x01DCC SCHAT file IP 1024\n",
            "privmsg bob :\x01DCC SEND file IP    1024\x01\n",
            "\r\n  PRIVMSG bob :\x01DCC SEND file IP 1024\x01\n",
            "PRIVMSG bob and all :\x01DCC SEND file IP 66560\x01\n",
            "PRIVMSG bob :\x01DCC SEND  IP 1024\x01\n",
            "PRIVMSG bob :\x01DCC SEND a\n IP 1024\x01\n",
            "PRIVMSG b :\x01DCC RESUME f 1 9\x01 :\x01DCC SEND f IP 1024\x01\n",
            "PRIVMSG b :\x01DCC SEND f IP 1024\x01\nPRIVMSG b :\x01DCC SEND f IP 2048\x01\n",
        ] {
            assert_eq!(ports(line), [1024], "{line:?}");
        }
        assert_eq!(ports(&format!("PRIVMSG {} :\x01DCC SEND file IP 9\x01\n", "x".repeat(4000))), [9]);
    }

    #[test]
    fn what_linux_does_not_read_announces_nothing() {
        for line in [
            "",
            "\r\n",
            "PRIVMSG bob",
            // Not an offer, or not first.
            "NOTICE bob :\x01DCC SEND file IP 1024\x01\n",
            ":al!x@y PRIVMSG bob :\x01DCC SEND file IP 1024\x01\n",
            "PING x\r\nPRIVMSG bob :\x01DCC SEND file IP 1024\x01\n",
            "PRIVMSG bob :hi :\x01DCC SEND file IP 1024\x01\n",
            "PRIVMSG bob :\x01DCC send file IP 1024\x01\n",
            // Cut, too short, senseless.
            "PRIVMSG bob :\x01DCC SEND file IP 1024\x01",
            "PRIVMSG b :\x01DCC CHAT c 167772161 9\n",
            "PRIVMSG bob :\x01DCC SEND file IP 0\x01\n",
            "PRIVMSG bob :\x01DCC SEND file IP\t1024\x01\n",
            "PRIVMSG bob :\x01DCC SEND file IP\x01\n 1024\n",
            "PRIVMSG bob :\x01DCC SEND a b IP 1024\x01\n",
            "PRIVMSG bob :\x01DCC SEND filefilefilefilefilefile\n",
            // Somebody else's address, and what follows it.
            "PRIVMSG bob :\x01DCC SEND file 3221225993 1024\x01\n",
            "PRIVMSG b :\x01DCC SEND f 1 9\x01 :\x01DCC SEND f IP 1024\x01\n",
        ] {
            assert_eq!(ports(line), [], "{line:?}");
        }
        assert_eq!(ports(&format!("PRIVMSG {} :\x01DCC SEND file IP 9\x01\n", "x".repeat(4090))), []);
    }

    #[test]
    fn only_the_client_of_an_answered_flow_is_heard() {
        let line = format!("PRIVMSG bob :\x01DCC SEND file {} 9\x01\n", CLIENT.to_bits());
        let mut book = Notes::of(HelperKind::Irc);
        let said = segment(Direction::Original, 6667, line.as_bytes());
        for ignored in
            [segment(Direction::Reply, 6667, line.as_bytes()), Segment { established: false, ..said }]
        {
            assert_eq!(inspect(&ignored, &mut book), Outcome::Pass);
        }
        assert_eq!(book.waiting(), []);
        book.refuse = Some(Refused::Clash);
        assert_eq!(inspect(&said, &mut book), Outcome::Drop);
    }

    proptest! {
        #[test]
        fn any_bytes_announce_at_most_one_port_of_the_client(
            before in proptest::collection::vec(any::<u8>(), 0..40),
            after in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for begin in [b"".as_slice(), b"PRIVMSG ", b"PRIVMSG b :\x01DCC ", b"PRIVMSG b :\x01DCC SEND f "] {
                let payload = [begin, &before, b" :\x01DCC CHAT ", &after].concat();
                let mut book = Notes::of(HelperKind::Irc);
                inspect(&segment(Direction::Original, 6667, &payload), &mut book);
                let own = |one: &Expected| one.destination == IpAddr::V4(CLIENT) && one.destination_port != 0;
                prop_assert!(book.waiting().len() <= 1 && book.waiting().iter().all(own));
            }
        }
    }
}
