//! PPTP and the GRE of its calls.

use super::dialogue::{C, Connection, Dialogue, S};
use weir_tests::conversation::Side;
use weir_tests::packet::packet_of;
use weir_tests::scenario::pptp::{self, Kind};

/// A control connection with its session open.
fn session(d: &mut Dialogue, client_port: u16) -> Connection {
    let mut control = d.open(client_port, pptp::PORT);
    control.say(d, C, &Kind::StartRequest.message(&[]));
    control.say(d, S, &Kind::StartReply.answer(1));
    control
}

/// The client calls: its id, the server's.
fn call(d: &mut Dialogue, control: &mut Connection, client: u16, server: u16) {
    control.say(d, C, &Kind::OutgoingCallRequest.of_call(&[client, 1], 0));
    control.say(d, S, &Kind::OutgoingCallReply.of_call(&[server, client], 1));
}

pub(super) fn the_client_calls(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "RELATED");
    d.gre(C, 22, "RELATED");
    d.gre(S, 11, "ESTABLISHED/r");
    d.gre(C, 22, "ESTABLISHED");
    // Other calls are nobody's, each direction by itself.
    d.gre(C, 23, "NEW");
    d.gre(S, 12, "NEW");
    // Only the server's notice ends it.
    control.say(d, C, &Kind::CallClearRequest.of_call(&[11], 0));
    d.gre(S, 11, "ESTABLISHED/r");
    control.say(d, C, &Kind::CallDisconnectNotify.of_call(&[22], 1));
    d.gre(S, 11, "ESTABLISHED/r");
    control.say(d, S, &Kind::CallDisconnectNotify.of_call(&[22], 1));
    d.gre(S, 11, "NEW");
    d.gre(C, 22, "NEW");
    d.gre(C, 22, "NEW");
}

pub(super) fn the_server_calls(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    control.say(d, S, &Kind::IncomingCallRequest.of_call(&[22, 1], 0));
    control.say(d, C, &Kind::IncomingCallReply.of_call(&[11, 22], 1));
    control.say(d, S, &Kind::IncomingCallConnected.of_call(&[11], 0));
    // The server speaks first; its direction is the flow's.
    d.gre(S, 11, "RELATED");
    d.gre(C, 22, "ESTABLISHED/r");
    d.gre(S, 11, "ESTABLISHED");
}

pub(super) fn call_ids_of_zero(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 0, 22);
    d.gre(S, 0, "RELATED");
    d.gre(C, 22, "ESTABLISHED/r");
    let tunnel = d.ip(S).gre(0x0800).payload(&[0x45; 20]).build();
    d.say(S, tunnel, "NEW");
}

pub(super) fn one_call_at_a_time(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "RELATED");
    // Another call of the same connection is not followed, and the first one's end is not known any more.
    call(d, &mut control, 12, 23);
    d.gre(C, 23, "NEW");
    d.gre(S, 11, "ESTABLISHED/r");
    control.say(d, S, &Kind::CallDisconnectNotify.of_call(&[23], 1));
    d.gre(S, 11, "NEW");
    // The next one is followed again.
    call(d, &mut control, 13, 24);
    d.gre(C, 24, "RELATED");
    d.gre(S, 13, "ESTABLISHED/r");
}

pub(super) fn the_same_server_id_again(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    call(d, &mut control, 12, 22);
    d.gre(C, 22, "NEW");
    d.gre(S, 11, "NEW");
    d.gre(S, 12, "NEW");
}

pub(super) fn an_answer_twice(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "RELATED");
    control.say(d, S, &Kind::OutgoingCallReply.of_call(&[22, 11], 1));
    d.gre(S, 11, "ESTABLISHED/r");
    control.say(d, S, &Kind::CallDisconnectNotify.of_call(&[22], 1));
    d.gre(S, 11, "NEW");
}

pub(super) fn two_connections_with_one_server_id(d: &mut Dialogue) {
    let mut first = session(d, 4000);
    let mut second = session(d, 4001);
    call(d, &mut first, 11, 22);
    call(d, &mut second, 12, 22);
    d.gre(C, 22, "RELATED");
    d.gre(S, 11, "ESTABLISHED/r");
    d.gre(S, 12, "RELATED");
    first.say(d, S, &Kind::CallDisconnectNotify.of_call(&[22], 1));
    d.gre(C, 22, "ESTABLISHED/r");
}

pub(super) fn two_connections_with_one_call(d: &mut Dialogue) {
    let mut first = session(d, 4000);
    let mut second = session(d, 4001);
    call(d, &mut first, 11, 22);
    call(d, &mut second, 11, 22);
    // The second one's end takes away what the first expects, but not its names.
    second.say(d, S, &Kind::CallDisconnectNotify.of_call(&[22], 1));
    d.gre(C, 22, "NEW");
    d.gre(S, 11, "ESTABLISHED/r");
}

