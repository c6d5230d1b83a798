//! TCP segments at the edges: sequence and acknowledgement numbers that fit, miss by one or lie a window away,
//! windows of every size, window scale and selective acknowledgements, resets, ports used again, connections
//! picked up in mid-stream.
//!
//! A few connections at a time; each mostly goes on as its ends would, and then one of them does not.

use super::{Ends, Mischievous, World};
use crate::packet::{Flags, Tcp, TcpOption};
use crate::rng::Rng;

const CONNECTIONS: usize = 4;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// Flags of a segment out of turn, in the frequency that is of use: those that a tracker must weigh come often.
const WILD: &[u8] = &[
    SYN,
    SYN,
    SYN,
    SYN | ACK,
    SYN | ACK,
    SYN | ACK,
    ACK,
    ACK,
    ACK,
    ACK,
    FIN | ACK,
    FIN | ACK,
    RST,
    RST,
    RST | ACK,
    RST | ACK,
    0x18,
    0x38,
    FIN,
    0,
    SYN | FIN,
    0x3f,
    0xc2,
    0x22,
    SYN | RST,
];
const WINDOWS: &[u16] = &[0, 0, 1, 10, 100, 1000, 1000, 8192, 65_535];
const LENGTHS: &[usize] = &[0, 0, 0, 1, 1, 9, 100, 100, 600];
const SCALES: &[u8] = &[0, 1, 2, 7, 14, 15, 255];
/// Linux lets an acknowledgement lag behind by this much, or by the sender's window.
const ACK_LAG: u32 = 66_000;
/// Option bytes that are cut, contradict themselves or are of a kind that nobody knows.
const BROKEN_OPTIONS: &[&[u8]] = &[
    &[3],
    &[3, 2],
    &[3, 0],
    &[3, 4, 7, 0],
    &[2, 40, 1],
    &[0, 3, 3, 7],
    &[1, 1, 3, 3],
    &[99, 3, 1, 3, 3, 9],
    &[5, 9, 0, 0, 0, 1, 0, 0, 9],
    &[4, 3, 0],
];

