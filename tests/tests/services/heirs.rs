//! Three nodes of a cluster that hear every frame, one of which dies after the other: what clients and servers have
//! begun goes on between the same two.

use super::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use weir_dataplane::config::service::{Locality, MaglevHashing, SourceHashing};
use weir_dataplane::config::{Members, Membership};
use weir_dataplane::gate::handover::{HELD_MAX, Passed, SETTLE_ROUNDS, Step};
use weir_dataplane::pipeline::Limits;
use weir_dataplane::steer::service::Services as Compiled;
use weir_dataplane::units::{Epoch, MemberId};
use weir_tests::node::clustered;

const NODES: usize = 3;
const BUCKETS: usize = 8;
const CLIENTS: u8 = 24;
const LIMITS: Limits = Limits { flows_max: 256, expectations_max: 32 };

/// Its routes take time to compile.
static ROUTER: LazyLock<Router> = LazyLock::new(router);

/// All schedulers, so that each server bears two connections.
const SCHEDULERS: [Scheduler; 15] = [
    Scheduler::Rr,
    Scheduler::Wrr,
    Scheduler::Lc,
    Scheduler::Wlc,
    Scheduler::Sed,
    Scheduler::Nq,
    Scheduler::Fo,
    Scheduler::Ovf,
    Scheduler::Dh,
    Scheduler::Sh(SourceHashing { bits: 8, port: false, fallback: false }),
    Scheduler::Mh(MaglevHashing { size: 251, port: false, fallback: false }),
    Scheduler::Twos,
    Scheduler::Lblc(SMALL),
    Scheduler::Lblcr(SMALL),
    Scheduler::LeastLoad,
];

const SMALL: Locality =
    Locality { entries_max: 64, members_max: 256, expiration: Span::MAX, idle: Span::MAX };

/// What nodes hear beside what clients say.
#[derive(Clone, Copy, PartialEq)]
enum Heard {
    /// What servers answer.
    Answers,
    /// What the owners send to servers: the switch floods it, and answers take another way.
    Forwarded,
}

fn name(node: usize) -> MemberId {
    MemberId::new(node).unwrap()
}

/// The nodes, and who of them lives.
struct Cluster {
    nodes: Vec<Option<Node>>,
    heard: Heard,
    router: Router,
}

impl Cluster {
    fn new(services: &Services, heard: Heard) -> Self {
        let all: Vec<usize> = (0..NODES).collect();
        let router = ROUTER.clone().with_services(Arc::new(Compiled::compile(1, services)));
        let node = |me| Some(Node::routed_with_limits(&config(me, &all, false), router.clone(), LIMITS));
        Self { nodes: (0..NODES).map(node).collect(), heard, router }
    }

    /// A node dies.
    fn kill(&mut self, dead: usize) {
        self.nodes[dead] = None;
        self.tell();
    }

    /// A node comes, and learns what there is.
    fn start(&mut self, late: usize) {
        self.tell();
        let config = config(late, &self.living(), true);
        self.nodes[late] = Some(Node::routed_with_limits(&config, self.router.clone(), LIMITS));
    }

    fn living(&self) -> Vec<usize> {
        (0..NODES).filter(|node| self.nodes[*node].is_some()).collect()
    }

    /// All are told who lives, and that all of them serve.
    fn tell(&mut self) {
        self.share_out(&self.living());
    }

    /// The buckets are from now on theirs; who has any lives on.
    fn share_out(&mut self, serving: &[usize]) {
        let living = self.living();
        for me in &living {
            self.nodes[*me].as_mut().unwrap().reconfigure(&sharing(*me, serving, &living, false));
        }
    }

