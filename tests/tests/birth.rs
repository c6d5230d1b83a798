//! Who forwards a flow in a cluster of named nodes: its owner at birth while that node lives, then its heir.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use weir_dataplane::config::route::{Interface, ReversePath, Routing};
use weir_dataplane::config::{Config, Members, Membership, Tracking};
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::steer::Router;
use weir_dataplane::steer::route::{Adjacencies, Neighbour};
use weir_dataplane::track::record::Hot;
use weir_dataplane::units::{Epoch, InterfaceId, MemberId};
use weir_dataplane::wire::MacAddr;
use weir_tests::conversation::{Fate, Passage, Side};
use weir_tests::model::ClusterModel;
use weir_tests::node::{HASH_SEED, Node, clustered, port};
use weir_tests::packet::{Ip, Mac, Udp, eth};

const TOTAL_NODES: u16 = 8;
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const C: Side = Side::Lan;
const S: Side = Side::Wan;
/// This node.
const ME: usize = 5;

fn name(index: usize) -> MemberId {
    MemberId::new(index).unwrap()
}

/// One node of a cluster, and what it has been told.
struct Gateway {
    node: Node,
    living: BTreeMap<MemberId, Epoch>,
    tracking: Tracking,
    learning: bool,
    at_us: u64,
}

/// Whose the bucket of the client is, and that of the server.
type Owners = [Option<usize>; 2];

impl Gateway {
    fn new(tracking: Tracking, learning: bool, living: &[usize], owners: Owners) -> Self {
        let membership = Membership::Members(Members {
            me: name(ME),
            map: Vec::new(),
            living: BTreeMap::new(),
            learning: false,
        });
        let node = Node::new(&clustered(TOTAL_NODES, membership, tracking));
        let mut gateway = Self { node, living: BTreeMap::new(), tracking, learning, at_us: 0 };
        gateway.tell(living, owners);
        gateway
    }

    fn of(living: &[usize], owners: Owners) -> Self {
        Self::new(Tracking::All, false, living, owners)
    }

    fn config(&self, total_nodes: u16, owners: Owners) -> Config {
        let model = ClusterModel { total_nodes, hash_seed: HASH_SEED };
        let [client, server] = [CLIENT, SERVER].map(|address| model.bucket(address.into()));
        assert_ne!(client, server);
        let mut map = vec![None; usize::from(total_nodes)];
        [map[client], map[server]] = owners.map(|owner| owner.map(name));
        let (living, learning) = (self.living.clone(), self.learning);
        let members = Members { me: name(ME), map, living, learning };
        clustered(total_nodes, Membership::Members(members), self.tracking)
    }

    /// From now on these live, and the buckets are theirs.
    fn tell(&mut self, living: &[usize], owners: Owners) {
        let epoch = self.node.next_epoch();
        self.living.retain(|member, _| living.contains(&member.index()));
        for member in living {
            self.living.entry(name(*member)).or_insert(epoch);
        }
        self.node.reconfigure(&self.config(TOTAL_NODES, owners));
    }

    fn see(&mut self, side: Side, frame: Vec<u8>) -> Verdict {
        self.at_us += 1000;
        let passage =
            Passage { client: CLIENT.into(), fate: Fate::Flow, at_us: self.at_us, side, bytes: frame };
        self.node.take([&passage])[0].verdict
    }

    fn forwards(&mut self, side: Side, frame: Vec<u8>) -> bool {
        matches!(self.see(side, frame), Verdict::Forward(_))
    }

    fn flow(&self) -> Hot {
        let [flow] = self.node.flows().try_into().unwrap();
        flow
    }

    fn owner(&self) -> Option<usize> {
        self.flow().owner.map(MemberId::index)
    }

    fn flows_of(&self, owner: Option<usize>) -> u64 {
        self.node.counters().flows_of(owner.map(name)).read()
    }
}

fn ip(side: Side) -> Ip<Ipv4Addr> {
    let (c, s) = (Mac::host(1), Mac::host(2));
    if side == C { eth(c, s).ip(CLIENT, SERVER) } else { eth(s, c).ip(SERVER, CLIENT) }
}

fn udp(side: Side) -> Udp<Ipv4Addr> {
    if side == C { ip(C).udp(40_000, 53) } else { ip(S).udp(53, 40_000) }
}

fn datagram(side: Side) -> Vec<u8> {
    udp(side).payload(b"datagram").build()
}

