//! PPTP's control connection (RFC 2637): calls that open and end, and the GRE packets of each.

use super::{Child, ChildKind, Script};
use crate::mischief::{Ends, Mischievous};
use crate::rng::Rng;

const MAGIC_COOKIE: u32 = 0x1a2b_3c4d;
const START_REQUEST: u16 = 1;
const START_REPLY: u16 = 2;
const STOP_REQUEST: u16 = 3;
const STOP_REPLY: u16 = 4;
const ECHO_REQUEST: u16 = 5;
const OUT_CALL_REQUEST: u16 = 7;
const OUT_CALL_REPLY: u16 = 8;
const IN_CALL_REQUEST: u16 = 9;
const IN_CALL_REPLY: u16 = 10;
const IN_CALL_CONNECT: u16 = 11;
const CLEAR_REQUEST: u16 = 12;
const DISCONNECT: u16 = 13;
const WAN_ERROR: u16 = 14;
const SET_LINK: u16 = 15;

/// A dialogue as it should go: who says what.
const IN_ORDER: [(usize, u16); 6] = [
    (0, START_REQUEST),
    (1, START_REPLY),
    (0, OUT_CALL_REQUEST),
    (1, OUT_CALL_REPLY),
    (0, SET_LINK),
    (1, DISCONNECT),
];

/// What may come at any time.
const ANY: [(usize, u16); 14] = [
    (0, START_REQUEST),
    (1, START_REPLY),
    (0, STOP_REQUEST),
    (1, STOP_REPLY),
    (0, ECHO_REQUEST),
    (0, OUT_CALL_REQUEST),
    (1, OUT_CALL_REPLY),
    (1, IN_CALL_REQUEST),
    (0, IN_CALL_REPLY),
    (1, IN_CALL_CONNECT),
    (0, CLEAR_REQUEST),
    (1, DISCONNECT),
    (1, WAN_ERROR),
    (0, SET_LINK),
];

pub(in crate::mischief) struct Pptp<A> {
    ends: Ends<A>,
    calls: [u16; 2],
    step: usize,
}

impl<A: Mischievous> Script<A> for Pptp<A> {
    const TCP: bool = true;
    const PORT: u16 = 1723;

    fn new(rng: &mut Rng, ends: Ends<A>, _: u16) -> Self {
        let calls = [1 + rng.below(3) as u16, 0x1000 + rng.below(3) as u16];
        Self { ends, calls, step: 0 }
    }

    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>) {
        let in_order = IN_ORDER.get(self.step).filter(|_| rng.chance(80));
        let (side, kind) = match in_order {
            Some(next) => {
                self.step += 1;
                *next
            }
            None => *rng.pick(&ANY),
        };
        let mut children = Vec::new();
        if kind == OUT_CALL_REPLY || kind == IN_CALL_CONNECT {
            let [client, server] = self.calls;
            children.push(Child { kind: ChildKind::Gre, ends: self.ends, ports: [client, server] });
        }
        (side, self.message(rng, side, kind), children)
    }
}

impl<A: Mischievous> Pptp<A> {
    fn message(&self, rng: &mut Rng, side: usize, kind: u16) -> Vec<u8> {
        let [own, peer] = [self.calls[side], self.calls[1 - side]];
        let result = *rng.pick(&[1, 1, 1, 1, 2]);
        let body = match kind {
            START_REQUEST => vec![0; 144],
            START_REPLY => [&[1, 0, result, 0][..], &[0; 140]].concat(),
            STOP_REQUEST | STOP_REPLY => vec![result, 0, 0, 0],
            OUT_CALL_REQUEST | IN_CALL_REQUEST => [&own.to_be_bytes()[..], &[0; 154]].concat(),
            OUT_CALL_REPLY | IN_CALL_REPLY => {
                [&own.to_be_bytes()[..], &peer.to_be_bytes(), &[result, 0], &[0; 14]].concat()
            }
            IN_CALL_CONNECT => [&peer.to_be_bytes()[..], &[0; 14]].concat(),
            CLEAR_REQUEST => [own.to_be_bytes(), [0; 2]].concat(),
            DISCONNECT => [&own.to_be_bytes()[..], &[result], &[0; 133]].concat(),
            WAN_ERROR => [&peer.to_be_bytes()[..], &[0; 26]].concat(),
            SET_LINK => [&peer.to_be_bytes()[..], &[0; 10]].concat(),
            _ => vec![0; 4],
        };
        // Length, control message, cookie, type, reserved.
        let length = (12 + body.len()) as u16;
        let message_type = if rng.chance(3) { 2_u16 } else { 1 };
        let cookie = if rng.chance(3) { 0 } else { MAGIC_COOKIE };
        let mut message = [&length.to_be_bytes()[..], &message_type.to_be_bytes()].concat();
        message.extend(cookie.to_be_bytes());
        message.extend(kind.to_be_bytes());
        message.extend([0, 0]);
        message.extend(body);
        if rng.chance(5) {
            message.truncate(rng.index(message.len()));
        }
        message
    }
}
