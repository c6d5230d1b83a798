//! Pings, and the errors that hosts and routers send.

use super::Family;
use super::family::IcmpError;
use crate::conversation::{Conversation, Side};
use crate::packet::eth;

const CLOSED_PORT: u16 = 33_434;

/// The client pings the server `count` times; each is answered.
pub fn ping<A: Family>(talk: &mut Conversation<A>, id: u16, count: u16) {
    for sequence in 1..=count {
        let frame = talk.ip(Side::Lan).echo_request(id, sequence).payload(&[0x61; 56]).build();
        talk.say(Side::Lan, frame);
        talk.pause_us(800);
        let frame = talk.ip(Side::Wan).echo_reply(id, sequence).payload(&[0x61; 56]).build();
        talk.say(Side::Wan, frame);
        talk.pause_us(100_000);
    }
}

/// The client sends a datagram to a port where nobody listens; the server says so.
pub fn closed_port<A: Family>(talk: &mut Conversation<A>, client_port: u16) {
    let cause = talk.ip(Side::Lan).udp(client_port, CLOSED_PORT).payload(b"anybody?").build();
    talk.say(Side::Lan, cause.clone());
    let IcmpError { kind, code } = A::PORT_UNREACHABLE;
    let error = talk.ip(Side::Wan).icmp(kind, code, [0; 4]).quote(&cause, 576).build();
    talk.say(Side::Wan, error);
}

/// The client sends a datagram that the first router behind the gateway throws away for want of hops.
pub fn trace_route<A: Family>(talk: &mut Conversation<A>, client_port: u16) {
    let cause = talk.ip(Side::Lan).hop_limit(1).udp(client_port, CLOSED_PORT).payload(&[0; 32]).build();
    talk.say(Side::Lan, cause.clone());
    let (client, server) = (talk.host(Side::Lan), talk.host(Side::Wan));
    let IcmpError { kind, code } = A::TIME_EXCEEDED;
    let error = eth(server.mac, client.mac)
        .ip(A::ROUTER, client.ip)
        .icmp(kind, code, [0; 4])
        .quote(&cause, 576)
        .build();
    talk.say(Side::Wan, error);
}
