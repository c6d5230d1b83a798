//! Flows to a VIP of the cluster: they keep their owner, whatever becomes of their buckets.

use super::three::{Client, Map, Three, all, named};
use proptest::prelude::*;
use std::sync::Arc;
use weir_dataplane::config::vip::HashMode;
use weir_dataplane::counters::{DropReason, Verdict};
use weir_dataplane::gate::lease::Lease;
use weir_dataplane::trace::{Filter, Told};
use weir_dataplane::track::ConnState;
use weir_dataplane::units::{Mark, MemberId, NodeNumber, Tick, VipId};

const MODE: HashMode = HashMode::SourcePort;
const EVEN: Map = [0, 1, 2, 0, 1, 2, 0, 1];

fn clients(count: u8) -> Vec<Client> {
    (0..count).map(|n| Client::new(100 + n, 40_000 + u16::from(n) * 7, 80)).collect()
}

/// Opens connections: whose each is.
fn open(three: &mut Three, clients: &[Client]) -> Vec<usize> {
    let open = |client: &Client| {
        let taker = three.taker(&client.syn());
        assert_eq!(three.taker(&client.ack()), taker);
        taker
    };
    clients.iter().map(open).collect()
}

#[test]
fn a_connection_keeps_its_node_when_its_bucket_moves_and_new_ones_go_by_the_map() {
    let mut three = Three::of_cluster(MODE, &EVEN);
    let (old, new) = (clients(40), clients(80).split_off(40));
    let takers = open(&mut three, &old);
    for (client, taker) in old.iter().zip(&takers) {
        assert_eq!(EVEN[three.bucket(8, client, 80)], *taker, "the first packet's hash");
    }
    let own: Vec<u64> = (0..3).map(|node| three.own(node)).collect();
    assert_eq!(own.iter().sum::<u64>(), 40, "each is one node's, which a drain waits for: {own:?}");
    let flow = three.flows(0)[0];
    assert_eq!(
        flow.mark,
        Mark(flow.bucket.number().number().into()),
        "the mark is the node, as in CLUSTERIP"
    );

    let moved = EVEN.map(|owner| (owner + 1) % 3);
    three.agree(&moved);
    for (client, taker) in old.iter().zip(&takers) {
        assert_eq!(three.taker(&client.repeat("GET /")), *taker);
    }
    for (client, taker) in new.iter().zip(open(&mut three, &new)) {
        assert_eq!(moved[three.bucket(8, client, 80)], taker);
    }
    // A dead node's connections are its heirs': their kernels say that there is none.
    (0..2).for_each(|node| three.tell(node, &moved.map(|owner| owner % 2), &[0, 1]));
    for (client, taker) in old.iter().zip(&takers) {
        let heirs: Vec<usize> = three.takers(&client.ack()).into_iter().filter(|node| *node != 2).collect();
        let heir = if *taker == 2 { moved[three.bucket(8, client, 80)] % 2 } else { *taker };
        assert_eq!(heirs, [heir]);
    }
}

#[test]
fn what_may_not_have_been_answered_goes_by_the_map_in_force() {
    let mut three = Three::of_cluster(MODE, &all(0));
    let client = clients(1)[0];
    let datagrams = Client::new(10, 4500, 4500);
    // Between two maps the bucket is nobody's: one node has released it, and the other does not have it yet.
    three.tell(0, &all(1), &[0, 1, 2]);
    for frame in [client.syn(), datagrams.datagram(b"1"), datagrams.datagram(b"2")] {
        assert!(three.takers(&frame).is_empty());
    }
    (1..3).for_each(|node| three.tell(node, &all(1), &[0, 1, 2]));
    assert_eq!([three.taker(&client.syn()), three.taker(&datagrams.datagram(b"3"))], [1, 1]);
    // What its client goes on with has been answered, also when a map has come in between.
    three.agree(&all(2));
    assert_eq!([three.taker(&client.ack()), three.taker(&datagrams.datagram(b"4"))], [1, 2]);
    // Datagrams count as answered after two seconds under one map.
    three.wait(1);
    assert_eq!(three.taker(&datagrams.datagram(b"5")), 2);
    three.wait(2);
    assert_eq!(three.taker(&datagrams.datagram(b"6")), 2);
    three.agree(&all(0));
    assert_eq!([three.taker(&client.ack()), three.taker(&datagrams.datagram(b"7"))], [1, 2]);
}

#[test]
fn a_connection_that_is_over_is_forgotten_and_its_ports_begin_anew() {
    let mut three = Three::of_cluster(MODE, &all(0));
    let [by_fin, by_rst] = [Client::new(7, 1000, 80), Client::new(8, 1000, 80)];
    open(&mut three, &[by_fin, by_rst]);
    assert_eq!([three.taker(&by_fin.fin()), three.taker(&by_rst.rst())], [0, 0]);
    three.agree(&all(1));
    assert_eq!([three.taker(&by_fin.ack()), three.taker(&by_rst.syn())], [0, 1]);
    assert_eq!(three.taker(&by_fin.syn()), 1);
    assert_eq!([three.own(0), three.own(1)], [0, 2]);
}

