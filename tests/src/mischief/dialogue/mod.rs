//! Dialogues that a helper listens to, and the flows that they announce: messages cut across segments at random,
//! sent again, lost in front of the gateway or garbled; children that come as announced, or nearly.
//!
//! One file a helper: it says what comes next and where a child might go.

mod binary;
mod ftp;
mod irc;
mod pptp;
mod sip;
mod tftp;

use super::{Ends, Mischievous, World};
use crate::packet::Flags;
use crate::rng::Rng;

pub(super) use binary::{Amanda, Sane};
pub(super) use ftp::Ftp;
pub(super) use irc::Irc;
pub(super) use pptp::Pptp;
pub(super) use sip::{SipTcp, SipUdp};
pub(super) use tftp::Tftp;

/// Dialogues at a time.
const DIALOGUES: usize = 3;
/// Messages of a dialogue, at most.
const MESSAGES_MAX: u64 = 12;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// Where a child of a dialogue goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<A> {
    pub(super) kind: ChildKind,
    pub(super) ends: Ends<A>,
    /// Source and destination port, or GRE call numbers of the two directions.
    pub(super) ports: [u16; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildKind {
    Tcp,
    Udp,
    /// GRE version 1, as PPTP uses it (RFC 2637).
    Gre,
}

/// What a helper's protocol says.
pub(super) trait Script<A: Mischievous>: Sized {
    /// Whether it goes over TCP.
    const TCP: bool;
    /// Where the server listens.
    const PORT: u16;
    /// A new dialogue between `ends`, the client's port being `port`.
    fn new(rng: &mut Rng, ends: Ends<A>, port: u16) -> Self;
    /// The next message, the side that says it, and the children that it may have.
    fn next(&mut self, rng: &mut Rng) -> (usize, Vec<u8>, Vec<Child<A>>);
}

pub(super) fn frames<A: Mischievous, S: Script<A>>(world: &mut World<A>, count: usize) {
    let mut dialogues: Vec<_> = (0..DIALOGUES).map(|_| Dialogue::<A, S>::new(world)).collect();
    while world.said.len() < count {
        let place = world.rng.index(DIALOGUES);
        let over = match world.rng.below(20) {
            0 => {
                world.repeat();
                false
            }
            1 => {
                super::icmp::error(world);
                false
            }
            _ => dialogues[place].act(world),
        };
        if over {
            dialogues[place] = Dialogue::new(world);
        }
    }
}

struct Dialogue<A, S> {
    ends: Ends<A>,
    ports: [u16; 2],
    next: [u32; 2],
    opened: usize,
    left: u64,
    script: S,
    children: Vec<Child<A>>,
}

impl<A: Mischievous, S: Script<A>> Dialogue<A, S> {
    fn new(world: &mut World<A>) -> Self {
        let ends = [world.client(), world.server()];
        let rng = &mut world.rng;
        // Few ports, so that they are used again.
        let port = 30_000 + rng.below(40) as u16;
        Self {
            ends,
            ports: [port, S::PORT],
            next: [rng.next() as u32, rng.next() as u32],
            opened: if S::TCP { 0 } else { 3 },
            left: 1 + rng.below(MESSAGES_MAX),
            script: S::new(rng, ends, port),
            children: Vec::new(),
        }
    }

    /// Says one thing; whether it was the last.
    fn act(&mut self, world: &mut World<A>) -> bool {
        match self.opened {
            0 => self.segment(world, 0, SYN, &[]),
            1 => self.segment(world, 1, SYN | ACK, &[]),
            2 => self.segment(world, 0, ACK, &[]),
            _ if !self.children.is_empty() && world.rng.chance(40) => self.child(world),
            _ if self.left == 0 => return true,
            _ => {
                self.left -= 1;
                self.message(world);
            }
        }
        if self.opened < 3 {
            self.opened += 1;
        }
        false
    }

    fn message(&mut self, world: &mut World<A>) {
        let (side, mut bytes, children) = self.script.next(&mut world.rng);
        if world.rng.chance(5) && !bytes.is_empty() {
            let at = world.rng.index(bytes.len());
            bytes[at] = world.rng.next() as u8;
        }
        self.children.extend(children);
        if S::TCP {
            self.segments(world, side, &bytes);
        } else {
            let datagram =
                world.ip(self.ends, side).udp(self.ports[side], self.ports[1 - side]).payload(&bytes);
            world.say(self.ends, side, datagram.build());
        }
    }

    /// The message in one segment, mostly, or in several; at times one is lost and comes later or never.
    fn segments(&mut self, world: &mut World<A>, side: usize, bytes: &[u8]) {
        let mut pieces = vec![bytes];
        for _ in 0..*world.rng.pick(&[0, 0, 0, 1, 1, 2]) {
            let last = pieces.pop().unwrap_or_default();
            let (a, b) = last.split_at(world.rng.index(last.len() + 1));
            pieces.extend([a, b]);
        }
        for piece in pieces {
            let before = self.next[side];
            if world.rng.chance(97) {
                self.segment(world, side, ACK | PSH, piece);
            } else {
                self.next[side] = before.wrapping_add(piece.len() as u32);
            }
            if world.rng.chance(5) {
                let after = std::mem::replace(&mut self.next[side], before);
                self.segment(world, side, ACK | PSH, piece);
                self.next[side] = after;
            }
        }
        if world.rng.chance(50) {
            self.segment(world, 1 - side, ACK, &[]);
        }
    }

    fn segment(&mut self, world: &mut World<A>, side: usize, flags: u8, data: &[u8]) {
        let segment = world.ip(self.ends, side).tcp(self.ports[side], self.ports[1 - side]);
        let segment = segment.seq(self.next[side]).flags(Flags(flags)).payload(data);
        let segment = if flags & ACK != 0 { segment.ack(self.next[1 - side]) } else { segment };
        world.say(self.ends, side, segment.build());
        let length = data.len() as u32 + u32::from(flags & SYN != 0);
        self.next[side] = self.next[side].wrapping_add(length);
    }

    /// A packet of a child, as announced or nearly so; it may come before the helper can know of it.
    fn child(&mut self, world: &mut World<A>) {
        let place = world.rng.index(self.children.len());
        let mut child = self.children[place];
        match world.rng.below(12) {
            0 => child.ports[1] = child.ports[1].wrapping_add(1),
            1 => child.ends[0] = world.client(),
            2 => child.ends[1] = world.server(),
            3 => child.ends.reverse(),
            _ => {}
        }
        let side = usize::from(world.rng.chance(30));
        let ip = world.ip(child.ends, side);
        let [source, destination] = [child.ports[side], child.ports[1 - side]];
        let frame = match child.kind {
            ChildKind::Tcp if side == 0 => ip.tcp(source, destination).seq(1000).flags(Flags(SYN)).build(),
            ChildKind::Tcp => ip.tcp(source, destination).seq(2000).ack(1001).flags(Flags(SYN)).build(),
            ChildKind::Udp => ip.udp(source, destination).payload(b"media").build(),
            ChildKind::Gre => ip.protocol(47).payload(&gre(destination)).build(),
        };
        world.say(child.ends, side, frame);
        if world.rng.chance(10) {
            self.children.swap_remove(place);
        }
    }
}

/// A GRE header of version 1 with key and sequence number: no payload, call `call` of the receiver.
fn gre(call: u16) -> Vec<u8> {
    let [high, low] = call.to_be_bytes();
    vec![0x30, 0x01, 0x88, 0x0b, 0, 0, high, low, 0, 0, 0, 1]
}

/// `own` mostly; somebody else's at times.
fn mostly<A: Mischievous>(rng: &mut Rng, own: A) -> A {
    if rng.chance(10) { A::client(rng.below(super::CLIENTS) as u32) } else { own }
}
