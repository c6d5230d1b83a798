//! The gateway as a station of its networks: what workers leave to control is answered, sent on later, or told its
//! sender, and what is learned of neighbours goes into the next snapshot.
//!
//! The rules are those of [`crate::network`]; here they meet the rings, the packet memory and the clock.

mod gate;
mod host;
mod neighbours;
mod routes;

pub(super) use gate::{Gate, gate};
pub(super) use host::KernelRoutes;

use super::tap::Taps;
use crate::config::Network;
use crate::network::addresses::{Addresses, is_link_local};
use crate::network::echo;
use crate::network::errors::{self, Fault, Silence};
use crate::network::fragments;
use crate::network::kernel_routes::KernelRoute;
use crate::network::limit::{Limit, Rates};
use crate::network::neighbours::{Action, At, Config as Discovery, Neighbour, Neighbours};
use core::net::{IpAddr, Ipv4Addr};
use gate::owns;
use host::Kernel;
use neighbours::{Alarms, permanent};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_dataplane::config::{Config, Routing};
use weir_dataplane::counters::{PuntReason, Verdict};
use weir_dataplane::key::{Address, Family, FlowKey};
use weir_dataplane::parse::{Offload, Rules, parse};
use weir_dataplane::port::mem::MemFrame;
use weir_dataplane::port::{Burst, Frame};
use weir_dataplane::punt::ControlEnd;
use weir_dataplane::rewrite::options::{self, Refusal, Signature, Time};
use weir_dataplane::rewrite::vlan;
use weir_dataplane::snapshot::Snapshot;
use weir_dataplane::steer::Router;
use weir_dataplane::steer::course::Arrival;
use weir_dataplane::steer::route::Way;
use weir_dataplane::steer::service::Services;
use weir_dataplane::units::{Epoch, InterfaceId, PortId, Tick};
use weir_dataplane::wire::{EtherType, Ipv4, Ipv6, MacAddr, ethernet};
use weir_dpdk::memory::{self, Huge};
use weir_dpdk::{Mbuf, Mempool};

/// Between two looks at what workers have left.
pub(super) const LOOK: Duration = Duration::from_millis(1);

/// A packet that waits for its next hop to answer.
#[derive(Debug)]
enum Waiting {
    /// A frame as it came in, to be routed.
    Transit(PortId, Vec<u8>),
    /// An IP packet of the gateway's own.
    Own(Vec<u8>),
    /// The frame by which the kernel asks for the next hop through the tap of a port.
    Question(PortId, Vec<u8>),
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Transit(_, bytes) | Self::Own(bytes) | Self::Question(_, bytes) => bytes,
        }
    }
}

/// What the gateway's own packets came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Frames given to a worker to send.
    pub(super) sent: u64,
    /// Frames that no worker, or no packet memory, had room for.
    pub(super) refused: u64,
    /// Packets to the gateway that nobody here takes.
    pub(super) unclaimed: u64,
    /// Errors and resets that were not told, since there were too many.
    pub(super) limited: u64,
}

/// What a station goes by, made of a configuration: with many routes it takes its time.
#[derive(Debug)]
pub(super) struct Compiled {
    routing: Routing,
    router: Router,
    permanent: Vec<Neighbour>,
    /// The kernel's routes that are in it, and how many they came to.
    kernel: Arc<[KernelRoute]>,
    kernel_count: usize,
}

impl Compiled {
    /// With these routes of the kernel. `mac_of` knows the ports' own MAC addresses.
    pub(super) fn of(
        network: &Network,
        kernel: Arc<[KernelRoute]>,
        mac_of: impl Fn(PortId) -> MacAddr,
    ) -> Self {
        let mut routing = network.routing(mac_of);
        let kernel_count = host::prepend(&kernel, &mut routing);
        let (router, permanent) = (compile(&routing), permanent(network));
        Self { routing, router, permanent, kernel, kernel_count }
    }
}

/// What workers route by. Its tables lie on huge pages, each of which has the cells of a /5 of IPv4: packets to all of
/// the Internet touch few pages, and most gateways have routes in fewer.
fn compile(routing: &Routing) -> Router {
    memory::tables(Huge::Touched, || Router::compile(routing)).0
}

/// The gateway as a station.
#[derive(Debug)]
pub(super) struct Station {
    rings: Vec<ControlEnd<Mbuf>>,
    pool: Mempool,
    routing: Routing,
    router: Router,
    gate: Option<Gate>,
    /// Addresses of servers, which are to be known before packets go there.
    servers: BTreeSet<IpAddr>,
    neighbours: Neighbours<Waiting>,
    alarms: Alarms,
    next_use_ms: u64,
    limit: Limit,
    /// The last number of a packet that went to a server in parts.
    last_id: u16,
    kernel: Kernel,
    tally: Tally,
    start: Instant,
}