    /// All hear a frame. The one node that forwards it, and the frame as it leaves.
    fn say(&mut self, side: Side, frame: &[u8]) -> (usize, Vec<u8>) {
        let mut left = Vec::new();
        for (me, node) in self.nodes.iter_mut().enumerate() {
            let Some(node) = node else { continue };
            node.verdict(side, MemFrame::new(frame.to_vec()));
            left.extend(node.departed().into_iter().map(|(_, frame)| (me, frame)));
        }
        let [(owner, frame)] = left.try_into().expect("one node forwards it");
        if self.heard == Heard::Forwarded {
            let others = self.nodes.iter_mut().enumerate().filter(|(me, _)| *me != owner);
            for node in others.filter_map(|(_, node)| node.as_mut()) {
                let again = node.verdict(side.other(), MemFrame::new(frame.clone()));
                assert!(!matches!(again, Verdict::Forward(_)), "{again:?}");
            }
        }
        (owner, frame)
    }

    /// A client's frame: to which server it goes.
    fn ask(&mut self, frame: &[u8]) -> usize {
        let (_, left) = self.say(Side::Lan, frame);
        (0..4).find(|server| left[..6] == mac(*server).0).expect("it goes to a server")
    }

    /// A server's frame, where answers take the gateway's way.
    fn answer(&mut self, server: usize, answer: impl Fn(Mac) -> Vec<u8>) {
        if self.heard == Heard::Answers {
            self.say(Side::Wan, &answer(mac(server)));
        }
    }

    /// Connections that a node counts, by their servers: active ones, inactive ones, and those of other nodes.
    fn counts(&self, node: usize, server: usize) -> (u64, u64, u64) {
        let cells = self.nodes[node].as_ref().unwrap().counters().server(ServerId::new(server).unwrap());
        (cells.active.read(), cells.inactive.read(), cells.shadows.read())
    }
}

/// All who live serve.
fn config(me: usize, living: &[usize], learning: bool) -> Config {
    sharing(me, living, living, learning)
}

/// The buckets are shared out among those who serve. All of the living have lived from the start.
fn sharing(me: usize, serving: &[usize], living: &[usize], learning: bool) -> Config {
    let map = (0..BUCKETS).map(|bucket| {
        let birth = bucket % NODES;
        let owner = if serving.contains(&birth) { birth } else { serving[bucket % serving.len()] };
        Some(name(owner))
    });
    let living: BTreeMap<_, _> = living.iter().map(|node| (name(*node), Epoch::FIRST)).collect();
    let members = Members { me: name(me), map: map.collect(), living, learning };
    clustered(BUCKETS as u16, Membership::Members(members), Tracking::All)
}

/// What clients send to the shared address is a service's.
fn shared(scheduler: Scheduler) -> Services {
    let rule =
        Rule { destination: "10.0.0.80/32".parse().ok(), port: Some(port(Side::Lan)), ..Rule::default() };
    let servers: Vec<Server> =
        (0..4).map(|index| Server { weight: 2 + index as u16, ..server(index) }).collect();
    Services {
        marks: vec![(rule, Some(Mark(1)))],
        services: vec![service(Selector::Mark(Mark(1)), scheduler, &servers)],
        ..Services::default()
    }
}

fn answer(n: u8, to: Mac, flags: Flags) -> Vec<u8> {
    eth(to, TO_WAN).ip(VIP, client(n)).tcp(80, 40_000).flags(flags).seq(1).ack(1).build()
}

/// A connection and a flow of datagrams of each client; the servers of both.
fn open(cluster: &mut Cluster) -> Vec<[usize; 2]> {
    let open = |n| {
        let web = cluster.ask(&syn(n));
        cluster.answer(web, |from| answer(n, from, Flags(Flags::SYN.0 | Flags::ACK.0)));
        assert_eq!(cluster.ask(&ack(n)), web);
        let dns = cluster.ask(&question(n));
        cluster
            .answer(dns, |from| eth(from, TO_WAN).ip(VIP, client(n)).udp(53, 5000).payload(b"one").build());
        [web, dns]
    };
    (0..CLIENTS).map(open).collect()
}

/// All go on with the servers that they have.
fn go_on(cluster: &mut Cluster, servers: &[[usize; 2]]) {
    for (n, [web, dns]) in (0..).zip(servers) {
        cluster.answer(*web, |from| answer(n, from, Flags::ACK));
        assert_eq!(cluster.ask(&ack(n)), *web, "client {n}");
        assert_eq!(cluster.ask(&question(n)), *dns, "client {n}");
    }
}