#[test]
fn a_flow_is_decided_anew_by_a_new_map_and_by_nothing_else() {
    let owners = [Some(ME), Some(1)];
    let mut gateway = Gateway::of(&[ME, 1], owners);
    assert!(gateway.forwards(C, datagram(C)) && gateway.forwards(S, datagram(S)));
    let decided = gateway.flow().epoch;
    // A reload that has other things to say.
    let mut config = gateway.config(TOTAL_NODES, owners);
    config.conntrack.tcp.loose = !config.conntrack.tcp.loose;
    gateway.node.reconfigure(&config);
    assert!(gateway.forwards(C, datagram(C)));
    assert_eq!(gateway.flow().epoch, decided, "nobody has asked");
    let next = gateway.node.next_epoch();
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(gateway.forwards(C, datagram(C)), "it is kept");
    assert_eq!(gateway.flow().epoch, Some(next));
}

#[test]
fn a_new_map_moves_new_flows_only() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(ME), Some(1)]);
    assert!(gateway.forwards(C, datagram(C)) && gateway.forwards(S, datagram(S)));
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(gateway.forwards(S, datagram(S)) && gateway.forwards(C, datagram(C)));
    assert!(!gateway.forwards(C, ip(C).udp(40_001, 53).build()), "this one is new");
}

#[test]
fn what_nobody_has_answered_goes_by_the_map_of_the_moment() {
    let mut gateway = Gateway::of(&[ME, 1], [None, Some(1)]);
    assert_eq!(gateway.see(C, datagram(C)), Verdict::Shadow, "on its way from one node to another");
    gateway.tell(&[ME, 1], [Some(ME), Some(1)]);
    assert!(gateway.forwards(C, datagram(C)), "sent again");
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(!gateway.forwards(C, datagram(C)) && !gateway.forwards(S, datagram(S)));
    gateway.tell(&[ME, 1], [Some(ME), Some(1)]);
    assert!(!gateway.forwards(C, datagram(C)), "answered while it was the other one's");
}

#[test]
fn the_answer_is_forwarded_by_who_forwarded_what_it_answers() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(ME), Some(1)]);
    assert!(gateway.forwards(C, datagram(C)));
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(gateway.forwards(S, datagram(S)), "though the bucket is on its way, or another's already");
    assert!(gateway.forwards(C, datagram(C)), "and from there on it has an owner");
    let mut gateway = Gateway::of(&[ME, 1], [Some(1), Some(1)]);
    assert!(!gateway.forwards(C, datagram(C)));
    gateway.tell(&[ME, 1], [Some(ME), Some(1)]);
    assert!(!gateway.forwards(S, datagram(S)) && !gateway.forwards(C, datagram(C)));
}

/// Asked again while the bucket is on its way to another node, and answered before it is there.
fn in_doubt() -> Gateway {
    let mut gateway = Gateway::of(&[ME, 1], [Some(ME), Some(1)]);
    assert!(gateway.forwards(C, datagram(C)));
    gateway.tell(&[ME, 1], [None, Some(1)]);
    assert!(!gateway.forwards(C, datagram(C)), "asked again");
    assert!(!gateway.forwards(S, datagram(S)), "it may be to what the next one has forwarded");
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(!gateway.forwards(C, datagram(C)) && !gateway.forwards(C, datagram(C)));
    gateway
}

#[test]
fn what_is_answered_no_more_goes_back_to_who_gave_it_up_on_its_way() {
    let mut gateway = in_doubt();
    gateway.at_us += 1_900_000;
    assert!(!gateway.forwards(C, datagram(C)));
    gateway.at_us += 100_000;
    assert!(gateway.forwards(C, datagram(C)) && gateway.forwards(S, datagram(S)));
    assert_eq!([Some(ME), Some(1)].map(|owner| gateway.flows_of(owner)), [1, 0]);
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    gateway.at_us += 10_000_000;
    assert!(gateway.forwards(C, datagram(C)) && gateway.forwards(S, datagram(S)), "for good");
}