impl Station {
    /// The station of `network` over these rings. `mac_of` knows the ports' own MAC addresses.
    pub(super) fn new(
        rings: Vec<ControlEnd<Mbuf>>,
        pool: Mempool,
        taps: Taps,
        network: &Network,
        gate: Option<Gate>,
        mac_of: impl Fn(PortId) -> MacAddr,
        seed: u64,
    ) -> Self {
        let Compiled { routing, router, permanent, .. } = Compiled::of(network, Arc::from([]), mac_of);
        let neighbours = Neighbours::new(Discovery::default(), &routing, &permanent, seed);
        let mut station = Self {
            rings,
            pool,
            router,
            routing,
            gate,
            servers: BTreeSet::new(),
            neighbours,
            alarms: Alarms::default(),
            next_use_ms: 0,
            limit: Limit::new(Rates::default(), seed),
            last_id: 0,
            kernel: Kernel::new(taps),
            tally: Tally::default(),
            start: Instant::now(),
        };
        station.begin();
        station
    }

    /// Goes on by another configuration; answers what it replaces.
    pub(super) fn reload(&mut self, compiled: Compiled, gate: Option<Gate>) -> (Routing, Router) {
        let Compiled { routing, router, permanent, kernel, kernel_count } = compiled;
        let replaced =
            (core::mem::replace(&mut self.routing, routing), core::mem::replace(&mut self.router, router));
        self.kernel.reload(kernel, kernel_count);
        self.gate = gate;
        self.neighbours.reload(&self.routing, &permanent);
        self.begin();
        replaced
    }

    /// What a configuration begins with: what is known, the routers that are to be known, the networks told.
    fn begin(&mut self) {
        self.learn();
        self.manage(self.now_ms());
        self.announce();
    }

    /// Keeps the routers known that routes lead to, and the servers that are beside the gateway.
    fn manage(&mut self, now_ms: u64) {
        let fib = self.router.fib();
        let routers = fib.hops().iter().map(|hop| At { interface: hop.interface, address: hop.gateway });
        let servers = self.servers.iter().flat_map(|address| {
            let ways = fib.ways(Family::of(*address), Address::from_ip(*address)).iter();
            ways.filter_map(|way| match way {
                Way::OnLink(interface) => Some(At { interface: *interface, address: *address }),
                _ => None,
            })
        });
        let managed: Vec<At> = routers.chain(servers).collect();
        self.neighbours.manage(managed, now_ms);
    }

    /// Routes by these services, as workers do, and keeps their servers known.
    pub(super) fn know_services(&mut self, services: Option<Arc<Services>>, servers: BTreeSet<IpAddr>) {
        self.router.serve(services);
        if servers != self.servers {
            self.servers = servers;
            self.manage(self.now_ms());
        }
    }

    /// Goes on with other buckets, and tells the networks of the addresses that are this node's now.
    pub(super) fn own(&mut self, gate: Option<Gate>) {
        self.gate = gate;
        self.announce();
    }

    fn announce(&mut self) {
        let now_ms = self.now_ms();
        let Self { gate, neighbours, .. } = self;
        neighbours.announce(|address| owns(gate.as_ref(), address), now_ms);
    }

