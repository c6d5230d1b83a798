//! Gossip between nodes in one process, over real UDP on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod nodes;

use nodes::{alive, clock, dead, member, udp_address, until};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use weir_control::cluster::engine::Count;
use weir_control::cluster::engine::gossip::{self, Gossip, GossipConfig, Key, KeyRing};
use weir_control::cluster::{ClusterEnd, Incarnation, State, View, link};

/// Long enough for a machine that is busy with other tests.
const LONG: Duration = Duration::from_secs(10);

struct Node {
    gossip: Gossip,
    end: ClusterEnd,
}

fn key(byte: u8) -> KeyRing {
    KeyRing::of(Key::new([byte; 32]))
}

async fn node(name: &str, incarnation: u64, listen: SocketAddr, seed: SocketAddr, keys: KeyRing) -> Node {
    let (engine_end, end) = link(member(name, incarnation));
    let config = GossipConfig::new("gw", listen, vec![seed.to_string()]);
    let gossip = gossip::start(config, keys, clock(), engine_end).await.unwrap();
    Node { gossip, end }
}

/// Whether this one says that it does not hear the node whose view it is.
fn deaf(view: &View, name: &str) -> bool {
    view.peers[&name.parse().unwrap()].deaf
}

/// Nodes `n1`, `n2`… that all know of each other.
async fn cluster(addresses: &[SocketAddr]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        nodes.push(node(&format!("n{}", index + 1), 1, *address, addresses[0], key(1)).await);
    }
    for index in 0..nodes.len() {
        for other in (0..nodes.len()).filter(|other| *other != index) {
            let name = format!("n{}", other + 1);
            let hear = |view: &View| alive(view, &name) && !deaf(view, &name);
            until(&mut nodes[index].end, "all know of each other", LONG, hear).await;
        }
    }
    nodes
}

/// For how long the machine let this thread stand still. A node that did so gives the others the more time.
struct Stalls(Arc<AtomicU64>);

impl Stalls {
    const NAP: Duration = Duration::from_millis(10);