#[test]
fn without_a_lease_nobody_takes_anything_and_with_one_it_goes_on() {
    let mut three = Three::of_cluster(MODE, &all(0));
    let [before, meanwhile] = [Client::new(7, 1000, 80), Client::new(8, 1000, 80)];
    open(&mut three, &[before]);
    let lease = Arc::<Lease>::default();
    three.nodes[0].lease(&named(MODE, 0, &all(0), &[0, 1, 2]), Arc::clone(&lease));
    for frame in [before.ack(), meanwhile.syn()] {
        assert!(three.takers(&frame).is_empty());
    }
    assert!(three.nodes[0].counters().vip(VipId::new(0).unwrap()).left.read() >= 2);
    lease.ends_at(Tick::from_ms(1_000_000));
    for frame in [before.ack(), meanwhile.syn()] {
        assert_eq!(three.taker(&frame), 0);
    }
}

#[test]
fn a_newcomer_takes_nothing_in_mid_stream_until_it_has_heard_as_long_as_a_connection_may_be_silent() {
    let mut three = Three::of_cluster(MODE, &all(0));
    let client = Client::new(7, 1000, 80);
    open(&mut three, &[client]);
    // It has come after the connection, which has been silent while it learned.
    three.nodes[2] = Three::of_cluster(MODE, &all(0)).nodes.remove(2);
    three.agree(&all(2));
    assert_eq!(three.verdicts(&client.ack())[2], Verdict::Drop(DropReason::InvalidNoFlow));
    assert_eq!(three.taker(&client.ack()), 0);
    // Nobody knows one that has been silent for longer: then it is the map's.
    three.wait(901);
    assert_eq!(three.taker(&client.ack()), 2);
}

#[test]
fn what_a_full_table_has_no_room_for_has_one_taker_nevertheless() {
    let mut three = Three::of_cluster(MODE, &EVEN);
    three.wait(901);
    let many: Vec<Client> = (0..1500).map(|n| Client::new(100 + (n % 100) as u8, 2000 + n, 80)).collect();
    open(&mut three, &many);
    for client in &many {
        three.taker(&client.ack());
    }
}

#[test]
fn a_trace_tells_whose_a_flow_is_and_by_which_hash() {
    let mut three = Three::of_cluster(MODE, &EVEN);
    let client = clients(1)[0];
    let trace = three.nodes[0].trace(8, Filter::default());
    let bucket = three.bucket(8, &client, 80);
    let taker = three.taker(&client.syn());
    three.agree(&EVEN.map(|owner| (owner + 1) % 3));
    three.taker(&client.ack());
    for (state, moved) in [(ConnState::New, 0), (ConnState::Established, 1)] {
        let Some(Told::Frame(frame)) = trace.pop() else { panic!("two frames") };
        let node = |node: usize| MemberId::new(node % 3);
        assert_eq!((frame.tracked.state, frame.tracked.owner), (Some(state), node(taker)));
        assert_eq!(frame.arrival.vip_node, NodeNumber::new(bucket + 1));
        let share = frame.share.unwrap();
        assert_eq!((share.bucket.index(), share.map_owner), (bucket, node(taker + moved)));
        assert_eq!(share.source, client.address);
    }
}

/// What happens at three nodes that hear the same.
#[derive(Clone, Copy, Debug)]
enum Step {
    Syn(usize),
    Ack(usize),
    Fin(usize),
    Datagram(usize),
    Agree(Map),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..6usize;
    let owner = || 0..3usize;
    prop_oneof![
        3 => client().prop_map(Step::Syn),
        6 => client().prop_map(Step::Ack),
        1 => client().prop_map(Step::Fin),
        4 => client().prop_map(Step::Datagram),
        2 => [owner(), owner(), owner(), owner(), owner(), owner(), owner(), owner()].prop_map(Step::Agree),
        2 => (0..40u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn each_packet_has_one_taker_and_an_open_connection_always_the_same(
        steps in prop::collection::vec(step(), 1..60),
        mode in prop::sample::select(HashMode::ALL),
    ) {
        let mut three = Three::of_cluster(mode, &EVEN);
        let clients = clients(6);
        // By client: who has the connection, and whether that has been shown.
        let mut open: [Option<(usize, bool)>; 6] = [None; 6];
        for step in steps {
            match step {
                Step::Syn(n) => {
                    let taker = three.taker(&clients[n].syn());
                    if let Some((owner, true)) = open[n] {
                        prop_assert_eq!(taker, owner);
                    } else {
                        open[n] = Some((taker, false));
                    }
                }
                Step::Ack(n) if open[n].is_some() => {
                    let taker = three.taker(&clients[n].ack());
                    prop_assert_eq!(Some(taker), open[n].map(|(owner, _)| owner));
                    open[n] = Some((taker, true));
                }
                Step::Fin(n) if open[n].is_some() => {
                    let taker = three.taker(&clients[n].fin());
                    prop_assert_eq!(Some(taker), open[n].take().map(|(owner, _)| owner));
                }
                Step::Ack(_) | Step::Fin(_) => {}
                Step::Datagram(n) => drop(three.taker(&clients[n].datagram(b"x"))),
                Step::Agree(owners) => three.agree(&owners),
                // A handshake that stands still for so long is over.
                Step::Wait(s) => {
                    three.wait(s);
                    open.iter_mut().filter(|of| matches!(of, Some((_, false)))).for_each(|of| *of = None);
                }
            }
        }
    }
}
