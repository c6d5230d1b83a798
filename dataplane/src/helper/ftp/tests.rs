//! What FTP announces, and what it does not.
#![cfg(test)]

use super::*;
use crate::config::HelperKind;
use crate::helper::book::Notes;
use proptest::prelude::*;

const CLIENT: &str = "192.0.2.1";
const SERVER: &str = "198.51.100.21";
const CLIENT6: &str = "2001:db8::1";
const SERVER6: &str = "2001:db8:ff::21";

/// Line starts at 1000 in both directions.
fn amid_a_session() -> State {
    let mut line_starts = LineStarts::default();
    line_starts.insert(1000);
    State { line_starts: [line_starts; 2] }
}

fn segment<'a>(direction: Direction, hosts: [&str; 2], seq: u32, payload: &'a [u8]) -> Segment<'a> {
    let [client, server] = hosts.map(|host| SocketAddr::new(host.parse().unwrap(), 21));
    let (source, destination) = match direction {
        Direction::Original => (client, server),
        Direction::Reply => (server, client),
    };
    Segment { seq, source, destination, ..crate::helper::tests::segment(direction, 21, payload) }
}

/// What became of a segment.
#[derive(Debug, PartialEq)]
enum Seen {
    Pass,
    Drop,
    Expect(Expected),
}

fn see(state: &mut State, segment: &Segment<'_>) -> Seen {
    let mut notes = Notes::of(HelperKind::Ftp);
    match (inspect(state, segment, &mut notes), notes.waiting().as_slice()) {
        (Outcome::Drop, []) => Seen::Drop,
        (Outcome::Pass, []) => Seen::Pass,
        (Outcome::Pass, [expected]) => Seen::Expect(*expected),
        other => panic!("{other:?}"),
    }
}

fn from_client(payload: &[u8]) -> Seen {
    see(&mut amid_a_session(), &segment(Direction::Original, [CLIENT, SERVER], 1000, payload))
}

fn from_server(payload: &[u8]) -> Seen {
    see(&mut amid_a_session(), &segment(Direction::Reply, [CLIENT, SERVER], 1000, payload))
}

fn from_client6(payload: &[u8]) -> Seen {
    see(&mut amid_a_session(), &segment(Direction::Original, [CLIENT6, SERVER6], 1000, payload))
}

fn from_server6(payload: &[u8]) -> Seen {
    see(&mut amid_a_session(), &segment(Direction::Reply, [CLIENT6, SERVER6], 1000, payload))
}

fn expect(source: &str, destination: &str, destination_port: u16) -> Seen {
    let destination = SocketAddr::new(destination.parse().unwrap(), destination_port);
    let source = Source::Host(source.parse().unwrap());
    Seen::Expect(Expected::once(IpProtocol::TCP, source, destination, &DATA))
}

