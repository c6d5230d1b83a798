//! A client and a server talking through the gateway: frames with their side and their moment, in the right order.
//!
//! The ends speak real TCP: sequence numbers, acknowledgements, windows and teardown are what a strict
//! connection tracker wants to see. Nothing is lost here; whoever replays may lose, double or reorder.

use crate::packet::{Address, Ip, Mac, Tcp, TcpOption, eth};
use crate::rng::Rng;
use std::net::IpAddr;

/// An end of a conversation, by the side of the gateway that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where the clients are.
    Lan,
    /// Where the servers are.
    Wan,
}

impl Side {
    /// The opposite one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Lan => Self::Wan,
            Self::Wan => Self::Lan,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// What a cluster of gateways that tracks every flow should do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It belongs to a flow, or to one that this announced: the client's node forwards it.
    Flow,
    /// It belongs to no flow, as ARP: one node forwards it, whichever.
    Loose,
    /// It is invalid, or must not cross: no node forwards it.
    Dropped,
}

/// A frame on its way into the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Whose conversation it is from.
    pub client: IpAddr,
    /// What should become of it.
    pub fate: Fate,
    /// When it arrives, in microseconds since the start.
    pub at_us: u64,
    /// Whose frame it is.
    pub side: Side,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// A machine on one of the sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<A> {
    /// Its MAC address.
    pub mac: Mac,
    /// Its IP address.
    pub ip: A,
}

/// Microseconds between two frames of one conversation, at least.
pub const GAP_US: u64 = 20;

/// What two hosts say to each other, in order.
#[derive(Debug)]
pub struct Conversation<A> {
    hosts: [Host<A>; 2],
    now_us: u64,
    rng: Rng,
    packets: [u32; 2],
    said: Vec<Passage>,
}

impl<A: Address> Conversation<A> {
    /// Nothing said so far; the first frame comes `start_us` microseconds after the start.
    pub fn new(client: Host<A>, server: Host<A>, start_us: u64, rng: Rng) -> Self {
        Self { hosts: [client, server], now_us: start_us, rng, packets: [1; 2], said: Vec::new() }
    }

    /// The machine on that side.
    pub const fn host(&self, side: Side) -> Host<A> {
        self.hosts[side.index()]
    }

    /// For everything a scenario leaves to chance.
    pub const fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Waits.
    pub const fn pause_us(&mut self, us: u64) {
        self.now_us += us;
    }

    /// Starts an IP packet from `side` to the other one.
    pub fn ip(&mut self, side: Side) -> Ip<A> {
        let (from, to) = (self.host(side), self.host(side.other()));
        self.packets[side.index()] += 1;
        eth(from.mac, to.mac).ip(from.ip, to.ip).id(self.packets[side.index()])
    }

    /// Says a frame of a flow; time goes on a little.
    pub fn say(&mut self, side: Side, frame: Vec<u8>) {
        self.say_with(Fate::Flow, side, frame);
    }

    /// Says any frame; time goes on a little.
    pub fn say_with(&mut self, fate: Fate, side: Side, frame: Vec<u8>) {
        let client = self.host(Side::Lan).ip.into();
        self.said.push(Passage { client, fate, at_us: self.now_us, side, bytes: frame });
        self.now_us += GAP_US + self.rng.below(180);
    }

    /// The frame said last.
    pub fn last(&self) -> &[u8] {
        &self.said.last().expect("something has been said").bytes
    }

    /// Everything said, in order.
    pub fn finish(self) -> Vec<Passage> {
        self.said
    }
}

/// Data bytes in a segment, at most: what an Ethernet of 1500 bytes leaves of it under IPv6 with timestamps.
const MSS: usize = 1428;

/// The window field that both ends show once the connection is open.
const WINDOW: u16 = 501;
const WINDOW_SCALE: u8 = 7;

/// One end of a TCP connection.
#[derive(Clone, Copy, Debug)]
struct End {
    port: u16,
    next: u32,
}

/// A TCP connection of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct TcpSession {
    ends: [End; 2],
}

