//! Random traffic that misbehaves, for comparing two trackers: the same seed, the same frames.
//!
//! Each [`Recipe`] makes traffic of one kind. Mostly its hosts do what comes next; now and then they do not.

mod dialogue;
mod fragment;
mod ftp;
mod helpers;
mod icmp;
mod quotes;
mod sctp;
mod segments;
mod tcp;

use crate::packet::{Ip, Mac, eth};
use crate::rng::Rng;
use crate::scenario::Family;

pub use fragment::Fragmented;
use sctp::Sctp;
use tcp::Tcp;

const CLIENTS: u64 = 12;
const SERVERS: u64 = 3;
const CONVERSATIONS: usize = 24;
/// How far back a frame may be that is repeated or quoted.
const MEMORY: usize = 60;

/// An address family with what misbehaving needs of it.
pub trait Mischievous: Family + Fragmented {
    /// ICMP types and codes that report an error.
    const ERRORS: &'static [(u8, u8)];
    /// ICMP types that ask, answer or announce something.
    const MESSAGES: &'static [u8];
    /// A router on the hosts' own link.
    const NEIGHBOUR: Self;
    /// A line that names a data connection's `port`: a command of the client's or a reply of the server's.
    fn ftp_line(rng: &mut Rng, client: Self, server: Self, port: u16) -> Vec<u8>;
    /// Adds header options, or extension headers.
    fn with_options(rng: &mut Rng, ip: Ip<Self>) -> Ip<Self>;
}

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// TCP, FTP, UDP, ICMP and others at once, with ICMP errors about them; sequence numbers always fit.
    Town,
    /// TCP segments at the edges of windows and states.
    Segments,
    /// ICMP errors, with quotes of every kind.
    Quotes,
    /// SCTP associations.
    Sctp,
    /// Fragments of every kind.
    Fragments,
    /// Messages of helpers' protocols put together at random, each in one segment.
    Helpers,
    /// FTP dialogues and their data connections.
    Ftp,
    /// SIP over UDP, with media.
    SipUdp,
    /// SIP over TCP, with media.
    SipTcp,
    /// TFTP transfers.
    Tftp,
    /// IRC with DCC.
    Irc,
    /// PPTP calls and their GRE.
    Pptp,
    /// Amanda backups.
    Amanda,
    /// SANE scans.
    Sane,
}

impl Recipe {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Town,
        Self::Segments,
        Self::Quotes,
        Self::Sctp,
        Self::Fragments,
        Self::Helpers,
        Self::Ftp,
        Self::SipUdp,
        Self::SipTcp,
        Self::Tftp,
        Self::Irc,
        Self::Pptp,
        Self::Amanda,
        Self::Sane,
    ];

    /// Its name in files and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Town => "town",
            Self::Segments => "segments",
            Self::Quotes => "quotes",
            Self::Sctp => "sctp",
            Self::Fragments => "fragments",
            Self::Helpers => "helpers",
            Self::Ftp => "ftp",
            Self::SipUdp => "sip-udp",
            Self::SipTcp => "sip-tcp",
            Self::Tftp => "tftp",
            Self::Irc => "irc",
            Self::Pptp => "pptp",
            Self::Amanda => "amanda",
            Self::Sane => "sane",
        }
    }

    /// `count` frames; the same ones for the same `seed`.
    pub fn frames<A: Mischievous>(self, seed: u64, count: usize) -> Vec<Vec<u8>> {
        let mut world = World::<A>::new(Rng::new(seed));
        let make = match self {
            Self::Town => town,
            Self::Segments => segments::frames,
            Self::Quotes => quotes::frames,
            Self::Sctp => sctp::frames,
            Self::Fragments => fragment::frames,
            Self::Helpers => helpers::frames,
            Self::Ftp => dialogue::frames::<A, dialogue::Ftp<A>>,
            Self::SipUdp => dialogue::frames::<A, dialogue::SipUdp<A>>,
            Self::SipTcp => dialogue::frames::<A, dialogue::SipTcp<A>>,
            Self::Tftp => dialogue::frames::<A, dialogue::Tftp<A>>,
            Self::Irc => dialogue::frames::<A, dialogue::Irc<A>>,
            Self::Pptp => dialogue::frames::<A, dialogue::Pptp<A>>,
            Self::Amanda => dialogue::frames::<A, dialogue::Amanda<A>>,
            Self::Sane => dialogue::frames::<A, dialogue::Sane<A>>,
        };
        make(&mut world, count);
        world.said.truncate(count);
        world.said
    }
}

