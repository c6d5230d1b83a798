//! H.323: call signalling, media control, registration.

use super::dialogue::{C, Connection, Dialogue, S};
use std::net::{Ipv4Addr, SocketAddr};
use weir_tests::packet::{Mac, eth};
use weir_tests::rng::Rng;
use weir_tests::scenario::h323::{
    Per, admission_confirm, audio_channel, connect, facility, gatekeeper_confirm, location_confirm,
    open_channel, open_channel_ack, q931, registration_request, setup, t120_channel, tpkt,
    unregistration_request,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
/// Somebody else behind the server's side.
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 8);
const RTP: &[u8] = &[0x80, 0, 0, 1];

fn at(d: &Dialogue, port: u16) -> SocketAddr {
    (d.client, port).into()
}

fn server(port: u16) -> SocketAddr {
    (SERVER, port).into()
}

/// Call signalling in a segment of its own.
fn signal(control: &mut Connection, d: &mut Dialogue, message: &Per) {
    control.say(d, C, &tpkt(&q931(message)));
}

/// A SYN from an end to somebody else.
fn syn_to_other(d: &mut Dialogue, from: Ipv4Addr, port: u16, called: &'static str) {
    let frame = eth(Mac::host(2), Mac::host(3)).ip(from, OTHER).tcp(3000, port).seq(7000).syn().build();
    d.say(if from == SERVER { S } else { C }, frame, called);
}

pub(super) fn a_setup_names_the_control_channel(d: &mut Dialogue) {
    let mut control = d.open(4000, 1720);
    let message = setup(Some(at(d, 5000)), &[], &[]);
    signal(&mut control, d, &message);
    d.syn(S, [5001, 3000], "NEW");
    d.syn(S, [5000, 3000], "RELATED");
    d.syn(S, [5000, 3001], "NEW");
    // Not the sender's own, and no port at all.
    let message = setup(Some((OTHER, 5002).into()), &[], &[]);
    signal(&mut control, d, &message);
    syn_to_other(d, SERVER, 5002, "NEW");
    let message = setup(Some(at(d, 0)), &[], &[]);
    signal(&mut control, d, &message);
}

pub(super) fn channels_are_proposed_at_once(d: &mut Dialogue) {
    let mut control = d.open(4000, 1720);
    let channels = [
        audio_channel(Some(at(d, 6000)), Some(at(d, 6001)), None),
        audio_channel(None, None, Some(at(d, 6101))),
        audio_channel(Some((OTHER, 6200).into()), None, None),
    ];
    let message = setup(None, &channels, &[]);
    signal(&mut control, d, &message);
    d.udp(S, [6002, 7000], RTP, "NEW");
    for (port, called) in
        [(6000, "RELATED"), (6001, "RELATED"), (6100, "RELATED"), (6101, "RELATED"), (6200, "NEW")]
    {
        d.udp(S, [port, 7001], RTP, called);
    }
}

pub(super) fn control_messages_within_signalling(d: &mut Dialogue) {
    let mut control = d.open(4000, 1720);
    let channel = open_channel(&audio_channel(Some(at(d, 6300)), None, None));
    let message = setup(None, &[], &[channel, open_channel_ack(at(d, 6400), at(d, 6401))]);
    signal(&mut control, d, &message);
    for port in [6300, 6301, 6400, 6401] {
        d.udp(S, [port, 7000], RTP, "RELATED");
    }
}

pub(super) fn media_are_opened_on_the_control_channel(d: &mut Dialogue) {
    let mut control = d.open(4000, 1720);
    control.say(d, S, &tpkt(&q931(&connect(server(5100)))));
    let mut h245 = d.open_called(4001, 5100, "RELATED");
    let message = open_channel(&audio_channel(Some(at(d, 6501)), Some(at(d, 6503)), None));
    h245.say(d, C, &tpkt(message.bytes()));
    for port in [6500, 6501, 6502, 6503] {
        d.udp(S, [port, 7000], RTP, "RELATED");
    }
    h245.say(d, S, &tpkt(open_channel_ack(server(6600), server(6601)).bytes()));
    d.udp(C, [7600, 6600], RTP, "RELATED");
    d.udp(C, [7601, 6601], RTP, "RELATED");
    d.udp(C, [7602, 6602], RTP, "NEW");
    // T.120 with a stack of its own, as often as anybody likes.
    let message = open_channel(&t120_channel(at(d, 1503)));
    h245.say(d, C, &tpkt(message.bytes()));
    d.syn(S, [1503, 3000], "RELATED");
    d.syn(S, [1503, 3001], "RELATED");
    d.syn(S, [1504, 3001], "NEW");
}

