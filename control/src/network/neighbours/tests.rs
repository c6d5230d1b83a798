//! Walks through the state machines, one network at a time.

mod arp;
mod cluster;
mod forget;
mod limits;
mod managed;
mod nd;
mod properties;
mod reload;
mod vips;

use super::frame::{
    ArpFrame, ArpOperation, FLAG_OVERRIDE, FLAG_SOLICITED, NdFrame, OPTION_SOURCE, OPTION_TARGET, group_mac,
    solicited_node,
};
use super::message::Message;
use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_dataplane::config::route::{Interface, ReversePath};
use weir_dataplane::units::PortId;
use weir_dataplane::wire::Icmpv6Type;

/// The node's own address.
const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The cluster's, as in the arptables recipe of Linux's xt_cluster.
const CLUSTER: MacAddr = MacAddr([1, 0, 0x5e, 0, 1, 1]);
/// A host's, and another's.
const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 10]);

const GATEWAY_IP: &str = "192.0.2.1";
const HOST_IP: &str = "192.0.2.9";
const GATEWAY_IP6: &str = "2001:db8::1";
const HOST_IP6: &str = "2001:db8::9";

fn at(address: &str) -> At {
    At { interface: InterfaceId::default(), address: address.parse().unwrap() }
}

fn interface(announced: MacAddr, source: MacAddr) -> Interface {
    Interface {
        port: PortId::default(),
        vlan: None,
        mac: announced,
        source_mac: source,
        mtu: 1500,
        addresses: ["192.0.2.1/24", "2001:db8::1/64"].map(|text| text.parse().unwrap()).into(),
        management: Vec::new(),
        vips: Vec::new(),
        tapped: false,
        reverse_path: ReversePath::Strict,
    }
}

fn routing(interfaces: &[Interface]) -> Routing {
    Routing { interfaces: interfaces.to_vec(), routes: Vec::new() }
}

/// A gateway on one network, at a time.
struct Net {
    neighbours: Neighbours<Vec<u8>>,
    now_ms: u64,
    owner: bool,
}

impl Net {
    fn new(announced: MacAddr) -> Self {
        Self::with(Config::default(), announced)
    }

    fn with(config: Config, announced: MacAddr) -> Self {
        let neighbours = Neighbours::new(config, &routing(&[interface(announced, OWN)]), &[], 7);
        Self { neighbours, now_ms: 1_000_000, owner: true }
    }

    fn wants(&mut self, address: &str, packet: &str) -> Vec<Action<Vec<u8>>> {
        self.neighbours.wanted(at(address), packet.into(), self.now_ms);
        self.actions()
    }

    fn hears(&mut self, frame: &[u8]) -> Vec<Action<Vec<u8>>> {
        let owner = self.owner;
        self.neighbours.heard(InterfaceId::default(), frame, |_| owner, self.now_ms);
        self.actions()
    }

    fn uses(&mut self, address: &str) {
        self.neighbours.used(at(address), self.now_ms);
    }

    /// Lets time pass, ticking when asked to; what was done, and after how many milliseconds.
    fn passes(&mut self, ms: u64) -> Vec<(u64, Action<Vec<u8>>)> {
        let (start_ms, end_ms) = (self.now_ms, self.now_ms + ms);
        let mut done = Vec::new();
        while let Some(next_ms) = self.neighbours.next_tick_ms().filter(|next_ms| *next_ms <= end_ms) {
            self.now_ms = self.now_ms.max(next_ms);
            self.neighbours.tick(self.now_ms);
            let after_ms = self.now_ms - start_ms;
            done.extend(self.actions().into_iter().map(|action| (after_ms, action)));
        }
        self.now_ms = end_ms;
        done
    }

    fn actions(&mut self) -> Vec<Action<Vec<u8>>> {
        std::iter::from_fn(|| self.neighbours.poll()).collect()
    }

    fn state(&self, address: &str) -> Option<State> {
        self.neighbours.rows().find(|row| row.at == at(address)).map(|row| row.state)
    }

    fn mac(&self, address: &str) -> Option<MacAddr> {
        self.neighbours.known().find(|known| known.at == at(address)).map(|known| known.mac)
    }

    fn ignored(&self, why: Ignored) -> u64 {
        self.neighbours.counters().ignored(why)
    }

