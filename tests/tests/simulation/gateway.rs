//! The packet path of one node: a router between the clients' net and the servers', told whose flows are whose by its
//! coordinator, as the gateway's runtime does.

use crate::hosts::{CLIENTS, SERVERS, TOGETHER, client, server, shared};
use crate::world::BUCKETS;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use weir_control::cluster::{Coordinator, Duty, NodeName, Numbers, Ownership};
use weir_dataplane::config::route::{Interface, ReversePath, Routing};
use weir_dataplane::config::service::{self, Fallback, Scheduler, Selector, Service};
use weir_dataplane::config::{self, Config, Members, Membership, Rule, Tracking};
use weir_dataplane::counters::Verdict;
use weir_dataplane::gate::handover::{DIGESTS_MAX, HELD_MAX, Notes, Passed, Step};
use weir_dataplane::pipeline::{Limits, Release, Sight};
use weir_dataplane::steer::Router;
use weir_dataplane::steer::route::{Adjacencies, Neighbour};
use weir_dataplane::steer::service::Services;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::track::ConnState;
use weir_dataplane::units::{InterfaceId, MEMBERS_MAX, Mark, MemberId, PortId, ServerId, ServiceId, Span};
use weir_dataplane::wire::MacAddr;
use weir_tests::conversation::Side;
use weir_tests::node::{Node, clustered, port};
use weir_tests::packet::Mac;

/// Datagrams without an answer, or with some: shorter than a node learns.
pub(super) const SILENCE_MS: u64 = 600;
/// A connection that is closed is remembered while its last segment is sent again and again.
const CLOSED_MS: u64 = 5000;
const NODES_MAX: u32 = 5;
const LIMITS: Limits = Limits { flows_max: 256, expectations_max: 32 };

/// The cluster's address on either side: a group's, so that all nodes hear it.
pub(super) const fn cluster_mac(side: Side) -> Mac {
    Mac([1, 0, 0x5e, 0, 1, side as u8])
}

fn routing(node: u32) -> Routing {
    let interface = |side: Side, addresses: [&str; 2]| Interface {
        port: port(side),
        vlan: None,
        mac: MacAddr(cluster_mac(side).0),
        source_mac: MacAddr(Mac::host(node * 2 + side as u32).0),
        mtu: 1500,
        addresses: addresses.map(|address| address.parse().unwrap()).into(),
        reverse_path: ReversePath::Strict,
        management: Vec::new(),
        vips: Vec::new(),
        tapped: false,
    };
    let interfaces = vec![
        interface(Side::Lan, ["198.18.0.1/16", "3fff::1/20"]),
        interface(Side::Wan, ["198.19.0.1/16", "2001:db8::1/32"]),
    ];
    Routing { interfaces, routes: Vec::new() }
}

/// What clients send to the address that servers share is spread over those by turns: each node has its own.
static SERVICES: LazyLock<Arc<Services>> = LazyLock::new(|| {
    let service = Service {
        id: ServiceId::FIRST,
        selector: Some(Selector::Mark(Mark(1))),
        scheduler: Scheduler::Rr,
        persistence: None,
        servers: (0..TOGETHER).map(of_number).collect(),
        fallback: Fallback::Drop,
    };
    let rule = |address: IpAddr| {
        let to = Subnet { address, prefix_len: if address.is_ipv4() { 32 } else { 128 } };
        (Rule { destination: Some(to), port: Some(port(Side::Lan)), ..Rule::default() }, Some(Mark(1)))
    };
    let marks = shared().into_iter().map(rule).collect();
    Arc::new(Services::compile(1, &config::Services { marks, services: vec![service], ..<_>::default() }))
});

fn of_number(n: u32) -> service::Server {
    service::Server::new(ServerId::new(n as usize).unwrap(), service::Place::Address(server(n).addresses[0]))
}

/// What each of them routes by. They know all hosts.
static ROUTERS: LazyLock<Vec<Router>> = LazyLock::new(|| {
    let router = |node| {
        let routing = routing(node);
        let router = Router::compile(&routing);
        let hosts = (0..CLIENTS).map(|n| (0, client(n))).chain((0..SERVERS).map(|n| (1, server(n))));
        let known = hosts.flat_map(|(interface, host)| {
            let interface = InterfaceId::new(interface).unwrap();
            host.addresses.map(|address| Neighbour { interface, address, mac: MacAddr(host.mac.0) })
        });
        let adjacencies = Adjacencies::compile(&routing, router.fib(), |_| true, known);
        router.with_neighbours(Arc::new(adjacencies)).with_services(Arc::clone(&SERVICES))
    };
    (0..NODES_MAX).map(router).collect()
});

/// A frame as it leaves, and where.
pub(super) type Left = (Side, Vec<u8>);

/// What a gateway makes of a frame.
pub(super) struct Heard {
    pub(super) state: Option<ConnState>,
    pub(super) verdict: Verdict,
    /// Its number among all that it has heard.
    pub(super) number: u64,
    /// As it leaves, and where.
    pub(super) forwarded: Option<(Side, Vec<u8>)>,
}

/// What forwards.
pub(super) struct Gateway {
    node: Node,
    numbers: Numbers,
    config: Config,
    version: u64,
    /// What it is at in hand-overs.
    duty: Duty,
    notes: Arc<Notes>,
}

