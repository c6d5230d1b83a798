//! Clusters that are run by hand.

use super::*;

#[test]
fn by_hand_orders_move_buckets_at_once_and_here_alone() {
    let mut cluster = Cluster::of((0..3).map(member).collect(), Agreement::ByHand);
    cluster.pass(10, |_, _| true);
    assert_eq!(cluster.nodes[0].member().state, State::Active);
    let before = cluster.owners(0);
    assert_eq!((cluster.owners(1), cluster.owners(2)), (before.clone(), before.clone()));
    let of = |node: usize| before.iter().position(|owner| *owner == Some(name(node))).unwrap();

    cluster.order(0, Order::Del { bucket: bucket(of(0)) });
    cluster.order(1, Order::Add { bucket: bucket(of(0)) });
    cluster.pass(10, |_, _| true);
    assert_eq!((&cluster.owners(0)[of(0)], &cluster.owners(1)[of(0)]), (&None, &Some(name(1))));
    cluster.order(0, Order::Add { bucket: bucket(of(0)) });
    cluster.order(1, Order::Del { bucket: bucket(of(0)) });
    cluster.pass(10, |_, _| true);
    assert_eq!((cluster.owners(0), cluster.owners(1)), (before.clone(), before.clone()));

    for node in [0, 1, 2] {
        cluster.order(node, Order::Take { node: name(2) });
    }
    cluster.pass(10, |_, _| true);
    assert_eq!((cluster.owners(0), cluster.owners(1)), (cluster.owners(1), cluster.owners(2)));
    assert_eq!((cluster.shares().iter().sum::<usize>(), cluster.shares()[2]), (usize::from(BUCKETS), 0));
    assert!(!cluster.nodes[0].ownership().living.contains_key(&name(2)));
    assert_eq!(cluster.nodes[2].member().state, State::Leaving);
    for node in [0, 1, 2] {
        cluster.order(node, Order::Give { node: name(2) });
    }
    cluster.pass(20, |_, _| true);
    assert!((0..3).all(|node| cluster.owners(node) == before));
    let (here, there) = (cluster.nodes[0].ownership(), cluster.nodes[2].ownership());
    assert!(here.living[&name(2)] > here.living[&name(1)], "what was inherited is the heirs'");
    assert!(there.living[&name(2)] > there.living[&name(1)]);
}

#[test]
fn by_hand_a_node_may_begin_as_one_that_has_left() {
    let waits = Member { state: State::Leaving, ..member(1) };
    let mut cluster = Cluster::of(vec![member(0), waits], Agreement::ByHand);
    cluster.pass(10, |_, _| true);
    cluster.order(0, Order::Take { node: name(1) });
    cluster.pass(10, |_, _| true);
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0]);
    assert_eq!(cluster.owners(0), cluster.owners(1));
    assert!(cluster.nodes[1].ownership().learning);
    cluster.pass(200, |_, _| true);
    assert!(!cluster.nodes[1].ownership().learning);
    for node in [0, 1] {
        cluster.order(node, Order::Give { node: name(1) });
    }
    cluster.pass(20, |_, _| true);
    assert!(cluster.shares()[1] > 0);
    assert_eq!(cluster.owners(0), cluster.owners(1));
}

#[test]
fn by_hand_the_status_shows_orders_and_tells_nothing_of_what_is_not_heard() {
    let mut cluster = Cluster::of((0..3).map(member).collect(), Agreement::ByHand);
    cluster.pass(10, |_, _| true);
    let mine = cluster.owners(0).iter().position(|owner| *owner == Some(name(0))).unwrap();
    cluster.order(0, Order::Take { node: name(2) });
    cluster.order(0, Order::Del { bucket: bucket(mine) });
    cluster.pass(10, |_, _| true);
    let status = cluster.nodes[0].status(&cluster.views[0], cluster.now_ms);
    assert_eq!(status.orders, ["take gw-2".to_owned(), format!("del {}", mine + 1)]);
    assert_eq!(status.members[2].liveness, Liveness::Dead { since_ms: 10 });
    assert!(status.members[0].published.is_some() && status.members[1].published.is_none());
    assert_eq!(status.map, cluster.nodes[1].member().active, "the same map has the same epoch");
    assert_eq!(status.alarms, []);
    let heirs: usize = status.members.iter().filter_map(|member| member.inherits.get(&name(1))).sum();
    assert_eq!(heirs, status.members[1].buckets);
    for node in [1, 0] {
        cluster.order(0, Order::Take { node: name(node) });
    }
    cluster.pass(10, |_, _| true);
    cluster.now_ms += settings(Agreement::ByHand).convergence_ms();
    assert_eq!(cluster.troubles(0), [Trouble::Hole], "nobody is left");
}

#[test]
fn orders_that_make_no_sense_are_refused_with_a_reason() {
    let agreed = Cluster::agreed(2);
    let mut by_hand = Cluster::of(vec![member(0), member(1)], Agreement::ByHand);
    by_hand.pass(10, |_, _| true);
    let beyond = bucket(usize::from(BUCKETS));
    let stranger: NodeName = "nobody".parse().unwrap();
    let mut clusters = [agreed, by_hand];
    for (which, order, text) in [
        (
            0,
            Order::Take { node: name(1) },
            "take gw-1: only with static membership; here the nodes agree by themselves: use pin, drain or resume",
        ),
        (0, Order::Unpin { bucket: beyond }, "bucket 17: there are 16, counted from 1"),
        (
            0,
            Order::Pin { bucket: bucket(0), node: stranger },
            "node nobody: this cluster has none of that name; `weir cluster show` lists those it has",
        ),
        (1, Order::Resume, "resume: not with static membership; use add, del, take or give"),
        (
            1,
            Order::Stop { deadline_ms: None },
            "stop: not with static membership; use add, del, take or give",
        ),
        (1, Order::Give { node: name(0) }, "give gw-0: nothing has changed, for it is so already"),
        (1, Order::Give { node: name(1) }, "give gw-1: nothing has changed, for it is so already"),
    ] {
        let now_ms = clusters[which].now_ms;
        let refused = clusters[which].nodes[0].order(&order, now_ms).unwrap_err();
        assert_eq!(refused.to_string(), text);
    }
}