    fn watch() -> Self {
        let longest_ms = Arc::new(AtomicU64::new(0));
        let writer = Arc::downgrade(&longest_ms);
        tokio::spawn(async move {
            while let Some(longest_ms) = writer.upgrade() {
                let begun = Instant::now();
                tokio::time::sleep(Self::NAP).await;
                let late = begun.elapsed().saturating_sub(Self::NAP);
                longest_ms.fetch_max(u64::try_from(late.as_millis()).unwrap(), Ordering::Relaxed);
            }
        });
        Self(longest_ms)
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn addresses<const N: usize>() -> [SocketAddr; N] {
    std::array::from_fn(|_| udp_address())
}

#[tokio::test]
async fn a_crash_is_noticed_in_time_and_the_next_life_is_welcome() {
    let at: [_; 3] = addresses();
    let mut nodes = cluster(&at).await;
    // The failure detectors know what is usual.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stalls = Stalls::watch();
    let died = Instant::now();
    drop(nodes.pop());
    for node in &mut nodes {
        until(&mut node.end, "n3 is dead", LONG, |view| dead(view, "n3")).await;
        let noticed = died.elapsed();
        let stalled = stalls.longest();
        assert!(
            noticed <= Duration::from_secs(1) + 4 * stalled,
            "noticed after {noticed:?}, stalled for {stalled:?}"
        );
        assert!(noticed >= Duration::from_millis(300), "given up after {noticed:?} already");
        assert!(alive(
            &node.end.views.borrow(),
            if node.end.member.borrow().name.as_str() == "n1" { "n2" } else { "n1" }
        ));
    }
    let _again = node("n3", 2, at[2], at[0], key(1)).await;
    for node in &mut nodes {
        until(&mut node.end, "n3 lives again", LONG, |view| {
            alive(view, "n3") && view.peers[&"n3".parse().unwrap()].member.incarnation == Incarnation(2)
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_dies_because_this_node_stood_still() {
    let at: [_; 3] = addresses();
    let nodes = cluster(&at).await;
    let deaths: Vec<_> = nodes
        .iter()
        .map(|node| {
            let mut views = node.end.views.clone();
            tokio::spawn(async move {
                let view = views
                    .wait_for(|view| view.peers.values().any(|peer| !peer.liveness.lives()))
                    .await
                    .unwrap();
                format!("{view:#?}")
            })
        })
        .collect();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // All nodes of this test are on this thread.
        std::thread::sleep(Duration::from_millis(1500));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for death in deaths {
        assert!(!death.is_finished(), "{}", death.await.unwrap());
    }
}

#[tokio::test]
async fn a_node_that_comes_again_at_once_takes_the_place_of_its_former_life() {
    let at: [_; 2] = addresses();
    let mut nodes = cluster(&at).await;
    nodes.pop();
    tokio::task::yield_now().await;
    let _again = node("n2", 2, at[1], at[0], key(1)).await;
    let mut died = false;
    until(&mut nodes[0].end, "n2 in its second life", LONG, |view| {
        died |= dead(view, "n2");
        alive(view, "n2") && view.peers[&"n2".parse().unwrap()].member.incarnation == Incarnation(2)
    })
    .await;
    assert!(!died, "it was back before anybody could miss it");
}

#[tokio::test]
async fn what_a_node_publishes_reaches_the_others_before_the_next_round_of_gossip() {
    let at: [_; 3] = addresses();
    let mut nodes = cluster(&at).await;
    let mut times = Vec::new();
    for flows_left in 0..20 {
        nodes[0].end.member.send_modify(|member| {
            member.state = State::Draining;
            member.flows_left = Some(flows_left);
        });
        for node in &mut nodes[1..] {
            times.push(
                until(&mut node.end, "the change", LONG, |view| {
                    view.peers[&"n1".parse().unwrap()].member.flows_left == Some(flows_left)
                })
                .await,
            );
        }
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    assert!(median < Duration::from_millis(50), "{times:?}");
}

#[tokio::test]
async fn garbage_and_another_key_change_nothing() {
    let at: [_; 3] = addresses();
    let mut nodes = cluster(&at[..2]).await;
    let _stranger = node("n3", 1, at[2], at[0], key(9)).await;
    let before = nodes[0].end.views.borrow_and_update().clone();
    let raw = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0, 1, 2, 42, 43, 44, 1500, 65_507] {
        for byte in [0, b'W', 0xff] {
            raw.send_to(&vec![byte; length], at[0]).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let counts = nodes[0].gossip.engine.counts();
    assert!(counts.of(Count::RefusedKey) >= 5, "the stranger kept trying: {counts:?}");
    assert!(counts.of(Count::RefusedFormat) >= 12, "{counts:?}");
    assert_eq!(*nodes[0].end.views.borrow(), before);
}

#[tokio::test]
async fn a_recorded_datagram_is_heard_once() {
    let [one, other] = addresses();
    let tap = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let victim = node("n2", 1, other, other, key(1)).await;
    let _recorded = node("n1", 1, one, tap.local_addr().unwrap(), key(1)).await;
    let mut datagram = vec![0; 65_507];
    let (length, from) = tap.recv_from(&mut datagram).await.unwrap();
    assert_eq!(from, one);
    for _ in 0..3 {
        tap.send_to(&datagram[..length], other).await.unwrap();
    }
    let counts = victim.gossip.engine.counts();
    let begun = Instant::now();
    while counts.of(Count::RefusedReplay) < 2 && begun.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The answer to the first went back to the tap, so nothing else was received.
    assert_eq!((counts.of(Count::Received), counts.of(Count::RefusedReplay)), (1, 2));
}

#[tokio::test]
async fn a_key_is_replaced_under_way_and_a_cut_heals() {
    let at: [_; 3] = addresses();
    let mut nodes = cluster(&at).await;
    let [old, new] = [1, 2].map(|byte| Key::new([byte; 32]));
    let steps =
        [KeyRing::of_two(old.clone(), new.clone()), KeyRing::of_two(new.clone(), old), KeyRing::of(new)];
    for ring in steps {
        for node in &nodes {
            node.gossip.replace_keys(ring.clone());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    for node in &nodes {
        let counts = node.gossip.engine.counts();
        assert_eq!(counts.of(Count::RefusedKey), 0, "{counts:?}");
    }
    // A node with a key of its own is cut off, and so are the others from it.
    nodes[2].gossip.replace_keys(key(3));
    until(&mut nodes[0].end, "n3 is cut off", LONG, |view| dead(view, "n3") && alive(view, "n2")).await;
    until(&mut nodes[2].end, "n3 is alone", LONG, |view| dead(view, "n1") && dead(view, "n2")).await;
    nodes[2].gossip.replace_keys(key(2));
    until(&mut nodes[0].end, "n3 is back", LONG, |view| alive(view, "n3")).await;
    until(&mut nodes[2].end, "n3 has the others back", LONG, |view| alive(view, "n1") && alive(view, "n2"))
        .await;
}

#[tokio::test]
async fn a_cut_of_one_way_is_known_on_both_sides() {
    let at: [_; 2] = addresses();
    let mut nodes = cluster(&at).await;
    let [old, new] = [1, 2].map(|byte| Key::new([byte; 32]));
    // The first speaks with a key that the second has not, and understands it.
    nodes[0].gossip.replace_keys(KeyRing::of_two(new, old.clone()));
    until(&mut nodes[1].end, "n1 is not heard", LONG, |view| dead(view, "n1")).await;
    until(&mut nodes[0].end, "n2 says so", LONG, |view| alive(view, "n2") && deaf(view, "n2")).await;
    nodes[0].gossip.replace_keys(KeyRing::of(old));
    until(&mut nodes[0].end, "n2 hears again", LONG, |view| alive(view, "n2") && !deaf(view, "n2")).await;
    assert!(!deaf(&nodes[1].end.views.borrow(), "n1"));
}

#[tokio::test]
async fn the_last_word_is_heard() {
    let at: [_; 2] = addresses();
    let mut nodes = cluster(&at).await;
    let leaver = nodes.pop().unwrap();
    leaver.end.member.send_modify(|member| member.state = State::Leaving);
    leaver.gossip.engine.leave().await;
    until(&mut nodes[0].end, "n2 leaves", Duration::from_millis(300), |view| {
        view.peers[&"n2".parse().unwrap()].member.state == State::Leaving
    })
    .await;
}
