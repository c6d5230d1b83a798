//! Fragments of every kind: datagrams cut at random, in any order, with parts that come twice, overlap, contradict
//! each other or never come, while others of the same hosts are on their way. Headers that make no sense are among
//! them.

use super::{Ends, Mischievous, World};
use crate::packet::checksum::{fold, sum};
use crate::packet::{Ip, Mac, eth, packet_of};
use crate::rng::Rng;
use crate::scenario::Family;

/// Datagrams on their way at once.
const DATAGRAMS: usize = 10;
/// Identifications, so that they are used again.
const IDS: u64 = 24;
/// What fits behind any header into 1500 bytes. (A Linux bridge loses IPv4 datagrams with longer fragments.)
const PART_MAX: usize = 1400;
const DESTINATION_OPTIONS: u8 = 60;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;

/// A part of a datagram as its fragment says.
#[derive(Clone, Copy, Debug)]
struct Part {
    from: usize,
    to: usize,
    more: bool,
}

/// How a datagram's fragments look; none of it need be the same in all of them.
#[derive(Clone, Copy, Debug)]
struct Style {
    vlan: Option<u16>,
    pppoe: bool,
    ecn: u8,
    /// IPv4: bytes of options. IPv6: extension headers before the fragment header.
    headers: u8,
}

struct Datagram<A> {
    ends: Ends<A>,
    side: usize,
    id: u32,
    protocol: u8,
    bytes: Vec<u8>,
    style: Style,
    parts: Vec<Part>,
}

/// Says `count` frames, or some more.
pub(super) fn frames<A: Mischievous>(world: &mut World<A>, count: usize) {
    let mut datagrams: Vec<_> = (0..DATAGRAMS).map(|_| Datagram::new(world)).collect();
    while world.said.len() < count {
        match world.rng.below(100) {
            0..=2 => world.repeat(),
            3..=7 => whole(world),
            _ => {
                let place = world.rng.below(DATAGRAMS as u64) as usize;
                if !datagrams[place].go_on(world) {
                    datagrams[place] = Datagram::new(world);
                }
            }
        }
    }
}

/// An address family with what differs in its fragments.
pub trait Fragmented: Family {
    /// Bytes of the header in front of the transport.
    const HEADER: usize;
    /// Where the header names what it carries.
    const PROTOCOL: usize;

    /// Adds headers of this kind.
    fn dress(ip: Ip<Self>, headers: u8) -> Ip<Self>;
}

impl Fragmented for std::net::Ipv4Addr {
    const HEADER: usize = 20;
    const PROTOCOL: usize = 9;

    fn dress(ip: Ip<Self>, headers: u8) -> Ip<Self> {
        match headers {
            0 => ip,
            // Router alert, and an empty record of the route.
            1 => ip.options(&[0x94, 4, 0, 0]),
            _ => ip.options(&[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0]),
        }
    }
}

impl Fragmented for std::net::Ipv6Addr {
    const HEADER: usize = 40;
    const PROTOCOL: usize = 6;

    fn dress(ip: Ip<Self>, headers: u8) -> Ip<Self> {
        const PADDING: &[u8] = &[1, 4, 0, 0, 0, 0];
        match headers {
            0 => ip,
            1 => ip.extension(HOP_BY_HOP, PADDING),
            _ => ip.extension(DESTINATION_OPTIONS, PADDING).extension(ROUTING, &[4, 0, 0, 0, 0, 0]),
        }
    }
}

/// Datagrams that are not cut keep the flows going.
fn whole<A: Mischievous>(world: &mut World<A>) {
    let ends = [world.client(), world.server()];
    let side = usize::from(world.rng.chance(50));
    let frame = world.ip(ends, side).udp(PORTS[side], PORTS[1 - side]).payload(b"whole").build();
    world.say(ends, side, frame);
}

const PORTS: [u16; 2] = [40_000, 53];

impl<A: Mischievous> Datagram<A> {
    fn new(world: &mut World<A>) -> Self {
        // Few hosts, so that identifications clash.
        let ends = [A::client(world.rng.below(3) as u32), A::server(0)];
        let side = usize::from(world.rng.chance(30));
        let id = world.rng.below(IDS) as u32;
        let (protocol, bytes) = contents(world, ends, side);
        let rng = &mut world.rng;
        let style = Style {
            vlan: rng.chance(10).then_some(7),
            pppoe: rng.chance(5),
            ecn: if rng.chance(15) { 2 } else { 0 },
            headers: if rng.chance(20) { 1 + rng.below(2) as u8 } else { 0 },
        };
        let parts = parts(rng, bytes.len());
        Self { ends, side, id, protocol, bytes, style, parts }
    }

    /// Says its next part; `false` when there is none.
    fn go_on(&mut self, world: &mut World<A>) -> bool {
        let Some(part) = self.parts.pop() else { return false };
        let style = varied(&mut world.rng, self.style);
        let link = eth(Mac::host(1 + self.side as u32), Mac::host(2 - self.side as u32));
        let link = match style.vlan {
            Some(id) => link.vlan(id),
            None => link,
        };
        let (from, to) = (self.ends[self.side], self.ends[1 - self.side]);
        let ip = if style.pppoe { link.pppoe(1).ip(from, to) } else { link.ip(from, to) };
        let ip = A::dress(ip, style.headers).id(self.id).ecn(style.ecn);
        let protocol = if world.rng.chance(2) { 99 } else { self.protocol };
        let start = part.from.min(self.bytes.len());
        let mut carried = self.bytes[start..part.to.clamp(start, self.bytes.len())].to_vec();
        carried.resize(part.to - part.from, 0x5a);
        let mut frame = ip.fragment(part.from as u16, part.more).protocol(protocol).payload(&carried).build();
        if world.rng.chance(8) {
            bend(&mut world.rng, &mut frame);
        }
        world.said.push(frame);
        true
    }
}

