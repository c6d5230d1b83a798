//! Clusters whose smaller part yields.

use super::*;

/// `n` nodes that agree.
fn yielding(n: usize) -> Cluster {
    let mut cluster = Cluster { now_ms: 0, nodes: Vec::new(), views: Vec::new(), tells: true };
    (0..n).for_each(|_| start(&mut cluster));
    cluster.pass(500, |_, _| true);
    cluster
}

/// A node that the cluster has not had so far.
fn start(cluster: &mut Cluster) {
    cluster.nodes.push(born(cluster.nodes.len(), cluster.now_ms));
    cluster.views.push(View::default());
}

/// One that dies and is started anew: whoever hears it hears another life of it.
fn restart(cluster: &mut Cluster, i: usize) {
    cluster.nodes[i] = born(i, cluster.now_ms);
    cluster.views[i] = View::default();
}

fn born(i: usize, now_ms: u64) -> Coordinator {
    let yields = Settings { minority: Minority::Yields, ..settings(Agreement::Liveness) };
    let member = Member { incarnation: Incarnation(1000 + now_ms), ..member(i) };
    Coordinator::new(yields, member, BTreeMap::new(), now_ms)
}

/// The voters that a node misses while it hears too few of them.
fn misses(cluster: &Cluster, i: usize) -> Option<Vec<usize>> {
    let missing = cluster.troubles(i).into_iter().find_map(|trouble| match trouble {
        Trouble::NoMajority { missing } => Some(missing),
        _ => None,
    });
    let number = |missing: &NodeName| (0..cluster.nodes.len()).find(|i| name(*i) == *missing);
    missing.map(|missing| missing.iter().filter_map(number).collect())
}

/// All hear each other but `alone`, who hears nobody and is not heard.
fn without(alone: usize) -> impl Fn(usize, usize) -> bool {
    move |i, j| (i == alone) == (j == alone)
}

#[test]
fn a_minority_that_yields_owns_nothing_until_it_hears_the_others() {
    let mut cluster = yielding(3);
    let all = cluster.owners(0);
    for alone in 0..3 {
        cluster.pass(10, without(alone));
        assert_eq!(cluster.shares()[alone], 0);
        assert_eq!(
            cluster.shares().iter().sum::<usize>(),
            usize::from(BUCKETS),
            "the others have it all at once"
        );
        cluster.pass(1000, without(alone));
        let others = (0..3).filter(|i| *i != alone).collect();
        assert_eq!(misses(&cluster, alone), Some(others));
        assert_eq!(cluster.nodes[alone].member().state, State::Joining, "alone, it founds no cluster");
        cluster.pass(600, |_, _| true);
        assert_eq!((cluster.owners(0), cluster.owners(alone)), (all.clone(), all.clone()));
    }
}

#[test]
fn who_has_yielded_names_owners_before_it_serves_again_and_nobody_before_it_may() {
    let nobody = vec![None; usize::from(BUCKETS)];
    let mut cluster = yielding(3);
    cluster.pass(10, without(2));
    assert_eq!(cluster.owners(2), nobody);
    cluster.pass(10, |_, _| true);
    assert_eq!((cluster.nodes[2].member().state, cluster.shares()[2]), (State::Joining, 0));
    assert_eq!(cluster.owners(2), cluster.owners(0), "what is answered now has its owner");
    let living = cluster.nodes[2].ownership().living.clone();
    cluster.pass(500, |_, _| true);
    assert!(cluster.shares()[2] > 0);
    for (name, since) in living {
        assert_eq!(cluster.nodes[2].ownership().living[&name], since, "and keeps it");
    }

    let mut cluster = yielding(4);
    let hearing = |heard: &'static [usize]| move |i, j| (i == 3) == (j == 3) || heard.contains(&(i + j - 3));
    cluster.pass(10, hearing(&[2]));
    assert_eq!(cluster.owners(3), nobody, "others may serve unheard");
    restart(&mut cluster, 1);
    cluster.pass(10, hearing(&[1, 2]));
    assert_eq!(
        cluster.owners(3),
        vec![Some(name(2)); usize::from(BUCKETS)],
        "with the vote of who serves not yet"
    );
}