    /// Handles what workers have left since the last turn, a burst of each; whether workers must be told of neighbours.
    pub(super) fn turn(&mut self) -> bool {
        let now_ms = self.now_ms();
        let mut burst = Burst::new();
        for ring in 0..self.rings.len() {
            self.rings[ring].take(&mut burst);
            for punted in burst.drain(..) {
                self.hear(punted.frame.bytes(), punted.port, punted.reason, now_ms);
            }
        }
        self.note_uses(now_ms);
        self.serve_kernel(now_ms);
        if self.neighbours.next_tick_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            self.neighbours.tick(now_ms);
        }
        self.follow_kernel(now_ms) | self.act(now_ms)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Sees to a frame that came in by `port` and that is for control for this reason.
    fn hear(&mut self, frame: &[u8], port: PortId, reason: PuntReason, now_ms: u64) {
        let Some(arrival) = self.router.arrival(frame, port) else { return };
        let (packet, interface) = (&frame[arrival.ip_at..], arrival.interface);
        match reason {
            PuntReason::Arp | PuntReason::NeighbourDiscovery => {
                let Self { gate, neighbours, .. } = self;
                neighbours.heard(interface, frame, |address| owns(gate.as_ref(), address), now_ms);
            }
            PuntReason::Local | PuntReason::Group if !self.is_mine(packet, arrival) => {}
            PuntReason::Local | PuntReason::Vip => {
                match echo::answer(packet, Addresses::of(&self.routing.interfaces)) {
                    Some(answer) => self.say(answer, interface, now_ms),
                    None if self.pass_up(frame, port, arrival, now_ms) => {}
                    None => self.tally.unclaimed += 1,
                }
            }
            PuntReason::Group => drop(self.pass_up(frame, port, arrival, now_ms)),
            PuntReason::Unresolved => match self.router.next_hop_of(frame, &flow(frame)) {
                Some((interface, address)) => {
                    let waiting = Waiting::Transit(port, frame.to_vec());
                    self.neighbours.wanted(At { interface, address }, waiting, now_ms);
                }
                None => self.tell(packet, interface, Fault::NoRoute, now_ms),
            },
            PuntReason::TimeExceeded => self.tell(packet, interface, Fault::HopLimit, now_ms),
            PuntReason::Unreachable => self.tell(packet, interface, Fault::NoRoute, now_ms),
            PuntReason::NoServer => self.refuse(packet, interface, now_ms),
            PuntReason::TooBig => self.shorten(frame, port, arrival, now_ms),
            PuntReason::TunnelTooBig => self.cut_tunnel(frame, port, arrival, now_ms),
            PuntReason::OptionInvalid => {
                if let Some(pointer) = wrong_option(packet) {
                    self.tell(packet, interface, Fault::Option { pointer }, now_ms);
                }
            }
        }
    }

    /// Sends on in parts what is too long for its way out, or tells its sender how much fits.
    fn shorten(&mut self, frame: &[u8], port: PortId, arrival: Arrival, now_ms: u64) {
        let flow = flow(frame);
        let (link, packet) = frame.split_at(arrival.ip_at);
        let parsed = parse(frame, Rules::default(), Offload::default());
        if let Some(mtu) = self.router.served_mtu(frame, &parsed, port) {
            // Its parts could not go where the whole goes: control does not know which server has the flow.
            return self.tell(packet, arrival.interface, Fault::TooBig { mtu }, now_ms);
        }
        let Some(mtu) = self.router.mtu_towards(frame, &flow) else { return };
        match fragments::cut(packet, mtu) {
            Some(parts) => self.forward_all(parts, link, port, &flow, now_ms),
            None => self.tell(packet, arrival.interface, Fault::TooBig { mtu }, now_ms),
        }
    }

    /// Sends on in parts the packet in which another one travels to its server.
    fn cut_tunnel(&mut self, frame: &[u8], port: PortId, arrival: Arrival, now_ms: u64) {
        let flow = flow(frame);
        let (link, packet) = frame.split_at(arrival.ip_at);
        let Some(mtu) = self.router.mtu_towards(frame, &flow) else { return };
        // Clients number their packets without each other.
        self.last_id = self.last_id.wrapping_add(1);
        if let Some(parts) = fragments::cut_as(packet, mtu, self.last_id) {
            self.forward_all(parts, link, port, &flow, now_ms);
        }
    }

    fn forward_all(&mut self, parts: Vec<Vec<u8>>, link: &[u8], port: PortId, flow: &FlowKey, now_ms: u64) {
        for part in parts {
            self.forward([link, &part].concat(), port, flow, now_ms);
        }
    }

    /// Does with a frame that came in by `port` what a worker would.
    fn forward(&mut self, frame: Vec<u8>, port: PortId, flow: &FlowKey, now_ms: u64) {
        let mut frame = MemFrame::new(frame);
        match self.router.forward(&mut frame, flow, Tick::from_ms(now_ms)) {
            Verdict::Forward(out) => self.transmit(out, frame.bytes()),
            Verdict::Punt(reason) => self.hear(frame.bytes(), port, reason, now_ms),
            _ => {}
        }
    }

    /// Does what the table of neighbours wants done; whether workers must be told.
    fn act(&mut self, now_ms: u64) -> bool {
        let mut actions = Vec::new();
        while let Some(action) = self.neighbours.poll() {
            actions.push(action);
        }
        let changed = actions.iter().any(|action| matches!(action, Action::Publish));
        if changed {
            // What is released below is routed by what was learned.
            self.learn();
        }
        for action in actions {
            match action {
                Action::Send { interface, frame } => self.send(interface, frame),
                Action::Release { to, packet } => self.release(to, packet, now_ms),
                Action::GiveUp { packet: Waiting::Transit(port, frame), .. } => {
                    if let Some(arrival) = self.router.arrival(&frame, port) {
                        let packet = &frame[arrival.ip_at..];
                        self.tell(packet, arrival.interface, Fault::Host, now_ms);
                    }
                }
                Action::GiveUp { packet: Waiting::Own(_) | Waiting::Question(..), .. } | Action::Publish => {}
                Action::Alarm(alarm) => self.alarms.raise(alarm, now_ms),
            }
        }
        changed
    }

