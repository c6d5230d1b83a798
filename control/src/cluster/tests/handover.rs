//! Nodes that leave as planned: who waits for whom.

use super::*;

fn leave(cluster: &mut Cluster, i: usize) {
    cluster.order(i, Order::Stop { deadline_ms: Some(0) });
}

fn leaves(cluster: &Cluster, i: usize) -> bool {
    cluster.nodes[i].member().state == State::Leaving
}

#[test]
fn a_leaver_goes_when_all_hold_and_they_go_on_when_it_has_told() {
    let mut cluster = Cluster::agreed(3);
    leave(&mut cluster, 1);
    cluster.pass(10, |_, _| true);
    assert_eq!(cluster.nodes[1].duty(), Duty::Note);
    cluster.pass(10, |_, _| true);
    assert!([0, 2].iter().all(|i| cluster.nodes[*i].duty() == Duty::Hold(name(1))));
    assert!(!leaves(&cluster, 1), "nobody has said that he holds");
    cluster.pass(10, |_, _| true);
    assert!(leaves(&cluster, 1) && cluster.nodes[1].duty() == Duty::None);
    assert!(cluster.nodes[0].take_inheritance().is_none());
    cluster.pass(10, |_, _| true);
    for heir in [0, 2] {
        assert_eq!(cluster.nodes[heir].take_inheritance().as_deref(), Some([7].as_slice()));
        assert_eq!(cluster.nodes[heir].duty(), Duty::None);
        assert!(!cluster.nodes[heir].ownership().living.contains_key(&name(1)));
    }
}

#[test]
fn nobody_owns_what_a_leaver_had_until_it_has_told_or_is_silent_for_too_long() {
    let mut cluster = Cluster::agreed(2);
    cluster.tells = false;
    leave(&mut cluster, 1);
    cluster.pass(40, |_, _| true);
    assert!(leaves(&cluster, 1));
    assert!(cluster.nodes[0].ownership().living.contains_key(&name(1)), "it has not told");
    cluster.pass(settings(Agreement::Liveness).answer_ms, |_, _| true);
    assert!(!cluster.nodes[0].ownership().living.contains_key(&name(1)));
    assert!(cluster.nodes[0].take_inheritance().is_none());
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0]);
}

#[test]
fn a_leaver_that_dies_is_inherited_from_at_once() {
    let mut cluster = Cluster::agreed(2);
    cluster.tells = false;
    leave(&mut cluster, 1);
    cluster.pass(40, |_, _| true);
    cluster.pass(10, |i, j| i == j);
    assert!(!cluster.nodes[0].ownership().living.contains_key(&name(1)));
    assert_eq!(cluster.nodes[0].duty(), Duty::None);
}

#[test]
fn nodes_that_leave_at_once_go_one_after_the_other() {
    let mut cluster = Cluster::agreed(3);
    leave(&mut cluster, 1);
    leave(&mut cluster, 2);
    cluster.pass(50, |_, _| true);
    assert!(leaves(&cluster, 1) && !leaves(&cluster, 2));
    assert!(cluster.nodes[2].take_inheritance().is_some());
    cluster.pass(60, |_, _| true);
    assert!(leaves(&cluster, 2));
    assert_eq!(cluster.shares(), [usize::from(BUCKETS), 0, 0]);
}

#[test]
fn who_stays_after_all_keeps_what_it_has() {
    let mut cluster = Cluster::agreed(2);
    let living = cluster.nodes[0].ownership().living.clone();
    leave(&mut cluster, 1);
    cluster.pass(20, |_, _| true);
    assert_eq!(cluster.nodes[0].duty(), Duty::Hold(name(1)));
    cluster.order(1, Order::Resume);
    cluster.pass(200, |_, _| true);
    assert!((0..2).all(|i| cluster.nodes[i].duty() == Duty::None));
    assert_eq!(cluster.nodes[0].ownership().living, living);
}