#[test]
fn whoever_inherits_goes_on_with_the_same_server_whatever_the_scheduler() {
    for (scheduler, heard) in SCHEDULERS
        .into_iter()
        .flat_map(|scheduler| [Heard::Answers, Heard::Forwarded].map(|heard| (scheduler, heard)))
    {
        let mut cluster = Cluster::new(&shared(scheduler), heard);
        let servers = open(&mut cluster);
        go_on(&mut cluster, &servers);
        let of = |server: usize| {
            servers.iter().fold([0; 2], |[web, dns], has| {
                [web + u64::from(has[0] == server), dns + u64::from(has[1] == server)]
            })
        };
        for server in 0..4 {
            let (mut active, mut inactive) = (0, 0);
            for node in 0..NODES {
                let (own_active, own_inactive, shadows) = cluster.counts(node, server);
                assert_eq!(
                    own_active + own_inactive + shadows,
                    of(server).iter().sum::<u64>(),
                    "{scheduler:?}"
                );
                (active, inactive) = (active + own_active, inactive + own_inactive);
            }
            assert_eq!([active, inactive], of(server), "each is counted by one node: {scheduler:?}");
        }
        for dead in [1, 0] {
            cluster.kill(dead);
            go_on(&mut cluster, &servers);
        }
        for server in 0..4 {
            let [web, dns] = of(server);
            assert_eq!(cluster.counts(2, server), (web, dns, 0), "{scheduler:?}");
        }
    }
}

#[test]
fn who_inherits_a_flow_with_its_first_answer_goes_on_with_the_server_that_gives_it() {
    let mut cluster = Cluster::new(&shared(Scheduler::Rr), Heard::Answers);
    let servers: Vec<usize> = (0..CLIENTS).map(|n| cluster.ask(&syn(n))).collect();
    cluster.kill(1);
    for (n, server) in (0..).zip(&servers) {
        cluster.answer(*server, |from| answer(n, from, Flags(Flags::SYN.0 | Flags::ACK.0)));
        assert_eq!(cluster.ask(&ack(n)), *server, "client {n}");
    }
}

/// What a client says, and what it is answered from a MAC address.
type Talk = (fn(u8) -> Vec<u8>, fn(u8, Mac) -> Vec<u8>);

#[test]
fn of_two_servers_that_two_nodes_have_given_a_flow_to_the_one_has_it_that_answers() {
    let web: Talk = (syn, |n, from| answer(n, from, Flags(Flags::SYN.0 | Flags::ACK.0)));
    let dns: Talk =
        (question, |n, from| eth(from, TO_WAN).ip(VIP, client(n)).udp(53, 5000).payload(b"one").build());
    for ((asks, answers), goes_on) in [(web, ack as fn(u8) -> Vec<u8>), (dns, question)] {
        let mut cluster = Cluster::new(&shared(Scheduler::Rr), Heard::Answers);
        let servers: Vec<usize> = (0..CLIENTS).map(|n| cluster.ask(&asks(n))).collect();
        cluster.share_out(&[1, 2]);
        let again: Vec<usize> = (0..CLIENTS).map(|n| cluster.ask(&asks(n))).collect();
        assert_ne!(servers, again, "new owners choose for themselves");
        for (n, server) in (0..).zip(&servers) {
            cluster.answer(*server, |from| answers(n, from));
            assert_eq!(cluster.ask(&goes_on(n)), *server, "client {n}");
        }
        for server in 0..4 {
            let counted = (0..NODES).map(|node| cluster.counts(node, server));
            let own: u64 = counted.clone().map(|(active, inactive, _)| active + inactive).sum();
            let shadows: u64 = counted.map(|(.., shadows)| shadows).sum();
            let of = servers.iter().filter(|of| **of == server).count() as u64;
            assert_eq!((own, shadows), (of, 2 * of), "each is counted by one node, and known to two");
        }
        cluster.kill(1);
        for (n, server) in (0..).zip(&servers) {
            assert_eq!(cluster.ask(&goes_on(n)), *server, "client {n}");
        }
    }
}