    /// Sends on what had to wait.
    fn release(&mut self, to: Neighbour, packet: Waiting, now_ms: u64) {
        match packet {
            Waiting::Own(packet) => self.send_packet(to, &packet),
            Waiting::Question(port, question) => self.answer_kernel(port, &question, to.mac),
            Waiting::Transit(port, frame) => {
                let flow = flow(&frame);
                self.forward(frame, port, &flow, now_ms);
            }
        }
    }

    /// Tells the sender of a packet what became of it, unless it may not be told, or too many are.
    fn tell(&mut self, packet: &[u8], arrival: InterfaceId, fault: Fault, now_ms: u64) {
        let addresses = Addresses::of(&self.routing.interfaces);
        self.answer(errors::about(packet, fault, arrival, addresses), arrival, fault, now_ms);
    }

    /// Tells the sender of a packet that nobody takes what it begins; as often as it is told of a closed port.
    fn refuse(&mut self, packet: &[u8], arrival: InterfaceId, now_ms: u64) {
        let refusal = errors::refusal(packet, arrival, Addresses::of(&self.routing.interfaces));
        self.answer(refusal, arrival, Fault::Port, now_ms);
    }

    fn answer(&mut self, what: Result<Vec<u8>, Silence>, arrival: InterfaceId, fault: Fault, now_ms: u64) {
        let Ok(what) = what else { return };
        let Some(peer) = destination(&what) else { return };
        if self.limit.allows(now_ms, peer, fault) {
            self.say(what, arrival, now_ms);
        } else {
            self.tally.limited += 1;
        }
    }

    /// Sends an IP packet of the gateway's own about one that came in by `arrival`.
    fn say(&mut self, packet: Vec<u8>, arrival: InterfaceId, now_ms: u64) {
        let to = match destination(&packet) {
            Some(peer) if is_link_local(peer) => Some((arrival, peer)),
            _ => self.router.next_hop(&packet),
        };
        if let Some((interface, address)) = to {
            self.neighbours.wanted(At { interface, address }, Waiting::Own(packet), now_ms);
        }
    }

    fn send_packet(&mut self, to: Neighbour, packet: &[u8]) {
        let Some(interface) = self.routing.interfaces.get(to.at.interface.index()) else { return };
        let ethertype = if to.at.address.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
        let header = [&to.mac.0[..], &interface.source_mac.0, &ethertype.0.to_be_bytes()].concat();
        self.send(to.at.interface, [&header, packet].concat());
    }

    /// Sends a frame by an interface, whose tag it gets.
    fn send(&mut self, interface: InterfaceId, frame: Vec<u8>) {
        let Some(interface) = self.routing.interfaces.get(interface.index()) else { return };
        let port = interface.port;
        let mut frame = MemFrame::new(frame);
        if interface.vlan.is_some() && vlan::retag(&mut frame, ethernet::HEADER_LEN, interface.vlan).is_err()
        {
            return;
        }
        self.transmit(port, frame.bytes());
    }

    fn transmit(&mut self, port: PortId, frame: &[u8]) {
        let sent = match (self.pool.frame(frame), self.rings.first_mut()) {
            (Some(frame), Some(ring)) => ring.send(port, frame).is_ok(),
            _ => false,
        };
        if sent {
            self.tally.sent += 1;
        } else {
            self.tally.refused += 1;
        }
    }
}

/// The flow that a frame is of.
fn flow(frame: &[u8]) -> FlowKey {
    parse(frame, Rules::default(), Offload::default()).key
}

/// Where an IP packet goes.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(Ipv4::new(packet)?.destination().into()),
        _ => Some(Ipv6::new(packet)?.destination().into()),
    }
}

/// Which byte of an IPv4 packet's options cannot be read.
fn wrong_option(packet: &[u8]) -> Option<u16> {
    let signature = Signature { address: Ipv4Addr::UNSPECIFIED, time: Time::of_uptime_ms(0), ours: &[] };
    match options::sign(&mut packet.to_vec(), 0, signature) {
        Err(Refusal::Malformed { pointer }) => Some(pointer.into()),
        Ok(()) | Err(Refusal::SourceRoute) => None,
    }
}

/// What workers do: with the routes and the services of `station`, if the gateway is one.
pub(super) fn snapshot(epoch: Epoch, dataplane: &Config, station: Option<&Station>) -> Snapshot {
    let snapshot = Snapshot::compile(epoch, dataplane);
    match station {
        Some(station) => snapshot.with_router(station.router.clone()),
        None => snapshot,
    }
}