#[test]
fn port_announces_the_client() {
    for (line, port) in [
        ("PORT 192,0,2,1,4,1\r\n", 1025),
        ("port 192,0,2,1,4,1\r\n", 1025),
        ("Port 192,0,2,1,255,255\r\n", 65_535),
        ("PORT   192,0,2,1,4,1\r\n", 0),
        ("PORTAL of 192,0,2,1,4,1\r\n", 0),
        ("PORTAL 192,0,2,1,4,1\r\n", 1025),
        ("PORT 192,0,2,1,4,1\rNOOP", 1025),
        ("PORT 192,0,2,1,4,1\n", 0),
        ("PORT 192,0,2,1,4,1", 0),
        ("PORT 192,0,2,1,4,1,\r\n", 0),
        ("PORT 192,0,2,1,4\r\n", 0),
        ("PORT 192.0.2.1.4.1\r\n", 0),
        ("PORT\r\n", 0),
    ] {
        let expected = if port == 0 { Seen::Drop } else { expect(SERVER, CLIENT, port) };
        assert_eq!(from_client(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn passive_announces_the_server() {
    for (line, port) in [
        ("227 Entering Passive Mode (198,51,100,21,195,80).\r\n", 50_000),
        ("227 Entering Passive Mode (198,51,100,21,195,80)\r\n", 50_000),
        ("227 Entering Passive Mode 198,51,100,21,195,80\r\n", 50_000),
        ("227 =198,51,100,21,195,80 \r\n", 50_000),
        ("227 Entering Passive Mode (198,51,100,21,195,8", 0),
        ("227 Entering Passive Mode (198,51,100", 0),
        ("227 Entering Passive Mode (198,51,100,21,195,80,1)\r\n", 0),
        ("227 Entering Passive Mode\r\n", 0),
        ("227 Mode 2 (198,51,100,21,195,80)\r\n", 0),
    ] {
        let expected = if port == 0 { Seen::Drop } else { expect(CLIENT, SERVER, port) };
        assert_eq!(from_server(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn eprt_announces_the_client() {
    for (line, port) in [
        ("EPRT |1|192.0.2.1|6446|\r\n", 6446),
        ("eprt !1!192.0.2.1!6446!\r\n", 6446),
        ("EPRT |1|192.0.2.1|6446|", 6446),
        ("EPRT |1|192.0.2.1|0|\r\n", 0),
        ("EPRT |1|192.0.2.1||\r\n", 0),
        ("EPRT |1|192.0.2.1|6446\r\n", 0),
        ("EPRT |1|192.0.2|6446|\r\n", 0),
        ("EPRT |1|192.0.2.1.|6446|\r\n", 0),
        ("EPRT |2|2001:db8::1|6446|\r\n", 0),
        ("EPRT |3|192.0.2.1|6446|\r\n", 0),
        ("EPRT 111192.0.2.1164461\r\n", 0),
        ("EPRT |1\r\n", 0),
        ("EPRT ", 0),
    ] {
        let expected = if port == 0 { Seen::Drop } else { expect(SERVER, CLIENT, port) };
        assert_eq!(from_client(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn eprt_announces_an_ipv6_client() {
    for (line, port) in [
        ("EPRT |2|2001:db8::1|6446|\r\n", 6446),
        ("EPRT |2|2001:0DB8:0:0:0:0:0:1|6446|\r\n", 6446),
        ("EPRT |2|2001:db8::1::|6446|\r\n", 0),
        ("EPRT |2|2001:db8::1", 0),
        ("EPRT |2|2001:db8::é|6446|\r\n", 0),
        ("EPRT |1|192.0.2.1|6446|\r\n", 0),
    ] {
        let expected = if port == 0 { Seen::Drop } else { expect(SERVER6, CLIENT6, port) };
        assert_eq!(from_client6(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn extended_passive_announces_the_server_without_naming_it() {
    for (line, port) in [
        ("229 Entering Extended Passive Mode (|||6446|)\r\n", 6446),
        ("229 Entering Extended Passive Mode (!!!6446!)\r\n", 6446),
        ("229 ok (|||6446|", 6446),
        ("229 Entering Extended Passive Mode (|||0|)\r\n", 0),
        ("229 Entering Extended Passive Mode (|||6446)\r\n", 0),
        ("229 Entering Extended Passive Mode (||6446|)\r\n", 0),
        ("229 Entering Extended Passive Mode (|||64", 0),
        ("229 Entering Extended Passive Mode |||6446|\r\n", 0),
        ("229 Entering Extended Passive Mode (", 0),
    ] {
        let (expected, expected6) = match port {
            0 => (Seen::Drop, Seen::Drop),
            _ => (expect(CLIENT, SERVER, port), expect(CLIENT6, SERVER6, port)),
        };
        assert_eq!(from_server(line.as_bytes()), expected, "{line:?}");
        assert_eq!(from_server6(line.as_bytes()), expected6, "{line:?}");
    }
}

#[test]
fn numbers_too_large_wrap_as_on_linux() {
    assert_eq!(from_client(b"PORT 192,0,2,1,0,66561\r\n"), expect(SERVER, CLIENT, 1025));
    assert_eq!(from_client(b"PORT 4294967488,0,2,1,4,1\r\n"), expect(SERVER, CLIENT, 1025));
    assert_eq!(from_client(b"PORT 192,0,0,513,4,1\r\n"), expect(SERVER, CLIENT, 1025));
    assert_eq!(from_server(b"229 x (|||65557|)\r\n"), expect(CLIENT, SERVER, 21));
    assert_eq!(from_server(b"229 x (|||65536|)\r\n"), Seen::Drop);
}

#[test]
fn the_address_of_somebody_else_is_not_expected() {
    assert_eq!(from_client(b"PORT 192,0,2,2,4,1\r\n"), Seen::Pass);
    assert_eq!(from_client(b"EPRT |1|198.51.100.21|6446|\r\n"), Seen::Pass);
    assert_eq!(from_server(b"227 Entering Passive Mode (10,0,0,1,195,80)\r\n"), Seen::Pass);
    assert_eq!(from_server6(b"227 Entering Passive Mode (198,51,100,21,195,80)\r\n"), Seen::Pass);
}

#[test]
fn a_part_of_a_keyword_is_dropped() {
    for payload in ["P", "po", "POR", "PORT", "E", "EPR"] {
        assert_eq!(from_client(payload.as_bytes()), Seen::Drop, "{payload:?}");
    }
    for payload in ["2", "22", "227", "229", "227 "] {
        assert_eq!(from_server(payload.as_bytes()), Seen::Drop, "{payload:?}");
    }
}

#[test]
fn each_side_has_its_own_messages() {
    for payload in ["PASV\r\n", "USER anonymous\r\n", "EPSV\r\n", "227 (192,0,2,1,4,1)\r\n", "\r\n", ""] {
        assert_eq!(from_client(payload.as_bytes()), Seen::Pass, "{payload:?}");
    }
    for payload in ["220 ready\r\n", "226 done\r\n", "2277 (1,2,3,4,5,6)\r\n", "PORT 198,51,100,21,4,1\r\n"] {
        assert_eq!(from_server(payload.as_bytes()), Seen::Pass, "{payload:?}");
    }
    assert_eq!(from_client(&[b'x'; 127]), Seen::Pass);
}

#[test]
fn where_the_answer_is_not_heard_the_question_announces_a_port_of_the_servers() {
    let alone = |payload: &[u8]| {
        let said = segment(Direction::Original, [CLIENT, SERVER], 1000, payload);
        see(&mut amid_a_session(), &Segment { alone: true, ..said })
    };
    let source = Source::Host(CLIENT.parse().unwrap());
    let to = SocketAddr::new(SERVER.parse().unwrap(), 0);
    let asked = Seen::Expect(Expected::once(IpProtocol::TCP, source, to, &ASKED));
    for line in ["PASV\r\n", "pasv\n", "PASV \r\n", "EPSV\r\n", "EPSV 1\r\n", "epsv 2\r\n"] {
        assert_eq!(alone(line.as_bytes()), asked, "{line:?}");
    }
    for line in ["EPSV ALL\r\n", "epsv all\r\n", "PASVE\r\n", "NOOP\r\n", ""] {
        assert_eq!(alone(line.as_bytes()), Seen::Pass, "{line:?}");
    }
    for cut in ["PASV", "PA", "EP", "EPSV"] {
        assert_eq!(alone(cut.as_bytes()), Seen::Drop, "{cut:?}");
    }
    assert_eq!(alone(b"PORT 192,0,2,1,4,1\r\n"), expect(SERVER, CLIENT, 1025));
}

#[test]
fn a_session_is_read_from_its_first_newline_on() {
    let mut state = State::default();
    let hosts = [CLIENT, SERVER];
    let mut send = |direction, seq, payload: &[u8]| see(&mut state, &segment(direction, hosts, seq, payload));
    let passive = b"227 Entering Passive Mode (198,51,100,21,195,80)\r\n";
    assert_eq!(send(Direction::Reply, 77, passive), Seen::Pass);
    assert_eq!(send(Direction::Reply, 77 + 50, passive), expect(CLIENT, SERVER, 50_000));
    assert_eq!(send(Direction::Reply, 77 + 50, passive), expect(CLIENT, SERVER, 50_000));
    assert_eq!(send(Direction::Original, 77 + 50, b"PORT 192,0,2,1,4,1\r\n"), Seen::Pass);
    assert_eq!(send(Direction::Reply, 3000, passive), Seen::Pass);
}

#[test]
fn a_line_in_two_segments_is_dropped_until_it_comes_in_one() {
    let mut state = amid_a_session();
    let mut send =
        |seq, payload: &[u8]| see(&mut state, &segment(Direction::Original, [CLIENT, SERVER], seq, payload));
    assert_eq!(send(1000, b"PORT 192,0,2"), Seen::Drop);
    assert_eq!(send(1012, b",1,4,1\r\n"), Seen::Pass);
    assert_eq!(send(1000, b"PORT 192,0,2,1,4,1\r\n"), expect(SERVER, CLIENT, 1025));
    assert_eq!(send(1020, b"PORT 192,0,2\r\n"), Seen::Drop);
    assert_eq!(send(1034, b"PORT 192,0,2,1,4,1\r\n"), Seen::Pass);
}

#[test]
fn two_line_starts_are_kept_and_the_older_gives_way() {
    let mut starts = LineStarts::default();
    assert!(!starts.contains(0));
    for seq in [u32::MAX - 9, 5, 5, 20] {
        starts.insert(seq);
    }
    assert!(!starts.contains(u32::MAX - 9) && starts.contains(5) && starts.contains(20));
    starts.insert(1);
    assert!(!starts.contains(1) && starts.contains(5));
    starts.insert(10);
    assert!(!starts.contains(5) && starts.contains(10) && starts.contains(20));
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let keyword =
        proptest::sample::select(vec!["", "PORT ", "eprt |1|", "EPRT |2|", "227 ", "229 (|||", "229 ("]);
    let noise = proptest::collection::vec(
        prop_oneof![any::<u8>(), proptest::sample::select(b"0123456789,.:|()\r\n ".to_vec())],
        0..127,
    );
    (keyword, noise).prop_map(|(keyword, noise)| [keyword.as_bytes(), &noise].concat())
}

proptest! {
    #[test]
    fn whatever_is_expected_goes_from_the_receiver_to_the_sender(payload in any_payload(), six: bool, reply: bool) {
        let direction = if reply { Direction::Reply } else { Direction::Original };
        let hosts = if six { [CLIENT6, SERVER6] } else { [CLIENT, SERVER] };
        let segment = segment(direction, hosts, 1000, &payload);
        if let Seen::Expect(expected) = see(&mut amid_a_session(), &segment) {
            prop_assert_eq!(expected.source, Source::Host(segment.destination.ip()));
            prop_assert_eq!(expected.destination, segment.source.ip());
        }
    }

    #[test]
    fn any_address_and_port_is_read(host: [u8; 4], host6: u128, port in 1..=u16::MAX) {
        let [a, b, c, d] = host;
        let [high, low] = port.to_be_bytes();
        let address = Ipv4Addr::from(host).to_string();
        let line = format!("PORT {a},{b},{c},{d},{high},{low}\r\n");
        let hosts = [address.as_str(), SERVER];
        let segment4 = segment(Direction::Original, hosts, 1000, line.as_bytes());
        prop_assert_eq!(see(&mut amid_a_session(), &segment4), expect(SERVER, &address, port));
        let address = Ipv6Addr::from_bits(host6).to_string();
        let line = format!("EPRT |2|{address}|{port}|\r\n");
        let segment6 = segment(Direction::Original, [&address, SERVER6], 1000, line.as_bytes());
        prop_assert_eq!(see(&mut amid_a_session(), &segment6), expect(SERVER6, &address, port));
    }
}