    /// Has asked for a host and been answered.
    fn resolves(&mut self, address: &str, mac: MacAddr) {
        self.wants(address, "first");
        self.hears(&answer(address, mac, self.announced()));
        assert_eq!(self.state(address), Some(State::Reachable));
    }

    fn announced(&self) -> MacAddr {
        self.neighbours.links[0].announced()
    }
}

fn v4(address: &str) -> Ipv4Addr {
    address.parse().unwrap()
}

fn v6(address: &str) -> Ipv6Addr {
    address.parse().unwrap()
}

/// A host asks everybody for the address of another.
fn arp_request(mac: MacAddr, sender: &str, target: &str) -> ArpFrame {
    ArpFrame {
        destination: MacAddr::BROADCAST,
        source: mac,
        operation: ArpOperation::Request,
        sender: (mac, v4(sender)),
        target: (MacAddr::default(), v4(target)),
    }
}

/// A host answers the gateway.
fn arp_reply(mac: MacAddr, sender: &str, gateway: MacAddr) -> ArpFrame {
    ArpFrame {
        destination: gateway,
        source: mac,
        operation: ArpOperation::Reply,
        sender: (mac, v4(sender)),
        target: (gateway, v4(GATEWAY_IP)),
    }
}

/// A host tells all of itself.
fn arp_announcement(mac: MacAddr, sender: &str) -> ArpFrame {
    arp_request(mac, sender, sender)
}

/// A host asks for the gateway.
fn solicitation(mac: MacAddr, from: &str) -> NdFrame {
    let group = solicited_node(v6(GATEWAY_IP6));
    NdFrame {
        destination: group_mac(group),
        source: mac,
        from: v6(from),
        to: group,
        kind: Icmpv6Type::NEIGHBOUR_SOLICITATION,
        flags: 0,
        target: v6(GATEWAY_IP6),
        option: Some((OPTION_SOURCE, mac)),
    }
}

/// A host answers the gateway.
fn advertisement(mac: MacAddr, from: &str, gateway: MacAddr) -> NdFrame {
    NdFrame {
        destination: gateway,
        source: mac,
        from: v6(from),
        to: v6(GATEWAY_IP6),
        kind: Icmpv6Type::NEIGHBOUR_ADVERTISEMENT,
        flags: FLAG_SOLICITED | FLAG_OVERRIDE,
        target: v6(from),
        option: Some((OPTION_TARGET, mac)),
    }
}

/// A host answers the gateway, by whichever protocol its address is of.
fn answer(address: &str, mac: MacAddr, gateway: MacAddr) -> Vec<u8> {
    match address.parse().unwrap() {
        IpAddr::V4(_) => arp_reply(mac, address, gateway).bytes(),
        IpAddr::V6(_) => advertisement(mac, address, gateway).bytes(),
    }
}

/// The frames among actions, read again.
fn said<'a>(actions: impl IntoIterator<Item = &'a Action<Vec<u8>>>) -> Vec<Message> {
    let frames = actions.into_iter().filter_map(|action| match action {
        Action::Send { frame, .. } => Some(frame),
        _ => None,
    });
    frames.map(|frame| Message::parse(frame).unwrap()).collect()
}

/// The packets among actions that go on.
fn released(actions: &[Action<Vec<u8>>]) -> Vec<(MacAddr, String)> {
    let packets = actions.iter().filter_map(|action| match action {
        Action::Release { to, packet } => Some((to.mac, String::from_utf8(packet.clone()).unwrap())),
        _ => None,
    });
    packets.collect()
}

/// The packets among actions that are given up.
fn given_up<'a>(actions: impl IntoIterator<Item = &'a Action<Vec<u8>>>) -> Vec<String> {
    let packets = actions.into_iter().filter_map(|action| match action {
        Action::GiveUp { packet, .. } => Some(String::from_utf8(packet.clone()).unwrap()),
        _ => None,
    });
    packets.collect()
}

/// The alarms among actions.
fn alarms<'a>(actions: impl IntoIterator<Item = &'a Action<Vec<u8>>>) -> Vec<Alarm> {
    let alarms = actions.into_iter().filter_map(|action| match action {
        Action::Alarm(alarm) => Some(*alarm),
        _ => None,
    });
    alarms.collect()
}
