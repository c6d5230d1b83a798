//! Coordinators that hear each other perfectly, or not at all, one step at a time.

mod by_hand;
mod handover;
mod minority;

use super::*;
use std::collections::BTreeMap;
use weir_dataplane::units::BucketId;

const BUCKETS: u16 = 16;

/// A few nodes under one clock.
struct Cluster {
    now_ms: u64,
    nodes: Vec<Coordinator>,
    views: Vec<View>,
    /// Who leaves tells what it has forwarded.
    tells: bool,
}

fn name(i: usize) -> NodeName {
    format!("gw-{i}").parse().unwrap()
}

fn member(i: usize) -> Member {
    Member {
        name: name(i),
        incarnation: Incarnation(1000),
        state: State::Joining,
        weight: Weight::new(100).unwrap(),
        address: [192, 0, 2, 1].into(),
        hash_seed: 7,
        total_nodes: BUCKETS,
        config_digest: Digest(1),
        version: "0.1.0".into(),
        proposal: None,
        released: None,
        active: None,
        electorate: None,
        flows_left: None,
        handover: None,
        holds_for: None,
    }
}

fn settings(agreement: Agreement) -> Settings {
    Settings {
        agreement,
        minority: Minority::Serves,
        detection_ms: 100,
        answer_ms: 100,
        settle_ms: 20,
        formation_ms: 50,
        learning_ms: 200,
        drain_ms: 500,
        hand_over: true,
    }
}

impl Cluster {
    fn of(members: Vec<Member>, agreement: Agreement) -> Self {
        let views = members.iter().map(|_| View::default()).collect();
        let start = |member| Coordinator::new(settings(agreement), member, BTreeMap::new(), 0);
        Self { now_ms: 0, nodes: members.into_iter().map(start).collect(), views, tells: true }
    }

    /// `n` alike that agree.
    fn agreed(n: usize) -> Self {
        let mut cluster = Self::of((0..n).map(member).collect(), Agreement::Liveness);
        cluster.pass(500, |_, _| true);
        cluster
    }

    /// Time passes while those hear each other of whom `hear` says so; the others are dead to each other.
    fn pass(&mut self, for_ms: u64, hear: impl Fn(usize, usize) -> bool) {
        let end_ms = self.now_ms + for_ms;
        while self.now_ms < end_ms {
            self.now_ms += 10;
            let members: Vec<_> = self.nodes.iter().map(|node| node.member().clone()).collect();
            let given_up = |view: &View| {
                let dead = view.peers.iter().filter(|(_, peer)| !peer.liveness.lives());
                dead.map(|(name, _)| name.clone()).collect::<Vec<_>>()
            };
            let given_up: Vec<_> = self.views.iter().map(given_up).collect();
            for (i, node) in self.nodes.iter_mut().enumerate() {
                for (j, member) in members.iter().enumerate() {
                    let view = &mut self.views[i];
                    if hear(i, j) {
                        let deaf = given_up[j].contains(&members[i].name);
                        let peer = Peer { member: member.clone(), liveness: Liveness::Alive, deaf };
                        view.peers.insert(member.name.clone(), peer);
                    } else if let Some(peer) = view.peers.get_mut(&member.name)
                        && peer.liveness.lives()
                    {
                        peer.liveness = Liveness::Dead { since_ms: self.now_ms };
                    }
                }
                node.advance(&self.views[i], self.now_ms);
                let member = node.member();
                if self.tells && member.state == State::Leaving && member.handover.is_none() {
                    node.hand_over(Some([7].into()));
                }
            }
        }
    }

    fn order(&mut self, i: usize, order: Order) {
        self.nodes[i].order(&order, self.now_ms).unwrap();
    }

    fn owners(&self, i: usize) -> Vec<Option<NodeName>> {
        self.nodes[i].ownership().owners.clone()
    }

    /// How many buckets each node says are its own.
    fn shares(&self) -> Vec<usize> {
        let own = |node: &Coordinator| {
            let me = Some(node.member().name.clone());
            node.ownership().owners.iter().filter(|owner| **owner == me).count()
        };
        self.nodes.iter().map(own).collect()
    }

    fn troubles(&self, i: usize) -> Vec<Trouble> {
        self.nodes[i].alarms(self.now_ms).map(|alarm| alarm.trouble).collect()
    }
}

fn bucket(index: usize) -> BucketId {
    BucketId::new(index).unwrap()
}

#[test]
fn nodes_that_start_together_agree_without_learning() {
    let cluster = Cluster::agreed(3);
    assert_eq!(cluster.owners(0), cluster.owners(1));
    assert_eq!(cluster.owners(0), cluster.owners(2));
    assert_eq!(cluster.shares().iter().sum::<usize>(), usize::from(BUCKETS));
    assert!(cluster.shares().iter().all(|share| *share > 0));
    assert!((0..3).all(|i| cluster.troubles(i).is_empty()));
}

