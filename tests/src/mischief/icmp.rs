//! ICMP: questions, answers, announcements, and errors that quote what was said.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Ends, Mischievous, World, ftp};
use crate::packet::Ip;
use crate::rng::Rng;
use crate::scenario::Family;

impl Mischievous for Ipv4Addr {
    const ERRORS: &'static [(u8, u8)] = &[(3, 0), (3, 1), (3, 3), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0)];
    const MESSAGES: &'static [u8] = &[0, 8, 0, 8, 0, 8, 13, 14, 15, 16, 17, 18, 9, 10, 19, 40];
    const NEIGHBOUR: Self = Self::new(198, 18, 0, 1);

    fn ftp_line(rng: &mut Rng, client: Self, server: Self, port: u16) -> Vec<u8> {
        // At times somebody else's address.
        let [client, server] = if rng.chance(10) { [server, client] } else { [client, server] };
        let line = match rng.below(3) {
            0 => format!("PORT {}\r\n", ftp::comma_place(rng, client, port)),
            1 => format!("227 Entering Passive Mode ({}).\r\n", ftp::comma_place(rng, server, port)),
            _ => ftp::extended_line(rng, Self::FTP_FAMILY, client.into(), port),
        };
        cut(rng, line)
    }

    fn with_options(rng: &mut Rng, ip: Ip<Self>) -> Ip<Self> {
        ip.options(rng.pick::<&[u8]>(&[&[1], &[1, 1, 1, 0], &[7, 7, 4, 0, 0, 0, 0], &[148, 4, 0, 0]]))
    }
}

impl Mischievous for Ipv6Addr {
    const ERRORS: &'static [(u8, u8)] = &[(1, 0), (1, 4), (2, 0), (3, 0), (4, 1), (137, 0)];
    const MESSAGES: &'static [u8] =
        &[128, 129, 128, 129, 128, 129, 130, 131, 133, 135, 136, 139, 140, 143, 200];
    const NEIGHBOUR: Self = Self::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    fn ftp_line(rng: &mut Rng, client: Self, server: Self, port: u16) -> Vec<u8> {
        let client = if rng.chance(10) { server } else { client };
        let line = ftp::extended_line(rng, Self::FTP_FAMILY, client.into(), port);
        cut(rng, line)
    }

    fn with_options(rng: &mut Rng, ip: Ip<Self>) -> Ip<Self> {
        const HOP_BY_HOP: u8 = 0;
        const DESTINATION: u8 = 60;
        const ROUTING: u8 = 43;
        match rng.below(4) {
            0 => ip.extension(HOP_BY_HOP, &[1, 0]),
            1 => ip.extension(DESTINATION, &[1, 4]),
            2 => ip.extension(ROUTING, &[0, 0]),
            _ => ip.extension(HOP_BY_HOP, &[5, 2, 0, 0]).extension(DESTINATION, &[1, 10]),
        }
    }
}

/// At times the line goes on in another segment, or never.
fn cut(rng: &mut Rng, line: String) -> Vec<u8> {
    let mut line = line.into_bytes();
    if rng.chance(8) {
        line.truncate(rng.below(line.len() as u64) as usize);
    }
    line
}

pub(super) fn message<A: Mischievous>(world: &mut World<A>, ends: Ends<A>, id: u16) {
    let kind = *world.rng.pick(A::MESSAGES);
    // Answers come from the server, mostly.
    let side = usize::from(kind == A::ECHO_REPLY) ^ usize::from(world.rng.chance(10));
    let [high, low] = id.to_be_bytes();
    let message = world.ip(ends, side).icmp(kind, 0, [high, low, 0, 1]).payload(&[0x61; 24]);
    let message = if world.rng.chance(3) { message.bad_checksum() } else { message };
    world.say(ends, side, message.build());
}

/// An error to the sender of an earlier packet, from its receiver or from a router between; at times to somebody
/// else, quoting too little, or broken.
pub(super) fn error<A: Mischievous>(world: &mut World<A>) {
    let Some((frame, [sender, receiver])) = World::<A>::recent(&mut world.rng, &world.quotable) else {
        return;
    };
    let from = if world.rng.chance(50) { receiver } else { A::ROUTER };
    let to = if world.rng.chance(10) { world.client() } else { sender };
    let (kind, code) = *world.rng.pick(A::ERRORS);
    let length = *world.rng.pick(&[576, 576, 64, 48, 28, 22]);
    let ends = [from, to];
    let error = world.ip(ends, 0).icmp(kind, code, [0; 4]).quote(&frame, length);
    let error = if world.rng.chance(3) { error.bad_checksum() } else { error };
    world.say(ends, 0, error.build());
}
