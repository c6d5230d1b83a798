//! ICMP errors of every kind about packets of every kind: quotes that are cut, changed, turned round or about
//! another error; to the sender, or to somebody else.

use super::{Conversation, Mischievous, World, icmp};
use crate::mutate::mutate;
use crate::packet::packet_of;

const CONVERSATIONS: usize = 12;
/// The longest quote that a random cut leaves.
const CUT_MAX: usize = 70;
/// ICMPv6: a redirect quotes in an option (RFC 4861 §4.6.3).
const REDIRECT_V6: u8 = 137;
const REDIRECTED_HEADER: u8 = 4;
/// A link header, for changing what comes behind it.
const LINK: usize = 14;

pub(super) fn frames<A: Mischievous>(world: &mut World<A>, count: usize) {
    let mut conversations: Vec<_> = (0..CONVERSATIONS).map(|_| Conversation::new(world)).collect();
    while world.said.len() < count {
        match world.rng.below(100) {
            0..=49 => error(world),
            50..=54 => icmp::error(world),
            55..=57 => conversations[0] = Conversation::new(world),
            _ => {
                let place = world.rng.index(CONVERSATIONS);
                // What an FTP command opens is of no interest here.
                let _ = conversations[place].act(world);
            }
        }
    }
}

fn error<A: Mischievous>(world: &mut World<A>) {
    let Some((frame, [sender, receiver])) = World::<A>::recent(&mut world.rng, &world.quotable) else {
        return;
    };
    let quote = quote(world, &frame);
    let to = match world.rng.below(20) {
        0 => world.client(),
        1 => world.server(),
        2 => receiver,
        _ => sender,
    };
    let (kind, code) = *world.rng.pick(A::ERRORS);
    let (kind, code) = match world.rng.below(20) {
        0 => (world.rng.below(140) as u8, code),
        1 => (kind, world.rng.below(20) as u8),
        _ => (kind, code),
    };
    // Only a neighbour may redirect.
    let from = match world.rng.below(10) {
        0..=3 => receiver,
        4..=7 if kind == REDIRECT_V6 => A::NEIGHBOUR,
        _ => A::ROUTER,
    };
    let ends = [from, to];
    let ip = world.ip(ends, 0);
    let error = if kind == REDIRECT_V6 {
        let length = (quote.len() / 8 + 1) as u8;
        let option = [REDIRECTED_HEADER, *world.rng.pick(&[length, length, length, 0, 1]), 0, 0, 0, 0, 0, 0];
        let quote = [&[0; 32][..], &option, &quote].concat();
        ip.hop_limit(*world.rng.pick(&[255, 255, 255, 64])).icmp(kind, code, [0; 4]).payload(&quote)
    } else {
        ip.icmp(kind, code, [0; 4]).payload(&quote)
    };
    let error = if world.rng.chance(3) { error.bad_checksum() } else { error };
    world.say(ends, 0, error.build());
}

/// What an error says of `frame`: its packet, or nearly.
fn quote<A: Mischievous>(world: &mut World<A>, frame: &[u8]) -> Vec<u8> {
    let rng = &mut world.rng;
    let mut packet = packet_of(frame).to_vec();
    match rng.below(10) {
        0..=4 => {}
        5..=7 => packet.truncate(rng.index(CUT_MAX)),
        8 => {
            let mut frame = [&[0; LINK][..], &packet].concat();
            mutate(&mut frame, rng);
            packet = frame.get(LINK..).unwrap_or_default().to_vec();
        }
        _ => turn_round(&mut packet),
    }
    packet
}

/// As if the packet had gone the other way: addresses and ports changed over.
fn turn_round(packet: &mut [u8]) {
    let (addresses, length, ports) = match packet.first().map(|byte| byte >> 4) {
        Some(4) => (12, 4, 20),
        Some(6) => (8, 16, 40),
        _ => return,
    };
    if packet.len() >= ports + 4 {
        packet[addresses..addresses + 2 * length].rotate_left(length);
        packet[ports..ports + 4].rotate_left(2);
    }
}
