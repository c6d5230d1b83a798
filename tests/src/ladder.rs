//! One client and one server beside a gateway, and what it calls each of their frames.

use std::net::Ipv4Addr;

use weir_dataplane::config::Config;
use weir_dataplane::counters::{FlowClass, Verdict};
use weir_dataplane::pipeline::Limits;

use crate::conversation::{Fate, Passage, Side};
use crate::node::{Node, bridge};
use crate::packet::{Ip, Mac, eth};

/// The client's address.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The server's address.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// A gateway and the time.
pub struct Ladder {
    /// The gateway.
    pub node: Node,
    at_us: u64,
}

impl Ladder {
    /// A gateway of this configuration.
    pub fn new(config: &Config) -> Self {
        Self { node: Node::new(config), at_us: 0 }
    }

    /// A gateway with room for so many flows.
    pub fn with_flows(flows_max: u32) -> Self {
        let limits = Limits { flows_max, expectations_max: 8 };
        Self { node: Node::with_limits(&bridge(), limits), at_us: 0 }
    }

    /// Lets time pass.
    pub fn wait_s(&mut self, s: u64) {
        self.at_us += s * 1_000_000;
    }

    /// The frame's state, with `/r` in the reply direction; a reason instead when it is INVALID or dropped.
    pub fn see(&mut self, side: Side, frame: Vec<u8>) -> String {
        let passage =
            Passage { client: CLIENT.into(), fate: Fate::Flow, at_us: self.at_us, side, bytes: frame };
        let sight = self.node.take([&passage])[0];
        let reply = if sight.reply { "/r" } else { "" };
        match (sight.state, sight.verdict) {
            (_, Verdict::Drop(reason)) => reason.name().into(),
            (Some(state), _) => format!("{state}{reply}"),
            (None, verdict) => verdict.name().into(),
        }
    }

    /// Live flows of a class.
    pub fn flows(&self, class: FlowClass) -> u64 {
        self.node.counters().flows[class.index()].read()
    }
}

/// A packet from the client to the server, or back.
pub fn ip(side: Side) -> Ip<Ipv4Addr> {
    match side {
        Side::Lan => eth(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])).ip(CLIENT, SERVER),
        Side::Wan => eth(Mac([2, 0, 0, 0, 0, 2]), Mac([2, 0, 0, 0, 0, 1])).ip(SERVER, CLIENT),
    }
}