#[test]
fn a_joiner_learns_before_it_gets_buckets_and_moves_no_flow() {
    let mut cluster = Cluster::agreed(2);
    let living = cluster.nodes[0].ownership().living.clone();
    cluster.nodes.push(Coordinator::new(
        settings(Agreement::Liveness),
        member(2),
        BTreeMap::new(),
        cluster.now_ms,
    ));
    cluster.views.push(View::default());
    cluster.pass(200, |_, _| true);
    assert_eq!(cluster.nodes[2].member().state, State::Learning);
    assert!(cluster.nodes[2].ownership().learning);
    assert_eq!(cluster.owners(2), cluster.owners(0), "it knows whose is what");
    assert_eq!(cluster.shares()[2], 0);
    cluster.pass(200, |_, _| true);
    assert!(cluster.shares()[2] > 0 && !cluster.nodes[2].ownership().learning);
    for (name, since) in living {
        assert_eq!(cluster.nodes[0].ownership().living[&name], since);
    }
}

#[test]
fn the_dead_are_inherited_from_at_once_by_those_who_were_foretold() {
    let mut cluster = Cluster::agreed(3);
    let foretold = |cluster: &Cluster| {
        let heirs = cluster.nodes[0].owners_if_dead(&name(2), &cluster.views[0], cluster.now_ms);
        heirs.into_iter().map(Option::<&NodeName>::cloned).collect::<Vec<_>>()
    };
    let heirs = foretold(&cluster);
    let map = cluster.nodes[0].member().active.clone();
    cluster.pass(10, |i, j| i != 2 && j != 2);
    assert_eq!(cluster.nodes[0].member().active, map, "no map is needed for it");
    assert_eq!((cluster.owners(0), cluster.owners(1)), (heirs.clone(), heirs.clone()));
    assert!(!cluster.nodes[0].ownership().living.contains_key(&name(2)));
    cluster.pass(300, |i, j| i != 2 && j != 2);
    assert_ne!(cluster.nodes[0].member().active, map, "a map without it follows");
    assert_eq!(cluster.owners(0), heirs, "and says the same");
}

#[test]
fn a_leaver_hands_over_counts_down_and_goes() {
    let mut cluster = Cluster::agreed(2);
    cluster.nodes[1].count_flows(3);
    cluster.order(1, Order::Stop { deadline_ms: Some(10_000) });
    cluster.pass(200, |_, _| true);
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0]);
    assert_eq!(
        (cluster.nodes[1].member().state, cluster.nodes[1].member().flows_left),
        (State::Draining, Some(3))
    );
    assert!(cluster.nodes[0].ownership().living.contains_key(&name(1)), "it keeps its flows");
    cluster.nodes[1].count_flows(0);
    cluster.pass(50, |_, _| true);
    assert_eq!(cluster.nodes[1].member().state, State::Leaving);
    assert!(!cluster.nodes[0].ownership().living.contains_key(&name(1)), "what was left is inherited");
    assert!(!cluster.nodes[1].may_stop(cluster.now_ms));
    cluster.pass(100, |_, _| true);
    assert!(cluster.nodes[1].may_stop(cluster.now_ms));
}

#[test]
fn a_drain_ends_at_its_deadline_and_can_be_taken_back() {
    let mut cluster = Cluster::agreed(2);
    cluster.nodes[1].count_flows(3);
    cluster.order(1, Order::Drain { deadline_ms: Some(300) });
    cluster.pass(290, |_, _| true);
    assert_eq!(cluster.nodes[1].member().state, State::Draining);
    cluster.pass(40, |_, _| true);
    assert_eq!(cluster.nodes[1].member().state, State::Leaving);
    cluster.order(1, Order::Resume);
    cluster.pass(200, |_, _| true);
    assert!(cluster.shares()[1] > 0 && cluster.owners(0) == cluster.owners(1));
}

#[test]
fn a_pin_holds_on_all_nodes_through_later_maps_until_it_is_taken_off() {
    let mut cluster = Cluster::agreed(2);
    let free = cluster.owners(0);
    let at = free.iter().position(|owner| *owner == Some(name(0))).unwrap();
    cluster.order(1, Order::Pin { bucket: bucket(at), node: name(1) });
    cluster.pass(400, |_, _| true);
    let pinned: Vec<_> =
        (0..free.len()).map(|i| if i == at { Some(name(1)) } else { free[i].clone() }).collect();
    assert_eq!((cluster.owners(0), cluster.owners(1)), (pinned.clone(), pinned.clone()));
    cluster.pass(300, |i, j| i == j);
    cluster.pass(1000, |_, _| true);
    assert_eq!(cluster.owners(0), pinned);
    cluster.order(0, Order::Unpin { bucket: bucket(at) });
    cluster.pass(400, |_, _| true);
    assert_eq!((cluster.owners(0), cluster.owners(1)), (free.clone(), free));
}

