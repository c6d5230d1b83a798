//! An SCTP association that mostly does what comes next, on one path.

use super::{Conversation, Ends, Kind, Mischievous, World};
use crate::packet::{self, chunk};
use crate::rng::Rng;

/// Who sends which chunk next while nothing goes wrong; index 0 is the client.
const SCRIPT: &[(usize, u8)] = &[
    (0, chunk::INIT),
    (1, chunk::INIT_ACK),
    (0, chunk::COOKIE_ECHO),
    (1, chunk::COOKIE_ACK),
    (0, chunk::DATA),
    (1, chunk::SACK),
    (0, chunk::HEARTBEAT),
    (1, chunk::HEARTBEAT_ACK),
    (1, chunk::DATA),
    (0, chunk::SACK),
    (0, chunk::SHUTDOWN),
    (1, chunk::SHUTDOWN_ACK),
    (0, chunk::SHUTDOWN_COMPLETE),
];

/// Chunks that a peer may send whatever the state; 130 is unknown to everybody.
const ANY_CHUNK: &[u8] = &[
    chunk::DATA,
    chunk::INIT,
    chunk::INIT_ACK,
    chunk::HEARTBEAT,
    chunk::HEARTBEAT,
    chunk::HEARTBEAT_ACK,
    chunk::HEARTBEAT_ACK,
    chunk::ABORT,
    chunk::SHUTDOWN,
    chunk::SHUTDOWN_ACK,
    chunk::ERROR,
    chunk::COOKIE_ECHO,
    chunk::COOKIE_ACK,
    chunk::SHUTDOWN_COMPLETE,
    130,
];

/// Tags that nobody has chosen, and that one may meet again.
const STRANGE_TAGS: [u32; 3] = [0, 7, 8];

pub(super) struct Sctp {
    ports: [u16; 2],
    /// What each side wants to be addressed with.
    tags: [u32; 2],
    /// Place in the script.
    next: usize,
}

impl Sctp {
    pub(super) fn new(rng: &mut Rng, ports: [u16; 2]) -> Self {
        // An association that is there already, or another path of one, may begin anywhere.
        let next = if rng.chance(80) { 0 } else { rng.index(SCRIPT.len()) };
        Self { ports, tags: [rng.next() as u32, rng.next() as u32], next }
    }

    /// Says one packet.
    pub(super) fn act<A: Mischievous>(&mut self, world: &mut World<A>, ends: Ends<A>) {
        match world.rng.below(100) {
            0..=14 => {
                let side = world.rng.index(2);
                let count = *world.rng.pick(&[1, 1, 1, 1, 2, 3]);
                let kinds: Vec<u8> = (0..count).map(|_| *world.rng.pick(ANY_CHUNK)).collect();
                self.packet(world, ends, side, &kinds);
            }
            // A side has forgotten everything.
            15 => self.tags[world.rng.index(2)] = world.rng.next() as u32,
            16 => *self = Self::new(&mut world.rng, self.ports),
            _ => {
                let (side, kind) = SCRIPT[self.next];
                self.packet(world, ends, side, &[kind]);
                // Lost, it is said again.
                if !world.rng.chance(10) {
                    self.next = (self.next + 1) % SCRIPT.len();
                }
            }
        }
    }

    fn packet<A: Mischievous>(&self, world: &mut World<A>, ends: Ends<A>, side: usize, kinds: &[u8]) {
        let ip = world.ip(ends, side);
        let tag = self.tag(&mut world.rng, side, kinds[0]);
        let sctp = ip.sctp(self.ports[side], self.ports[1 - side]).tag(tag);
        let sctp = kinds.iter().fold(sctp, |sctp, kind| self.add(&mut world.rng, sctp, side, *kind));
        let sctp = match world.rng.below(60) {
            0 => sctp.bad_checksum(),
            1 => sctp.raw(&[chunk::ABORT, 0, 0, 0]),
            2 => sctp.raw(&[chunk::SHUTDOWN, 0, 0]),
            3 => sctp.raw(&[chunk::SHUTDOWN, 0, 0, 2]),
            _ => sctp,
        };
        world.say(ends, side, sctp.build());
    }

    /// The tag that the rules want, mostly.
    fn tag(&self, rng: &mut Rng, side: usize, kind: u8) -> u32 {
        match rng.below(100) {
            0..=4 => *rng.pick(&STRANGE_TAGS),
            5..=7 => self.tags[side],
            _ if kind == chunk::INIT => 0,
            _ => self.tags[1 - side],
        }
    }

    fn add<A: Mischievous>(
        &self,
        rng: &mut Rng,
        sctp: packet::Sctp<A>,
        side: usize,
        kind: u8,
    ) -> packet::Sctp<A> {
        let tag = if rng.chance(5) { *rng.pick(&STRANGE_TAGS) } else { self.tags[side] };
        match kind {
            // Too short for what it must say.
            chunk::INIT | chunk::INIT_ACK if rng.chance(3) => sctp.chunk(kind, 0, &[0; 8]),
            chunk::INIT => sctp.init(tag),
            chunk::INIT_ACK => sctp.init_ack(tag),
            chunk::DATA => sctp.data(b"a message"),
            kind => {
                let flags = if rng.chance(30) { chunk::REFLECTED } else { 0 };
                let length = rng.index(13);
                sctp.chunk(kind, flags, &[0x61; 12][..length])
            }
        }
    }
}

/// Nothing but associations.
pub(super) fn frames<A: Mischievous>(world: &mut World<A>, count: usize) {
    let mut associations: Vec<_> = (0..super::CONVERSATIONS).map(|_| conversation(world)).collect();
    while world.said.len() < count {
        let place = world.rng.index(associations.len());
        match world.rng.below(100) {
            0..=1 => world.repeat(),
            2 => super::icmp::error(world),
            3 => associations[place] = conversation(world),
            _ => drop(associations[place].act(world)),
        }
    }
}

fn conversation<A: Mischievous>(world: &mut World<A>) -> Conversation<A> {
    let ends = [world.client(), world.server()];
    Conversation { ends, kind: Kind::Sctp(anywhere(&mut world.rng)) }
}

/// Between few ports, so that they are used again.
pub(super) fn anywhere(rng: &mut Rng) -> Sctp {
    let ports = [40_000 + rng.below(6) as u16, *rng.pick(&[2905, 3868])];
    Sctp::new(rng, ports)
}