#[test]
fn what_is_answered_once_more_or_asked_again_of_who_gained_it_is_that_ones() {
    let answered = |gateway: &mut Gateway| assert!(!gateway.forwards(S, datagram(S)));
    let mut once_more = in_doubt();
    answered(&mut once_more);
    let mut again = Gateway::of(&[ME, 1], [Some(ME), Some(1)]);
    assert!(again.forwards(C, datagram(C)));
    for owner in [None, Some(1)] {
        again.tell(&[ME, 1], [owner, Some(1)]);
        assert!(!again.forwards(C, datagram(C)));
    }
    answered(&mut again);
    for mut gateway in [once_more, again] {
        for _ in 0..5 {
            gateway.at_us += 3_000_000;
            assert!(!gateway.forwards(C, datagram(C)));
        }
        assert_eq!(gateway.owner(), Some(1));
    }
}

#[test]
fn who_forwarded_what_is_answered_must_live() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(1), Some(1)]);
    assert!(!gateway.forwards(C, datagram(C)));
    gateway.tell(&[ME], [Some(ME), Some(ME)]);
    assert!(gateway.forwards(S, datagram(S)));
}

#[test]
fn the_flows_of_the_dead_go_by_the_map_at_once_and_for_good() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(1), Some(1)]);
    assert_eq!(gateway.see(C, datagram(C)), Verdict::Shadow);
    gateway.tell(&[ME], [Some(ME), Some(ME)]);
    assert!(gateway.forwards(S, datagram(S)), "the very next packet");
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(
        gateway.forwards(C, datagram(C)),
        "the heir keeps it when the dead one is back under its old number"
    );
}

#[test]
fn what_was_silent_while_its_owner_was_dead_is_inherited_too() {
    let mut gateway = Gateway::of(&[ME, 1, 2], [Some(1), Some(1)]);
    gateway.see(C, datagram(C));
    gateway.tell(&[ME, 2], [Some(2), Some(2)]);
    gateway.tell(&[ME, 1, 2], [Some(2), Some(2)]);
    gateway.see(S, datagram(S));
    assert_eq!(gateway.owner(), Some(2));
}

#[test]
fn nobody_forwards_what_falls_into_a_hole_until_the_map_has_none() {
    let mut gateway = Gateway::of(&[ME, 1], [None, Some(ME)]);
    assert_eq!(gateway.see(C, datagram(C)), Verdict::Shadow);
    assert_eq!(gateway.owner(), None);
    gateway.tell(&[ME, 1], [Some(ME), Some(ME)]);
    assert!(gateway.forwards(C, datagram(C)));
}

#[test]
fn a_node_that_is_told_of_its_own_death_owns_nothing() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(ME), Some(ME)]);
    assert!(gateway.forwards(C, datagram(C)));
    gateway.tell(&[1], [Some(ME), Some(ME)]);
    assert_eq!(gateway.see(C, datagram(C)), Verdict::Shadow);
    gateway.tell(&[1], [Some(1), Some(1)]);
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert_eq!(gateway.see(C, datagram(C)), Verdict::Shadow);
}

#[test]
fn another_cut_of_the_hash_space_moves_no_flow_whose_owner_lives() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(ME), Some(1)]);
    assert!(gateway.forwards(C, datagram(C)) && gateway.forwards(S, datagram(S)));
    let before = gateway.flow().bucket;
    let config = gateway.config(1024, [Some(1), Some(1)]);
    gateway.node.reconfigure(&config);
    assert!(gateway.forwards(C, datagram(C)));
    assert_ne!(gateway.flow().bucket, before);
}

#[test]
fn an_expected_flow_goes_with_its_master() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(ME), Some(1)]);
    let syn = |port| ip(C).tcp(port, 21).seq(100).syn().build();
    assert!(gateway.forwards(C, syn(4000)));
    assert!(gateway.forwards(S, ip(S).tcp(21, 4000).seq(500).syn().ack(101).build()));
    assert!(gateway.forwards(C, ip(C).tcp(4000, 21).seq(101).ack(501).build()));
    for (seq, line) in [(101, "USER a\r\n"), (109, "PORT 10,0,0,1,160,0\r\n")] {
        let line = ip(C).tcp(4000, 21).seq(seq).ack(501).psh().payload(line.as_bytes());
        assert!(gateway.forwards(C, line.build()));
    }
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(gateway.forwards(S, ip(S).tcp(20, 40_960).seq(1).syn().build()), "though the map has moved on");
    assert_eq!(gateway.flows_of(Some(ME)), 2);
    assert!(!gateway.forwards(C, syn(4001)));
    // Both go where the client's bucket is when they have lost their owner.
    gateway.tell(&[1], [Some(1), None]);
    assert!(!gateway.forwards(C, ip(C).tcp(40_960, 20).seq(7).syn().ack(2).build()));
    assert!(!gateway.forwards(C, ip(C).tcp(4000, 21).seq(130).ack(501).build()));
    assert_eq!((gateway.flows_of(Some(ME)), gateway.flows_of(Some(1))), (0, 3));
}