impl TcpSession {
    /// Two ports that say nothing yet; each side starts at a sequence number of its own.
    pub fn new<A: Address>(talk: &mut Conversation<A>, client_port: u16, server_port: u16) -> Self {
        let ends = [client_port, server_port].map(|port| End { port, next: talk.rng().next() as u32 });
        Self { ends }
    }

    /// A connection that `opener` opens, from its port to the other's, with the handshake done.
    pub fn open<A: Address>(
        talk: &mut Conversation<A>,
        opener: Side,
        client_port: u16,
        server_port: u16,
    ) -> Self {
        let mut tcp = Self::new(talk, client_port, server_port);
        tcp.syn(talk, opener);
        tcp.syn_ack(talk, opener.other());
        tcp.ack(talk, opener);
        tcp
    }

    /// The first segment of the handshake.
    pub fn syn<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side) {
        let segment = self.segment(talk, side).syn();
        talk.say(side, Self::with_options(segment).build());
        self.advance(side, 1);
    }

    /// The second segment of the handshake.
    pub fn syn_ack<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side) {
        let segment = self.segment(talk, side).syn().ack(self.ends[side.other().index()].next);
        talk.say(side, Self::with_options(segment).build());
        self.advance(side, 1);
    }

    /// Acknowledges everything.
    pub fn ack<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side) {
        let frame = self.open_segment(talk, side).build();
        talk.say(side, frame);
    }

    /// Sends data; the other side acknowledges every second segment and the last.
    pub fn send<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side, data: &[u8]) {
        let segments = data.len().div_ceil(MSS);
        for (i, part) in data.chunks(MSS).enumerate() {
            let last = i + 1 == segments;
            let segment = self.open_segment(talk, side).payload(part);
            talk.say(side, if last { segment.psh() } else { segment }.build());
            self.advance(side, part.len());
            if last || i % 2 == 1 {
                self.ack(talk, side.other());
            }
        }
    }

    /// Sends data of one segment twice, as when its acknowledgement came late; both are acknowledged.
    pub fn send_twice<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side, data: &[u8]) {
        let frame = self.open_segment(talk, side).psh().payload(data).build();
        self.advance(side, data.len());
        for _ in 0..2 {
            talk.say(side, frame.clone());
            self.ack(talk, side.other());
        }
    }

    /// Closes both directions, `side` first.
    pub fn close<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side) {
        for side in [side, side.other()] {
            let frame = self.open_segment(talk, side).fin().build();
            talk.say(side, frame);
            self.advance(side, 1);
        }
        self.ack(talk, side);
    }

    /// Breaks it off.
    pub fn reset<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side) {
        let frame = self.open_segment(talk, side).rst().build();
        talk.say(side, frame);
    }

    /// Refuses the connection that the other side's SYN asked for.
    pub fn refuse<A: Address>(&mut self, talk: &mut Conversation<A>, side: Side) {
        let frame = self.open_segment(talk, side).seq(0).window(0).rst().build();
        talk.say(side, frame);
    }

    fn with_options<A: Address>(segment: Tcp<A>) -> Tcp<A> {
        segment
            .option(TcpOption::Mss(MSS as u16))
            .option(TcpOption::SackPermitted)
            .option(TcpOption::WindowScale(WINDOW_SCALE))
            .window(64_240)
    }

    fn open_segment<A: Address>(&self, talk: &mut Conversation<A>, side: Side) -> Tcp<A> {
        self.segment(talk, side).ack(self.ends[side.other().index()].next).window(WINDOW)
    }

    fn segment<A: Address>(&self, talk: &mut Conversation<A>, side: Side) -> Tcp<A> {
        let (from, to) = (self.ends[side.index()], self.ends[side.other().index()]);
        talk.ip(side).tcp(from.port, to.port).seq(from.next)
    }

    fn advance(&mut self, side: Side, by: usize) {
        let end = &mut self.ends[side.index()];
        end.next = end.next.wrapping_add(by as u32);
    }
}
