//! The etcd engine with a real etcd.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod nodes;

use nodes::etcd_server::{Cable, Etcd, ready};
use nodes::{alive, clock, dead, liveness, member, tcp_port, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use weir_control::cluster::engine::etcd::{self, EtcdConfig, EtcdTls, OnLoss};
use weir_control::cluster::engine::{Clock, Count, Engine};
use weir_control::cluster::{ClusterEnd, Incarnation, Lease, Liveness, State, View, link};

/// Long enough for a machine that is busy with other tests.
const LONG: Duration = Duration::from_secs(30);

struct Node {
    engine: Engine,
    end: ClusterEnd,
}

fn config(endpoint: &str, lease_s: u64) -> EtcdConfig {
    EtcdConfig { lease: Duration::from_secs(lease_s), ..EtcdConfig::new("gw", vec![endpoint.to_owned()]) }
}

fn node(name: &str, incarnation: u64, config: EtcdConfig, clock: Clock) -> Node {
    let (engine_end, end) = link(member(name, incarnation));
    let engine = etcd::start(config, clock, engine_end).unwrap();
    Node { engine, end }
}

/// Until when the node's lease is certain.
fn end_ms(view: &View) -> Option<u64> {
    match view.lease {
        Some(Lease::Until { end_ms }) => Some(end_ms),
        Some(Lease::None) => None,
        None => panic!("a strict engine always says what it knows of its lease"),
    }
}

/// Waits until all know of each other and may own.
async fn meet(nodes: &mut [Node]) {
    let names: Vec<_> = nodes.iter().map(|node| node.end.member.borrow().name.to_string()).collect();
    for (node, own) in nodes.iter_mut().zip(&names) {
        until(&mut node.end, "all have met", LONG, |view| {
            names.iter().filter(|name| *name != own).all(|name| alive(view, name))
                && view.lease != Some(Lease::None)
        })
        .await;
    }
}

#[tokio::test]
async fn nodes_meet_and_a_crash_is_noticed_after_its_lease() {
    if !ready() {
        return;
    }
    let etcd = Etcd::start().await;
    let clock = clock();
    // The first endpoint is a place where nobody is.
    let nowhere = format!("http://127.0.0.1:{}", tcp_port());
    let config = EtcdConfig { endpoints: vec![nowhere, etcd.endpoint()], ..config("", 2) };
    let mut nodes: Vec<_> = ["n1", "n2", "n3"].map(|name| node(name, 1, config.clone(), clock)).into();
    meet(&mut nodes).await;

    nodes[0].end.member.send_modify(|member| member.flows_left = Some(7));
    for node in &mut nodes[1..] {
        let took = until(&mut node.end, "the change", LONG, |view| {
            view.peers[&"n1".parse().unwrap()].member.flows_left == Some(7)
        })
        .await;
        assert!(took < Duration::from_millis(500), "{took:?}");
    }

    let crashed = nodes.pop().unwrap();
    let certain_until = end_ms(&crashed.end.views.borrow()).unwrap();
    drop(crashed.engine);
    let died = Instant::now();
    for node in &mut nodes {
        until(&mut node.end, "n3 is dead", LONG, |view| dead(view, "n3")).await;
        assert!(died.elapsed() < Duration::from_secs(4), "{:?}", died.elapsed());
        let Some(Liveness::Dead { since_ms }) = liveness(&node.end.views.borrow(), "n3") else { panic!() };
        assert!(
            since_ms > certain_until,
            "dead at {since_ms} ms, and might have owned until {certain_until} ms"
        );
    }
    let again = node("n3", 2, config, clock);
    nodes.push(again);
    meet(&mut nodes).await;
    let view = nodes[0].end.views.borrow();
    assert_eq!(view.peers[&"n3".parse().unwrap()].member.incarnation, Incarnation(2));
}

#[tokio::test]
async fn who_leaves_is_gone_at_once() {
    if !ready() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut nodes: Vec<_> =
        ["n1", "n2"].map(|name| node(name, 1, config(&etcd.endpoint(), 20), clock())).into();
    meet(&mut nodes).await;
    let leaver = nodes.pop().unwrap();
    leaver.end.member.send_modify(|member| member.state = State::Leaving);
    leaver.engine.leave().await;
    let took = until(&mut nodes[0].end, "n2 has left", LONG, |view| dead(view, "n2")).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let view = nodes[0].end.views.borrow();
    assert_eq!(view.peers[&"n2".parse().unwrap()].member.state, State::Leaving, "its last word was heard");
}

/// Looks at each node's view for as long as `what` takes: all may own all the time, and nobody dies.
async fn nobody_notices(nodes: &[Node], clock: Clock, what: impl Future<Output = ()>) {
    let watch = async {
        loop {
            for node in nodes {
                let view = node.end.views.borrow();
                let end_ms = end_ms(&view).expect("a lease");
                let now_ms = clock.ms(Instant::now());
                assert!(end_ms > now_ms, "certain until {end_ms} ms, and it is {now_ms} ms");
                assert!(view.peers.values().all(|peer| peer.liveness.lives()), "{view:#?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = watch => {}
        () = what => {}
    }
}

#[tokio::test]
async fn etcd_may_be_killed_and_restarted() {
    if !ready() {
        return;
    }
    let mut etcd = Etcd::start().await;
    let clock = clock();
    let mut nodes: Vec<_> =
        ["n1", "n2"].map(|name| node(name, 1, config(&etcd.endpoint(), 10), clock)).into();
    meet(&mut nodes).await;
    for _ in 0..2 {
        nobody_notices(&nodes, clock, async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            etcd.kill();
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert!(matches!(liveness(&nodes[0].end.views.borrow(), "n2"), Some(Liveness::Suspected { .. })));
            etcd.restart().await;
            // Longer than the leases of before: they have been renewed.
            tokio::time::sleep(Duration::from_secs(11)).await;
        })
        .await;
        meet(&mut nodes).await;
    }
    for node in &nodes {
        let counts = node.engine.counts();
        assert_eq!(counts.of(Count::LeasesLost), 0);
        assert!(counts.of(Count::Connections) >= 3, "{counts:?}");
    }
}

#[tokio::test]
async fn when_etcd_stays_away_all_stop_and_with_keep_they_go_on() {
    if !ready() {
        return;
    }
    let mut etcd = Etcd::start().await;
    let clock = clock();
    let keep = EtcdConfig { on_loss: OnLoss::Keep, ..config(&etcd.endpoint(), 2) };
    let mut nodes = vec![node("n1", 1, config(&etcd.endpoint(), 2), clock), node("n2", 1, keep, clock)];
    meet(&mut nodes).await;
    etcd.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(end_ms(&nodes[0].end.views.borrow()).is_none_or(|end_ms| end_ms < clock.ms(Instant::now())));
    assert_eq!(nodes[1].end.views.borrow().lease, None);
    for (node, other) in nodes.iter().zip(["n2", "n1"]) {
        assert!(
            matches!(liveness(&node.end.views.borrow(), other), Some(Liveness::Suspected { .. })),
            "nobody died"
        );
    }
    etcd.restart().await;
    meet(&mut nodes).await;
    until(&mut nodes[0].end, "it may own again", LONG, |view| {
        end_ms(view).is_some_and(|end_ms| end_ms > clock.ms(Instant::now()))
    })
    .await;
}

#[tokio::test]
async fn etcd_may_lose_its_data_and_nobody_dies_of_it() {
    if !ready() {
        return;
    }
    let mut etcd = Etcd::start().await;
    let clock = clock();
    let mut nodes: Vec<_> = ["n1", "n2"].map(|name| node(name, 1, config(&etcd.endpoint(), 5), clock)).into();
    meet(&mut nodes).await;
    etcd.kill();
    etcd.wipe();
    etcd.restart().await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        for node in &nodes {
            let view = node.end.views.borrow();
            assert!(view.peers.values().all(|peer| peer.liveness.lives()), "{view:#?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    meet(&mut nodes).await;
    assert!(nodes.iter().all(|node| node.engine.counts().of(Count::LeasesLost) >= 1), "the leases were lost");
}

#[tokio::test]
async fn who_is_cut_off_stops_before_the_others_inherit() {
    if !ready() {
        return;
    }
    let etcd = Etcd::start().await;
    let cable = Cable::to(&etcd).await;
    let clock = clock();
    let mut nodes = vec![
        node("n1", 1, config(&cable.endpoint(), 3), clock),
        node("n2", 1, config(&etcd.endpoint(), 3), clock),
    ];
    meet(&mut nodes).await;
    for _ in 0..2 {
        // The lease has been renewed for some time.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let certain_at_cut = end_ms(&nodes[0].end.views.borrow()).unwrap();
        cable.cut(true);
        let cut_ms = clock.ms(Instant::now());
        assert!(certain_at_cut > cut_ms);
        until(&mut nodes[1].end, "n1 is given up", LONG, |view| dead(view, "n1")).await;
        let Some(Liveness::Dead { since_ms }) = liveness(&nodes[1].end.views.borrow(), "n1") else {
            panic!()
        };
        let last = end_ms(&nodes[0].end.views.borrow()).expect("its lease, as far as it knows");
        assert!(last < since_ms, "n1 might own until {last} ms, and n2 inherited at {since_ms} ms");
        assert!(last <= cut_ms + 3000, "cut at {cut_ms} ms, stopped at {last} ms");
        assert!(liveness(&nodes[0].end.views.borrow(), "n2").unwrap().lives());
        cable.cut(false);
        meet(&mut nodes).await;
        until(&mut nodes[0].end, "n1 may own again", LONG, |view| {
            end_ms(view).is_some_and(|end_ms| end_ms > clock.ms(Instant::now()))
        })
        .await;
    }
}

#[tokio::test]
async fn a_name_has_one_node() {
    if !ready() {
        return;
    }
    let etcd = Etcd::start().await;
    let clock = clock();
    let mut first = node("n1", 1, config(&etcd.endpoint(), 2), clock);
    until(&mut first.end, "it may own", LONG, |view| end_ms(view).is_some()).await;
    let mut second = node("n1", 2, config(&etcd.endpoint(), 2), clock);
    until(&mut second.end, "it sees the first", LONG, |view| alive(view, "n1")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(second.end.views.borrow().lease, Some(Lease::None));
    assert!(second.engine.counts().of(Count::NameTaken) >= 2);
    assert!(end_ms(&first.end.views.borrow()).unwrap() > clock.ms(Instant::now()));
    first.engine.leave().await;
    until(&mut second.end, "the name is free", LONG, |view| end_ms(view).is_some()).await;
}

#[tokio::test]
async fn what_is_no_member_changes_nothing() {
    if !ready() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut nodes: Vec<_> =
        ["n1", "n2"].map(|name| node(name, 1, config(&etcd.endpoint(), 5), clock())).into();
    meet(&mut nodes).await;
    let before = nodes[0].end.views.borrow().peers.clone();
    let mut client = etcd_client::Client::connect([etcd.endpoint()], None).await.unwrap();
    for (key, value) in
        [("n3", "{}"), ("n4", "\u{0}"), ("", "x"), ("n2/x", "{\"name\":\"n2\"}"), ("n5", "{\"name\":1}")]
    {
        client.put(format!("/weir/gw/{key}"), value, None).await.unwrap();
    }
    let counts = nodes[0].engine.counts();
    let begun = Instant::now();
    while counts.of(Count::Malformed) < 5 && begun.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(counts.of(Count::Malformed), 5);
    assert_eq!(nodes[0].end.views.borrow().peers, before);
}

#[tokio::test]
async fn both_sides_prove_who_they_are() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tls = authority(folder.path(), "ours");
    let strangers = authority(folder.path(), "theirs");
    let etcd = Etcd::start_with_tls(&tls.ca, &tls.certificate, &tls.key).await;
    let clock = clock();
    let with = |tls: EtcdTls| EtcdConfig { tls: Some(tls), ..config(&etcd.endpoint(), 5) };
    let mut nodes: Vec<_> = ["n1", "n2"].map(|name| node(name, 1, with(tls.clone()), clock)).into();
    meet(&mut nodes).await;
    // One that etcd does not trust, and one that does not trust etcd.
    let untrusted = EtcdTls { ca: tls.ca.clone(), ..strangers.clone() };
    let distrustful = EtcdTls { ca: strangers.ca, ..tls };
    for (name, tls) in [("n3", untrusted), ("n4", distrustful)] {
        let outside = node(name, 1, with(tls), clock);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let counts = outside.engine.counts();
        assert!(counts.of(Count::ConnectionErrors) >= 2, "{name}: {counts:?}");
        assert_eq!(counts.of(Count::Connections), 0, "{name}: {counts:?}");
        assert_eq!(outside.end.views.borrow().lease, Some(Lease::None));
        assert!(liveness(&nodes[0].end.views.borrow(), name).is_none());
    }
}

/// An authority, and a certificate of it for 127.0.0.1, as files.
fn authority(folder: &Path, name: &str) -> EtcdTls {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let write = |what: &str, pem: String| -> PathBuf {
        let path = folder.join(format!("{name}.{what}.pem"));
        std::fs::write(&path, pem).unwrap();
        path
    };
    EtcdTls {
        ca: write("ca", ca.pem()),
        certificate: write("certificate", leaf.pem()),
        key: write("key", key.serialize_pem()),
    }
}
