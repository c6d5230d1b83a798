//! TFTP, IRC, Amanda, SANE, and questions by broadcast.

use super::dialogue::{C, Dialogue, S};
use std::net::Ipv4Addr;
use weir_tests::packet::{Mac, eth};

const RRQ: &[u8] = b"\0\x01boot\0octet\0";
const DATA: &[u8] = b"\0\x03\0\x01data";

pub(super) fn tftp(d: &mut Dialogue) {
    // The server answers from a port of its own; the expectation is used up.
    d.udp(C, [4000, 69], RRQ, "NEW");
    d.udp(S, [4000, 50_000], DATA, "RELATED");
    d.udp(C, [4000, 50_000], b"\0\x04\0\x01", "ESTABLISHED/r");
    d.udp(S, [4000, 50_001], DATA, "NEW");
    // Asked twice, expected once; other ports of the client are not.
    d.udp(C, [4001, 69], RRQ, "NEW");
    d.udp(C, [4001, 69], RRQ, "NEW");
    d.udp(S, [4002, 50_000], DATA, "NEW");
    d.udp(S, [4001, 50_000], DATA, "RELATED");
    // A request in the reply direction announces the same; other messages nothing.
    d.udp(C, [4003, 69], DATA, "NEW");
    d.udp(S, [4003, 50_000], DATA, "NEW");
    d.udp(S, [4003, 69], b"\0\x02", "ESTABLISHED/r");
    d.udp(S, [4003, 50_001], DATA, "RELATED");
}

fn dcc(d: &Dialogue, command: &str, port: u16) -> Vec<u8> {
    format!("PRIVMSG bob :\x01DCC {command} file {} {port}\x01\r\n", d.client.to_bits()).into_bytes()
}

pub(super) fn irc(d: &mut Dialogue) {
    let mut control = d.open(4000, 6667);
    control.say(d, C, &dcc(d, "SEND", 1024));
    d.syn(S, [1025, 3000], "NEW");
    d.syn(S, [1024, 3000], "RELATED");
    d.syn(S, [1024, 3001], "NEW");
    // Anybody may take the offer.
    control.say(d, C, &dcc(d, "CHAT", 1030));
    let stranger = eth(Mac::host(2), Mac::host(1)).ip(Ipv4Addr::new(198, 51, 100, 3), d.client);
    d.say(S, stranger.tcp(3000, 1030).seq(1).syn().build(), "RELATED");
    // Not the server's to offer.
    control.say(d, S, &dcc(d, "SEND", 1040));
    d.syn(S, [1040, 3000], "NEW");
    // Cut, then whole.
    let offer = dcc(d, "SEND", 1050);
    control.say(d, C, &offer[..offer.len() - 2]);
    d.syn(S, [1050, 3000], "NEW");
    control.say(d, C, &offer[offer.len() - 2..]);
    d.syn(S, [1050, 3001], "NEW");
}

pub(super) fn irc_reads_4095_bytes(d: &mut Dialogue) {
    let mut control = d.open(4000, 6667);
    for (filling, port, called) in [(4000, 1024, "RELATED"), (4090, 1025, "NEW")] {
        let offer = String::from_utf8(dcc(d, "SEND", port)).unwrap();
        let offer = offer.replace("bob", &"x".repeat(filling));
        control.say(d, C, offer.as_bytes());
        d.syn(S, [port, 3000], called);
    }
}

pub(super) fn irc_offers_eight_at_a_time(d: &mut Dialogue) {
    let mut control = d.open(4000, 6667);
    for port in 2000..2009 {
        control.say(d, C, &dcc(d, "SEND", port));
    }
    d.syn(S, [2000, 3000], "NEW");
    for port in 2001..2009 {
        d.syn(S, [port, 3000], "RELATED");
    }
}

pub(super) fn irc_offers_of_two_clash(d: &mut Dialogue) {
    let mut control = d.open(4000, 6667);
    let mut other = d.open(4001, 6667);
    control.say(d, C, &dcc(d, "SEND", 1024));
    other.dropped(d, C, &dcc(d, "SEND", 1024));
    other.say(d, C, &dcc(d, "SEND", 1025));
    d.syn(S, [1024, 3000], "RELATED");
    d.syn(S, [1025, 3000], "RELATED");
}

pub(super) fn amanda(d: &mut Dialogue) {
    let ports = [4000, 10_080];
    d.udp(C, ports, b"sendbackup", "NEW");
    d.udp(S, ports, b"OPTIONS\nCONNECT DATA 1025 MESG 1026 INDEX 1027 STATE 1028\n", "ESTABLISHED/r");
    for port in 1025..1029 {
        d.syn(C, [3000, port], "RELATED");
        d.syn(C, [3001, port], "NEW");
    }
    // The asker's own words do not count, nor does a line without an end.
    d.udp(C, ports, b"CONNECT DATA 1030\n", "ESTABLISHED");
    d.udp(S, ports, b"CONNECT DATA 1031", "ESTABLISHED/r");
    d.syn(C, [3000, 1030], "NEW");
    d.syn(C, [3000, 1031], "NEW");
}

pub(super) fn amanda_ports_of_two_clash(d: &mut Dialogue) {
    d.udp(C, [4000, 10_080], b"sendbackup", "NEW");
    d.udp(C, [4001, 10_080], b"sendbackup", "NEW");
    d.udp(S, [4000, 10_080], b"CONNECT DATA 1025\n", "ESTABLISHED/r");
    // What else it names is expected, and the answer is dropped.
    d.udp(S, [4001, 10_080], b"CONNECT DATA 1026 MESG 1025 STATE 1028\n", "ESTABLISHED/r dropped");
    for port in [1025, 1026, 1028] {
        d.syn(C, [3000, port], "RELATED");
    }
}

const START: &[u8] = &[0, 0, 0, 7, 0, 0, 0, 0];
const STARTED: &[u8] = &[0, 0, 0, 0, 0, 0, 4, 210, 0, 0];

pub(super) fn sane(d: &mut Dialogue) {
    let mut control = d.open(4000, 6566);
    control.say(d, S, STARTED);
    d.syn(C, [3000, 1234], "NEW");
    control.say(d, C, START);
    control.say(d, S, STARTED);
    d.syn(C, [3001, 1234], "RELATED");
    d.syn(C, [3002, 1234], "NEW");
    // The next segment is the answer, whatever it is.
    control.say(d, C, START);
    control.say(d, S, b"?");
    control.say(d, S, STARTED);
    d.syn(C, [3003, 1234], "NEW");
    // Port 0 is a port.
    control.say(d, C, START);
    control.say(d, S, &[0; 8]);
    d.syn(C, [3004, 0], "RELATED");
}

pub(super) fn questions_by_broadcast(d: &mut Dialogue) {
    // Who forwards a question knows not whose network it goes to: the answers are flows of their own.
    let [client, everybody] = [d.client, Ipv4Addr::new(10, 0, d.client.octets()[2], 255)];
    for port in [137, 161] {
        let question = eth(Mac::host(1), Mac::BROADCAST).ip(client, everybody).udp(4000, port);
        d.say(C, question.payload(b"who").build(), "NEW");
        let neighbour = Ipv4Addr::from_bits(client.to_bits() + 1);
        let answer = eth(Mac::host(3), Mac::host(1)).ip(neighbour, client).udp(port, 4000);
        d.say(S, answer.payload(b"me").build(), "NEW");
    }
}
