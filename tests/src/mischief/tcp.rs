//! A TCP connection that mostly does what comes next.

use super::{Ends, Mischievous, World};
use crate::packet::Flags;
use crate::rng::Rng;

/// Flags that a peer may send whatever the state, sensible or not.
const ANY_FLAGS: &[u8] =
    &[0x02, 0x12, 0x10, 0x11, 0x04, 0x14, 0x01, 0x00, 0x03, 0x3f, 0x18, 0x30, 0x22, 0x06, 0x29];

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    SynSent,
    SynReceived,
    Open,
    /// That side has said FIN.
    HalfClosed(usize),
    /// Both have; the last FIN waits for its ACK from that side.
    Closing(usize),
}

pub(super) struct Tcp {
    ports: [u16; 2],
    next: [u32; 2],
    phase: Phase,
}

impl Tcp {
    pub(super) fn new(rng: &mut Rng, ports: [u16; 2]) -> Self {
        Self { ports, next: [rng.next() as u32, rng.next() as u32], phase: Phase::Closed }
    }

    /// Says one segment; `data` is what a side has to say when it is its turn.
    pub(super) fn act<A: Mischievous>(
        &mut self,
        world: &mut World<A>,
        ends: Ends<A>,
        data: impl FnOnce(&mut Rng) -> Vec<u8>,
    ) {
        match world.rng.below(100) {
            0..=5 => {
                let side = world.rng.below(2) as usize;
                let flags = *world.rng.pick(ANY_FLAGS);
                self.segment(world, ends, side, flags, &[]);
            }
            // Both at once.
            6 if self.phase == Phase::SynSent => self.segment(world, ends, 1, 0x02, &[]),
            7 => {
                let side = world.rng.below(2) as usize;
                self.segment(world, ends, side, 0x14, &[]);
                self.phase = Phase::Closed;
            }
            8 => self.restart(world),
            _ => self.proceed(world, ends, data),
        }
    }

    fn restart<A: Mischievous>(&mut self, world: &mut World<A>) {
        *self = Self::new(&mut world.rng, self.ports);
    }

    fn proceed<A: Mischievous>(
        &mut self,
        world: &mut World<A>,
        ends: Ends<A>,
        data: impl FnOnce(&mut Rng) -> Vec<u8>,
    ) {
        match self.phase {
            Phase::Closed => {
                self.next = [world.rng.next() as u32, world.rng.next() as u32];
                self.segment(world, ends, 0, 0x02, &[]);
                self.next[0] = self.next[0].wrapping_add(1);
                self.phase = Phase::SynSent;
            }
            Phase::SynSent => {
                self.segment(world, ends, 1, 0x12, &[]);
                self.next[1] = self.next[1].wrapping_add(1);
                self.phase = Phase::SynReceived;
            }
            Phase::SynReceived => {
                self.segment(world, ends, 0, 0x10, &[]);
                self.phase = Phase::Open;
            }
            Phase::Open => {
                let side = world.rng.below(2) as usize;
                if world.rng.chance(6) {
                    self.fin(world, ends, side);
                    self.phase = Phase::HalfClosed(side);
                } else {
                    let data = data(&mut world.rng);
                    self.segment(world, ends, side, if data.is_empty() { 0x10 } else { 0x18 }, &data);
                    self.next[side] = self.next[side].wrapping_add(data.len() as u32);
                }
            }
            Phase::HalfClosed(side) => {
                if world.rng.chance(40) {
                    self.segment(world, ends, 1 - side, 0x10, &[]);
                } else {
                    self.fin(world, ends, 1 - side);
                    self.phase = Phase::Closing(side);
                }
            }
            Phase::Closing(side) => {
                self.segment(world, ends, side, 0x10, &[]);
                self.phase = Phase::Closed;
            }
        }
    }

    fn fin<A: Mischievous>(&mut self, world: &mut World<A>, ends: Ends<A>, side: usize) {
        self.segment(world, ends, side, 0x11, &[]);
        self.next[side] = self.next[side].wrapping_add(1);
    }

    fn segment<A: Mischievous>(
        &self,
        world: &mut World<A>,
        ends: Ends<A>,
        side: usize,
        flags: u8,
        data: &[u8],
    ) {
        let flags = Flags(flags);
        let segment = world.ip(ends, side).tcp(self.ports[side], self.ports[1 - side]).seq(self.next[side]);
        let segment = if flags.0 & Flags::ACK.0 != 0 { segment.ack(self.next[1 - side]) } else { segment };
        let segment = segment.flags(flags).payload(data);
        let frame = if world.rng.chance(2) { segment.bad_checksum() } else { segment }.build();
        world.say(ends, side, frame);
    }
}