#[test]
fn a_mac_address_that_several_servers_may_have_teaches_nothing() {
    let beside = |index, at: Mac| Server { place: Place::Mac(id(1), MacAddr(at.0)), ..server(index) };
    let behind = |index, n| Server {
        place: Place::Address([203, 0, 113, n].into()),
        method: Method::Ipip,
        ..server(index)
    };
    let [twin, alone] = [Mac::host(0x70), mac(3)];
    let servers = [beside(0, twin), beside(1, twin), behind(2, 50), beside(3, alone)];
    let mut services = shared(Scheduler::Rr);
    services.services[0].servers = servers.to_vec();
    let mut cluster = Cluster::new(&services, Heard::Answers);
    for n in 0..CLIENTS {
        let (_, left) = cluster.say(Side::Lan, &syn(n));
        let next = Mac(left[..6].try_into().unwrap());
        assert!([twin, alone, UPLINK].contains(&next));
        cluster.say(Side::Wan, &answer(n, next, Flags(Flags::SYN.0 | Flags::ACK.0)));
    }
    let learned: Vec<u64> =
        (0..4).map(|server| (0..NODES).map(|node| cluster.counts(node, server).2).sum()).collect();
    assert!(learned[3] > 0 && learned[..3] == [0; 3], "{learned:?}");
}

#[test]
fn clients_stay_with_their_server_over_a_death() {
    let mut services = shared(Scheduler::Rr);
    let timeout = Span::from_s(300).unwrap();
    services.services[0].persistence =
        Some(Persistence { timeout, ipv4_prefix_len: 32, ipv6_prefix_len: 128, clients_max: 1 << 12 });
    for heard in [Heard::Answers, Heard::Forwarded] {
        let mut cluster = Cluster::new(&services, heard);
        let servers = open(&mut cluster);
        cluster.kill(1);
        cluster.kill(2);
        for (n, [web, dns]) in (0..).zip(servers) {
            let more = up().ip(client(n), VIP).tcp(40_001, 80).flags(Flags::SYN).build();
            assert_eq!((cluster.ask(&more), dns), (web, web), "client {n}");
        }
    }
}

/// A page of a site, for a client and from a cache.
fn page(n: u8, site: Ipv4Addr, from: Mac, flags: Flags) -> Vec<u8> {
    eth(from, TO_WAN).ip(site, client(n)).tcp(80, 40_000).flags(flags).seq(1).ack(1).build()
}

#[test]
fn nodes_learn_from_each_other_which_cache_has_a_site() {
    let site = |n: u8| Ipv4Addr::new(203, 0, 113, n % 6);
    for (scheduler, heard) in [
        (Scheduler::Lblc(SMALL), Heard::Answers),
        (Scheduler::Lblcr(SMALL), Heard::Answers),
        (Scheduler::Lblcr(SMALL), Heard::Forwarded),
    ] {
        let mut services = caching(&[0, 1, 2, 3].map(|index| Server { weight: 100, ..server(index) }));
        services.services[0].scheduler = scheduler;
        let mut cluster = Cluster::new(&services, heard);
        let mut caches: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
        for n in 0..CLIENTS {
            if n == CLIENTS / 2 {
                cluster.kill(0);
            }
            let cache = cluster.ask(&segment(n, site(n), Flags::SYN));
            cluster.answer(cache, |from| page(n, site(n), from, Flags(Flags::SYN.0 | Flags::ACK.0)));
            assert_eq!(cluster.ask(&segment(n, site(n), Flags::ACK)), cache);
            assert_eq!(*caches.entry(site(n)).or_insert(cache), cache, "{scheduler:?}, whoever is asked");
        }
        assert!(caches.values().any(|cache| *cache != caches[&site(0)]), "more than one cache is used");
    }
}