#[test]
fn who_gives_a_bucket_up_names_nobody_until_the_next_one_may_own_it() {
    let mut cluster = Cluster::agreed(2);
    let at = cluster.owners(0).iter().position(|owner| *owner == Some(name(0))).unwrap();
    cluster.order(1, Order::Pin { bucket: bucket(at), node: name(1) });
    let mut told = Vec::new();
    for _ in 0..40 {
        cluster.pass(10, |_, _| true);
        told.push([0, 1].map(|node| cluster.owners(node)[at].clone()));
    }
    told.dedup();
    let [before, after] = [0, 1].map(|node| Some(name(node)));
    let way =
        [[before.clone(), before.clone()], [None, before], [None, after.clone()], [after.clone(), after]];
    assert_eq!(told, way);
}

#[test]
fn each_side_of_a_parting_owns_everything_and_all_is_settled_when_it_ends() {
    let mut cluster = Cluster::agreed(3);
    cluster.pass(300, |i, j| (i == 2) == (j == 2));
    assert_eq!(cluster.owners(0), cluster.owners(1));
    assert_eq!(cluster.shares()[2], usize::from(BUCKETS));
    assert_eq!(cluster.troubles(2), [Trouble::Isolated]);
    let version = cluster.nodes[0].ownership().version;
    cluster.pass(20, |_, _| true);
    assert!(cluster.troubles(2).contains(&Trouble::SplitBrain { node: name(0) }));
    cluster.pass(settings(Agreement::Liveness).convergence_ms(), |_, _| true);
    assert_eq!(cluster.owners(0), cluster.owners(2));
    assert!(
        cluster.nodes[0].ownership().living.values().all(|since| *since > version),
        "all flows go by the map"
    );
    assert!((0..3).all(|i| cluster.troubles(i).is_empty()));
}

#[test]
fn a_lease_is_left_a_margin_early_and_inherited_a_margin_late() {
    let agreement = Agreement::Leases { margin_ms: 40 };
    let mut cluster = Cluster::of(vec![member(0), member(1)], agreement);
    for view in &mut cluster.views {
        view.lease = Some(Lease::Until { end_ms: 1000 });
    }
    cluster.pass(500, |_, _| true);
    assert!(cluster.shares().iter().all(|share| *share > 0), "{:?}", cluster.shares());
    cluster.views[0].lease = Some(Lease::Until { end_ms: 5000 });
    cluster.pass(450, |_, _| true);
    assert!(cluster.shares()[1] > 0, "at 950 ms");
    cluster.pass(10, |_, _| true);
    assert_eq!(cluster.shares()[1], 0, "at 960 ms");
    assert_eq!(cluster.troubles(1), [Trouble::NoLease]);

    let mut cluster = Cluster::of(vec![member(0), member(1)], agreement);
    for view in &mut cluster.views {
        view.lease = Some(Lease::Until { end_ms: 5000 });
    }
    cluster.pass(500, |_, _| true);
    let before = cluster.shares()[0];
    cluster.pass(40, |i, j| i == j);
    assert_eq!(cluster.shares()[0], before, "dead to it for 30 ms");
    cluster.pass(10, |i, j| i == j);
    assert_eq!(cluster.shares()[0], usize::from(BUCKETS), "dead to it for 40 ms");
}

#[test]
fn each_mismatch_is_an_alarm_with_its_time_and_advice() {
    let others = [
        (Member { config_digest: Digest(2), ..member(1) }, Trouble::ConfigDigest { node: name(1) }),
        (Member { version: "0.2.0".into(), ..member(1) }, Trouble::Version { node: name(1) }),
        (Member { hash_seed: 8, ..member(1) }, Trouble::HashSeed { node: name(1) }),
        (Member { total_nodes: 8, ..member(1) }, Trouble::TotalNodes { node: name(1) }),
    ];
    for (other, trouble) in others {
        let mut cluster = Cluster::of(vec![member(0), other], Agreement::Liveness);
        cluster.pass(100, |_, _| true);
        let alarms: Vec<_> = cluster.nodes[0].alarms(cluster.now_ms).collect();
        assert_eq!(alarms.len(), 1, "{alarms:?}");
        assert_eq!((&alarms[0].trouble, alarms[0].since_ms), (&trouble, 10));
        assert!(!alarms[0].advice.is_empty());
        cluster.pass(100, |i, j| i == j);
        assert!(!cluster.troubles(0).contains(&trouble), "it ends with its cause");
    }
}