fn town<A: Mischievous>(world: &mut World<A>, count: usize) {
    let mut conversations: Vec<_> = (0..CONVERSATIONS).map(|_| Conversation::new(world)).collect();
    while world.said.len() < count {
        match world.rng.below(100) {
            0..=1 => world.link_noise(),
            2..=4 => world.repeat(),
            5..=9 => icmp::error(world),
            10 => world.cut_short(),
            11 => {
                let place = world.rng.index(CONVERSATIONS);
                conversations[place] = Conversation::new(world);
            }
            _ => {
                let place = world.rng.index(CONVERSATIONS);
                let spawned = conversations[place].act(world);
                if let Some(spawned) = spawned {
                    let place = world.rng.index(CONVERSATIONS);
                    conversations[place] = spawned;
                }
            }
        }
    }
}

/// The two ends of a conversation; index 0 is the client.
type Ends<A> = [A; 2];

struct World<A> {
    rng: Rng,
    said: Vec<Vec<u8>>,
    /// What an error may quote: frames with the addresses they went from and to.
    quotable: Vec<(Vec<u8>, Ends<A>)>,
    packets: u32,
}

impl<A: Mischievous> World<A> {
    fn new(rng: Rng) -> Self {
        Self { rng, said: Vec::new(), quotable: Vec::new(), packets: 0 }
    }

    fn client(&mut self) -> A {
        A::client(self.rng.below(CLIENTS) as u32)
    }

    fn server(&mut self) -> A {
        A::server(self.rng.below(SERVERS) as u32)
    }

    /// An IP header from one end to the other, in a VLAN at times.
    fn ip(&mut self, ends: Ends<A>, side: usize) -> Ip<A> {
        self.packets += 1;
        let link = eth(Mac::host(1 + side as u32), Mac::host(2 - side as u32));
        let link = if self.rng.chance(5) { link.vlan(7) } else { link };
        let ip = link.ip(ends[side], ends[1 - side]).id(self.packets);
        if self.rng.chance(2) { A::with_options(&mut self.rng, ip) } else { ip }
    }

    /// Says a packet that went from `ends[side]` to the other.
    fn say(&mut self, ends: Ends<A>, side: usize, frame: Vec<u8>) {
        self.quotable.push((frame.clone(), [ends[side], ends[1 - side]]));
        self.said.push(frame);
    }

    fn recent<T: Clone>(rng: &mut Rng, all: &[T]) -> Option<T> {
        let recent = &all[all.len().saturating_sub(MEMORY)..];
        (!recent.is_empty()).then(|| rng.pick(recent).clone())
    }

    fn repeat(&mut self) {
        self.said.extend(Self::recent(&mut self.rng, &self.said));
    }

    fn cut_short(&mut self) {
        let Some((mut frame, _)) = Self::recent(&mut self.rng, &self.quotable) else { return };
        let length = 14 + self.rng.below(frame.len() as u64 - 13) as usize;
        frame.truncate(length);
        self.said.push(frame);
    }

    fn link_noise(&mut self) {
        let from = Mac::host(1);
        let frame = match self.rng.below(3) {
            0 => eth(from, Mac([0x01, 0x80, 0xc2, 0, 0, 1 + self.rng.below(15) as u8]))
                .ethertype(0x88cc, &[0; 46]),
            1 => eth(from, Mac::host(2)).ethertype(0x88b6, &[1; 46]),
            _ => eth(from, Mac::BROADCAST).arp_request([192, 0, 2, 1].into(), [192, 0, 2, 2].into()),
        };
        self.said.push(frame);
    }
}

enum Kind {
    Tcp(Tcp),
    Ftp(Tcp),
    Udp([u16; 2]),
    UdpLite([u16; 2]),
    Sctp(Sctp),
    /// GRE, of a call or of none.
    Gre(Option<u16>),
    Icmp(u16),
    Other(u8),
}

struct Conversation<A> {
    ends: Ends<A>,
    kind: Kind,
}

