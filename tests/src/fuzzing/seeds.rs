//! Inputs to begin with: ordinary traffic, as each target reads it.

use crate::conversation::{Passage, Side};
use crate::scenario::{Town, town};
use weir_dataplane::config::HelperKind;

/// Frames in one seed of the pipeline.
const FRAMES: usize = 40;

/// Of a target, by its name; each input has a name of its own.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "fragments" => fragments(),
        "helper" => DIALOGUES.iter().map(dialogue).collect(),
        "parse" => frames().into_iter().enumerate().map(|(n, frame)| numbered(n, frame.bytes)).collect(),
        "pipeline" => {
            let passages = frames();
            let chunks = passages.chunks(FRAMES).map(|chunk| chunk.iter().flat_map(packed).collect());
            chunks.enumerate().map(|(n, input)| numbered(n, input)).collect()
        }
        "tcp" => tcp(),
        _ => Vec::new(),
    }
}

fn numbered(n: usize, input: Vec<u8>) -> (String, Vec<u8>) {
    (format!("seed-{n:03}"), input)
}

/// A little of everything that a town does.
fn frames() -> Vec<Passage> {
    town(3, Town { ipv4_clients: 8, ipv6_clients: 6, begin_within_us: 1_000 })
        .into_iter()
        .filter(|passage| passage.bytes.len() < 600)
        .take(600)
        .collect()
}

fn packed(passage: &Passage) -> Vec<u8> {
    [&[passage.side as u8, 0, 1][..], &block(&passage.bytes)].concat()
}

fn block(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// In order, reversed, overlapping, doubled, without the first, and of two datagrams at once; of both families.
fn fragments() -> Vec<(String, Vec<u8>)> {
    let fragment = |more: u8, id: u8, offset: u16, length: u16| {
        let [o1, o0] = offset.to_be_bytes();
        let [l1, l0] = length.to_be_bytes();
        [more << 1 | id << 4, o1, o0, l1, l0, o0.wrapping_mul(8), 0, 1]
    };
    let [first, second, last] =
        [fragment(1, 0, 0, 1480), fragment(1, 0, 185, 1480), fragment(0, 0, 370, 100)];
    let orders: [&[[u8; 8]]; 8] = [
        &[first, second, last],
        &[last, second, first],
        &[first, first, second, last],
        &[first, fragment(1, 0, 100, 1480), last],
        &[second, last],
        &[first, fragment(1, 1, 0, 8), last, fragment(0, 1, 1, 8), second],
        &[fragment(1, 2, 0, 8), fragment(0, 2, 0, 8)],
        &[fragment(1, 3, 0, 7), fragment(0, 3, 8190, 100)],
    ];
    let input = |(n, order): (usize, &[[u8; 8]])| {
        [0, 1].map(|family| numbered(2 * n + usize::from(family), [&[family][..], &order.concat()].concat()))
    };
    orders.into_iter().enumerate().flat_map(input).collect()
}

/// A handshake with data and each way to end it.
fn tcp() -> Vec<(String, Vec<u8>)> {
    let segment = |reply: u8, flags: u8, length: u16| {
        let [high, low] = length.to_be_bytes();
        [reply, flags, 1, 0, high, low]
    };
    let open =
        [segment(0, 0x02, 0), segment(1, 0x12, 0), segment(0, 0x10, 0), segment(0, 0x18, 300)].concat();
    let ends = [
        [segment(0, 0x11, 0), segment(1, 0x11, 0), segment(0, 0x10, 0)].concat(),
        segment(1, 0x14, 0).to_vec(),
        [segment(0, 0x02, 0), segment(1, 0x10, 0), segment(0, 0x04, 0)].concat(),
    ];
    let simultaneous = [segment(0, 0x02, 0), segment(1, 0x02, 0), segment(0, 0x12, 0), segment(1, 0x12, 0)];
    let inputs = ends.iter().map(|end| [&open[..], end].concat()).chain([simultaneous.concat()]);
    inputs.enumerate().map(|(n, steps)| numbered(n, [&[0][..], &steps].concat())).collect()
}

/// A helper, whether it is reached over UDP, and what is said to it.
type Dialogue = (HelperKind, bool, &'static [(Side, &'static [u8])]);

