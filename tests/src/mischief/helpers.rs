//! Random dialogues of the protocols that helpers read, with the flows that they announce and some that they do not.
//!
//! Messages are put together from the pieces that matter to a helper, in any order, at times cut. Few ports and ids
//! are used, so that expectations meet. Segments always fit their connection.

use super::{Ends, Mischievous, World};
use crate::packet::{Flags, Mac, eth};
use crate::rng::Rng;
use crate::scenario::pptp::{self, Kind};

/// The flows of each round; a client has two rounds.
const ROUND: [Protocol; 6] =
    [Protocol::Irc, Protocol::Sane, Protocol::Pptp, Protocol::Pptp, Protocol::Tftp, Protocol::Amanda];
const ROUNDS: u16 = 4;
/// The client ports of the flows count on from here.
const FIRST_PORT: u16 = 4000;
const ANNOUNCED: &[u16] = &[1025, 1026, 1027, 1028, 1029];
const CALLS: &[u16] = &[0, 1, 2];

pub(super) fn frames<A: Mischievous>(world: &mut World<A>, count: usize) {
    let rounds = (0..ROUNDS).flat_map(|round| ROUND.map(|protocol| (round, protocol)));
    let mut services: Vec<Service<A>> = rounds
        .zip(FIRST_PORT..)
        .map(|((round, protocol), port)| Service::new(protocol, round, port))
        .collect();
    while world.said.len() < count {
        let place = world.rng.index(services.len());
        let service = &mut services[place];
        match world.rng.below(10) {
            0..=6 => service.act(world),
            _ => announced(world, service.ends),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tftp,
    Irc,
    Amanda,
    Sane,
    Pptp,
}

/// A flow that has a helper.
struct Service<A> {
    protocol: Protocol,
    ends: Ends<A>,
    port: u16,
    /// TCP: the next sequence numbers, once the connection is open.
    next: Option<[u32; 2]>,
    /// PPTP: how far its calls have come, in [`CALL`].
    step: usize,
    /// PPTP: the ids of the latest call.
    call: [u16; 2],
}

/// What comes next in a session of PPTP with a call of either side, and by whom.
const CALL: &[(usize, Kind)] = &[
    (0, Kind::StartRequest),
    (1, Kind::StartReply),
    (0, Kind::OutgoingCallRequest),
    (1, Kind::OutgoingCallReply),
    (1, Kind::CallDisconnectNotify),
    (1, Kind::IncomingCallRequest),
    (0, Kind::IncomingCallReply),
    (1, Kind::IncomingCallConnected),
    (1, Kind::CallDisconnectNotify),
];

impl<A: Mischievous> Service<A> {
    fn new(protocol: Protocol, round: u16, port: u16) -> Self {
        let ends = [A::client(u32::from(round / 2)), A::server(0)];
        Self { protocol, ends, port, next: None, step: 0, call: [0; 2] }
    }

    fn server_port(&self) -> u16 {
        match self.protocol {
            Protocol::Tftp => 69,
            Protocol::Irc => 6667,
            Protocol::Amanda => 10_080,
            Protocol::Sane => 6566,
            Protocol::Pptp => pptp::PORT,
        }
    }

    fn act(&mut self, world: &mut World<A>) {
        if self.protocol == Protocol::Pptp && world.rng.chance(70) {
            return self.call(world);
        }
        let side = world.rng.index(2);
        let mut data = match self.protocol {
            Protocol::Tftp => tftp(&mut world.rng),
            Protocol::Irc => irc(&mut world.rng, self.ends),
            Protocol::Amanda => amanda(&mut world.rng),
            Protocol::Sane => sane(&mut world.rng, side),
            Protocol::Pptp => control_message(&mut world.rng, side),
        };
        if world.rng.chance(5) {
            data.truncate(world.rng.index(data.len() + 1));
        }
        match self.protocol {
            Protocol::Tftp | Protocol::Amanda => {
                let ports = [self.port, self.server_port()];
                let frame =
                    world.ip(self.ends, side).udp(ports[side], ports[1 - side]).payload(&data).build();
                world.say(self.ends, side, frame);
            }
            // In two segments at times.
            _ if world.rng.chance(10) => {
                let (begin, end) = data.split_at(world.rng.index(data.len() + 1));
                self.segment(world, side, begin);
                self.segment(world, side, end);
            }
            _ => self.segment(world, side, &data),
        }
    }

    /// What comes next in a call, then some packets of it.
    fn call(&mut self, world: &mut World<A>) {
        let (side, kind) = CALL[self.step];
        // A session is started once.
        self.step = if self.step + 1 == CALL.len() { 2 } else { self.step + 1 };
        if matches!(kind, Kind::OutgoingCallRequest | Kind::IncomingCallRequest) {
            self.call = [*world.rng.pick(CALLS), *world.rng.pick(CALLS)];
        }
        let message = of_call(kind, self.call, 1);
        self.segment(world, side, &message);
        if matches!(kind, Kind::OutgoingCallReply | Kind::IncomingCallConnected) {
            for _ in 0..world.rng.below(6) {
                let side = world.rng.index(2);
                let frame = world.ip(self.ends, side).gre_call(self.call[1 - side]).build();
                world.say(self.ends, side, frame);
            }
        }
    }

    /// One segment of data and its acknowledgement; the handshake first where there is no connection.
    fn segment(&mut self, world: &mut World<A>, side: usize, data: &[u8]) {
        let mut next = match self.next {
            Some(next) => next,
            None => {
                let mut next = [world.rng.next() as u32, world.rng.next() as u32];
                for (side, flags) in [(0, Flags::SYN), (1, Flags::SYN | Flags::ACK), (0, Flags::ACK)] {
                    self.tcp(world, side, next, flags, &[]);
                    next[side] = next[side].wrapping_add(u32::from(flags != Flags::ACK));
                }
                next
            }
        };
        self.tcp(world, side, next, Flags::PSH | Flags::ACK, data);
        next[side] = next[side].wrapping_add(data.len() as u32);
        self.tcp(world, 1 - side, next, Flags::ACK, &[]);
        self.next = Some(next);
        // Broken off by the client, so that the next SYN opens it anew.
        if world.rng.chance(2) {
            self.tcp(world, 0, next, Flags::RST | Flags::ACK, &[]);
            (self.next, self.step) = (None, 0);
        }
    }

    fn tcp(&self, world: &mut World<A>, side: usize, next: [u32; 2], flags: Flags, data: &[u8]) {
        let ports = [self.port, self.server_port()];
        let segment = world.ip(self.ends, side).tcp(ports[side], ports[1 - side]).seq(next[side]);
        let segment = if flags == Flags::SYN { segment } else { segment.ack(next[1 - side]) };
        let frame = segment.flags(flags).payload(data).build();
        world.say(self.ends, side, frame);
    }
}

/// The first packet of a flow that may have been announced.
fn announced<A: Mischievous>(world: &mut World<A>, ends: Ends<A>) {
    let side = world.rng.index(2);
    let port = *world.rng.pick(ANNOUNCED);
    let any = 20_000 + world.rng.below(40_000) as u16;
    match world.rng.below(8) {
        0..=2 => {
            let frame = world.ip(ends, side).tcp(any, port).syn().build();
            world.say(ends, side, frame);
        }
        3 => {
            // To a port that a TFTP client may have asked from.
            let port = FIRST_PORT + world.rng.below(24) as u16;
            let frame = world.ip(ends, 1).udp(any, port).payload(b"\0\x03").build();
            world.say(ends, 1, frame);
        }
        4 => error(world, ends, side),
        _ => tunnel(world, ends, side),
    }
}

fn tunnel<A: Mischievous>(world: &mut World<A>, ends: Ends<A>, side: usize) {
    let call = *world.rng.pick(CALLS);
    let frame = match world.rng.below(20) {
        0 => world.ip(ends, side).gre(0x0800).payload(&[0x45; 20]).build(),
        1 => world.ip(ends, side).protocol(47).payload(&[0x30, 0x01, 0x08, 0, 0, 4, 0, 1]).build(),
        2 => world.ip(ends, side).protocol(47).payload(&[0x30, 0x01, 0x88, 0x0b, 0, 4, 0]).build(),
        _ => world.ip(ends, side).gre_call(call).build(),
    };
    world.say(ends, side, frame);
}

/// An error that quotes a packet of a call.
fn error<A: Mischievous>(world: &mut World<A>, ends: Ends<A>, side: usize) {
    let call = *world.rng.pick(CALLS);
    let [from, to] = [ends[side], ends[1 - side]];
    let (kind, code) = A::ERRORS[0];
    let quoted = eth(Mac::host(1), Mac::host(2)).ip(from, to).gre_call(call).build();
    let frame = world.ip(ends, 1 - side).icmp(kind, code, [0; 4]).quote(&quoted, 48).build();
    world.say(ends, 1 - side, frame);
}

fn tftp(rng: &mut Rng) -> Vec<u8> {
    rng.pick(&[
        &b"\0\x01boot\0octet\0"[..],
        b"\0\x02boot\0octet\0",
        b"\0\x03\0\x01data",
        b"\0\x04\0\x01",
        b"\x01\0",
    ])
    .to_vec()
}

fn irc<A: Mischievous>(rng: &mut Rng, ends: Ends<A>) -> Vec<u8> {
    let mut line = String::new();
    let begins = [
        "PRIVMSG bob :",
        "PRIVMSG bob :",
        "PRIVMSG bob :",
        "privmsg  x :",
        "NOTICE bob :",
        "\r\n PRIVMSG b :hi :",
    ];
    line += *rng.pick(&begins);
    for _ in 0..1 + rng.below(2) {
        let kind = *rng.pick(&["SEND ", "SEND ", "CHAT ", "MOVE ", "TSEND ", "SCHAT ", "RESUME ", "SEND"]);
        let name = *rng.pick(&["f ", "file ", "f\n ", "a b ", " ", "CHAT ", ""]);
        let address = number(ends[usize::from(rng.chance(15))]);
        let space = *rng.pick(&[" ", " ", " ", "   ", "\t"]);
        let port = *rng.pick(ANNOUNCED);
        let end = *rng.pick(&["\x01\r\n", "\x01\n", "\n", "\x01", "\x01 :"]);
        line += &format!("\x01DCC {kind}{name}{address}{space}{port}{end}");
        line += *rng.pick(&["", " :", "PRIVMSG b :"]);
    }
    line.into_bytes()
}

/// An address as DCC writes it: IPv4's whole, of IPv6 the end.
fn number<A: Mischievous>(address: A) -> u32 {
    let bytes = address.network_bytes();
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn amanda(rng: &mut Rng) -> Vec<u8> {
    let mut line =
        rng.pick(&["CONNECT ", "CONNECT ", "CONNECT ", "OPTIONS\nCONNECT ", "CONNEC "]).to_string();
    for _ in 0..rng.below(6) {
        let name = *rng.pick(&["DATA ", "MESG ", "INDEX ", "STATE ", "DATA", "\n"]);
        let port = *rng.pick(ANNOUNCED);
        let port = match rng.below(12) {
            0 => "0".into(),
            1 => format!("{}", u32::from(port) + 65_536),
            2 => "x".into(),
            _ => port.to_string(),
        };
        line += &format!("{name}{port} ");
    }
    line += *rng.pick(&["\n", "\n", "\n", "", "\nDATA 1027\n"]);
    line.into_bytes()
}

fn sane(rng: &mut Rng, side: usize) -> Vec<u8> {
    let [high, low] = rng.pick(ANNOUNCED).to_be_bytes();
    if side == 0 {
        let request = [0, 0, 0, *rng.pick(&[7, 7, 7, 6]), 0, 0, 0, 0];
        return request[..*rng.pick(&[8, 8, 8, 8, 4])].to_vec();
    }
    let answer = [0, 0, 0, u8::from(rng.chance(10)), 0, u8::from(rng.chance(10)), high, low, 0, 0];
    answer[..*rng.pick(&[10, 8, 8, 7])].to_vec()
}

fn control_message(rng: &mut Rng, side: usize) -> Vec<u8> {
    let [client, server] = [*rng.pick(CALLS), *rng.pick(CALLS)];
    let result = if rng.chance(90) { 1 } else { 2 };
    // Each side says its own, mostly, and the session is seldom closed.
    let kinds = if rng.chance(5) {
        &Kind::ALL[..]
    } else if side == 0 {
        &[
            Kind::StartRequest,
            Kind::StartRequest,
            Kind::OutgoingCallRequest,
            Kind::OutgoingCallRequest,
            Kind::IncomingCallReply,
            Kind::IncomingCallReply,
            Kind::CallClearRequest,
        ]
    } else {
        &[
            Kind::StartReply,
            Kind::StartReply,
            Kind::OutgoingCallReply,
            Kind::OutgoingCallReply,
            Kind::IncomingCallRequest,
            Kind::IncomingCallConnected,
            Kind::CallDisconnectNotify,
        ]
    };
    let kind = *rng.pick(kinds);
    let mut message = of_call(kind, [client, server], result);
    if rng.chance(3) {
        let at = rng.index(12);
        message[at] ^= 1;
    }
    message
}

/// A message about the call of these ids.
fn of_call(kind: Kind, [client, server]: [u16; 2], result: u8) -> Vec<u8> {
    match kind {
        Kind::StartReply | Kind::StopReply => kind.answer(result),
        Kind::OutgoingCallReply => kind.of_call(&[server, client], result),
        Kind::IncomingCallReply => kind.of_call(&[client, server], result),
        Kind::OutgoingCallRequest | Kind::IncomingCallConnected => kind.of_call(&[client, 1], 0),
        _ => kind.of_call(&[server, 1], result),
    }
}