impl<A: Mischievous> Conversation<A> {
    fn new(world: &mut World<A>) -> Self {
        let ends = [world.client(), world.server()];
        let rng = &mut world.rng;
        // Few ports, so that they are used again.
        let client_port = 40_000 + rng.below(6) as u16;
        let kind = match rng.below(13) {
            0..=3 => {
                let server_port = *rng.pick(&[80, 443]);
                Kind::Tcp(Tcp::new(rng, [client_port, server_port]))
            }
            4..=5 => Kind::Ftp(Tcp::new(rng, [client_port, 21])),
            6..=7 => Kind::Udp([client_port, *rng.pick(&[53, 123])]),
            8 => Kind::Icmp(rng.below(4) as u16),
            9 => Kind::Sctp(sctp::anywhere(rng)),
            10 => Kind::UdpLite([client_port, 53]),
            11 => Kind::Gre(*rng.pick(&[None, Some(0), Some(1), Some(2)])),
            // Tunnels, DCCP, VRRP, and numbers nobody uses: all generic.
            _ => Kind::Other(*rng.pick(&[4, 33, 41, 99, 112, 253])),
        };
        Self { ends, kind }
    }

    /// Says one thing; an FTP command may open a data connection.
    fn act(&mut self, world: &mut World<A>) -> Option<Self> {
        let ends = self.ends;
        match &mut self.kind {
            Kind::Tcp(tcp) => {
                tcp.act(world, ends, |rng| b"some data"[..rng.below(9) as usize].to_vec());
            }
            Kind::Ftp(tcp) => {
                return ftp::act(tcp, world, ends).map(|(ends, tcp)| Self { ends, kind: Kind::Tcp(tcp) });
            }
            Kind::Udp(ports) => udp(world, ends, *ports),
            Kind::UdpLite(ports) => udp_lite(world, ends, *ports),
            Kind::Sctp(sctp) => sctp.act(world, ends),
            Kind::Gre(call) => gre(world, ends, *call),
            Kind::Icmp(id) => icmp::message(world, ends, *id),
            Kind::Other(protocol) => {
                let side = world.rng.below(2) as usize;
                let frame = world.ip(ends, side).protocol(*protocol).payload(&[0; 20]).build();
                world.say(ends, side, frame);
            }
        }
        None
    }
}

fn udp<A: Mischievous>(world: &mut World<A>, ends: Ends<A>, ports: [u16; 2]) {
    let side = usize::from(world.rng.chance(40));
    let datagram = world.ip(ends, side).udp(ports[side], ports[1 - side]).payload(b"question or answer");
    let datagram = match world.rng.below(30) {
        0 => datagram.bad_checksum(),
        1 => datagram.no_checksum(),
        _ => datagram,
    };
    world.say(ends, side, datagram.build());
}

fn udp_lite<A: Mischievous>(world: &mut World<A>, ends: Ends<A>, ports: [u16; 2]) {
    let side = usize::from(world.rng.chance(40));
    let datagram = world.ip(ends, side).udp_lite(ports[side], ports[1 - side]).payload(b"mostly right");
    let datagram = match world.rng.below(20) {
        0 => datagram.summed_as_udp().bad_checksum(),
        1 => datagram.no_checksum(),
        // As the RFC wants it.
        2 => datagram,
        _ => datagram.summed_as_udp(),
    };
    let coverage = *world.rng.pick(&[0, 0, 8, 11, 12, 20, 7, 21]);
    world.say(ends, side, datagram.coverage(coverage).build());
}

fn gre<A: Mischievous>(world: &mut World<A>, ends: Ends<A>, call: Option<u16>) {
    let side = world.rng.index(2);
    let ip = world.ip(ends, side);
    let frame = match (call, world.rng.below(10)) {
        // Cut before the call, and version 1 of something that is not PPP.
        (_, 0) => ip.protocol(47).payload(&[0x30, 1, 0x88, 0x0b, 0, 0]),
        (_, 1) => ip.protocol(47).payload(&[0x30, 1, 0x08, 0x00, 0, 0, 0, 1]),
        (None, 2) => ip.protocol(47).payload(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7]),
        (None, _) => ip.gre(0x0800).payload(&[0; 20]),
        (Some(call), _) => ip.gre_call(call),
    };
    world.say(ends, side, frame.build());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn the_same_seed_makes_the_same_frames_and_another_makes_others() {
        for recipe in Recipe::ALL {
            assert_eq!(recipe.frames::<Ipv4Addr>(1, 500), recipe.frames::<Ipv4Addr>(1, 500));
            assert_ne!(recipe.frames::<Ipv6Addr>(1, 500), recipe.frames::<Ipv6Addr>(2, 500));
        }
    }
}
