//! Fragments of a few datagrams that two hosts send each other: in any order, overlapping, cut, late, or never whole.
//!
//! An input is: the family (1 byte: 1 IPv6), and a list of fragments of 8 bytes each.

use super::input::Input;
use super::pair;
use crate::conversation::{Conversation, Host, Passage, Side};
use crate::packet::Mac;
use crate::rng::Rng;
use crate::scenario::Family;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a datagram may carry: UDP, TCP, GRE, and no protocol that is known.
const PROTOCOLS: [u8; 4] = [17, 6, 47, 253];
/// Payload bytes of a fragment, at most.
const LENGTH_MAX: u16 = 1480;
/// The last place in a datagram where a fragment can begin.
const OFFSET_MAX: u16 = 0xfff8;

pub(super) fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let Some(family) = input.byte() else { return };
    let passages = if family & 1 == 0 { play::<Ipv4Addr>(&mut input) } else { play::<Ipv6Addr>(&mut input) };
    pair::play(&passages, |config| config.conntrack.checksum = family & 2 != 0);
}

fn play<A: Family>(input: &mut Input<'_>) -> Vec<Passage> {
    let client = Host { mac: Mac::host(1), ip: A::client(1) };
    let server = Host { mac: Mac::host(2), ip: A::server(1) };
    let mut talk = Conversation::new(client, server, 0, Rng::new(1));
    while let Some(bits) = input.byte() {
        let side = if bits & 1 == 0 { Side::Lan } else { Side::Wan };
        let more = bits & 2 != 0;
        let protocol = PROTOCOLS[usize::from(bits >> 2) % 4];
        let id = u32::from(bits >> 4) % 4;
        let offset = input.word().saturating_mul(8).min(OFFSET_MAX);
        // IPv4's length field has 16 bits, and so has what is put together.
        let length = (input.word() % (LENGTH_MAX + 1)).min(u16::MAX - offset);
        let pattern = input.byte().unwrap_or(0);
        talk.pause_us(u64::from(input.word()) * 1000);
        let payload: Vec<u8> = (0..length).map(|i| (i as u8).wrapping_add(pattern)).collect();
        let whole = bits & 0x40 != 0;
        let ip = talk.ip(side).id(id);
        let ip = if whole { ip } else { ip.fragment(offset, more) };
        let frame = ip.protocol(protocol).payload(&payload).build();
        talk.say(side, frame);
    }
    talk.finish()
}