/// The cluster's MAC address on either side of a router.
fn cluster(side: Side) -> Mac {
    Mac([1, 0, 0x5e, 0, 1, side as u8])
}

/// Between the client's net and the server's.
fn router() -> Router {
    let interface = |side, address: &str| Interface {
        port: port(side),
        vlan: None,
        mac: MacAddr(cluster(side).0),
        source_mac: MacAddr(Mac::host(10 + side as u32).0),
        mtu: 1500,
        addresses: vec![address.parse().unwrap()],
        reverse_path: ReversePath::Strict,
        management: Vec::new(),
        vips: Vec::new(),
        tapped: false,
    };
    let interfaces = vec![interface(C, "10.0.0.254/24"), interface(S, "192.0.2.254/24")];
    let routing = Routing { interfaces, routes: Vec::new() };
    let router = Router::compile(&routing);
    let known = [(0, CLIENT, Mac::host(1)), (1, SERVER, Mac::host(2))].map(|(at, address, mac)| {
        let interface = InterfaceId::new(at).unwrap();
        Neighbour { interface, address: address.into(), mac: MacAddr(mac.0) }
    });
    let adjacencies = Adjacencies::compile(&routing, router.fib(), |_| true, known);
    router.with_neighbours(Arc::new(adjacencies))
}

#[test]
fn what_another_node_should_not_have_forwarded_uses_no_expectation_up() {
    let mut gateway = Gateway::of(&[ME, 1], [Some(ME), Some(1)]);
    gateway.node = Node::routed(&gateway.config(TOTAL_NODES, [Some(ME), Some(1)]), router());
    let up = || eth(Mac::host(1), cluster(C)).ip(CLIENT, SERVER);
    let down = || eth(Mac::host(2), cluster(S)).ip(SERVER, CLIENT);
    assert!(gateway.forwards(C, up().tcp(4000, 21).seq(100).syn().build()));
    assert!(gateway.forwards(S, down().tcp(21, 4000).seq(500).syn().ack(101).build()));
    assert!(gateway.forwards(C, up().tcp(4000, 21).seq(101).ack(501).build()));
    for (seq, line) in [(101, "USER a\r\n"), (109, "PORT 10,0,0,1,160,0\r\n")] {
        let line = up().tcp(4000, 21).seq(seq).ack(501).psh().payload(line.as_bytes());
        assert!(gateway.forwards(C, line.build()));
    }
    // The server's node has missed that, and takes what it announces for the server's: it is the faster one.
    let copy = eth(Mac::host(20), Mac::host(1)).ip(SERVER, CLIENT).tcp(20, 40_960).seq(1).syn();
    assert_eq!(gateway.see(C, copy.build()), Verdict::Drop(DropReason::OtherHost));
    assert!(gateway.forwards(S, down().tcp(20, 40_960).seq(1).syn().build()));
    assert_eq!((gateway.flows_of(Some(ME)), gateway.flows_of(Some(1))), (2, 0));
}

#[test]
fn an_heir_knows_a_connection_of_which_it_has_missed_a_packet() {
    let client = |seq, ack, data: &[u8]| ip(C).tcp(40_000, 443).seq(seq).ack(ack).psh().payload(data).build();
    let server = |seq, ack, data: &[u8]| ip(S).tcp(443, 40_000).seq(seq).ack(ack).psh().payload(data).build();
    let mut gateway = Gateway::of(&[ME, 1], [Some(1), Some(1)]);
    let open = [
        (C, ip(C).tcp(40_000, 443).seq(100).syn().window(8192).build()),
        (S, ip(S).tcp(443, 40_000).seq(500).syn().ack(101).window(8192).build()),
        (C, client(101, 501, b"")),
    ];
    // The client's "question" is not heard, and both ends speak in turn from there on.
    let later =
        [(S, server(501, 109, b"answer")), (C, client(109, 507, b"more")), (S, server(507, 113, b"yes"))];
    for (side, frame) in open.into_iter().chain(later) {
        assert_eq!(gateway.see(side, frame), Verdict::Shadow);
    }
    gateway.tell(&[ME], [Some(ME), Some(ME)]);
    assert!(gateway.forwards(C, client(113, 510, b"again")));
    assert!(!gateway.forwards(S, server(510, 9000, b"")), "now it answers for what it lets through");
}