impl Gateway {
    /// Number `index` of the cluster, that has agreed on nothing so far.
    pub(super) fn new(index: usize, name: NodeName) -> Self {
        let nobody =
            Members { me: MemberId::FIRST, map: Vec::new(), living: BTreeMap::new(), learning: true };
        let mut config = clustered(BUCKETS, Membership::Members(nobody), Tracking::All);
        let silence = Span::from_ms(SILENCE_MS).unwrap();
        let conntrack = &mut config.conntrack;
        (conntrack.udp_timeout, conntrack.udp_timeout_stream) = (silence, silence);
        (conntrack.icmp_timeout, conntrack.icmpv6_timeout) = (silence, silence);
        conntrack.tcp.timeouts.time_wait = Span::from_ms(CLOSED_MS).unwrap();
        conntrack.fragments.frames_max = 1;
        let node = Node::routed_with_limits(&config, ROUTERS[index].clone(), LIMITS);
        Self { node, numbers: Numbers::new(name), config, version: 0, duty: Duty::None, notes: Notes::new() }
    }

    /// Goes by what was agreed.
    pub(super) fn follow(&mut self, ownership: &Ownership) {
        if self.version != ownership.version {
            self.version = ownership.version;
            let members = self.numbers.members(ownership, self.node.next_epoch());
            self.config.cluster.as_mut().unwrap().membership = Membership::Members(members);
            self.reload();
        }
    }

    /// Goes by the same as before, told anew.
    pub(super) fn reload(&mut self) {
        self.node.reconfigure(&self.config);
    }

    /// Takes a step of a hand-over.
    pub(super) fn take_step(&mut self, step: Step) {
        self.node.take_step(step);
    }

    /// Does what its coordinator asks in hand-overs, as the gateway's runtime does; nothing waits anywhere here.
    pub(super) fn serve(&mut self, coordinator: &mut Coordinator) {
        let settle = |node: &mut Node| (0..2).for_each(|_| node.take_step(Step::Settle));
        match (&self.duty, coordinator.duty()) {
            // What has been on its way to this node has come.
            (Duty::None, Duty::None) => self.node.take_step(Step::End),
            (before, after) if *before == after => {}
            (Duty::Note, Duty::None) => {}
            (Duty::Hold(_), Duty::None) => {
                let digests = coordinator.take_inheritance();
                if let Some(passed) = digests.and_then(|digests| Passed::compile(digests.iter().copied())) {
                    self.node.take_step(Step::Inherit(passed));
                }
            }
            (_, Duty::Note) => {
                self.notes = Notes::new();
                self.node.take_step(Step::End);
                self.node.take_step(Step::Note(Arc::clone(&self.notes)));
                self.duty = Duty::Note;
            }
            (_, Duty::Hold(name)) => {
                self.node.take_step(Step::End);
                // One that it has never followed owns nothing here.
                if let Some(leaver) = self.member(&name) {
                    self.node.take_step(Step::Hold { leaver, frames_max: HELD_MAX });
                    settle(&mut self.node);
                }
                self.duty = Duty::Hold(name);
            }
        }
        self.follow(coordinator.ownership());
        if coordinator.duty() == Duty::None {
            if self.duty == Duty::Note {
                let fits = self.notes.count() <= DIGESTS_MAX as u64;
                coordinator.hand_over(fits.then(|| self.notes.digests().collect()));
                self.node.take_step(Step::End);
            }
            self.duty = Duty::None;
        }
    }

    /// The number of a node that it knows.
    pub(super) fn member(&self, name: &NodeName) -> Option<MemberId> {
        self.numbers.number(name)
    }

    /// What has become of frames that were held since this was asked last: the number of each among all that it has
    /// heard, and what of it left.
    pub(super) fn released(&mut self) -> Vec<(u64, Option<Left>)> {
        // In order at each side.
        let mut departed = self.node.departed();
        let mut left_by = |out: PortId| {
            let place = departed.iter().position(|(side, _)| port(*side) == out);
            place.map(|place| departed.remove(place))
        };
        let of = |release: Release| match release.verdict {
            Verdict::Forward(out) => (release.number, left_by(out)),
            _ => (release.number, None),
        };
        self.node.released().into_iter().map(of).collect()
    }

    /// How many flows are its own.
    pub(super) fn flows(&self) -> u64 {
        self.node.counters().flows_of(Some(MemberId::FIRST)).read()
    }

    /// What it counts as another's is what its table says.
    pub(super) fn check_counts(&self) -> Result<(), String> {
        let flows = self.node.flows();
        for owner in (0..MEMBERS_MAX).map(MemberId::new).chain([None]) {
            let held = flows.iter().filter(|flow| flow.owner == owner).count() as u64;
            let counted = self.node.counters().flows_of(owner).read();
            if counted != held {
                return Err(format!("{counted} flows of {owner:?} are counted, and {held} held"));
            }
        }
        Ok(())
    }

    /// Hears a frame.
    pub(super) fn hear(&mut self, side: Side, bytes: &[u8], at_us: u64) -> Heard {
        let Sight { state, verdict, number, .. } = self.node.take_one(side, bytes, at_us);
        let forwarded = self.node.departed().pop();
        assert_eq!(forwarded.is_some(), matches!(verdict, Verdict::Forward(_)));
        Heard { state, verdict, number, forwarded }
    }

    /// What it knows of the flows of a client.
    pub(super) fn beliefs(&self, of: &[IpAddr]) -> String {
        let flows = self.node.flows().into_iter().filter(|flow| {
            let family = flow.key.family();
            [weir_dataplane::key::Side::First, weir_dataplane::key::Side::Second]
                .iter()
                .any(|side| of.contains(&flow.key.endpoint(*side).address.ip(family)))
        });
        let line = |flow: weir_dataplane::track::record::Hot| {
            let owner =
                flow.owner.and_then(|owner| self.numbers.name(owner)).map_or("nobody", NodeName::as_str);
            let from = flow.key.endpoint(flow.opener()).port;
            format!(
                "{:?} opened by port {from}, bucket {}, of {owner}, {:?}",
                flow.class,
                flow.bucket.index(),
                flow.flags
            )
        };
        flows.map(line).collect::<Vec<_>>().join("; ")
    }
}