/// Protocol and bytes of a datagram.
fn contents<A: Mischievous>(world: &mut World<A>, ends: Ends<A>, side: usize) -> (u8, Vec<u8>) {
    let length = match world.rng.below(4) {
        0 => world.rng.below(40),
        1 => world.rng.below(4000),
        _ => 40 + world.rng.below(400),
    };
    let payload = vec![0x61; length as usize];
    let ip = world.ip(ends, side);
    let bad = world.rng.chance(5);
    let frame = match world.rng.below(10) {
        0..=5 => {
            let datagram = ip.udp(PORTS[side], PORTS[1 - side]).payload(&payload);
            if bad { datagram.bad_checksum() } else { datagram }.build()
        }
        6 => {
            let segment = ip.tcp(40_000 + world.rng.below(4) as u16, 80).syn().payload(&payload);
            if bad { segment.bad_checksum() } else { segment }.build()
        }
        7..=8 => {
            let echo = if side == 0 { ip.echo_request(3, 1) } else { ip.echo_reply(3, 1) };
            let echo = echo.payload(&payload);
            if bad { echo.bad_checksum() } else { echo }.build()
        }
        _ => ip.protocol(99).payload(&payload).build(),
    };
    let packet = packet_of(&frame);
    (packet[A::PROTOCOL], packet[A::HEADER..].to_vec())
}

/// Where and in which order it is cut; the last one is said first.
fn parts(rng: &mut Rng, length: usize) -> Vec<Part> {
    let step = match rng.below(4) {
        0 => 8,
        1 => PART_MAX,
        _ => 8 * (1 + rng.below(20) as usize),
    };
    // No more than can be told apart in a short stream.
    let step = step.max(length / 12).next_multiple_of(8);
    let mut parts: Vec<Part> = (0..length.max(1))
        .step_by(step)
        .map(|from| Part { from, to: (from + step).min(length), more: from + step < length })
        .collect();
    parts.reverse();
    match rng.below(10) {
        0..=4 => {}
        5..=6 => parts.reverse(),
        _ => shuffle(rng, &mut parts),
    }
    if rng.chance(45) {
        spoil(rng, &mut parts);
    }
    parts
}

/// Adds, changes or takes out a part.
fn spoil(rng: &mut Rng, parts: &mut Vec<Part>) {
    let at = rng.below(parts.len() as u64) as usize;
    let part = parts[at];
    let place = rng.below(parts.len() as u64 + 1) as usize;
    let wider = part.to.next_multiple_of(8) + 8;
    match rng.below(11) {
        0..=1 => parts.insert(place, part),
        2 => drop(parts.remove(at)),
        // Contained in several, or in one and the next.
        3 => parts.insert(place, Part { to: wider, more: true, ..part }),
        4 => parts.insert(place, Part { from: part.from.saturating_sub(8), to: part.to, more: part.more }),
        5 => parts.insert(place, Part { more: !part.more, ..part }),
        6 => parts.insert(place, Part { to: part.from, ..part }),
        7 => parts.insert(place, Part { to: (part.from + 5).min(part.to), more: true, ..part }),
        8 => parts.insert(place, Part { from: wider, to: wider + 16, more: rng.chance(50) }),
        9 => parts
            .insert(place, Part { from: 65_528, to: 65_528 + 8 + 8 * rng.below(2) as usize, more: false }),
        _ => parts.insert(place, Part { from: 0, to: part.to.min(PART_MAX), more: rng.chance(50) }),
    }
}

fn shuffle<T>(rng: &mut Rng, list: &mut [T]) {
    for last in (1..list.len()).rev() {
        list.swap(last, rng.below(last as u64 + 1) as usize);
    }
}

/// Bytes of the headers that say what a fragment is and what follows it, by the family's version.
const BENDABLE: [(u8, &[usize]); 2] =
    [(4, &[1, 4, 5, 6, 7, 9, 12, 20, 21, 22]), (6, &[1, 6, 40, 41, 42, 43, 44, 47, 48, 50, 51, 56, 58, 59])];
/// Numbers that mean something there: protocols, extension headers, offsets.
const TELLING: &[u8] = &[0, 1, 2, 6, 8, 16, 17, 43, 44, 50, 51, 58, 59, 60];

/// Changes a byte of the network headers; the sum of IPv4's is right afterwards.
fn bend(rng: &mut Rng, frame: &mut [u8]) {
    let start = frame.len() - packet_of(frame).len();
    let packet = &mut frame[start..];
    let version = packet[0] >> 4;
    let Some((_, places)) = BENDABLE.iter().find(|(bendable, _)| *bendable == version) else { return };
    let at = (*rng.pick(places)).min(packet.len() - 1);
    packet[at] = if rng.chance(50) { packet[at] ^ 1 << rng.below(8) } else { *rng.pick(TELLING) };
    if version == 4 {
        let header_len = usize::from(packet[0] & 0x0f) * 4;
        let header = &mut packet[..header_len];
        header[10..12].fill(0);
        let checksum = fold(sum(header));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// One fragment's own way, at times.
fn varied(rng: &mut Rng, style: Style) -> Style {
    match rng.below(40) {
        0 => Style { vlan: None, ..style },
        1 => Style { vlan: Some(9), ..style },
        2 => Style { ecn: rng.below(4) as u8, ..style },
        3 => Style { ecn: style.ecn | 1, ..style },
        4 => Style { headers: rng.below(3) as u8, ..style },
        _ => style,
    }
}