fn dialogue((kind, udp, said): &Dialogue) -> (String, Vec<u8>) {
    let number = HelperKind::ALL.iter().position(|one| one == kind).expect("it is one of all");
    let steps = said.iter().flat_map(|(side, payload)| [&[*side as u8][..], &block(payload)].concat());
    let input = [number as u8, u8::from(*udp) << 1].into_iter().chain(steps).collect();
    (format!("{}-{}", kind.name(), if *udp { "udp" } else { "usual" }), input)
}

const C: Side = Side::Lan;
const S: Side = Side::Wan;

const DIALOGUES: &[Dialogue] = &[
    (HelperKind::Ftp, false, &[
        (S, b"220 Ready.\r\n"),
        (C, b"PORT 198,18,0,11,156,64\r\n"),
        (S, b"200 Yes.\r\n"),
        (C, b"EPRT |1|198.18.0.11|40001|\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 Entering Passive Mode (198,19,0,11,195,80).\r\n"),
        (C, b"EPSV\r\n"),
        (S, b"229 Entering Extended Passive Mode (|||50000|)\r\n"),
    ]),
    (HelperKind::Tftp, false, &[(C, b"\0\x01pxelinux.0\0octet\0"), (C, b"\0\x02core\0octet\0")]),
    (HelperKind::Irc, false, &[
        (C, b"PRIVMSG bob :\x01DCC SEND book 3323068427 40001 3000\x01\r\n"),
        (C, b"PRIVMSG bob :\x01DCC CHAT chat 3323068427 40002\x01\r\n"),
    ]),
    (HelperKind::Sip, true, &[(C, INVITE), (S, ANSWER), (C, BYE), (C, REGISTER), (S, REGISTERED)]),
    (HelperKind::Sip, false, &[(C, INVITE), (S, ANSWER), (C, BYE), (C, REGISTER), (S, REGISTERED)]),
    (HelperKind::Q931, false, &[
        (C, b"\x03\0\0\x20\x08\x02\0\x01\x05\x7e\0\x10\x05\x20\x80\x06\0\x08\x91\x4a\0\x05\x01\x40\xc6\x12\0\x0b\x06\xb8\x01\0"),
    ]),
    (HelperKind::H245, false, &[
        (C, b"\x03\0\0\x1d\x03\0\0\x64\x0c\x60\x13\x80\x0a\x04\0\x01\0\xc6\x12\0\x0b\x9c\x41\x80\0\xc6\x12\0\x0b"),
    ]),
    (HelperKind::Ras, false, &[
        (C, b"\x0e\x80\0\0\x06\0\x08\x91\x4a\0\x05\x01\0\xc6\x12\0\x0b\x06\xb8\x01\0\xc6\x12\0\x0b\x06\xb7"),
        (S, b"\x12\x80\0\0\x06\0\x08\x91\x4a\0\x05\x01\0\xc6\x13\0\x0b\x06\xb8"),
    ]),
    (HelperKind::Pptp, false, &[
        (C, START_REQUEST),
        (S, START_REPLY),
        (C, CALL_REQUEST),
        (S, CALL_REPLY),
        (C, b"\0\x10\0\x01\x1a\x2b\x3c\x4d\0\x0c\0\0\0\x64\0\0"),
    ]),
    (HelperKind::Amanda, false, &[
        (C, b"Amanda 2.4 REQ HANDLE 000-1 SEQ 1\nSERVICE sendbackup\n"),
        (S, b"Amanda 2.4 REP HANDLE 000-1 SEQ 1\nCONNECT DATA 40001 MESG 40002 INDEX 40003\nOPTIONS ;\n"),
    ]),
    (HelperKind::Sane, false, &[
        (C, b"\0\0\0\x02\0\0\0\x05host\0"),
        (C, b"\0\0\0\x07\0\0\0\0"),
        (S, b"\0\0\0\0\0\0\x9c\x41\0\0\0\0"),
    ]),
    (HelperKind::NetbiosNs, false, &[(C, b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0!\0\x01")]),
    (HelperKind::Snmp, false, &[(C, b"\x30\x1a\x02\x01\0\x04\x06public\xa0\x0d\x02\x01\x01\x02\x01\0\x02\x01\0\x30\x02\x30\0")]),
];

const INVITE: &[u8] =
    b"INVITE sip:bob@198.19.0.11 SIP/2.0\r\nVia: SIP/2.0/UDP 198.18.0.11:40000;branch=z9hG4bK1\r\n\
From: <sip:al@198.18.0.11>;tag=1\r\nTo: <sip:bob@198.19.0.11>\r\nCall-ID: 1@al\r\nCSeq: 1 INVITE\r\n\
Contact: <sip:al@198.18.0.11:40000>\r\nContent-Type: application/sdp\r\nContent-Length: 153\r\n\r\n\
v=0\r\no=al 1 1 IN IP4 198.18.0.11\r\ns=-\r\nc=IN IP4 198.18.0.11\r\nt=0 0\r\nm=audio 41000 RTP/AVP 0\r\n\
m=video 41002 RTP/AVP 31\r\nc=IN IP4 198.18.0.12\r\nm=image 41004 udptl t38\r\n";

const ANSWER: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.18.0.11:40000;branch=z9hG4bK1\r\n\
From: <sip:al@198.18.0.11>;tag=1\r\nTo: <sip:bob@198.19.0.11>;tag=2\r\nCall-ID: 1@al\r\nCSeq: 1 INVITE\r\n\
Contact: <sip:bob@198.19.0.11:5060>\r\nContent-Type: application/sdp\r\nContent-Length: 94\r\n\r\n\
v=0\r\no=bob 1 1 IN IP4 198.19.0.11\r\ns=-\r\nc=IN IP4 198.19.0.11\r\nt=0 0\r\nm=audio 42000 RTP/AVP 0\r\n";

const BYE: &[u8] =
    b"BYE sip:bob@198.19.0.11 SIP/2.0\r\nVia: SIP/2.0/UDP 198.18.0.11:40000;branch=z9hG4bK2\r\n\
From: <sip:al@198.18.0.11>;tag=1\r\nTo: <sip:bob@198.19.0.11>;tag=2\r\nCall-ID: 1@al\r\nCSeq: 2 BYE\r\n\
Content-Length: 0\r\n\r\n";

const REGISTER: &[u8] =
    b"REGISTER sip:198.19.0.11 SIP/2.0\r\nVia: SIP/2.0/UDP 198.18.0.11:40000;branch=z9hG4bK3\r\n\
From: <sip:al@198.18.0.11>;tag=1\r\nTo: <sip:al@198.19.0.11>\r\nCall-ID: 2@al\r\nCSeq: 3 REGISTER\r\n\
Contact: <sip:al@198.18.0.11:40000>;expires=60\r\nExpires: 120\r\nContent-Length: 0\r\n\r\n";

const REGISTERED: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.18.0.11:40000;branch=z9hG4bK3\r\n\
From: <sip:al@198.18.0.11>;tag=1\r\nTo: <sip:al@198.19.0.11>;tag=3\r\nCall-ID: 2@al\r\nCSeq: 3 REGISTER\r\n\
Contact: <sip:al@198.18.0.11:40000>;expires=60\r\nContent-Length: 0\r\n\r\n";

/// A control message of PPTP, padded with zeros to its length (RFC 2637 §2).
const fn pptp<const N: usize>(kind: u8, calls: [u8; 4], result: u8) -> [u8; N] {
    let mut message = [0; N];
    let head = [(N >> 8) as u8, N as u8, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0];
    let mut at = 0;
    while at < head.len() {
        message[at] = head[at];
        at += 1;
    }
    let mut i = 0;
    while i < calls.len() {
        message[12 + i] = calls[i];
        i += 1;
    }
    message[16] = result;
    message
}

const START_REQUEST: &[u8] = &pptp::<156>(1, [1, 0, 0, 0], 0);
const START_REPLY: &[u8] = &pptp::<156>(2, [1, 0, 1, 0], 0);
const CALL_REQUEST: &[u8] = &pptp::<168>(7, [0, 100, 0, 1], 0);
const CALL_REPLY: &[u8] = &pptp::<32>(8, [0, 200, 0, 100], 1);
