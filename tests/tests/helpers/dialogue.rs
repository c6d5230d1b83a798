//! A client and a server talking, and what each of their frames is called.

use std::net::Ipv4Addr;
use weir_tests::conversation::Side;
use weir_tests::packet::{Ip, Mac, Tcp, eth};

pub(super) const C: Side = Side::Lan;
pub(super) const S: Side = Side::Wan;
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

/// What a client and a server say, and what each frame is called.
pub(super) struct Dialogue {
    /// The client's address.
    pub(super) client: Ipv4Addr,
    /// Each frame, and what it is called.
    pub(super) steps: Vec<(Side, Vec<u8>, &'static str)>,
}

/// A TCP connection of a dialogue; the client's end first.
pub(super) struct Connection {
    ports: [u16; 2],
    next: [u32; 2],
}

impl Dialogue {
    /// Of the client with this number.
    pub(super) fn new(number: u8) -> Self {
        Self { client: Ipv4Addr::new(10, 0, number, 1), steps: Vec::new() }
    }

    pub(super) fn ip(&self, side: Side) -> Ip<Ipv4Addr> {
        let [lan, wan] = [Mac::host(1), Mac::host(2)];
        match side {
            Side::Lan => eth(lan, wan).ip(self.client, SERVER),
            Side::Wan => eth(wan, lan).ip(SERVER, self.client),
        }
    }

    pub(super) fn say(&mut self, side: Side, frame: Vec<u8>, called: &'static str) {
        self.steps.push((side, frame, called));
    }

    pub(super) fn udp(&mut self, side: Side, ports: [u16; 2], payload: &[u8], called: &'static str) {
        let [client, server] = ports;
        let (source, destination) = if side == C { (client, server) } else { (server, client) };
        let frame = self.ip(side).udp(source, destination).payload(payload).build();
        self.say(side, frame, called);
    }

    /// A SYN, and nothing more.
    pub(super) fn syn(&mut self, side: Side, ports: [u16; 2], called: &'static str) {
        let [client, server] = ports;
        let (source, destination) = if side == C { (client, server) } else { (server, client) };
        let frame = self.ip(side).tcp(source, destination).seq(7000).syn().build();
        self.say(side, frame, called);
    }

    /// The client opens a connection.
    pub(super) fn open(&mut self, client_port: u16, server_port: u16) -> Connection {
        self.open_called(client_port, server_port, "NEW")
    }

    /// The same, where the SYN is called so.
    pub(super) fn open_called(
        &mut self,
        client_port: u16,
        server_port: u16,
        called: &'static str,
    ) -> Connection {
        let mut connection = Connection { ports: [client_port, server_port], next: [1000, 5000] };
        let syn = connection.segment(self, C).syn().build();
        self.say(C, syn, called);
        connection.next[0] += 1;
        let syn = connection.segment(self, S).syn().ack(1001).build();
        self.say(S, syn, "ESTABLISHED/r");
        connection.next[1] += 1;
        connection.ack(self, C);
        connection
    }

    pub(super) fn gre(&mut self, side: Side, call: u16, called: &'static str) {
        let frame = self.ip(side).gre_call(call).build();
        self.say(side, frame, called);
    }
}

impl Connection {
    pub(super) fn segment(&self, dialogue: &Dialogue, side: Side) -> Tcp<Ipv4Addr> {
        let (from, to) = if side == C { (0, 1) } else { (1, 0) };
        dialogue.ip(side).tcp(self.ports[from], self.ports[to]).seq(self.next[from])
    }

    pub(super) fn ack(&self, dialogue: &mut Dialogue, side: Side) {
        let peer = self.next[if side == C { 1 } else { 0 }];
        let frame = self.segment(dialogue, side).ack(peer).build();
        dialogue.say(side, frame, called(side));
    }

    /// Data that is let through and acknowledged.
    pub(super) fn say(&mut self, dialogue: &mut Dialogue, side: Side, data: &[u8]) {
        self.data(dialogue, side, data, called(side));
        self.next[if side == C { 0 } else { 1 }] += data.len() as u32;
        self.ack(dialogue, side.other());
    }

    /// Data that the helper drops.
    pub(super) fn dropped(&self, dialogue: &mut Dialogue, side: Side, data: &[u8]) {
        self.data(
            dialogue,
            side,
            data,
            if side == C { "ESTABLISHED dropped" } else { "ESTABLISHED/r dropped" },
        );
    }

    pub(super) fn data(&self, dialogue: &mut Dialogue, side: Side, data: &[u8], called: &'static str) {
        let peer = self.next[if side == C { 1 } else { 0 }];
        let frame = self.segment(dialogue, side).ack(peer).psh().payload(data).build();
        dialogue.say(side, frame, called);
    }

    /// The client breaks it off.
    pub(super) fn reset(&self, dialogue: &mut Dialogue) {
        let frame = self.segment(dialogue, C).ack(self.next[1]).rst().build();
        dialogue.say(C, frame, called(C));
    }
}

pub(super) fn called(side: Side) -> &'static str {
    if side == C { "ESTABLISHED" } else { "ESTABLISHED/r" }
}