#[test]
fn tracking_its_own_a_node_tracks_what_it_owns_now_or_owned_at_birth() {
    let mut gateway = Gateway::new(Tracking::Own, false, &[ME, 1], [Some(ME), Some(1)]);
    assert!(gateway.forwards(C, datagram(C)) && gateway.forwards(S, datagram(S)));
    assert!(!gateway.forwards(S, ip(S).udp(99, 99).build()));
    gateway.tell(&[ME, 1], [Some(1), Some(1)]);
    assert!(gateway.forwards(S, datagram(S)), "its own at birth");
    assert!(!gateway.forwards(C, ip(C).udp(40_001, 53).build()));
    assert_eq!(gateway.flows_of(Some(ME)), 1);
    assert_eq!(gateway.node.flows().len(), 1);
}

#[test]
fn who_is_learning_picks_connections_up_and_guesses_who_has_opened_them() {
    let answer = || ip(S).tcp(443, 40_000).seq(7).ack(9).payload(b"data").build();
    let mut old = Gateway::of(&[ME, 1, 2], [Some(1), Some(2)]);
    assert!(matches!(old.see(S, answer()), Verdict::Drop(_)), "others may know it");
    for (side, frame) in
        [(S, answer()), (C, ip(C).tcp(40_000, 443).seq(9).ack(7).build()), (S, datagram(S)), (C, datagram(C))]
    {
        let mut gateway = Gateway::new(Tracking::All, true, &[ME, 1, 2], [Some(1), Some(2)]);
        assert_eq!(gateway.see(side, frame), Verdict::Shadow);
        assert_eq!(gateway.owner(), Some(1), "the client's ports are high");
    }
    let mut gateway = Gateway::new(Tracking::All, true, &[ME, 1, 2], [Some(1), Some(2)]);
    gateway.see(S, ip(S).tcp(20, 40_000).seq(7).syn().build());
    assert_eq!(gateway.owner(), Some(2), "a SYN leaves nothing to guess");
}

#[test]
fn whose_datagrams_are_goes_by_the_ports_where_they_tell_a_client() {
    for (server, client, owner) in [(53, 40_000, 1), (53, 1024, 1), (5060, 32_768, 1)] {
        for (side, from, to) in [(S, server, client), (C, client, server)] {
            let mut gateway = Gateway::of(&[ME, 1, 2], [Some(1), Some(2)]);
            gateway.see(side, ip(side).udp(from, to).payload(b"datagram").build());
            assert_eq!(gateway.owner(), Some(owner), "{from} to {to}: whichever was heard first");
        }
    }
}

#[test]
fn where_the_ports_do_not_tell_who_has_learned_believes_that_a_datagram_is_the_first() {
    for (one, other) in [(500, 500), (123, 1023), (5060, 20_000), (51_820, 40_000)] {
        for (side, owner) in [(C, 1), (S, 2)] {
            let mut gateway = Gateway::of(&[ME, 1, 2], [Some(1), Some(2)]);
            gateway.see(side, ip(side).udp(one, other).payload(b"datagram").build());
            assert_eq!(gateway.owner(), Some(owner), "{one} to {other}");
        }
    }
}

#[test]
fn flows_are_counted_by_owner_until_they_end() {
    let mut gateway = Gateway::of(&[ME, 1, 2], [Some(1), Some(2)]);
    gateway.see(C, datagram(C));
    gateway.see(S, ip(S).udp(7, 7).build());
    assert_eq!([None, Some(1), Some(2)].map(|owner| gateway.flows_of(owner)), [0, 1, 1]);
    gateway.tell(&[ME, 2], [Some(ME), Some(2)]);
    assert_eq!(gateway.flows_of(Some(1)), 1, "its next packet has not come");
    gateway.see(S, datagram(S));
    assert_eq!([Some(ME), Some(1), Some(2)].map(|owner| gateway.flows_of(owner)), [1, 0, 1]);
    gateway.node.idle(64, weir_dataplane::units::Tick::from_ms(300_000));
    assert_eq!([Some(ME), Some(1), Some(2)].map(|owner| gateway.flows_of(owner)), [0, 0, 0]);
}