pub(super) fn a_notice_ends_any_tunnel_of_these_ids(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    let tunnel = d.ip(C).gre(0x0800).payload(&[0x45; 20]).build();
    let back = d.ip(S).gre(0x0800).payload(&[0x45; 20]).build();
    d.say(C, tunnel.clone(), "NEW");
    d.say(S, back.clone(), "ESTABLISHED/r");
    // No call has been made: both ids are 0, and so are the keys of a tunnel without calls.
    control.say(d, S, &Kind::CallDisconnectNotify.of_call(&[9], 1));
    d.say(S, back, "NEW");
    d.say(C, tunnel, "ESTABLISHED/r");
}

pub(super) fn the_connection_takes_its_call_along(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "RELATED");
    control.reset(d);
    d.gre(S, 11, "ESTABLISHED/r");
    // Its ports are used again: it is gone.
    d.open(4000, pptp::PORT);
    d.gre(S, 11, "NEW");
    d.gre(C, 22, "NEW");
}

pub(super) fn a_stale_flow_does_not_speak_for_its_successor(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "RELATED");
    // With another call begun, the end of the connection leaves the first one's flow alone.
    control.say(d, C, &Kind::OutgoingCallRequest.of_call(&[12, 1], 0));
    control.reset(d);
    let mut control = session(d, 4000);
    call(d, &mut control, 13, 22);
    d.gre(C, 22, "RELATED");
    // Another connection ends that flow, whose own one is gone: the same ports name a call of today.
    let mut other = session(d, 4001);
    call(d, &mut other, 11, 22);
    other.say(d, S, &Kind::CallDisconnectNotify.of_call(&[22], 1));
    d.gre(S, 13, "ESTABLISHED/r");
    d.gre(C, 22, "ESTABLISHED");
}

pub(super) fn the_session_comes_first(d: &mut Dialogue) {
    let mut control = d.open(4000, pptp::PORT);
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "NEW");
    control.say(d, C, &Kind::StartRequest.message(&[]));
    control.say(d, S, &Kind::StartReply.answer(2));
    call(d, &mut control, 12, 23);
    d.gre(C, 23, "NEW");
}

pub(super) fn stopped_and_started(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    control.say(d, C, &Kind::StopRequest.message(&[]));
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "NEW");
    control.say(d, S, &Kind::StopReply.answer(1));
    control.say(d, C, &Kind::StartRequest.message(&[]));
    control.say(d, S, &Kind::StartReply.answer(1));
    call(d, &mut control, 12, 23);
    d.gre(C, 23, "RELATED");
}

pub(super) fn messages_that_are_cut(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    control.say(d, C, &Kind::OutgoingCallRequest.of_call(&[11, 1], 0));
    let reply = Kind::OutgoingCallReply.of_call(&[22, 11], 1);
    control.say(d, S, &reply[..31]);
    control.say(d, S, &reply[31..]);
    d.gre(C, 22, "NEW");
    control.say(d, S, &[&reply[..2], &[0, 2], &reply[4..]].concat());
    d.gre(S, 11, "NEW");
    // A wrong length changes nothing; what follows in the segment is not read.
    control.say(d, S, &[&[0xff, 0xff], &reply[2..], &Kind::CallDisconnectNotify.message(&[])].concat());
    d.gre(C, 22, "RELATED");
}

pub(super) fn gre_versions(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    let version_1 = |d: &Dialogue, bytes: &[u8]| d.ip(C).protocol(47).payload(bytes).build();
    let not_ppp = version_1(d, &[0x30, 0x81, 0x08, 0x00, 0, 4, 0, 22, 0, 0, 0, 1]);
    d.say(C, not_ppp, "INVALID");
    let cut = version_1(d, &[0x30, 0x81, 0x88, 0x0b, 0, 4, 0]);
    d.say(C, cut, "NEW");
    // The flags may say that there is no key.
    let plain = version_1(d, &[0x00, 0x01, 0x88, 0x0b, 0, 4, 0, 22]);
    d.say(C, plain, "RELATED");
    d.gre(S, 11, "ESTABLISHED/r");
}

pub(super) fn an_error_quotes_a_call(d: &mut Dialogue) {
    let mut control = session(d, 4000);
    call(d, &mut control, 11, 22);
    d.gre(C, 22, "RELATED");
    let quote = |from: Side, call| (from, Dialogue::ip(d, from).gre_call(call).build());
    let errors = [(quote(C, 22), "RELATED/r"), (quote(S, 11), "RELATED"), (quote(S, 12), "INVALID")];
    for ((from, quoted), called) in errors {
        let error = d.ip(from.other()).icmp(3, 1, [0; 4]).payload(&packet_of(&quoted)[..28]).build();
        d.say(from.other(), error, called);
    }
}