#[test]
fn of_two_halves_that_yield_the_one_with_the_first_node_goes_on() {
    let mut cluster = yielding(2);
    cluster.pass(100, |i, j| i == j);
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0]);
}

#[test]
fn who_has_left_has_no_vote_and_no_part_until_those_with_a_seat_are_heard() {
    let mut cluster = yielding(3);
    for leaver in [0, 1] {
        cluster.order(leaver, Order::Drain { deadline_ms: Some(200) });
        cluster.pass(300, |_, _| true);
    }
    assert_eq!(cluster.shares(), [0, 0, usize::from(BUCKETS)]);
    cluster.pass(50, without(2));
    cluster.order(0, Order::Resume);
    cluster.order(1, Order::Resume);
    cluster.pass(1000, without(2));
    assert_eq!(cluster.shares(), [0, 0, usize::from(BUCKETS)], "it may serve where it is not heard");
    for waits in [0, 1] {
        assert_eq!(cluster.nodes[waits].member().state, State::Joining);
        assert_eq!(misses(&cluster, waits), Some(vec![2]));
    }
    cluster.pass(1000, |_, _| true);
    assert!(cluster.shares().iter().all(|share| *share > 0), "{:?}", cluster.shares());
}

#[test]
fn who_starts_among_nodes_that_wait_waits_with_them() {
    let mut cluster = yielding(2);
    cluster.pass(100, without(0));
    start(&mut cluster);
    cluster.pass(1000, without(0));
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0, 0], "the first one serves where it is not heard");
    for waits in [1, 2] {
        assert_eq!(cluster.nodes[waits].member().state, State::Joining);
        assert_eq!(misses(&cluster, waits), Some(vec![0]));
    }
    restart(&mut cluster, 1);
    cluster.pass(1000, without(0));
    assert_eq!(cluster.shares()[1..], [0, 0], "they tell each other for as long as one of them runs");
    cluster.pass(1000, |_, _| true);
    assert!(cluster.shares().iter().all(|share| *share > 0), "{:?}", cluster.shares());
    assert!((0..3).all(|i| cluster.troubles(i).is_empty()));
}

#[test]
fn a_dead_node_that_starts_anew_ends_the_wait_for_it() {
    let mut cluster = yielding(2);
    cluster.pass(100, without(0));
    start(&mut cluster);
    restart(&mut cluster, 0);
    cluster.pass(100, without(0));
    assert_eq!(cluster.shares()[1..], [0, 0]);
    cluster.pass(1000, |_, _| true);
    assert!(cluster.shares().iter().all(|share| *share > 0), "{:?}", cluster.shares());
}

#[test]
fn who_has_served_alone_stops_when_it_hears_of_an_older_cluster_that_may_serve() {
    let mut cluster = yielding(2);
    cluster.pass(100, without(0));
    start(&mut cluster);
    cluster.pass(1000, |i, j| i == j);
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0, usize::from(BUCKETS)], "it heard nobody");
    cluster.pass(20, without(0));
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0, 0]);
    cluster.pass(1000, |_, _| true);
    assert!(cluster.shares().iter().all(|share| *share > 0), "{:?}", cluster.shares());
    assert!((0..3).all(|i| cluster.troubles(i).is_empty()));
}

#[test]
fn voters_who_have_left_hand_their_votes_to_who_serves_after_them() {
    let mut cluster = yielding(2);
    for leaver in [0, 1] {
        cluster.order(leaver, Order::Drain { deadline_ms: Some(100) });
    }
    cluster.pass(500, |_, _| true);
    assert_eq!(cluster.shares(), [0, 0]);
    start(&mut cluster);
    cluster.pass(500, |_, _| true);
    assert_eq!(cluster.shares(), [0, 0, usize::from(BUCKETS)]);
    cluster.pass(1000, without(2));
    assert_eq!(cluster.shares(), [0, 0, usize::from(BUCKETS)], "they are not needed any more");
    assert_eq!(misses(&cluster, 2), None);
}