pub(super) fn messages_and_segments(d: &mut Dialogue) {
    let mut control = d.open(4000, 1720);
    let messages = [5200, 5201, 5202].map(|port| tpkt(&q931(&setup(Some(at(d, port)), &[], &[]))));
    let [first, second, third] = &messages;
    // Two in a segment; the beginning of one; a header of its own.
    control.say(d, C, &[first.as_slice(), second].concat());
    d.syn(S, [5200, 3000], "RELATED");
    d.syn(S, [5201, 3000], "RELATED");
    control.say(d, C, &third[..third.len() - 1]);
    control.say(d, C, &third[third.len() - 1..]);
    d.syn(S, [5202, 3000], "NEW");
    control.say(d, C, &third[..4]);
    control.say(d, C, &third[4..]);
    d.syn(S, [5202, 3001], "RELATED");
}

pub(super) fn a_call_is_forwarded(d: &mut Dialogue) {
    let mut control = d.open(4000, 1720);
    signal(&mut control, d, &facility((OTHER, 1720).into(), false));
    syn_to_other(d, SERVER, 1720, "NEW");
    signal(&mut control, d, &facility((OTHER, 1721).into(), true));
    syn_to_other(d, SERVER, 1721, "RELATED");
}

pub(super) fn an_endpoint_registers(d: &mut Dialogue) {
    let ras = [4100, 1719];
    // Linux cannot read a lifetime that is the last thing in a message.
    let message = registration_request(at(d, 1802), at(d, 4100), Some(60));
    d.udp(C, ras, message.bytes(), "NEW");
    d.syn(S, [1802, 3000], "NEW");
    let message = [message.bytes(), &[0; 4]].concat();
    d.udp(C, ras, &message, "NEW");
    d.syn(S, [1802, 3001], "RELATED");
    let message = registration_request(at(d, 1800), at(d, 4100), None);
    d.udp(C, ras, message.bytes(), "NEW");
    d.syn(S, [1801, 3000], "NEW");
    d.syn(S, [1800, 3000], "RELATED");
    d.syn(S, [1800, 3001], "RELATED");
    // The gatekeeper says where to call, and where another gatekeeper is.
    d.udp(S, ras, admission_confirm((OTHER, 1820).into()).bytes(), "ESTABLISHED/r");
    let client = d.client;
    syn_to_other(d, client, 1820, "RELATED");
    d.udp(S, ras, location_confirm((OTHER, 1830).into(), server(1719)).bytes(), "ESTABLISHED/r");
    syn_to_other(d, client, 1830, "RELATED");
    d.udp(S, ras, gatekeeper_confirm(server(1840)).bytes(), "ESTABLISHED/r");
    d.udp(C, [4101, 1840], RTP, "RELATED");
    // It is told its own address: that is no call of its own.
    d.udp(S, ras, admission_confirm(at(d, 1850)).bytes(), "ESTABLISHED/r");
    d.syn(S, [1850, 3000], "NEW");
    d.udp(C, ras, unregistration_request(at(d, 1800)).bytes(), "ESTABLISHED");
    d.syn(S, [1800, 3002], "NEW");
}

/// Messages that are cut or have a wrong byte, each followed by what it may have announced; what that is called is
/// not said.
pub(super) fn broken_messages(d: &mut Dialogue, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut control = d.open(4000, 1720);
    let mut ports = 10_000..;
    let broken = |whole: &[u8], rng: &mut Rng, may_lie: bool| {
        let mut message = whole.to_vec();
        if may_lie && rng.below(3) > 0 {
            message[rng.index(whole.len())] = rng.below(256) as u8;
        } else {
            message.truncate(rng.index(whole.len()));
        }
        message
    };
    for _ in 0..150 {
        let port = ports.next().unwrap();
        let channel = audio_channel(Some(at(d, port)), None, Some(at(d, port)));
        // Of channels Linux reads more than is of use, and all of it must be right.
        let kind = rng.below(5);
        let whole = match kind {
            0 => q931(&setup(Some(at(d, port)), &[], &[])),
            1 => q931(&setup(None, &[channel], &[])),
            2 => q931(&setup(Some(at(d, port)), &[], &[open_channel(&channel)])),
            3 => q931(&facility(at(d, port), true)),
            _ => q931(&connect(at(d, port))),
        };
        control.say(d, C, &tpkt(&broken(&whole, &mut rng, !matches!(kind, 1 | 2))));
        d.syn(S, [port, 3000], "?");
        d.udp(S, [port, 7000], RTP, "?");
        let ras = match rng.below(3) {
            0 => registration_request(at(d, port), at(d, 4100), Some(60)),
            1 => registration_request(at(d, port), at(d, 4100), None),
            _ => unregistration_request(at(d, port)),
        };
        let message = broken(ras.bytes(), &mut rng, false);
        d.udp(C, [4100, 1719], &message, "?");
        d.syn(S, [port, 3001], "?");
    }
}
