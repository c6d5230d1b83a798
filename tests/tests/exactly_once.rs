//! Each valid frame is forwarded by exactly one node of a cluster that tracks every flow: by the one that the
//! model names.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use weir_dataplane::config::Tracking;
use weir_dataplane::counters::Verdict;
use weir_tests::conversation::{Fate, Passage};
use weir_tests::model::ClusterModel;
use weir_tests::node::{HASH_SEED, Node, member};
use weir_tests::scenario::{Town, town};

/// The nodes, from 0, that forward each frame.
fn forwarders(total_nodes: u16, passages: &[Passage]) -> Vec<Vec<usize>> {
    let mut forwarders = vec![Vec::new(); passages.len()];
    for node in 0..usize::from(total_nodes) {
        let config = member(total_nodes, node..node + 1, Tracking::All);
        let sights = Node::new(&config).take(passages);
        for (sight, forwarders) in sights.iter().zip(&mut forwarders) {
            if matches!(sight.verdict, Verdict::Forward(_)) {
                forwarders.push(node);
            }
        }
    }
    forwarders
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_valid_frame_is_forwarded_by_the_node_that_the_model_names(
        seed: u64,
        total_nodes in 2_u16..=5,
        clients in 1_u32..=40,
    ) {
        let passages =
            town(seed, Town { ipv4_clients: clients, ipv6_clients: clients.div_ceil(2), begin_within_us: 2_000_000 });
        let model = ClusterModel { total_nodes, hash_seed: HASH_SEED };
        let forwarders = forwarders(total_nodes, &passages);
        for (n, (passage, forwarders)) in passages.iter().zip(&forwarders).enumerate() {
            match passage.fate {
                Fate::Flow => prop_assert_eq!(forwarders, &[model.bucket(passage.client)], "frame {}: {:?}", n, passage),
                Fate::Loose => prop_assert_eq!(forwarders.len(), 1, "frame {}: {:?}", n, passage),
                Fate::Dropped => prop_assert!(forwarders.is_empty(), "frame {}: {:?}", n, passage),
            }
        }
    }
}

/// With Linux's way of tracking its own share only, a frame may leave twice; it is what `tracking: all` is for.
#[test]
fn tracking_only_its_own_a_cluster_forwards_some_replies_twice() {
    let passages = town(1, Town { ipv4_clients: 40, ipv6_clients: 0, begin_within_us: 1_000_000 });
    let mut copies = vec![0; passages.len()];
    for node in 0..2 {
        let sights = Node::new(&member(2, node..node + 1, Tracking::Own)).take(&passages);
        for (sight, copies) in sights.iter().zip(&mut copies) {
            *copies += usize::from(matches!(sight.verdict, Verdict::Forward(_)));
        }
    }
    let twice =
        passages.iter().zip(&copies).filter(|(passage, copies)| passage.fate == Fate::Flow && **copies == 2);
    assert!(twice.count() > 0);
}
