//! What a client and a server tell a helper, with flows beside it that may have been expected.
//!
//! An input is: the helper (1 byte), how it is reached (1 byte: 1 IPv6, 2 UDP where there is a choice), and a list of
//! steps, each with its side in the lowest bit of its first byte.

use super::input::Input;
use super::pair;
use crate::conversation::{Conversation, Host, Side, TcpSession};
use crate::packet::Mac;
use crate::rng::Rng;
use crate::scenario::Family;
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::{HelperKind, HelperRule, Transport};

const CLIENT_PORT: u16 = 40_000;
/// Where the helper listens that no configuration names.
const H245_PORT: u16 = 1721;

pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let (Some(kind), Some(way)) = (input.byte(), input.byte()) else { return };
    let kind = HelperKind::ALL[usize::from(kind) % HelperKind::ALL.len()];
    let rule = reached(kind, way & 2 != 0);
    let passages = if way & 1 == 0 {
        dialogue::<Ipv4Addr>(rule, &mut input)
    } else {
        dialogue::<Ipv6Addr>(rule, &mut input)
    };
    pair::play(&passages, |config| {
        config.conntrack.helpers = config.conntrack.helpers.iter().copied().chain([rule]).collect()
    });
}

fn reached(kind: HelperKind, udp: bool) -> HelperRule {
    let (transports, port) = kind.listens();
    match transports {
        [] => HelperRule { kind, transport: Transport::Tcp, port: H245_PORT },
        [only] => HelperRule { kind, transport: *only, port },
        _ => HelperRule { kind, transport: if udp { Transport::Udp } else { Transport::Tcp }, port },
    }
}

fn dialogue<A: Family>(rule: HelperRule, input: &mut Input<'_>) -> Vec<crate::conversation::Passage> {
    let client = Host { mac: Mac::host(1), ip: A::client(1) };
    let server = Host { mac: Mac::host(2), ip: A::server(1) };
    let mut talk = Conversation::new(client, server, 0, Rng::new(1));
    let mut session = match rule.transport {
        Transport::Tcp => Some(TcpSession::open(&mut talk, Side::Lan, CLIENT_PORT, rule.port)),
        Transport::Udp => None,
    };
    while let Some(step) = input.byte() {
        let side = if step & 1 == 0 { Side::Lan } else { Side::Wan };
        match (step >> 1) % 8 {
            0..=3 => match &mut session {
                Some(session) => session.send(&mut talk, side, input.block()),
                None => datagram(&mut talk, side, rule.port, input.block()),
            },
            4 => {
                if let Some(session) = &mut session {
                    session.send_twice(&mut talk, side, input.block());
                }
            }
            5 => {
                let frame = talk.ip(side).udp(input.word(), input.word()).payload(b"media").build();
                talk.say(side, frame);
            }
            6 => {
                let frame = talk.ip(side).tcp(input.word(), input.word()).syn().build();
                talk.say(side, frame);
            }
            _ => talk.pause_us(u64::from(input.byte().unwrap_or(0)) * 1_000_000),
        }
    }
    talk.finish()
}

fn datagram<A: Family>(talk: &mut Conversation<A>, side: Side, port: u16, payload: &[u8]) {
    let (from, to) = if side == Side::Lan { (CLIENT_PORT, port) } else { (port, CLIENT_PORT) };
    let frame = talk.ip(side).udp(from, to).payload(payload).build();
    talk.say(side, frame);
}