#[test]
fn a_node_that_is_reloaded_is_no_more_configured_in_another_way() {
    let others = Member { config_digest: Digest(2), ..member(1) };
    let mut cluster = Cluster::of(vec![member(0), others], Agreement::Liveness);
    cluster.pass(100, |_, _| true);
    assert_eq!(cluster.troubles(0), [Trouble::ConfigDigest { node: name(1) }]);
    cluster.nodes[1].configure(Digest(1));
    cluster.pass(20, |_, _| true);
    assert_eq!(cluster.troubles(0), []);
}

#[test]
fn who_hashes_in_another_way_does_not_join() {
    let mut cluster = Cluster::agreed(1);
    let stranger = Member { hash_seed: 8, ..member(1) };
    cluster.nodes.push(Coordinator::new(
        settings(Agreement::Liveness),
        stranger,
        BTreeMap::new(),
        cluster.now_ms,
    ));
    cluster.views.push(View::default());
    cluster.pass(1000, |_, _| true);
    assert_eq!(cluster.nodes[1].member().state, State::Joining);
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0]);
}

#[test]
fn of_two_that_hash_in_other_ways_and_start_together_one_serves() {
    let stranger = Member { hash_seed: 8, ..member(1) };
    let mut cluster = Cluster::of(vec![member(0), stranger, member(2)], Agreement::Liveness);
    cluster.pass(1000, |_, _| true);
    let shares = cluster.shares();
    assert_eq!((shares[1], shares[0] + shares[2]), (0, usize::from(BUCKETS)));
    assert_eq!(cluster.nodes[1].member().state, State::Joining);
}

#[test]
fn a_second_node_of_a_name_stays_outside_and_is_told() {
    let cluster = Cluster::agreed(1);
    let first = cluster.nodes[0].member().clone();
    let twin = Member { incarnation: Incarnation(2000), ..first.clone() };
    let mut node = Coordinator::new(settings(Agreement::Liveness), twin, BTreeMap::new(), cluster.now_ms);
    let mut view = View::default();
    view.peers.insert(first.name.clone(), Peer { member: first, liveness: Liveness::Alive, deaf: false });
    for now_ms in (cluster.now_ms..cluster.now_ms + 2000).step_by(10) {
        node.advance(&view, now_ms);
    }
    assert_eq!(node.member().state, State::Joining);
    let troubles: Vec<_> = node.alarms(cluster.now_ms + 2000).map(|alarm| alarm.trouble).collect();
    assert_eq!(troubles, [Trouble::Twin]);
}

#[test]
fn the_status_shows_shares_and_who_inherits_them() {
    let mut cluster = Cluster::agreed(3);
    let status = cluster.nodes[0].status(&cluster.views[0], cluster.now_ms);
    assert_eq!(status.members.iter().map(|member| member.buckets).collect::<Vec<_>>(), cluster.shares());
    let inherited: usize = status.members.iter().filter_map(|member| member.inherits.get(&name(2))).sum();
    assert_eq!(inherited, cluster.shares()[2]);
    assert!(!status.members[2].inherits.contains_key(&name(2)));
    assert_eq!(status.map, cluster.nodes[1].member().active);
    assert!(status.history.iter().any(|event| matches!(event.change, Happened::Active { .. })));
    assert!(serde_json::to_string(&status).unwrap().contains(r#""event":"active","epoch":"1/gw-0/"#));

    for _ in 0..40 {
        cluster.pass(10, |i, j| i == j);
        cluster.pass(10, |_, _| true);
    }
    assert_eq!(cluster.nodes[0].history().count(), 64, "the oldest are forgotten");
}

#[test]
fn who_is_heard_by_nobody_is_told_so_though_it_hears_all() {
    let mut cluster = Cluster::agreed(2);
    let one_way = |hears: usize, says: usize| (hears, says) != (1, 0);
    let deaf = |cluster: &Cluster| -> [bool; 2] {
        [0, 1].map(|i| cluster.troubles(i).contains(&Trouble::Deaf { node: name(1 - i) }))
    };
    cluster.pass(50, one_way);
    assert_eq!(deaf(&cluster), [false; 2], "it may be over soon");
    cluster.pass(1000, one_way);
    assert_eq!(deaf(&cluster), [true, false]);
    assert!(cluster.troubles(1).contains(&Trouble::Isolated), "the other one hears nobody");
    cluster.pass(1000, |_, _| true);
    assert_eq!(deaf(&cluster), [false; 2]);
}