pub(super) fn frames<A: Mischievous>(world: &mut World<A>, count: usize) {
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| Connection::new(world)).collect();
    while world.said.len() < count {
        let place = world.rng.index(CONNECTIONS);
        match world.rng.below(100) {
            0 => world.repeat(),
            1 => connections[place] = Connection::new(world),
            2 => connections[place].restart(&mut world.rng),
            _ => connections[place].act(world),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    SynSent,
    SynReceived,
    Open,
    /// That side has said FIN.
    HalfClosed(usize),
}

/// What one side has said and heard.
#[derive(Clone, Copy, Debug)]
struct End {
    first: u32,
    next: u32,
    heard: u32,
    window: u16,
    scale: u8,
}

struct Connection<A> {
    ends: Ends<A>,
    ports: [u16; 2],
    phase: Phase,
    sides: [End; 2],
    /// How often of a hundred times a segment is out of turn.
    wildness: u64,
}

impl<A: Mischievous> Connection<A> {
    fn new(world: &mut World<A>) -> Self {
        let ends = [world.client(), world.server()];
        let ports = [20_000 + world.rng.below(20_000) as u16, 80];
        let wildness = *world.rng.pick(&[5, 30, 70]);
        let sides = [end(&mut world.rng), end(&mut world.rng)];
        let phase = *world.rng.pick(&[Phase::Closed, Phase::Closed, Phase::Closed, Phase::Open]);
        Self { ends, ports, phase, sides, wildness }
    }

    fn restart(&mut self, rng: &mut Rng) {
        self.sides = [end(rng), end(rng)];
        self.phase = Phase::Closed;
    }

    fn act(&mut self, world: &mut World<A>) {
        if world.rng.chance(self.wildness) {
            self.misbehave(world);
        } else {
            self.proceed(world);
        }
    }

    /// What comes next; a segment is lost behind the gateway at times, and comes again.
    fn proceed(&mut self, world: &mut World<A>) {
        let rng = &mut world.rng;
        let side = rng.index(2);
        let (side, flags, length, phase) = match self.phase {
            Phase::Closed => (0, SYN, 0, Phase::SynSent),
            Phase::SynSent if rng.chance(8) => (1, SYN, 0, Phase::SynReceived),
            Phase::SynSent => (1, SYN | ACK, 0, Phase::SynReceived),
            Phase::SynReceived => (0, ACK, 0, Phase::Open),
            Phase::Open if rng.chance(10) => (side, FIN | ACK, *rng.pick(LENGTHS), Phase::HalfClosed(side)),
            Phase::Open => (side, ACK, *rng.pick(LENGTHS), Phase::Open),
            Phase::HalfClosed(first) if rng.chance(40) => (1 - first, FIN | ACK, 0, Phase::HalfClosed(first)),
            Phase::HalfClosed(_) if rng.chance(10) => (side, RST | ACK, 0, Phase::Closed),
            Phase::HalfClosed(first) => (side, ACK, 0, Phase::HalfClosed(first)),
        };
        let lost = rng.chance(10);
        let (seq, ack) = (self.sides[side].next, self.sides[1 - side].next);
        self.say(world, side, flags, (seq, ack), length);
        if !lost {
            let end = &mut self.sides[side];
            end.next = seq
                .wrapping_add(length as u32)
                .wrapping_add(u32::from(flags & SYN != 0))
                .wrapping_add(u32::from(flags & FIN != 0));
            end.heard = ack;
            self.phase = phase;
        }
    }

    /// A segment out of turn.
    fn misbehave(&mut self, world: &mut World<A>) {
        let rng = &mut world.rng;
        let side = rng.index(2);
        let flags = *rng.pick(WILD);
        let length = *rng.pick(LENGTHS);
        let seq = self.near_seq(rng, side);
        let ack = self.near_ack(rng, side);
        self.say(world, side, flags, (seq, ack), length);
        if world.rng.chance(30) {
            self.sides[side].next = seq.wrapping_add(length as u32);
        }
        if flags & RST != 0 && world.rng.chance(30) {
            self.phase = Phase::Closed;
        }
    }

    /// Where the side is, or a place that a tracker might mistake for it.
    fn near_seq(&self, rng: &mut Rng, side: usize) -> u32 {
        let (own, other) = (self.sides[side], self.sides[1 - side]);
        let window = u32::from(other.window) << other.scale.min(14);
        let base = *rng.pick(&[own.next, own.next, own.next, own.first, other.heard, other.heard]);
        let step = *rng.pick(&[0, 0, 0, window, window.wrapping_neg(), 1000, 100_000, 0x8000_0000]);
        match rng.below(20) {
            0 => 0,
            1 => rng.next() as u32,
            _ => base.wrapping_add(step).wrapping_add(by_a_hair(rng)),
        }
    }

    fn near_ack(&self, rng: &mut Rng, side: usize) -> u32 {
        let (own, other) = (self.sides[side], self.sides[1 - side]);
        let window = u32::from(own.window) << own.scale.min(14);
        let base = *rng.pick(&[other.next, other.next, other.next, other.first, own.heard]);
        let step = *rng.pick(&[0, 0, 0, 1000, window.wrapping_neg(), ACK_LAG.wrapping_neg(), 0x8000_0000]);
        match rng.below(20) {
            0..=1 => 0,
            2 => rng.next() as u32,
            _ => base.wrapping_add(step).wrapping_add(by_a_hair(rng)),
        }
    }

    fn say(&mut self, world: &mut World<A>, side: usize, flags: u8, (seq, ack): (u32, u32), length: usize) {
        if world.rng.chance(20) {
            self.sides[side].window = *world.rng.pick(WINDOWS);
        }
        let segment = world.ip(self.ends, side).tcp(self.ports[side], self.ports[1 - side]);
        let segment = segment.seq(seq).window(self.sides[side].window);
        let stray_ack = world.rng.chance(5);
        let segment = if flags & ACK != 0 || stray_ack { segment.ack(ack) } else { segment };
        // Without the flag the number may still stand there.
        let segment = if stray_ack { segment.without(Flags::ACK) } else { segment };
        let segment = self.options(&mut world.rng, side, flags, segment.flags(Flags(flags)));
        let segment = segment.payload(&vec![0x61; length]);
        let segment = if world.rng.chance(1) { segment.bad_checksum() } else { segment };
        world.say(self.ends, side, segment.build());
    }

    fn options(&mut self, rng: &mut Rng, side: usize, flags: u8, mut segment: Tcp<A>) -> Tcp<A> {
        if rng.chance(3) {
            let bytes: &[u8] = rng.pick::<&[u8]>(BROKEN_OPTIONS);
            return segment.raw_options(bytes);
        }
        if flags & SYN != 0 {
            if rng.chance(70) {
                segment = segment.option(TcpOption::Mss(1460));
            }
            if rng.chance(50) {
                segment = segment.option(TcpOption::SackPermitted);
            }
            if rng.chance(50) {
                let scale = *rng.pick(SCALES);
                self.sides[side].scale = scale;
                segment = segment.option(TcpOption::WindowScale(scale));
            }
        } else {
            if rng.chance(20) {
                segment = segment.option(TcpOption::Timestamps(1, 2));
            }
            for _ in 0..*rng.pick(&[0, 0, 0, 0, 0, 1, 1, 2]) {
                let edge = self.near_ack(rng, side);
                segment = segment.option(TcpOption::Sack(edge.wrapping_sub(10), edge));
            }
        }
        segment
    }
}

fn end(rng: &mut Rng) -> End {
    // Near the wrap at times.
    let first = if rng.chance(10) { 0_u32.wrapping_sub(rng.below(200) as u32) } else { rng.next() as u32 };
    End { first, next: first, heard: first, window: *rng.pick(WINDOWS), scale: 0 }
}

/// −1, 0 or 1, mostly 0.
fn by_a_hair(rng: &mut Rng) -> u32 {
    *rng.pick(&[0, 0, 0, 0, 1, 1_u32.wrapping_neg()])
}
