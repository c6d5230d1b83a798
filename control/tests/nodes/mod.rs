//! Nodes for the tests of the engines.

// Each test program uses its part.
#![allow(dead_code)]

pub(crate) mod etcd_server;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};
use weir_control::cluster::engine::Clock;
use weir_control::cluster::{ClusterEnd, Digest, Incarnation, Liveness, Member, State, View, Weight};

/// A member of this name, in this life of it.
pub(crate) fn member(name: &str, incarnation: u64) -> Member {
    Member {
        name: name.parse().unwrap(),
        incarnation: Incarnation(incarnation),
        state: State::Active,
        weight: Weight::new(100).unwrap(),
        address: Ipv4Addr::LOCALHOST.into(),
        hash_seed: 0xdead_beef,
        total_nodes: 16,
        config_digest: Digest(42),
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

/// A clock that begins now.
pub(crate) fn clock() -> Clock {
    Clock::new(Instant::now())
}

/// An address on the loopback with a UDP port that was free a moment ago.
pub(crate) fn udp_address() -> SocketAddr {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A TCP port of the loopback that was free a moment ago.
pub(crate) fn tcp_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until `end` sees what is asked for, and says after how long.
pub(crate) async fn until(
    end: &mut ClusterEnd,
    what: &str,
    within: Duration,
    mut holds: impl FnMut(&View) -> bool,
) -> Duration {
    let begun = Instant::now();
    let seen = tokio::time::timeout(within, end.views.wait_for(|view| holds(view))).await;
    let seen = seen.map(|result| result.map(drop));
    let begun = begun.elapsed();
    assert!(matches!(seen, Ok(Ok(()))), "not within {within:?}: {what}; {:#?}", *end.views.borrow());
    begun
}

/// Whether the view has this node alive.
pub(crate) fn alive(view: &View, name: &str) -> bool {
    liveness(view, name) == Some(Liveness::Alive)
}

/// Whether the view has this node dead.
pub(crate) fn dead(view: &View, name: &str) -> bool {
    matches!(liveness(view, name), Some(Liveness::Dead { .. }))
}

/// What the view has of this node.
pub(crate) fn liveness(view: &View, name: &str) -> Option<Liveness> {
    view.peers.get(&name.parse().unwrap()).map(|peer| peer.liveness)
}