#[test]
fn a_node_that_comes_later_picks_up_what_servers_have() {
    let caches = caching(&[0, 1, 2, 3].map(|index| Server { weight: 2, ..server(index) }));
    for (services, to) in [(shared(Scheduler::Rr), VIP), (caches, SITE)] {
        let mut cluster = Cluster::new(&services, Heard::Answers);
        cluster.kill(2);
        let says = |n| segment(n, to, Flags::ACK);
        let answers = |cluster: &mut Cluster, n, server, flags| {
            cluster.answer(server, |from| page(n, to, from, flags));
        };
        let mut servers = Vec::new();
        for n in 0..CLIENTS {
            servers.push(cluster.ask(&segment(n, to, Flags::SYN)));
            answers(&mut cluster, n, servers[usize::from(n)], Flags(Flags::SYN.0 | Flags::ACK.0));
            cluster.ask(&says(n));
        }
        cluster.start(2);
        for (n, server) in (0..).zip(&servers) {
            // Of half of them it hears the server first.
            if n % 2 == 0 {
                cluster.ask(&says(n));
            }
            answers(&mut cluster, n, *server, Flags::ACK);
            assert_eq!(cluster.ask(&says(n)), *server);
        }
        cluster.tell();
        cluster.kill(0);
        cluster.kill(1);
        for (n, server) in (0..).zip(&servers) {
            assert_eq!(cluster.ask(&says(n)), *server, "client {n}");
        }
    }
}

#[test]
fn what_is_held_while_its_owner_leaves_gets_its_server_from_the_heir() {
    let mut cluster = Cluster::new(&shared(Scheduler::Rr), Heard::Forwarded);
    for heir in 1..NODES {
        let node = cluster.nodes[heir].as_mut().unwrap();
        node.take_step(Step::Hold { leaver: name(0), frames_max: HELD_MAX });
        (0..SETTLE_ROUNDS).for_each(|_| node.take_step(Step::Settle));
    }
    // It has stopped, and forwarded nothing since it began to note.
    cluster.nodes[0] = None;
    let (mut held, mut left) = (0, Vec::new());
    for n in 0..CLIENTS {
        let outcomes = [1, 2].map(|heir| {
            let node = cluster.nodes[heir].as_mut().unwrap();
            let verdict = node.verdict(Side::Lan, MemFrame::new(syn(n)));
            left.extend(node.departed());
            verdict
        });
        held += u8::from(outcomes == [Verdict::Hold; 2]);
    }
    assert!(0 < held && held < CLIENTS, "{held}");
    for heir in 1..NODES {
        let node = cluster.nodes[heir].as_mut().unwrap();
        node.take_step(Step::Inherit(Passed::compile([]).unwrap()));
    }
    cluster.tell();
    for node in cluster.nodes.iter_mut().flatten() {
        node.take_step(Step::End);
        left.extend(node.departed());
    }
    assert_eq!(left.len(), usize::from(CLIENTS));
    assert!(left.iter().all(|(_, frame)| (0..4).any(|server| frame[..6] == mac(server).0)));
}

#[test]
fn what_a_server_has_opened_is_counted_by_who_forwards_it() {
    let mut cluster = Cluster::new(&shared(Scheduler::Rr), Heard::Answers);
    let open = |n| eth(mac(0), TO_WAN).ip(VIP, client(n)).tcp(20, 2000).flags(Flags::SYN).build();
    let counts = |cluster: &Cluster, node: usize| {
        let cells = cluster.nodes[node].as_ref().unwrap().counters().server(ServerId::FIRST);
        (cells.opened.read(), cells.shadows.read())
    };
    let (owner, _) = cluster.say(Side::Wan, &open(0));
    for node in cluster.living() {
        assert_eq!(counts(&cluster, node), if node == owner { (1, 0) } else { (0, 1) });
    }
    cluster.kill(owner);
    let (heir, _) = cluster.say(Side::Wan, &open(0));
    for node in cluster.living() {
        assert_eq!(counts(&cluster, node), if node == heir { (1, 0) } else { (0, 1) });
        cluster.nodes[node].as_mut().unwrap().idle(100, weir_dataplane::units::Tick::from_ms(200_000));
        assert_eq!(counts(&cluster, node), (0, 0), "it is over");
    }
}
